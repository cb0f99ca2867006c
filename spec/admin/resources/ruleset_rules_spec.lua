local support = require "spec.support.admin"

local PHASE = "http_request_firewall_custom"

describe("moongate.admin.resources.ruleset_rules", function()
  local gate, zone, ruleset, path, ids

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    ruleset = gate:call("PUT", ("/zones/%s/rulesets/phases/%s/entrypoint"):format(zone.id, PHASE), { rules = {
      { ref = "a", action = "block", expression = 'http.host eq "a"' }, { ref = "b", action = "block", expression = 'http.host eq "b"' },
      { ref = "c", action = "block", expression = 'http.host eq "c"' },
    } }).body.result
    path, ids = ("/zones/%s/rulesets/%s/rules"):format(zone.id, ruleset.id), {}
    for index, rule in ipairs(ruleset.rules) do ids[index] = rule.id end
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function post(rule, query) return gate:call("POST", path .. (query or ""), rule) end
  local function patch(id, body, query) return gate:call("PATCH", path .. "/" .. id .. (query or ""), body) end
  local function refs(answer)
    local list = {}
    for index, rule in ipairs(answer.body.result.rules) do list[index] = rule.ref end
    return table.concat(list)
  end
  local function served()
    local list = {}
    for index, rule in ipairs(gate.control.served["heron.test"].rules) do list[index] = rule.ref end
    return table.concat(list)
  end

  describe("POST", function()
    it("adds a rule at the end and answers with the whole ruleset", function()
      local answer = post { ref = "d", action = "log", expression = "ssl" }
      assert.equal(200, answer.status)
      assert.equal(ruleset.id, answer.body.result.id)
      assert.equal("2", answer.body.result.version)
      assert.equal("abcd", refs(answer))
      assert.equal("abcd", served())
      assert.equal("1", answer.body.result.rules[4].version)
      assert.is_nil(answer.body.result.rules[4].position)
    end)

    for _, case in ipairs {
      { "index 1", function() return { index = 1 } end, "dabc" }, { "index 3", function() return { index = 3 } end, "abdc" },
      { "index 99", function() return { index = 99 } end, "abcd" }, { "before nothing", function() return { before = "" } end, "dabc" },
      { "after nothing", function() return { after = "" } end, "abcd" }, { "before b", function() return { before = ids[2] } end, "adbc" },
      { "after b", function() return { after = ids[2] } end, "abdc" },
    } do
      it(("places it: %s"):format(case[1]), function()
        local answer = post { ref = "d", action = "log", expression = "ssl", position = case[2]() }
        assert.equal(case[3], refs(answer))
        assert.equal(case[3], served())
      end)
    end

    for _, case in ipairs {
      { "two keys", { index = 1, before = "" }, "^/position/" }, { "no key", {}, "^/position$" }, { "another key", { at = 1 }, "^/position/at$" },
      { "index 0", { index = 0 }, "^/position/index$" }, { "an index as text", { index = "1" }, "^/position/index$" },
      { "an unknown rule", { before = ("0"):rep(32) }, "^/position/before$" }, { "a number as rule", { after = 1 }, "^/position/after$" },
    } do
      it(("refuses a position with %s"):format(case[1]), function()
        local answer = post { action = "log", expression = "ssl", position = require("moongate.json").object(case[2]) }
        assert.equal(400, answer.status)
        assert.truthy(first(answer).source.pointer:find(case[3]))
        assert.equal("abc", served())
      end)
    end

    it("refuses mistakes with pointers into the rule itself", function()
      local answer = post { action = "block", expression = "x" }
      assert.equal(20127, first(answer).code)
      assert.equal("/expression", first(answer).source.pointer)
      assert.equal("/action", first(post { expression = "ssl" }).source.pointer)
      assert.equal("/ref", first(post { ref = "a", action = "block", expression = "ssl" }).source.pointer)
    end)

    it("refuses the rule that is one too many", function()
      local rules = {}
      for index = 1, 1000 do rules[index] = { action = "block", expression = "ssl" } end
      gate:call("PUT", ("/zones/%s/rulesets/%s"):format(zone.id, ruleset.id), { rules = rules })
      local answer = post { action = "block", expression = "ssl" }
      assert.equal(20217, first(answer).code)
      assert.equal("/rules", first(answer).source.pointer)
    end)
  end)

  describe("PATCH", function()
    it("replaces the rule as a whole and keeps its identity", function()
      patch(ids[2], { action = "block", expression = "ssl", description = "d", enabled = false })
      local rule = patch(ids[2], { action = "log", expression = "not ssl" }).body.result.rules[2]
      assert.same({ ids[2], "b", "3", "log", "not ssl", "", true },
        { rule.id, rule.ref, rule.version, rule.action, rule.expression, rule.description, rule.enabled })
      assert.equal("abc", served())
    end)

    it("moves the rule when there is only a position", function()
      local answer = patch(ids[3], { position = { before = ids[1] } })
      assert.equal("cab", refs(answer))
      assert.equal("cab", served())
      assert.equal("2", answer.body.result.version)
      assert.equal("1", answer.body.result.rules[1].version)
      assert.equal("abc", refs(patch(ids[3], { position = { index = 3 } })))
      assert.equal("acb", refs(patch(ids[2], { position = { after = "" } })))
    end)

    it("leaves a rule where it is when it stands beside itself", function()
      for _, key in ipairs { "before", "after" } do assert.equal("abc", refs(patch(ids[2], { position = { [key] = ids[2] } }))) end
    end)

    it("does both", function()
      local answer = patch(ids[3], { action = "log", expression = "ssl", position = { index = 1 } })
      assert.equal("cab", refs(answer))
      assert.equal("log", answer.body.result.rules[1].action)
    end)

    for _, case in ipairs {
      { "enabled alone", { enabled = false }, 20125 }, { "an action alone", { action = "log" }, 20125 },
      { "nothing", "{}", 20125 }, { "null for a position", '{"position":null}', 20125 },
      { "parameters without an action", { expression = "ssl", action_parameters = require("moongate.json").object {} }, nil, "action is required for action parameters" },
      { "another's ref", { action = "log", expression = "ssl", ref = "a" }, 21014 },
    } do
      it(("refuses %s"):format(case[1]), function()
        local answer = patch(ids[2], case[2])
        assert.equal(400, answer.status)
        assert.equal(case[3], first(answer).code)
        if case[4] then assert.equal(case[4], first(answer).message) end
        assert.equal("1", gate:call("GET", ("/zones/%s/rulesets/%s"):format(zone.id, ruleset.id)).body.result.version)
      end)
    end
  end)

  describe("DELETE", function()
    it("removes the rule and answers with the whole ruleset", function()
      local answer = gate:call("DELETE", path .. "/" .. ids[2])
      assert.equal(200, answer.status)
      assert.equal("ac", refs(answer))
      assert.equal("ac", served())
      assert.equal("2", answer.body.result.version)
    end)
  end)

  describe("what is not there", function()
    it("is 404: a rule, a ruleset, another zone's", function()
      local unknown, other = ("0"):rep(32), gate:zone "stork.test"
      for _, target in ipairs { path .. "/" .. unknown, ("/zones/%s/rulesets/%s/rules/%s"):format(zone.id, unknown, ids[1]),
        ("/zones/%s/rulesets/%s/rules/%s"):format(other.id, ruleset.id, ids[1]),
        ("/accounts/%s/rulesets/%s/rules/%s"):format(gate.account_id, ruleset.id, ids[1]) } do
        assert.equal(404, gate:call("DELETE", target).status)
        assert.equal(404, gate:call("PATCH", target, { action = "log", expression = "ssl" }).status)
      end
      assert.equal(404, gate:call("POST", ("/zones/%s/rulesets/%s/rules"):format(other.id, ruleset.id), { action = "log", expression = "ssl" }).status)
      assert.equal("abc", served())
    end)
  end)

  it("change nothing with dry_run", function()
    for _, answer in ipairs { post({ action = "log", expression = "ssl" }, "?dry_run=true"), patch(ids[1], { position = { index = 3 } }, "?dry_run=true"),
      gate:call("DELETE", path .. "/" .. ids[1] .. "?dry_run=true") } do
      assert.equal(200, answer.status)
      assert.truthy(answer.raw:find('"result":null', 1, true))
    end
    assert.equal("abc", served())
    assert.equal(20127, first(post({ action = "log", expression = "x" }, "?dry_run=true")).code)
    assert.equal(400, post({ action = "log", expression = "ssl" }, "?dry_run=yes").status)
  end)

  it("work at account level", function()
    local made = gate:call("POST", ("/accounts/%s/rulesets"):format(gate.account_id), { kind = "custom", phase = PHASE, name = "c" }).body.result
    local rules = ("/accounts/%s/rulesets/%s/rules"):format(gate.account_id, made.id)
    local rule = gate:call("POST", rules, { action = "log", expression = "ssl" }).body.result.rules[1]
    assert.equal(200, gate:call("PATCH", rules .. "/" .. rule.id, { action = "block", expression = "ssl" }).status)
    assert.equal("3", gate:call("GET", ("/accounts/%s/rulesets/%s"):format(gate.account_id, made.id)).body.result.version)
    assert.same({}, gate:call("DELETE", rules .. "/" .. rule.id).body.result.rules)
  end)
end)
