-- What is wrong with the configuration or the store is said once, clearly, before anything is served: exit 1, nothing changed.

local gateway = require "spec.support.gateway"
local shell = require "spec.support.shell"

describe("a start that cannot succeed", function()
  local gate

  before_each(function() gate = gateway.new() end)
  after_each(function() gate:stop() end)

  local function run(arguments)
    local words = { "run", "-c", gate.config_path }
    for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
    return gateway.cli(words)
  end

  -- One message, which is the only thing on stderr; the text may have several lines.
  local function assert_refused(result, ...)
    assert.equal(1, result.status)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find("^moongate: "), result.stderr)
    for _, text in ipairs { ... } do assert.truthy(result.stderr:find(text, 1, true), result.stderr) end
    local _, lines = result.stderr:gsub("\n", "")
    assert.equal(1, lines, result.stderr)
  end

  for _, case in ipairs {
    { "an unknown key", 'return {\n  listen = {"127.0.0.1:0"},\n  data_dri = "data",\n}', { "moongate.lua:3:", "data_dri", "did you mean data_dir?" } },
    { "an unknown key in a group", 'return { data_dir = "data",\n limits = { boddy = 1 } }', { "moongate.lua:2:", "limits.boddy", "limits.body" } },
    { "a wrong type", 'return { data_dir = "data",\n\n listen = "0.0.0.0:443" }', { "moongate.lua:3:", "listen must be a list" } },
    { "a number out of range", 'return { data_dir = "data", workers = 0 }', { "workers must be from 1 to" } },
    { "an address without a port", 'return { data_dir = "data", listen = { "0.0.0.0" } }', { "listen[1]", "HOST:PORT" } },
    { "a syntax error", 'return {\n  listen = {\n', { "moongate.lua:", "expected" } },
    { "a missing data_dir", 'return { listen = { "127.0.0.1:0" } }', { "data_dir is missing" } },
    { "an admin listener for the world without TLS", 'return { data_dir = "data", admin = { listen = "0.0.0.0:0" } }', { "admin.certificate" } },
    { "an endless loop", 'while true do end', { "moongate.lua" } },
    { "a file access", 'return { data_dir = io.open("/etc/passwd"):read("*l") }', { "moongate.lua:1:", "io" } },
    { "no table", 'return 42', { "must return a table" } },
    { "bytecode", "\27LJ\2", { "bytecode" } },
    { "an admin certificate that is not there", 'return { data_dir = "data", admin = { certificate = "none.pem", key = "none.key" } }', { "none.pem" } },
  } do
    it("names " .. case[1], function()
      shell.write(gate.config_path, case[2])
      assert_refused(run(), unpack(case[3]))
      assert.is_nil(shell.read(gate.directory .. "/data/moongate.db"))
    end)
  end

  it("names a configuration file that is not there", function()
    local result = gateway.cli { "run", "-c", gate.directory .. "/none.lua" }
    assert_refused(result, "none.lua")
  end)

  for _, kind in ipairs { "listen", "listen_http", "admin" } do
    it("names the port in use: " .. kind, function()
      local first = gateway.start { config = { listen_http = { "127.0.0.1:0" } } }
      local port = ({ listen = first.port, listen_http = first.http_port, admin = first.admin_port })[kind]
      local address = "127.0.0.1:" .. port
      local config = { data_dir = "data", listen = { "127.0.0.1:0" }, admin = { listen = "127.0.0.1:0" } }
      config[kind] = kind == "admin" and { listen = address } or { address }
      shell.write(gate.config_path, gateway.config_text(config))
      local result = run()
      assert_refused(result, address, "in use")
      first:stop()
    end)
  end

  it("names a data directory that another gateway serves from", function()
    local first = gateway.start {}
    shell.write(gate.config_path, gateway.config_text {
      data_dir = first.directory .. "/data", listen = { "127.0.0.1:0" }, admin = { listen = "127.0.0.1:0" },
    })
    assert_refused(run(), first.directory .. "/data", "another moongate")
    first:stop()
  end)

  it("names a corrupt store and leaves it alone", function()
    gate:create_token()
    local path = gate.directory .. "/data/moongate.db"
    local broken = "this is not a database\n" .. ("x"):rep(8192)
    for _, suffix in ipairs { "-wal", "-shm" } do os.remove(path .. suffix) end
    shell.write(path, broken)
    assert_refused(run(), "moongate.db")
    assert.is_true(broken == shell.read(path))
  end)

  it("names a data directory that others may write to", function()
    gate:create_token()
    os.execute("chmod 0777 " .. shell.quote(gate.directory .. "/data"))
    assert_refused(run(), "/data")
  end)

  it("names a data directory that cannot be made", function()
    shell.write(gate.directory .. "/data", "a file is in the way")
    assert_refused(run(), gate.directory .. "/data")
  end)

  it("keeps its own files to itself", function()
    local running = gateway.start()
    for _, name in ipairs { "", "/moongate.db", "/local-ca.key" } do
      local result = shell.run { "stat", "-c", "%a", running.directory .. "/data" .. name }
      assert.equal(name == "" and "700\n" or "600\n", result.stdout, name)
    end
    running:stop()
  end)
end)
