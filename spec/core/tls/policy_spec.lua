-- Server terms: which are refused when they are built. What they do in a handshake stands in session_spec.

local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local loop = require "spec.support.tls_loop"
local ffi = require "ffi"

local C = tls.C

describe("tls.policy", function()
  local root, sub, leaf

  setup(function()
    root = certs.ca("Root")
    sub = certs.ca("Issuing", { issuer = root })
    leaf = certs.leaf(sub, { eku = "serverAuth", san = "DNS:a.test" })
  end)

  describe("new()", function()
    for _, version in ipairs { 0, 0x0300, 0x0301, 0x0302, 0x0305, 0xFEFD } do
      it(("refuses version 0x%04x"):format(version), function()
        local policy, where, text = tls.policy(leaf, version)
        assert.is_nil(policy)
        assert.equal("min_version", where)
        assert.matches(("0x%04x"):format(version), text)
      end)
    end

    for _, case in ipairs {
      { "no certificate", function() return { chain = "", key = leaf.key } end, "certificates", "no CERTIFICATE block" },
      { "no key", function() return { chain = leaf.chain, key = "" } end, "private_key", "no readable" },
      { "a key of another certificate", function() return { chain = leaf.chain, key = sub.key } end, "private_key",
        "does not belong" },
      { "the chain in the wrong order", function() return { chain = sub.pem .. leaf.pem, key = leaf.key } end, "private_key",
        "does not belong" },
      { "an RSA key of 1024 bits", function() return certs.leaf(root, { key = "RSA 1024" }) end, "certificates",
        "block 1 .*key too small" },
      { "a SHA-1 certificate", function()
        local weak = certs.leaf(root, { digest = "sha1" })
        return { chain = weak.pem, key = weak.key }
      end, "certificates", "block 1 .*md too weak" },
      { "a SHA-1 intermediate", function()
        local weak = certs.ca("Weak", { issuer = root, digest = "sha1" })
        local below = certs.leaf(weak)
        return { chain = below.pem .. weak.pem, key = below.key }
      end, "certificates", "block 2 .*md too weak" },
      { "a key in the certificates", function() return { chain = leaf.pem .. leaf.key, key = leaf.key } end, "certificates",
        "block 2 is a PRIVATE KEY" },
    } do
      it("refuses " .. case[1], function()
        local policy, where, text = tls.policy(case[2]())
        assert.is_nil(policy)
        assert.equal(case[3], where)
        assert.matches(case[4], text)
      end)
    end
  end)

  it("sends the given chain and nothing else", function()
    for expected, chain in pairs { [1] = leaf.pem, [2] = leaf.pem .. sub.pem, [3] = leaf.chain } do
      local server = loop.server { { policy = tls.policy { chain = chain, key = leaf.key } } }
      local client = loop.openssl { version = 0x0303 }
      client:feed("")
      server:feed(client:output())
      -- in TLS 1.2 the Certificate message is in the clear; each certificate names its issuer and itself
      local flight = server:output()
      local _, found = flight:gsub("\48\130..\48\130..\160\3\2\1\2", "")
      assert.equal(expected, found)
    end
  end)

  describe("terms", function()
    local TLS12, TLS13 = 0x0303, 0x0304
    local ecdsa, rsa

    setup(function()
      ecdsa = certs.leaf(sub, { eku = "serverAuth", san = "DNS:a.test,DNS:*.b.test" })
      rsa = certs.leaf(sub, { eku = "serverAuth", san = "DNS:a.test,DNS:rsa.test", key = "RSA 2048", cn = "rsa" })
    end)

    -- Shakes hands under these terms; nil and the reason when it fails.
    local function shake(policy, options)
      options = options or {}
      options.name = options.name or "a.test"
      local terms = { policy = policy, name = options.name ~= "" and options.name or nil }
      if options.name == "" then options.name = nil end
      local server, client = loop.server { terms }, loop.openssl(options)
      local _, reason = loop.join(server, client)
      if not server:established() then return nil, server:failure(), reason end
      return server:version(), server:cipher(), client
    end

    -- lowest, highest, ciphers / offered by the client / expected version, cipher; false: no handshake
    for _, case in ipairs {
      { TLS12, nil, nil, TLS12, "TLSv1.2", "ECDHE%-ECDSA%-" },
      { TLS12, nil, nil, nil, "TLSv1.3", "TLS_" },
      { TLS13, nil, nil, TLS12, false },
      { TLS12, TLS12, nil, nil, "TLSv1.2", "ECDHE%-ECDSA%-" },
      { TLS12, TLS12, nil, TLS13, false },
      { TLS12, nil, { "ECDHE-ECDSA-CHACHA20-POLY1305" }, TLS12, "TLSv1.2", "ECDHE%-ECDSA%-CHACHA20%-POLY1305" },
      { TLS12, nil, { "ECDHE-ECDSA-CHACHA20-POLY1305" }, TLS13, "TLSv1.3", "TLS_" },
      { TLS12, nil, { "ECDHE-ECDSA-AES128-SHA" }, TLS12, "TLSv1.2", "ECDHE%-ECDSA%-AES128%-SHA" },
      { TLS12, nil, { "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256" }, TLS12, "TLSv1.2", "ECDHE%-ECDSA%-AES128%-SHA256" },
      { TLS12, nil, { "AEAD-AES256-GCM-SHA384" }, TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384" },
      { TLS12, nil, { "AEAD-AES256-GCM-SHA384" }, TLS12, false },
      { TLS12, nil, { "AEAD-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256" }, TLS12, "TLSv1.2", "ECDHE%-ECDSA%-AES128%-GCM" },
      { TLS12, nil, { "ECDHE-RSA-AES128-GCM-SHA256" }, TLS12, false }, -- the key is an ECDSA one
      { TLS12, nil, { "ECDHE-RSA-AES128-GCM-SHA256" }, TLS13, "TLSv1.3", "TLS_" },
      { TLS12, nil, { "DES-CBC3-SHA" }, TLS13, "TLSv1.3", "TLS_" },
      { TLS12, nil, { "DES-CBC3-SHA" }, TLS12, false },
    } do
      local offered = case[4] == TLS12 and "TLS 1.2" or case[4] == TLS13 and "TLS 1.3" or "everything"
      it(("from 0x%04x to %s with %s for a client of %s: %s"):format(case[1], case[2] and ("0x%04x"):format(case[2]) or "the newest",
        table.concat(case[3] or { "the default ciphers" }, " "), offered, case[5] or "no handshake"), function() -- T-5
          local policy = assert(tls.policy(ecdsa, case[1], { max_version = case[2], ciphers = case[3] }))
          local version, cipher = shake(policy, { version = case[4], ciphers = "ALL:@SECLEVEL=0" })
          assert.equal(case[5] or nil, version)
          if version then assert.matches("^" .. case[6], cipher) end
        end)
    end

    it("enable RSA key exchange for whoever lists it, and for nobody else", function()
      local listed = tls.policy(rsa, TLS12, { ciphers = { "AES128-SHA" } })
      local _, cipher = shake(listed, { version = TLS12, ciphers = "ALL:@SECLEVEL=0" })
      assert.equal("AES128-SHA", cipher)
      assert.is_nil((shake(tls.policy(rsa), { version = TLS12, ciphers = "AES128-SHA:@SECLEVEL=0" })))
    end)

    it("of one hostname do not reach another", function()
      local server_terms = { { name = "a.test", policy = tls.policy(ecdsa, TLS12, { ciphers = { "ECDHE-ECDSA-AES128-SHA" } }) },
        { name = "b.test", policy = tls.policy(ecdsa) } }
      for name, expected in pairs { ["a.test"] = "ECDHE-ECDSA-AES128-SHA", ["b.test"] = false } do
        local server = loop.server(server_terms)
        loop.join(server, loop.openssl { name = name, version = TLS12, ciphers = "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0" })
        assert.equal(expected, server:established() and server:cipher())
      end
    end)

    describe("with two certificates", function()
      local function presented(policy, options)
        local version, _, client = shake(policy, options)
        if not version then return nil end
        local certificate = ffi.gc(C.SSL_get1_peer_certificate(client.ssl), C.X509_free)
        for name, one in pairs { ecdsa = ecdsa, rsa = rsa } do
          if C.X509_cmp(certificate, tls.x509(one.pem)) == 0 then return name end
        end
      end

      for _, order in ipairs { "ecdsa first", "rsa first" } do
        it(("give each client the one it can use (%s)"):format(order), function()
          local first, second = ecdsa, rsa
          if order == "rsa first" then first, second = rsa, ecdsa end
          local policy = assert(tls.policy(first, TLS12, { second = second }))
          assert.equal("ecdsa", presented(policy, { version = TLS12, ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }))
          assert.equal("rsa", presented(policy, { version = TLS12, ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }))
          assert.equal("rsa", presented(policy, { version = TLS13, signatures = "rsa_pss_rsae_sha256" }))
          assert.equal("ecdsa", presented(policy, { version = TLS13, signatures = "ecdsa_secp256r1_sha256" }))
          assert.equal("ecdsa", presented(policy, { version = TLS12 }))
        end)
      end

      it("of one type of key are refused", function()
        local policy, where, text = tls.policy(ecdsa, TLS12, { second = leaf })
        assert.is_nil(policy)
        assert.equal("second_certificates", where)
        assert.matches("one type", text)
      end)

      it("name the second one where it is wrong", function()
        local policy, where, text = tls.policy(ecdsa, TLS12, { second = { chain = rsa.chain, key = leaf.key } })
        assert.is_nil(policy)
        assert.equal("second_private_key", where)
        assert.matches("does not belong", text)
        policy, where = tls.policy(ecdsa, TLS12, { second = { chain = "x", key = leaf.key } })
        assert.is_nil(policy)
        assert.equal("second_certificates", where)
      end)
    end)

    describe("that are strict", function() -- M-8
      for _, case in ipairs {
        { "a.test", true }, { "x.b.test", true }, { "rsa.test", true }, { "b.test", false }, { "y.x.b.test", false }, { "other.test", false },
        { "", false },
      } do
        it(("%s %s"):format(case[2] and "serve" or "refuse", case[1] == "" and "a client that names nothing" or case[1]), function()
          local policy = tls.policy(ecdsa, TLS12, { strict = true, second = rsa })
          local version, failure, reason = shake(policy, { name = case[1] })
          assert.equal(case[2], version ~= nil)
          if not version then
            assert.equal("no certificate covers this server name", failure)
            assert.equal("tlsv1 unrecognized name", reason)
          end
          assert.truthy((shake(tls.policy(ecdsa, TLS12, { second = rsa }), { name = case[1] })))
        end)
      end
    end)

    for _, case in ipairs {
      { "an unknown cipher", TLS12, { ciphers = { "AES128-SHA", "RC4-SHA" } }, "ciphers", "\"RC4%-SHA\"" },
      { "only TLS 1.3 with TLS 1.3 off", TLS13, { max_version = TLS12 }, "min_version", "above" },
      { "a highest version of the past", TLS12, { max_version = 0x0302 }, "max_version", "0x0302" },
      { "only TLS 1.3's ciphers with TLS 1.3 off", TLS12, { max_version = TLS12, ciphers = { "AEAD-AES128-GCM-SHA256" } }, "ciphers", "none of" },
      { "only RSA's ciphers for an ECDSA key with TLS 1.3 off", TLS12, { max_version = TLS12, ciphers = { "AES128-SHA" } }, "ciphers",
        "certificate's key" },
      { "only ciphers that nobody has any more with TLS 1.3 off", TLS12, { max_version = TLS12, ciphers = { "DES-CBC3-SHA" } }, "ciphers",
        "build of OpenSSL" },
    } do
      it("refuse " .. case[1], function() -- D-3
        local policy, where, text = tls.policy(ecdsa, case[2], case[3])
        assert.is_nil(policy)
        assert.equal(case[4], where)
        assert.matches(case[5], text)
      end)
    end
  end)

  it("is kept by the sessions that use it", function()
    local server, client = loop.server { { policy = tls.policy(leaf) } }, loop.openssl {}
    client:feed("")
    server:feed(client:output())
    server.terms, server.index[0].count = nil, 0
    collectgarbage()
    collectgarbage()
    client:feed(server:output())
    server:feed(client:output())
    assert.is_true(server:established())
    client:write("x")
    server:feed(client:output())
    assert.equal("x", server.received)
  end)
end)
