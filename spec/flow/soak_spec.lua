-- Ten thousand requests over two hundred connections that stay open: no error, no growth.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local client = require "spec.support.client"

local HOST = "api.example.com"

describe("two hundred connections", function()
  local gate, behind, sessions, leaf
  local CONNECTIONS, ROUNDS = 200, 50

  setup(function()
    local ca = certs.ca("Fleet")
    leaf = certs.leaf(ca, { cn = "device" })
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { log = { level = "warn" } } }
    gate:protect(HOST, ca)
    sessions = {}
    for index = 1, CONNECTIONS do sessions[index] = gate:connect { host = HOST, cert = index % 2 == 0 and leaf or nil, timeout = 30 } end
  end)

  teardown(function()
    for _, session in ipairs(sessions) do session:close() end
    gate:stop()
    behind:stop()
  end)

  local function rounds(count)
    local bytes = client.request_bytes("GET", "/bytes/1000", { host = HOST })
    for _ = 1, count do
      for _, session in ipairs(sessions) do assert(session:send(bytes)) end
      for index, session in ipairs(sessions) do
        local answer = assert(session:response())
        assert.equal(index % 2 == 0 and 200 or 403, answer.status)
        if index % 2 == 0 then assert.equal(1000, #answer.body) end
      end
    end
  end

  it("get the right answer each time, and memory stays where it is", function()
    rounds(5)
    local before = gate:memory("VmRSS")
    rounds(ROUNDS)
    local grown = gate:memory("VmRSS") - before
    assert.is_true(grown < (gateway.is_sanitized() and 96 * 1024 or 4 * 1024), "grew by KiB: " .. grown)
  end)

  it("share few connections to the origin", function()
    local opened = 0
    for _, event in ipairs(behind:events()) do
      if event.what == "open" then opened = opened + 1 end
    end
    assert.is_true(opened <= CONNECTIONS, "opened " .. opened)
  end)

  it("all live through changes that do not concern them", function()
    for number = 1, 10 do
      gate:set_origin(gate.zone, ("other%d.example.com"):format(number), behind.url)
      rounds(1)
    end
  end)
end)
