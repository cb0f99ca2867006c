-- Revocation lists: which are refused, and what the others say. Made by the openssl command.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C

describe("tls.crl", function()
  local ca, other, revoked, other_leaf

  setup(function()
    ca, other = certs.ca("Listing"), certs.ca("Other")
    revoked, other_leaf = certs.leaf(ca, { cn = "gone" }), certs.leaf(ca, { cn = "fine" })
  end)

  local function names(crl, certificate)
    return C.moon_crl_names(crl, C.X509_get0_serialNumber(tls.x509(certificate.pem)))
  end

  describe("new()", function()
    it("reads a list in PEM: its serial numbers, dates and issuer", function()
      local from, to = os.time() - 100, os.time() + 1000
      local crl = assert(tls.crl((certs.crl(ca, { revoked = { revoked, "0A1B" }, this_update = from, next_update = to })), ca.pem))
      assert.equal(2, tonumber(C.moon_crl_count(crl)))
      assert.is_true(names(crl, revoked))
      assert.is_false(names(crl, other_leaf))
      assert.equal(from, tonumber(C.moon_crl_this_update(crl)))
      assert.equal(to, tonumber(C.moon_crl_next_update(crl)))
      assert.is_true(C.moon_crl_is_of(crl, tls.x509(ca.pem)))
      assert.is_false(C.moon_crl_is_of(crl, tls.x509(other.pem)))
    end)

    it("reads the same from DER, with text before the PEM block, and from a list of nobody", function()
      local pem, path = certs.crl(ca, { revoked = { revoked } })
      local der = certs.openssl("crl -outform DER -in " .. path)
      local a, b = assert(tls.crl(pem, ca.pem)), assert(tls.crl("a list\n" .. pem, ca.pem))
      local c = assert(tls.crl(der, ca.pem))
      assert.equal(ffi.string(C.moon_crl_digest(a), 32), ffi.string(C.moon_crl_digest(b), 32))
      assert.equal(ffi.string(C.moon_crl_digest(a), 32), ffi.string(C.moon_crl_digest(c), 32))
      assert.equal(0, tonumber(C.moon_crl_count((tls.crl((certs.crl(ca)), ca.pem)))))
    end)

    it("reads base64 of the DER, in one line or many", function()
      local _, path = certs.crl(ca, { revoked = { revoked } })
      local der = certs.openssl("crl -outform DER -in " .. path)
      local folded = certs.openssl("base64 -in " .. certs.write(der))
      for _, text in ipairs { folded, (folded:gsub("\n", "")), (folded:gsub("\n", "\r\n")) } do
        assert.is_true(names(assert(tls.crl(text, ca.pem)), revoked))
      end
    end)

    it("finds the CA among several, also among some of one name", function()
      local twin = certs.ca("Listing")
      local list = certs.crl(twin)
      for index, order in ipairs { { twin, other, ca }, { other, twin, ca }, { other, ca, twin } } do
        local crl = assert(tls.crl(list, order[1].pem .. order[2].pem .. order[3].pem))
        assert.equal(index - 1, tonumber(C.moon_crl_issuer(crl)))
        assert.is_true(C.moon_crl_is_of(crl, tls.x509(twin.pem)))
        assert.is_false(C.moon_crl_is_of(crl, tls.x509(ca.pem)))
      end
    end)

    it("is a list of every certificate with the same name and key", function()
      local renewed = certs.ca("Listing", { key = ca })
      local twin = certs.ca("Listing")
      local crl = assert(tls.crl((certs.crl(ca)), ca.pem))
      assert.is_true(C.moon_crl_is_of(crl, tls.x509(renewed.pem)))
      assert.is_false(C.moon_crl_is_of(crl, tls.x509(twin.pem)))
    end)

    it("does not judge a list by its age", function()
      assert.truthy(tls.crl((certs.crl(ca, { this_update = os.time() - 1000, next_update = os.time() - 500 })), ca.pem))
      assert.truthy(tls.crl((certs.crl(ca, { this_update = os.time() + 500, next_update = os.time() + 900 })), ca.pem))
    end)

    for _, case in ipairs {
      { "an empty text", function() return "", ca.pem end, "crl", "empty" },
      { "no PEM at all", function() return "hello", ca.pem end, "crl", "no PEM block" },
      { "base64 of something else", function() return "aGVsbG8gd29ybGQ=", ca.pem end, "crl", "not a revocation list" },
      { "base64 that is cut off", function() return "aGVsb", ca.pem end, "crl", "nor is it base64" },
      { "a certificate", function() return ca.pem, ca.pem end, "crl", "not an X509 CRL" },
      { "two lists", function()
        local pem = certs.crl(ca)
        return pem .. pem, ca.pem
      end, "crl", "more than one" },
      { "a list and a key", function() return certs.crl(ca) .. ca.key, ca.pem end, "crl", "more than one" },
      { "bytes after the list", function()
        local _, path = certs.crl(ca)
        return certs.openssl("crl -outform DER -in " .. path) .. "x", ca.pem
      end, "crl", "not a revocation list" },
      { "another CA's list", function() return certs.crl(other), ca.pem end, "crl", "another name" },
      { "a list of a CA with the same name and another key", function()
        return certs.crl(certs.ca("Listing")), ca.pem
      end, "crl", "signature is not the CA's" },
      { "a SHA-1 signature", function() return certs.crl(ca, { digest = "sha1" }), ca.pem end, "crl", "weak digest" },
      { "a delta list", function()
        return certs.crl(ca, { extensions = { "2.5.29.27=critical,ASN1:INTEGER:1" } }), ca.pem
      end, "crl", "delta" },
      { "a list for users only", function()
        return certs.crl(ca, { extensions = { "issuingDistributionPoint=critical,@p\n[p]\nfullname=URI:http://x.test/\nonlyuser=TRUE" } }), ca.pem
      end, "crl", "only a part" },
      { "an indirect list", function()
        return certs.crl(ca, { extensions = { "issuingDistributionPoint=critical,@p\n[p]\nindirectCRL=TRUE" } }), ca.pem
      end, "crl", "only a part" },
      { "an unknown critical extension", function()
        return certs.crl(ca, { extensions = { "1.2.3.4=critical,ASN1:NULL" } }), ca.pem
      end, "crl", "critical extension" },
      { "an issuer that is no CA", function() return certs.crl(ca), revoked.pem end, "issuer", "not a CA" },
      { "an issuer that may not sign lists", function()
        local mute = certs.ca("Mute", { extensions = { "keyUsage=critical,keyCertSign" } })
        return certs.crl(mute), mute.pem
      end, "issuer", "key usage" },
      { "an issuer that is no certificate", function() return certs.crl(ca), "x" end, "issuer", "no CERTIFICATE" },
      { "more than 10 MiB", function() return "0" .. ("x"):rep(10 * 1024 * 1024), ca.pem end, "crl", "10 MiB" },
      { "much more than 10 MiB of PEM", function() return ("x"):rep(16 * 1024 * 1024), ca.pem end, "crl", "10 MiB" },
    } do
      it("refuses " .. case[1], function()
        local crl, where, text = tls.crl(case[2]())
        assert.is_nil(crl)
        assert.equal(case[3], where)
        assert.matches(case[4], text)
      end)
    end

    it("accepts a list that only says where it is found", function()
      local crl = tls.crl((certs.crl(ca, { extensions = { "issuingDistributionPoint=critical,@p\n[p]\nfullname=URI:http://x.test/" } })),
        ca.pem)
      assert.truthy(crl)
    end)

    it("reads a list of fifty thousand", function()
      local serials = {}
      for i = 1, 50000 do serials[i] = ("%030X"):format(i * 7) end
      local crl = assert(tls.crl((certs.crl(ca, { revoked = serials })), ca.pem))
      assert.equal(50000, tonumber(C.moon_crl_count(crl)))
    end)
  end)
end)
