local integer = require "moongate.rules.integer"
local lex = require "moongate.rules.lex"

local function mistake(reader, text, pos)
  local ok, err = pcall(reader, text, pos or 1)
  assert.is_false(ok)
  assert.is_table(err)
  return err
end

describe("moongate.rules.lex", function()
  describe("trim()", function()
    for _, case in ipairs { { "a", 1, 1 }, { " \t\n a b \v\f\r", 5, 7 }, { "\194\160a\227\128\128", 3, 3 }, { "é", 1, 2 }, { "\226\128\137é\194\133", 4, 5 },
      { "", 1, 0 }, { "\t ", 3, 2 }, { "\226\128\168", 4, 3 } } do
      it(("finds the text in %q"):format(case[1]), function() assert.same({ case[2], case[3] }, { lex.trim(case[1]) }) end)
    end
  end)

  describe("skip()", function()
    it("passes space, CR and LF but no tab", function()
      assert.equal(5, lex.skip(" \r\n \ta", 1))
      assert.equal(1, lex.skip("a", 1))
      assert.equal(3, lex.skip("  ", 1))
    end)
  end)

  describe("name()", function()
    for _, case in ipairs { { "a.b c", "a.b" }, { "a..b", "a" }, { "a.", "a" }, { "1xx_y.z-", "1xx_y.z" }, { ".a", nil }, { "é", nil }, { "", nil } } do
      it(("reads %s from %q"):format(tostring(case[2]), case[1]), function() assert.equal(case[2], (lex.name(case[1], 1))) end)
    end
  end)

  describe("operator()", function()
    for _, case in ipairs {
      { "in{", "in", 3 }, { "eq", "eq", 3 }, { "==", "eq", 3 }, { "!=", "ne", 3 }, { ">=", "ge", 3 }, { ">5", "gt", 2 }, { "<=", "le", 3 },
      { "<5", "lt", 2 }, { "&1", "&", 2 }, { "bitwise_and", "&", 12 }, { "contains", "contains", 9 }, { "~", "matches", 2 },
      { "matches", "matches", 8 }, { "wildcard", "wildcard", 9 }, { "strict wildcard", "strict wildcard", 16 },
      { "strict  wildcard", nil, 1 }, { "&&", nil, 1 }, { "=", nil, 1 }, { "!", nil, 1 }, { "and", nil, 1 }, { "EQ", nil, 1 }, { "", nil, 1 },
    } do
      it(("reads %s from %q"):format(tostring(case[2]), case[1]), function()
        local op, after = lex.operator(case[1], 1)
        assert.same({ case[2], case[3] }, { op, after })
      end)
    end
  end)

  describe("string readers", function()
    it("return the place after the closing quote", function()
      assert.same({ "a", 4 }, { lex.quoted('"a"b', 1) })
      assert.same({ 'a"b', 7 }, { lex.quoted('"a\\"b"', 1) })
      assert.same({ "a", 7 }, { lex.raw('r##"a"##', 1), 7 })
      assert.same({ "ab", 6 }, { lex.bytes("61:62 ", 1) })
    end)

    for _, case in ipairs {
      { lex.quoted, '"abc', 2, "ending quote" }, { lex.quoted, '"a\\q"', 4, "expected" }, { lex.quoted, '"\\xg0"', 4, "radix 16" },
      { lex.quoted, '"\\400"', 3, "too large" }, { lex.quoted, '"\\', 3, "expected" }, { lex.raw, 'r#"a"', 4, "ending quote" },
      { lex.raw, "r#a", 3, "expected literal" }, { lex.bytes, "61", 3, "byte separator" }, { lex.bytes, "6", 1, "2 characters" },
      { lex.bytes, "zz", 1, "radix 16" }, { lex.bytes, "61:", 4, "unrecognised" }, { lex.pattern, "61:62", 1, "expected literal" },
      { lex.integer, "x", 1, "expected digit" }, { lex.integer, "-", 2, "expected digit" }, { lex.integer, "0x", 3, "expected digit" },
      { lex.integer, "08", 1, "radix 8" }, { lex.integer, "10a", 1, "radix 10" }, { lex.integer, "9223372036854775808", 1, "too large" },
      { lex.list_name, "$", 1, "invalid list name" }, { lex.list_name, "$a.", 1, "invalid list name" }, { lex.list_name, "$.a", 1, "invalid list name" },
    } do
      it(("place the mistake of %q at %d"):format(case[2], case[3]), function()
        local err = mistake(case[1], case[2])
        assert.equal(case[3], err.pos)
        assert.matches(case[4], err.message)
      end)
    end
  end)

  describe("quoted_regex()", function()
    for _, case in ipairs {
      { [["\d+"]], [[\d+]] }, { [["a\\b"]], [[a\\b]] }, { [["a\"b"]], [[a"b]] }, { [["[^"]+"]], [=[[^"]+]=] }, { [["[\"]"]], [=[[\"]]=] },
      { [["\[a"]], [[\[a]] }, { [["]"]], "]" }, { '""', "" },
    } do
      it("reads " .. case[1], function() assert.equal(case[2], (lex.quoted_regex(case[1], 1))) end)
    end

    it("lets an open class swallow the closing quote", function()
      assert.equal("could not find an ending quote", mistake(lex.quoted_regex, '"[a"').message)
    end)
  end)

  describe("integer()", function()
    for _, case in ipairs { { "443)", "443", 4 }, { "-5..", "-5", 3 }, { "0x1Fz", "31", 5 }, { "017 ", "15", 4 }, { "-017", "-17", 5 }, { "80or", "80", 3 } } do
      it(("reads %s from %q"):format(case[2], case[1]), function()
        local value, after = lex.integer(case[1], 1)
        assert.same({ case[2], case[3] }, { integer.to_decimal(value), after })
      end)
    end
  end)
end)
