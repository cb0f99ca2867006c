-- What a trust set says about revoked certificates: one truth, whether a list of the CA, the deny list or the managed CA says so.
-- A revoked certificate stays verified (M-16); a list that cannot be relied on does not (R-3).

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C
local HOUR = 3600
local E = { [3] = "NO LIST", [11] = "LIST NOT YET VALID", [12] = "LIST EXPIRED", [20] = "UNTRUSTED", [24] = "INVALID CA",
  [26] = "PURPOSE", [79] = "INVALID CA", [32] = "MAY NOT SIGN" }

local function verify(trust, leaf, chain, at)
  local out, list = ffi.new("struct moon_verification"), {}
  for i, one in ipairs(chain or {}) do list[i] = tls.x509(one.pem) end
  C.moon_trust_verify(trust, tls.x509(leaf.pem), #list > 0 and tls.stack(list) or nil, at or os.time(), out)
  assert.equal(out.error == 0, out.ok)
  if not out.ok then
    assert.is_false(out.revoked)
    return E[out.error] or tostring(out.error), out
  end
  return (out.revoked and "revoked" or "fine") .. (out.lacks_usage and ", not for clients" or ""), out
end

local function fingerprint(certificate)
  return (certs.openssl("x509 -noout -fingerprint -sha256 -in " .. certificate.path):match("=(%S+)"):gsub(":", ""))
end

local function serial(certificate) return (certs.openssl("x509 -noout -serial -in " .. certificate.path):match("=(%x+)")) end

describe("tls.revocation", function()
  local root, sub, leaf, other_leaf, sub_leaf, now

  setup(function()
    root = certs.ca("Root")
    sub = certs.ca("Issuing", { issuer = root })
    leaf, other_leaf, sub_leaf = certs.leaf(root, { cn = "a" }), certs.leaf(root, { cn = "b" }), certs.leaf(sub, { cn = "c" })
    now = os.time() -- all of them are valid by now
  end)

  local function list_of(ca, options) return (assert(tls.crl((certs.crl(ca, options)), ca.pem))) end

  describe("a list of the CA", function()
    it("names a certificate revoked, which stays verified, and no other", function()
      local trust = tls.trust_with { pems = { root.pem }, crls = { { list_of(root, { revoked = { leaf } }) } } }
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("fine", (verify(trust, other_leaf)))
    end)

    it("speaks for its own CA only", function()
      local stranger = certs.ca("Stranger")
      local same = certs.leaf(stranger, { cn = "same number", serial = "0x" .. serial(leaf) })
      local trust = tls.trust_with { pems = { root.pem, stranger.pem }, crls = { { list_of(root, { revoked = { leaf } }) } } }
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("fine", (verify(trust, same)))
    end)

    it("speaks for a renewed certificate of the same CA", function()
      local renewed = certs.ca("Root", { key = root })
      local trust = tls.trust_with { pems = { renewed.pem }, crls = { { list_of(root, { revoked = { leaf } }) } } }
      assert.equal("revoked", (verify(trust, leaf)))
    end)

    it("of an intermediate reaches the certificates below it", function()
      local trust = tls.trust_with { pems = { root.pem }, crls = { { list_of(root, { revoked = { sub } }), soft = true } } }
      assert.equal("revoked", (verify(trust, sub_leaf, { sub })))
      assert.equal("fine", (verify(trust, leaf)))
    end)

    -- next update in / this update in / soft / looked at in / expected
    for _, case in ipairs {
      { HOUR, -60, false, 0, "fine" },
      { HOUR, -60, false, HOUR - 1, "fine" },
      { HOUR, -60, false, HOUR, "LIST EXPIRED" },
      { HOUR, -60, true, HOUR, "fine" },
      { 2 * HOUR, HOUR, false, 0, "LIST NOT YET VALID" },
      { 2 * HOUR, HOUR, false, HOUR, "fine" },
      { 2 * HOUR, HOUR, true, 0, "fine" },
    } do
      it(("%s, valid from %+d s to %+d s, after %d s: %s"):format(case[3] and "soft" or "hard", case[2], case[1], case[4], case[5]),
        function() -- R-3
          local list = list_of(root, { this_update = now + case[2], next_update = now + case[1] })
          local trust = tls.trust_with { pems = { root.pem }, crls = { { list, soft = case[3] } } }
          assert.equal(case[5], (verify(trust, leaf, nil, now + case[4])))
        end)
    end

    it("that is soft goes on naming certificates after its end", function()
      local list = list_of(root, { revoked = { leaf }, next_update = now + HOUR })
      local trust = tls.trust_with { pems = { root.pem }, crls = { { list, soft = true } } }
      assert.equal("revoked", (verify(trust, leaf, nil, now + 2 * HOUR)))
    end)

    it("bounds how long a validation may be relied on", function()
      local list = list_of(root, { this_update = now - 30, next_update = now + HOUR })
      local _, out = verify(tls.trust_with { pems = { root.pem }, crls = { { list } } }, leaf)
      assert.equal(now + HOUR, tonumber(out.not_after))
      assert.is_true(tonumber(out.not_before) >= now - 30)
      _, out = verify(tls.trust_with { pems = { root.pem }, crls = { { list, soft = true } } }, leaf)
      assert.is_true(tonumber(out.not_after) > now + HOUR)
    end)

    it("beside an older one of the same CA counts together with it", function()
      local old = list_of(root, { revoked = { leaf }, this_update = now - 2 * HOUR, next_update = now - HOUR })
      local new = list_of(root, { revoked = { other_leaf } })
      local trust = tls.trust_with { pems = { root.pem }, crls = { { old }, { new } } }
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("revoked", (verify(trust, other_leaf)))
    end)

    it("that is hard asks for a list of every issuer below its CA", function()
      local hard = tls.trust_with { pems = { root.pem }, crls = { { list_of(root) } } }
      assert.equal("NO LIST", (verify(hard, sub_leaf, { sub })))
      assert.equal("fine", (verify(hard, leaf)))
      local soft = tls.trust_with { pems = { root.pem }, crls = { { list_of(root), soft = true } } }
      assert.equal("fine", (verify(soft, sub_leaf, { sub })))
      local both = tls.trust_with { pems = { root.pem, sub.pem }, crls = { { list_of(root) }, { list_of(sub, { revoked = { sub_leaf } }) } } }
      assert.equal("revoked", (verify(both, sub_leaf)))
    end)

    it("of a CA that is not in the set is passed over", function()
      local trust = tls.trust_with { pems = { sub.pem }, crls = { { list_of(root, { revoked = { sub_leaf } }) } } }
      assert.equal("fine", (verify(trust, sub_leaf)))
      local mixed = tls.trust_with { pems = { sub.pem }, crls = { { list_of(root) }, { list_of(sub, { revoked = { sub_leaf } }) } } }
      assert.equal("revoked", (verify(mixed, sub_leaf)))
    end)

    it("changes nothing for a chain that fails for another reason", function()
      local trust = tls.trust_with { pems = { root.pem }, crls = { { list_of(root) } } }
      assert.equal("UNTRUSTED", (verify(trust, certs.leaf(certs.ca("Unknown"), { cn = "x" }))))
    end)
  end)

  describe("in a bundle of root and intermediate, where paths end at the intermediate,", function()
    local pems
    setup(function() pems = { root.pem, sub.pem } end)

    it("the root's list reaches the certificates below the intermediate", function()
      local trust = tls.trust_with { pems = pems, crls = { { list_of(root, { revoked = { sub } }) } } }
      assert.equal("revoked", (verify(trust, sub_leaf, { sub })))
      assert.equal("revoked", (verify(trust, sub_leaf)))
      assert.equal("fine", (verify(trust, leaf)))
    end)

    it("a list that names others says nothing against them", function()
      local list = list_of(root, { revoked = { leaf }, next_update = now + HOUR })
      local trust = tls.trust_with { pems = pems, crls = { { list } } }
      local told, out = verify(trust, sub_leaf)
      assert.equal("fine", told)
      assert.equal(now + HOUR, tonumber(out.not_after))
    end)

    it("the root's list holds them back once it has ended, unless it is soft", function() -- R-3
      local list = list_of(root, { next_update = now + HOUR })
      local later = now + 2 * HOUR
      assert.equal("LIST EXPIRED", (verify(tls.trust_with { pems = pems, crls = { { list } } }, sub_leaf, nil, later)))
      assert.equal("fine", (verify(tls.trust_with { pems = pems, crls = { { list, soft = true } } }, sub_leaf, nil, later)))
    end)

    it("a denial of the intermediate reaches them, by serial number and by fingerprint", function()
      for _, denial in ipairs { { fingerprint(root), "0x" .. serial(sub) }, { "", fingerprint(sub) } } do
        local trust = tls.trust_with { pems = pems, denials = { denial } }
        assert.equal("revoked", (verify(trust, sub_leaf, { sub })))
        assert.equal("fine", (verify(trust, leaf)))
      end
    end)

    it("anchors that signed each other are gone through once", function()
      local a, b = certs.ca("Circle A"), certs.ca("Circle B")
      local a_by_b, b_by_a = certs.ca("Circle A", { key = a, issuer = b }), certs.ca("Circle B", { key = b, issuer = a })
      local trust = tls.trust_with { pems = { a_by_b.pem, b_by_a.pem }, denials = { { fingerprint(a_by_b), "1" } } }
      assert.equal("fine", (verify(trust, certs.leaf(a_by_b))))
    end)
  end)

  describe("the deny list", function()
    it("takes serial numbers under a CA, in hex and in decimal", function() -- R-1
      local decimal = certs.leaf(root, { cn = "decimal", serial = "123456789" })
      local trust = tls.trust_with { pems = { root.pem },
        denials = { { fingerprint(root), "0x" .. serial(leaf) }, { fingerprint(root):lower(), "123456789" } } }
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("revoked", (verify(trust, decimal)))
      assert.equal("fine", (verify(trust, other_leaf)))
    end)

    it("means the CA it names", function()
      local stranger = certs.ca("Stranger")
      local same = certs.leaf(stranger, { cn = "same number", serial = "0x" .. serial(leaf) })
      local trust = tls.trust_with { pems = { root.pem, stranger.pem }, denials = { { fingerprint(root), "0x" .. serial(leaf) } } }
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("fine", (verify(trust, same)))
    end)

    it("passes over CAs of other sets", function()
      local trust = tls.trust_with { pems = { root.pem }, denials = { { ("0"):rep(64), "1" } } }
      assert.equal("fine", (verify(trust, leaf)))
    end)

    it("takes fingerprints of certificates anywhere below the anchor", function()
      local by_leaf = tls.trust_with { pems = { root.pem }, denials = { { "", fingerprint(sub_leaf) } } }
      assert.equal("revoked", (verify(by_leaf, sub_leaf, { sub })))
      assert.equal("fine", (verify(by_leaf, leaf)))
      local by_sub = tls.trust_with { pems = { root.pem }, denials = { { "", fingerprint(sub) } } }
      assert.equal("revoked", (verify(by_sub, sub_leaf, { sub })))
    end)

    it("is not got around with the other form of an ECDSA signature, which anybody can make", function()
      local trust = tls.trust_with { pems = { root.pem }, denials = { { "", fingerprint(leaf) } } }
      local twin = certs.twin(leaf)
      assert.not_equal(fingerprint(leaf), fingerprint(twin))
      assert.equal("fine", (verify(tls.trust(root.pem), twin)))
      assert.equal("revoked", (verify(trust, twin)))
      assert.equal("revoked", (verify(trust, leaf)))
      assert.equal("fine", (verify(trust, certs.twin(other_leaf))))
      local by_sub = tls.trust_with { pems = { root.pem }, denials = { { "", fingerprint(sub) } } }
      assert.equal("revoked", (verify(by_sub, sub_leaf, { certs.twin(sub) })))
    end)

    it("holds the fingerprint of a certificate under an RSA key", function()
      local ca = certs.ca("RSA", { key = "RSA 2048" })
      local denied = certs.leaf(ca, { cn = "denied" })
      local trust = tls.trust_with { pems = { ca.pem }, denials = { { "", fingerprint(denied) } } }
      assert.equal("revoked", (verify(trust, denied)))
      assert.equal("fine", (verify(trust, certs.leaf(ca, { cn = "other" }))))
    end)

    for title, denial in pairs {
      ["a fingerprint that is too short"] = { "", ("a"):rep(62) },
      ["a fingerprint that is no hex"] = { "", ("g"):rep(64) },
      ["a CA that is no fingerprint"] = { "Root", "1" },
      ["a serial number that is none"] = { ("0"):rep(64), "one" },
    } do
      it("refuses " .. title, function()
        local trust, where = tls.trust_with { pems = { root.pem }, denials = { { ("0"):rep(64), "1" }, denial } }
        assert.is_nil(trust)
        assert.equal("denials[2]", where)
      end)
    end
  end)

  describe("identity and revision", function()
    local function told(trust)
      return ffi.string(C.moon_trust_identity(trust), 32), ffi.string(C.moon_trust_revision(trust), 32)
    end

    it("differ in what they follow: who is asked for, and what is revoked", function()
      local ca = fingerprint(root)
      local list, empty = list_of(root, { revoked = { leaf } }), list_of(root)
      local sets = {
        tls.trust(root.pem),
        tls.trust_with { pems = { root.pem }, denials = { { ca, "1" } } },
        tls.trust_with { pems = { root.pem }, denials = { { ca, "2" } } },
        tls.trust_with { pems = { root.pem }, denials = { { ca, "1" }, { ca, "2" } } },
        tls.trust_with { pems = { root.pem }, denials = { { "", ca } } },
        tls.trust_with { pems = { root.pem }, crls = { { list } } },
        tls.trust_with { pems = { root.pem }, crls = { { list, soft = true } } },
        tls.trust_with { pems = { root.pem }, crls = { { empty } } },
      }
      local revisions = {}
      for i, trust in ipairs(sets) do
        local identity, revision = told(trust)
        assert.equal(told(sets[1]), identity)
        assert.is_true(C.moon_trust_same(sets[1], trust))
        assert.is_nil(revisions[revision], i)
        revisions[revision] = true
      end
    end)

    it("are the same for the same content in another order", function()
      local ca = fingerprint(root)
      local a = tls.trust_with { pems = { root.pem }, denials = { { ca, "1" }, { ca, "2" }, { "", ca } } }
      local b = tls.trust_with { pems = { root.pem }, denials = { { "", ca:lower() }, { ca, "0x2" }, { ca, "1" }, { ca, "1" } } }
      assert.same({ told(a) }, { told(b) })
    end)

    it("differ with the demand on the use", function()
      local a, b, c = tls.trust(root.pem), tls.trust_with { pems = { root.pem }, usage = "warn" },
        tls.trust_with { pems = { root.pem }, usage = "ignore" }
      assert.is_false(C.moon_trust_same(a, b))
      assert.is_false(C.moon_trust_same(b, c))
    end)
  end)

  describe("the demand on the use", function() -- X-2
    for _, case in ipairs {
      -- leaf's options / require / warn / ignore
      { "clientAuth", {}, "fine", "fine", "fine" },
      { "no extended key usage", { eku = false }, "fine", "fine", "fine" },
      { "serverAuth only", { eku = "serverAuth" }, "PURPOSE", "fine, not for clients", "fine" },
      { "key usage without signatures", { extensions = { "keyUsage=critical,keyEncipherment" } }, "PURPOSE", "PURPOSE", "PURPOSE" },
    } do
      it(("of a certificate with %s: %s, %s, %s"):format(case[1], case[3], case[4], case[5]), function()
        local client = certs.leaf(root, case[2])
        for i, usage in ipairs { "require", "warn", "ignore" } do
          assert.equal(case[i + 2], (verify(tls.trust_with { pems = { root.pem }, usage = usage }, client)))
        end
      end)
    end

    it("waives nothing else about CAs", function() -- X-3
      local below = certs.leaf(certs.leaf(root, { cn = "no CA" }), { cn = "below" })
      local old = certs.ca("Old custom", { issuer = root, extensions = { "basicConstraints=" } })
      for _, usage in ipairs { "require", "warn", "ignore" } do
        local trust = tls.trust_with { pems = { root.pem }, usage = usage }
        local intermediate = certs.leaf(root, { cn = "no CA" })
        assert.not_equal("fine", (verify(trust, certs.leaf(intermediate, { cn = "below" }), { intermediate })))
        assert.not_equal("fine", (verify(trust, below)))
        assert.not_equal("fine", (verify(trust, root)))
        local strict = (verify(tls.trust(root.pem), certs.leaf(old, { cn = "y" }), { old }))
        assert.equal(strict, (verify(trust, certs.leaf(old, { cn = "x" }), { old })))
      end
    end)
  end)

  it("gives the direct issuer's serial number and key identifier", function()
    local _, out = verify(tls.trust(root.pem), sub_leaf, { sub })
    local function hex(short)
      return (ffi.string(short.bytes, short.len):gsub(".", function(c) return ("%02X"):format(c:byte()) end))
    end
    assert.equal(serial(sub), hex(out.issuer_serial))
    local ski = certs.openssl("x509 -noout -ext subjectKeyIdentifier -in " .. sub.path):gsub("[: \n]", ""):match("Identifier(%x+)$")
    assert.equal(ski, hex(out.issuer_ski))
  end)
end)
