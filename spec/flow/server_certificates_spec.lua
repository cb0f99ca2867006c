-- Uploaded server certificates: which one a client sees, and that a replacement disturbs nobody.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

describe("uploaded server certificates", function()
  local gate, behind, ca

  setup(function()
    ca = certs.ca("Servers")
    behind = origin.start()
    gate = gateway.start { origin = behind }
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function server(names, options)
    options = options or {}
    options.cn, options.eku, options.san = "server", "serverAuth", names
    return certs.leaf(ca, options)
  end

  local function path(id) return ("/zones/%s/custom_certificates%s"):format(gate.zone, id and "/" .. id or "") end

  local function upload(leaf)
    return gate:api("POST", path(), { certificate = leaf.pem, private_key = leaf.key, bundle_method = "force" })
  end

  local function subject_and_serial(text)
    return shell.run({ "openssl", "x509", "-noout", "-serial", "-issuer" }, { stdin = text }).stdout
  end

  -- What a client of this name is shown.
  local function presented(name, ...)
    local argv = { "openssl", "s_client", "-connect", "127.0.0.1:" .. gate.port, "-servername", name, ... }
    return subject_and_serial(shell.run(argv, { stdin = "" }).stdout)
  end

  it("are served for the names they cover, at once; other names keep the local CA", function()
    local leaf = server("DNS:shop.example.com,DNS:*.eu.example.com")
    assert.truthy(presented("shop.example.com"):find("Moongate local CA", 1, true))
    local made = upload(leaf)
    for _, name in ipairs { "shop.example.com", "a.eu.example.com" } do
      assert.equal(subject_and_serial(leaf.pem), presented(name))
    end
    for _, name in ipairs { "www.example.com", "eu.example.com", "a.b.eu.example.com" } do
      assert.truthy(presented(name):find("Moongate local CA", 1, true), name)
    end
    gate:api("DELETE", path(made.id))
    assert.truthy(presented("shop.example.com"):find("Moongate local CA", 1, true))
  end)

  it("are chosen by the client's abilities when there is one of each kind", function()
    local ec, rsa = server("DNS:both.example.com"), server("DNS:both.example.com", { key = "RSA 2048" })
    upload(ec)
    upload(rsa)
    assert.equal(subject_and_serial(ec.pem), presented("both.example.com", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert.equal(subject_and_serial(rsa.pem), presented("both.example.com", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"))
  end)

  it("are replaced while a connection goes on", function()
    local before, after = server("DNS:live.example.com"), server("DNS:live.example.com")
    local made = upload(before)
    local function connect()
      return assert(client.connect { port = gate.port, sni = "live.example.com", ca = ca.path })
    end
    local session = connect()
    assert.equal(200, session:get("/one", { host = "live.example.com" }).status)
    assert.equal(made.id, gate:api("PATCH", path(made.id), { certificate = after.pem, private_key = after.key }).id)
    assert.equal(200, session:get("/two", { host = "live.example.com" }).status)
    assert.equal(subject_and_serial(after.pem), presented("live.example.com"))
    local fresh = connect()
    assert.equal(200, fresh:get("/three", { host = "live.example.com" }).status)
    assert.equal(200, session:get("/four", { host = "live.example.com" }).status)
    fresh:close()
    session:close()
  end)

  it("are there again after a restart", function()
    local leaf = server("DNS:again.example.com")
    upload(leaf)
    gate:restart()
    assert.equal(subject_and_serial(leaf.pem), presented("again.example.com"))
  end)

  it("come from the last good snapshot when the store is gone", function()
    local leaf = server("DNS:without.example.com")
    upload(leaf)
    local config = { listen = { "127.0.0.1:0" }, admin = { listen = "127.0.0.1:0" }, data_dir = "data", workers = 2,
      log = { level = "debug" }, serve_without_store = true }
    shell.write(gate.config_path, gateway.config_text(config))
    gate:signal(shell.TERM)
    gate:wait_exit()
    local data = gate.directory .. "/data"
    assert.equal(0, shell.run({ "sh", "-c", ("mv %s/moongate.db %s/kept && mkdir %s/moongate.db"):format(data, data, data) }).status)
    gate:launch()
    assert.equal(subject_and_serial(leaf.pem), presented("without.example.com"))
    assert.is_nil((shell.read(data .. "/last-good.json")):find("PRIVATE KEY", 1, true))
  end)
end)
