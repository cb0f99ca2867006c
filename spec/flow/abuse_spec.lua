-- Clients that behave badly in numbers: the gateway goes on serving everybody else, and is afterwards what it was before.

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local HOST = "www.example.com"

describe("abuse", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { timeouts = { handshake = 2, head = 2 }, log = { level = "info" } } }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  -- nil where /proc does not let us look: the program is not dumpable.
  local function descriptors()
    local result = shell.run { "ls", ("/proc/%d/fd"):format(gate.pid) }
    if result.status ~= 0 then return nil end
    local _, count = result.stdout:gsub("\n", "")
    return count
  end

  local function assert_serves()
    local started = wait.now()
    local session = gate:connect { host = HOST }
    assert.equal(200, assert(session:get("/alive", { host = HOST })).status)
    session:close()
    local took = wait.now() - started
    assert.is_true(took < 2, "took " .. took)
  end

  -- A session that is closed at once leaves with RST when there is something unread.
  local cases = {
    { "connections that say nothing", 300, function() return assert(client.connect { port = gate.port, tls = false }) end },
    { "bytes that are no TLS", 300, function()
      local session = assert(client.connect { port = gate.port, tls = false })
      session:send(("\255\0garbage"):rep(20))
      return session
    end },
    { "handshakes that stop in the middle", 300, function()
      local session = assert(client.connect { port = gate.port, tls = false })
      session:send("\22\3\1\2\0\1\0\1\252\3\3" .. ("r"):rep(40))
      return session
    end },
    { "requests that stop in the middle of the head", 100, function()
      local session = gate:connect { host = HOST }
      session:send("GET / HTTP/1.1\r\nHost: " .. HOST .. "\r\nX: ")
      return session
    end },
    { "uploads that stop in the middle", 100, function()
      local session = gate:connect { host = HOST }
      session:send("POST /sink HTTP/1.1\r\nHost: " .. HOST .. "\r\nContent-Length: 1000000\r\n\r\n" .. ("x"):rep(50000))
      return session
    end },
    { "downloads that nobody waits for", 100, function()
      local session = gate:connect { host = HOST }
      session:send(client.request_bytes("GET", "/bytes/5000000", { host = HOST }))
      session:response { body = false }
      return session
    end },
    { "clients that half-close after the request", 50, function()
      local session = gate:connect { host = HOST }
      session:send(client.request_bytes("GET", "/bytes/10", { host = HOST }))
      session:end_sending()
      return session
    end },
  }

  for _, case in ipairs(cases) do
    it(("%d %s harm nobody and leave nothing behind"):format(case[2], case[1]), function()
      assert_serves()
      local before = descriptors()
      local open = {}
      for index = 1, case[2] do open[index] = case[3]() end
      assert_serves()
      for _, session in ipairs(open) do session:close() end
      assert_serves()
      if not before then return pending("needs the right to look into /proc/PID/fd") end
      -- Warm connections to the origin may stay.
      wait.until_true("descriptors to be given back", function() return descriptors() <= before + 70 end, 15)
    end)
  end

  it("leaves no busy loop behind", function()
    local function ticks()
      local stat = shell.read(("/proc/%d/stat"):format(gate.pid)):match("%) (.*)")
      local fields = {}
      for field in stat:gmatch("%S+") do fields[#fields + 1] = field end
      return tonumber(fields[12]) + tonumber(fields[13])
    end
    local before = ticks()
    wait.pause(1)
    assert.is_true(ticks() - before < 30, "ticks of a second: " .. ticks() - before)
  end)

  it("writes no line per bad connection", function()
    local failed = 0
    for _, line in ipairs(gate:log_lines()) do
      if line.what == "handshake failed" then failed = failed + 1 end
    end
    assert.is_true(failed < 100, "lines: " .. failed)
  end)
end)
