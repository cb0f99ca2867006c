-- The command line as users run it: what it prints where, and the exit code.

local dkjson = require "dkjson"
local gateway = require "spec.support.gateway"
local shell = require "spec.support.shell"

describe("the command line", function()
  local gate

  setup(function() gate = gateway.new() end)
  teardown(function() gate:stop() end)

  it("prints its version", function()
    local result = gateway.cli { "version" }
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find("^moongate %d+%.%d+%.%d+\n$"))
    local document = assert(dkjson.decode(gateway.cli({ "version", "--json" }).stdout))
    assert.equal(result.stdout, "moongate " .. document.version .. "\n")
  end)

  it("explains itself", function()
    local result = gateway.cli { "--help" }
    assert.equal(0, result.status)
    for _, command in ipairs { "run", "check", "token", "eval", "version" } do
      assert.truthy(result.stdout:find(command, 1, true), command)
      assert.equal(0, gateway.cli({ command, "--help" }).status)
    end
  end)

  for _, arguments in ipairs { {}, { "nonsense" }, { "run", "--nonsense" }, { "eval" }, { "token" }, { "token", "create" } } do
    it("exits 2 on wrong usage: moongate " .. table.concat(arguments, " "), function()
      local result = gateway.cli(arguments)
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find("moongate", 1, true))
    end)
  end

  it("checks a configuration without starting anything", function()
    assert.equal(0, gateway.cli({ "check", "-c", gate.config_path }).status)
    local path = gate.directory .. "/broken.lua"
    shell.write(path, 'return { data_dir = "data", worker = 2 }')
    local result = gateway.cli { "check", "-c", path }
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("did you mean workers?", 1, true))
  end)

  it("makes a token before the first run: alone on stdout, and never in the store", function()
    local result = gateway.cli { "token", "create", "-c", gate.config_path, "--name", "first" }
    assert.equal(0, result.status)
    local token = result.stdout:match("^([%w_-]+)\n$")
    assert.truthy(token and #token >= 40)
    for _, suffix in ipairs { "", "-wal" } do
      local bytes = shell.read(gate.directory .. "/data/moongate.db" .. suffix)
      assert.is_nil(bytes and bytes:find(token, 1, true))
    end
  end)

  it("makes, lists and revokes tokens while the gateway runs", function()
    local running = gateway.start()
    local made = gateway.cli { "token", "create", "-c", running.config_path, "--name", "second", "--permission", "Zone Read" }
    assert.equal(0, made.status, made.stderr)
    local token = made.stdout:match("%S+")
    local fields = { { "Authorization", "Bearer " .. token } }
    assert.equal(200, (running:admin("GET", "/zones", nil, fields)))
    assert.equal(403, (running:admin("POST", "/zones", { name = "example.net", account = { id = running:account() } }, fields)))
    local list = gateway.cli { "token", "list", "-c", running.config_path }
    assert.truthy(list.stdout:find("second", 1, true))
    assert.is_nil(list.stdout:find(token, 1, true))
    assert.equal(0, gateway.cli({ "token", "revoke", "-c", running.config_path, "second" }).status)
    assert.equal(403, (running:admin("GET", "/zones", nil, fields)))
    running:stop()
  end)

  it("makes a global key while the gateway runs, one at a time and never in the store", function()
    local running = gateway.start { config = { admin = { listen = "127.0.0.1:0", email = "ops@heron.example" } } }
    local function make()
      local made = gateway.cli { "token", "key", "-c", running.config_path }
      assert.equal(0, made.status, made.stderr)
      assert.truthy(made.stderr:find("ops@heron.example", 1, true))
      return (assert(made.stdout:match("^([%w_-]+)\n$")))
    end
    local function status(key)
      return (running:admin("GET", "/user", nil, { { "X-Auth-Email", "ops@heron.example" }, { "X-Auth-Key", key } }))
    end
    local first = make()
    assert.truthy(#first >= 37 and #first <= 60)
    assert.equal(200, status(first))
    local second = make()
    assert.equal(403, status(first))
    assert.equal(200, status(second))
    for _, suffix in ipairs { "", "-wal" } do
      local bytes = shell.read(running.directory .. "/data/moongate.db" .. suffix)
      assert.is_nil(bytes and bytes:find(second, 1, true))
    end
    running:stop()
  end)

  for _, case in ipairs {
    { 'http.host eq "a"', '{"http.host":"a"}', "true\n" },
    { 'http.host eq "a"', '{"http.host":"b"}', "false\n" },
    { '(http.host in {"api.example.com"} and not cf.tls_client_auth.cert_verified)',
      '{"http.host":"api.example.com","cf.tls_client_auth.cert_verified":false}', "true\n" },
    { "ip.src in {192.0.2.0/24}", '{"ip.src":"192.0.2.77"}', "true\n" },
  } do
    it(("evaluates %s with %s"):format(case[1], case[2]), function()
      local result = gateway.cli({ "eval", case[1], "--request", "-" }, case[2])
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
      assert.equal(case[3], result.stdout)
    end)
  end

  it("points at a mistake in an expression", function()
    local result = gateway.cli { "eval", 'http.host eq "a" and nonsense' }
    assert.equal(1, result.status)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find("1:22", 1, true), result.stderr)
    assert.truthy(result.stderr:find("\n%s+%^+"), result.stderr)
  end)

  it("evaluates a batch, one answer a line, in order", function()
    local result = gateway.cli({ "eval", "--batch" }, table.concat({
      '{"expr":"http.host eq \\"a\\"","fields":{"http.host":"a"}}',
      '{"expr":"http.host eq \\"a\\"","fields":{"http.host":"b"}}',
      '{"expr":"http.host eq \\"a\\""}',
      '{"expr":"http.host eq"}',
      'not json',
      '{"expr":"ssl","fields":{"ssl":true}}',
    }, "\n") .. "\n")
    assert.equal(0, result.status, result.stderr)
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = assert(dkjson.decode(line), line) end
    assert.equal(6, #lines)
    assert.same({ result = true }, lines[1])
    assert.same({ result = false }, lines[2])
    assert.same({ ok = true }, lines[3])
    assert.equal(1, lines[4].error.line)
    assert.truthy(lines[5].error.message)
    assert.same({ result = true }, lines[6])
  end)
end)
