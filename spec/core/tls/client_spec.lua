-- Toward origins: whose certificate is taken, whose is refused and with which words.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local loop = require "spec.support.tls_loop"

local C = tls.C

describe("tls.client", function()
  local root, foreign

  setup(function()
    root, foreign = certs.ca("Origin Root"), certs.ca("Foreign Root")
  end)

  -- A session toward `name` on a server that shows `certificate`.
  local function shake(options, name, certificate, trust)
    local server = loop.server {
      { name = name:lower():gsub("%.$", ""), policy = tls.policy(certificate), trust = trust },
      { policy = tls.policy(certificate), trust = trust },
    }
    local client = loop.client(assert(tls.client(options)), name)
    local server_state, client_state = loop.join(server, client)
    return client, server, client_state, server_state
  end

  describe("new()", function()
    for _, case in ipairs {
      { "a spoilt CA text", { ca = "spoilt" }, "ca", "no CERTIFICATE block" },
      { "a certificate without a key", function() return { certificates = root.pem } end, "private_key", "no readable" },
      { "a key without a certificate", function() return { private_key = root.key } end, "certificates", "no CERTIFICATE" },
      { "a key of another certificate", function() return { certificates = root.pem, private_key = foreign.key } end,
        "private_key", "does not belong" },
      { "a weak certificate", function()
        local weak = certs.leaf(root, { key = "RSA 1024" })
        return { certificates = weak.pem, private_key = weak.key }
      end, "certificates", "too small" },
    } do
      it("refuses " .. case[1], function()
        local options = type(case[2]) == "function" and case[2]() or case[2]
        options.verify = options.ca ~= nil
        local client, where, text = tls.client(options)
        assert.is_nil(client)
        assert.equal(case[3], where)
        assert.matches(case[4], text)
      end)
    end

    it("trusts the system's CAs when none are given, whatever the environment says", function()
      ffi.C.setenv("SSL_CERT_FILE", root.path, 1)
      local client = assert(tls.client {})
      assert.is_true(C.moon_tls_client_verifies(client))
      local certificate = certs.leaf(root, { eku = "serverAuth", san = "DNS:a.test" })
      local session = shake({}, "a.test", certificate)
      ffi.C.unsetenv("SSL_CERT_FILE")
      assert.is_true(session:certificate_refused())
    end)
  end)

  describe("the server's certificate", function()
    local function leaf(options)
      options.eku = options.eku == nil and "serverAuth" or options.eku
      return function() return certs.leaf(options.issuer or root, options) end
    end

    for _, case in ipairs {
      { "the name it was called by", "a.test", leaf { san = "DNS:a.test" } },
      { "the name in another case and with a dot", "A.Test.", leaf { san = "DNS:a.test" } },
      { "a wildcard", "x.a.test", leaf { san = "DNS:*.a.test" } },
      { "another name", "a.test", leaf { san = "DNS:b.test" }, "hostname mismatch" },
      { "a wildcard for two labels", "x.y.a.test", leaf { san = "DNS:*.a.test" }, "hostname mismatch" },
      { "a partial wildcard", "xy.a.test", leaf { san = "DNS:x*.a.test" }, "hostname mismatch" },
      { "a wildcard against its apex", "a.test", leaf { san = "DNS:*.a.test" }, "hostname mismatch" },
      { "the address it was called by", "192.0.2.7", leaf { san = "IP:192.0.2.7" } },
      { "the address in brackets", "[2001:db8::7]", leaf { san = "IP:2001:db8::7" } },
      { "another address", "192.0.2.8", leaf { san = "IP:192.0.2.7" }, "IP address mismatch" },
      { "an address written as a name", "192.0.2.7", leaf { san = "DNS:192.0.2.7" }, "IP address mismatch" },
      { "a client's usage", "a.test", leaf { san = "DNS:a.test", eku = "clientAuth" }, "purpose" },
      { "an end in the past", "a.test", leaf { san = "DNS:a.test", not_before = os.time() - 900, not_after = os.time() - 9 },
        "expired" },
      { "no issuer that we trust", "a.test", function()
        return certs.leaf(foreign, { san = "DNS:a.test", eku = "serverAuth" })
      end, "unable to get local issuer" },
    } do
      it(("with %s is %s"):format(case[1], case[4] and "refused" or "taken"), function()
        local certificate = case[3]()
        local session, _, state = shake({ ca = root.pem }, case[2], { chain = certificate.pem, key = certificate.key })
        assert.equal(case[4] == nil, session:established())
        assert.equal(case[4] ~= nil, session:certificate_refused())
        if case[4] then
          assert.equal("ETLS", state)
          assert.matches(case[4]:lower(), session:failure():lower())
        else
          assert.equal("", session:failure())
        end
      end)
    end

    it("is not looked at where the terms say so", function()
      local certificate = certs.leaf(foreign, { san = "DNS:b.test", eku = "serverAuth" })
      local session = shake({ verify = false }, "a.test", certificate)
      assert.is_true(session:established())
      assert.is_false(session:certificate_refused())
    end)

    it("may be given itself as what is trusted", function()
      local own = certs.leaf(nil, { san = "DNS:a.test", eku = "serverAuth" })
      assert.is_true((shake({ ca = own.pem }, "a.test", own)):established())
      local below = certs.leaf(foreign, { san = "DNS:a.test", eku = "serverAuth" })
      assert.is_true((shake({ ca = below.pem }, "a.test", below)):established())
    end)

    it("is not what failed when the versions do not meet", function()
      local certificate = certs.leaf(root, { san = "DNS:a.test", eku = "serverAuth" })
      local server = loop.server { { name = "b.test", policy = tls.policy(certificate) } }
      local session = loop.client(assert(tls.client { ca = root.pem }), "a.test")
      loop.join(server, session)
      assert.is_false(session:established())
      assert.is_false(session:certificate_refused())
      assert.matches("unrecognized name", session:failure())
    end)
  end)

  describe("the server name", function()
    it("is sent in lower case without the dot", function()
      local certificate = certs.leaf(root, { san = "DNS:a.test", eku = "serverAuth" })
      local _, server = shake({ ca = root.pem }, "A.Test.", certificate)
      assert.equal("a.test", server:name())
    end)

    it("is not sent for an address", function()
      local certificate = certs.leaf(root, { san = "IP:192.0.2.7", eku = "serverAuth" })
      local _, server = shake({ ca = root.pem }, "192.0.2.7", certificate)
      assert.is_true(server:established())
      assert.is_nil(server:name())
    end)

    for _, name in ipairs { "", ".", "a..test", "a b", "a\0b", "a.test:443", "[::1", "[a.test]", "[192.0.2.7]", ("a"):rep(300) } do
      it(("%q is refused"):format(name:sub(1, 20)), function()
        assert.is_nil(loop.client(assert(tls.client { verify = false }), name))
      end)
    end
  end)

  describe("our own certificate", function()
    it("is presented when asked for", function()
      local certificate = certs.leaf(root, { san = "DNS:a.test", eku = "serverAuth" })
      local issuing = certs.ca("Issuing", { issuer = foreign })
      local own = certs.leaf(issuing, { cn = "gateway" })
      local trust = tls.trust(foreign.pem)
      local session, server = shake({ ca = root.pem, certificates = own.pem .. issuing.pem, private_key = own.key }, "a.test",
        certificate, trust)
      assert.is_true(session:established())
      local facts = tls.facts(server:peer(), trust, os.time() + 1)
      assert.is_true(facts.verified)
      assert.equal("CN=gateway", facts.subject_dn)
    end)
  end)

  it("carries bytes both ways", function()
    local certificate = certs.leaf(root, { san = "DNS:a.test", eku = "serverAuth" })
    local session, server = shake({ ca = root.pem }, "a.test", certificate)
    session:write(("request "):rep(10000))
    loop.join(server, session)
    assert.equal(80000, #server.received)
    server:write("answer")
    loop.join(server, session)
    assert.equal("answer", session.received)
    server:shutdown()
    assert.equal("ECLOSED", session:feed(server:output()))
  end)
end)
