-- Values of the rules language as policy files write them, and back.

local types = require "moongate.rules.types"
local values = require "moongate.values"

local function kind(text) return (types.parse(text)) end

describe("moongate.values", function()
  for _, case in ipairs {
    { "Boolean", true, true }, { "Boolean", false, false }, { "String", "x", "x" }, { "String", "", "" }, { "Integer", 7, 7 },
    { "Integer", -1, -1 }, { "IP", "192.0.2.1", "\192\0\2\1" }, { "IP", "::1", ("\0"):rep(15) .. "\1" },
    { "Array<String>", { "a", "b" }, { "a", "b", n = 2 } }, { "Array<String>", {}, { n = 0 } },
    { "Array<Array<Integer>>", { { 1 }, {} }, { { 1, n = 1 }, { n = 0 }, n = 2 } },
    { "Map<Boolean>", { a = true }, { a = true } },
  } do
    it(("to_rules() takes a value for %s"):format(case[1]), function()
      local value, message = values.to_rules(kind(case[1]), case[2])
      assert.is_nil(message)
      assert.same(case[3], value)
    end)

    it(("from_rules() gives the value of %s back"):format(case[1]), function()
      assert.same(case[2], values.from_rules(kind(case[1]), case[3]))
    end)
  end

  for _, case in ipairs {
    { "Boolean", nil, "got nil" }, { "Boolean", 1, "got a number" }, { "String", 7, "got a number" }, { "String", nil, "got nil" },
    { "Integer", 1.5, "1.5 is no integer" }, { "Integer", 0 / 0, "is no integer" }, { "Integer", 1e300, "is no integer" },
    { "Integer", "7", "got a string" }, { "IP", "nonsense", "is no IP address" }, { "IP", "1.2.3", "is no IP address" },
    { "IP", "10.0.0.0/8", "is no IP address" }, { "Array<String>", "a", "got a string" }, { "Array<String>", { "a", 1 }, "element 2" },
    { "Map<String>", { a = 1 }, '"a": expected' }, { "Map<String>", { "a" }, "the keys of a map are texts" },
  } do
    it(("to_rules() refuses %s for %s"):format(tostring(case[2]), case[1]), function()
      local value, message = values.to_rules(kind(case[1]), case[2])
      assert.is_nil(value)
      assert.truthy(message:find(case[3], 1, true), message)
    end)
  end

  it("from_rules() leaves a missing value missing", function()
    for _, name in ipairs { "IP", "Array<String>", "Map<String>", "String" } do assert.is_nil(values.from_rules(kind(name), nil)) end
  end)
end)
