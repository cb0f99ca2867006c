-- One list of rules, parsed: what may stand in it, and where it is cut.

local fields = require "moongate.fields"
local rule_part = require "moongate.rule_part"

local BLOCK = { id = "b", action = "block", expression = "ssl" }

local function execute(id, enabled)
  return { id = "x", action = "execute", expression = "true", enabled = enabled, action_parameters = { id = id } }
end

describe("moongate.rule_part", function()
  describe("check()", function()
    for _, action in ipairs { "block", "log", "skip", "managed_challenge", "js_challenge", "challenge" } do
      for _, kind in ipairs { "zone", "account", "custom", "firewall" } do
        it(("accepts %s in rules of the kind %s"):format(action, kind), function()
          assert.is_true(rule_part.check({ { action = action, expression = "true" } }, kind))
        end)
      end
    end

    for _, action in ipairs { "allow", "bypass", "rewrite", "Block", "" } do
      it(("refuses the action %q"):format(action), function()
        local ok, message, index = rule_part.check({ BLOCK, { action = action, expression = "true" } }, "zone")
        assert.is_nil(ok)
        assert.truthy(message:find(action, 1, true))
        assert.equal(2, index)
      end)
    end

    for _, case in ipairs {
      { "a rule without an expression", "zone", { action = "block" }, "expression" },
      { "an execution inside an executed ruleset", "custom", execute "a", "entry point" },
      { "an execution among firewall rules", "firewall", execute "a", "entry point" },
      { "an execution of nothing", "zone", { action = "execute", expression = "true" }, "no ruleset" },
      { "an account that skips the phase", "account",
        { action = "skip", expression = "true", action_parameters = { phase = "current" } }, "phase" },
    } do
      it(("refuses %s"):format(case[1]), function()
        local ok, message, index = rule_part.check({ case[3] }, case[2])
        assert.is_nil(ok)
        assert.truthy(message:find(case[4], 1, true))
        assert.equal(1, index)
      end)
    end
  end)

  describe("new()", function()
    local function shape(list)
      local out = {}
      for i, segment in ipairs(assert(rule_part.new(fields.schema(), list, "zone")).segments) do
        out[i] = { #segment.decisions, segment.execute }
      end
      return out
    end

    for _, case in ipairs {
      { "no rules", {}, {} },
      { "rules that execute nothing", { BLOCK, BLOCK }, { { 2 } } },
      { "an execution at the end", { BLOCK, execute "a" }, { { 2, "a" } } },
      { "executions between rules", { execute "a", BLOCK, execute "b", BLOCK }, { { 1, "a" }, { 2, "b" }, { 1 } } },
      { "a disabled execution", { BLOCK, execute("a", false), BLOCK }, { { 3 } } },
    } do
      it(("cuts %s"):format(case[1]), function() assert.same(case[3], shape(case[2])) end)
    end

    it("names the rule that does not parse, in whichever segment", function()
      for kind, title in pairs { zone = "rule 3: ", account = "account rule 3: " } do
        local part, message = rule_part.new(fields.schema(), { BLOCK, execute "a", { action = "block", expression = "ssl eq" } }, kind)
        assert.is_nil(part)
        assert.equal(title, message:sub(1, #title))
      end
    end)
  end)
end)
