-- Fields of the program that the gateway is part of, as the rules language sees them; their values are spec/core/app's subject.

local script = require "spec.support.script"
local unit = require "spec.support.unit"

local embedder = require "moongate.embedder"
local fields = require "moongate.fields"
local rules = require "moongate.rules"
local ffi = require "ffi"

local BOOLEAN, INTEGER, STRING, IP = 0, 1, 2, 3

describe("moongate.embedder", function()
  script.control()
  unit.load { "script/embedder.h" }
  local struct, kept

  before_each(function() struct, kept = ffi.new("struct moon_embedder"), {} end)
  after_each(function() fields.extend("embedder", {}, {}) end)

  local function add(name, kind)
    local place = tonumber(struct.count)
    kept[name] = ffi.new("char[?]", #name + 1, name)
    struct.fields[place].name, struct.fields[place].type = kept[name], kind
    struct.count = place + 1
  end

  local function declare() embedder.declare(ffi.cast("const struct moon_embedder *", struct)) end

  for _, case in ipairs {
    { "Boolean", BOOLEAN, "own.it", "own.it eq 3" }, { "Integer", INTEGER, "own.it gt 3", 'own.it contains "a"' },
    { "String", STRING, 'own.it contains "a"', "own.it gt 3" }, { "IP", IP, "own.it in {192.0.2.0/24}", 'own.it contains "a"' },
  } do
    it(("checks expressions with a field of the type %s"):format(case[1]), function()
      add("own.it", case[2])
      declare()
      assert.truthy(rules.parse(fields.schema(), case[3]))
      assert.is_nil((rules.parse(fields.schema(), case[4])))
    end)
  end

  it("knows all fields that were added so far", function()
    add("own.first", STRING)
    declare()
    add("own.second", BOOLEAN)
    declare()
    assert.truthy(rules.parse(fields.schema(), 'own.second and own.first eq ""'))
  end)

  for _, case in ipairs {
    { "a name of the language's", "cf.own", "belong to the rules language" }, { "a function's name", "lower", "has a function" },
    { "a name with a hyphen", "a-b", "is no name" }, { "an empty name", "", "is no name" },
    { "a name that is there", "own.it", "there is a field" },
  } do
    it(("refuses %s"):format(case[1]), function()
      add("own.it", STRING)
      declare()
      local ok, reason = embedder.check(case[2])
      assert.is_nil(ok)
      assert.truthy(reason:find(case[3], 1, true), reason)
      assert.is_nil(reason:find("moongate.field", 1, true))
    end)
  end

  it("allows another name", function() assert.is_true(embedder.check("own.other")) end)
end)
