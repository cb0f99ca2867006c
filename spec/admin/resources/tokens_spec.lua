local support = require "spec.support.admin"

describe("moongate.admin.resources.tokens", function()
  local gate, account_path

  setup(function()
    gate = assert(support.start())
    account_path = "/accounts/" .. gate.account_id .. "/tokens/verify"
  end)
  teardown(function() gate:close() end)

  local function verify(options) return gate:call("GET", "/user/tokens/verify", nil, options) end

  it("verifies a user's token, with the documented message", function()
    local answer = verify()
    assert.equal(200, answer.status)
    assert.equal("active", answer.body.result.status)
    assert.truthy(answer.body.result.id:find("^%x+$"))
    assert.is_nil(answer.body.result.expires_on)
    assert.equal(10000, answer.body.messages[1].code)
    assert.equal("This API Token is valid and active", answer.body.messages[1].message)
    assert.truthy(answer.raw:find('"type":null', 1, true))
  end)

  it("shows when it expires", function()
    local token = gate:token { expires_on = "2030-01-01T00:00:00Z" }
    assert.equal("2030-01-01T00:00:00Z", verify({ token = token }).body.result.expires_on)
  end)

  it("verifies an account's token at the account's path", function()
    local token = gate:token { account_id = gate.account_id }
    assert.equal(200, gate:call("GET", account_path, nil, { token = token }).status)
  end)

  for title, case in pairs {
    ["an account's token at the user's path"] = function()
      return verify { token = gate:token { account_id = gate.account_id } }
    end,
    ["a user's token at the account's path"] = function() return gate:call("GET", account_path) end,
    ["an unknown token"] = function() return verify { token = ("x"):rep(40) } end,
    ["a disabled token"] = function() return verify { token = gate:token { status = "disabled" } } end,
    ["an expired token"] = function() return verify { token = gate:token { expires_on = "2020-01-01T00:00:00Z" } } end,
  } do
    it("answers 401 with 1000 to " .. title, function()
      local answer = case()
      assert.equal(401, answer.status)
      assert.equal(1000, answer.body.errors[1].code)
      assert.equal("Invalid API Token", answer.body.errors[1].message)
    end)
  end

  it("answers 401 with 1001 without a token at the account's path", function()
    local answer = gate:call("GET", account_path, nil, { token = false })
    assert.equal(401, answer.status)
    assert.equal(1001, answer.body.errors[1].code)
  end)

  it("answers 400 with 6003 and 6111 to another scheme", function()
    local answer = verify { token = false, headers = { Authorization = "Basic eDp5" } }
    assert.equal(400, answer.status)
    assert.equal(6003, answer.body.errors[1].code)
    assert.equal(6111, answer.body.errors[1].error_chain[1].code)
    assert.equal("Invalid format for Authorization header", answer.body.errors[1].error_chain[1].message)
  end)

  it("answers 401 with 1000 to a token of another account at the account's path, and to one of none", function()
    local token = gate:token { account_id = gate:account "other" }
    for _, path in ipairs { account_path, "/accounts/" .. ("0"):rep(32) .. "/tokens/verify" } do
      local answer = gate:call("GET", path, nil, { token = token })
      assert.equal(401, answer.status)
      assert.equal(1000, answer.body.errors[1].code)
    end
  end)

  it("answers 401 with 1000 to a global key, which is no token", function()
    local auth = require "moongate.admin.auth"
    local key
    gate.app.store:write(function(tx)
      key = auth.issue_global_key(tx, gate.control, tx:one("SELECT id FROM users").id)
      return true
    end)
    local answer = verify { token = false, headers = { ["X-Auth-Email"] = "admin@localhost", ["X-Auth-Key"] = key } }
    assert.equal(401, answer.status)
    assert.equal(1000, answer.body.errors[1].code)
  end)
end)

describe("moongate.admin.resources.tokens managing", function()
  local json = require "moongate.json"
  local permissions = require "moongate.admin.permissions"
  local gate, zone

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local ZONE_READ = permissions.by_name["Zone Read"].id

  local function body(extra)
    local made = { name = "deployer", policies = { {
      effect = "allow", permission_groups = { { id = ZONE_READ } },
      resources = { ["com.cloudflare.api.account.zone." .. zone.id] = "*" },
    } } }
    for key, value in pairs(extra or {}) do made[key] = value end
    return made
  end

  local function create(extra, options)
    local answer = gate:call("POST", "/user/tokens", body(extra), options)
    assert.equal(200, answer.status, answer.raw)
    return answer.body.result
  end

  local function at(id) return "/user/tokens/" .. id end
  local function code(answer) return answer.body.errors[1] and answer.body.errors[1].code end
  local function zones(token) return gate:call("GET", "/zones/" .. zone.id, nil, { token = token }).status end

  describe("create", function()
    it("answers with the token and its secret, in the documented form", function()
      local made = create { expires_on = "2027-01-01T00:00:00Z", not_before = "2026-01-01T00:00:00Z" }
      assert.truthy(made.id:find("^%x+$") and #made.id == 32)
      assert.equal("deployer", made.name)
      assert.equal("active", made.status)
      assert.truthy(made.value:find("^[0-9A-Za-z_-]+$") and #made.value >= 40 and #made.value <= 80)
      assert.equal("2026-02-02T02:40:00Z", made.issued_on)
      assert.equal("2026-02-02T02:40:00Z", made.modified_on)
      assert.equal(json.null, made.last_used_on)
      assert.equal("2027-01-01T00:00:00Z", made.expires_on)
      assert.equal("2026-01-01T00:00:00Z", made.not_before)
      assert.is_nil(made.condition)
      local policy = made.policies[1]
      assert.truthy(policy.id:find("^%x+$") and #policy.id == 32)
      assert.equal("allow", policy.effect)
      assert.equal("Zone Read", policy.permission_groups[1].name)
      assert.same({ ["com.cloudflare.api.account.zone." .. zone.id] = "*" }, policy.resources)
    end)

    it("leaves out times that are not set", function()
      local made = create()
      assert.is_nil(made.expires_on)
      assert.is_nil(made.not_before)
    end)

    it("makes a token that may do what it says and no more", function()
      local made = create()
      assert.equal(200, zones(made.value))
      assert.equal(403, gate:call("DELETE", "/zones/" .. zone.id, nil, { token = made.value }).status)
      assert.equal(403, gate:call("GET", "/user", nil, { token = made.value }).status)
    end)

    it("makes one that is disabled from the start", function()
      local made = create { status = "disabled" }
      assert.equal("disabled", made.status)
      assert.equal(403, zones(made.value))
    end)

    it("keeps to its times", function()
      local late = create { not_before = "2026-02-02T02:50:00Z", expires_on = "2026-02-02T03:00:00Z" }
      assert.equal(403, zones(late.value))
      gate.control.clock = gate.control.clock + 600
      assert.equal(200, zones(late.value))
      gate.control.clock = gate.control.clock + 600
      assert.equal(403, zones(late.value))
      assert.equal("expired", gate:call("GET", at(late.id)).body.result.status)
    end)

    it("keeps to its addresses, under both names of the condition", function()
      for _, name in ipairs { "request.ip", "request_ip" } do
        local made = create { condition = { [name] = { ["in"] = { "192.0.2.0/24", "2001:db8::/32" },
          not_in = { "192.0.2.66" } } } }
        assert.same({ ["in"] = { "192.0.2.0/24", "2001:db8::/32" }, not_in = { "192.0.2.66" } },
          made.condition["request.ip"])
        assert.same(made.condition["request.ip"], made.condition.request_ip)
        local function from(address)
          return gate:call("GET", "/zones/" .. zone.id, nil, { token = made.value, address = address })
        end
        assert.equal(200, from("192.0.2.1").status)
        assert.equal(200, from("2001:db8::7").status)
        for _, address in ipairs { "192.0.2.66", "198.51.100.1", "::1" } do
          local answer = from(address)
          assert.equal(403, answer.status)
          assert.equal(9109, code(answer))
          assert.equal("Cannot use the access token from location: " .. address, answer.body.errors[1].message)
        end
      end
    end)

    it("counts uses from a wrong address as failures", function()
      local made = create { condition = { request_ip = { ["in"] = { "192.0.2.1" } } } }
      local answer
      for _ = 1, 101 do answer = gate:call("GET", "/zones", nil, { token = made.value, address = "198.51.100.1" }) end
      assert.equal(429, answer.status)
    end)

    it("refuses a time that is over", function()
      local answer = gate:call("POST", "/user/tokens", body { expires_on = "2026-01-01T00:00:00Z" })
      assert.equal(400, answer.status)
      assert.equal("/expires_on", answer.body.errors[1].source.pointer)
    end)

    it("refuses the fifty-first, and counts none that the operator made", function()
      for _ = 1, 60 do gate:token() end
      for index = 1, 50 do create { name = "t" .. index } end
      local answer = gate:call("POST", "/user/tokens", body())
      assert.equal(400, answer.status)
      assert.equal("Hit the maximum of 50 API tokens made through the API", answer.body.errors[1].message)
      assert.equal(200, zones(gate:token()))
      local one = gate:call("GET", "/user/tokens?per_page=50&direction=asc").body.result
      local made = gate:call("GET", "/user/tokens?per_page=50&direction=desc").body.result[1]
      assert.equal(50, #one)
      assert.equal(200, gate:call("DELETE", at(made.id)).status)
    end)

    it("stores no secret", function()
      local made = create()
      gate.app.store.connection:script("PRAGMA wal_checkpoint(TRUNCATE)")
      local file = assert(io.open(gate.directory .. "/data/moongate.db", "rb"))
      local bytes = file:read("*a")
      file:close()
      assert.truthy(bytes:find(made.id, 1, true))
      assert.is_nil(bytes:find(made.value:sub(9), 1, true))
    end)
  end)

  describe("get", function()
    it("shows the token without its secret", function()
      local made = create()
      made.value = nil
      local answer = gate:call("GET", at(made.id))
      assert.equal(200, answer.status)
      assert.same(made, answer.body.result)
    end)

    it("shows when it was used", function()
      local made = create()
      zones(made.value)
      assert.equal("2026-02-02T02:40:00Z", gate:call("GET", at(made.id)).body.result.last_used_on)
    end)

    it("shows a token of the operator's with what it may do", function()
      local shown
      for _, token in ipairs(gate:call("GET", "/user/tokens").body.result) do
        if token.name == "spec" then shown = token end
      end
      assert.equal(3, #shown.policies)
      assert.equal("*", shown.policies[1].resources["com.cloudflare.api.account.*"])
      assert.same(shown.policies, gate:call("GET", at(shown.id)).body.result.policies)
      assert.truthy(shown.policies[2].id:find("^%x+$") and #shown.policies[2].id == 32)
    end)

    for _, id in ipairs { ("0"):rep(32), "x", "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f" } do
      it(("answers 404 with 1003 to %s"):format(id), function()
        for _, method in ipairs { "GET", "DELETE" } do
          local answer = gate:call(method, at(id))
          assert.equal(404, answer.status)
          assert.equal(1003, code(answer))
        end
        assert.equal(1003, code(gate:call("PUT", at(id), body())))
        assert.equal(1003, code(gate:call("PUT", at(id) .. "/value", "{}")))
      end)
    end

    it("knows no token of an account", function()
      local answer = gate:call("POST", "/accounts/" .. gate.account_id .. "/tokens", body())
      assert.equal(200, answer.status, answer.raw)
      assert.equal(404, gate:call("GET", at(answer.body.result.id)).status)
      assert.equal(404, gate:call("DELETE", at(answer.body.result.id)).status)
    end)
  end)

  describe("list", function()
    local function names(query)
      local list = {}
      for index, token in ipairs(gate:call("GET", "/user/tokens" .. query).body.result) do list[index] = token.name end
      return list
    end

    it("has the newest first, or last, page by page", function()
      for index = 1, 6 do
        gate.control.clock = gate.control.clock + 1
        create { name = "t" .. index }
      end
      assert.same({ "t6", "t5", "t4", "t3", "t2", "t1", "spec" }, names "")
      assert.same({ "spec", "t1", "t2", "t3", "t4" }, names "?direction=asc&per_page=5")
      assert.same({ "t5", "t6" }, names "?direction=asc&per_page=5&page=2")
      assert.same({}, names "?per_page=5&page=3")
      assert.same({ page = 2, per_page = 5, count = 2, total_count = 7, total_pages = 2 },
        gate:call("GET", "/user/tokens?per_page=5&page=2").body.result_info)
    end)

    it("leaves out what has expired unless it is asked for it", function()
      create { name = "short", expires_on = "2026-02-02T02:41:00Z" }
      assert.same({ "short", "spec" }, (function(list) table.sort(list) return list end)(names ""))
      gate.control.clock = gate.control.clock + 60
      assert.same({ "spec" }, names "")
      assert.equal(2, #names "?include_expired=true")
    end)

    it("shows no secrets", function()
      create()
      assert.is_nil(gate:call("GET", "/user/tokens").raw:find('"value"', 1, true))
    end)

    for _, query in ipairs { "direction=up", "include_expired=perhaps", "page=0" } do
      it("refuses " .. query, function()
        local answer = gate:call("GET", "/user/tokens?" .. query)
        assert.equal(400, answer.status)
        assert.equal(10002, code(answer))
      end)
    end
  end)

  describe("replace", function()
    it("changes everything but the secret", function()
      local made = create { condition = { request_ip = { ["in"] = { "127.0.0.0/8" } } },
        expires_on = "2027-01-01T00:00:00Z" }
      gate.control.clock = gate.control.clock + 5
      local answer = gate:call("PUT", at(made.id), body { name = "other", status = "disabled" })
      assert.equal(200, answer.status, answer.raw)
      local changed = answer.body.result
      assert.equal("other", changed.name)
      assert.equal("disabled", changed.status)
      assert.equal("2026-02-02T02:40:05Z", changed.modified_on)
      assert.equal("2026-02-02T02:40:00Z", changed.issued_on)
      assert.is_nil(changed.condition)
      assert.is_nil(changed.expires_on)
      assert.is_nil(changed.value)
      assert.equal(403, zones(made.value))
      gate:call("PUT", at(made.id), body())
      assert.equal(200, zones(made.value))
    end)

    it("takes what get answered, and keeps the ids of policies", function()
      local made = create { condition = { request_ip = { ["in"] = { "127.0.0.0/8" } } } }
      local shown = gate:call("GET", at(made.id)).body.result
      shown.last_used_on = nil
      local answer = gate:call("PUT", at(made.id), json.encode(shown))
      assert.equal(200, answer.status, answer.raw)
      assert.same(shown.policies, answer.body.result.policies)
      assert.same(shown.condition, answer.body.result.condition)
    end)

    it("knows a policy again by what it says", function()
      local made = create()
      local more = body()
      table.insert(more.policies, 1, { effect = "deny",
        permission_groups = { { id = permissions.by_name["DNS Read"].id } },
        resources = { ["com.cloudflare.api.account.zone.*"] = "*" } })
      local policies = gate:call("PUT", at(made.id), more).body.result.policies
      assert.equal(made.policies[1].id, policies[2].id)
      assert.not_equal(made.policies[1].id, policies[1].id)
    end)

    it("gives an id that two policies claim to the first of them", function()
      local made = create()
      local twice = body()
      twice.policies[1].id = made.policies[1].id
      twice.policies[2] = { id = made.policies[1].id, effect = "deny",
        permission_groups = { { id = permissions.by_name["DNS Read"].id } },
        resources = { ["com.cloudflare.api.account.zone.*"] = "*" } }
      local policies = gate:call("PUT", at(made.id), twice).body.result.policies
      assert.equal(made.policies[1].id, policies[1].id)
      assert.not_equal(policies[1].id, policies[2].id)
    end)

    it("takes no id that was not the token's own", function()
      local made = create()
      local policies = body().policies
      policies[1].id = ("0"):rep(32)
      policies = gate:call("PUT", at(made.id), body { policies = policies }).body.result.policies
      assert.equal(made.policies[1].id, policies[1].id)
    end)

    it("is in force with the next request", function()
      local made = create()
      local other = gate:zone "stork.test"
      gate:call("PUT", at(made.id), body { policies = { { effect = "allow",
        permission_groups = { { id = ZONE_READ } },
        resources = { ["com.cloudflare.api.account.zone." .. other.id] = "*" } } } })
      assert.equal(403, zones(made.value))
    end)

    it("changes nothing when it is refused", function()
      local made = create()
      assert.equal(400, gate:call("PUT", at(made.id), body { name = "" }).status)
      assert.equal("deployer", gate:call("GET", at(made.id)).body.result.name)
    end)
  end)

  describe("roll", function()
    for title, sent in pairs { ["an empty object"] = "{}", ["no body"] = "" } do
      it("answers with the new secret as a text, and the old one stops working: " .. title, function()
        local made = create()
        local answer = gate:call("PUT", at(made.id) .. "/value", sent)
        assert.equal(200, answer.status)
        assert.equal("string", type(answer.body.result))
        assert.not_equal(made.value, answer.body.result)
        assert.equal(403, zones(made.value))
        assert.equal(200, zones(answer.body.result))
      end)
    end

    it("refuses a body that is no JSON, and changes nothing", function()
      local made = create()
      local answer = gate:call("PUT", at(made.id) .. "/value", "not json")
      assert.equal(400, answer.status)
      assert.equal(1198, code(answer))
      assert.equal(200, zones(made.value))
    end)
  end)

  describe("delete", function()
    it("answers with the id; the token stops working", function()
      local made = create()
      local answer = gate:call("DELETE", at(made.id))
      assert.same({ id = made.id }, answer.body.result)
      assert.equal(403, zones(made.value))
      assert.equal(404, gate:call("GET", at(made.id)).status)
    end)

    it("works for the token itself", function()
      local made = create { policies = { { effect = "allow",
        permission_groups = { { id = permissions.by_name["API Tokens Write"].id } },
        resources = { ["com.cloudflare.api.user." .. gate:call("GET", "/user").body.result.id] = "*" } } } }
      assert.equal(200, gate:call("DELETE", at(made.id), nil, { token = made.value }).status)
      assert.equal(403, zones(made.value))
    end)
  end)

  context("a token without limits", function()
    it("cannot be changed, rolled or taken away by one with limits", function()
      local id
      for _, token in ipairs(gate:call("GET", "/user/tokens").body.result) do id = token.id end
      local limited = { token = gate:token { "API Tokens Write" } }
      for _, answer in ipairs {
        gate:call("PUT", at(id), body(), limited), gate:call("PUT", at(id) .. "/value", "{}", limited),
        gate:call("DELETE", at(id), nil, limited),
      } do
        assert.equal(403, answer.status)
        assert.equal(1001, code(answer))
      end
      assert.equal(200, gate:call("GET", at(id), nil, limited).status)
      assert.equal(200, zones(gate.owner))
      assert.equal(200, gate:call("DELETE", at(id)).status)
      assert.equal(403, zones(gate.owner))
    end)
  end)
end)
