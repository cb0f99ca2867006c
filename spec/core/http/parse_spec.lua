local http = require "spec.support.http"

local function request(lines, start_line)
  return (start_line or "GET / HTTP/1.1") .. "\r\n" .. lines .. "\r\n"
end

local SECOND = "the head can be read in two ways"

-- What must never be read as a request: { title, bytes, status }.
local REFUSED = {
  -- fields
  { "X: CR Content-Length: 5", request "Host: a\r\nX:\rContent-Length: 5\r\n", 400 },
  { "a head that ends with CRLF CR X", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", 400 },
  { "obs-fold in the first field", request " Host: a\r\n", 400 },
  { "obs-fold in a later field", request "Host: a\r\n Content-Length: 5\r\n", 400 },
  { "obs-fold with a tab", request "Host: a\r\nX: y\r\n\tz\r\n", 400 },
  { "a space before the colon", request "Host: a\r\nX : y\r\n", 400 },
  { "a tab before the colon", request "Host: a\r\nX\t: y\r\n", 400 },
  { "a space in a name", request "Host: a\r\nX Y: v\r\n", 400 },
  { "an empty name", request "Host: a\r\n: x\r\n", 400 },
  { "a line without a colon", request "Host: a\r\nX\r\n", 400 },
  { "a control byte in a name", request "Host: a\r\nX\1: y\r\n", 400 },
  { "a byte from 0x80 up in a name", request "Host: a\r\nX\195\164: y\r\n", 400 },
  { "a parenthesis in a name", request "Host: a\r\nX(: y\r\n", 400 },
  { "NUL in a value", request "Host: a\r\nX: a\0b\r\n", 400 },
  { "0x01 in a value", request "Host: a\r\nX: a\1b\r\n", 400 },
  { "0x0b behind a value", request "Host: a\r\nX: a\11\r\n", 400 },
  { "0x1f in a value", request "Host: a\r\nX: a\31b\r\n", 400 },
  { "DEL in a value", request "Host: a\r\nX: a\127b\r\n", 400 },
  { "a request line that ends with a bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400 },
  { "an empty line that is a bare LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400 },
  -- Transfer-Encoding
  { "Transfer-Encoding: ,chunked", request "Host: a\r\nTransfer-Encoding: ,chunked\r\n", 400 },
  { "Transfer-Encoding: chunked,", request "Host: a\r\nTransfer-Encoding: chunked,\r\n", 400 },
  { "Transfer-Encoding: chunked, chunked", request "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 400 },
  { "Transfer-Encoding: chunked, gzip", request "Host: a\r\nTransfer-Encoding: chunked, gzip\r\n", 400 },
  { "Transfer-Encoding: chunked;q=1", request "Host: a\r\nTransfer-Encoding: chunked;q=1\r\n", 400 },
  { 'Transfer-Encoding: "chunked"', request 'Host: a\r\nTransfer-Encoding: "chunked"\r\n', 400 },
  { "Transfer-Encoding: chunked 0x0b", request "Host: a\r\nTransfer-Encoding: chunked\11\r\n", 400 },
  { "Transfer-Encoding: chunked TAB", request "Host: a\r\nTransfer-Encoding: chunked\t\r\n", 400 },
  { "Transfer-Encoding: chunked chunked", request "Host: a\r\nTransfer-Encoding: chunked chunked\r\n", 400 },
  { "an empty Transfer-Encoding", request "Host: a\r\nTransfer-Encoding:\r\n", 400 },
  { "Transfer-Encoding: gzip, chunked", request "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501 },
  { "Transfer-Encoding: identity, chunked", request "Host: a\r\nTransfer-Encoding: identity, chunked\r\n", 501 },
  { "Transfer-Encoding: gzip", request "Host: a\r\nTransfer-Encoding: gzip\r\n", 501 },
  { "Transfer-Encoding: identity", request "Host: a\r\nTransfer-Encoding: identity\r\n", 501 },
  { "Transfer-Encoding: xchunked", request "Host: a\r\nTransfer-Encoding: xchunked\r\n", 501 },
  { "two Transfer-Encoding lines, gzip then chunked",
    request "Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400 },
  { "two Transfer-Encoding lines, chunked twice",
    request "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400 },
  { "an empty Transfer-Encoding with Content-Length",
    request "Host: a\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n", 400 },
  { "Transfer-Encoding in HTTP/1.0",
    request("Host: a\r\nTransfer-Encoding: chunked\r\n", "POST / HTTP/1.0"), 400 },
  { "Content-Length, then Transfer-Encoding",
    request "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400 },
  { "Transfer-Encoding, then Content-Length",
    request "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400 },
  { "an unknown Transfer-Encoding, then Content-Length",
    request "Host: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n", 400 },
  { "Content-Length, then an unknown Transfer-Encoding",
    request "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n", 400 },
  { "a malformed Content-Length, then an unknown Transfer-Encoding",
    request "Host: a\r\nContent-Length: x\r\nTransfer-Encoding: gzip\r\n", 400 },
  -- Content-Length
  { "two equal Content-Length lines", request "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n", 400 },
  { "two different Content-Length lines", request "Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", 400 },
  { "Content-Length: 5, 5", request "Host: a\r\nContent-Length: 5, 5\r\n", 400 },
  { "Content-Length: +5", request "Host: a\r\nContent-Length: +5\r\n", 400 },
  { "Content-Length: -1", request "Host: a\r\nContent-Length: -1\r\n", 400 },
  { "Content-Length: 0x5", request "Host: a\r\nContent-Length: 0x5\r\n", 400 },
  { "Content-Length: 5a", request "Host: a\r\nContent-Length: 5a\r\n", 400 },
  { "Content-Length: 5 5", request "Host: a\r\nContent-Length: 5 5\r\n", 400 },
  { "Content-Length: 0_5", request "Host: a\r\nContent-Length: 0_5\r\n", 400 },
  { "Content-Length: 5.0", request "Host: a\r\nContent-Length: 5.0\r\n", 400 },
  { "Content-Length: 5 TAB", request "Host: a\r\nContent-Length: 5\t\r\n", 400 },
  { "an empty Content-Length", request "Host: a\r\nContent-Length:\r\n", 400 },
  { "Content-Length: 2^63", request "Host: a\r\nContent-Length: 9223372036854775808\r\n", 400 },
  { "Content-Length: 2^64 + 5", request "Host: a\r\nContent-Length: 18446744073709551621\r\n", 400 },
  -- versions
  { "HTTP/0.9 without a version", "GET /\r\n\r\n", 400 },
  { "HTTP/0.9 with a version", request("Host: a\r\n", "GET / HTTP/0.9"), 400 },
  { "HTTP/2.0", request("Host: a\r\n", "GET / HTTP/2.0"), 505 },
  { "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", 505 },
  { "HTTP/1.2", request("Host: a\r\n", "GET / HTTP/1.2"), 505 },
  { "HTTP/1.9", request("Host: a\r\n", "GET / HTTP/1.9"), 505 },
  { "HTTP/3.0", request("Host: a\r\n", "GET / HTTP/3.0"), 505 },
  { "HTTP/1.10", request("Host: a\r\n", "GET / HTTP/1.10"), 400 },
  { "HTTP/11", request("Host: a\r\n", "GET / HTTP/11"), 400 },
  { "http/1.1", request("Host: a\r\n", "GET / http/1.1"), 400 },
  { "RTSP/1.0", request("Host: a\r\n", "DESCRIBE / RTSP/1.0"), 400 },
  { "ICE/1.0", request("Host: a\r\n", "SOURCE / ICE/1.0"), 400 },
  -- methods
  { "SOURCE", request("Host: a\r\n", "SOURCE / HTTP/1.1"), 501 },
  { "DESCRIBE", request("Host: a\r\n", "DESCRIBE / HTTP/1.1"), 501 },
  { "ANNOUNCE", request("Host: a\r\n", "ANNOUNCE / HTTP/1.1"), 501 },
  { "an unknown token as the method", request("Host: a\r\n", "BREW / HTTP/1.1"), 501 },
  { "a lower-case method", request("Host: a\r\n", "get / HTTP/1.1"), 501 },
  { "a method of 33 bytes", request("Host: a\r\n", ("A"):rep(33) .. " / HTTP/1.1"), 501 },
  { "a method that is no token", request("Host: a\r\n", "G(T / HTTP/1.1"), 400 },
  { "TRACE", request("Host: a\r\n", "TRACE / HTTP/1.1"), 405 },
  { "TRACK", request("Host: a\r\n", "TRACK / HTTP/1.1"), 405 },
  { "CONNECT", request("Host: a:443\r\n", "CONNECT a:443 HTTP/1.1"), 405 },
  -- the request line
  { "two spaces before the target", request("Host: a\r\n", "GET  / HTTP/1.1"), 400 },
  { "two spaces before the version", request("Host: a\r\n", "GET /  HTTP/1.1"), 400 },
  { "a space behind the version", request("Host: a\r\n", "GET / HTTP/1.1 "), 400 },
  { "a space before the method", request("Host: a\r\n", " GET / HTTP/1.1"), 400 },
  { "a tab between the parts", request("Host: a\r\n", "GET\t/\tHTTP/1.1"), 400 },
  { "a space in the target", request("Host: a\r\n", "GET /a b HTTP/1.1"), 400 },
  { "no target", request("Host: a\r\n", "GET HTTP/1.1"), 400 },
  { "a lone method", request("Host: a\r\n", "GET"), 400 },
  { "a CR before the request line", "\r" .. request "Host: a\r\n", 400 },
  { "two CRLF before the request line", "\r\n\r\n" .. request "Host: a\r\n", 400 },
  { "a tab in the target", request("Host: a\r\n", "GET /a\tb HTTP/1.1"), 400 },
  { "DEL in the target", request("Host: a\r\n", "GET /a\127b HTTP/1.1"), 400 },
  { "0x80 in the target", request("Host: a\r\n", "GET /a\128b HTTP/1.1"), 400 },
  { "UTF-8 in the target", request("Host: a\r\n", "GET /\195\164 HTTP/1.1"), 400 },
  -- Host
  { "no Host line", request "X: y\r\n", 400 },
  { "two Host lines", request "Host: a\r\nHost: b\r\n", 400 },
  { "two equal Host lines", request "Host: a\r\nhost: a\r\n", 400 },
  { "two Host lines in HTTP/1.0", request("Host: a\r\nHost: a\r\n", "GET / HTTP/1.0"), 400 },
  { "an empty Host", request "Host:\r\n", 400 },
  -- Expect
  { "Expect: 200-ok", request "Host: a\r\nExpect: 200-ok\r\n", 417 },
  { "Expect: 100-continue, x", request "Host: a\r\nExpect: 100-continue, x\r\n", 417 },
  { "an empty Expect", request "Host: a\r\nExpect:\r\n", 417 },
}
for byte in ('#"<>\\^`{|}'):gmatch(".") do
  REFUSED[#REFUSED + 1] = { byte .. " in the target", request("Host: a\r\n", "GET /a" .. byte .. "b HTTP/1.1"), 400 }
end

describe("moon_http_parse_request()", function()
  for _, case in ipairs(REFUSED) do
    it(("answers %d to %s"):format(case[3], case[1]), function()
      local status, why = http.request(case[2])
      assert.equal(case[3], status)
      -- Our own reader decides, so that the answer does not hang on the version of llhttp behind it.
      assert.not_equal(SECOND, why)
    end)
  end

  for _, case in ipairs(REFUSED) do
    if case[2]:find("\r\n\r\n", 3, true) and not case[2]:find("^\r\n") then
      it("does not lean on the scan to refuse " .. case[1], function()
        local status, why = http.parse_request(case[2])
        assert.equal(case[3], status)
        assert.not_equal(SECOND, why)
      end)
    end
  end

  it("reads method, target, fields and host as they were sent", function()
    local status, head = http.request(request("hOST: A.example:80\r\nX-Empty:\r\nX-Pad: \t a b \t\r\nx: \255\r\n",
      "OPTIONS /p?q HTTP/1.1"))
    assert.equal(0, status)
    assert.same({ "OPTIONS", "/p?q", "A.example:80", 1 }, { head.method, head.target, head.host, head.minor_version })
    assert.same({ { "hOST", "A.example:80" }, { "X-Empty", "" }, { "X-Pad", "a b" }, { "x", "\255" } }, head.fields)
  end)

  it("hands out views into the bytes it was given", function()
    local ffi = require "ffi"
    local _, head = http.request(request "Host: a\r\nX: y\r\n")
    local base = ffi.cast("const char *", head.bytes)
    assert.equal(28, tonumber(head.raw.fields[1].value.data - base))
    assert.equal(0, tonumber(head.raw.method.data - base))
  end)

  it("passes over one CRLF before the request line", function()
    local status, head = http.request("\r\n" .. request "Host: a\r\n")
    assert.equal(0, status)
    assert.equal("GET", head.method)
  end)

  it("refuses bytes behind the empty line", function()
    local status, why = http.parse_request(request "Host: a\r\n" .. "X")
    assert.equal(400, status)
    assert.not_equal(SECOND, why)
  end)

  it("refuses a head whose empty line is missing", function()
    assert.equal(400, (http.parse_request "GET / HTTP/1.1\r\nHost: a\r\n"))
    assert.equal(400, (http.parse_request ""))
    assert.equal(400, (http.parse_request "\r\n"))
  end)

  for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PROPPATCH",
    "MKCOL",
    "MKCALENDAR", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH",
    "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "BIND", "REBIND", "UNBIND", "ACL", "LINK", "UNLINK" } do
    it("serves " .. method, function()
      local status, head = http.request(request("Host: a\r\n", method .. " / HTTP/1.1"))
      assert.equal(0, status)
      assert.equal(method, head.method)
    end)
  end

  describe("framing", function()
    for _, case in ipairs {
      { "neither field", "", "none", 0 },
      { "Content-Length: 0", "Content-Length: 0\r\n", "length", 0 },
      { "Content-Length: 5", "content-length:5\r\n", "length", 5 },
      { "leading zeros", "Content-Length: 0005\r\n", "length", 5 },
      { "spaces around the number", "Content-Length: \t 5  \r\n", "length", 5 },
      { "a length of 2^53", "Content-Length: 9007199254740992\r\n", "length", 9007199254740992 },
      { "Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\n", "chunked", 0 },
      { "Transfer-Encoding: CHUNKED", "transfer-encoding:CHUNKED\r\n", "chunked", 0 },
    } do
      it(("is %s with %s"):format(case[3], case[1]), function()
        for _, method in ipairs { "GET", "HEAD", "POST", "DELETE", "OPTIONS" } do
          local status, head = http.request(request("Host: a\r\n" .. case[2], method .. " / HTTP/1.1"))
          assert.equal(0, status)
          assert.equal(case[3], head.framing)
          assert.equal(case[4], head.content_length)
        end
      end)
    end

    it("keeps all 63 bits of a length", function()
      local _, head = http.request(request "Host: a\r\nContent-Length: 9223372036854775807\r\n")
      assert.equal("9223372036854775807ULL", tostring(head.raw.content_length))
    end)
  end)

  describe("the connection", function()
    for _, case in ipairs {
      { "HTTP/1.1", "1", "", true },
      { "HTTP/1.1 with close", "1", "Connection: close\r\n", false },
      { "HTTP/1.1 with close in a list", "1", "Connection: x, Close\r\n", false },
      { "HTTP/1.1 with close in a second line", "1", "Connection: x\r\nConnection: close\r\n", false },
      { "HTTP/1.1 with keep-alive and close", "1", "Connection: keep-alive, close\r\n", false },
      { "HTTP/1.1 with closed", "1", "Connection: closed\r\n", true },
      { "HTTP/1.0", "0", "", false },
      { "HTTP/1.0 with keep-alive", "0", "Connection: Keep-Alive\r\n", true },
      { "HTTP/1.0 with keep-alive and close", "0", "Connection: keep-alive, close\r\n", false },
    } do
      it(("%s after %s"):format(case[4] and "stays" or "ends", case[1]), function()
        local status, head = http.request(request("Host: a\r\n" .. case[3], "GET / HTTP/1." .. case[2]))
        assert.equal(0, status)
        assert.equal(case[4], head.keep_alive)
      end)
    end
  end)

  describe("Expect: 100-continue", function()
    it("is known in any case", function()
      local _, head = http.request(request("Host: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n",
        "PUT / HTTP/1.1"))
      assert.is_true(head.expect_continue)
    end)

    it("is passed over in HTTP/1.0", function()
      local status, head = http.request(request("Expect: 100-continue\r\n", "GET / HTTP/1.0"))
      assert.equal(0, status)
      assert.is_false(head.expect_continue)
    end)

    it("is not assumed", function()
      local _, head = http.request(request "Host: a\r\n")
      assert.is_false(head.expect_continue)
    end)
  end)

  describe("a websocket upgrade", function()
    local both = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    for _, case in ipairs {
      { "both fields", "GET / HTTP/1.1", both, true },
      { "both fields and Content-Length: 0", "GET / HTTP/1.1", both .. "Content-Length: 0\r\n", true },
      { "no Connection", "GET / HTTP/1.1", "Upgrade: websocket\r\n", false },
      { "no Upgrade", "GET / HTTP/1.1", "Connection: upgrade\r\n", false },
      { "h2c", "GET / HTTP/1.1", "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", false },
      { "a list of protocols", "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false },
      { "a second Upgrade line", "GET / HTTP/1.1", both .. "Upgrade: websocket\r\n", false },
      { "HTTP/1.0", "GET / HTTP/1.0", both, false },
      { "POST", "POST / HTTP/1.1", both, false },
      { "a body", "GET / HTTP/1.1", both .. "Content-Length: 5\r\n", false },
      { "a chunked body", "GET / HTTP/1.1", both .. "Transfer-Encoding: chunked\r\n", false },
    } do
      it(("is %sseen with %s"):format(case[4] and "" or "not ", case[1]), function()
        local status, head = http.request(request("Host: a\r\n" .. case[3], case[2]))
        assert.equal(0, status)
        assert.equal(case[4], head.upgrade_websocket)
      end)
    end
  end)

  describe("limits", function()
    it("take 128 fields and refuse the 129th with 431", function()
      local lines = "Host: a\r\n" .. ("x: y\r\n"):rep(127)
      assert.equal(0, (http.request(request(lines))))
      assert.equal(431, (http.request(request(lines .. "z: y\r\n"))))
    end)

    it("may allow fewer fields, and never more than the table has", function()
      assert.equal(431, (http.request(request "Host: a\r\nx: y\r\nx: y\r\n", http.limits { field_count = 2 })))
      local many = request("Host: a\r\n" .. ("x: y\r\n"):rep(128))
      assert.equal(431, (http.request(many, http.limits { field_count = 1000 })))
    end)

    it("are kept without the scan, too", function()
      assert.equal(414, (http.parse_request(request("Host: a\r\n", "GET /" .. ("a"):rep(9000) .. " HTTP/1.1"))))
      assert.equal(431, (http.parse_request(request("Host: a\r\nx: " .. ("a"):rep(17000) .. "\r\n"))))
      assert.equal(431, (http.parse_request(request("Host: a\r\n" .. ("x: " .. ("a"):rep(900) .. "\r\n"):rep(100)))))
    end)

    it("take a target of nearly 8 KiB", function()
      local status, head = http.request(request("Host: a\r\n", "GET /" .. ("a"):rep(8192 - 14) .. " HTTP/1.1"))
      assert.equal(0, status)
      assert.equal(8192 - 13, #head.target)
      assert.equal(414, (http.request(request("Host: a\r\n", "GET /" .. ("a"):rep(8192 - 13) .. " HTTP/1.1"))))
    end)
  end)
end)
