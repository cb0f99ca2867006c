local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local net = require "spec.support.client"
local wait = require "spec.support.wait"

local function get(host, more) return ("GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n"):format(host or "a.test", more or "") end

-- b.test has no origin: the gateway itself answers 530, which is all that most of these cases need.
local NO_ORIGIN = 530

describe("a client's connection", function()
  local origin, gateway

  local function start(options)
    if gateway then gateway:close() end
    gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port }, ["b.test"] = {} }, options = options }
  end

  before_each(function()
    origin = gate.origin()
    start()
  end)
  after_each(function()
    gateway:close()
    gateway = nil
    origin:close()
  end)

  for _, options in ipairs { { tls = false }, { tls = true, sni = "a.test" } } do
    local kind = options.tls and "over TLS" or "in plain"

    it("serves request after request " .. kind, function()
      local client = gateway:connect(options)
      for _ = 1, 50 do
        local answer = client:get("/", { host = "b.test" })
        assert.equal(NO_ORIGIN, answer.status)
        assert.is_nil(answer:field "connection")
      end
      assert.equal(1, gateway:counters().connections)
      assert.equal(50, gateway:counters().requests)
    end)

    it("serves a hundred requests that come in one piece, in order, " .. kind, function()
      local client = gateway:connect(options)
      local pieces = {}
      for i = 1, 100 do pieces[i] = i % 2 == 0 and get "b.test" or get "nobody" end
      client:send(table.concat(pieces))
      for i = 1, 100 do assert.equal(i % 2 == 0 and NO_ORIGIN or 404, client:response().status) end
    end)

    it("serves requests that come byte by byte " .. kind, function()
      local client = gateway:connect(options)
      local bytes = "POST / HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
      for i = 1, #bytes do client:send(bytes:sub(i, i)) end
      assert.equal(NO_ORIGIN, client:response().status)
      assert.is_true(client:is_closed()) -- the chunked body that nobody wants is not waited for
    end)

    it("is closed behind a refusal, and nothing behind it is read as a request, " .. kind, function()
      for _, case in ipairs {
        { "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: a.test\n\n", 400 },
        { "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505 },
        { "GET / HTTP/1.1\r\nHost: a.test\r\nExpect: a-miracle\r\n\r\n", 417 },
        { "GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n", 501 },
        { "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405 },
        { "GET /" .. ("x"):rep(9000) .. " HTTP/1.1\r\nHost: a.test\r\n\r\n", 414 },
        { "GET / HTTP/1.1\r\nHost: a.test\r\nX: " .. ("x"):rep(17000) .. "\r\n\r\n", 431 },
        { "GET / HTTP/1.1\r\nHost: a.test\r\n" .. ("X: y\r\n"):rep(200) .. "\r\n", 431 },
        { "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 104857601\r\n\r\n", 413 },
      } do
        local before = gateway:counters().requests
        local client = gateway:connect(options)
        client:send(case[1] .. get("a.test"):rep(3))
        local answer = client:response()
        assert.equal(case[2], answer.status)
        assert.equal("close", answer:field "connection")
        assert.is_true(client:is_closed())
        client:close()
        assert.equal(before + 1, gateway:counters().requests)
      end
      assert.is_false(origin:is_called())
    end)

    it("is gone wherever the client resets it, " .. kind, function()
      local bytes = "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 5\r\n\r\nhello" .. get "b.test" .. get "a.test"
      for i = 0, #bytes, 3 do
        local client = gateway:connect(options)
        client:send(bytes:sub(1, i))
        gate.reset(client)
      end
      gateway:await("open", 0)
    end)
  end

  describe("without TLS on the port for TLS", function()
    it("is told so in a whole answer", function()
      local client = assert(net.connect { port = gateway.https, tls = false })
      client:send(get())
      local answer = client:response()
      assert.equal(400, answer.status)
      assert.is_nil(answer.incomplete)
      assert.truthy(answer.body:find("it%.$"))
      assert.is_true(client:is_closed())
      assert.equal(0, gateway:counters().requests)
    end)

    for name, bytes in pairs { ["garbage"] = "\0\1\2\3", ["one byte"] = "G", ["SSH"] = "SSH-2.0-x\r\n",
      ["a record of the wrong version"] = "\22\9\9\0\5hello", ["an endless record"] = "\22\3\1\255\255" .. ("x"):rep(70000) } do
      it("is closed for " .. name, function()
        local client = assert(net.connect { port = gateway.https, tls = false })
        client:send(bytes)
        client:end_sending()
        repeat local more = client:receive() until not more
        client:close()
        gateway:await("open", 0)
        assert.equal(0, gateway:counters().requests)
      end)
    end
  end)

  describe("in the TLS handshake", function()
    it("is gone wherever the client ends it", function()
      -- A ClientHello as any client sends it, cut at many places; closed or reset.
      local listener = gate.origin()
      local pid = io.popen(("timeout 10 openssl s_client -connect 127.0.0.1:%d -servername a.test </dev/null >/dev/null 2>&1 &")
        :format(listener.port))
      local hello = listener:accept():receive()
      pid:close()
      listener:close()
      for i = 1, #hello - 1, 9 do
        local client = assert(net.connect { port = gateway.https, tls = false })
        client:send(hello:sub(1, i))
        if i % 2 == 0 then client:close() else gate.reset(client) end
      end
      gateway:await("open", 0)
      assert.equal(0, gateway:counters().handshakes)
      -- In pieces of one byte it is a good hello all the same: the answer begins with a handshake record.
      local client = assert(net.connect { port = gateway.https, tls = false })
      for i = 1, #hello do client:send(hello:sub(i, i)) end
      assert.equal("\22\3\3", client:receive():sub(1, 3))
      client:close()
    end)

    it("is cut at the deadline, whatever comes meanwhile", function()
      start(function(options) options.timeouts.handshake = 700 end)
      local silent = assert(net.connect { port = gateway.https, tls = false })
      local slow = assert(net.connect { port = gateway.https, tls = false })
      local began = wait.now()
      for i = 1, 4 do
        slow:send(("\22\3\1\2\0\1\0"):sub(i, i))
        wait.pause(0.1)
      end
      assert.is_true(silent:is_closed())
      assert.is_true(slow:is_closed())
      assert.is_true(wait.now() - began > 0.6 and wait.now() - began < 3)
      gateway:await("open", 0)
      assert.equal(1, gateway:counters().handshakes_failed) -- one that never sent a byte is no failed handshake
    end)
  end)

  describe("and its deadlines:", function()
    local function timed(client)
      local began = wait.now()
      local answer = client:response()
      return wait.now() - began, answer
    end

    it("a head that does not end in time is answered 408, and bytes do not move that", function()
      start(function(options) options.timeouts.head = 1000 end)
      local client = gateway:connect()
      local began = wait.now()
      client:send "GET / HTTP/1.1\r\nHost: a.test\r\n"
      for _ = 1, 4 do
        wait.pause(0.15)
        client:send "X: y\r\n"
      end
      local _, answer = timed(client)
      assert.equal(408, answer.status)
      assert.is_true(wait.now() - began > 0.9 and wait.now() - began < 2)
      assert.is_true(client:is_closed())
    end)

    it("a connection without a first request is closed without a word", function()
      start(function(options) options.timeouts.head = 700 end)
      local client = gateway:connect()
      local took, answer = timed(client)
      assert.is_nil(answer)
      assert.is_true(took > 0.6 and took < 2)
    end)

    it("an idle connection is closed, each request beginning anew", function()
      start(function(options) options.timeouts.keep_alive = 1000 end)
      local client = gateway:connect()
      for _ = 1, 3 do
        wait.pause(0.6)
        assert.equal(NO_ORIGIN, client:get("/", { host = "b.test" }).status)
      end
      local took = timed(client)
      assert.is_true(took > 0.9 and took < 2)
    end)

    it("an idle connection may begin a head late and still has the time for it", function()
      start(function(options) options.timeouts.keep_alive, options.timeouts.head = 600, 1500 end)
      local client = gateway:connect()
      assert.equal(NO_ORIGIN, client:get("/", { host = "b.test" }).status)
      wait.pause(0.3)
      client:send "GET / HTTP/1.1\r\n"
      wait.pause(0.8)
      client:send "Host: b.test\r\n\r\n"
      assert.equal(NO_ORIGIN, client:response().status)
    end)

    it("the head of a pipelined request has its own time", function()
      start(function(options) options.timeouts.head = 1000 end)
      local client = gateway:connect()
      client:send(get "a.test" .. "GET / HTTP/1.1\r\n")
      local peer = origin:accept()
      peer:request()
      wait.pause(1.3) -- the origin's time is not counted
      peer:answer(200, "ok")
      assert.equal(200, client:response().status)
      wait.pause(0.5)
      client:send "Host: b.test\r\n\r\n"
      assert.equal(NO_ORIGIN, client:response().status)
    end)

    it("a body may pause as long as the option says", function()
      start(function(options) options.timeouts.body_idle = 1200 end)
      local client = gateway:connect()
      client:send "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n"
      local peer = origin:accept()
      peer:request()
      for i = 1, 3 do
        wait.pause(0.7)
        client:send(tostring(i))
      end
      assert.equal("123", peer:receive_until "3")
      peer:answer(200, "ok")
      assert.equal(200, client:response().status)
    end)
  end)

  describe("and its limits:", function()
    for _, case in ipairs {
      { "start_line", 100, "GET /" .. ("x"):rep(86) .. " HTTP/1.1\r\nHost: b.test\r\n\r\n", "GET /" .. ("x"):rep(87) .. " HTTP/1.1\r\nHost: b.test\r\n\r\n", 414 },
      { "field", 100, get("b.test", "X: " .. ("x"):rep(97) .. "\r\n"), get("b.test", "X: " .. ("x"):rep(98) .. "\r\n"), 431 },
      { "head", 100, "GET / HTTP/1.1\r\nHost: b.test\r\nX: " .. ("x"):rep(63) .. "\r\n\r\n", "GET / HTTP/1.1\r\nHost: b.test\r\nX: " .. ("x"):rep(64) .. "\r\n\r\n", 431 },
      { "fields", 3, get("b.test", "A: b\r\nC: d\r\n"), get("b.test", "A: b\r\nC: d\r\nE: f\r\n"), 431 },
      { "body", 3, "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 4\r\n\r\nabcd", 413 },
    } do
      it(("%s counts to the byte"):format(case[1]), function()
        start(function(options) options.limits[case[1]] = case[2] end)
        local client = gateway:connect()
        client:send(case[3])
        assert.equal(NO_ORIGIN, client:response().status)
        client:send(case[4])
        assert.equal(case[5], client:response().status)
        assert.is_true(client:is_closed())
      end)
    end

    it("a chunked body is refused when it passes the limit, and the origin does not take it for whole", function()
      start(function(options) options.limits.body = 10 end)
      local client = gateway:connect()
      client:send "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n"
      local peer = origin:accept()
      peer:request()
      assert.equal("8\r\n12345678\r\n", peer:receive_until "12345678\r\n")
      client:send "3\r\nabc\r\n0\r\n\r\n"
      assert.equal(413, client:response().status)
      local rest = peer:receive_all()
      assert.is_nil(rest:find("0\r\n\r\n", 1, true))
    end)

    it("connections of one address", function()
      start(function(options) options.limits.connections_per_address = 2 end)
      local first, second = gateway:connect(), gateway:connect()
      assert.equal(NO_ORIGIN, first:get("/", { host = "b.test" }).status)
      assert.equal(NO_ORIGIN, second:get("/", { host = "b.test" }).status)
      local third = gateway:connect()
      third:send(get "b.test")
      assert.is_nil((third:response()))
      first:close()
      gateway:await("open", 1)
      local fourth = gateway:connect()
      assert.equal(NO_ORIGIN, fourth:get("/", { host = "b.test" }).status)
    end)

    it("idle connections to an origin", function()
      start(function(options) options.limits.idle_origin_connections = 1 end)
      local clients, peers = {}, {}
      for i = 1, 3 do
        clients[i] = gateway:connect()
        clients[i]:send(get())
        peers[i] = origin:accept()
        peers[i]:request()
      end
      for i = 1, 3 do
        peers[i]:answer(200, "ok")
        clients[i]:response()
      end
      local closed = 0
      for i = 1, 3 do
        local _, err = peers[i]:receive(0.3)
        if err == "closed" then closed = closed + 1 end
      end
      assert.equal(2, closed)
    end)
  end)

  describe("whose body nobody wants", function()
    it("is kept when the body is short and its length known", function()
      local client = gateway:connect()
      client:send("POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 65536\r\n\r\n" .. ("x"):rep(1000))
      local answer = client:response()
      assert.equal(NO_ORIGIN, answer.status)
      assert.is_nil(answer:field "connection")
      client:send(("x"):rep(64536) .. get "b.test")
      assert.equal(NO_ORIGIN, client:response().status)
      assert.equal(2, gateway:counters().requests)
    end)

    for _, case in ipairs {
      { "long", "Content-Length: 65537\r\n" }, { "chunked", "Transfer-Encoding: chunked\r\n" },
      { "announced with Expect", "Content-Length: 10\r\nExpect: 100-continue\r\n" },
    } do
      it(("is closed when the body is %s, and the answer arrives all the same"):format(case[1]), function()
        local client = gateway:connect()
        client:send("POST / HTTP/1.1\r\nHost: b.test\r\n" .. case[2] .. "\r\n")
        local answer = client:response()
        assert.equal(NO_ORIGIN, answer.status)
        assert.equal("close", answer:field "connection")
        client:send "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
        assert.is_true(client:is_closed())
        assert.equal(1, gateway:counters().requests)
      end)
    end

    it("is cut when the client sends on and on", function()
      local client = gateway:connect()
      client:send("POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 90000000\r\n\r\n")
      assert.equal(NO_ORIGIN, client:response().status)
      local began, sent = wait.now(), 0
      while client:send(("x"):rep(16384)) and sent < 50000000 do sent = sent + 16384 end
      assert.is_true(sent < 50000000)
      assert.is_true(wait.now() - began < 5)
      gateway:await("open", 0)
    end)

    it("is cut when the client neither sends nor closes", function()
      local client = gateway:connect()
      client:send("POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 90000000\r\n\r\n")
      assert.equal(NO_ORIGIN, client:response().status)
      gateway:await("open", 0, 5)
      client:close()
    end)

    it("still answers a client that closes within it", function()
      local client = gateway:connect()
      client:send("POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 1000\r\n\r\nhalf")
      client:end_sending()
      assert.equal(NO_ORIGIN, client:response().status)
      assert.is_true(client:is_closed())
    end)
  end)

  describe("of HTTP/1.0", function()
    it("is closed after an answer", function()
      local client = gateway:connect()
      client:send "GET / HTTP/1.0\r\nHost: b.test\r\n\r\n"
      local answer = client:response()
      assert.equal(NO_ORIGIN, answer.status)
      assert.equal("close", answer:field "connection")
      assert.is_true(client:is_closed())
    end)

    it("is kept when it asks for that", function()
      local client = gateway:connect()
      for _ = 1, 3 do
        client:send "GET / HTTP/1.0\r\nHost: b.test\r\nConnection: keep-alive\r\n\r\n"
        assert.equal("keep-alive", client:response():field "connection")
      end
    end)

    it("gets no chunks", function()
      local client = gateway:connect()
      client:send "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"
      local peer = origin:accept()
      peer:request()
      peer:send "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
      local answer = client:response()
      assert.is_nil(answer:field "transfer-encoding")
      assert.equal("close", answer:field "connection")
      assert.equal("hello", answer.body)
      assert.equal("closed", answer.ended)
    end)

    it("without Host is served under the server name, and not at all without one", function()
      local client = gateway:connect { tls = true, sni = "b.test" }
      client:send "GET / HTTP/1.0\r\n\r\n"
      assert.equal(NO_ORIGIN, client:response().status)
      client = gateway:connect()
      client:send "GET / HTTP/1.0\r\n\r\n"
      assert.equal(400, client:response().status)
    end)
  end)

  it("gets the head of an answer and nothing behind it for HEAD", function()
    local client = gateway:connect()
    client:send("HEAD / HTTP/1.1\r\nHost: b.test\r\n\r\n" .. get "b.test")
    local answer = client:response { head = true }
    assert.is_true(tonumber(answer:field "content-length") > 0)
    assert.equal(answer:field "content-length", client:response():field "content-length")
  end)

  it("for one host is not good for another with other client CAs, both ways, and also without a server name", function()
    local trust = gate.trust(certs.ca("Guard").pem)
    gateway:publish { ["a.test"] = {}, ["b.test"] = { trust = trust }, ["c.test"] = { trust = trust } }
    for _, case in ipairs {
      { "a.test", "b.test", 421 }, { "b.test", "a.test", 421 }, { "b.test", "c.test", NO_ORIGIN }, { "b.test", "b.test", NO_ORIGIN },
      { nil, "b.test", 421 }, { nil, "a.test", NO_ORIGIN }, { "nobody.example", "b.test", 421 },
    } do
      local client = gateway:connect { tls = true, sni = case[1] }
      assert.equal(case[3], client:get("/", { host = case[2] }).status)
      client:close()
    end
    assert.equal(4, gateway:counters().misdirected)
  end)

  it("sees what is published from its next request on", function()
    local client = gateway:connect { tls = true, sni = "a.test" }
    assert.equal(NO_ORIGIN, client:get("/", { host = "b.test" }).status)
    local served = { origin = origin.port }
    gateway:publish { ["a.test"] = served, ["b.test"] = { trust = gate.trust(certs.ca("Late guard").pem) } }
    assert.equal(421, client:get("/", { host = "b.test" }).status)
    gateway:publish { ["a.test"] = served, ["b.test"] = {} }
    assert.equal(NO_ORIGIN, client:get("/", { host = "b.test" }).status)
  end)
end)
