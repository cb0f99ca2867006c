-- The program as its operator meets it: how it starts, what it says when it cannot, which signals it obeys.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local function run_until_end(config, prepare)
  local gate = gateway.new { config = config }
  if prepare then prepare(gate.directory) end
  local result = gateway.cli { "run", "-c", gate.config_path }
  shell.remove_directory(gate.directory)
  return result
end

describe("moongate run", function()
  local gate, behind

  before_each(function() gate, behind = nil, nil end)
  after_each(function()
    if gate then gate:stop() end
    if behind then behind:stop() end
  end)

  it("says the real addresses when it is ready", function()
    gate = gateway.start { config = { listen_http = { "127.0.0.1:0" } } }
    local line = gate:wait_log { subject = "gateway", what = "ready" }
    for _, address in ipairs { line.listen[1], line.listen_http[1], line.admin } do
      local port = tonumber(address:match("^127%.0%.0%.1:(%d+)$"))
      assert.truthy(port and port > 0, address)
    end
    assert.truthy(line.version:match("^%d+%.%d+%.%d+$"))
  end)

  it("listens on several addresses", function()
    gate = gateway.start { config = { listen = { "127.0.0.1:0", "127.0.0.1:0", "[::1]:0" } } }
    assert.equal(3, #gate:wait_log({ what = "ready" }).listen)
  end)

  it("keeps what it wrote to itself, but for the certificate that everybody may have", function()
    gate = gateway.start()
    local result = shell.run { "find", gate.directory .. "/data", "-perm", "/077", "!", "-name", "local-ca.pem" }
    assert.equal("", result.stdout)
  end)

  for name, number in pairs { TERM = shell.TERM, INT = shell.INT } do
    it(("ends with 0 on SIG%s and says so"):format(name), function()
      gate = gateway.start()
      gate:signal(number)
      assert.equal(0, gate:wait_exit())
      assert.equal("SIG" .. name, gate:wait_log({ subject = "gateway", what = "stopping" }).detail)
      gate:wait_log { subject = "gateway", what = "stopped" }
    end)
  end

  it("goes on serving after SIGHUP", function()
    gate = gateway.start()
    gate:signal(shell.HUP)
    gate:wait_log { subject = "gateway", what = "SIGHUP: nothing to do" }
    assert.equal(200, (gate:admin("GET", "/zones")))
  end)

  it("ends at once with 1 when it is told to stop twice", function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { timeouts = { drain = 60, body_idle = 60 } } }
    local session = gate:connect { host = "www.example.com" }
    session:send("POST /sink HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 10\r\n\r\n1") -- keeps the drain waiting
    behind:wait_request("/sink")
    gate:signal(shell.TERM)
    gate:wait_log { subject = "gateway", what = "stopping" }
    gate:signal(shell.TERM)
    assert.equal(1, gate:wait_exit(10))
    assert.truthy(shell.read(gate.log):find("told to stop twice", 1, true))
    session:close()
  end)

  it("serves what it stored when it starts again, with the same certificate authority", function()
    gate = gateway.start()
    gate:create_zone("example.com")
    local before = shell.read(gate.ca_path)
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit())
    gate:launch()
    assert.equal("example.com", gate:api("GET", "/zones")[1].name)
    assert.equal(before, shell.read(gate.ca_path))
  end)

  it("writes its log into a file when it is told to", function()
    gate = gateway.start { config = { log = { level = "info", file = "own.log" } } }
    gate:api("GET", "/zones")
    wait.until_true("a line in the file", function()
      return (shell.read(gate.directory .. "/own.log") or ""):find('"subject":"admin"', 1, true)
    end)
    assert.is_nil(shell.read(gate.log):find('"subject":"admin"', 1, true))
  end)

  describe("when it cannot start", function()
    it("names the address that is in use", function()
      gate = gateway.start()
      local address = "127.0.0.1:" .. gate.admin_port
      for _, config in ipairs { { listen = { address } }, { listen_http = { address } }, { admin = { listen = address } } } do
        local result = run_until_end(config)
        assert.equal(1, result.status)
        assert.equal("", result.stdout)
        assert.truthy(result.stderr:find("^moongate: [^\n]*" .. address:gsub("%p", "%%%0") .. "[^\n]*in use[^\n]*\n$"), result.stderr)
      end
    end)

    for _, case in ipairs {
      { "a data directory without a parent", { data_dir = "no/such/place" }, "no/such/place: " },
      { "a log file without a directory", { log = { file = "no/such.log" } }, "no/such.log: " },
      { "a data directory that is a file", {}, "data", function(directory) shell.write(directory .. "/data", "x") end },
      { "a local CA without its key", {}, "local-ca", function(directory)
        os.execute(("mkdir -m 700 %s/data && echo x > %s/data/local-ca.pem"):format(directory, directory))
      end },
      { "a store that is none", {}, "moongate.db", function(directory)
        os.execute(("mkdir -m 700 %s/data"):format(directory))
        shell.write(directory .. "/data/moongate.db", ("not a database\n"):rep(1000))
        os.execute(("chmod 600 %s/data/moongate.db"):format(directory))
      end },
      { "a data directory that others can write to", {}, "data: ", function(directory)
        os.execute(("mkdir -m 777 %s/data"):format(directory))
      end },
    } do
      it(("tells of %s in one line and ends with 1"):format(case[1]), function()
        local result = run_until_end(case[2], case[4])
        assert.equal(1, result.status)
        local lines = {}
        for line in result.stderr:gmatch("[^\n]+") do
          if not line:find("^{") then lines[#lines + 1] = line end -- the log speaks too, in JSON
        end
        assert.equal(1, #lines, result.stderr)
        assert.truthy(lines[1]:find("moongate: ", 1, true) == 1 and lines[1]:find(case[3], 1, true), lines[1])
      end)
    end
  end)
end)

describe("the program", function()
  it("ends with 2 for a command that it does not know", function()
    local result = gateway.cli { "nonsense" }
    assert.equal(2, result.status)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find("nonsense", 1, true))
  end)

  it("ends with 1 when its answer cannot be written", function()
    local directory = shell.directory("full")
    local pid = shell.spawn({ gateway.program(), "version" }, { stdout = "/dev/full", stderr = directory .. "/stderr" })
    assert.equal(1, shell.wait(pid))
    assert.truthy(shell.read(directory .. "/stderr"):find("could not be written", 1, true))
    shell.remove_directory(directory)
  end)

  it("does not look for Lua modules in its working directory", function()
    local directory = shell.directory("cwd")
    os.execute("mkdir -p " .. directory .. "/moongate")
    for _, name in ipairs { "argparse.lua", "moongate/cli.lua", "dkjson.lua" } do
      shell.write(directory .. "/" .. name, "error('taken over')")
    end
    local program = gateway.program()
    if program:sub(1, 1) ~= "/" then program = shell.run({ "realpath", program }).stdout:match("^(%S+)") end
    local result = shell.run { "sh", "-c", ('cd "%s" && LUA_PATH="./?.lua" LUA_INIT="error(1)" exec "%s" version'):format(directory, program) }
    assert.equal(0, result.status)
    assert.equal("", result.stderr)
    shell.remove_directory(directory)
  end)
end)
