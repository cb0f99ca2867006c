-- Two accounts on one gateway, whose CAs look the same from outside: neither opens the other's hostnames.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("two tenants with CAs of one name and one key identifier", function()
  local gate, behind
  local host = { a = "api.example.com", b = "api.example.org" }
  local ca, client, account, zone = {}, {}, {}, {}

  local function associate(name)
    local id = gate:api("POST", ("/accounts/%s/mtls_certificates"):format(account[name]),
      { ca = true, certificates = ca[name].pem, name = "device CA" }).id
    gate:api("PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone[name]),
      { hostnames = setmetatable({ host[name] }, { __jsontype = "array" }), mtls_certificate_id = id })
    gate:set_rules({ gateway.block_rule(host[name]) }, zone[name])
    return id
  end

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    local same = { "subjectKeyIdentifier=0102030405060708090A0B0C0D0E0F1011121314" }
    for _, name in ipairs { "a", "b" } do
      ca[name] = certs.ca("Device CA", { extensions = same })
      client[name] = certs.leaf(ca[name], { cn = "pump-17", serial = "0x17" })
    end
    account.a, zone.a = gate:account(), gate.zone
    account.b = gate:api("POST", "/accounts", { name = "b" }).id
    zone.b = gate:api("POST", "/zones", { name = "example.org", account = { id = account.b } }).id
    gate:set_origin(zone.b, "*", behind.url)
    for _, name in ipairs { "a", "b" } do ca[name].id = associate(name) end
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  for _, case in ipairs { { "a", "a", 200 }, { "a", "b", 403 }, { "b", "a", 403 }, { "b", "b", 200 } } do
    it(("%s's client on %s's hostname: %d"):format(case[1], case[2], case[3]), function()
      assert.equal(case[3], (gate:status { host = host[case[2]], cert = client[case[1]] }))
    end)
  end

  it("with the other's CA presented beside the certificate, too", function()
    local chain = client.a.pem .. ca.a.pem .. ca.b.pem
    local stuffed = { path = client.a.path, key_path = client.a.key_path, chain_path = certs.write(chain, ".pem") }
    assert.equal(403, (gate:status { host = host.b, cert = stuffed }))
    assert.equal(200, (gate:status { host = host.a, cert = stuffed }))
  end)

  it("deny a serial number each for itself", function()
    gate:set_rules({ gateway.block_rule(host.a), ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(host.a) }, zone.a)
    gate:set_rules({ gateway.block_rule(host.b), ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(host.b) }, zone.b)
    gate:api("POST", ("/accounts/%s/mtls_certificates/%s/moongate/denials"):format(account.b, ca.b.id), { serial = "0x17" })
    assert.equal(403, (gate:status { host = host.b, cert = client.b }))
    assert.equal(200, (gate:status { host = host.a, cert = client.a }))
  end)
end)
