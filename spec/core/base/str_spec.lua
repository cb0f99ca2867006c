local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load { "base/str.h" }

local function elements(text)
  local list, element, found = ffi.new("struct moon_str[1]"), ffi.new("struct moon_str[1]"), {}
  list[0] = unit.str(text)
  while C.moon_str_next_element(list, element) do found[#found + 1] = unit.text(element[0]) end
  return found
end

local function number(text)
  local value = ffi.new("uint64_t[1]", 77)
  if C.moon_str_to_uint63(unit.str(text), value) then return tostring(value[0]) end
  assert(value[0] == 77, "changed although refused")
  return nil
end

describe("moon_hex_digit()", function()
  it("knows the digits of both cases and nothing else", function()
    local known = {}
    for byte = 0, 255 do
      local value = C.moon_hex_digit(ffi.cast("char", byte))
      if value >= 0 then known[#known + 1] = string.char(byte) .. value end
    end
    assert.equal("00 11 22 33 44 55 66 77 88 99 A10 B11 C12 D13 E14 F15 a10 b11 c12 d13 e14 f15",
      table.concat(known, " "))
  end)
end)

describe("moon_bytes_equal_nocase()", function()
  for _, case in ipairs { { "", "", true }, { "Host", "hOST", true }, { "a", "b", false },
    { "[", "{", false }, { "@", "`", false }, { "\196", "\228", false }, { "a\0b", "A\0B", true },
    { "a\0b", "a\0c", false } } do
    it(("says %s to %q and %q"):format(case[3], case[1], case[2]), function()
      assert.equal(case[3], C.moon_bytes_equal_nocase(case[1], case[2], #case[1]))
    end)
  end
end)

describe("moon_str_starts_with() and moon_str_ends_with()", function()
  for _, case in ipairs { { "abc", "ab", true, false }, { "abc", "bc", false, true }, { "abc", "", true, true },
    { "abc", "abc", true, true }, { "abc", "abcd", false, false }, { "", "", true, true },
    { "", "a", false, false } } do
    it(("know %q in %q"):format(case[2], case[1]), function()
      assert.equal(case[3], C.moon_str_starts_with(unit.str(case[1]), unit.str(case[2])))
      assert.equal(case[4], C.moon_str_ends_with(unit.str(case[1]), unit.str(case[2])))
    end)
  end
end)

describe("moon_str_trim()", function()
  for _, case in ipairs { { " a b\t", "a b" }, { "", "" }, { " \t ", "" }, { "a", "a" }, { "\11a\n", "\11a\n" } } do
    it(("makes %q of %q"):format(case[2], case[1]), function()
      local kept = unit.str(case[1])
      assert.equal(case[2], unit.text(C.moon_str_trim(kept)))
    end)
  end
end)

describe("moon_str_next_element()", function()
  for _, case in ipairs { { "", {} }, { "a", { "a" } }, { "a,b", { "a", "b" } },
    { " a ,\tb\t,, ,c,", { "a", "b", "c" } },
    { ",", {} }, { "a b", { "a b" } } } do
    it(("takes %d elements off %q"):format(#case[2], case[1]), function() assert.same(case[2], elements(case[1])) end)
  end
end)

describe("moon_str_to_uint63()", function()
  for _, case in ipairs { { "0", "0ULL" }, { "007", "7ULL" }, { "4294967296", "4294967296ULL" },
    { "9223372036854775807", "9223372036854775807ULL" } } do
    it("reads " .. case[1], function() assert.equal(case[2], number(case[1])) end)
  end

  for _, text in ipairs { "", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1_0", "a", "1\0", "9223372036854775808",
    "18446744073709551616", "99999999999999999999999999" } do
    it(("refuses %q"):format(text), function() assert.is_nil(number(text)) end)
  end
end)

describe("moon_hex_write()", function()
  it("writes both cases and a NUL", function()
    local out = ffi.new("char[9]", ("x"):rep(9))
    C.moon_hex_write(out, "\0\255\171\16", 4, false)
    assert.equal("00ffab10", ffi.string(out))
    C.moon_hex_write(out, "\0\255\171\16", 4, true)
    assert.equal("00FFAB10", ffi.string(out))
    C.moon_hex_write(out, "", 0, true)
    assert.equal("", ffi.string(out))
  end)
end)

describe("moon_hash()", function()
  -- FNV-1a has published values.
  for _, case in ipairs { { "", 0xcbf29ce484222325ULL }, { "a", 0xaf63dc4c8601ec8cULL },
    { "foobar", 0x85944171f73967e8ULL } } do
    it(("is FNV-1a of %q"):format(case[1]), function() assert.is_true(C.moon_hash(unit.str(case[1])) == case[2]) end)
  end
end)
