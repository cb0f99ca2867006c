local harness = require "spec.rules.harness"
local parse = require "moongate.rules.parse"

local schema = harness.schema(harness.scheme, { values = {} })

-- A tree as text, fully in parentheses.
local function show(node)
  local kind = node.kind
  if kind == "and" or kind == "or" or kind == "xor" then
    local parts = {}
    for i, operand in ipairs(node) do
      parts[i] = show(operand)
    end
    return "(" .. table.concat(parts, " " .. kind .. " ") .. ")"
  elseif kind == "not" or kind == "any" or kind == "all" then
    return kind .. "(" .. show(node.of) .. ")"
  elseif kind == "test" then
    return node.value.key
  elseif kind == "compare" then
    return ("%s %s"):format(node.left.key, node.op)
  end
  return node.key
end

describe("moongate.rules.parse", function()
  describe("filter()", function()
    for _, case in ipairs {
      { "ssl", "ssl" }, { "not ssl and true", "(not(ssl) and true)" }, { "ssl or true and false", "(ssl or (true and false))" },
      { "ssl xor true or false", "((ssl xor true) or false)" }, { "ssl and true and false", "(ssl and true and false)" },
      { "(ssl and true) and false", "((ssl and true) and false)" }, { "not not ssl", "not(not(ssl))" },
      { 'http.host eq "a" or ssl', "(http.host eq or ssl)" }, { 'http.request.headers["a"][0] ne "b"', "http.request.headers[1:a][0] ne" },
      { 'any(not http.request.headers.names[*] eq "a")', "any(not(http.request.headers.names[*] eq))" },
      { 'starts_with(lower(http.host), "a")', "starts_with(lower(http.host),Bytes1:a)" },
      { "cidr(ip.src, 24, 64) in {10.0.0.0/8}", "cidr(ip.src,'24,'64) in" },
    } do
      it("reads " .. case[1], function() assert.equal(case[2], show(parse.filter(schema, case[1]))) end)
    end

    it("gives equal values equal keys and different ones different keys", function()
      local function key(text)
        return parse.value(schema, text).key
      end
      assert.equal(key 'lower( http.request.headers[ "a" ][0] )', key 'lower(http.request.headers["\\x61"][00])')
      local seen = {}
      for _, text in ipairs {
        'http.request.headers["a"]', 'http.request.headers["a][0"]', 'http.request.headers["a"][0]', "http.request.headers.names[0]",
        'concat(http.host, "a", "b")', 'concat(http.host, "a,b")', 'concat(http.host, "a", "b", "")', "substring(http.host, 1)",
        "substring(http.host, -1)", 'concat(http.host, "1")', 'substring(http.host, len("1"))',
      } do
        assert.is_nil(seen[key(text)], text)
        seen[key(text)] = true
      end
    end)

    it("types what it reads", function()
      assert.equal("Boolean", parse.filter(schema, "ssl").type.name)
      local tree = parse.filter(schema, 'any(lower(http.request.headers.names[*])[*] eq "a")')
      assert.equal("Array<Boolean>", tree.of.type.name)
      assert.equal("Array<String>", tree.of.left.of.type.name)
      assert.equal("String", tree.of.left.type.name)
    end)
  end)

  describe("value()", function()
    for _, case in ipairs { { "http.host", "String" }, { "http.request.headers", "Map<Array<String>>" }, { 'http.request.headers["a"][0]', "String" },
      { "lower(http.request.headers.names[*])", "Array<String>" }, { " len(http.host) ", "Integer" }, { 'starts_with(http.host, "a")', "Boolean" } } do
      it("reads " .. case[1], function() assert.equal(case[2], parse.value(schema, case[1]).type.name) end)
    end

    for _, case in ipairs { { "http.request.headers.names[*]", "map each" }, { "http.hots", "unknown identifier" }, { '"a"', "identifier character" },
      { "http.host eq 1", "unrecognised" }, { "(http.host)", "identifier character" }, { "not ssl", "unknown identifier" }, { "", "blank" } } do
      it(("refuses %q"):format(case[1]), function()
        local ok, err = pcall(parse.value, schema, case[1])
        assert.is_false(ok)
        assert.matches(case[2], err.message)
      end)
    end
  end)

  it("raises nothing but mistakes with a place, whatever the text", function()
    math.randomseed(16)
    local pieces = { "ssl", " ", "(", ")", "not ", "and ", "or", '"', "\\", "{", "}", "..", "any(", "lower(", "[*]", "[0]", '["k"]', "http.host", "eq", "in",
      "80", "::1", "r#\"", "\"#", "\0", "\255", "é", ",", "$x", "~", "xor", "len(", "-", "0x", "matches" }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(1, 12) do
        text[i] = pieces[math.random(#pieces)]
      end
      text = table.concat(text)
      local ok, err = pcall(parse.filter, schema, text)
      if not ok then
        assert.is_table(err, text)
        assert.is_true(err.pos >= 1 and err.pos <= #text + 1, text)
      end
    end
  end)
end)
