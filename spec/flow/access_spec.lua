-- CAs of Access beside uploaded ones: a certificate of either opens the hostname, until the CA is taken away.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local HOST = "partner.example.com"

describe("CAs of Access", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  it("verify clients of their hostnames, also on a connection that is open", function()
    local ours, theirs = certs.ca("Ours"), certs.ca("Partner root")
    local issuing = certs.ca("Partner issuing", { issuer = theirs })
    local device, partner = certs.leaf(ours, { cn = "device" }), certs.leaf(issuing, { cn = "partner" })
    gate:protect(HOST, ours)
    assert.equal(403, (gate:status { host = HOST, cert = partner }))

    local session = gate:connect { host = HOST, cert = partner }
    local base = ("/accounts/%s/access/certificates"):format(gate:account())
    local status, document = gate:admin("POST", base, { name = "Partner", certificate = issuing.pem .. theirs.pem,
      associated_hostnames = { HOST } })
    assert.equal(201, status)
    assert.equal(200, (gate:status { host = HOST, cert = partner }))
    assert.equal(200, (gate:status { host = HOST, cert = device }))
    assert.equal(200, session:get("/x", { host = HOST }).status)

    gate:api("PUT", base .. "/" .. document.result.id, "{}")
    assert.not_equal(200, session:status_or_closed("/x", { host = HOST }))
    assert.equal(403, (gate:status { host = HOST, cert = partner }))
    assert.equal(200, (gate:status { host = HOST, cert = device }))
    session:close()
  end)
end)
