-- Chains against trust sets. Every chain is made by the openssl command, so that the writer of the validation is not the
-- writer of what it validates. The ids in the titles' comments are those of the threat list (X-1 … X-11).

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local chains = require "spec.support.chains"

local C = tls.C
local DAY = 86400
local verify = chains.verify
local function check(cases) chains.check(it, cases) end

describe("tls.trust", function()
  local root, sub, leaf

  setup(function()
    root = certs.ca("Root")
    sub = certs.ca("Issuing", { issuer = root })
    leaf = certs.leaf(sub, { cn = "leaf" })
  end)

  describe("new()", function()
    it("refuses an empty set", function()
      local trust, where, text = tls.trust()
      assert.is_nil(trust)
      assert.equal("certificates", where)
      assert.matches("at least one", text)
    end)

    it("names the text and the block that is no CA", function()
      local trust, where, text = tls.trust(root.pem, sub.pem .. leaf.pem)
      assert.is_nil(trust)
      assert.equal("certificates[2]", where)
      assert.matches("block 2 is not a CA", text)
    end)

    for _, case in ipairs {
      { "a root without basic constraints", { "basicConstraints=" } },
      { "a root with CA:FALSE", { "basicConstraints=CA:FALSE" } },
      { "a CA whose key usage forbids signing certificates", { "keyUsage=critical,digitalSignature" } },
    } do
      it("refuses " .. case[1], function() -- X-3
        assert.is_nil((tls.trust(certs.ca("Odd", { extensions = case[2] }).pem)))
      end)
    end

    it("refuses an RSA key of more than 8192 bits", function() -- X-9
      local big = certs.ca("Big", { issuer = root, public_key_path = certs.rsa_public_key(8200) })
      local trust, _, text = tls.trust(big.pem)
      assert.is_nil(trust)
      assert.matches("8192", text)
    end)

    it("sends each name once", function()
      local twin = certs.ca("Root")
      local trust = tls.trust(root.pem, sub.pem, twin.pem, root.pem)
      local stack = C.moon_trust_ca_names(trust)
      assert.same({ "CN=Root", "CN=Issuing" }, tls.names(stack))
      C.OPENSSL_sk_pop_free(stack, ffi.cast("void (*)(void *)", C.X509_NAME_free))
    end)

    it("lists the names for people, as many as fit, and counts them all", function()
      local trust = tls.trust(root.pem, sub.pem)
      for ceiling, expected in pairs { [100] = "CN=Root; CN=Issuing", [19] = "CN=Root; CN=Issuing", [18] = "CN=Root", [6] = "" } do
        local out = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
        C.moon_buf_init(out, ceiling)
        assert.equal(2, tonumber(C.moon_trust_list_names(trust, out)))
        assert.equal(expected, out[0].len > 0 and ffi.string(out[0].data, out[0].len) or "")
      end
    end)

    it("sends no names at all when they would not fit", function()
      local pems = {}
      for i = 1, 30 do
        local subject = "/CN=" .. i
        for unit = 1, 40 do subject = subject .. "/OU=" .. unit .. ("x"):rep(60) end
        pems[i] = certs.ca("long", { subject = subject, key = root }).pem
      end
      local trust = tls.trust(unpack(pems))
      local stack = C.moon_trust_ca_names(trust)
      assert.equal(0, C.OPENSSL_sk_num(stack))
      C.OPENSSL_sk_free(stack)
    end)
  end)

  describe("identity", function()
    it("is the same for the same anchors in any order, number of texts and repetition", function()
      local a, b = tls.trust(root.pem, sub.pem), tls.trust("text\r\n" .. sub.pem:gsub("\n", "\r\n") .. root.pem .. sub.pem)
      assert.equal(ffi.string(C.moon_trust_identity(a), 32), ffi.string(C.moon_trust_identity(b), 32))
      assert.is_true(C.moon_trust_same(a, b))
    end)

    it("differs for another set and for twins", function()
      local a, b, c = tls.trust(root.pem), tls.trust(root.pem, sub.pem), tls.trust(certs.ca("Root", { key = root }).pem)
      assert.is_false(C.moon_trust_same(a, b))
      assert.is_false(C.moon_trust_same(a, c))
    end)

    it("of no set equals only that of no set", function()
      assert.is_true(C.moon_trust_same(nil, nil))
      assert.is_false(C.moon_trust_same(tls.trust(root.pem), nil))
      assert.is_false(C.moon_trust_same(nil, tls.trust(root.pem)))
    end)
  end)

  describe("verify()", function()
    describe("anchors", function() -- X-4
      check {
        { "leaf, intermediate and root", "OK", function() return tls.trust(root.pem), leaf, { sub } end },
        { "the intermediate is missing", "UNTRUSTED", function() return tls.trust(root.pem), leaf end },
        { "only the intermediate is uploaded", "OK", function() return tls.trust(sub.pem), leaf end },
        { "a sibling of the uploaded intermediate", "SELF_SIGNED_IN_CHAIN", function()
          local sibling = certs.ca("Sibling", { issuer = root })
          return tls.trust(sub.pem), certs.leaf(sibling), { sibling, root }
        end },
        { "root and intermediate uploaded, leaf of the root", "OK", function()
          return tls.trust(root.pem .. sub.pem), certs.leaf(root)
        end },
        { "another root of the same name", "UNTRUSTED", function()
          return tls.trust(certs.ca("Root").pem), leaf, { sub }
        end },
        { "the root presented by the client is not an anchor", "SELF_SIGNED_IN_CHAIN", function()
          local own = certs.ca("Own")
          return tls.trust(root.pem), certs.leaf(own), { own }
        end },
        { "a self-signed leaf", "SELF_SIGNED", function() return tls.trust(root.pem), certs.leaf(nil) end },
        { "an anchor presented as a client certificate", "PURPOSE", function()
          local free = certs.ca("Free", { extensions = { "keyUsage=" } })
          return tls.trust(free.pem), free
        end },
        { "an intermediate anchor presented as a client certificate", "PURPOSE", function()
          local free = certs.ca("Free", { issuer = root, extensions = { "keyUsage=" } })
          return tls.trust(root.pem, free.pem), free
        end },
        { "the same without its root in the set", "PURPOSE", function()
          local free = certs.ca("Free", { issuer = root, extensions = { "keyUsage=" } })
          return tls.trust(free.pem), free
        end },
        { "a renewed anchor (same key and name) presented as a client certificate", "SELF_SIGNED", function()
          return tls.trust(root.pem), certs.ca("Root", { key = root })
        end },
      }
    end)

    describe("twins with the same name and key identifier", function() -- X-1
      local a, b, of_a, of_b

      setup(function()
        local same = { "subjectKeyIdentifier=0102030405060708090A0B0C0D0E0F1011121314" }
        a, b = certs.ca("Twin", { extensions = same }), certs.ca("Twin", { extensions = same })
        of_a, of_b = certs.leaf(a), certs.leaf(b)
      end)

      check {
        { "a's leaf on a's host", "OK", function() return tls.trust(a.pem), of_a end },
        { "b's leaf on b's host", "OK", function() return tls.trust(b.pem), of_b end },
        { "a's leaf on b's host", "BAD_SIGNATURE", function() return tls.trust(b.pem), of_a end },
        { "b's leaf on a's host", "BAD_SIGNATURE", function() return tls.trust(a.pem), of_b end },
        { "a's leaf on a host with both", "OK", function() return tls.trust(a.pem, b.pem), of_a end },
        { "b's leaf on a host with both", "OK", function() return tls.trust(a.pem, b.pem), of_b end },
        { "b's leaf, with a presented beside it", "BAD_SIGNATURE", function() return tls.trust(a.pem), of_b, { a } end },
        { "a's leaf, with b's twin presented beside it", "OK", function() return tls.trust(a.pem), of_a, { b } end },
        { "a leaf whose issuer key identifier names the other tenant's key", "UNTRUSTED", function()
          local liar = certs.ca("Liar", { extensions = { "subjectKeyIdentifier=FF02030405060708090A0B0C0D0E0F1011121314" } })
          return tls.trust(a.pem), certs.leaf(liar, { extensions = { "authorityKeyIdentifier=keyid" } })
        end },
        { "a renewed CA beside its expired self", "OK", function()
          local old = certs.ca("Renewed", { not_before = os.time() - 9 * DAY, not_after = os.time() - DAY })
          local new = certs.ca("Renewed", { key = old })
          return tls.trust(old.pem, new.pem), certs.leaf(new)
        end },
        { "the same with the new one first", "OK", function()
          local old = certs.ca("Renewed", { not_before = os.time() - 9 * DAY, not_after = os.time() - DAY })
          local new = certs.ca("Renewed", { key = old })
          return tls.trust(new.pem, old.pem), certs.leaf(new)
        end },
      }
    end)

    describe("purpose", function() -- X-2
      local function of(options)
        return function() return tls.trust(root.pem), certs.leaf(root, options) end
      end
      check {
        { "no extended key usage", "OK", of { eku = false } },
        { "clientAuth", "OK", of { eku = "clientAuth" } },
        { "serverAuth and clientAuth", "OK", of { eku = "serverAuth,clientAuth" } },
        { "serverAuth only", "PURPOSE", of { eku = "serverAuth" } },
        { "anyExtendedKeyUsage only", "PURPOSE", of { eku = "anyExtendedKeyUsage" } },
        { "a critical, unknown usage", "PURPOSE", of { eku = "critical,1.2.3.4" } },
        { "no key usage", "OK", of { extensions = { "keyUsage=" } } },
        { "key agreement", "OK", of { extensions = { "keyUsage=keyAgreement" } } },
        { "key encipherment only", "PURPOSE", of { extensions = { "keyUsage=critical,keyEncipherment" } } },
        { "certificate signing only", "PURPOSE", of { extensions = { "keyUsage=critical,keyCertSign" } } },
        { "an intermediate for servers", "PURPOSE", function()
          local servers = certs.ca("Servers", { issuer = root, extensions = { "extendedKeyUsage=serverAuth" } })
          return tls.trust(root.pem), certs.leaf(servers), { servers }
        end },
      }
    end)

    describe("issuers", function() -- X-3
      check {
        { "a leaf signed by a leaf", "INVALID_CA", function()
          return tls.trust(root.pem), certs.leaf(leaf, { cn = "grandchild", extensions = { "authorityKeyIdentifier=" } }),
            { leaf, sub }
        end },
        { "an intermediate with CA:FALSE that may sign", "INVALID_CA", function()
          local fake = certs.ca("Fake", { issuer = root, extensions = { "basicConstraints=CA:FALSE" } })
          return tls.trust(root.pem), certs.leaf(fake), { fake }
        end },
        { "an intermediate without basic constraints", "INVALID_CA", function()
          local old = certs.ca("Old", { issuer = root, extensions = { "basicConstraints=" } })
          return tls.trust(root.pem), certs.leaf(old), { old }
        end },
        { "a path length of 0 kept", "OK", function()
          local last = certs.ca("Last", { issuer = root, path_length = 0 })
          return tls.trust(root.pem), certs.leaf(last), { last }
        end },
        { "a path length of 0 exceeded", "PATH_LENGTH", function()
          local last = certs.ca("Last", { issuer = root, path_length = 0 })
          local below = certs.ca("Below", { issuer = last })
          return tls.trust(root.pem), certs.leaf(below), { below, last }
        end },
      }
    end)

    describe("name constraints", function() -- X-5
      local function under(constraint, san)
        return function()
          local bound = certs.ca("Bound", { issuer = root, extensions = { "nameConstraints=critical," .. constraint } })
          return tls.trust(root.pem), certs.leaf(bound, { cn = "device", san = san }), { bound }
        end
      end
      check {
        { "a permitted name", "OK", under("permitted;DNS:acme.test", "DNS:a.acme.test") },
        { "a name outside", "PERMITTED", under("permitted;DNS:acme.test", "DNS:a.evil.test") },
        { "an excluded name", "EXCLUDED", under("excluded;DNS:acme.test", "DNS:a.acme.test") },
        { "a permitted mail address", "OK", under("permitted;email:acme.test", "email:a@acme.test") },
        { "a mail address outside", "PERMITTED", under("permitted;email:acme.test", "email:a@evil.test") },
        { "an address outside", "PERMITTED", under("permitted;IP:192.0.2.0/255.255.255.0", "IP:198.51.100.1") },
      }
    end)

    describe("unknown critical extensions", function() -- X-6
      local critical = { "1.2.3.4.5=critical,ASN1:UTF8String:x" }
      check {
        { "in the leaf", "UNKNOWN_CRITICAL", function()
          return tls.trust(root.pem), certs.leaf(root, { extensions = critical })
        end },
        { "in an intermediate", "UNKNOWN_CRITICAL", function()
          local odd = certs.ca("Odd", { issuer = root, extensions = critical })
          return tls.trust(root.pem), certs.leaf(odd), { odd }
        end },
        { "not critical", "OK", function()
          return tls.trust(root.pem), certs.leaf(root, { extensions = { "1.2.3.4.5=ASN1:UTF8String:x" } })
        end },
      }
    end)

    describe("time", function() -- X-7
      local past = { not_before = os.time() - 9 * DAY, not_after = os.time() - DAY }
      local future = { not_before = os.time() + DAY, not_after = os.time() + 9 * DAY }
      local function with(options, more)
        local copy = {}
        for key, value in pairs(options) do copy[key] = value end
        for key, value in pairs(more or {}) do copy[key] = value end
        return copy
      end
      check {
        { "an expired leaf", "EXPIRED", function() return tls.trust(root.pem), certs.leaf(root, with(past)) end },
        { "a leaf of the future", "NOT_YET", function() return tls.trust(root.pem), certs.leaf(root, with(future)) end },
        { "an expired intermediate", "EXPIRED", function()
          local old = certs.ca("Old", with(past, { issuer = root }))
          return tls.trust(root.pem), certs.leaf(old), { old }
        end },
        { "an expired anchor", "EXPIRED", function()
          local old = certs.ca("Old", with(past))
          return tls.trust(old.pem), certs.leaf(old)
        end },
        { "an expired intermediate anchor", "EXPIRED", function()
          local old = certs.ca("Old", with(past, { issuer = root }))
          return tls.trust(old.pem), certs.leaf(old)
        end },
        { "an anchor of the future", "NOT_YET", function()
          local early = certs.ca("Early", with(future))
          return tls.trust(early.pem), certs.leaf(early)
        end },
        { "an expired leaf in its own time", "OK", function()
          local old = certs.ca("Old", with(past))
          return tls.trust(old.pem), certs.leaf(old, with(past)), nil, os.time() - 2 * DAY
        end },
        { "years after 2049", "OK", function()
          local long = certs.ca("Long", { not_after = 253402300799 })
          return tls.trust(long.pem), certs.leaf(long, { not_after = 4102444800 }), nil, 4000000000
        end },
      }

      it("tells the interval in which the path is valid, and keeps to it", function()
        local t = os.time()
        local wide = certs.ca("Wide", { not_before = t - 50, not_after = t + 3000 })
        local narrow = certs.ca("Narrow", { issuer = wide, not_before = t - 90, not_after = t + 1000 })
        local client = certs.leaf(narrow, { not_before = t - 70, not_after = t + 2000 })
        local trust = tls.trust(wide.pem)
        local result, from, to = verify(trust, client, { narrow }, t)
        assert.same({ "OK", t - 50, t + 1000 }, { result, from, to })
        assert.equal("OK", (verify(trust, client, { narrow }, from)))
        assert.equal("NOT_YET", (verify(trust, client, { narrow }, from - 1)))
        assert.equal("OK", (verify(trust, client, { narrow }, to - 1)))
        assert.equal("EXPIRED", (verify(trust, client, { narrow }, to)))
      end)
    end)

    describe("algorithms", function() -- X-8
      check {
        { "a SHA-1 leaf", "WEAK_DIGEST", function() return tls.trust(root.pem), certs.leaf(root, { digest = "sha1" }) end },
        { "an MD5 leaf", "WEAK_DIGEST", function()
          local rsa = certs.ca("RSA", { key = "RSA 2048" })
          return tls.trust(rsa.pem), certs.leaf(rsa, { digest = "md5" })
        end },
        { "a SHA-1 intermediate", "WEAK_DIGEST", function()
          local weak = certs.ca("Weak", { issuer = root, digest = "sha1" })
          return tls.trust(root.pem), certs.leaf(weak), { weak }
        end },
        { "a SHA-1 self-signed anchor", "OK", function()
          local old = certs.ca("Old", { digest = "sha1" })
          return tls.trust(old.pem), certs.leaf(old)
        end },
        { "a SHA-1 intermediate as the anchor", "OK", function()
          local old = certs.ca("Old", { issuer = root, digest = "sha1" })
          return tls.trust(old.pem), certs.leaf(old)
        end },
        { "an RSA leaf of 1024 bits", "LEAF_KEY", function()
          return tls.trust(root.pem), certs.leaf(root, { key = "RSA 1024" })
        end },
        { "an RSA anchor of 1024 bits", "CA_KEY", function()
          local weak = certs.ca("Weak", { key = "RSA 1024" })
          return tls.trust(weak.pem), certs.leaf(weak)
        end },
        { "a P-192 leaf", "LEAF_KEY", function() return tls.trust(root.pem), certs.leaf(root, { key = "P-192" }) end },
        { "a leaf with explicit curve parameters", "EXPLICIT_CURVE", function()
          return tls.trust(root.pem), certs.leaf(root, { key = "P-256 explicit" })
        end },
        { "an Ed25519 leaf", "OK", function() return tls.trust(root.pem), certs.leaf(root, { key = "Ed25519" }) end },
      }
    end)

    describe("bounds", function() -- X-9
      local function deep(levels)
        local chain, above = {}, root
        for i = 1, levels do
          above = certs.ca("Level " .. i, { issuer = above })
          table.insert(chain, 1, above)
        end
        return tls.trust(root.pem), certs.leaf(above), chain
      end
      check {
        { "six intermediates", "OK", function() return deep(6) end },
        { "seven intermediates", "CHAIN_TOO_LONG", function() return deep(7) end },
        { "ten certificates with the leaf", "OK", function()
          local chain = { sub }
          for i = 2, 9 do chain[i] = root end
          return tls.trust(root.pem), leaf, chain
        end },
        { "eleven certificates with the leaf", "CHAIN_TOO_LONG", function()
          local chain = { sub }
          for i = 2, 10 do chain[i] = root end
          return tls.trust(root.pem), leaf, chain
        end },
        { "an RSA leaf of 8200 bits", "REJECTED", function()
          return tls.trust(root.pem), certs.leaf(root, { public_key_path = certs.rsa_public_key(8200) })
        end },
        { "an RSA leaf of 16384 bits", "REJECTED", function()
          return tls.trust(root.pem), certs.leaf(root, { public_key_path = certs.rsa_public_key(16384) })
        end },
        { "an intermediate with an RSA key of 16384 bits", "REJECTED", function()
          local big = certs.ca("Big", { issuer = root, public_key_path = certs.rsa_public_key(16384) })
          return tls.trust(root.pem), leaf, { sub, big }
        end },
      }

      it("refuses a huge key in little time", function()
        local trust = tls.trust(root.pem)
        local big = certs.leaf(root, { public_key_path = certs.rsa_public_key(16384) })
        local before = os.clock()
        for _ = 1, 10 do verify(trust, big) end
        assert.is_true(os.clock() - before < 0.2)
      end)
    end)

    describe("cross-signed CAs", function() -- X-11
      local foreign, home, by_foreign, by_home, client

      setup(function()
        foreign, home = certs.ca("Foreign"), certs.ca("Home")
        by_foreign = certs.ca("Crossed", { issuer = foreign })
        by_home = certs.ca("Crossed", { issuer = home, key = by_foreign })
        client = certs.leaf(by_home)
      end)

      check {
        { "the foreign branch presented first", "OK", function() return tls.trust(home.pem), client, { by_foreign, by_home } end },
        { "the home branch presented first", "OK", function() return tls.trust(home.pem), client, { by_home, by_foreign } end },
        { "only the foreign branch presented", "UNTRUSTED", function() return tls.trust(home.pem), client, { by_foreign } end },
        { "an expired branch first", "OK", function()
          local old = certs.ca("Crossed", { issuer = home, key = by_foreign, not_after = os.time() - DAY })
          return tls.trust(home.pem), client, { old, by_home }
        end },
        { "a branch that is no CA first", "OK", function()
          local fake = certs.ca("Crossed", { issuer = home, key = by_foreign, extensions = { "basicConstraints=CA:FALSE" } })
          return tls.trust(home.pem), client, { fake, by_home }
        end },
        { "a forged branch (another key, same name) first", "OK", function()
          local forged = certs.ca("Crossed", { issuer = home, extensions = { "subjectKeyIdentifier=" } })
          return tls.trust(home.pem), certs.leaf(by_home, { extensions = { "authorityKeyIdentifier=" } }), { forged, by_home }
        end },
        { "the foreign branch twice and the foreign root", "OK", function()
          return tls.trust(home.pem), client, { by_foreign, foreign, by_home }
        end },
      }
    end)
  end)
end)
