-- TERM: what runs may finish, nothing new begins, the end comes in time. A second TERM does not wait.

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local HOST = "www.example.com"

describe("drain", function()
  local gate, behind

  before_each(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { timeouts = { drain = 3 } } }
  end)

  after_each(function()
    gate:kill9()
    gate:stop()
    behind:stop()
  end)

  it("finishes a running request, and says that the connection ends", function()
    local session = gate:connect { host = HOST }
    session:send(client.request_bytes("GET", "/hold/one", { host = HOST }))
    behind:wait_request("/hold/one")
    gate:signal(shell.TERM)
    gate:wait_log { what = "stopping" }
    local direct = assert(client.connect { port = behind.port, tls = false })
    assert.equal("1 released\n", direct:get("/release/one", { host = "x" }).body)
    direct:close()
    local answer = session:response()
    assert.equal(200, answer.status)
    assert.equal("close", answer:field("connection"))
    assert.is_true((session:is_closed()))
    session:close()
    assert.equal(0, gate:wait_exit(10))
  end)

  it("accepts no new connection", function()
    local session = gate:connect { host = HOST }
    session:send(client.request_bytes("GET", "/hold/two", { host = HOST }))
    behind:wait_request("/hold/two")
    gate:signal(shell.TERM)
    wait.until_true("new connections to be refused", function()
      local other = client.connect { port = gate.port, sni = HOST, timeout = 1 }
      if other then other:close() end
      return not other
    end, 5)
    session:close()
    assert.equal(0, gate:wait_exit(10))
  end)

  it("closes idle connections at once", function()
    local session = gate:connect { host = HOST }
    session:get("/", { host = HOST })
    local started = wait.now()
    gate:signal(shell.TERM)
    assert.is_true((session:is_closed()))
    assert.equal(0, gate:wait_exit(10))
    assert.is_true(wait.now() - started < 2)
    session:close()
  end)

  it("ends after the deadline although a request never ends", function()
    local session = gate:connect { host = HOST }
    session:send(client.request_bytes("GET", "/hold/for-ever", { host = HOST }))
    behind:wait_request("/hold/for-ever")
    local started = wait.now()
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit(15))
    local took = wait.now() - started
    assert.is_true(took > 2 and took < 10, "took " .. took)
    session:close()
  end)

  for _, name in ipairs { "TERM", "INT" } do
    it("ends at once at a second " .. name, function()
      local session = gate:connect { host = HOST }
      session:send(client.request_bytes("GET", "/hold/" .. name, { host = HOST }))
      behind:wait_request("/hold/" .. name)
      gate:signal(shell[name])
      gate:wait_log { what = "stopping" }
      local started = wait.now()
      gate:signal(shell[name])
      assert.equal(1, gate:wait_exit(10))
      assert.is_true(wait.now() - started < 2)
      session:close()
    end)
  end

  it("keeps serving after HUP", function()
    gate:signal(shell.HUP)
    assert.equal(200, (gate:status { host = HOST }))
  end)
end)
