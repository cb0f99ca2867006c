-- What goes through: framing both ways, hop-by-hop fields, forwarded fields, warm connections, and origins that fail.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local client = require "spec.support.client"

local HOST = "www.example.com"

-- Answers that no decent origin gives; /raw/NAME sends them as they are.
local RAW = {
  ["two-lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
  ["length-and-chunked"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
  ["gzip-chunked"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  ["bare-lf"] = "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
  ["folded"] = "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
  ["nul"] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
  ["split"] = "HTTP/1.1 200 OK\r\nLocation: /a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
  ["status-20"] = "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
  ["garbage"] = "SSH-2.0-OpenSSH_9.2\r\n",
  ["unasked-101"] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
  ["many-1xx"] = ("HTTP/1.1 103 Early Hints\r\n\r\n"):rep(20) .. "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  ["two-answers"] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
}

describe("the proxy", function()
  local gate, behind, session

  setup(function()
    behind = origin.start(RAW)
    gate = gateway.start { origin = behind, config = {
      workers = 1, timeouts = { origin_head = 1, origin_idle = 1, origin_connect = 2 },
    } }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  before_each(function() session = gate:connect { host = HOST } end)
  after_each(function() session:close() end)

  local function get(target, options)
    options = options or {}
    options.host = options.host or HOST
    return assert(session:get(target, options))
  end

  describe("bodies toward the client", function()
    for _, case in ipairs {
      { "/bytes/0", 0 }, { "/bytes/1", 1 }, { "/bytes/300000", 300000 },
      { "/chunks/3/5", 15 }, { "/chunks/200/10000", 2000000 }, { "/until-close/70000", 70000 },
    } do
      it(("passes %s whole and keeps the client's connection"):format(case[1]), function()
        local answer = get(case[1])
        assert.equal(200, answer.status)
        assert.is_nil(answer.incomplete)
        assert.equal(case[2], #answer.body)
        assert.equal(200, get("/next").status)
      end)
    end

    it("answers HEAD with the fields and no body", function()
      local answer = session:request("HEAD", "/bytes/1234", { host = HOST })
      assert.equal(200, answer.status)
      assert.equal("1234", answer:field("content-length"))
      assert.equal(200, get("/next").status)
    end)

    for _, status in ipairs { 204, 304 } do
      it(("passes %d without a body"):format(status), function()
        local answer = get("/status/" .. status)
        assert.equal(status, answer.status)
        assert.is_nil(answer:field("transfer-encoding"))
        assert.equal(200, get("/next").status)
      end)
    end

    for _, status in ipairs { 201, 302, 404, 500, 503 } do
      it(("passes %d as it came"):format(status), function() assert.equal(status, get("/status/" .. status).status) end)
    end

    it("drops trailers", function()
      local answer = get("/trailers")
      assert.equal(20, #answer.body)
      assert.same({}, answer.trailers)
    end)

    it("gives an HTTP/1.0 client no chunks", function()
      session:send(client.request_bytes("GET", "/chunks/3/5", { host = HOST, minor = 0 }))
      local answer = session:response()
      assert.equal(200, answer.status)
      assert.is_nil(answer:field("transfer-encoding"))
      assert.equal(15, #answer.body)
    end)

    it("passes early hints or leaves them out, and then the answer", function()
      assert.equal("after the hints\n", get("/early-hints").body)
    end)
  end)

  describe("bodies toward the origin", function()
    for _, size in ipairs { 0, 1, 100000, 3000000 } do
      it(("passes %d bytes with a length"):format(size), function()
        local body = ("x"):rep(size)
        local answer = session:request("POST", "/echo", { host = HOST, body = body })
        assert.equal(200, answer.status)
        assert.equal(size, #answer.body)
        assert.is_true(body == answer.body)
      end)
    end

    it("passes chunks, without their extensions and trailers", function()
      local answer = session:request("POST", "/echo", { host = HOST, fields = { { "Transfer-Encoding", "chunked" } },
        body = "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n" })
      assert.equal(200, answer.status)
      assert.equal("hello world", answer.body)
      assert.equal(200, get("/next").status)
    end)

    it("answers Expect: 100-continue before the body comes", function()
      session:send(client.request_bytes("POST", "/echo", { host = HOST,
        fields = { { "Expect", "100-continue" }, { "Content-Length", "5" } } }))
      local interim = session:response { interim = true }
      assert.equal(100, interim.status)
      session:send("hello")
      assert.equal("hello", session:response().body)
      local requests = behind:requests("/echo")
      assert.is_nil(requests[#requests]:field("expect"))
    end)

    it("refuses any other expectation", function()
      assert.equal(417, session:request("POST", "/echo", { host = HOST, fields = { { "Expect", "a miracle" } }, body = "x" }).status)
    end)

    it("keeps the framing of a body on GET", function()
      assert.equal("5 bytes\n", session:request("GET", "/sink", { host = HOST, body = "hello" }).body)
    end)
  end)

  it("answers pipelined requests in their order", function()
    session:send(client.request_bytes("GET", "/wait/150", { host = HOST }) .. client.request_bytes("GET", "/bytes/3", { host = HOST })
      .. client.request_bytes("POST", "/echo", { host = HOST, body = "last" }))
    assert.truthy(session:response().body:find("GET /wait/150", 1, true))
    assert.equal("012", session:response().body)
    assert.equal("last", session:response().body)
  end)

  describe("fields toward the origin", function()
    local function seen(fields)
      get("/fields", { fields = fields })
      local requests = behind:requests("/fields")
      return requests[#requests]
    end

    it("adds the client's address, the scheme and the ray", function()
      local answer = get("/fields")
      local requests = behind:requests("/fields")
      local request = requests[#requests]
      assert.equal("127.0.0.1", request:field("cf-connecting-ip"))
      assert.equal("127.0.0.1", request:field("x-forwarded-for"))
      assert.equal("https", request:field("x-forwarded-proto"))
      assert.equal('{"scheme":"https"}', request:field("cf-visitor"))
      assert.equal(answer:field("cf-ray"), request:field("cf-ray"))
      assert.equal(HOST, request:field("host"))
    end)

    it("appends to X-Forwarded-For", function()
      assert.equal("192.0.2.1, 127.0.0.1", seen({ { "X-Forwarded-For", "192.0.2.1" } }):field("x-forwarded-for"))
    end)

    for _, name in ipairs { "CF-Connecting-IP", "cf-ray", "CF-Visitor", "X-Forwarded-Proto", "Cf-Client-Cert-Sha256",
      "Cf-Client-Cert-Der-Base64", "Cf-Cert-Verified", "Cf-Worker", "Client-Cert", "Client-Cert-Chain", "True-Client-IP",
      "CF_Connecting_IP", "X_Forwarded_For", "Client.Cert", "SSL-Client-Verify", "X-SSL-Client-Cert" } do
      it("does not let a client speak under the name " .. name, function()
        local request = seen { { name, "spoofed" } }
        for _, field in ipairs(request.fields) do assert.is_nil(field[2]:find("spoofed", 1, true), field[1]) end
      end)
    end

    it("removes hop-by-hop fields and those that Connection names", function()
      local request = seen { { "Connection", "keep-alive, x-private, cf-connecting-ip" }, { "X-Private", "1" }, { "Keep-Alive", "5" },
        { "Proxy-Connection", "keep-alive" }, { "TE", "gzip" }, { "Trailer", "X" }, { "Proxy-Authorization", "x" }, { "X-Kept", "1" } }
      for _, name in ipairs { "x-private", "keep-alive", "proxy-connection", "te", "trailer", "proxy-authorization" } do
        assert.is_nil(request:field(name), name)
      end
      assert.equal("1", request:field("x-kept"))
      assert.equal("127.0.0.1", request:field("cf-connecting-ip"))
    end)

    it("never forwards an upgrade to h2c", function()
      local request = seen { { "Connection", "Upgrade, HTTP2-Settings" }, { "Upgrade", "h2c" }, { "HTTP2-Settings", "AAMAAABkAAQAAP__" } }
      assert.is_nil(request:field("upgrade"))
      assert.is_nil(request:field("http2-settings"))
    end)

    it("sends a normalised path, and the query as it came", function()
      get("/a%2Fb/c//d?x=1&y=%20")
      assert.equal(1, #behind:requests("/a%2Fb/c//d?x=1&y=%20"))
    end)
  end)

  describe("connections to the origin", function()
    it("are kept and used again", function()
      get("/reuse")
      get("/reuse")
      local requests = behind:requests("/reuse")
      assert.equal(requests[1].connection, requests[2].connection)
    end)

    it("that went stale are replaced without the client noticing", function()
      assert.equal(200, get("/drop-next").status)
      local answer = get("/after-stale")
      assert.equal(200, answer.status)
      assert.truthy(answer.body:find("GET /after-stale", 1, true))
    end)

    it("that went stale do not repeat a request that is not idempotent", function()
      assert.equal(200, get("/drop-next").status)
      assert.equal(502, session:request("POST", "/stale-post", { host = HOST, body = "x" }).status)
      assert.equal(1, #behind:requests("/stale-post"))
    end)
  end)

  describe("an origin that fails", function()
    it("by closing without an answer gives 502", function() assert.equal(502, get("/drop").status) end)
    it("by not answering in time gives 504", function() assert.equal(504, get("/wait/5000").status) end)

    for name in pairs(RAW) do
      it("by answering with " .. name .. " gives 502, or nothing of it", function()
        local answer = get("/raw/" .. name)
        if name == "two-answers" then
          assert.equal("ok", answer.body)
        else
          assert.equal(502, answer.status)
        end
        session:close()
        session = gate:connect { host = HOST }
        assert.truthy(get("/next").body:find("GET /next", 1, true))
      end)
    end

    for _, target in ipairs { "/truncated/100000", "/truncated-chunks" } do
      it(("by ending in the middle is visible to the client: %s"):format(target), function()
        local answer = get(target)
        assert.equal(200, answer.status)
        assert.truthy(answer.incomplete)
      end)
    end

    it("by not being there gives 502 with a page", function()
      gate:set_origin(gate.zone, "gone.example.com", "http://127.0.0.1:1")
      local answer = get("/", { host = "gone.example.com" })
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find(answer:field("cf-ray"), 1, true))
    end)

    it("by not being configured gives an error page", function()
      local zone = gate:create_zone("empty.test")
      local answer = get("/", { host = "www.empty.test" })
      assert.equal(530, answer.status)
      gate:api("DELETE", "/zones/" .. zone)
    end)
  end)
end)
