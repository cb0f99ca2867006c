-- The managed CA: a certificate that it signed opens every hostname that trusts it, until it is revoked, also on a
-- connection that is open already.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local HOST = "api.example.com"

describe("the managed CA", function()
  local gate, behind, device

  -- A key whose request the gateway has signed, as spec.support.certs gives leaves.
  local function sign(subject)
    local request = certs.request { subject = subject }
    local made = gate:api("POST", ("/zones/%s/client_certificates"):format(gate.zone), { csr = request.pem, validity_days = 30 })
    local path = certs.write(made.certificate, ".pem")
    return { id = made.id, path = path, chain_path = path, key_path = request.key_path, serial = made.serial_number }
  end

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:api("PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(gate.zone), { hostnames = { HOST } })
    gate:set_rules {
      gateway.block_rule(HOST),
      ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(HOST),
    }
    device = sign "/CN=pump-17"
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  it("lets its own certificates in, and no others", function()
    assert.equal(200, (gate:status { host = HOST, cert = device }))
    assert.equal(403, (gate:status { host = HOST }))
    assert.equal(403, (gate:status { host = HOST, cert = certs.leaf(certs.ca "Managed CA for account x", { cn = "pump-17" }) }))
  end)

  it("counts in another zone of the account", function()
    local zone = gate:create_zone("example.org", behind.url)
    gate:api("PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone), { hostnames = { "example.org" } })
    gate:set_rules({ gateway.block_rule "example.org" }, zone)
    assert.equal(200, (gate:status { host = "example.org", cert = device }))
    assert.equal(403, (gate:status { host = "example.org" }))
  end)

  it("revokes and restores for the next request of an open connection", function()
    local revoked = sign "/CN=pump-18"
    local one = ("/zones/%s/client_certificates/%s"):format(gate.zone, revoked.id)
    local session = gate:connect { host = HOST, cert = revoked }
    local function status() return session:status_or_closed("/x", { host = HOST }) end
    assert.equal(200, status())
    assert.equal("pending_revocation", gate:api("DELETE", one).status)
    assert.not_equal(200, status())
    assert.equal(403, (gate:status { host = HOST, cert = revoked }))
    assert.equal(200, (gate:status { host = HOST, cert = device }))
    gate:restart()
    assert.equal(403, (gate:status { host = HOST, cert = revoked }))
    session = gate:connect { host = HOST, cert = revoked }
    assert.equal("pending_reactivation", gate:api("PATCH", one, { reactivate = true }).status)
    assert.equal(200, status())
    session:close()
  end)

  it("leaves a revoked certificate verified: only cert_revoked tells", function()
    local revoked = sign "/CN=pump-19"
    gate:api("DELETE", ("/zones/%s/client_certificates/%s"):format(gate.zone, revoked.id))
    gate:set_rules { gateway.block_rule(HOST) }
    assert.equal(200, (gate:status { host = HOST, cert = revoked }))
  end)
end)
