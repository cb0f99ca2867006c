-- Upgrades: a tunnel after the origin's 101 and not a byte earlier; rules hold for the upgrade request like for any other.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("websocket", function()
  local gate, behind, session, ca
  local FIELDS = { { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" },
    { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" } }

  setup(function()
    ca = certs.ca("Sockets")
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { timeouts = { tunnel_idle = 2 } } }
    gate:protect("guarded.example.com", ca)
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  before_each(function() session = gate:connect { host = "www.example.com" } end)
  after_each(function() session:close() end)

  local function upgrade(target) return session:get(target or "/upgrade", { host = "www.example.com", fields = FIELDS }) end

  it("is a tunnel after the origin's 101", function()
    local answer = upgrade()
    assert.equal(101, answer.status)
    assert.equal("websocket", answer:field("upgrade"):lower())
    assert.truthy(answer:field("sec-websocket-accept"))
    for _, message in ipairs { "hello", ("x"):rep(100000), "\0\1\2GET / HTTP/1.1\r\n\r\n" } do
      session:send(message)
      local got = ""
      while #got < #message do got = got .. assert(session:receive()) end
      assert.is_true(message == got)
    end
  end)

  it("sends the origin the upgrade fields and the gateway's own", function()
    upgrade()
    local requests = behind:requests("/upgrade")
    local request = requests[#requests]
    assert.equal("websocket", request:field("upgrade"))
    assert.equal("upgrade", request:field("connection"):lower())
    assert.equal("127.0.0.1", request:field("cf-connecting-ip"))
  end)

  it("ends on both sides when the client goes", function()
    upgrade()
    session:close()
    local wait = require "spec.support.wait"
    local connection = behind:requests("/upgrade")
    connection = connection[#connection].connection
    wait.until_true("the origin's side to be closed", function()
      for _, event in ipairs(behind:events()) do
        if event.what == "closed" and event.connection == connection then return true end
      end
    end)
  end)

  it("ends when nothing moves for too long", function()
    upgrade()
    assert.is_true((session:is_closed()))
  end)

  it("passes the origin's refusal as an ordinary answer and ends the connection, so that nothing sent early is read as a request", function()
    local answer = upgrade("/status/403")
    assert.equal(403, answer.status)
    assert.equal("close", answer:field("connection"))
    assert.is_true((session:is_closed()))
  end)

  it("holds bytes back that come before the 101", function()
    session:send("GET /status/404 HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(404, session:response().status)
    for _, request in ipairs(behind:requests()) do assert.is_nil(request.target:find("smuggled")) end
  end)

  it("is blocked like any other request", function()
    local guarded = gate:connect { host = "guarded.example.com" }
    local before = #behind:requests()
    assert.equal(403, guarded:get("/upgrade", { host = "guarded.example.com", fields = FIELDS }).status)
    assert.equal(before, #behind:requests())
    guarded:close()
  end)
end)
