local ffi = require "ffi"
local http = require "spec.support.http"
local unit = require "spec.support.unit"

local C = http.C
local EHEAD, ETOOBIG = -20004, -20002

local function buffer(ceiling)
  local buf = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
  C.moon_buf_init(buf, ceiling or 4096)
  return buf
end

local function text(buf) return buf[0].data ~= nil and ffi.string(buf[0].data + buf[0].start, buf[0].len) or "" end

describe("moon_http_write_field()", function()
  it("writes name, colon, space and value", function()
    local buf = buffer()
    assert.equal(0, C.moon_http_write_field(buf, unit.str "X-Name", unit.str "a\tb \255"))
    assert.equal(0, C.moon_http_write_field(buf, unit.str "Empty", unit.str ""))
    assert.equal("X-Name: a\tb \255\r\nEmpty: \r\n", text(buf))
  end)

  for _, case in ipairs {
    { "CR in the value", "X", "a\rb" }, { "LF in the value", "X", "a\nb" }, { "CRLF in the value", "X", "a\r\nY: z" },
    { "NUL in the value", "X", "a\0b" }, { "0x01 in the value", "X", "\1" }, { "DEL in the value", "X", "\127" },
    { "an empty name", "", "a" }, { "a space in the name", "X Y", "a" }, { "a colon in the name", "X:", "a" },
    { "CRLF in the name", "X\r\nY", "a" }, { "a byte from 0x80 up in the name", "X\128", "a" },
  } do
    it("refuses " .. case[1] .. " and writes nothing", function()
      local buf = buffer()
      assert.equal(EHEAD, C.moon_http_write_field(buf, unit.str(case[2]), unit.str(case[3])))
      assert.equal("", text(buf))
    end)
  end

  it("writes all or nothing at the ceiling", function()
    local buf = buffer(8)
    assert.equal(ETOOBIG, C.moon_http_write_field(buf, unit.str "Name", unit.str "value"))
    assert.equal("", text(buf))
    assert.equal(0, C.moon_http_write_field(buf, unit.str "N", unit.str "val"))
    assert.equal("N: val\r\n", text(buf))
  end)
end)

describe("moon_http_write_field_number()", function()
  it("writes all 64 bits", function()
    local buf = buffer()
    assert.equal(0, C.moon_http_write_field_number(buf, unit.str "A", 0))
    assert.equal(0, C.moon_http_write_field_number(buf, unit.str "B", 18446744073709551615ULL))
    assert.equal("A: 0\r\nB: 18446744073709551615\r\n", text(buf))
  end)
end)

describe("moon_http_write_request_line()", function()
  it("writes HTTP/1.1", function()
    local buf = buffer()
    assert.equal(0, C.moon_http_write_request_line(buf, unit.str "M-SEARCH", unit.str "/a?b"))
    assert.equal("M-SEARCH /a?b HTTP/1.1\r\n", text(buf))
  end)

  for _, case in ipairs { { "", "/" }, { "G T", "/" }, { "GET\r\n", "/" }, { "GET", "" }, { "GET", "/a b" },
    { "GET", "/\r\nX: y" }, { "GET", "/\195\164" }, { "GET", "/#f" }, { "GET", "/\0" } } do
    it(("refuses %q %q"):format(case[1], case[2]), function()
      local buf = buffer()
      assert.equal(EHEAD, C.moon_http_write_request_line(buf, unit.str(case[1]), unit.str(case[2])))
      assert.equal("", text(buf))
    end)
  end
end)

describe("moon_http_write_status_line()", function()
  for _, case in ipairs { { 200, "HTTP/1.1 200 OK\r\n" }, { 421, "HTTP/1.1 421 Misdirected Request\r\n" },
    { 101, "HTTP/1.1 101 Switching Protocols\r\n" }, { 299, "HTTP/1.1 299 Unknown\r\n" },
    { 999, "HTTP/1.1 999 Unknown\r\n" }, { 507, "HTTP/1.1 507 Insufficient Storage\r\n" } } do
    it("writes " .. case[1], function()
      local buf = buffer()
      assert.equal(0, C.moon_http_write_status_line(buf, case[1]))
      assert.equal(case[2], text(buf))
    end)
  end

  for _, status in ipairs { 0, 20, 99, 1000, 4294967295 } do
    it("refuses " .. status, function()
      local buf = buffer()
      assert.equal(EHEAD, C.moon_http_write_status_line(buf, status))
      assert.equal("", text(buf))
    end)
  end
end)

describe("a message written here", function()
  it("is read again by our own parser", function()
    local buf = buffer()
    C.moon_http_write_request_line(buf, unit.str "POST", unit.str "/p")
    C.moon_http_write_field(buf, unit.str "Host", unit.str "a.example")
    C.moon_http_write_field_number(buf, unit.str "Content-Length", 5)
    assert.equal(0, C.moon_http_write_end(buf))
    local status, head = http.request(text(buf))
    assert.equal(0, status)
    assert.same({ "POST", "/p", "a.example", 5 }, { head.method, head.target, head.host, head.content_length })
  end)
end)

describe("moon_http_reason()", function()
  for _, case in ipairs { { 403, "Forbidden" }, { 404, "Not Found" }, { 418, "Unknown" }, { 431,
    "Request Header Fields Too Large" }, { 502, "Bad Gateway" },
    { 505, "HTTP Version Not Supported" }, { 0, "Unknown" } } do
    it(("says %s for %d"):format(case[2], case[1]), function()
      assert.equal(case[2], ffi.string(C.moon_http_reason(case[1])))
    end)
  end
end)

describe("moon_http_date()", function()
  for _, case in ipairs {
    { 0, "Thu, 01 Jan 1970 00:00:00 GMT" }, { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
    { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" }, { 4102444799, "Thu, 31 Dec 2099 23:59:59 GMT" },
    { -1, "Thu, 01 Jan 1970 00:00:00 GMT" }, { 253402300800, "Fri, 31 Dec 9999 23:59:59 GMT" },
  } do
    it("writes " .. case[2] .. " for " .. case[1], function()
      local out = ffi.new("char[30]")
      C.moon_http_date(out, case[1])
      assert.equal(case[2], ffi.string(out))
    end)
  end
end)

describe("moon_http_is_token() and moon_http_is_field_value()", function()
  it("know every byte", function()
    local tokens, values = {}, {}
    for byte = 0, 255 do
      local one = string.char(byte)
      if C.moon_http_is_token(unit.str(one)) then tokens[#tokens + 1] = one end
      if C.moon_http_is_field_value(unit.str(one)) then values[#values + 1] = one end
    end
    assert.equal("!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~", table.concat(tokens))
    assert.equal(1 + 95 + 128, #values)
    assert.equal("\t", values[1])
  end)

  it("see each byte as what it is wherever it stands in a long value", function()
    for byte = 0, 255 do
      local good = byte == 9 or byte >= 32 and byte ~= 127
      for before = 0, 17 do
        local value = ("\255"):rep(before) .. string.char(byte) .. (" ~\t"):rep(4)
        assert.equal(good, C.moon_http_is_field_value(unit.str(value)), ("%d behind %d"):format(byte, before))
      end
    end
  end)

  it("look at every byte of a text", function()
    assert.is_false(C.moon_http_is_token(unit.str "ab c"))
    assert.is_false(C.moon_http_is_token(unit.str "ab:"))
    assert.is_false(C.moon_http_is_token(unit.str ""))
    assert.is_false(C.moon_http_is_field_value(unit.str "\rabc"))
    assert.is_true(C.moon_http_is_field_value(unit.str ""))
  end)
end)
