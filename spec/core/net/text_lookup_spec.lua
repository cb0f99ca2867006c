local ffi = require "ffi"
local unit = require "spec.support.unit"

ffi.cdef "int moon_text_records_read(char *room, struct moon_str message);"
local C = unit.load { "base/str.h" }

local function u16(number) return string.char(math.floor(number / 256), number % 256) end
local function name(text)
  return (text:gsub("([^.]+)%.?", function(label) return string.char(#label) .. label end)) .. "\0"
end
local function record(kind, data) return "\192\12" .. u16(kind) .. u16(1) .. "\0\0\0\60" .. u16(#data) .. data end
local function text(...)
  local data = ""
  for _, part in ipairs { ... } do data = data .. string.char(#part) .. part end
  return record(16, data)
end
-- An answer with these records.
local function message(...)
  local list = { ... }
  return u16(7) .. u16(0x8180) .. u16(1) .. u16(#list) .. u16(0) .. u16(0) .. name "_x.shop.test" .. u16(16) .. u16(1) .. table.concat(list)
end

local function read(bytes)
  local room = ffi.new("char[4096]")
  local len = C.moon_text_records_read(room, unit.str(bytes))
  return len >= 0 and ffi.string(room, len) or nil
end

describe("moon_text_records_read()", function()
  for _, case in ipairs {
    { "nothing", message(), "" },
    { "one record", message(text "abc"), "abc\n" },
    { "several in order", message(text "one", text "two"), "one\ntwo\n" },
    { "the strings of a record as one", message(text("ab", "", "c")), "abc\n" },
    { "an empty record", message(text ""), "\n" },
    { "nothing of other types", message(record(1, "\127\0\0\1"), text "abc", record(5, name "a.test")), "abc\n" },
    { "control characters as question marks", message(text "a\nb\0c\127"), "a?b?c?\n" },
    { "no record whose string runs out of it", message(record(16, "\9abc"), text "x"), "x\n" },
    { "nothing behind what is announced", message(text "abc") .. "rest", "abc\n" },
  } do
    it("reads " .. case[1], function() assert.equal(case[3], read(case[2])) end)
  end

  it("leaves out records beyond its ceiling, whole ones", function()
    local long = ("x"):rep(255)
    local lines = {}
    for index = 1, 20 do lines[index] = text(long) end
    local got = read(message(unpack(lines)))
    assert.equal((long .. "\n"):rep(16), got)
  end)

  it("refuses a message that ends anywhere before its end", function()
    local whole = message(text "abc", record(1, "\127\0\0\1"), text "def")
    for length = 0, #whole - 1 do assert.is_nil(read(whole:sub(1, length)), length) end
    assert.equal("abc\ndef\n", read(whole))
  end)

  it("refuses a name that points nowhere", function()
    assert.is_nil(read(u16(7) .. u16(0x8180) .. u16(1) .. u16(0) .. u16(0) .. u16(0) .. "\63abc"))
  end)
end)
