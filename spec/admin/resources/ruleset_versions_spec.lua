local support = require "spec.support.admin"

local PHASE = "http_request_firewall_custom"

describe("moongate.admin.resources.ruleset_versions", function()
  local gate, zone, entry, path

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    entry = ("/zones/%s/rulesets/phases/%s/entrypoint"):format(zone.id, PHASE)
  end)
  after_each(function() gate:close() end)

  local function put(expression, description)
    local answer = gate:call("PUT", entry, { rules = { { ref = "r", action = "block", expression = expression } }, description = description })
    path = ("/zones/%s/rulesets/%s/versions"):format(zone.id, answer.body.result.id)
    gate.control.clock = gate.control.clock + 1
    return answer.body.result
  end
  local function numbers(answer)
    local list = {}
    for index, version in ipairs(answer.body.result) do list[index] = version.version end
    return list
  end

  it("are none before there is an entry point", function()
    local answer = gate:call("GET", entry .. "/versions")
    assert.equal(200, answer.status)
    assert.truthy(answer.raw:find('"result":[]', 1, true))
    assert.equal(10003, gate:call("GET", entry .. "/versions/1").body.errors[1].code)
    assert.equal(20116, gate:call("GET", (entry:gsub(PHASE, "odd")) .. "/versions").body.errors[1].code)
  end)

  it("show each state of the ruleset", function()
    local states = { put("ssl", "one"), put("not ssl", "two"), put('http.host eq "a"') }
    for _, base in ipairs { path, entry .. "/versions" } do
      local list = gate:call("GET", base)
      assert.same({ "1", "2", "3" }, numbers(list))
      assert.is_nil(list.body.result[1].rules)
      for index, state in ipairs(states) do assert.same(state, gate:call("GET", base .. "/" .. index).body.result) end
    end
    assert.equal("two", states[3].description)
  end)

  it("that are not there are 404", function()
    put "ssl"
    for _, version in ipairs { "0", "2", "01", "x", "-1", "1.0", ("9"):rep(30) } do
      for _, base in ipairs { path, entry .. "/versions" } do
        local answer = gate:call("GET", base .. "/" .. version)
        assert.equal(404, answer.status, version)
        assert.equal(10001, answer.body.errors[1].code)
      end
    end
  end)

  it("are deleted one by one, but for the latest", function()
    put "ssl"
    put "not ssl"
    local answer = gate:call("DELETE", path .. "/2")
    assert.equal(400, answer.status)
    assert.equal(21017, answer.body.errors[1].code)
    assert.equal(204, gate:call("DELETE", path .. "/1?dry_run=true").status)
    assert.same({ "1", "2" }, numbers(gate:call("GET", path)))
    answer = gate:call("DELETE", path .. "/1")
    assert.equal(204, answer.status)
    assert.equal("", answer.raw)
    assert.same({ "2" }, numbers(gate:call("GET", path)))
    assert.equal(404, gate:call("DELETE", path .. "/1").status)
  end)

  it("are kept up to a hundred before the latest", function()
    for index = 1, 103 do put(index % 2 == 0 and "ssl" or "not ssl") end
    local list = numbers(gate:call("GET", path))
    assert.equal(101, #list)
    assert.equal("3", list[1])
    assert.equal("103", list[101])
  end)

  it("have no rules with a tag", function()
    local made = gate:call("POST", ("/accounts/%s/rulesets"):format(gate.account_id), { kind = "custom", phase = PHASE, name = "c",
      rules = { { action = "log", expression = "ssl" } } }).body.result
    local base = ("/accounts/%s/rulesets/%s/versions/"):format(gate.account_id, made.id)
    local answer = gate:call("GET", base .. "1/by_tag/x")
    assert.equal(200, answer.status)
    assert.truthy(answer.raw:find('"rules":[]', 1, true))
    assert.equal(404, gate:call("GET", base .. "2/by_tag/x").status)
    assert.equal(404, gate:call("GET", ("/zones/%s/rulesets/%s/versions/1/by_tag/x"):format(zone.id, made.id)).status)
  end)
end)
