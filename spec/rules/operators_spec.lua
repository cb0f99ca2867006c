-- The generator writes common comparisons out and calls the predicate for the others: both must mean the same.

local harness = require "spec.rules.harness"
local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local operators = require "moongate.rules.operators"
local rules = require "moongate.rules"

local request = { values = {} }
local schema = harness.schema({ s = "String", n = "Integer", a = "IP", m = "Map<String>" }, request)

local STRINGS = { "", "a", "A", "ab", "abc", "aXb", "b", "\0", "\255", "a\0b" }
local INTEGERS = { "0", "1", "-1", "7", "9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808" }
local ADDRESSES = { "0.0.0.0", "192.0.2.7", "192.0.2.255", "255.255.255.255", "::", "::1", "2001:db8::7", "::ffff:192.0.2.7" }

local CASES = {
  s = {}, n = {}, a = {},
}
for _, op in ipairs { "eq", "ne", "lt", "le", "gt", "ge", "contains", "wildcard", "strict wildcard" } do
  for _, literal in ipairs { '""', '"a"', '"ab"', '"AB"', '"a*"', '"*b"', '"a*b"', '"*x*"', '"*"', '"a*x*b"' } do
    table.insert(CASES.s, op .. " " .. literal)
  end
end
for _, set in ipairs { "", '"a"', '"a" "b"', '"" "abc" "x"' } do
  table.insert(CASES.s, "in {" .. set .. "}")
end
for _, op in ipairs { "eq", "ne", "lt", "le", "gt", "ge", "&" } do
  for _, literal in ipairs(INTEGERS) do
    table.insert(CASES.n, op .. " " .. literal)
  end
end
for _, set in ipairs { "", "7", "7 8", "0..7", "0..7 9007199254740993", "-5..5 6 7..9 100..9223372036854775807", "1..2 4..5 7..8 10..11 13..14 -9..0" } do
  table.insert(CASES.n, "in {" .. set .. "}")
end
for _, op in ipairs { "eq", "ne", "lt", "le", "gt", "ge" } do
  for _, literal in ipairs(ADDRESSES) do
    table.insert(CASES.a, op .. " " .. literal)
  end
end
for _, set in ipairs { "", "192.0.2.7", "192.0.2.0/24", "192.0.2.0/24 ::/64 2001:db8::7", "0.0.0.0/1 128.0.0.0/2 ::..::5 ::ffff:0:0/96 10.0.0.0/8",
  "192.0.2.7 ::1" } do
  table.insert(CASES.a, "in {" .. set .. "}")
end

local VALUES = { s = STRINGS, n = {}, a = {} }
for i, text in ipairs(INTEGERS) do
  VALUES.n[i] = integer.from_decimal(text)
end
for i, text in ipairs(ADDRESSES) do
  VALUES.a[i] = ip.parse(text)
end

describe("moongate.rules.operators", function()
  for field, list in pairs(CASES) do
    for _, comparison in ipairs(list) do
      it(("mean the same compiled, folded and as a predicate: %s %s"):format(field, comparison), function()
        local expression = field .. " " .. comparison
        local tree = assert(rules.parse(schema, expression))
        local predicate = operators.predicate(tree)
        local ruleset = assert(rules.compile(schema, { { expression = expression, action = "block" } }))
        for i, value in ipairs(VALUES[field]) do
          request.values = { [field] = value }
          local expected = predicate(value)
          assert.equal(expected, ruleset.run() == 1, "value " .. i)
          local known = assert(rules.compile(schema, { { expression = expression, action = "block" } }, { constants = request.values }))
          assert.equal(expected, known.run() == 1, "value " .. i .. ", folded")
        end
      end)
    end
  end

  it("are false on a missing value, all of them", function()
    request.values = { m = {} }
    for _, comparison in ipairs(CASES.s) do
      local ruleset = assert(rules.compile(schema, { { expression = 'm["x"] ' .. comparison, action = "block" } }))
      assert.equal(0, ruleset.run(), comparison)
      local negated = assert(rules.compile(schema, { { expression = 'not m["x"] ' .. comparison, action = "block" } }))
      assert.equal(1, negated.run(), comparison)
    end
  end)

  describe("accepts()", function()
    for _, case in ipairs { { "String", "contains", true }, { "String", "&", false }, { "Integer", "&", true }, { "Integer", "matches", false }, { "IP", "lt", true },
      { "IP", "contains", false }, { "Boolean", "eq", false }, { "Array", "eq", false }, { "Map", "in", false } } do
      it(("says %s to %s %s"):format(tostring(case[3]), case[1], case[2]), function()
        assert.equal(case[3], operators.accepts(case[1], case[2]))
      end)
    end
  end)
end)
