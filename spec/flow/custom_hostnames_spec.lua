-- Custom hostnames: names of other domains that a zone serves, with its rules, its origins and CAs of Access.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local resolver_support = require "spec.support.resolver"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

describe("a custom hostname", function()
  local gate, behind, base

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    base = ("/zones/%s/custom_hostnames"):format(gate.zone)
    gate:set_origin(gate.zone, "fallback.example.com", behind.url)
    gate:api("PUT", base .. "/fallback_origin", { origin = "fallback.example.com" })
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function make(hostname, ssl)
    local body = { hostname = hostname, ssl = ssl or { method = "http", type = "dv" } }
    local status, document, response = gate:admin("POST", base, body)
    assert(status == 201, response.body)
    return document.result.id
  end
  local function remove(id) assert.equal(200, (gate:admin("DELETE", base .. "/" .. id))) end

  -- What a client of this name is shown.
  local function presented(name, ...)
    local argv = { "openssl", "s_client", "-connect", "127.0.0.1:" .. gate.port, "-servername", name, ... }
    local text = shell.run(argv, { stdin = "" }).stdout
    return shell.run({ "openssl", "x509", "-noout", "-serial", "-issuer" }, { stdin = text }).stdout
  end

  it("gets the answer of the fallback origin from the answer of the API on, until it is deleted", function()
    local before = gate:status { host = "shop.customer.test" }
    assert.not_equal(200, before)
    local id = make "shop.customer.test"
    local answer = gate:curl { host = "shop.customer.test", path = "/hello" }
    assert.equal(200, answer.status, answer.stderr)
    assert.equal("shop.customer.test", behind:requests("/hello")[1]:field("host"))
    assert.not_equal(200, (gate:status { host = "www.customer.test" }))
    remove(id)
    assert.equal(before, (gate:status { host = "shop.customer.test" }))
  end)

  it("is answered with 530 without an origin", function()
    gate:api("DELETE", base .. "/fallback_origin")
    local id = make "shop.customer.test"
    assert.equal(530, (gate:status { host = "shop.customer.test" }))
    gate:api("PUT", base .. "/fallback_origin", { origin = "fallback.example.com" })
    assert.equal(200, (gate:status { host = "shop.customer.test" }))
    remove(id)
  end)

  it("passes the rules of its zone", function()
    local id = make "shop.customer.test"
    gate:set_rules { 'http.host eq "shop.customer.test" and http.request.uri.path eq "/no"' }
    assert.equal(403, (gate:status { host = "shop.customer.test", path = "/no" }))
    assert.equal(200, (gate:status { host = "shop.customer.test" }))
    assert.equal(200, (gate:status { host = "www.example.com", path = "/no" }))
    gate:set_rules {}
    remove(id)
  end)

  it("tells the rules its metadata, as JSON, and other names none", function()
    local id = make "shop.customer.test"
    gate:set_rules { 'lookup_json_string(cf.hostname.metadata, "plan") eq "trial"', 'http.request.uri.path eq "/none" and cf.hostname.metadata eq ""' }
    assert.equal(200, (gate:status { host = "shop.customer.test" }))
    assert.equal(403, (gate:status { host = "shop.customer.test", path = "/none" }))
    assert.equal(202, (gate:admin("PATCH", base .. "/" .. id, { custom_metadata = { plan = "trial" } })))
    assert.equal(403, (gate:status { host = "shop.customer.test" }))
    assert.equal(200, (gate:status { host = "www.example.com" }))
    assert.equal(403, (gate:status { host = "www.example.com", path = "/none" }))
    gate:set_rules {}
    remove(id)
  end)

  it("shows its own certificate once it is uploaded, and the local CA's before and after", function()
    local leaf = certs.leaf(certs.ca("Servers"), { cn = "server", eku = "serverAuth", san = "DNS:shop.customer.test" })
    local id = make "shop.customer.test"
    assert.truthy(presented("shop.customer.test"):find("Moongate local CA", 1, true))
    assert.equal(202, (gate:admin("PATCH", base .. "/" .. id, { ssl = { custom_certificate = leaf.pem, custom_key = leaf.key, bundle_method = "force" } })))
    assert.equal(shell.run({ "openssl", "x509", "-noout", "-serial", "-issuer" }, { stdin = leaf.pem }).stdout, presented("shop.customer.test"))
    remove(id)
    id = make "shop.customer.test"
    assert.truthy(presented("shop.customer.test"):find("Moongate local CA", 1, true))
    remove(id)
  end)

  it("has its settings for itself; names below its wildcard have those of the zone", function()
    local id = make("shop.customer.test", { method = "http", type = "dv", wildcard = true, settings = { min_tls_version = "1.3" } })
    assert.equal("", presented("shop.customer.test", "-tls1_2"))
    assert.truthy(presented("a.shop.customer.test", "-tls1_2"):find("Moongate", 1, true))
    assert.equal(200, (gate:status { host = "a.shop.customer.test" }))
    assert.not_equal(200, (gate:status { host = "b.a.shop.customer.test" }))
    remove(id)
  end)

  it("verifies clients with a CA of Access, which is tied to it as to any hostname", function()
    local ca = certs.ca("Clients")
    local device = certs.leaf(ca, { cn = "device" })
    local id, plain = make "shop.customer.test", make "plain.customer.test"
    gate:set_rules { gateway.block_rule("shop.customer.test") }
    assert.equal(403, (gate:status { host = "shop.customer.test", cert = device }))
    local status = gate:admin("POST", ("/zones/%s/access/certificates"):format(gate.zone),
      { name = "clients", certificate = ca.pem, associated_hostnames = { "shop.customer.test" } })
    assert.equal(201, status)
    assert.equal(200, (gate:status { host = "shop.customer.test", cert = device }))
    assert.equal(403, (gate:status { host = "shop.customer.test" }))
    -- Opened under a name of other trust, whichever way round: nothing is verified across names.
    for _, names in ipairs { { "plain.customer.test", "shop.customer.test" }, { "shop.customer.test", "plain.customer.test" },
      { "www.example.com", "shop.customer.test" } } do
      local session = gate:connect { sni = names[1], cert = device }
      assert.equal(421, session:get("/", { host = names[2] }).status)
      session:close()
    end
    gate:set_rules {}
    remove(id)
    remove(plain)
  end)

  it("gives way to a zone of its own, at once, and comes back when that goes", function()
    local id = make "shop.customer.test"
    local session = gate:connect { host = "shop.customer.test" }
    assert.equal(200, session:get("/", { host = "shop.customer.test" }).status)
    local own = gate:create_zone "customer.test"
    assert.equal(530, (gate:status { host = "shop.customer.test" }))
    local late = session:get("/", { host = "shop.customer.test" }) -- a connection that waits may be closed
    assert.truthy(not late or late.status == 530)
    session:close()
    gate:api("DELETE", "/zones/" .. own)
    assert.not_equal(200, (gate:status { host = "shop.customer.test" }))
    gate:admin("PATCH", base .. "/" .. id, { ssl = { method = "http", type = "dv" } })
    assert.equal(200, (gate:status { host = "shop.customer.test" }))
    remove(id)
  end)

  it("is there after a restart", function()
    local leaf = certs.leaf(certs.ca("Servers"), { cn = "server", eku = "serverAuth", san = "DNS:shop.customer.test" })
    make("shop.customer.test", { custom_certificate = leaf.pem, custom_key = leaf.key, bundle_method = "force" })
    gate:signal(shell.TERM)
    gate:wait_exit()
    gate:launch()
    assert.equal(shell.run({ "openssl", "x509", "-noout", "-serial", "-issuer" }, { stdin = leaf.pem }).stdout, presented("shop.customer.test"))
  end)
end)

describe("a custom hostname whose ownership is to be proven", function()
  it("is served once its token is found in DNS, while the gateway goes on serving", function()
    local behind, resolver = origin.start(), resolver_support.open()
    local gate = gateway.start { origin = behind, config = { outgoing = { dns = resolver.address } } }
    local base = ("/zones/%s/custom_hostnames"):format(gate.zone)
    gate:set_origin(gate.zone, "fallback.example.com", behind.url)
    gate:api("PUT", base .. "/fallback_origin", { origin = "fallback.example.com" })
    gate:api("PUT", ("/zones/%s/moongate/custom_hostnames"):format(gate.zone), { ownership_checks = true })
    local _, document = gate:admin("POST", base, { hostname = "shop.customer.test", ssl = { method = "txt", type = "dv" } })
    local made = document.result
    assert.equal("pending", made.status)
    assert.not_equal(200, (gate:status { host = "shop.customer.test" }))
    wait.until_true("the hostname to be active", function()
      resolver:answer(function(question, name)
        return resolver_support.reply(question, name == made.ownership_verification.name and { made.ownership_verification.value } or {})
      end)
      return gate:api("GET", base .. "/" .. made.id).status == "active"
    end, 60)
    assert.equal(200, (gate:status { host = "shop.customer.test" }))
    gate:stop()
    behind:stop()
    resolver:close()
  end)
end)
