-- Extensions and odd contents of certificates: what is critical and unknown, proxies, addresses that nobody shall fetch from,
-- serial numbers, sizes, and names that are no texts.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local gate = require "spec.support.gate"
local tls = require "spec.support.cdef_tls"

local function check(cases) chains.check(it, cases) end

describe("a certificate with", function()
  local root, key

  setup(function()
    root = certs.ca("Odd things")
    key = certs.leaf(root, { cn = "key" })
  end)

  local function leaf_with(...)
    local extensions = { ... }
    return function() return tls.trust(root.pem), certs.leaf(root, { key = key, extensions = extensions }) end
  end

  describe("a critical extension", function() -- X-6
    check {
      { "that nobody knows, twice", "UNKNOWN_CRITICAL", leaf_with("1.2.3.4=critical,ASN1:NULL", "1.2.3.5=critical,ASN1:NULL") },
      { "that is not followed: where to ask for issuers", "UNKNOWN_CRITICAL",
        leaf_with "authorityInfoAccess=critical,caIssuers;URI:http://ca.test/" },
      { "of TLS features", "UNKNOWN_CRITICAL", leaf_with "tlsfeature=critical,status_request" },
      { "of alternative names", "OK", leaf_with "subjectAltName=critical,DNS:a.test" },
      { "of the anchor", "UNKNOWN_CRITICAL", function()
        local ca = certs.ca("Critical", { extensions = { "1.2.3.4=critical,ASN1:NULL" } })
        return tls.trust(ca.pem), certs.leaf(ca, { key = key })
      end },
      { "of a certificate above the anchor", "OK", function()
        local top = certs.ca("Critical", { extensions = { "1.2.3.4=critical,ASN1:NULL" } })
        local ca = certs.ca("Below", { issuer = top })
        return tls.trust(ca.pem), certs.leaf(ca, { key = key }), { top }
      end },
      { "of a presented certificate that is not needed", "OK", function()
        local stranger = certs.ca("Critical", { extensions = { "1.2.3.4=critical,ASN1:NULL" } })
        return tls.trust(root.pem), certs.leaf(root, { key = key }), { stranger }
      end },
    }
  end)

  describe("an extension that is not critical", function()
    check {
      { "for devices of one maker", "OK", leaf_with "1.3.6.1.4.1.99999.1=ASN1:UTF8String:pump" },
      { "of TLS features", "OK", leaf_with "tlsfeature=status_request" },
      { "that says not to ask for revocation", "OK", leaf_with "noCheck=ignored" },
    }
  end)

  describe("the extension of a proxy", function() -- X-11
    check {
      { "issued by a client's certificate", "PROXY", function()
        local user = certs.leaf(root, { subject = "/CN=user" })
        local proxy = certs.leaf(user, { subject = "/CN=user/CN=proxy", extensions = {
          "proxyCertInfo=critical,language:id-ppl-inheritAll", "basicConstraints=",
        } })
        return tls.trust(root.pem), proxy, { user }
      end },
      { "issued by a CA", "UNTRUSTED", function()
        return tls.trust(root.pem), certs.leaf(root, { subject = "/CN=Odd things/CN=proxy", extensions = {
          "proxyCertInfo=critical,language:id-ppl-anyLanguage", "basicConstraints=",
        } })
      end },
    }
  end)

  describe("addresses in it", function() -- X-12
    it("is validated without a word to any of them", function()
      local server = gate.origin()
      local url = ("http://127.0.0.1:%d/"):format(server.port)
      local places = { "authorityInfoAccess=caIssuers;URI:" .. url .. "ca,OCSP;URI:" .. url .. "ocsp", "crlDistributionPoints=URI:" .. url .. "crl" }
      local between = certs.ca("Between", { issuer = root, extensions = places })
      local leaf = certs.leaf(between, { key = key, extensions = places })
      assert.equal("UNTRUSTED", (chains.verify(tls.trust(root.pem), leaf)))
      assert.equal("OK", (chains.verify(tls.trust(root.pem), leaf, { between })))
      assert.is_false(server:is_called(0))
      server:close()
    end)
  end)

  describe("a serial number", function()
    local function numbered(serial)
      return function() return tls.trust(root.pem), certs.leaf(root, { key = key, serial = serial }) end
    end
    check {
      { "of zero", "OK", numbered "0" },
      { "below zero", "OK", numbered "-5" },
      { "of 20 octets", "OK", numbered("0x7F" .. ("FF"):rep(19)) },
      { "of 60 octets", "OK", numbered("0x7F" .. ("FF"):rep(59)) },
    }
  end)

  describe("nothing but the least", function()
    check {
      { "no extensions at all", "OK", leaf_with("basicConstraints=", "keyUsage=", "extendedKeyUsage=", "subjectKeyIdentifier=", "authorityKeyIdentifier=") },
      { "no subject, but a name beside it", "OK", function()
        return tls.trust(root.pem), certs.leaf(root, { key = key, subject = "/", san = "URI:urn:pump:17" })
      end },
      { "no subject and no name", "OK", function()
        return tls.trust(root.pem), certs.leaf(root, { key = key, subject = "/" })
      end },
    }
  end)

  describe("very much in it", function() -- X-9
    check {
      { "60 000 bytes in one extension", "OK", leaf_with("1.2.3.4=ASN1:FORMAT:HEX,OCT:" .. ("00"):rep(60000)) },
      { "forty parts in its subject", "OK", function()
        return tls.trust(root.pem), certs.leaf(root, { key = key, subject = ("/OU=" .. ("x"):rep(60)):rep(40) .. "/CN=long" })
      end },
    }
  end)

  describe("a form that OpenSSL lets pass", function()
    -- The version, counted from zero, as an integer of one byte.
    local function of_version(number, extensions)
      return function()
        local plain = certs.leaf(root, { key = key, extensions = extensions })
        return tls.trust(root.pem), certs.resigned(plain, root, function(content)
          local edited, count = content:gsub("^\160\3\2\1\2", "\160\3\2\1" .. string.char(number))
          assert.equal(1, count)
          return edited
        end)
      end
    end
    local TWO = { "1.2.3.4=ASN1:NULL", "1.2.3.5=ASN1:NULL" }
    local function twice(certificate, ca)
      return certs.resigned(certificate, ca, function(content) return (content:gsub("\42\3\5", "\42\3\4")) end)
    end
    check {
      { "the version that extensions have", "OK", of_version(2) },
      { "extensions in version 1", "VERSION", of_version(0) },
      { "extensions in version 2", "VERSION", of_version(1) },
      { "a version 4", "REJECTED", of_version(3) },
      { "a version below 1", "REJECTED", of_version(255) },
      { "an extension twice that nobody knows", "INVALID_EXTENSION", function()
        return tls.trust(root.pem), twice(certs.leaf(root, { key = key, extensions = TWO }), root)
      end },
      { "bytes behind its extended key usage", "INVALID_EXTENSION",
        leaf_with("extendedKeyUsage=", "2.5.29.37=DER:300A06082B060105050703020500") },
      { "bytes behind its key usage", "INVALID_EXTENSION", leaf_with("keyUsage=", "2.5.29.15=DER:0302078000") },
      { "bytes behind its alternative names", "INVALID_EXTENSION", leaf_with "2.5.29.17=DER:30088206612E746573740500" },
      { "no DER in an extension that nobody knows", "OK", leaf_with "1.2.3.4=DER:FFFFFF" },
      { "extensions in version 1 of its issuer", "VERSION", function()
        local plain = certs.ca("Odd issuer", { issuer = root })
        local odd = certs.resigned(plain, root, function(content) return (content:gsub("^\160\3\2\1\2", "\160\3\2\1\0")) end)
        return tls.trust(root.pem), certs.leaf(plain), { odd }
      end },
      { "extensions twice in an anchor, which its uploader answers for", "OK", function()
        local plain = certs.ca("Odd anchor", { extensions = TWO })
        local anchor = twice(plain, plain)
        return tls.trust(anchor.pem), certs.leaf(anchor)
      end },
    }
  end)

  describe("a malformed extension", function()
    for title, extension in pairs {
      ["of alternative names"] = "2.5.29.17=DER:0102", ["of the authority's key"] = "2.5.29.35=DER:0402FFFF",
      ["of its own key"] = "2.5.29.14=DER:010203", ["of key usage"] = "2.5.29.15=DER:0403",
    } do
      it(title .. " is not verified", function()
        local odd = certs.leaf(root, { key = key, extensions = {
          "keyUsage=", "subjectAltName=", "subjectKeyIdentifier=", "authorityKeyIdentifier=", extension,
        } })
        assert.not_equal("OK", (chains.verify(tls.trust(root.pem), odd)))
      end)
    end
  end)
end)
