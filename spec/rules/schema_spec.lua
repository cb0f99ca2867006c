local rules = require "moongate.rules"
local schema = require "moongate.rules.schema"

describe("moongate.rules.schema", function()
  it("knows the functions that need nothing, true and false", function()
    local s = schema.new { fields = {} }
    assert.is_table(s.functions.lower)
    assert.is_table(s.functions.sha256)
    assert.is_true(s.fields["true"].constant)
    assert.is_false(s.fields["false"].constant)
  end)

  it("lets the host declare a field named true", function()
    local s = schema.new { fields = { { name = "true", type = "String" } } }
    assert.equal("String", s.fields["true"].type.name)
  end)

  it("takes the host's hashes, functions and regular expressions", function()
    local crypto = { sha256 = function() return "digest" end, hmac_sha256 = function() return "mac" end }
    local regex = { compile = function() end }
    local own = { name = "own", params = {}, returns = require("moongate.rules.types").integer, call = function() return 1 end }
    local s = schema.new { fields = {}, crypto = crypto, regex = regex, functions = { own } }
    assert.equal("digest", s.functions.sha256.call("x"))
    assert.equal(regex, s.regex)
    assert.equal(own, s.functions.own)
    assert.is_nil(s.functions.regex_replace) -- this engine finds no groups
  end)

  it("goes without regular expressions when told so", function()
    assert.is_nil(schema.new({ fields = {}, regex = false }).regex)
  end)

  describe("a field without a value", function()
    local FIELDS = { i = "Integer", s = "String", b = "Boolean", ip = "IP", a = "Array<String>", m = "Map<Array<String>>" }

    local function answer(text, mark)
      local list = {}
      for name, kind in pairs(FIELDS) do
        list[#list + 1] = { name = name, type = kind, [mark] = true, access = mark == "may_miss" and function() end or nil }
      end
      local ruleset, diag = rules.compile(schema.new { fields = list }, { { expression = text, action = "block" } })
      assert(ruleset, diag and diag:render())
      return ruleset.run() == 1
    end

    for _, case in ipairs {
      { "i lt 20", false }, { "i ge 0", false }, { "i ne 5", false }, { "i in {0..9}", false }, { "not i eq 5", true }, { "i & 1", false },
      { 's contains "x"', false }, { 's ne "x"', false }, { 's matches ""', false }, { 's wildcard "*"', false }, { 'lower(s) ne "x"', false },
      { "len(s) ge 0", false }, { 'concat(s, "x") eq "x"', true }, { "b", false }, { "not b", true }, { "b xor true", true },
      { "ip in {0.0.0.0/0 ::/0}", false }, { "ip ne ::", false }, { 'any(a[*] ne "x")', false }, { 'all(a[*] eq "x")', true },
      { 'a[0] ne "x"', false }, { "len(a) ge 0", false }, { 'any(m["k"][*] ne "x")', false }, { 'any(m[*][*] ne "x")', false },
      { 'any(lower(a[*])[*] ne "x")', false }, { 'any((a[*] ne "x" or not a[*] eq "y"))', false }, { 'has_key(m, "k")', false },
    } do
      for _, mark in ipairs { "may_miss", "missing" } do
        it(("makes %s %s (%s)"):format(case[1], tostring(case[2]), mark), function()
          assert.equal(case[2], answer(case[1], mark))
        end)
      end
    end
  end)

  for _, name in ipairs { "", "a..b", ".a", "a.", "a b", "é", "a-b", 5 } do
    it(("refuses the name %s"):format(tostring(name)), function()
      assert.error_matches(function() schema.new { fields = { { name = name, type = "IP" } } } end, "no field name")
      assert.error_matches(function() schema.new { fields = {}, functions = { { name = name } } } end, "no function name")
    end)
  end
end)
