local check = require "moongate.rules.check"
local harness = require "spec.rules.harness"
local rules = require "moongate.rules"
local types = require "moongate.rules.types"

local schema = harness.schema(harness.scheme, { values = {} })

describe("moongate.rules.check", function()
  -- Each of the messages of typing: the text, and where the carets stand.
  for _, case in ipairs {
    { 'ssl and any(http.request.headers.names[*] eq "a") xor http.request.headers.names[*] eq "a"', 1, nil, "expected value of type Bool, but got Array<Bool>" },
    { "http.host gt 10", 16, 1, "expected byte separator" }, { "http.host & 1", 11, 1, "cannot perform this operation on type Bytes" },
    { "any(ssl)", 5, 3, "expected value of type Array<Bool>, but got Bool" }, { "any(http.request.headers.names)", 5, 26, "expected value of type Array<Bool>, but got Array<Bytes>" },
    { "lower(ssl) eq \"a\"", 7, 3, "invalid type of argument #0: expected value of type Bytes, but got Bool" },
    { "len(cf.waf.score) eq 1", 5, 12, "invalid type of argument #0: expected value of type Bytes or Array<_>, but got Int" },
    { 'starts_with("a", "b")', 13, 3, "invalid kind of argument #0: expected argument of kind Field, but got Literal" },
    { "cidr(ip.src, cf.waf.score, 64) eq 1.2.3.4", 14, 12, "invalid kind of argument #1: expected argument of kind Literal, but got Field" },
    { "cidr(ip.src, 0, 64) eq 1.2.3.4", 14, 1, "invalid value of argument #1: expected an integer between 1 and 32" },
    { "lower() eq \"a\"", 7, 1, "invalid number of arguments" }, { 'lower(http.host, "a") eq "a"', 18, 3, "invalid number of arguments" },
    { 'any(starts_with(http.host, http.request.headers.names[*]))', 28, 29, "invalid use of map each access operator" },
    { 'http.host[0] eq "a"', 10, 3, "cannot access index 0 for type Bytes" },
    { 'http.request.headers.names["a"] eq "a"', 27, 5, 'cannot access index "a" for type Array<Bytes>' },
    { "ip.src[*] eq 1.2.3.4", 7, 3, "cannot access index * for type Ip" },
    { 'http.request.headers.names[*] eq "a"', 37, 1, "expected value of type Bool, but got Array<Bool>" },
    { "concat(http.host, http.request.headers.names) eq \"a\"", 19, 26, "expected value of type Bytes like the first, but got Array<Bytes>" },
  } do
    it("refuses " .. case[1], function()
      local tree, diag = rules.parse(schema, case[1])
      assert.is_nil(tree)
      assert.matches(case[4], diag.message, 1, true)
      if case[3] then
        assert.same({ case[2], case[3] }, { diag.column, diag.length })
      end
    end)
  end

  it("counts what [*] spreads out as an array", function()
    assert.equal(types.array(types.string), check.full_type { type = types.string, mapped = 1 })
    assert.equal(types.string, check.full_type { type = types.string, mapped = 0 })
  end)

  it("knows which values may be missing", function()
    local function may_miss(text)
      return assert(rules.parse_value(schema, text)).may_miss or false
    end
    for text, expected in pairs {
      ["http.host"] = false, ["http.request.headers"] = false, ['http.request.headers["a"]'] = true, ["http.request.headers.names[0]"] = true,
      ["lower(http.host)"] = false, ["lower(http.request.headers.names[0])"] = true, ["lower(http.request.headers.names[*])"] = false,
      ['concat(http.host, http.request.headers.names[0])'] = false, ["concat(http.request.headers.names[0], http.request.headers.names[1])"] = true,
      ["decode_base64(http.host)"] = true, ['lookup_json_string(http.host, "a")'] = true, ['join(http.request.headers["a"], ",")'] = true,
    } do
      assert.equal(expected, may_miss(text), text)
    end
  end)
end)
