-- Sets of serial numbers, against a plain Lua set.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

describe("tls.serials", function()
  local function fresh() return ffi.gc(ffi.new("struct moon_serials"), C.moon_serials_deinit) end
  local function add(set, bytes) return C.moon_serials_add(set, bytes, #bytes) end
  local function has(set, bytes) return C.moon_serials_have(set, bytes, #bytes) end

  it("of nothing have nothing", function()
    local set = fresh()
    C.moon_serials_seal(set)
    assert.is_false(has(set, "\1"))
    assert.is_false(has(set, ""))
  end)

  it("have what was added and nothing else", function()
    local set, known = fresh(), {}
    math.randomseed(7)
    for _ = 1, 2000 do
      local bytes = {}
      for i = 1, math.random(1, 3) do bytes[i] = string.char(math.random(1, 6)) end
      local serial = table.concat(bytes)
      known[serial] = true
      assert.is_true(add(set, serial))
    end
    C.moon_serials_seal(set)
    local count = 0
    for _ in pairs(known) do count = count + 1 end
    assert.equal(count, tonumber(set.count)) -- each once
    for a = 1, 8 do
      for b = 1, 8 do
        local serial = string.char(a, b)
        assert.equal(known[serial] or false, has(set, serial))
        assert.equal(known["\5" .. serial] or false, has(set, "\5" .. serial))
      end
    end
  end)

  it("take no notice of leading zeros, on either side", function()
    local set = fresh()
    add(set, "\0\0\127")
    add(set, "\128")
    add(set, "\0")
    C.moon_serials_seal(set)
    for _, bytes in ipairs { "\127", "\0\127", "\0\128", "\128", "", "\0\0" } do assert.is_true(has(set, bytes)) end
    assert.is_false(has(set, "\127\0"))
  end)

  it("refuse a number of more than 255 bytes", function()
    assert.is_true(add(fresh(), "\1" .. ("\0"):rep(254)))
    assert.is_false(add(fresh(), "\1" .. ("\0"):rep(255)))
  end)

  describe("add_text()", function()
    for _, case in ipairs {
      { "0", "\0" }, { "255", "\255" }, { "256", "\1\0" }, { "0xff", "\255" }, { "0xABC", "\10\188" }, { "0x000a", "\10" },
      { "007", "\7" }, { "340282366920938463463374607431768211456", "\1" .. ("\0"):rep(16) },
    } do
      it(("reads %s"):format(case[1]), function()
        local set = fresh()
        assert.is_true(C.moon_serials_add_text(set, tls.str(case[1])))
        C.moon_serials_seal(set)
        assert.is_true(has(set, case[2]))
        assert.equal(1, tonumber(set.count))
      end)
    end

    for _, text in ipairs { "", "0x", "-1", "0x-1", "1a", "0xg", " 1", "1 ", "+1", ("9"):rep(800), ("9"):rep(700), "1\0" } do
      it(("refuses %q"):format(text:sub(1, 20)), function()
        assert.is_false(C.moon_serials_add_text(fresh(), tls.str(text)))
      end)
    end
  end)
end)
