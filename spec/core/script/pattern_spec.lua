-- Lua patterns within bounds, held against the patterns of Lua itself.

local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

local out = ffi.new("struct moon_pattern_match")
local steps = ffi.new("uint32_t[1]")

-- What string.find gives: first, last, captures…; or false and the message.
local function find(subject, pattern, init, budget)
  steps[0] = budget or 1000000
  local rc = C.moon_ffi_pattern_match(out, subject, #subject, pattern, #pattern, (init or 1) - 1, true, steps)
  if rc < 0 then return false, ffi.string(out.error) end
  if rc == 0 then return nil end
  local result = { tonumber(out.begin) + 1, tonumber(out["end"]) }
  for i = 0, out.count - 1 do
    local begin, len = tonumber(out.captures[i].begin), tonumber(out.captures[i].len)
    result[#result + 1] = len < 0 and begin + 1 or subject:sub(begin + 1, begin + len)
  end
  return result
end

local function native(subject, pattern, init)
  local found = { pcall(string.find, subject, pattern, init) }
  if not table.remove(found, 1) then return false end
  return found[1] and found or nil
end

describe("moon_ffi_pattern_match()", function()
  for _, case in ipairs {
    { "hello world", "o w" }, { "hello", "l+" }, { "hello", "^l" }, { "hello", "^hel" }, { "hello", "lo$" }, { "hello", "l$" },
    { "a.b", "%." }, { "a1b22", "%d+" }, { "key = value", "^(%w+)%s*=%s*(%w+)$" }, { "  x  ", "^%s*(.-)%s*$" },
    { "f(a(b)c)d", "%b()" }, { "THE (quick) fox", "%f[%a]%a+%f[%A]" }, { "abcabc", "(abc)%1" }, { "abcabd", "(abc)%1" },
    { "hello", "()ll()" }, { "", "" }, { "", "^$" }, { "abc", "" }, { "a-z", "[a%-z]+" }, { "]x", "[]]" }, { "^", "[%^x]" },
    { "x", "[^]]" }, { "0x1F", "^0[xX](%x+)$" }, { "a\0b", "%z" }, { "a\0b", "a.b" }, { "aaa", "a-b" }, { "aaab", "a-b" },
    { "aaa", "a?a?a?a" }, { "[[x]]", "%[%[(.*)%]%]" }, { "a,b,,c", "([^,]*),([^,]*),([^,]*)" }, { "x$y", "x$y" }, { "x^y", "x^y" },
    { "\200\201", "[\128-\255]+" }, { "Abc", "%u%l+" }, { "a b\tc", "%S+%s" }, { "!?", "%p+" }, { "abc", "(a)(b)(c)" },
    { "äö", "%a" }, { "x", "%" }, { "x", "[" }, { "x", "[%" }, { "x", "(" }, { "x", ".)" }, { "x", "%b" }, { "x", "%f" },
    { "x", "%1" }, { "x", "(%1)" }, { "a", "[a-]" }, { "-", "[a-]" }, { "b", "[^a]" }, { "a", "%g" }, { "ab", "(a*(.)%w(%s*))" },
  } do
    it(("finds what Lua finds of %q in %q"):format(case[2], case[1]), function()
      for init = 1, #case[1] + 1 do
        local expected = native(case[1], case[2], init)
        local found = find(case[1], case[2], init)
        assert.same(expected, found)
      end
    end)
  end

  it("agrees with Lua on noise", function()
    math.randomseed(20261120)
    local pieces = { "a", "b", "x", ".", "%a", "%d", "%s", "%W", "[ab]", "[^a]", "[a-x]", "*", "+", "-", "?", "(", ")", "()", "^", "$", "%b()",
      "%f[a]", "%1", "%%" }
    local letters = { "a", "b", "x", "1", " ", "(", ")", "-" }
    local errors = 0
    for _ = 1, 30000 do
      local pattern, subject = {}, {}
      for i = 1, math.random(0, 7) do pattern[i] = pieces[math.random(#pieces)] end
      for i = 1, math.random(0, 9) do subject[i] = letters[math.random(#letters)] end
      pattern, subject = table.concat(pattern), table.concat(subject)
      if pattern:find("[%^%$%*%+%?%.%(%[%%%-]") then -- otherwise Lua takes it for a plain text
        local expected = native(subject, pattern)
        if expected == false then errors = errors + 1 end
        assert.same(expected, (find(subject, pattern)), ("%q in %q"):format(pattern, subject))
      end
    end
    assert.is_true(errors > 100 and errors < 29000)
  end)

  for _, case in ipairs {
    { "quantifiers one after the other", ("a"):rep(3000), ("a*"):rep(6) .. "b" },
    { "choices without end", ("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30) .. "b" },
    { "a search at every place", ("a"):rep(100000), "a*b" },
    { "brackets without a partner", ("("):rep(100000), "%b()" },
  } do
    it("ends by its count of steps: " .. case[1], function()
      local ok, message = find(case[2], case[3])
      assert.is_false(ok)
      assert.equal("the pattern takes too many steps", message)
      assert.equal(0, steps[0])
    end)
  end

  it("takes what it used off the steps", function()
    find(("a"):rep(100), "a*b")
    local used = 1000000 - steps[0]
    assert.is_true(used > 100 and used < 50000, "used " .. used)
  end)

  it("refuses a pattern that is nested too deeply or too long", function()
    assert.is_false((find(("a"):rep(300), ("a?"):rep(300))))
    assert.is_false((find("a", ("a"):rep(1025))))
    assert.same({ 1, 1000 }, find(("a"):rep(1000), ("a"):rep(1000)))
  end)

  it("takes '^' for itself where nothing is anchored", function()
    steps[0] = 1000
    assert.equal(1, C.moon_ffi_pattern_match(out, "a^b", 3, "^b", 2, 0, false, steps))
    assert.equal(1, tonumber(out.begin))
  end)
end)

describe("moon_ffi_pattern_plain()", function()
  for _, case in ipairs { { "abc", "b", 0, 1 }, { "abc", "", 2, 2 }, { "abcabc", "abc", 1, 3 }, { "abc", "x", 0, -1 }, { "a.c", ".", 0, 1 }, { "", "", 0, 0 } } do
    it(("finds %q in %q"):format(case[2], case[1]), function()
      assert.equal(case[4], tonumber(C.moon_ffi_pattern_plain(case[1], #case[1], case[2], #case[2], case[3])))
    end)
  end
end)
