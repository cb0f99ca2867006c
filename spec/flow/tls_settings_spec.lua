-- TLS settings of zones and hostnames, asked by the openssl client: what is agreed under which name, from the answer on.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

local OLD = "ECDHE-ECDSA-AES256-SHA384" -- not among the suites that the gateway takes by itself

describe("TLS settings", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)
  after_each(function()
    for _, id in ipairs { "min_tls_version", "ciphers" } do
      local path = ("/zones/%s/hostnames/settings/%s"):format(gate.zone, id)
      for _, entry in ipairs(gate:api("GET", path)) do gate:api("DELETE", path .. "/" .. entry.hostname) end
    end
    gate:api("PATCH", ("/zones/%s/settings"):format(gate.zone), { items = {
      { id = "tls_1_3", value = "on" }, { id = "min_tls_version", value = "1.0" }, { id = "ciphers", value = setmetatable({}, { __jsontype = "array" }) } } })
  end)

  local function zone_setting(id, value) return gate:api("PATCH", ("/zones/%s/settings/%s"):format(gate.zone, id), { value = value }) end
  local function host_setting(id, host, value)
    return gate:api("PUT", ("/zones/%s/hostnames/settings/%s/%s"):format(gate.zone, id, host), { value = value })
  end

  -- Version and suite that a client of this name agrees on; nil when there was no handshake.
  local function agreed(host, ...)
    local argv = { "openssl", "s_client", "-connect", "127.0.0.1:" .. gate.port, "-servername", host, ... }
    local text = shell.run(argv, { stdin = "" }).stdout
    local version, suite = text:match("New, (TLSv[%d.]+), Cipher is ([%w-_]+)")
    return version, suite
  end

  it("serve TLS 1.2 and 1.3 until they are changed, never anything older", function()
    assert.equal("TLSv1.3", (agreed "www.example.com"))
    assert.equal("TLSv1.2", (agreed("www.example.com", "-tls1_2")))
    zone_setting("min_tls_version", "1.0")
    for _, version in ipairs { "-tls1", "-tls1_1" } do
      assert.is_nil(agreed("www.example.com", version, "-cipher", "ALL:@SECLEVEL=0"))
    end
  end)

  it("hold by hostname before they hold by zone, from the answer on", function()
    zone_setting("min_tls_version", "1.3")
    assert.is_nil(agreed("www.example.com", "-tls1_2"))
    assert.is_nil(agreed("pay.example.com", "-tls1_2"))
    host_setting("min_tls_version", "pay.example.com", "1.2")
    assert.equal("TLSv1.2", (agreed("pay.example.com", "-tls1_2")))
    assert.is_nil(agreed("www.example.com", "-tls1_2"))
    zone_setting("min_tls_version", "1.2")
    host_setting("min_tls_version", "pay.example.com", "1.3")
    assert.equal("TLSv1.2", (agreed("www.example.com", "-tls1_2")))
    assert.is_nil(agreed("pay.example.com", "-tls1_2"))
    assert.equal("TLSv1.3", (agreed "pay.example.com"))
    gate:api("DELETE", ("/zones/%s/hostnames/settings/min_tls_version/pay.example.com"):format(gate.zone))
    assert.equal("TLSv1.2", (agreed("pay.example.com", "-tls1_2")))
  end)

  it("switch TLS 1.3 off and on", function()
    zone_setting("tls_1_3", "off")
    assert.equal("TLSv1.2", (agreed "www.example.com"))
    assert.is_nil(agreed("www.example.com", "-tls1_3"))
    zone_setting("tls_1_3", "zrt")
    assert.equal("TLSv1.3", (agreed "www.example.com"))
  end)

  it("choose the suites of TLS 1.2, and leave those of TLS 1.3 alone", function()
    assert.is_nil(agreed("www.example.com", "-tls1_2", "-cipher", OLD))
    zone_setting("ciphers", { OLD, "ECDHE-ECDSA-AES128-GCM-SHA256" })
    assert.same({ "TLSv1.2", OLD }, { agreed("www.example.com", "-tls1_2", "-cipher", OLD) })
    assert.is_nil(agreed("www.example.com", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"))
    host_setting("ciphers", "pay.example.com", { "ECDHE-ECDSA-AES256-GCM-SHA384" })
    assert.same({ "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384" }, { agreed("pay.example.com", "-tls1_2") })
    assert.is_nil(agreed("pay.example.com", "-tls1_2", "-cipher", OLD))
    host_setting("ciphers", "pay.example.com", setmetatable({}, { __jsontype = "array" }))
    assert.equal("TLSv1.2", (agreed("pay.example.com", "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")))
    for _, name in ipairs { "www.example.com", "pay.example.com" } do assert.equal("TLSv1.3", (agreed(name))) end
  end)

  it("have the local CA make an RSA certificate where nothing but suites for RSA is chosen", function()
    for _, suite in ipairs { "ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384" } do
      host_setting("ciphers", "pay.example.com", { suite })
      assert.same({ "TLSv1.2", suite }, { agreed("pay.example.com", "-tls1_2") })
      assert.equal("TLSv1.3", (agreed "pay.example.com"))
    end
    zone_setting("tls_1_3", "off")
    zone_setting("ciphers", { "ECDHE-RSA-AES128-GCM-SHA256" })
    assert.same({ "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256" }, { agreed "nobody.example.com" })
  end)

  describe("hold under another name's connection, too:", function()
    -- Status of a request for `host` on a connection for `sni`.
    local function status(sni, version, host)
      local session = assert(client.connect { port = gate.port, sni = sni, ca = gate.ca_path, version = version })
      local answer = session:get("/", { host = host })
      session:close()
      return answer.status
    end

    it("the minimum", function()
      host_setting("min_tls_version", "pay.example.com", "1.3")
      assert.equal(421, status("www.example.com", "1.2", "pay.example.com"))
      assert.equal(421, status(nil, "1.2", "pay.example.com"))
      assert.equal(200, status("www.example.com", "1.3", "pay.example.com"))
      assert.equal(200, status("pay.example.com", "1.3", "www.example.com"))
      assert.equal(200, status("www.example.com", "1.2", "shop.example.com"))
    end)

    it("nothing where the terms agree", function()
      host_setting("min_tls_version", "pay.example.com", "1.2")
      assert.equal(200, status("www.example.com", "1.2", "pay.example.com"))
      assert.equal(200, status("pay.example.com", "1.2", "www.example.com"))
    end)

    it("the suites", function()
      host_setting("ciphers", "pay.example.com", { OLD })
      assert.equal(421, status("www.example.com", "1.2", "pay.example.com"))
      assert.equal(200, status("www.example.com", "1.3", "pay.example.com"))
      assert.equal(421, status("pay.example.com", "1.2", "www.example.com"))
    end)
  end)

  it("leave open connections as they are", function()
    local session = assert(client.connect { port = gate.port, sni = "www.example.com", ca = gate.ca_path, version = "1.2" })
    assert.equal(200, session:get("/one", { host = "www.example.com" }).status)
    zone_setting("min_tls_version", "1.3")
    assert.equal(200, session:get("/two", { host = "www.example.com" }).status)
    session:close()
  end)

  for title, change in pairs {
    ["a higher minimum"] = function() zone_setting("min_tls_version", "1.3") end,
    ["other suites"] = function() zone_setting("ciphers", { OLD }) end,
    ["other suites of the hostname"] = function() host_setting("ciphers", "pay.example.com", { OLD }) end,
  } do
    it("are not got around by an older session: " .. title, function()
      local function connect(kept)
        return client.connect { port = gate.port, sni = "pay.example.com", ca = gate.ca_path, version = "1.2", resume = kept }
      end
      local session = assert(connect())
      assert.equal(200, session:get("/", { host = "pay.example.com" }).status)
      local kept = session:resumable()
      session:close()
      session = assert(connect(kept))
      assert.is_true(session:is_resumed())
      session:close()
      change()
      session = connect(kept)
      if session then
        assert.is_false(session:is_resumed())
        session:close()
      end
    end)
  end

  it("are there again after a restart", function()
    host_setting("min_tls_version", "pay.example.com", "1.3")
    zone_setting("ciphers", { OLD })
    gate:restart()
    assert.is_nil(agreed("pay.example.com", "-tls1_2"))
    assert.equal("TLSv1.2", (agreed("www.example.com", "-tls1_2", "-cipher", OLD)))
  end)

  it("are refused when no client could use them with the certificate, and nothing changes", function()
    local ca = certs.ca "Servers"
    local leaf = certs.leaf(ca, { cn = "server", eku = "serverAuth", san = "DNS:ec.example.com" })
    local made = gate:api("POST", ("/zones/%s/custom_certificates"):format(gate.zone),
      { certificate = leaf.pem, private_key = leaf.key, bundle_method = "force" })
    zone_setting("tls_1_3", "off")
    local status, document = gate:admin("PUT", ("/zones/%s/hostnames/settings/ciphers/ec.example.com"):format(gate.zone),
      { value = { "ECDHE-RSA-AES128-GCM-SHA256" } })
    assert.equal(400, status)
    assert.truthy(document.errors[1].message:find("ec.example.com", 1, true), document.errors[1].message)
    assert.truthy(document.errors[1].message:find("ciphers", 1, true))
    assert.equal("TLSv1.2", (agreed "ec.example.com"))
    gate:api("DELETE", ("/zones/%s/custom_certificates/%s"):format(gate.zone, made.id))
  end)
end)
