-- Policy files as the rules and the command line see them.

local certs = require "spec.support.certs"
local fields = require "moongate.fields"
local policies = require "moongate.policies"
local rules = require "moongate.rules"

describe("moongate.policies", function()
  after_each(function() fields.extend("policies", {}, {}) end)

  local DECLARED = [[{"fields":[{"name":"t.plan","type":"String","help":"The plan."},{"name":"t.size","type":"Integer","help":""}],
    "functions":[{"name":"t_len","params":["String"],"returns":"Integer","help":""}]}]]

  it("declare() makes names known to expressions", function()
    assert.is_nil((rules.parse(fields.schema(), 't.plan eq "x"')))
    policies.declare(DECLARED)
    assert.truthy((rules.parse(fields.schema(), 't.plan eq "x" and t_len(t.plan) gt t.size')) == nil) -- a field is no right side
    assert.truthy((rules.parse(fields.schema(), 't.plan eq "x" and t_len(t.plan) gt 3 and t.size eq 1')))
    assert.is_nil((rules.parse(fields.schema(), "t.plan eq 3")))
    assert.is_nil((rules.parse(fields.schema(), "t_len(t.size) eq 3")))
  end)

  it("declare() changes nothing when there is nothing", function()
    local before = fields.schema()
    policies.declare ""
    assert.equal(before, fields.schema())
  end)

  it("declare() asks for values by number", function()
    local asked = {}
    policies.declare(DECLARED, function(index, ...)
      asked[#asked + 1] = { index, ... }
      return index == 1 and "gold" or index == 2 and 4 or #(...)
    end)
    local facts = require("moongate.ffi").ffi.new("struct moon_facts")
    local ruleset = assert(rules.compile(fields.bind(facts), { { expression = 't.size eq 4 and t_len(t.plan) eq 4', action = "block" } }))
    assert.equal(1, ruleset.run())
    assert.same({ { 2 }, { 1 }, { -1, "gold" } }, asked)
  end)

  describe("check()", function()
    local function check(text)
      return policies.check { policies = { certs.write(text, ".lua") }, policy_budget_ms = 10, policy_jit = false }
    end

    it("is content without files, and with one that loads", function()
      assert.is_true(policies.check { policies = {} })
      assert.is_true(check "local moongate = require 'moongate'")
    end)

    it("names file and line", function()
      local ok, message = check "\nlocal x = nil + 1"
      assert.is_nil(ok)
      assert.truthy(message:find("%.lua:2: "), message)
    end)
  end)
end)
