describe("moongate.config", function()
  local config = require "moongate.config"
  local directory

  setup(function()
    local pipe = assert(io.popen("mktemp -d"))
    directory = pipe:read("*l")
    pipe:close()
  end)
  teardown(function() os.execute("rm -rf " .. directory) end)

  local function write(text, name)
    local path = directory .. "/" .. (name or "moongate.lua")
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
  end

  local function load_text(text)
    return config.load(write(text))
  end

  describe("load()", function()
    it("fills in every default", function()
      local read = assert(load_text 'return { data_dir = "/var/lib/moongate" }')
      assert.same({
        listen = {}, listen_http = {}, data_dir = "/var/lib/moongate", workers = "auto",
        admin = { listen = "127.0.0.1:8444", requests = 1200, requests_per_second = 200, failures_per_minute = 100 },
        geoip = {}, policies = {}, policy_budget_ms = 10, policy_jit = false, serve_without_store = false,
        outgoing = { allow_local = false }, alerts = { sendmail = {}, from = "moongate@localhost" }, log = { level = "info", file = "-" },
        limits = { start_line = 8192, field = 16384, head = 65536, fields = 128, body = 104857600, connections = 50000,
          connections_per_address = 10000, handshakes = 4096, tls_sessions = 10000, idle_origin_connections = 64, client_cas_per_account = 5 },
        timeouts = { handshake = 10, head = 30, body_idle = 30, keep_alive = 75, write_idle = 60, origin_connect = 10,
          origin_head = 60, origin_idle = 60, origin_keep_alive = 60, tunnel_idle = 3600, drain = 30 },
      }, read)
    end)

    it("reads what is given, computed or not", function()
      local read = assert(load_text [[
        local ports = {}
        for port = 8443, 8445 do ports[#ports + 1] = "[::1]:" .. port end
        return { listen = ports, data_dir = "/d", workers = 4, limits = { fields = 64 }, timeouts = { drain = 0 },
          admin = { listen = "0.0.0.0:8444", certificate = "/c.pem", key = "/k.pem" }, serve_without_store = true, }
      ]])
      assert.same({ "[::1]:8443", "[::1]:8444", "[::1]:8445" }, read.listen)
      assert.equal(4, read.workers)
      assert.equal(64, read.limits.fields)
      assert.equal(65536, read.limits.head)
      assert.equal(0, read.timeouts.drain)
      assert.is_true(read.serve_without_store)
    end)

    it("takes relative paths from the file's directory", function()
      local read = assert(load_text [[return { data_dir = "data", admin = { certificate = "c.pem", key = "/k.pem" },
        outgoing = { ca = "o.pem" },
        log = { file = "x.log" }, policies = { "p.lua", "/q.lua" } }]])
      assert.same({ directory .. "/p.lua", "/q.lua" }, read.policies)
      assert.equal(directory .. "/data", read.data_dir)
      assert.equal(directory .. "/c.pem", read.admin.certificate)
      assert.equal("/k.pem", read.admin.key)
      assert.equal(directory .. "/x.log", read.log.file)
    end)

    it("gives string methods back to everybody else", function()
      load_text "return {}"
      load_text "error()"
      assert.equal("aa", ("a"):rep(2))
    end)

    for _, case in ipairs {
      { "a syntax error", 'return {\n data_dir = "x"', 2, "'}' expected" },
      { "an unknown key", 'return {\n data_dir = "x",\n lissten = {} }', 3, "unknown key lissten; did you mean listen?" },
      { "an unknown key of a group", 'return { data_dir = "x",\n timeouts = {\n  hed = 1 } }', 3, "unknown key timeouts.hed; did you mean timeouts.head?" },
      { "an unknown key like no other", 'return { data_dir = "x",\n zzzzzzzz = 1 }', 2, "unknown key zzzzzzzz" },
      { "a number as a key", 'return { data_dir = "x", 7 }', nil, "unknown key 1" },
      { "no data_dir", "return {}", nil, "data_dir is missing" },
      { "a wrong type", 'return {\n data_dir = 7 }', 2, "data_dir must be a string, not a number" },
      { "a text where a list is needed", 'return { data_dir = "x",\n listen = "0.0.0.0:443" }', 2, "listen must be a list" },
      { "a list with a name in it", 'return { data_dir = "x",\n listen = { a = "0.0.0.0:443" } }', 2, "listen must be a list" },
      { "an address without a port", 'return { data_dir = "x",\n listen = { "0.0.0.0" } }', 2, 'listen[1]: expected HOST:PORT' },
      { "an address without a host", 'return { data_dir = "x",\n listen = { ":443" } }', 2, 'listen[1]: expected HOST:PORT' },
      { "a port that is none", 'return { data_dir = "x",\n listen = { "a:65536" } }', 2, "from 0 to 65535" },
      { "a number in a list of addresses", 'return { data_dir = "x",\n listen = { 443 } }', 2, "listen[1] must be a string" },
      { "a resolver by name", 'return { data_dir = "x", outgoing = {\n dns = "localhost:53" } }', 2, 'outgoing.dns: expected an IPv4 address and a port' },
      { "a resolver without a port", 'return { data_dir = "x", outgoing = {\n dns = "192.0.2.53" } }', 2, 'outgoing.dns: expected an IPv4 address and a port' },
      { "half a worker", 'return { data_dir = "x",\n workers = 0.5 }', 2, 'workers must be a whole number or "auto"' },
      { "no worker", 'return { data_dir = "x",\n workers = 0 }', 2, "workers must be from 1 to 1024, not 0" },
      { "an unknown level", 'return { data_dir = "x", log = {\n level = "loud" } }', 2, "log.level must be one of debug, info, warn, error" },
      { "a limit that is too small", 'return { data_dir = "x", limits = {\n head = 1 } }', 2, "limits.head must be from 1024" },
      { "a field larger than the head", 'return { data_dir = "x", limits = {\n field = 65536, head = 2048 } }', nil, "is larger than limits.head" },
      { "a policy file that is no text", 'return { data_dir = "x",\n policies = { 7 } }', 2, "policies[1] must be a string" },
      { "a budget of nothing", 'return { data_dir = "x",\n policy_budget_ms = 0 }', 2, "policy_budget_ms must be from 1 to 1000" },
      { "an open admin listener", 'return { data_dir = "x",\n admin = { listen = "0.0.0.0:8444" } }', 2, "certificate and admin.key are required" },
      { "a certificate without a key", 'return { data_dir = "x",\n admin = { certificate = "c" } }', 2, "belong together" },
      { "a mail program without a path", 'return { data_dir = "x", alerts = {\n sendmail = { "sendmail" } } }', 2, "whole path of a program" },
      { "a mail program with too many words", 'local w = {}\nfor i = 1, 33 do w[i] = "/x" end\nreturn { data_dir = "x", alerts = { sendmail = w } }', 3, "more than 32 words" },
      { "a sender that is none", 'return { data_dir = "x", alerts = {\n from = "a\\nb@c" } }', 2, "e-mail address" },
      { "nothing returned", "local a = 1", nil, "it must return a table" },
      { "a function returned", "return function() end", nil, "it must return a table" },
      { "an endless loop", "while true do end", nil, "it takes too long" },
      { "an endless loop in a function", "local function f() return f() end\nreturn f()", nil, "it takes too long" },
      { "a yield", "return coroutine.yield()", 1, "global 'coroutine'" },
      { "a global function", 'return os.getenv("HOME")', 1, "global 'os'" },
      { "a string method", '\nreturn ("x"):rep(1e9)', 2, "index a string" },
      { "a global library through the environment", "return _G.io", 1, "global '_G'" },
    } do
      it(("refuses %s, naming %s"):format(case[1], case[3] and "line " .. case[3] or "the file"), function()
        local path = write(case[2])
        local read, diag = config.load(path)
        assert.is_nil(read)
        assert.equal(case[3], diag.line)
        assert.truthy(diag.text:find(case[4], 1, true), diag.text)
        assert.equal(1, (diag.text:find(path .. ":", 1, true)))
      end)
    end

    it("refuses bytecode", function()
      local read, diag = load_text(string.dump(function() return {} end))
      assert.is_nil(read)
      assert.truthy(diag.text:find("bytecode", 1, true))
    end)

    it("refuses a file that is not there, a directory, an empty and an endless one", function()
      assert.truthy(select(2, config.load(directory .. "/none.lua")).text:find("No such file", 1, true))
      assert.is_nil((config.load(directory)))
      assert.is_nil((config.load(write ""))) -- runs, and returns nothing
      assert.truthy(select(2, load_text(("-- x\n"):rep(300000))).text:find("larger than 1 MiB", 1, true))
    end)

    it("leaves no watchman behind who would end later work", function()
      assert(load_text 'return { data_dir = "x" }')
      assert.is_nil((debug.gethook()))
    end)

    it("does not leak globals from one file to the next", function()
      assert.is_nil((load_text "x = 1"))
      local read, diag = load_text 'return { data_dir = x }'
      assert.is_nil(read)
      assert.truthy(diag.text:find("data_dir is missing", 1, true))
      assert.is_nil(rawget(_G, "x"))
    end)
  end)

  describe("the user of the admin API", function()
    for _, email in ipairs { "a@b", "Ada@Heron.test" } do
      it("may have the e-mail " .. email, function()
        local read = load_text(('return { data_dir = "x", admin = { email = "%s" } }'):format(email))
        assert.equal(email, read.admin.email)
      end)
    end

    for _, email in ipairs { "", "ada", "a@b@c", "a b@c", "@b", ("a"):rep(90) .. "@b" } do
      it(("may not have the e-mail %q"):format(email), function()
        assert.is_nil((load_text(('return { data_dir = "x", admin = { email = "%s" } }'):format(email))))
      end)
    end
  end)

  describe("loopback", function()
    for _, address in ipairs { "127.0.0.1:1", "127.8.8.8:1", "localhost:1", "[::1]:1" } do
      it("needs no certificate for the admin API on " .. address, function()
        assert.is_table((load_text(('return { data_dir = "x", admin = { listen = "%s" } }'):format(address))))
      end)
    end

    for _, address in ipairs { "0.0.0.0:1", "[::]:1", "127.0.0.1.evil.test:1", "192.0.2.1:1", "localhost.test:1" } do
      it("is not " .. address, function()
        assert.is_nil((load_text(('return { data_dir = "x", admin = { listen = "%s" } }'):format(address))))
      end)
    end
  end)

  describe("nearest()", function()
    it("finds what was meant, and nothing when nothing is near", function()
      assert.equal("listen", config.nearest("lisen", { "listen", "admin" }))
      assert.equal("Zone Read", config.nearest("zone read", { "Zone Read", "Zone Write" }))
      assert.is_nil(config.nearest("banana", { "listen", "admin" }))
    end)
  end)

  describe("development()", function()
    it("stays on loopback", function()
      local read = config.development("d")
      assert.equal("127.0.0.1:8443", read.listen[1])
      assert.equal("127.0.0.1:8444", read.admin.listen)
      assert.equal("./d", read.data_dir)
    end)
  end)
end)
