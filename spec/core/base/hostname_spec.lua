local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load { "base/str.h", "base/hostname.h" }

local function normalise(name, literal)
  local out = ffi.new("char[256]", ("?"):rep(256))
  local length = C.moon_hostname_normalise(out, unit.str(name), literal or false)
  if length < 0 then return nil end
  assert(length == #ffi.string(out), "the length and the NUL differ")
  return ffi.string(out)
end

local function split(authority)
  local host, port = ffi.new("struct moon_str[1]"), ffi.new("unsigned[1]")
  local kept = unit.str(authority)
  if not C.moon_authority_split(kept, host, port) then return nil end
  return unit.text(host[0]), port[0]
end

local LABEL = ("a"):rep(63)
local LONGEST = table.concat({ LABEL, LABEL, LABEL, ("b"):rep(61) }, ".") -- 253

describe("moon_hostname_normalise()", function()
  for _, case in ipairs {
    { "a", "a" }, { "A.Example", "a.example" }, { "a.example.", "a.example" }, { "a-b.c-d", "a-b.c-d" },
    { "_dmarc.example", "_dmarc.example" }, { "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
    { "192.0.2.1", "192.0.2.1" }, { "1.2", "1.2" }, { LABEL .. ".x", LABEL .. ".x" }, { LONGEST, LONGEST },
    { LONGEST .. ".", LONGEST },
  } do
    it(("makes %s of %s"):format(case[2]:sub(1, 30), case[1]:sub(1, 30) .. " (" .. #case[1] .. " bytes)"), function()
      assert.equal(case[2], normalise(case[1]))
      assert.equal(case[2], normalise(case[1], true))
    end)
  end

  for _, name in ipairs { "", ".", "..", "a..", ".a", "a..b", "a b", " a", "a ", "a\tb", "a:80", "a@b", "a/b", "a\\b",
    "%61", "a,b", "*", "*.example", "a\0", "a\0.example", "\195\164.example", "a\127", "a'", 'a"', "a;b", "a=b",
    "a[b]", "::1",
    ("a"):rep(64), ("a"):rep(64) .. ".x", LONGEST .. "c", ("a."):rep(127) .. "a", "a\r\n" } do
    it(("refuses %q"):format(#name < 60 and name or name:sub(1, 20) .. "… " .. #name), function()
      assert.is_nil(normalise(name))
      assert.is_nil(normalise(name, true))
    end)
  end

  for _, case in ipairs { { "[::1]", "[::1]" }, { "[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]" }, { "[::]", "[::]" },
    { "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]" },
    { "[1111:2222:3333:4444:5555:6666:7777:8888]", "[1111:2222:3333:4444:5555:6666:7777:8888]" } } do
    it("reads the literal " .. case[1] .. " when literals are allowed", function()
      assert.equal(case[2], normalise(case[1], true))
      assert.is_nil(normalise(case[1]))
    end)
  end

  for _, name in ipairs { "[", "[]", "[:]", "[::1", "[::1].", "[::1]]", "[::1]:80", "[::1%eth0]", "[::1\0]", "[::1\0x]",
    "[1.2.3.4]", "[v1.a]", "[12345::]", "[::1::]", "[" .. ("1"):rep(60) .. "]", "[ ::1]" } do
    it(("refuses the literal %q"):format(name), function() assert.is_nil(normalise(name, true)) end)
  end
end)

describe("moon_authority_split()", function()
  for _, case in ipairs { { "a", "a", 0 }, { "a:80", "a", 80 }, { "a:", "a", 0 }, { "a:65535", "a", 65535 },
    { "a:1", "a", 1 }, { "a:00080", "a", 80 }, { "[::1]", "[::1]", 0 }, { "[::1]:443", "[::1]", 443 },
    { "[::1]:", "[::1]", 0 },
    { "A.b.", "A.b.", 0 } } do
    it(("makes %s and %d of %s"):format(case[2], case[3], case[1]), function()
      assert.same({ case[2], case[3] }, { split(case[1]) })
    end)
  end

  for _, text in ipairs { "", ":", ":80", "a:0", "a:65536", "a:99999", "a:100000", "a:x", "a:-1", "a:+1", "a: 80",
    "a:80 ", "a:80:80", "[::1", "[::1]80", "[::1]x:80", "a:8\0", "a:000080" } do
    it(("refuses %q"):format(text), function() assert.is_nil((split(text))) end)
  end
end)
