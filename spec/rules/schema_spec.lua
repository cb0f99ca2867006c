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

  for _, name in ipairs { "", "a..b", ".a", "a.", "a b", "é", "a-b", 5 } do
    it(("refuses the name %s"):format(tostring(name)), function()
      assert.error_matches(function() schema.new { fields = { { name = name, type = "IP" } } } end, "no field name")
      assert.error_matches(function() schema.new { fields = {}, functions = { { name = name } } } end, "no function name")
    end)
  end
end)
