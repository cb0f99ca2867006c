-- Messages whose framing or meaning is in doubt: 400 or another refusal, the connection is closed, the origin sees nothing.

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a.example.com\r\n\r\n"

describe("request framing", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { listen_http = { "127.0.0.1:0" } } }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function refused(bytes, statuses)
    local before = #behind:requests()
    local session = gate:connect { host = "a.example.com" }
    session:send(bytes)
    local answer = session:response()
    if answer then
      assert.truthy(statuses[answer.status], "answered " .. answer.status)
      assert.equal("close", answer:field("connection"))
    end
    local closed, more = session:is_closed()
    assert.is_true(closed, more)
    session:close()
    assert.equal(before, #behind:requests())
  end

  local function head(...) return "POST /x HTTP/1.1\r\nHost: a.example.com\r\n" .. table.concat({ ... }, "\r\n") .. "\r\n\r\n" end

  for _, case in ipairs {
    { "Content-Length and Transfer-Encoding", head("Content-Length: 4", "Transfer-Encoding: chunked") .. "0\r\n\r\n" .. SMUGGLED },
    { "two different Content-Length", head("Content-Length: 1", "Content-Length: 2") .. "xx" },
    { "two equal Content-Length", head("Content-Length: 1", "Content-Length: 1") .. "x" },
    { "a list in Content-Length", head("Content-Length: 1, 1") .. "x" },
    { "a signed Content-Length", head("Content-Length: +1") .. "x" },
    { "a hexadecimal Content-Length", head("Content-Length: 0x1") .. "x" },
    { "a Content-Length beyond 64 bits", head("Content-Length: 18446744073709551617") .. "x" },
    { "Transfer-Encoding gzip, chunked", head("Transfer-Encoding: gzip, chunked") .. "0\r\n\r\n", { [501] = true } },
    { "Transfer-Encoding identity", head("Transfer-Encoding: identity") .. SMUGGLED, { [501] = true } },
    { "Transfer-Encoding ,chunked", head("Transfer-Encoding: ,chunked") .. "0\r\n\r\n" },
    { "two Transfer-Encoding", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") .. "0\r\n\r\n" },
    { "Transfer-Encoding in HTTP/1.0", "POST /x HTTP/1.0\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    { "two Host", "GET /x HTTP/1.1\r\nHost: a.example.com\r\nHost: b.example.com\r\n\r\n" },
    { "no Host", "GET /x HTTP/1.1\r\n\r\n" },
    { "a bare LF after the request line", "GET /x HTTP/1.1\nHost: a.example.com\r\n\r\n" },
    { "a bare LF after a field", "GET /x HTTP/1.1\r\nHost: a.example.com\n\r\n" },
    { "a bare CR in a field", "GET /x HTTP/1.1\r\nHost: a.example.com\r\nX: a\rb\r\n\r\n" },
    { "a folded field", "GET /x HTTP/1.1\r\nHost: a.example.com\r\nX: a\r\n b\r\n\r\n" },
    { "a blank before the colon", "GET /x HTTP/1.1\r\nHost : a.example.com\r\n\r\n" },
    { "an empty field name", "GET /x HTTP/1.1\r\nHost: a.example.com\r\n: x\r\n\r\n" },
    { "a NUL in a field", "GET /x HTTP/1.1\r\nHost: a.example.com\r\nX: a\0b\r\n\r\n" },
    { "two spaces in the request line", "GET  /x HTTP/1.1\r\nHost: a.example.com\r\n\r\n" },
    { "a fragment in the target", "GET /x#y HTTP/1.1\r\nHost: a.example.com\r\n\r\n" },
    { "HTTP/0.9", "GET /x\r\n\r\n" },
    { "HTTP/2.0", "GET /x HTTP/2.0\r\nHost: a.example.com\r\n\r\n", { [505] = true } },
    { "a lower-case method", "get /x HTTP/1.1\r\nHost: a.example.com\r\n\r\n", { [400] = true, [501] = true } },
    { "CONNECT", "CONNECT a.example.com:443 HTTP/1.1\r\nHost: a.example.com\r\n\r\n" .. SMUGGLED, { [405] = true, [400] = true } },
    { "TRACE", "TRACE /x HTTP/1.1\r\nHost: a.example.com\r\n\r\n", { [405] = true } },
  } do
    it("refuses " .. case[1], function() refused(case[2], case[3] or { [400] = true }) end)
  end

  -- The head is fine here, so the origin may have seen it; what follows must not become a request.
  for _, case in ipairs {
    { "a bare LF after a chunk size", "5\nhello\r\n0\r\n\r\n" },
    { "a chunk size with a sign", "+5\r\nhello\r\n0\r\n\r\n" },
    { "a chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n" },
    { "a chunk longer than it says", "3\r\nhello\r\n0\r\n\r\n" },
    { "a chunk size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n" },
  } do
    it("refuses " .. case[1] .. " and ends the connection", function()
      local session = gate:connect { host = "a.example.com" }
      session:send("POST /sink HTTP/1.1\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n\r\n" .. case[2] .. SMUGGLED)
      local answer = session:response()
      assert.truthy(not answer or answer.status == 400, answer and answer.status)
      local closed, more = session:is_closed()
      assert.is_true(closed, more)
      session:close()
      assert.same({}, behind:requests("/smuggled"))
    end)
  end

  it("closes a TLS port on which somebody speaks plain HTTP", function()
    local session = assert(client.connect { port = gate.port, tls = false })
    session:send("GET /plain HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
    local answer = session:receive()
    assert.truthy(not answer or answer:byte() == 21 or answer:find("^HTTP/1%.1 400"), answer)
    session:close()
    assert.same({}, behind:requests("/plain"))
  end)

  it("takes a request that comes byte by byte", function()
    local session = gate:connect { host = "a.example.com" }
    for byte in ("POST /echo HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 5\r\n\r\nhello"):gmatch(".") do
      session:send(byte)
    end
    local answer = session:response()
    assert.equal(200, answer.status)
    assert.equal("hello", answer.body)
    session:close()
  end)

  it("keeps the connection after a refusal that leaves no doubt about framing", function()
    local session = gate:connect { host = "a.example.com" }
    gate:set_rules { 'http.request.uri.path eq "/blocked"' }
    assert.equal(403, session:request("POST", "/blocked", { host = "a.example.com", body = "hello" }).status)
    assert.equal(200, session:get("/next", { host = "a.example.com" }).status)
    gate:set_rules {}
    session:close()
  end)
end)
