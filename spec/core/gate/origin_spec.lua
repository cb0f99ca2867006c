-- Where a connection to an origin may lead (gate/origin.c).

local gate = require "spec.support.gate"

describe("an origin that is a name", function()
  local origin, gateway

  before_each(function() origin = gate.origin() end)
  after_each(function()
    gateway:close()
    origin:close()
  end)

  local function ask(host)
    gateway = gate.start { hosts = { ["a.test"] = { origin = { url = ("http://%s:%d"):format(host, origin.port) } } } }
    local client = gateway:connect()
    client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    return client
  end

  -- Spellings of 127.0.0.1 and 169.254.169.254 that are no literals of ours, but that the system's resolver reads as such.
  for _, name in ipairs { "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "169.254.43518", "2852039166", "0" } do
    it(("is not connected to where it leads to this machine or its links: %s"):format(name), function()
      local client = ask(name)
      assert.equal(502, client:response().status)
      assert.is_false(origin:is_called(0))
      gateway:await_log "leads to this machine or its links"
      client:close()
    end)
  end

  it("is connected to when it says so itself: localhost", function()
    local client = ask "localhost"
    local peer = origin:accept()
    peer:request()
    peer:answer(204, "")
    assert.equal(204, client:response().status)
    peer:close()
    client:close()
  end)

  it("is connected to when it is the address itself", function()
    local client = ask "127.0.0.1"
    local peer = origin:accept()
    peer:close()
    client:close()
  end)
end)
