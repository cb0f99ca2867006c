-- What the plain members of struct moon_host_terms do to a host's connections and requests (gate/snapshot.h).

local gate = require "spec.support.gate"

describe("a host that is served over HTTPS only", function()
  local origin, gateway

  setup(function()
    origin = gate.origin()
    gateway = gate.start { hosts = {
      ["a.test"] = { origin = origin.port, https_only = true }, ["b.test"] = { origin = origin.port },
    } }
  end)
  teardown(function()
    gateway:close()
    origin:close()
  end)

  for _, case in ipairs {
    { "GET / HTTP/1.1\r\nHost: a.test", "https://a.test/" },
    { "GET /x/../y?q=%20&r HTTP/1.1\r\nHost: A.Test.:8080", "https://a.test/y?q=%20&r" },
    { "GET http://a.test/z HTTP/1.1\r\nHost: a.test", "https://a.test/z" },
    { "GET //b.test/x HTTP/1.1\r\nHost: a.test", "https://a.test//b.test/x" },
    { "OPTIONS * HTTP/1.1\r\nHost: a.test", "https://a.test/" },
    { "POST /p HTTP/1.1\r\nContent-Length: 0\r\nHost: a.test", "https://a.test/p" },
  } do
    it(("sends %q there"):format(case[1]:match("^[^\r]+")), function()
      local client = gateway:connect()
      for _ = 1, 2 do -- the connection stays open
        client:send(case[1] .. "\r\n\r\n")
        local answer = client:response()
        assert.equal(301, answer.status)
        assert.equal(case[2], answer:field "location")
        assert.equal("0", answer:field "content-length")
        assert.truthy(answer:field "cf-ray")
      end
      client:close()
      assert.is_false(origin:is_called(0))
    end)
  end

  for name, options in pairs {
    ["is served with TLS"] = { "a.test", { tls = true, sni = "a.test" } }, ["leaves other hosts alone"] = { "b.test", {} },
  } do
    it(name, function()
      local client = gateway:connect(options[2])
      client:send(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(options[1]))
      local peer = origin:accept()
      peer:request()
      peer:answer(204, "")
      assert.equal(204, client:response().status)
      peer:close()
      client:close()
    end)
  end
end)

describe("a host without websockets", function()
  it("has the request to switch answered like any other", function()
    local origin = gate.origin()
    local gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port, no_websockets = true } } }
    local client = gateway:connect()
    client:send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
      .. "Sec-WebSocket-Version: 13\r\n\r\n")
    local peer = origin:accept()
    local head = peer:request():lower()
    assert.is_nil(head:find("\r\nupgrade:", 1, true))
    assert.is_nil(head:find("\r\nconnection:", 1, true))
    peer:answer(200, "plain")
    local answer = client:response()
    assert.equal(200, answer.status)
    assert.equal("plain", answer.body)
    for _, one in ipairs { client, peer, gateway, origin } do one:close() end
  end)

  it("makes an origin's 101 a fault of the origin", function()
    local origin = gate.origin()
    local gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port, no_websockets = true } } }
    local client = gateway:connect()
    client:send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    local peer = origin:accept()
    peer:request()
    peer:send "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert.equal(502, client:response().status)
    for _, one in ipairs { client, peer, gateway, origin } do one:close() end
  end)
end)

describe("a host without resumption", function()
  for _, version in ipairs { "1.2", "1.3" } do
    it("makes a full handshake every time, with sessions from before as well, TLS " .. version, function()
      local origin = gate.origin()
      local gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port }, ["b.test"] = { no_resumption = true } } }
      -- A connection of `host` after one answer; what the next one may resume, and whether it was resumed itself.
      local function connection(host, kept)
        local client = gateway:connect { tls = true, sni = host, version = version, resume = kept }
        client:send("GET / HTTP/1.1\r\nHost: nowhere.invalid\r\n\r\n")
        client:response()
        local session, resumed = client:resumable(), client:is_resumed()
        client:close()
        return session, resumed
      end
      assert.is_false(select(2, connection("b.test", (connection "b.test"))))
      local kept = connection "a.test"
      assert.is_true(select(2, connection("a.test", kept)))
      kept = connection "a.test"
      gateway:publish { ["a.test"] = { origin = origin.port, no_resumption = true } }
      assert.is_false(select(2, connection("a.test", kept)))
      gateway:close()
      origin:close()
    end)
  end
end)
