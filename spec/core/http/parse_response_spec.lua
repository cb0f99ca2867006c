local http = require "spec.support.http"

local function response(lines, status_line)
  return (status_line or "HTTP/1.1 200 OK") .. "\r\n" .. lines .. "\r\n"
end

local REFUSED = {
  { "a status line that ends with a bare LF", "HTTP/1.1 200 OK\nX: y\r\n\r\n" },
  { "an empty line that is a bare LF", "HTTP/1.1 200 OK\r\nX: y\r\n\n" },
  { "a field line that ends with a bare LF", "HTTP/1.1 200 OK\r\nX: y\nZ: y\r\n\r\n" },
  { "a CR in the reason phrase", response("", "HTTP/1.1 200 O\rSet-Cookie: x=y") },
  { "NUL in the reason phrase", response("", "HTTP/1.1 200 O\0K") },
  { "0x01 in the reason phrase", response("", "HTTP/1.1 200 O\1K") },
  { "a bare CR in a value", response "X: a\rb\r\n" },
  { "NUL in a value", response "X: a\0b\r\n" },
  { "DEL in a value", response "X: a\127b\r\n" },
  { "obs-fold", response "X: a\r\n b\r\n" },
  { "obs-fold in the first field", response " X: a\r\n" },
  { "a space before the colon", response "Content-Length : 5\r\n" },
  { "an empty name", response ": 5\r\n" },
  { "a line without a colon", response "nonsense\r\n" },
  { "the status 20", response("", "HTTP/1.1 20 OK") },
  { "the status 2000", response("", "HTTP/1.1 2000 OK") },
  { "the status 000", response("", "HTTP/1.1 000 OK") },
  { "the status 099", response("", "HTTP/1.1 099 OK") },
  { "no status", response("", "HTTP/1.1 ") },
  { "an empty status", response("", "HTTP/1.1  OK") },
  { "the status 2x0", response("", "HTTP/1.1 2x0 OK") },
  { "the status +20", response("", "HTTP/1.1 +20 OK") },
  { "two spaces before the status", response("", "HTTP/1.1  200 OK") },
  { "a tab before the status", response("", "HTTP/1.1\t200 OK") },
  { "a tab behind the status", response("", "HTTP/1.1 200\tOK") },
  { "HTTP/0.9", response("", "HTTP/0.9 200 OK") },
  { "HTTP/1.2", response("", "HTTP/1.2 200 OK") },
  { "HTTP/2.0", response("", "HTTP/2.0 200 OK") },
  { "HTTP/1.10", response("", "HTTP/1.10 200 OK") },
  { "ICY", response("", "ICY 200 OK") },
  { "http in lower case", response("", "http/1.1 200 OK") },
  { "no HTTP at all", "hello\r\n\r\n" },
  { "a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n" },
  { "a CRLF before the status line", "\r\n" .. response "" },
  { "Content-Length with Transfer-Encoding", response "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" },
  { "Transfer-Encoding with Content-Length", response "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" },
  { "two equal Content-Length lines", response "Content-Length: 5\r\nContent-Length: 5\r\n" },
  { "two different Content-Length lines", response "Content-Length: 5\r\nContent-Length: 6\r\n" },
  { "Content-Length: 5, 5", response "Content-Length: 5, 5\r\n" },
  { "Content-Length: +5", response "Content-Length: +5\r\n" },
  { "an empty Content-Length", response "Content-Length:\r\n" },
  { "Content-Length: 2^63", response "Content-Length: 9223372036854775808\r\n" },
  { "Transfer-Encoding: gzip", response "Transfer-Encoding: gzip\r\n" },
  { "Transfer-Encoding: gzip, chunked", response "Transfer-Encoding: gzip, chunked\r\n" },
  { "Transfer-Encoding: identity", response "Transfer-Encoding: identity\r\n" },
  { "Transfer-Encoding: chunked, chunked", response "Transfer-Encoding: chunked, chunked\r\n" },
  { "an empty Transfer-Encoding", response "Transfer-Encoding:\r\n" },
  { "two Transfer-Encoding lines", response "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" },
  { "Transfer-Encoding in HTTP/1.0", response("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK") },
  { "129 fields", response(("x: y\r\n"):rep(129)) },
  { "an endless status line", response("", "HTTP/1.1 200 " .. ("a"):rep(9000)) },
  { "a field beyond the limit", response("X: " .. ("a"):rep(17000) .. "\r\n") },
}

describe("moon_http_parse_response()", function()
  for _, case in ipairs(REFUSED) do
    it("answers 502 to " .. case[1], function()
      local status, why = http.response(case[2])
      assert.equal(502, status)
      assert.not_equal("the head can be read in two ways", why)
      -- Also where no body would follow, and without the scan in front.
      assert.equal(502, (http.response(case[2], true)))
      assert.equal(502, (http.parse_response(case[2])))
    end)
  end

  it("reads status, reason and fields", function()
    local status, head = http.response(response("Server: x\r\nEmpty:\r\n", "HTTP/1.0 404 Not  Found\t\255"))
    assert.equal(0, status)
    assert.same({ 404, "Not  Found\t\255", 0 }, { head.status, head.reason_phrase, head.minor_version })
    assert.same({ { "Server", "x" }, { "Empty", "" } }, head.fields)
  end)

  for _, line in ipairs { "HTTP/1.1 200", "HTTP/1.1 200 " } do
    it(("takes %q without a reason"):format(line), function()
      local status, head = http.response(response("", line))
      assert.equal(0, status)
      assert.equal(200, head.status)
    end)
  end

  it("takes every status from 100 to 999", function()
    for number = 100, 999 do
      local status, head = http.response(response("", ("HTTP/1.1 %d x"):format(number)))
      assert.equal(0, status)
      assert.equal(number, head.status)
    end
  end)

  describe("framing", function()
    for _, case in ipairs {
      { "200 with a length", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "length", 5 },
      { "200 with length 0", "HTTP/1.1 200 OK", "Content-Length: 0\r\n", "length", 0 },
      { "200 chunked", "HTTP/1.1 200 OK", "Transfer-Encoding: Chunked\r\n", "chunked", 0 },
      { "200 with neither", "HTTP/1.1 200 OK", "", "until close", 0 },
      { "HTTP/1.0 with neither", "HTTP/1.0 200 OK", "", "until close", 0 },
      { "404 with a length", "HTTP/1.1 404 Not Found", "Content-Length: 7\r\n", "length", 7 },
      { "205 with neither", "HTTP/1.1 205 Reset Content", "", "until close", 0 },
      { "204", "HTTP/1.1 204 No Content", "", "none", 0 },
      { "204 with a length", "HTTP/1.1 204 No Content", "Content-Length: 5\r\n", "none", 0 },
      { "304", "HTTP/1.1 304 Not Modified", "", "none", 0 },
      { "304 with a length", "HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", "none", 0 },
      { "304 chunked", "HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked\r\n", "none", 0 },
      { "100", "HTTP/1.1 100 Continue", "", "none", 0 },
      { "100 with a length", "HTTP/1.1 100 Continue", "Content-Length: 5\r\n", "none", 0 },
      { "103", "HTTP/1.1 103 Early Hints", "Link: </a>\r\n", "none", 0 },
      { "101", "HTTP/1.1 101 Switching Protocols", "Connection: upgrade\r\nUpgrade: websocket\r\n", "none", 0 },
    } do
      it(("of %s is %s"):format(case[1], case[4]), function()
        local status, head = http.response(response(case[3], case[2]))
        assert.equal(0, status)
        assert.equal(case[4], head.framing)
        assert.equal(case[5], head.content_length)
      end)

      it(("of %s is none in answer to HEAD"):format(case[1]), function()
        local status, head = http.response(response(case[3], case[2]), true)
        assert.equal(0, status)
        assert.equal("none", head.framing)
      end)
    end
  end)

  describe("the connection", function()
    for _, case in ipairs {
      { "a length", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", true },
      { "a length and close", "HTTP/1.1 200 OK", "Content-Length: 5\r\nConnection: close\r\n", false },
      { "a body until close", "HTTP/1.1 200 OK", "Connection: keep-alive\r\n", false },
      { "a length in HTTP/1.0", "HTTP/1.0 200 OK", "Content-Length: 5\r\n", false },
      { "a length in HTTP/1.0 with keep-alive", "HTTP/1.0 200 OK",
        "Content-Length: 5\r\nConnection: keep-alive\r\n", true },
      { "204", "HTTP/1.1 204 No Content", "", true },
      { "204 with length 0", "HTTP/1.1 204 No Content", "Content-Length: 0\r\n", true },
      { "204 that announces a body", "HTTP/1.1 204 No Content", "Content-Length: 5\r\n", false },
      { "204 that announces chunks", "HTTP/1.1 204 No Content", "Transfer-Encoding: chunked\r\n", false },
      { "304 with a length", "HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", true },
    } do
      it(("%s after %s"):format(case[4] and "stays" or "ends", case[1]), function()
        local status, head = http.response(response(case[3], case[2]))
        assert.equal(0, status)
        assert.equal(case[4], head.keep_alive)
      end)
    end
  end)

  describe("a websocket upgrade", function()
    local both = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    for _, case in ipairs {
      { "101 with both fields", "HTTP/1.1 101 x", both, true },
      { "200 with both fields", "HTTP/1.1 200 x", both, false },
      { "101 without Upgrade", "HTTP/1.1 101 x", "Connection: upgrade\r\n", false },
      { "101 to h2c", "HTTP/1.1 101 x", "Connection: upgrade\r\nUpgrade: h2c\r\n", false },
      { "101 of HTTP/1.0", "HTTP/1.0 101 x", both, false },
    } do
      it(("is %sseen with %s"):format(case[4] and "" or "not ", case[1]), function()
        local status, head = http.response(response(case[3], case[2]))
        assert.equal(0, status)
        assert.equal(case[4], head.upgrade_websocket)
      end)
    end
  end)
end)
