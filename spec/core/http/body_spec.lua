local ffi = require "ffi"
local http = require "spec.support.http"
local unit = require "spec.support.unit"

local NONE, LENGTH, CHUNKED, UNTIL_CLOSE = 0, 1, 2, 3
local EBODY = -20005

local function bytewise(text)
  local pieces = {}
  for i = 1, #text do pieces[i] = text:sub(i, i) end
  return pieces
end

-- { title, bytes, payload, what is left }
local GOOD = {
  { "no chunk", "0\r\n\r\n", "", "" },
  { "one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", "" },
  { "two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!", "" },
  { "hex digits of both cases", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", "" },
  { "leading zeros up to 16 digits", "0000000000000005\r\nhello\r\n0000\r\n\r\n", "hello", "" },
  { "payload that looks like framing", "7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", "0\r\n\r\nGE", "" },
  { "bytes behind the end", "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a", "GET / HTTP/1.1\r\n" },
  { "an extension", "5;a\r\nhello\r\n0\r\n\r\n", "hello", "" },
  { "an extension with a value", "5;a=b;c=d\r\nhello\r\n0;e\r\n\r\n", "hello", "" },
  { "an extension with a quoted value", '5;a="b ;\\"c\\\\ \255"\r\nhello\r\n0\r\n\r\n', "hello", "" },
  { "white space inside an extension", "5; a = b ; c\r\nhello\r\n0\r\n\r\n", "hello", "" },
  { "a trailer", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nrest", "hello", "rest" },
  { "trailers that frame or route, which are dropped",
    "0\r\nContent-Length: 5\r\nHost: b\r\nTransfer-Encoding: chunked\r\nCf-Ray: x\r\nEmpty:\r\n\r\nhello", "",
    "hello" },
}

local BAD = {
  { "no size", "\r\nhello\r\n0\r\n\r\n" },
  { "an empty size line and an empty trailer section", "\r\n\r\n" },
  { "a size with a sign", "+5\r\nhello\r\n0\r\n\r\n" },
  { "a negative size", "-5\r\nhello\r\n0\r\n\r\n" },
  { "a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n" },
  { "a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n" },
  { "a space before the size", " 5\r\nhello\r\n0\r\n\r\n" },
  { "a space behind the size", "5 \r\nhello\r\n0\r\n\r\n" },
  { "a tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n" },
  { "a space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n" },
  { "a second word behind the size", "5 6\r\nhello\r\n0\r\n\r\n" },
  { "a size that is no hex", "g\r\nhello\r\n0\r\n\r\n" },
  { "a size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n" },
  { "a size of 2^63", "8000000000000000\r\nhello" },
  { "a size of 2^64-1", "ffffffffffffffff\r\nhello" },
  { "a size line that ends with a bare LF", "5\nhello\r\n0\r\n\r\n" },
  { "a size line that ends with CR and another byte", "5\rXhello\r\n0\r\n\r\n" },
  { "a size line that ends with CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n" },
  { "two bytes other than CRLF behind the data", "5\r\nhelloXX0\r\n\r\n" },
  { "a bare LF behind the data", "5\r\nhello\n0\r\n\r\n" },
  { "a CR and another byte behind the data", "5\r\nhello\rX0\r\n\r\n" },
  { "nothing behind the data", "5\r\nhello0\r\n\r\n" },
  { "a chunk longer than its size", "5\r\nhello!\r\n0\r\n\r\n" },
  { "a chunk shorter than its size", "5\r\nhell\r\n0\r\n\r\n" },
  { "CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n" },
  { "LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n" },
  { "LF in a quoted value", '5;a="b\nc"\r\nhello\r\n0\r\n\r\n' },
  { "CR in a quoted value", '5;a="b\rc"\r\nhello\r\n0\r\n\r\n' },
  { "NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n" },
  { "a control byte in a quoted value", '5;a="\1"\r\nhello\r\n0\r\n\r\n' },
  { "an escaped CR in a quoted value", '5;a="\\\r\n"\r\nhello\r\n0\r\n\r\n' },
  { "an unterminated quoted value", '5;a="b\r\nhello\r\n0\r\n\r\n' },
  { "bytes behind a quoted value", '5;a="b"c\r\nhello\r\n0\r\n\r\n' },
  { "an extension without a name", "5;\r\nhello\r\n0\r\n\r\n" },
  { "an extension without a name but a value", "5;=b\r\nhello\r\n0\r\n\r\n" },
  { "an extension with = and no value", "5;a=\r\nhello\r\n0\r\n\r\n" },
  { "two names in an extension", "5;a b\r\nhello\r\n0\r\n\r\n" },
  { "a space at the end of an extension", "5;a \r\nhello\r\n0\r\n\r\n" },
  { "a space behind the value of an extension", "5;a=b \r\nhello\r\n0\r\n\r\n" },
  { "a space behind a quoted value", '5;a="b" \r\nhello\r\n0\r\n\r\n' },
  { "a trailer section that ends with a bare LF", "0\r\nX: y\r\n\n" },
  { "an empty trailer section that is a bare LF", "0\r\n\n" },
  { "an empty trailer section that is CR and another byte", "0\r\n\rX" },
  { "a trailer that ends with a bare LF", "0\r\nX: y\n\r\n" },
  { "a trailer with a bare CR", "0\r\nX: y\rz\r\n\r\n" },
  { "a folded trailer", "0\r\nX: y\r\n z\r\n\r\n" },
  { "a folded first trailer", "0\r\n X: y\r\n\r\n" },
  { "a trailer without a colon", "0\r\nX\r\n\r\n" },
  { "a trailer without a name", "0\r\n: y\r\n\r\n" },
  { "a trailer with a space before the colon", "0\r\nX : y\r\n\r\n" },
  { "NUL in a trailer", "0\r\nX: \0\r\n\r\n" },
  { "DEL in a trailer", "0\r\nX: \127\r\n\r\n" },
}

describe("moon_http_body_read()", function()
  context("chunked", function()
    for _, case in ipairs(GOOD) do
      it("reads " .. case[1], function()
        local told = http.body(CHUNKED, 0, { case[2] })
        assert.is_nil(told.error)
        assert.same({ case[3], case[4], true, true }, { told.payload, told.rest, told.done, told.eof })
        assert.equal(#case[3], told.counted)
      end)

      it("is not done before the end of " .. case[1], function()
        local whole = #case[2] - #case[4]
        for length = 0, whole - 1 do
          local told = http.body(CHUNKED, 0, { case[2]:sub(1, length) })
          assert.is_nil(told.error)
          assert.is_false(told.done)
          assert.is_false(told.eof)
        end
      end)

      it("reads the same in any two pieces, and byte by byte: " .. case[1], function()
        for at = 0, #case[2] do
          local told = http.body(CHUNKED, 0, { case[2]:sub(1, at), case[2]:sub(at + 1) })
          assert.same({ case[3], case[4], true }, { told.payload, told.rest, told.done })
        end
        local told = http.body(CHUNKED, 0, bytewise(case[2]))
        assert.same({ case[3], case[4], true }, { told.payload, told.rest, told.done })
      end)
    end

    for _, case in ipairs(BAD) do
      it("refuses " .. case[1], function()
        local told = http.body(CHUNKED, 0, { case[2] })
        assert.equal(EBODY, told.error)
        assert.is_false(told.done)
        assert.is_false(told.eof)
        assert.equal(EBODY, http.body(CHUNKED, 0, bytewise(case[2])).error)
      end)
    end

    it("keeps refusing once it has refused", function()
      local body = ffi.new("struct moon_http_body[1]")
      local input, payload = ffi.new("struct moon_str[1]"), ffi.new("struct moon_str[1]")
      http.C.moon_http_body_init(body, CHUNKED, 0)
      input[0] = unit.str("x")
      assert.equal(EBODY, http.C.moon_http_body_read(body, input, payload))
      local good = "0\r\n\r\n"
      input[0] = unit.str(good)
      assert.equal(EBODY, http.C.moon_http_body_read(body, input, payload))
      input[0] = unit.str("")
      assert.equal(EBODY, http.C.moon_http_body_read(body, input, payload))
    end)

    it("hands out a chunk as one view into the bytes it was given", function()
      local told = http.body(CHUNKED, 0, { "3e8\r\n" .. ("x"):rep(1000) .. "\r\n0\r\n\r\n" })
      assert.equal(1, told.spans)
      assert.equal(1000, #told.payload)
    end)

    it("takes a size line of 256 bytes and not one of 257", function()
      local function body(line) return line .. "\r\nx\r\n0\r\n\r\n" end
      assert.is_nil(http.body(CHUNKED, 0, { body("1;" .. ("a"):rep(254)) }).error)
      assert.equal(EBODY, http.body(CHUNKED, 0, { body("1;" .. ("a"):rep(255)) }).error)
    end)

    it("bounds the extensions of a whole body", function()
      local chunk = "1;" .. ("a"):rep(127) .. "\r\nx\r\n" -- 128 bytes of extension each
      assert.is_nil(http.body(CHUNKED, 0, { chunk:rep(64) .. "0\r\n\r\n" }).error)
      assert.equal(EBODY, http.body(CHUNKED, 0, { chunk:rep(64) .. "0;a\r\n\r\n" }).error)
    end)

    it("does not count what is no extension", function()
      assert.equal(20000, #http.body(CHUNKED, 0, { ("1\r\nx\r\n"):rep(20000) .. "0\r\n\r\n" }).payload)
    end)

    it("bounds the trailer section", function()
      local field = "X: " .. ("a"):rep(1020) .. "\r\n" -- counted without LF: 1024
      assert.is_nil(http.body(CHUNKED, 0, { "0\r\n" .. field:rep(15) .. "\r\n" }).error)
      assert.equal(EBODY, http.body(CHUNKED, 0, { "0\r\n" .. field:rep(16) .. "\r\n" }).error)
      assert.equal(EBODY, http.body(CHUNKED, 0, { "0\r\n" .. ("a"):rep(20000) }).error)
    end)

    it("takes a size of 2^63-1 and counts on", function()
      local told = http.body(CHUNKED, 0, { "7fffffffffffffff\r\nhello" })
      assert.is_nil(told.error)
      assert.same({ "hello", false, false }, { told.payload, told.done, told.eof })
    end)
  end)

  context("with a length", function()
    it("ends after so many bytes and leaves the rest", function()
      local told = http.body(LENGTH, 5, { "hel", "", "loGET", " /" })
      assert.same({ "hello", "GET /", true, true, 5 }, { told.payload, told.rest, told.done, told.eof, told.counted })
    end)

    it("is done at once with length 0", function()
      local told = http.body(LENGTH, 0, { "GET" })
      assert.same({ "", "GET", true }, { told.payload, told.rest, told.done })
    end)

    it("does not end cleanly when bytes are missing", function()
      local told = http.body(LENGTH, 5, { "hell" })
      assert.same({ false, false }, { told.done, told.eof })
    end)

    it("counts beyond 2^32", function()
      local told = http.body(LENGTH, 4294967301, { "hello" })
      assert.same({ "hello", false, false }, { told.payload, told.done, told.eof })
    end)
  end)

  it("has no body to read with none", function()
    local told = http.body(NONE, 7, { "GET" })
    assert.same({ "", "GET", true, true }, { told.payload, told.rest, told.done, told.eof })
  end)

  it("reads until the stream ends", function()
    local told = http.body(UNTIL_CLOSE, 0, { "hello", " world" })
    assert.same({ "hello world", "", false, true }, { told.payload, told.rest, told.done, told.eof })
  end)
end)

describe("moon_http_write_chunk()", function()
  local C = http.C
  local function buffer(ceiling)
    local buf = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
    C.moon_buf_init(buf, ceiling)
    return buf
  end
  local function text(buf) return ffi.string(buf[0].data + buf[0].start, buf[0].len) end

  it("frames a payload, and the last chunk", function()
    local buf = buffer(1000)
    assert.equal(0, C.moon_http_write_chunk(buf, unit.str "hello"))
    assert.equal(0, C.moon_http_write_chunk(buf, unit.str ""))
    assert.equal(0, C.moon_http_write_chunk(buf, unit.str(("x"):rep(31))))
    assert.equal(0, C.moon_http_write_last_chunk(buf))
    assert.equal("5\r\nhello\r\n1f\r\n" .. ("x"):rep(31) .. "\r\n0\r\n\r\n", text(buf))
    assert.equal("hello" .. ("x"):rep(31), http.body(CHUNKED, 0, { text(buf) }).payload)
  end)

  it("appends all or nothing at the ceiling", function()
    local buf = buffer(10)
    assert.equal(-20002, C.moon_http_write_chunk(buf, unit.str "sixsix"))
    assert.equal(0, tonumber(buf[0].len))
    assert.equal(0, C.moon_http_write_chunk(buf, unit.str "hello"))
    assert.equal(-20002, C.moon_http_write_last_chunk(buf))
    assert.equal("5\r\nhello\r\n", text(buf))
  end)
end)
