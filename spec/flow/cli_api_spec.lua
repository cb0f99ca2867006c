-- The commands over the admin API, with the real program against the real gateway.

local certs = require "spec.support.certs"
local dkjson = require "dkjson"
local everything = require "spec.support.everything"
local gateway = require "spec.support.gateway"
local origin_support = require "spec.support.origin"
local shell = require "spec.support.shell"

describe("the command line over the admin API", function()
  local gate, token_file, url
  local root = certs.ca "Command line root"

  setup(function()
    gate = gateway.start()
    url = "http://127.0.0.1:" .. gate.admin_port
    token_file = gate.directory .. "/token"
    local file = assert(io.open(token_file, "wb"))
    file:write(gate.token, "\n")
    file:close()
  end)
  teardown(function() gate:stop() end)

  local function run(argv, stdin)
    local words = { unpack(argv) }
    for _, word in ipairs { "--url", url, "--token-file", token_file } do words[#words + 1] = word end
    return gateway.cli(words, stdin)
  end

  it("shows the status", function()
    local result = run { "status" }
    assert.equal(0, result.status, result.stderr)
    assert.truthy(result.stdout:find("worker 2", 1, true))
  end)

  it("uploads a CA that the API then has", function()
    local result = run({ "ca", "upload", "-", "--name", "cli", "-o", "json" }, root.pem)
    assert.equal(0, result.status, result.stderr)
    local id = assert(dkjson.decode(result.stdout)).id
    assert.equal(root.pem, gate:api("GET", ("/accounts/%s/mtls_certificates/%s"):format(gate:account(), id)).certificates)
  end)

  it("takes the token from standard input", function()
    local result = gateway.cli({ "zone", "list", "--url", url, "--token-file", "-" }, gate.token .. "\n")
    assert.equal(0, result.status, result.stderr)
  end)

  it("says that no gateway answers", function()
    local result = gateway.cli({ "status", "--url", "http://127.0.0.1:1", "--token-file", token_file })
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("no gateway answers at http://127.0.0.1:1/client/v4; is it running?", 1, true), result.stderr)
  end)

  it("says that the token is not the right one, and does not print it", function()
    local result = gateway.cli({ "status", "--url", url, "--token-file", "-" }, ("w"):rep(40) .. "\n")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("does not accept this token", 1, true), result.stderr)
    assert.is_nil((result.stdout .. result.stderr):find("wwww", 1, true))
  end)

  describe("export and import", function()
    local second, document

    setup(function()
      everything.make(function(method, path, body)
        local status, answer, response = gate:admin(method, path, body)
        if status >= 300 then error(("%s %s: %d %s"):format(method, path, status, response.body or ""), 2) end
        return answer and answer.result
      end)
      second = gateway.start()
      everything.prepare(function(method, path, body)
        local status, answer, response = second:admin(method, path, body)
        if status >= 300 then error(("%s %s: %d %s"):format(method, path, status, response.body or ""), 2) end
        return answer.result
      end)
      document = run { "export" }
    end)
    teardown(function() second:stop() end)

    local function there(argv, stdin)
      local words = { unpack(argv) }
      for _, word in ipairs { "--url", "http://127.0.0.1:" .. second.admin_port, "--token-file", second.directory .. "/token" } do
        words[#words + 1] = word
      end
      shell.write(second.directory .. "/token", second.token)
      return gateway.cli(words, stdin)
    end

    it("takes a configuration to an empty gateway, where its export is equal", function()
      assert.equal(0, document.status, document.stderr)
      local result = there({ "import", "-" }, document.stdout)
      assert.equal(0, result.status, result.stderr)
      assert.equal(document.stdout, there({ "export" }).stdout)
    end)

    it("changes nothing the second time", function()
      local generation = second:api("GET", "/moongate/status").generation
      local result = there({ "import", "-" }, document.stdout)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find("0 created, 0 changed, 0 deleted", 1, true), result.stderr)
      assert.equal(generation, second:api("GET", "/moongate/status").generation)
    end)

    it("plans a deletion in a dry run, and deletes with --prune", function()
      second:api("POST", "/zones", { name = "extra.test" })
      local plan = there({ "import", "-", "--dry-run", "--prune" }, document.stdout)
      assert.equal("- delete zone extra.test\n", plan.stdout)
      assert.not_equal(document.stdout, there({ "export" }).stdout)
      local result = there({ "import", "-", "--prune", "--yes" }, document.stdout)
      assert.equal(0, result.status, result.stderr)
      assert.equal(document.stdout, there({ "export" }).stdout)
    end)
  end)

  describe("before a server that is no gateway", function()
    local origin

    setup(function() origin = origin_support.start() end)
    teardown(function() origin:stop() end)

    for _, case in ipairs {
      { "never answers", "/hold/cli", "did not answer in time" },
      { "breaks off its answer", "/truncated/1000", "talking to" },
      { "answers something else", "", "is not the admin API" },
      { "answers without end", "/bytes/80000000", "the answer is larger than 64 MiB" },
    } do
      it("ends when it " .. case[1], function()
        local result = gateway.cli { "status", "--url", origin.url .. case[2] .. "/x", "--token-file", token_file, "--timeout", "2" }
        assert.equal(1, result.status)
        assert.truthy(result.stderr:find(case[3], 1, true), result.stderr)
      end)
    end

    it("does not go through a proxy", function()
      local result = shell.run({ "env", "http_proxy=" .. origin.url, "ALL_PROXY=" .. origin.url, gateway.program(), "status", "--url", url,
        "--token-file", token_file })
      assert.equal(0, result.status, result.stderr)
    end)
  end)

  describe("over TLS", function()
    local secure
    local server = certs.leaf(root, { cn = "admin", eku = "serverAuth", san = "DNS:localhost" })

    setup(function()
      secure = gateway.new { config = { admin = { listen = "127.0.0.1:0", certificate = server.chain_path, key = server.key_path } } }
      secure:create_token()
      secure:launch()
    end)
    teardown(function() secure:stop() end)

    local function status(host, ...)
      return gateway.cli({ "status", "--url", ("https://%s:%d"):format(host, secure.admin_port), "--token-file", "-", ... }, secure.token)
    end

    it("trusts the CA of --cacert", function()
      local result = status("localhost", "--cacert", root.path)
      assert.equal(0, result.status, result.stderr)
    end)

    for _, case in ipairs {
      { "a certificate of a CA that nobody named", "localhost" }, { "a certificate for another name", "127.0.0.1", "--cacert", root.path },
    } do
      it("does not send the token to " .. case[1], function()
        local result = status(unpack(case, 2))
        assert.equal(1, result.status)
        assert.truthy(result.stderr:find("is not trusted; give its CA with --cacert", 1, true), result.stderr)
      end)
    end
  end)
end)
