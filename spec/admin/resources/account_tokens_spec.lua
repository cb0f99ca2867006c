local support = require "spec.support.admin"

describe("moongate.admin.resources.account_tokens", function()
  local permissions = require "moongate.admin.permissions"
  local gate, path, zone, foreign

  before_each(function()
    gate = assert(support.start())
    path = "/accounts/" .. gate.account_id .. "/tokens"
    zone = gate:zone "heron.test"
    foreign = gate:account "other"
  end)
  after_each(function() gate:close() end)

  local function body(group, resources)
    return { name = "t", policies = { { effect = "allow",
      permission_groups = { { id = permissions.by_name[group].id } }, resources = resources } } }
  end

  local function create(group, resources, at)
    local answer = gate:call("POST", at or path, body(group, resources))
    assert.equal(200, answer.status, answer.raw)
    return answer.body.result
  end

  local ALL_ZONES = { ["com.cloudflare.api.account.zone.*"] = "*" }

  local function code(answer) return answer.body.errors[1] and answer.body.errors[1].code end

  it("makes tokens that verify at the account's path", function()
    local made = create("Zone Read", ALL_ZONES)
    assert.equal(200, gate:call("GET", path .. "/verify", nil, { token = made.value }).status)
    assert.equal(1000, code(gate:call("GET", "/user/tokens/verify", nil, { token = made.value })))
  end)

  it("makes tokens whose star ends at the account", function()
    local made = create("Zone Write", ALL_ZONES)
    local other = gate:call("POST", "/zones", { name = "stork.test", account = { id = foreign } }).body.result
    assert.equal(200, gate:call("GET", "/zones/" .. zone.id, nil, { token = made.value }).status)
    assert.equal(403, gate:call("GET", "/zones/" .. other.id, nil, { token = made.value }).status)
    local seen = gate:call("GET", "/zones", nil, { token = made.value }).body.result
    assert.equal(1, #seen)
    assert.equal("heron.test", seen[1].name)
  end)

  it("rolls, replaces, shows, lists and deletes them", function()
    local made = create("Zone Read", ALL_ZONES)
    local one = path .. "/" .. made.id
    local rolled = gate:call("PUT", one .. "/value", "{}").body.result
    assert.equal(403, gate:call("GET", "/zones/" .. zone.id, nil, { token = made.value }).status)
    assert.equal(200, gate:call("GET", "/zones/" .. zone.id, nil, { token = rolled }).status)
    local replaced = gate:call("PUT", one, body("DNS Read", ALL_ZONES)).body.result
    assert.equal("DNS Read", replaced.policies[1].permission_groups[1].name)
    assert.same(replaced.policies, gate:call("GET", one).body.result.policies)
    local listed = gate:call("GET", path).body
    assert.equal(1, listed.result_info.total_count)
    assert.equal(made.id, listed.result[1].id)
    assert.same({ id = made.id }, gate:call("DELETE", one).body.result)
    assert.equal(404, gate:call("GET", one).status)
  end)

  it("knows no token of another account and none of the user", function()
    local theirs = create("Zone Read", ALL_ZONES,
      "/accounts/" .. foreign .. "/tokens")
    local users = gate:call("GET", "/user/tokens").body.result[1]
    for _, id in ipairs { theirs.id, users.id } do
      for _, case in ipairs { { "GET", "" }, { "DELETE", "" }, { "PUT", "/value", "{}" } } do
        local answer = gate:call(case[1], path .. "/" .. id .. case[2], case[3])
        assert.equal(404, answer.status)
        assert.equal(1003, code(answer))
      end
    end
    assert.equal(0, gate:call("GET", path).body.result_info.total_count)
  end)

  it("lets a token of the account with the permission make others, within the account", function()
    local maker = create("Account API Tokens Write", { ["com.cloudflare.api.account." .. gate.account_id] = "*" })
    local with = { token = maker.value }
    local one_zone = { ["com.cloudflare.api.account.zone." .. zone.id] = "*" }
    assert.equal(200, gate:call("POST", path, body("Zone Read", one_zone), with).status)
    assert.equal(403, gate:call("POST", "/accounts/" .. foreign .. "/tokens",
      body("Zone Read", ALL_ZONES), with).status)
    assert.equal(403, gate:call("POST", path, body("Zone Read", { ["com.cloudflare.api.account." .. foreign] = "*" }),
      with).status)
    assert.equal(403, gate:call("POST", "/user/tokens", body("Zone Read", ALL_ZONES),
      with).status)
  end)

  it("has a quota for each account", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 2 WHERE name = 'account_tokens'") end)
    create("Zone Read", ALL_ZONES)
    create("Zone Read", ALL_ZONES)
    local answer = gate:call("POST", path, body("Zone Read", ALL_ZONES))
    assert.equal(400, answer.status)
    assert.equal("Hit the maximum of 2 API tokens made through the API", answer.body.errors[1].message)
    create("Zone Read", ALL_ZONES, "/accounts/" .. foreign .. "/tokens")
  end)

  it("allows five hundred by itself", function()
    assert.equal(500, gate.app.store:read(function(tx)
      return tx:one("SELECT value FROM quotas WHERE name = 'account_tokens'").value
    end))
  end)
end)
