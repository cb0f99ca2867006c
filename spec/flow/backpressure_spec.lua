-- A gibibyte each way past a peer that stalls: the gateway holds what fits its buffers and makes the other side wait.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local client = require "spec.support.client"
local wait = require "spec.support.wait"

local HOST = "www.example.com"
local MIB = 1024 * 1024
local STALL = 2

describe("backpressure", function()
  local gate, behind, session
  local size = gateway.is_sanitized() and 64 * MIB or 1024 * MIB
  -- Kernel buffers are not the gateway's memory. What is allowed is for its own buffers and the allocator's habits.
  local allowance_kib = gateway.is_sanitized() and 64 * 1024 or 4 * 1024

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { limits = { body = 2 * 1024 * MIB }, workers = 1 } }
    session = gate:connect { host = HOST, timeout = 60 }
    session:get("/warm", { host = HOST })
  end)

  teardown(function()
    session:close()
    gate:stop()
    behind:stop()
  end)

  before_each(function() gate:reset_peak() end)

  local function growth(before) return gate:memory("VmHWM") - before end

  it("holds a download back while the client does not read", function()
    local before = gate:memory("VmHWM")
    session:send(client.request_bytes("GET", "/bytes/" .. size, { host = HOST }))
    local answer = session:response { body = false }
    assert.equal(200, answer.status)
    wait.pause(STALL)
    assert.is_true(growth(before) < allowance_kib, "grew by KiB: " .. growth(before))
    assert.equal(size, session:skip(size))
    assert.is_true(growth(before) < allowance_kib, "grew by KiB: " .. growth(before))
    assert.equal(200, session:get("/next", { host = HOST }).status)
  end)

  it("holds an upload back while the origin does not read", function()
    local before = gate:memory("VmHWM")
    local target = "/sink-slow/" .. STALL * 1000
    session:send(client.request_bytes("POST", target, { host = HOST, fields = { { "Content-Length", size } } }))
    local piece = ("x"):rep(MIB)
    for _ = 1, size / MIB do assert(session:send(piece)) end
    assert.equal(size .. " bytes\n", session:response().body)
    assert.is_true(growth(before) < allowance_kib, "grew by KiB: " .. growth(before))
  end)

  it("serves others meanwhile", function()
    session:send(client.request_bytes("GET", "/bytes/" .. 64 * MIB, { host = HOST }))
    session:response { body = false }
    for _ = 1, 20 do
      local started = wait.now()
      assert.equal(200, (gate:status { host = HOST }))
      assert.is_true(wait.now() - started < 2)
    end
    assert.equal(64 * MIB, session:skip(64 * MIB))
  end)
end)
