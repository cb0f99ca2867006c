-- Why a client was not let in, as the log tells it: one line for the handshake, and a word in the line of each request.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local HOST = "api.example.com"

describe("the log of a client that is not let in", function()
  local gate, behind
  local ca = certs.ca("Partner \"A\"")
  local leaf_of = {
    good = certs.leaf(ca, { cn = "good" }),
    stranger = certs.leaf(certs.ca "Stranger", { subject = "/O=Elsewhere/CN=stranger", serial = "0x5A5B" }),
    expired = certs.leaf(ca, { cn = "expired", not_before = os.time() - 7200, not_after = os.time() - 3600 }),
    early = certs.leaf(ca, { cn = "early", not_before = os.time() + 3600, not_after = os.time() + 7200 }),
    server = certs.leaf(ca, { cn = "server", eku = "serverAuth" }),
    revoked = certs.leaf(ca, { cn = "revoked" }),
  }

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { workers = 1 } }
    gate:associate(ca, { HOST })
    gate:set_rules {
      ('(http.host eq "%s" and (not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_revoked))'):format(HOST),
    }
    local digest = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. leaf_of.revoked.path):match("=(%S+)")
    gate:api("POST", ("/accounts/%s/mtls_certificates/%s/moongate/denials"):format(gate:account(), gate:upload(ca)), { sha256 = digest })
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  for _, case in ipairs {
    { "good", 200, "SUCCESS" },
    { nil, 403, "NONE" },
    { "stranger", 403, "FAILED:self-signed certificate in certificate chain" },
    { "expired", 403, "FAILED:certificate has expired" },
    { "early", 403, "FAILED:certificate is not yet valid" },
    { "server", 403, "FAILED:unsuitable certificate purpose" },
    { "revoked", 403, "FAILED:certificate revoked" },
  } do
    local name, status, result = case[1], case[2], case[3]
    it(("says %s of a client with %s"):format(result, name and "the certificate " .. name or "none"), function()
      local path = "/" .. (name or "none")
      assert.equal(status, (gate:status { host = HOST, cert = leaf_of[name], path = path }))
      local line = gate:wait_log { path = path, status = status }
      assert.equal(result, line.certificate)
      local reason = result:match("^FAILED:(.*)$")
      if not reason then
        for _, other in ipairs(gate:log_lines()) do
          assert.is_false(other.what == "client certificate not trusted" and other.connection == line.connection)
        end
        return
      end
      local handshake = gate:wait_log { what = "client certificate not trusted", connection = line.connection }
      assert.equal(reason, handshake.reason)
      assert.equal(line.fingerprint, handshake.fingerprint)
      assert.equal(1, handshake.cas)
      assert.equal('CN=Partner \\"A\\"', handshake.ca_names)
    end)
  end

  it("says nothing about certificates where none is asked for", function()
    assert.equal(200, (gate:status { host = "www.example.com", path = "/open", cert = leaf_of.good }))
    assert.is_nil(gate:wait_log({ path = "/open" }).certificate)
  end)

  it("has everything about a certificate in the line of its handshake", function()
    assert.equal(403, (gate:status { host = HOST, cert = leaf_of.stranger, path = "/all" }))
    local line = gate:wait_log { what = "client certificate not trusted", connection = gate:wait_log({ path = "/all" }).connection }
    assert.same({
      client = "127.0.0.1", sni = HOST, version = "TLSv1.3", subject = "CN=stranger,O=Elsewhere", issuer = "CN=Stranger", serial = "5A5B",
      subject_of_line = "tls", level = line.level,
    }, {
      client = line.client, sni = line.sni, version = line.version, subject = line.cert_subject, issuer = line.cert_issuer,
      serial = line.cert_serial, subject_of_line = line.subject, level = line.level,
    })
  end)

  it("tells of a handshake that failed, and why", function()
    local session, err = client.connect { port = gate.port, sni = HOST, ca = ca.path }
    assert.is_nil(session)
    assert.truthy(err)
    local line = gate:wait_log { what = "handshake failed" }
    assert.truthy(line.reason:find("unknown ca", 1, true), line.reason)
    assert.equal(HOST, line.sni)
    assert.equal("TLSv1.3", line.version)
    assert.is_nil(line.cert_subject)
  end)

  it("leaves lines out when there are many, and says how many", function()
    wait.until_true("a line that counts others", function()
      for _ = 1, 15 do gate:connect({ host = HOST, cert = leaf_of.stranger }):close() end
      for _, line in ipairs(gate:log_lines()) do
        if line.what == "client certificate not trusted" and line.left_out > 0 then return true end
      end
    end, 20)
  end)
end)
