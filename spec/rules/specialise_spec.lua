local harness = require "spec.rules.harness"
local rules = require "moongate.rules"
local specialise = require "moongate.rules.specialise"

local schema = harness.schema(harness.scheme, { values = {} })

local function fold(text, constants)
  return specialise.filter(assert(rules.parse(schema, text)), {
    constants = constants,
    find_list = function() return function() return false end end,
  })
end

local HOST = { ["http.host"] = "api.example" }

describe("moongate.rules.specialise", function()
  for _, case in ipairs {
    { 'http.host eq "api.example"', true }, { 'http.host eq "other"', false }, { 'not http.host eq "other"', true }, { "true", true },
    { 'http.host eq "other" and ssl', false }, { 'http.host eq "api.example" or ssl', true }, { 'ssl and http.host eq "other"', false },
    { 'lower(http.host) eq "api.example"', true }, { 'len(http.host) eq 11', true }, { 'starts_with(http.host, "api.")', true },
    { 'http.host wildcard "*.example"', true }, { 'http.host in {"a" "b"}', false }, { 'http.host matches "^api"', true },
    { 'concat(http.host, "!") eq "api.example!"', true }, { 'http.host eq "x" xor true', true }, { "true xor true", false },
    { 'not (http.host eq "other" and ssl)', true }, { 'any(split(http.host, ".", 9)[*] eq "api")', true },
    { 'all(split(http.host, ".", 9)[*] eq "api")', false }, { 'split(http.host, ".", 9)[1] eq "example"', true },
    { 'split(http.host, ".", 9)[7] ne "example"', false }, { 'any(upper(split(http.host, ".", 9)[*])[*] eq "API")', true },
    { 'any((split(http.host, ".", 9)[*] eq "api" and not split(http.host, ".", 9)[*] eq "x"))', true },
    { 'decode_base64(http.host) ne "x"', false },
  } do
    it(("answers %s"):format(case[1]), function()
      local tree = fold(case[1], HOST)
      assert.equal("constant", tree.kind)
      assert.equal(case[2], tree.value)
    end)
  end

  it("leaves what is not known", function()
    local tree = fold('http.host eq "api.example" and ssl and http.request.method eq "GET"', HOST)
    assert.equal("and", tree.kind)
    assert.equal(2, #tree)
    assert.equal("test", fold('http.host eq "api.example" and ssl', HOST).kind)
    assert.equal("not", fold('http.host eq "api.example" xor ssl', HOST).kind)
  end)

  it("puts known arguments into calls that stay", function()
    local tree = fold('concat(http.host, http.request.uri.path) eq "x"', HOST)
    assert.equal("api.example", tree.left.args[1].value)
    assert.equal("field", tree.left.args[2].kind)
  end)

  it("asks lists at run time even for known values", function()
    assert.equal("compare", fold("http.host in $office", HOST).kind)
  end)

  for _, case in ipairs {
    { 'any(split(split(http.host, ".", 9)[7], "/", 9)[*] in $office)', false },
    { 'all(split(split(http.host, ".", 9)[7], "/", 9)[*] in $office)', true },
    { 'split(http.host, ".", 9)[7] in $office', false },
  } do
    it("asks no list about what is missing: " .. case[1], function()
      local tree = fold(case[1], HOST)
      assert.equal("constant", tree.kind)
      assert.equal(case[2], tree.value)
    end)
  end

  it("never changes the tree", function()
    local text = 'http.host eq "api.example" and (ssl or lower(http.host) in {"a"} xor any(http.request.headers.names[*] eq "x"))'
    local tree = assert(rules.parse(schema, text))
    local function shape(node, out)
      out = out or {}
      for key, value in pairs(node) do
        if type(value) == "table" and key ~= "field" and key ~= "def" and key ~= "type" then
          shape(value, out)
        else
          out[#out + 1] = tostring(key) .. tostring(value)
        end
      end
      return out
    end
    local before = table.concat(shape(tree), ",")
    specialise.filter(tree, { constants = HOST, find_list = error })
    assert.equal(#before, #table.concat(shape(tree), ","))
  end)

  it("returns the very tree where nothing is known", function()
    local tree = assert(rules.parse(schema, 'ssl and not http.host eq "a"'))
    assert.equal(tree, specialise.filter(tree, { constants = {}, find_list = error }))
  end)
end)
