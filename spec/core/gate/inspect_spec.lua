local gate = require "spec.support.gate"

local INSPECTED = 128 * 1024 -- MOON_INSPECT_BYTES

describe("a request whose rules read the body", function()
  local origin, gateway
  before_each(function()
    origin = gate.origin()
    gateway = gate.start {
      hosts = { ["a.test"] = { origin = origin.port } }, hooks = gate.hooks(),
      options = function(options) options.timeouts.body_idle = 700 end,
    }
  end)
  after_each(function()
    gateway:close()
    origin:close()
  end)

  local function post(body, more) return ("POST /body HTTP/1.1\r\nHost: a.test\r\n%sContent-Length: %d\r\n\r\n"):format(more or "", #body) .. body end
  local function chunk(body) return ("%x\r\n%s\r\n"):format(#body, body) end
  local CHUNKED = "POST /body HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"

  local function dechunk(bytes)
    local pieces = {}
    while true do
      local size, at = bytes:match("^(%x+)\r\n()")
      size = tonumber(size, 16)
      if size == 0 then return table.concat(pieces) end
      pieces[#pieces + 1] = bytes:sub(at, at + size - 1)
      bytes = bytes:sub(at + size + 2)
    end
  end

  it("waits until the whole of a short one is there, and then goes on with it", function()
    local client = gateway:connect()
    local bytes = post "hello, world"
    client:send(bytes:sub(1, -7))
    assert.is_false(origin:is_called(0.2))
    client:send(bytes:sub(-6))
    local peer = origin:accept()
    assert.truthy(peer:request():find("Content-Length: 12\r\n", 1, true))
    assert.equal("hello, world", peer:receive_until "world")
    peer:answer(200, "ok")
    local answer = client:response()
    assert.equal("ok", answer.body)
    assert.is_nil(answer:field "connection")
  end)

  it("goes on with a chunked one, framed anew", function()
    local client = gateway:connect()
    client:send(CHUNKED .. chunk "hello, ")
    assert.is_false(origin:is_called(0.2))
    client:send(chunk "world" .. "0\r\nTrailer: x\r\n\r\n")
    local peer = origin:accept()
    assert.truthy(peer:request():find("Transfer-Encoding: chunked\r\n", 1, true))
    assert.equal("hello, world", dechunk(peer:receive_until "0\r\n\r\n"))
    peer:answer(200, "ok")
    assert.equal("ok", client:response().body)
  end)

  for _, size in ipairs { INSPECTED - 1, INSPECTED, INSPECTED + 1, 1000000 } do
    for _, kind in ipairs { "length", "chunks" } do
      it(("loses nothing of %d bytes with %s"):format(size, kind), function()
        local client = gateway:connect()
        local body = ("0123456789abcde\n"):rep(math.ceil(size / 16)):sub(1, size)
        if kind == "length" then
          client:send(post(body))
        else
          client:send(CHUNKED)
          for i = 1, size, 50000 do client:send(chunk(body:sub(i, i + 49999))) end
          client:send "0\r\n\r\n"
        end
        local peer = origin:accept()
        peer:request()
        local got
        if kind == "chunks" then
          got = dechunk(peer:receive_until "\r\n0\r\n\r\n")
        else
          got = peer.input
          while #got < size do got = got .. assert(peer:receive()) end
        end
        assert.is_true(body == got)
        peer:answer(200, "ok")
        assert.equal("ok", client:response().body)
      end)
    end
  end

  it("never reaches the origin when they block it, and the next request does", function()
    local client = gateway:connect()
    client:send(post "this is evil")
    assert.equal(403, client:response().status)
    assert.is_false(origin:is_called())
    client:send(post "this is good")
    local peer = origin:accept()
    peer:request()
    assert.equal("this is good", peer:receive_until "good")
    peer:answer(200, "ok")
    assert.equal(200, client:response().status)
  end)

  it("is decided by the beginning of a long one", function()
    local client = gateway:connect()
    client:send("POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9000000\r\n\r\nevil" .. ("x"):rep(INSPECTED))
    assert.equal(403, client:response().status)
    assert.is_true(client:is_closed())
    assert.is_false(origin:is_called())
  end)

  it("is asked for its body once when it expects that", function()
    local client = gateway:connect()
    client:send "POST /body HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    assert.equal(100, client:response({ interim = true }).status)
    client:send "good"
    local peer = origin:accept()
    assert.is_nil(peer:request():lower():find("expect", 1, true))
    assert.equal("good", peer:receive_until "good")
    peer:answer(200, "ok")
    assert.equal(200, client:response({ interim = true }).status)
  end)

  it("is answered 413 when it passes the limit, and 400 when it is malformed, before the origin has heard of it", function()
    gateway:close()
    gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port } }, hooks = gate.hooks(),
      options = function(options) options.limits.body = 10 end }
    local client = gateway:connect()
    client:send(CHUNKED .. chunk "01234567890")
    assert.equal(413, client:response().status)
    assert.is_true(client:is_closed())
    client = gateway:connect()
    client:send(CHUNKED .. "x\r\n")
    assert.equal(400, client:response().status)
    assert.is_true(client:is_closed())
    assert.is_false(origin:is_called())
  end)

  it("ends when its client goes away or stalls, and the origin never hears of it", function()
    for _, how in ipairs { "close", "reset", "stall" } do
      local client = gateway:connect()
      client:send(post("hello, world"):sub(1, -7))
      if how == "close" then client:close() elseif how == "reset" then gate.reset(client) else assert.is_true(client:is_closed()) end
      gateway:await("open", 0)
    end
    assert.is_false(origin:is_called())
  end)

  it("is decided by what is published when its body is there", function()
    local client = gateway:connect()
    client:send(post("hello, world"):sub(1, -7))
    gateway:await("requests", 1)
    gateway:publish { ["other.test"] = {} }
    client:send " world"
    assert.equal(530, client:response().status)
  end)

  it("has no body to wait for when there is none", function()
    local client = gateway:connect()
    client:send(post "" .. "GET /body HTTP/1.1\r\nHost: a.test\r\n\r\n")
    local peer = origin:accept()
    assert.truthy(peer:request():find("^POST"))
    peer:answer(200, "one")
    assert.equal("one", client:response().body)
    local second = origin:accept() -- the first is not back in the pool yet when the next request begins
    assert.truthy(second:request():find("^GET"))
    second:answer(200, "two")
    assert.equal("two", client:response().body)
  end)
end)
