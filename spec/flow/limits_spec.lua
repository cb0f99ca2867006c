-- Sizes have ceilings and waits have deadlines; whoever passes one loses the connection, the others notice nothing.

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local HOST = "www.example.com"

describe("limits", function()
  local gate, behind, session

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = {
      limits = { start_line = 1024, field = 2048, head = 8192, fields = 20, body = 100000 },
      timeouts = { handshake = 1, head = 1, body_idle = 1, keep_alive = 1, write_idle = 2 },
    } }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  before_each(function() session = gate:connect { host = HOST } end)
  after_each(function() session:close() end)

  local function assert_refused(status, target)
    assert.equal(status, assert(session:response()).status)
    assert.is_true((session:is_closed()))
    if target then assert.same({}, behind:requests(target)) end
  end

  it("refuse a target that is too long with 414", function()
    session:send(client.request_bytes("GET", "/" .. ("x"):rep(2000), { host = HOST }))
    assert_refused(414)
  end)

  it("refuse a field that is too long with 431", function()
    session:send(client.request_bytes("GET", "/field", { host = HOST, fields = { { "X", ("x"):rep(3000) } } }))
    assert_refused(431, "/field")
  end)

  it("refuse too many fields with 431", function()
    local fields = {}
    for index = 1, 30 do fields[index] = { "X-" .. index, "1" } end
    session:send(client.request_bytes("GET", "/fields", { host = HOST, fields = fields }))
    assert_refused(431, "/fields")
  end)

  it("refuse a head that is too large with 431", function()
    local fields = {}
    for index = 1, 10 do fields[index] = { "X-" .. index, ("x"):rep(1500) } end
    session:send(client.request_bytes("GET", "/head", { host = HOST, fields = fields }))
    assert_refused(431, "/head")
  end)

  it("refuse an announced body that is too large with 413, before it is sent", function()
    session:send(client.request_bytes("POST", "/body", { host = HOST, fields = { { "Content-Length", 100001 } } }))
    assert_refused(413, "/body")
  end)

  it("end a chunked body that grows too large", function()
    session:send(client.request_bytes("POST", "/sink", { host = HOST, fields = { { "Transfer-Encoding", "chunked" } } }))
    for _ = 1, 20 do
      if not session:send(("2710\r\n%s\r\n"):format(("x"):rep(10000))) then break end
    end
    local answer = session:response()
    assert.truthy(not answer or answer.status == 413, answer and answer.status)
    assert.is_true((session:is_closed()))
  end)

  it("allow what is exactly at the ceiling", function()
    assert.equal(200, session:request("POST", "/sink", { host = HOST, body = ("x"):rep(100000) }).status)
  end)

  it("answer a head that trickles in with 408 and close, whatever keeps coming", function()
    local started = wait.now()
    local closed
    session:send("GET /slow HTTP/1.1\r\nHost: " .. HOST .. "\r\n")
    while not closed and wait.now() - started < 8 do
      if not session:send("X: y\r\n") then break end
      wait.pause(0.2)
      closed = not session:is_quiet(0.01)
    end
    assert.is_true(wait.now() - started < 4)
    local answer = session:response()
    assert.truthy(not answer or answer.status == 408, answer and answer.status)
    assert.same({}, behind:requests("/slow"))
  end)

  it("end a body that stops coming", function()
    session:send(client.request_bytes("POST", "/stalled", { host = HOST, fields = { { "Content-Length", 1000 } } }) .. "some")
    local started = wait.now()
    local answer = session:response()
    assert.truthy(not answer or answer.status == 408, answer and answer.status)
    assert.is_true((session:is_closed()))
    assert.is_true(wait.now() - started < 5)
  end)

  it("close a connection that rests too long between requests", function()
    assert.equal(200, session:get("/", { host = HOST }).status)
    local started = wait.now()
    assert.is_true((session:is_closed()))
    local took = wait.now() - started
    assert.is_true(took > 0.5 and took < 4, "took " .. took)
  end)

  it("close a connection that never begins the handshake", function()
    local silent = assert(client.connect { port = gate.port, tls = false })
    local started = wait.now()
    assert.is_true((silent:is_closed()))
    assert.is_true(wait.now() - started < 5)
    silent:close()
  end)

  it("cut off a client that takes nothing of a long answer", function()
    local slow = gate:connect { host = HOST, timeout = 30 }
    slow:send(client.request_bytes("GET", "/bytes/200000000", { host = HOST }))
    local line = gate:wait_log { path = "/bytes/200000000" }
    assert.truthy(line.reason)
    assert.is_true(slow:skip(200000000) < 200000000)
    slow:close()
  end)
end)

describe("the number of connections", function()
  it("has a ceiling per address, and room again when some have gone", function()
    local behind = origin.start()
    local gate = gateway.start { origin = behind, config = { workers = 1, limits = { connections_per_address = 5 } } }
    local open = {}
    for index = 1, 5 do
      open[index] = gate:connect { host = HOST }
      assert.equal(200, open[index]:get("/", { host = HOST }).status)
    end
    assert.is_nil((client.connect { port = gate.port, sni = HOST, timeout = 3 }))
    for _, session in ipairs(open) do assert.equal(200, session:get("/", { host = HOST }).status) end
    open[1]:close()
    local again = client.connect_soon({ port = gate.port, sni = HOST, timeout = 3 }, 5)
    assert.equal(200, again:get("/", { host = HOST }).status)
    again:close()
    for index = 2, 5 do open[index]:close() end
    gate:stop()
    behind:stop()
  end)
end)
