-- What is revoked under uploaded CAs, on connections that are open: revocation lists and denials, and what the rules see of
-- them.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local HOST = "api.example.com"

describe("under an uploaded CA", function()
  local gate, behind, ca, base
  local device

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { outgoing = { allow_local = true } } }
    ca = certs.ca("Partners")
    gate:associate(ca, { HOST })
    gate:set_rules {
      gateway.block_rule(HOST),
      ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(HOST),
    }
    base = ("/accounts/%s/mtls_certificates/%s/moongate"):format(gate:account(), gate:upload(ca))
    device = certs.leaf(ca, { cn = "pump-17" })
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function opened(leaf)
    local session = gate:connect { host = HOST, cert = leaf }
    local function status() return session:status_or_closed("/x", { host = HOST }) end
    assert.equal(200, status())
    return session, status
  end

  describe("a denial", function()
    for title, body_of in pairs {
      ["by serial number"] = function(leaf)
        return { serial = "0x" .. certs.openssl("x509 -noout -serial -in " .. leaf.path):match("=(%x+)") }
      end,
      ["by fingerprint"] = function(leaf)
        return { sha256 = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. leaf.path):match("=(%S+)") }
      end,
    } do
      it(title .. " holds from the next request on, and so does taking it back", function()
        local leaf = certs.leaf(ca, { cn = "pump-18" })
        local session, status = opened(leaf)
        local other, other_status = opened(device)
        local denial = gate:api("POST", base .. "/denials", body_of(leaf))
        assert.not_equal(200, status())
        assert.equal(403, (gate:status { host = HOST, cert = leaf }))
        assert.equal(200, other_status())
        session:close()
        session = gate:connect { host = HOST, cert = leaf }
        assert.equal(403, session:get("/x", { host = HOST }).status)
        gate:api("DELETE", base .. "/denials/" .. denial.id)
        assert.equal(200, session:get("/x", { host = HOST }).status)
        session:close()
        other:close()
      end)
    end

    for _, version in ipairs { "1.2", "1.3" } do
      it("holds for a session that is resumed, too: TLS " .. version, function()
        local leaf = certs.leaf(ca, { cn = "pump-27" })
        local session = gate:connect { host = HOST, cert = leaf, version = version }
        assert.equal(200, session:get("/x", { host = HOST }).status)
        local kept = session:resumable()
        session:close()
        gate:api("POST", base .. "/denials", { serial = "0x" .. certs.openssl("x509 -noout -serial -in " .. leaf.path):match("=(%x+)") })
        session = gate:connect { host = HOST, version = version, resume = kept }
        assert.equal(403, session:get("/x", { host = HOST }).status)
        session:close()
      end)
    end

    it("leaves the certificate verified: only cert_revoked tells", function()
      local leaf = certs.leaf(ca, { cn = "pump-19", serial = "0x5A" })
      gate:api("POST", base .. "/denials", { serial = "90" })
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
      local rules = { gateway.block_rule(HOST) }
      gate:set_rules(rules)
      assert.equal(200, (gate:status { host = HOST, cert = leaf }))
      rules[2] = ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(HOST)
      gate:set_rules(rules)
    end)

    it("holds after a restart", function()
      local leaf = certs.leaf(ca, { cn = "pump-20", serial = "0x5B" })
      gate:api("POST", base .. "/denials", { serial = "0x5b" })
      gate:restart()
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
      assert.equal(200, (gate:status { host = HOST, cert = device }))
    end)
  end)

  describe("a revocation list", function()
    local function put(options, soft) return gate:api("PUT", base .. "/crl", { crl = (certs.crl(ca, options)), soft = soft }) end

    after_each(function() gate:admin("DELETE", base .. "/crl") end)

    it("holds from the next request on, and so does taking it back", function()
      local leaf = certs.leaf(ca, { cn = "pump-21" })
      local session, status = opened(leaf)
      local other, other_status = opened(device)
      assert.equal(1, put({ revoked = { leaf } }).entries)
      assert.not_equal(200, status())
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
      assert.equal(200, other_status())
      session:close()
      session = gate:connect { host = HOST, cert = leaf }
      assert.equal(403, session:get("/x", { host = HOST }).status)
      gate:api("DELETE", base .. "/crl")
      assert.equal(200, session:get("/x", { host = HOST }).status)
      session:close()
      other:close()
    end)

    it("leaves the certificate verified: only cert_revoked tells", function()
      local leaf = certs.leaf(ca, { cn = "pump-22" })
      put { revoked = { leaf } }
      gate:set_rules { gateway.block_rule(HOST) }
      assert.equal(200, (gate:status { host = HOST, cert = leaf }))
      gate:set_rules { gateway.block_rule(HOST), ('(http.host eq "%s" and cf.tls_client_auth.cert_revoked)'):format(HOST) }
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
    end)

    it("that has ended leaves nothing verified under its CA, also on open connections, until there is a newer one", function()
      local session, status = opened(device)
      put { next_update = os.time() + 2 }
      wait.until_true("the list to end", function() return status() == 403 end, 10)
      gate:wait_log { subject = "request", what = "blocked", verify_error = "CRL has expired" }
      assert.is_true(gate:api("GET", base .. "/crl").stale)
      put {}
      assert.equal(200, status())
      session:close()
    end)

    it("that has ended goes on being looked at when it is soft", function()
      local leaf = certs.leaf(ca, { cn = "pump-23" })
      put({ revoked = { leaf }, this_update = os.time() - 500, next_update = os.time() - 100 }, true)
      assert.equal(200, (gate:status { host = HOST, cert = device }))
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
    end)

    describe("with an address", function()
      -- What the address gives from now on.
      local function publish(options)
        local _, path = certs.crl(ca, options)
        local der = certs.openssl("crl -outform DER -in " .. path)
        shell.write(behind.directory .. "/list", ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#der, der))
      end
      local function fetch() return gate:admin("PUT", base .. "/crl", { url = behind.url .. "/raw/list" }) end

      it("is fetched and holds for the next request of an open connection", function()
        local leaf = certs.leaf(ca, { cn = "pump-25" })
        publish {}
        local status, document = fetch()
        assert.equal(200, status)
        assert.equal("url", document.result.source)
        local session, status_of = opened(leaf)
        publish { revoked = { leaf } }
        assert.equal(200, (fetch()))
        assert.not_equal(200, status_of())
        session:close()
        assert.equal(403, (gate:status { host = HOST, cert = leaf }))
        assert.equal(200, (gate:status { host = HOST, cert = device }))
      end)

      it("leaves the stored one in force when nobody answers there", function()
        local leaf = certs.leaf(ca, { cn = "pump-26" })
        put { revoked = { leaf } }
        local status, document = gate:admin("PUT", base .. "/crl", { url = behind.url .. "/raw/nothing" })
        assert.equal(400, status)
        assert.equal("/url", document.errors[1].source.pointer)
        assert.equal("upload", gate:api("GET", base .. "/crl").source)
        assert.equal(403, (gate:status { host = HOST, cert = leaf }))
      end)
    end)

    it("holds after a restart", function()
      local leaf = certs.leaf(ca, { cn = "pump-24" })
      put { revoked = { leaf } }
      gate:restart()
      assert.equal(403, (gate:status { host = HOST, cert = leaf }))
      assert.equal(200, (gate:status { host = HOST, cert = device }))
    end)
  end)
end)
