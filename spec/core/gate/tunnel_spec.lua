local ffi = require "ffi"
local gate = require "spec.support.gate"
local wait = require "spec.support.wait"

local UPGRADE = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
  .. "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
local SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"

describe("a tunnel", function()
  local origin, gateway

  before_each(function()
    origin = gate.origin()
    gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port } } }
  end)
  after_each(function()
    gateway:close()
    origin:close()
  end)

  local function open(options)
    local client = gateway:connect(options)
    client:send(UPGRADE)
    local peer = origin:accept()
    local head = peer:request()
    assert.truthy(head:find("Connection: Upgrade\r\n", 1, true))
    assert.truthy(head:find("Upgrade: websocket\r\n", 1, true))
    peer:send(SWITCH)
    local answer = client:response()
    assert.equal(101, answer.status)
    assert.equal("y", answer:field "sec-websocket-accept")
    return client, peer
  end

  local function skip(peer, len)
    local left = len - #peer.input
    peer.input = ""
    while left > 0 do
      local bytes, err = peer:receive()
      if not bytes then return nil, err, left end
      left = left - #bytes
    end
    return true
  end

  for _, options in ipairs { { tls = false }, { tls = true, sni = "a.test" } } do
    local kind = options.tls and "over TLS" or "in plain"

    it("passes bytes both ways, NUL and all, " .. kind, function()
      local client, peer = open(options)
      client:send("\0GET / HTTP/1.1\r\n\r\n\255")
      assert.equal("\0GET / HTTP/1.1\r\n\r\n\255", peer:receive_until "\255")
      peer:send("\0\r\n\r\nHTTP/1.1 500 no\r\n\r\n\255")
      assert.equal("\0\r\n\r\nHTTP/1.1 500 no\r\n\r\n\255", client:receive())
      client:close()
      assert.equal("closed", select(2, peer:receive_all()))
    end)

    it("hands the client's last bytes to the origin when it closes right behind them, " .. kind, function()
      local client, peer = open(options)
      client:send(("last words "):rep(1000))
      client:close()
      assert.equal(("last words "):rep(1000), (peer:receive_all()))
    end)

    it("hands over what the origin is slow to take before it closes, " .. kind, function()
      origin:close()
      origin = gate.origin { receive_buffer = 4096 }
      gateway:publish { ["a.test"] = { origin = origin.port } }
      local client, peer = open(options)
      local all = ("0123456789abcdef"):rep(64 * 1024)
      for _ = 1, 3 do client:send(all) end -- fits into sockets' buffers and the gateway's, and waits there
      client:close()
      local bytes, how = peer:receive_all()
      assert.equal(3 * #all, #bytes)
      assert.is_true(bytes == all:rep(3))
      assert.equal("closed", how)
    end)

    it("hands the origin's last bytes to the client when it closes right behind them, " .. kind, function()
      local client, peer = open(options)
      client:send "unread by the origin"
      peer:send(("last words "):rep(1000))
      peer:end_sending()
      local got = {}
      while true do
        local bytes, err = client:receive()
        if not bytes then
          assert.equal("closed", err)
          break
        end
        got[#got + 1] = bytes
      end
      assert.equal(("last words "):rep(1000), table.concat(got))
      client:close()
      peer:close()
      gateway:await("open", 0)
    end)

    it("makes a fast origin wait for a slow client instead of cutting it off, " .. kind, function()
      local client, peer = open(options)
      local piece, sent = ("y"):rep(64 * 1024), 0
      -- Non-blocking on the origin's side: it writes until nothing goes any more.
      local stalled = wait.now()
      while sent < 64 * 1024 * 1024 do
        local count = tonumber(ffi.C.send(peer.fd, piece, #piece, 0x4040))
        if count > 0 then
          sent, stalled = sent + count, wait.now()
        elseif wait.now() - stalled > 0.5 then
          break
        end
      end
      assert.is_true(sent < 64 * 1024 * 1024, "the gateway took everything")
      assert.equal(1, gateway:counters().open)
      assert.equal(sent, client:skip(sent))
      peer:send "and more"
      assert.equal("and more", client:receive())
      client:close()
    end)

    it("makes a fast client wait for a slow origin, " .. kind, function()
      local client, peer = open(options)
      local limit = ffi.new("struct moon_spec_timeval", 0, 500000)
      ffi.C.setsockopt(client.fd, 1, 21, limit, ffi.sizeof(limit))
      local piece, sent = ("z"):rep(64 * 1024), 0
      while sent < 64 * 1024 * 1024 do
        if not pcall(client.send, client, piece) then break end
        sent = sent + #piece
      end
      assert.is_true(sent < 64 * 1024 * 1024, "the gateway took everything")
      assert.truthy(skip(peer, sent))
      gateway:await("open", 1)
      client:close()
    end)
  end

  it("holds what the client sends before the origin has switched", function()
    local client = gateway:connect()
    client:send(UPGRADE .. "early")
    local peer = origin:accept()
    peer:request()
    assert.equal("silent", select(2, peer:receive(0.3)))
    peer:send(SWITCH)
    assert.equal("early", peer:receive())
    client:close()
  end)

  it("never reads what came early as a request when the origin refuses", function()
    local client = gateway:connect()
    client:send(UPGRADE .. "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
    local peer = origin:accept()
    peer:request()
    peer:answer(426, "no")
    local answer = client:response()
    assert.equal(426, answer.status)
    assert.equal("close", answer:field "connection")
    assert.is_true(client:is_closed())
    assert.equal(1, gateway:counters().requests)
    assert.is_nil((peer:receive(0.3)))
    assert.is_false(origin:is_called())
  end)

  it("never reads what came early as a request when the gateway itself answers", function()
    local client = gateway:connect()
    client:send((UPGRADE:gsub("a.test", "b.test")) .. "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert.equal(530, client:response().status)
    assert.is_true(client:is_closed())
    assert.is_false(origin:is_called())
  end)

  it("ends with a reset client, and the origin's connection with it", function()
    local client, peer = open()
    gate.reset(client)
    assert.is_not.equal("silent", select(2, peer:receive_all(5)))
    gateway:await("open", 0)
  end)

  it("ends with a reset origin, and the client's connection with it", function()
    local client, peer = open()
    peer:reset()
    assert.is_true(client:is_closed())
    client:close()
    gateway:await("open", 0)
  end)

  it("gives the origin's 101 that nobody asked for to nobody", function()
    local client = gateway:connect()
    client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    local peer = origin:accept()
    peer:request()
    peer:send(SWITCH .. "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert.equal(502, client:response().status)
    assert.equal("closed", select(2, peer:receive_all()))
  end)

  it("is cut when the origin takes nothing for too long, the client being gone already", function()
    origin:close()
    origin = gate.origin { receive_buffer = 4096 }
    gateway:close()
    gateway = gate.start {
      hosts = { ["a.test"] = { origin = origin.port } },
      options = function(options) options.timeouts.write_idle = 700 end,
    }
    local client, peer = open()
    client:send(("x"):rep(4 * 1024 * 1024))
    client:close()
    gateway:await("open", 0, 5)
    peer:close()
  end)

  it("is cut when nothing passes for as long as the option says", function()
    gateway:close()
    gateway = gate.start {
      hosts = { ["a.test"] = { origin = origin.port } },
      options = function(options) options.timeouts.tunnel_idle = 500 end,
    }
    local client, peer = open()
    local began = wait.now()
    for _ = 1, 4 do -- each byte begins it anew
      wait.pause(0.3)
      peer:send "."
      assert.equal(".", client:receive())
    end
    assert.is_true(wait.now() - began > 1.1)
    assert.is_true(client:is_closed())
    assert.equal("closed", select(2, peer:receive_all()))
    assert.truthy(gateway:await_log "the tunnel was idle for too long")
  end)
end)
