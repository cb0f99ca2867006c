local support = require "spec.support.admin"
local json = require "moongate.json"

local PHASE = "http_request_firewall_custom"

describe("moongate.admin.resources.lists", function()
  local gate, base

  before_each(function()
    gate = assert(support.start())
    base = "/accounts/" .. gate.account_id .. "/rules/lists"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function make(name, kind, description)
    return gate:call("POST", base, { name = name, kind = kind or "ip", description = description })
  end
  local function block(zone, expression)
    return gate:call("PUT", ("/zones/%s/rulesets/phases/%s/entrypoint"):format(zone.id, PHASE), { rules = {
      { action = "block", expression = expression } } })
  end

  it("are made, read, described anew and deleted", function()
    local answer = make("office", "ip", "HQ")
    assert.equal(200, answer.status)
    local list = answer.body.result
    assert.same({ id = list.id, name = "office", kind = "ip", description = "HQ", num_items = 0, num_referencing_filters = 0,
      created_on = "2026-02-02T02:40:00Z", modified_on = "2026-02-02T02:40:00Z" }, list)
    assert.same(list, gate:call("GET", base .. "/" .. list.id).body.result)
    gate.control.clock = gate.control.clock + 60
    local after = gate:call("PUT", base .. "/" .. list.id, { description = "HQ 2", name = "other", kind = "asn" }).body.result
    assert.same({ "office", "ip", "HQ 2", "2026-02-02T02:41:00Z" }, { after.name, after.kind, after.description, after.modified_on })
    local gone = gate:call("DELETE", base .. "/" .. list.id)
    assert.equal(200, gone.status)
    assert.same({ id = list.id }, gone.body.result)
    for _, method in ipairs { "GET", "DELETE" } do
      local unknown = gate:call(method, base .. "/" .. list.id)
      assert.equal(404, unknown.status)
      assert.equal(10001, first(unknown).code)
    end
  end)

  it("come in one list", function()
    assert.truthy(gate:call("GET", base).raw:find('"result":[]', 1, true))
    for index = 1, 60 do make("l" .. index) end
    assert.equal(60, #gate:call("GET", base).body.result)
  end)

  for _, case in ipairs {
    { "without a name", { kind = "ip" }, 10002, "/name" }, { "with a hyphen in its name", { name = "a-b", kind = "ip" }, 10002, "/name" },
    { "with a long name", { name = ("n"):rep(51), kind = "ip" }, 10002, "/name" }, { "of an unknown kind", { name = "a", kind = "x" }, 10002, "/kind" },
    { "with a long description", { name = "a", kind = "ip", description = ("d"):rep(501) }, 10002, "/description" },
  } do
    it(("are refused %s"):format(case[1]), function()
      local answer = gate:call("POST", base, case[2])
      assert.equal(400, answer.status)
      assert.equal(case[3], first(answer).code)
      assert.equal(case[4], first(answer).source.pointer)
    end)
  end

  it("have names of their own in the account, and the same ones in another", function()
    make "office"
    local answer = make("office", "asn")
    assert.equal(400, answer.status)
    assert.equal(10021, first(answer).code)
    local foreign = gate:account "other"
    assert.equal(200, gate:call("POST", ("/accounts/%s/rules/lists"):format(foreign), { name = "office", kind = "ip" }).status)
  end)

  it("are at most a thousand", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'lists'") end)
    make "one"
    assert.equal(21050, first(make "two").code)
  end)

  it("are as unknown in another account as if they were not there", function()
    local id, foreign = make("office").body.result.id, gate:account "other"
    local path = ("/accounts/%s/rules/lists/%s"):format(foreign, id)
    assert.equal(404, gate:call("GET", path).status)
    assert.equal(404, gate:call("PUT", path, { description = "x" }).status)
    assert.equal(404, gate:call("DELETE", path).status)
    assert.equal(404, gate:call("GET", path .. "/items").status)
    assert.equal(404, gate:call("PUT", path .. "/items", "[]").status)
  end)

  it("are known to the rules of their account only, and as their kind only", function()
    local zone = gate:zone "heron.test"
    make("office", "ip")
    make("hosts", "hostname")
    make("away", "redirect")
    assert.equal(200, block(zone, "ip.src in $office and http.host in $hosts").status)
    for _, expression in ipairs { "ip.src in $hosts", "http.host in $office", "http.host in $away", "ip.src in $other" } do
      local answer = block(zone, expression)
      assert.equal(20127, first(answer).code)
      assert.equal("/rules/0/expression", first(answer).source.pointer)
      assert.truthy(first(answer).message:find("does not exist", 1, true))
    end
    local foreign = gate:account "other"
    local other = gate:call("POST", "/zones", { name = "crane.test", account = { id = foreign } }).body.result
    assert.equal(20127, first(block(other, "ip.src in $office")).code)
  end)

  it("count the rules that name them, and cannot be deleted while there are any", function()
    local zone, id = gate:zone "heron.test", make("office").body.result.id
    gate:call("PUT", ("/zones/%s/rulesets/phases/%s/entrypoint"):format(zone.id, PHASE), { rules = {
      { action = "block", expression = "ip.src in $office" }, { action = "log", expression = "not ip.src in $office", enabled = false },
      { action = "log", expression = 'http.host eq "$office"' } } })
    gate:call("PUT", ("/accounts/%s/rulesets/phases/%s/entrypoint"):format(gate.account_id, PHASE), { rules = {
      { action = "block", expression = "ip.src in $office or ip.src in $office" } } })
    assert.equal(3, gate:call("GET", base .. "/" .. id).body.result.num_referencing_filters)
    local answer = gate:call("DELETE", base .. "/" .. id)
    assert.equal(400, answer.status)
    assert.equal(10031, first(answer).code)
    assert.equal("filters.api.ip_list_in_use", first(answer).message)
    block(zone, "ssl")
    gate:call("PUT", ("/accounts/%s/rulesets/phases/%s/entrypoint"):format(gate.account_id, PHASE), '{"rules":[]}')
    assert.equal(0, gate:call("GET", base .. "/" .. id).body.result.num_referencing_filters)
    assert.equal(200, gate:call("DELETE", base .. "/" .. id).status)
  end)

  it("stay used while a zone goes that used them with others", function()
    local zone, id = gate:zone "heron.test", make("office").body.result.id
    block(zone, "ip.src in $office")
    assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
    assert.equal(200, gate:call("DELETE", base .. "/" .. id).status)
  end)

  it("go into the documents of the zones that ask them, and of no other", function()
    local heron = gate:zone "heron.test"
    gate:zone "stork.test"
    local id = make("office").body.result.id
    block(heron, "ip.src in $office")
    gate:call("PUT", base .. "/" .. id .. "/items", json.array { { ip = "192.0.2.0/24" }, { ip = "10.0.0.1" } })
    assert.same({ office = { kind = "ip", items = "0a0000010a000001 c0000200c00002ff" } }, gate.control.served["heron.test"].lists)
    assert.is_nil(gate.control.served["stork.test"].lists)
  end)
end)
