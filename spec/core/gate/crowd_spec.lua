local gate = require "spec.support.gate"
local net = require "spec.support.client"

-- What gives way when there are too many (gate/crowd.c).
describe("at the ceiling of connections", function()
  local origin, gateway

  local function start(change)
    origin = gate.origin()
    gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port }, ["b.test"] = {} }, options = change, level = 1 }
  end
  after_each(function()
    gateway:close()
    origin:close()
  end)

  local function three(options) options.limits.connections = 3 end
  local function get(client) return client:get("/", { host = "b.test" }) end

  -- A connection that is idle after one answer.
  local function idle(options)
    local client = gateway:connect(options)
    assert.equal(530, get(client).status)
    return client
  end

  for kind, options in pairs { ["in plain"] = {}, ["over TLS"] = { tls = true, sni = "b.test" } } do
    it("the one that was idle longest goes for a newcomer, " .. kind, function()
      start(three)
      local first, second, third = idle(options), idle(options), idle(options)
      assert.equal(530, get(first).status) -- now the second one is idle longest
      local newcomer = idle(options)
      assert.is_true(second:is_closed())
      for _, client in ipairs { first, third, newcomer } do assert.equal(530, get(client).status) end
      gateway:await_log "idle connections are closed to make room"
      gateway:await("open", 3)
      for _, client in ipairs { first, second, third, newcomer } do client:close() end
      gateway:await("open", 0)
    end)
  end

  it("nobody goes whose request is under way: then the newcomer does", function()
    start(three)
    local clients, peers = {}, {}
    for i = 1, 3 do
      clients[i] = gateway:connect()
      clients[i]:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
      peers[i] = origin:accept()
      peers[i]:request()
    end
    local newcomer = gateway:connect()
    assert.is_true(newcomer:is_closed())
    for i = 1, 3 do
      peers[i]:answer(200, "whole")
      assert.equal("whole", clients[i]:response().body)
    end
    clients[2]:close()
    gateway:await("open", 2)
    local again = idle() -- in the place of the one that has left: nobody has to go
    for _, i in ipairs { 1, 3 } do assert.equal(530, get(clients[i]).status) end
    again:close()
    for _, one in ipairs(clients) do one:close() end
    for _, one in ipairs(peers) do one:close() end
    newcomer:close()
  end)

  it("nobody goes for an address that has too many itself", function()
    start(function(options) options.limits.connections, options.limits.connections_per_address = 3, 2 end)
    local first, second = idle(), idle()
    local newcomer = gateway:connect()
    assert.is_true(newcomer:is_closed())
    for _, client in ipairs { first, second } do assert.equal(530, get(client).status) end
    for _, client in ipairs { first, second, newcomer } do client:close() end
  end)

  it("hundreds of newcomers in a row are served, and the ceiling holds", function()
    start(function(options) options.limits.connections = 5 end)
    local clients = {}
    for i = 1, 300 do clients[i] = idle() end
    assert.is_true(gateway:counters().open <= 6)
    for i = 296, 300 do assert.equal(530, get(clients[i]).status) end
    for _, client in ipairs(clients) do client:close() end
    gateway:await("open", 0)
  end)
end)

describe("at the ceiling of handshakes", function()
  local gateway

  before_each(function()
    gateway = gate.start { hosts = { ["a.test"] = {} }, level = 1, options = function(options)
      options.limits.handshakes = 2
    end }
  end)
  after_each(function() gateway:close() end)

  local function silent() return assert(net.connect { port = gateway.https, tls = false }) end
  local function get(client) return client:get("/", { host = "a.test" }).status end

  it("clients that say nothing are let go, and whoever waits to be accepted is served", function()
    local earlier = gateway:connect { tls = true, sni = "a.test" }
    assert.equal(530, get(earlier))
    local first, second = silent(), silent()
    gateway:await_log "no connections are accepted while there are too many handshakes"
    assert.equal(530, get(earlier)) -- who is connected notices nothing
    local plain = gateway:connect()
    assert.equal(530, get(plain)) -- nor who makes no handshake
    local later = gateway:connect { tls = true, sni = "a.test" }
    assert.equal(530, get(later))
    assert.is_true(first:is_closed())
    local third = gateway:connect { tls = true, sni = "a.test" }
    assert.equal(530, get(third))
    for _, client in ipairs { earlier, first, second, plain, later, third } do client:close() end
    gateway:await("open", 0)
  end)

  it("there is room again as soon as one has ended", function()
    local first, second = silent(), silent()
    gateway:await_log "no connections are accepted while there are too many handshakes"
    first:close()
    local later = gateway:connect { tls = true, sni = "a.test" }
    assert.equal(530, get(later))
    second:close()
    later:close()
  end)

  it("everybody is served in a crowd of clients that speak", function()
    local clients = {}
    for i = 1, 40 do
      clients[i] = gateway:connect { tls = true, sni = "a.test" }
      assert.equal(530, get(clients[i]))
    end
    assert.equal(0, gateway:counters().handshakes_failed)
    for _, client in ipairs(clients) do client:close() end
  end)

  it("the gateway can be closed while its listeners rest", function()
    local first, second = silent(), silent()
    gateway:await_log "no connections are accepted while there are too many handshakes"
    gateway:close()
    assert.is_true(first:is_closed() and second:is_closed())
    first:close()
    second:close()
  end)
end)
