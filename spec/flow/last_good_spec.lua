-- Without its store the gateway serves what it served last, when the operator allows it, and changes nothing.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

describe("a start without the store", function()
  local gate, behind, client, broken

  setup(function()
    local ca = certs.ca("Partners")
    client = certs.leaf(ca, { cn = "device" })
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { serve_without_store = true } }
    gate:protect("api.example.com", ca)
    local generation = gate:api("GET", "/moongate/status").generation
    wait.until_true("the last good snapshot to be written", function()
      local text = shell.read(gate.directory .. "/data/last-good.json") or ""
      return text:find(('"generation":%d'):format(generation), 1, true)
    end)
    gate:kill9()
    local store = gate.directory .. "/data/moongate.db"
    for _, suffix in ipairs { "-wal", "-shm" } do os.remove(store .. suffix) end
    broken = ("no database at all "):rep(1000)
    shell.write(store, broken)
    gate:launch()
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  it("serves what was served last", function()
    assert.equal(200, (gate:status { host = "www.example.com" }))
    assert.equal(200, (gate:status { host = "api.example.com", cert = client }))
    assert.equal(403, (gate:status { host = "api.example.com" }))
  end)

  it("answers the admin API with 503 and when to come again", function()
    for _, call in ipairs { { "GET", "/zones" }, { "POST", "/zones", { name = "example.net" } } } do
      local status, document, response = gate:admin(call[1], call[2], call[3])
      assert.equal(503, status)
      assert.is_false(document.success)
      assert.truthy(tonumber(response:field("retry-after")))
    end
  end)

  it("leaves the damaged file as it is", function()
    assert.is_true(broken == shell.read(gate.directory .. "/data/moongate.db"))
  end)

  it("says in the log what it serves and why", function()
    local text = wait.until_true("the log line about the store", function()
      local log = shell.read(gate.log)
      return log:find("serving generation", 1, true) and log
    end)
    assert.truthy(text:find("moongate.db", 1, true))
  end)

  it("refuses to start when the snapshot is damaged, too", function()
    gate:kill9()
    local path = gate.directory .. "/data/last-good.json"
    local text = shell.read(path)
    shell.write(path, (text:gsub("api%.example%.com", "apj.example.com")))
    local result = gateway.cli { "run", "-c", gate.config_path }
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("no last good snapshot", 1, true), result.stderr)
    shell.write(path, text)
    gate:launch()
    assert.equal(200, (gate:status { host = "www.example.com" }))
  end)
end)
