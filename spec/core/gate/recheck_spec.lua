local ffi = require "ffi"
local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local UPGRADE = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
local SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

-- What becomes of connections that are open when a snapshot is adopted (moon_recheck_begin).
describe("an open connection after a change", function()
  local ca, other = certs.ca "Recheck", certs.ca "Recheck other"
  local device, stranger = certs.leaf(ca, { cn = "device" }), certs.leaf(other, { cn = "stranger" })
  local shown = shell.run { "openssl", "x509", "-in", device.path, "-noout", "-fingerprint", "-sha256" }.stdout
  local fingerprint = shown:match("=([%x:]+)"):gsub(":", ""):lower()
  local origin, gateway, trust, denied, both, others

  setup(function()
    trust, denied, others = gate.trust(ca.pem), gate.trust(ca.pem, fingerprint), gate.trust(other.pem)
    both = gate.trust(ca.pem .. other.pem)
  end)
  before_each(function() origin = gate.origin() end)
  after_each(function()
    gateway:close()
    origin:close()
  end)

  local function start(first, options)
    gateway = gate.start { hosts = { ["a.test"] = first, ["mark.test"] = { origin = origin.port } }, options = options }
  end

  -- Publishes and waits until the one worker has gone through its connections: they are looked at in the order in which they came,
  -- and the last one to come is closed for sure.
  local function publish(second)
    local mark = gateway:connect { tls = true, sni = "mark.test" }
    assert.equal(404, mark:get("/", { host = "nowhere.invalid" }).status)
    gateway:publish { ["a.test"] = second, ["mark.test"] = {} }
    assert.is_true(mark:is_closed())
    mark:close()
  end

  local function connect(certificate, options)
    local given = { tls = true, sni = "a.test", cert = certificate and certificate.path, key = certificate and certificate.key_path }
    for name, value in pairs(options or {}) do given[name] = value end
    return gateway:connect(given)
  end

  local function served(more)
    local host = { origin = origin.port }
    for name, value in pairs(more or {}) do host[name] = value end
    if host.origin == "none" then host.origin = nil end
    return host
  end

  -- A request to the origin is under way on `client`: what the origin has of it.
  local function ask(client)
    client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    local peer = origin:accept()
    peer:request()
    return peer
  end

  -- The client's and the origin's side of a tunnel.
  local function tunnel(client)
    client:send(UPGRADE)
    local peer = origin:accept()
    peer:request()
    peer:send(SWITCH)
    assert.equal(101, client:response().status)
    return client, peer
  end

  for _, case in ipairs {
    -- what, certificate, host before, host after, closed
    { "its certificate is revoked", device, { trust = "trust" }, { trust = "denied" }, true },
    { "its certificate comes back", device, { trust = "denied" }, { trust = "trust" }, false },
    { "its CA is not trusted any more", device, { trust = "trust" }, { trust = "others" }, true },
    { "no CA is trusted any more", device, { trust = "trust" }, {}, true },
    { "another CA is trusted too", device, { trust = "trust" }, { trust = "both" }, false },
    { "another CA is trusted too, which its certificate comes from", stranger, { trust = "trust" }, { trust = "both" }, false },
    { "another CA is trusted, and it has no certificate", nil, { trust = "trust" }, { trust = "both" }, true },
    { "a CA is trusted, and it was never asked for a certificate", nil, {}, { trust = "trust" }, true },
    { "nothing about its host changed", device, { trust = "trust" }, { trust = "trust" }, false },
    { "nothing about its host changed, without a certificate", nil, { trust = "trust" }, { trust = "trust" }, false },
    { "nothing about its host changed, with one of a stranger", stranger, { trust = "trust" }, { trust = "trust" }, false },
    { "its host has no origin any more", nil, {}, { origin = "none" }, true },
    { "only how its host is served changed", device, { trust = "trust" }, { trust = "trust", forward = 15 }, false },
  } do
    local what, certificate, before, after, closed = case[1], case[2], case[3], case[4], case[5]
    local function host(given)
      local sets = { trust = trust, denied = denied, both = both, others = others }
      return served { trust = sets[given.trust], forward = given.forward,
        origin = given.origin or origin.port }
    end

    it(("is %s while idle when %s"):format(closed and "closed" or "left open", what), function()
      start(host(before))
      local client = connect(certificate)
      local peer = ask(client)
      peer:answer(200, "")
      assert.equal(200, client:response().status)
      publish(host(after))
      if closed then
        assert.is_true(client:is_closed())
      else
        client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
        peer:request()
        peer:answer(204, "")
        assert.equal(204, client:response().status)
      end
      client:close()
      peer:close()
    end)

    it(("is %s as a tunnel when %s"):format(closed and "cut" or "left open", what), function()
      start(host(before))
      local client, peer = tunnel(connect(certificate))
      publish(host(after))
      if closed then
        assert.equal("closed", select(2, peer:receive_all()))
        assert.is_true(client:is_closed())
        gateway:await("open", 0)
      else
        client:send "ping"
        assert.equal("ping", peer:receive_until "ping")
        peer:send "pong"
        assert.equal("pong", client:receive())
      end
      client:close()
      peer:close()
    end)
  end

  it("finishes the request under way, and says that it was the last one", function()
    start(served { trust = trust })
    local client = connect(device)
    local peer = ask(client)
    publish(served { trust = denied })
    peer:answer(200, "whole")
    local answer = client:response()
    assert.equal(200, answer.status)
    assert.equal("whole", answer.body)
    assert.equal("close", answer:field "connection")
    assert.is_true(client:is_closed())
    client:close()
    peer:close()
  end)

  it("finishes an answer that has begun, and is closed then", function()
    start(served { trust = trust })
    local client = connect(device)
    local peer = ask(client)
    peer:send "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal"
    publish(served { trust = denied })
    peer:send "ves"
    assert.equal("halves", client:response().body)
    assert.is_true(client:is_closed())
    client:close()
    peer:close()
  end)

  it("answers a request of which a part had come, as its last one", function()
    start(served { trust = trust })
    local client = connect(device)
    client:send "GET / HTTP/1.1\r\nHo"
    client:send "st: a.te" -- in records of their own: the first was read when the second is
    publish(served { trust = denied })
    client:send "st\r\n\r\n"
    local peer = origin:accept()
    assert.truthy(peer:request():find("Host: a.test", 1, true))
    peer:answer(200, "")
    local answer = client:response()
    assert.equal(200, answer.status)
    assert.equal("close", answer:field "connection")
    client:close()
    peer:close()
  end)

  it("becomes no tunnel any more while the origin is asked for one", function()
    start(served { trust = trust })
    local client = connect(device)
    client:send(UPGRADE)
    local peer = origin:accept()
    peer:request()
    publish(served { trust = denied })
    peer:send(SWITCH)
    assert.equal(403, client:response().status)
    assert.equal("closed", select(2, peer:receive_all()))
    assert.is_true(client:is_closed())
    client:close()
    peer:close()
  end)

  it("is cut as a tunnel without TLS too, when its host is not served any more", function()
    start(served())
    local client, peer = tunnel(gateway:connect())
    publish(served { origin = "none" })
    assert.is_true(client:is_closed())
    assert.equal("closed", select(2, peer:receive_all()))
    client:close()
    peer:close()
  end)

  it("is cut as a tunnel at the end of the certificate's validity, however much passes", function()
    local brief = certs.leaf(ca, { cn = "brief", not_before = os.time() - 60, not_after = os.time() + 4 })
    start(served { trust = trust })
    local client, peer = tunnel(connect(brief))
    wait.until_true("the tunnel to be cut", function()
      client:send "x"
      return select(2, peer:receive(0.05)) == "closed"
    end, 15)
    gateway:await_log "the client's certificate is not valid any more"
    client:close()
    peer:close()
  end)

  it("is cut as a tunnel at that moment when its client has stopped reading, too", function()
    local brief = certs.leaf(ca, { cn = "brief", not_before = os.time() - 60, not_after = os.time() + 3 })
    start(served { trust = trust })
    local client, peer = tunnel(connect(brief))
    local piece = ("y"):rep(64 * 1024)
    wait.until_true("the tunnel to be cut", function()
      for _ = 1, 256 do -- MSG_DONTWAIT and MSG_NOSIGNAL: as much as the gateway takes
        if ffi.C.send(peer.fd, piece, #piece, 0x4040) < 0 then break end
      end
      return gateway:counters().open == 0
    end, 10)
    gateway:await_log "the client's certificate is not valid any more"
    client:close()
    peer:close()
  end)

  describe("as a tunnel whose CA comes with another end of its validity", function()
    local brief_ca, lasting_ca, tunnelled

    before_each(function()
      brief_ca = certs.ca("Renewed", { not_before = os.time() - 60, not_after = os.time() + 3 })
      lasting_ca = certs.ca("Renewed", { key = brief_ca })
      tunnelled = certs.leaf(brief_ca, { cn = "tunnelled" })
    end)

    it("lasts on when that is later, though nothing passes", function()
      start(served { trust = gate.trust(brief_ca.pem) })
      local client, peer = tunnel(connect(tunnelled))
      publish(served { trust = gate.trust(lasting_ca.pem) })
      assert.equal("silent", select(2, peer:receive(5)))
      client:send "ping"
      assert.equal("ping", peer:receive_until "ping")
      client:close()
      peer:close()
    end)

    it("is cut then when that is earlier, though nothing passes", function()
      start(served { trust = gate.trust(lasting_ca.pem) })
      local client, peer = tunnel(connect(tunnelled))
      publish(served { trust = gate.trust(brief_ca.pem) })
      assert.equal("closed", select(2, peer:receive(10)))
      gateway:await_log "the client's certificate is not valid any more"
      client:close()
      peer:close()
    end)
  end)

  it("is ended with hundreds of others", function()
    start(served { trust = trust })
    local clients = {}
    for i = 1, 300 do
      clients[i] = connect(nil)
      clients[i]:get("/", { host = "nowhere.invalid" })
    end
    publish(served { trust = both })
    for _, client in ipairs(clients) do
      assert.is_true(client:is_closed())
      client:close()
    end
    gateway:await("open", 0)
  end)
end)
