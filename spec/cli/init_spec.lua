local support = require "spec.support.admin"

-- What a file would be for the command line: collects what is written, or gives lines to read.
local function collector(text)
  local parts, position = {}, 1
  return {
    write = function(self, ...)
      for index = 1, select("#", ...) do parts[#parts + 1] = tostring((select(index, ...))) end
      return self
    end,
    text = function() return table.concat(parts) end,
    read = function()
      local rest = text and text:sub(position)
      position = #(text or "") + 1
      return rest
    end,
    lines = function() return (text or ""):gmatch("([^\n]*)\n") end,
  }
end

describe("moongate.cli", function()
  local cli, directory, path, control

  before_each(function()
    cli = require "moongate.cli"
    directory, control = support.directory(), support.control()
    path = directory .. "/moongate.lua"
    local file = assert(io.open(path, "wb"))
    file:write('return { listen = { "127.0.0.1:8443" }, data_dir = "data" }\n')
    file:close()
  end)
  after_each(function() os.execute("rm -rf " .. directory) end)

  local function run(...)
    local host = { stdin = collector(""), stdout = collector(), stderr = collector(), control = control }
    local code, plan = cli.main({ ... }, host)
    return { code = code, plan = plan, out = host.stdout.text(), err = host.stderr.text() }
  end

  describe("main()", function()
    for _, case in ipairs {
      { "-h" }, { "--help" }, { "run", "--help" }, { "check", "-h" }, { "token", "-h" }, { "token", "create", "-h" }, { "token", "list", "-h" },
      { "token", "revoke", "-h" }, { "eval", "-h" }, { "version", "-h" }, { "ca", "-h" }, { "ca", "upload", "-h" }, { "host", "origin", "set", "-h" }, { "cert", "issue", "-h" },
      { "rules", "add", "-h" }, { "zone", "settings", "set", "-h" }, { "export", "-h" }, { "import", "-h" }, { "status", "-h" }, { "completion", "-h" },
    } do
      it("helps with " .. table.concat(case, " "), function()
        local result = run(unpack(case))
        assert.equal(0, result.code)
        assert.truthy(result.out:find("^Usage: moongate"))
        assert.equal("", result.err)
      end)
    end

    for _, case in ipairs {
      {}, { "rnu" }, { "run", "--nothing" }, { "run", "-c" }, { "token" }, { "token", "create", "-c", "x" }, { "token", "revoke", "-c", "x" },
      { "check", "a", "b" }, { "eval" }, { "version", "--xml" },
    } do
      it(("refuses `moongate %s` as wrong usage, on stderr"):format(table.concat(case, " ")), function()
        local result = run(unpack(case))
        assert.equal(2, result.code)
        assert.equal("", result.out)
        assert.truthy(result.err:find("^moongate: "))
      end)
    end
  end)

  describe("run", function()
    it("gives the plan back to the program", function()
      local result = run("run", "-c", path)
      assert.equal("run", result.code)
      assert.equal(directory .. "/data", result.plan.config.data_dir)
      assert.is_false(result.plan.dev)
    end)

    it("logs everything with --dev", function()
      local result = run("run", "--config", path, "--dev")
      assert.is_true(result.plan.dev)
      assert.equal("debug", result.plan.config.log.level)
    end)

    it("fails with file and line when the file is wrong", function()
      local file = assert(io.open(path, "wb"))
      file:write('return { data_dir = "x",\n lisen = {} }')
      file:close()
      local result = run("run", "-c", path)
      assert.equal(1, result.code)
      assert.equal(("moongate: %s:2: unknown key lisen; did you mean listen?\n"):format(path), result.err)
    end)
  end)

  describe("check", function()
    it("says that a file is fine", function()
      local result = run("check", "-c", path)
      assert.equal(0, result.code)
      assert.equal(path .. ": the configuration is valid\n", result.out)
    end)

    it("fails when a file that it names cannot be read", function()
      local file = assert(io.open(path, "wb"))
      file:write('return { data_dir = "x", admin = { certificate = "none.pem", key = "none.key" } }')
      file:close()
      local result = run("check", "-c", path)
      assert.equal(1, result.code)
      assert.truthy(result.err:find("admin.certificate: " .. directory .. "/none.pem: No such file", 1, true))
    end)

    it("fails when there is no file", function()
      assert.equal(1, run("check", "-c", directory .. "/none.lua").code)
    end)
  end)

  describe("version", function()
    it("prints it for people and for programs", function()
      local version = require "moongate.version"
      assert.equal("moongate " .. version .. "\n", run("version").out)
      local json = require "moongate.json"
      assert.equal(version, json.decode(run("version", "--json").out).version)
    end)
  end)

  describe("completion", function()
    for _, shell in ipairs { "bash", "zsh", "fish" } do
      it("is printed for " .. shell .. ", with every command", function()
        local result = run("completion", shell)
        assert.equal(0, result.code)
        for _, word in ipairs { "moongate", "export", "upload", "token%-file", "settings" } do assert.truthy(result.out:find(word), word) end
      end)
    end

    it("is a script that bash can read", function()
      local pipe = assert(io.popen("bash -n", "w"))
      pipe:write(run("completion", "bash").out)
      assert.truthy(pipe:close())
    end)

    it("knows no other shell", function() assert.equal(2, run("completion", "csh").code) end)
  end)

  it("shows the usage of the command that was meant", function()
    assert.truthy(run("ca", "upload").err:find("Usage: moongate ca upload", 1, true))
    assert.truthy(run("host", "origin", "set", "a").err:find("Usage: moongate host origin set", 1, true))
  end)

  describe("eval", function()
    it("prints true or false", function()
      assert.equal("false\n", run("eval", 'http.host eq "a"').out)
      assert.equal(0, run("eval", 'http.host eq ""').code)
    end)

    it("exits 1 with a caret for a bad expression", function()
      local result = run("eval", 'http.hst eq "a"')
      assert.equal(1, result.code)
      assert.truthy(result.err:find("^^^", 1, true))
    end)
  end)

  describe("token", function()
    local function create(...) return run("token", "create", "-c", path, ...) end

    it("prints the token alone, once, before the gateway's first run", function()
      local result = create("--name", "ci")
      assert.equal(0, result.code)
      assert.truthy(result.out:find("^[0-9A-Za-z_-]+\n$"))
      assert.truthy(#result.out >= 41 and #result.out <= 81)
      assert.equal("", result.err)
      assert.is_nil(run("token", "list", "-c", path).out:find(result.out:sub(1, -2), 1, true))
    end)

    it("makes tokens that open a gateway which is already running", function()
      local gate = assert(support.start { directory = directory, control = control })
      local all = create("--name", "all").out:sub(1, -2)
      local one = create("--name", "one", "--permission", "Zone Read", "-p", "Account Settings Read").out:sub(1, -2)
      assert.equal(200, gate:call("POST", "/zones", { name = "heron.test" }, { token = all }).status)
      assert.equal(1, #gate:call("GET", "/zones", nil, { token = one }).body.result)
      assert.equal(200, gate:call("GET", "/accounts/" .. gate.account_id, nil, { token = one }).status)
      assert.equal(403, gate:call("POST", "/zones", { name = "stork.test" }, { token = one }).status)
      assert.equal(0, run("token", "revoke", "-c", path, "one").code)
      assert.equal(403, gate:call("GET", "/zones", nil, { token = one }).status)
      gate.app:stop()
    end)

    it("lists what each may do, newest first, and no secret", function()
      create("--name", "first")
      control.clock = control.clock + 60
      create("--name", "second", "-p", "SSL and Certificates Write", "--expires", "2030-02-28")
      local lines = {}
      for line in run("token", "list", "-c", path).out:gmatch("[^\n]+") do lines[#lines + 1] = line end
      assert.equal(2, #lines)
      assert.truthy(lines[1]:find("second", 1, true) and lines[1]:find("SSL and Certificates Write", 1, true))
      assert.truthy(lines[1]:find("expires 2030-02-28T23:59:59Z", 1, true))
      assert.truthy(lines[2]:find("first", 1, true) and lines[2]:find("everything", 1, true))
    end)

    it("revokes by id, and fails for what is not there", function()
      create("--name", "ci")
      local id = run("token", "list", "-c", path).out:match("^%x+")
      assert.equal(0, run("token", "revoke", "-c", path, id).code)
      assert.equal("", run("token", "list", "-c", path).out)
      local again = run("token", "revoke", "-c", path, id)
      assert.equal(1, again.code)
      assert.truthy(again.err:find("there is no token", 1, true))
    end)

    for _, case in ipairs {
      { "an unknown permission", { "--name", "x", "-p", "SSL and Certificate Write" }, 'did you mean "SSL and Certificates Write"?' },
      { "an empty name", { "--name", "" }, "1 to 120" },
      { "a name of 121 bytes", { "--name", ("x"):rep(121) }, "1 to 120" },
      { "a day that is none", { "--name", "x", "--expires", "2027-02-29" }, "is no time" },
      { "a time that is none", { "--name", "x", "--expires", "2027-02-28T24:00:00Z" }, "is no time" },
      { "a word as a time", { "--name", "x", "--expires", "soon" }, "is no time" },
    } do
      it("refuses " .. case[1] .. " as wrong usage and makes nothing", function()
        local result = create(unpack(case[2]))
        assert.equal(2, result.code)
        assert.equal("", result.out)
        assert.truthy(result.err:find(case[3], 1, true))
        assert.equal("", run("token", "list", "-c", path).out)
      end)
    end

    it("takes the last day of February in a leap year", function()
      assert.equal(0, create("--name", "x", "--expires", "2028-02-29").code)
    end)

    it("fails with the path when the store cannot be opened", function()
      os.execute("mkdir -m 777 " .. directory .. "/data")
      local result = create("--name", "x")
      assert.equal(1, result.code)
      assert.truthy(result.err:find("moongate: " .. directory .. "/data: other users can write", 1, true))
    end)
  end)
end)
