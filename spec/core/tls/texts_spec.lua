-- Every text and list of a certificate, against what the openssl command prints of the same one.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C

describe("tls.texts", function()
  local root, sub, leaf, root_trust

  setup(function()
    root = certs.ca("Root", { subject = "/C=NL/O=Acme, Inc./CN=Root" })
    sub = certs.ca("Issuing", { issuer = root, serial = "0x0ABCDE" })
    leaf = certs.leaf(sub, { subject = "/C=NL/O=Acme/OU=Field/CN=pump-17", serial = "0xA1B2C3",
      san = "DNS:a.test,URI:urn:acme:pump,DNS:*.b.test,email:pump@acme.test,IP:192.0.2.1,IP:2001:db8::1,RID:1.2.3",
      eku = "clientAuth,1.2.3.4" })
    root_trust = tls.trust(root.pem)
  end)

  local function peer_of(certificate, trust, chain)
    local peer = ffi.gc(C.moon_peer_new(nil), function(it) C.moon_peer_free(ffi.new("struct moon_peer *[1]", it)) end)
    local list = { tls.x509(certificate.pem) }
    for _, other in ipairs(chain or {}) do list[#list + 1] = tls.x509(other.pem) end
    C.moon_peer_present(peer, list[1], tls.stack(list), trust, os.time())
    return peer
  end

  local function text(name, certificate, trust, chain) return tls.certificate_text(peer_of(certificate, trust or root_trust, chain), name) end
  local function list(name, certificate) return tls.certificate_list(peer_of(certificate, root_trust), name) end
  local function told(certificate, arguments) return (certs.openssl(("x509 -noout %s -in %s"):format(arguments, certificate.path)):gsub("%s+$", "")) end
  local function base64(certificate)
    return ":" .. (certs.openssl(("x509 -outform DER -in %s | openssl base64 -A"):format(certificate.path)):gsub("%s", "")) .. ":"
  end

  describe("names", function()
    it("have the most specific attribute first", function()
      assert.equal("CN=pump-17,OU=Field,O=Acme,C=NL", (text("subject_dn", leaf)))
      assert.equal("CN=Issuing", (text("issuer_dn", leaf)))
      assert.equal("CN=Root,O=Acme\\, Inc.,C=NL", (text("issuer_dn", sub)))
    end)

    it("have the least specific attribute first in the old form", function()
      assert.equal("/C=NL/O=Acme/OU=Field/CN=pump-17", (text("subject_dn_legacy", leaf)))
      assert.equal("/C=NL/O=Acme, Inc./CN=Root", (text("issuer_dn_legacy", sub)))
    end)

    it("hold printable ASCII only, whatever the certificate says", function() -- X-14
      for _, subject in ipairs { "/CN=a\r\nX-Evil: 1", "/CN=Zoë", "/O=\27[31m/CN=x", "/CN=\127" } do
        local odd = certs.leaf(root, { subject = subject })
        for _, name in ipairs { "subject_dn", "subject_dn_legacy" } do
          local value = text(name, odd)
          assert.is_nil(value:find("[^ -~]"), name)
          assert.is_true(#value > 4)
        end
      end
    end)

    it("of nothing are empty", function()
      local nobody = certs.leaf(root, { subject = "/" })
      assert.equal("", (text("subject_dn", nobody)))
      assert.equal("", (text("subject_dn_legacy", nobody)))
    end)
  end)

  describe("serial numbers", function()
    for serial, expected in pairs { ["0x1"] = "01", ["0xABC"] = "0ABC", ["0x80"] = "80", ["0"] = "00", ["-255"] = "-FF" } do
      it(("write %s as %s, of the certificate and of its issuer"):format(serial, expected), function()
        local ca = certs.ca("Odd", { issuer = root, serial = serial })
        local client = certs.leaf(ca, { serial = serial })
        assert.equal(expected, (text("serial", client)))
        assert.equal(expected, (text("issuer_serial", client, root_trust, { ca })))
      end)
    end

    it("of the issuer come from the validated path", function()
      assert.equal("0ABCDE", (text("issuer_serial", leaf, root_trust, { sub })))
      assert.equal("0ABCDE", (text("issuer_serial", leaf, tls.trust(sub.pem))))
    end)

    it("of the issuer come from the authority key identifier where there is no path", function()
      local with = certs.leaf(sub, { extensions = { "authorityKeyIdentifier=keyid,issuer:always" } })
      assert.equal("0ABCDE", (text("issuer_serial", with, tls.trust(certs.ca("Other").pem))))
      assert.equal("", (text("issuer_serial", leaf, tls.trust(certs.ca("Other").pem))))
    end)

    it("of the issuer follow the path from set to set", function()
      local renewed = certs.ca("Issuing", { key = sub, serial = "0x77" })
      local peer = peer_of(leaf, tls.trust(sub.pem))
      assert.equal("0ABCDE", (tls.certificate_text(peer, "issuer_serial")))
      tls.facts(peer, tls.trust(renewed.pem), os.time())
      assert.equal("77", (tls.certificate_text(peer, "issuer_serial")))
    end)
  end)

  describe("key identifiers", function()
    it("are those of the openssl command", function()
      local printed = told(leaf, "-ext subjectKeyIdentifier,authorityKeyIdentifier"):gsub("[: ]", "")
      assert.equal(printed:match("SubjectKeyIdentifier%s+(%x+)"), (text("ski", leaf)))
      assert.equal(printed:match("AuthorityKeyIdentifier%s+(%x+)"), (text("issuer_ski", leaf)))
    end)

    it("of the issuer come from the path where the certificate does not say", function()
      local silent = certs.leaf(sub, { extensions = { "authorityKeyIdentifier=none" } })
      assert.equal((text("ski", sub)), (text("issuer_ski", silent, tls.trust(sub.pem))))
      assert.equal("", (text("issuer_ski", silent, root_trust)))
    end)
  end)

  it("fingerprints are those of the openssl command", function()
    for _, kind in ipairs { "sha256", "sha1" } do
      assert.equal(told(leaf, "-fingerprint -" .. kind):match("=(.*)"):gsub(":", ""):lower(), (text("fingerprint_" .. kind, leaf)))
    end
    local spki = certs.openssl(("x509 -pubkey -noout -in %s | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r"):format(leaf.path))
    assert.equal(spki:match("%x+"), (text("spki_sha256", leaf)))
  end)

  describe("dates", function()
    for title, dates in pairs {
      ["of our day"] = { 1770000000, 1777000000 },
      ["beyond 2049"] = { 1770000000, 2556144000 + 5 },
      ["of one digit"] = { 1767571805, 1768000000 },
    } do
      it(title .. " are written as the openssl command writes them", function()
        local dated = certs.leaf(root, { not_before = dates[1], not_after = dates[2] })
        assert.equal(told(dated, "-startdate"):match("=(.*)"), (text("not_before", dated)))
        assert.equal(told(dated, "-enddate"):match("=(.*)"), (text("not_after", dated)))
      end)
    end

    it("have a day of two places", function()
      assert.equal("Jan  5 00:10:05 2026 GMT", (text("not_before", certs.leaf(root, { not_before = 1767571805, not_after = 1999999999 }))))
    end)
  end)

  describe("rfc9440", function()
    it("is the certificate between colons", function()
      local value, too_large = text("rfc9440", leaf)
      assert.equal(base64(leaf), value)
      assert.is_false(too_large)
    end)

    it("lists the rest as it was sent, without the leaf", function()
      assert.equal("", (text("chain_rfc9440", leaf)))
      assert.equal(base64(sub), (text("chain_rfc9440", leaf, root_trust, { sub })))
      assert.equal(base64(root) .. ", " .. base64(sub), (text("chain_rfc9440", leaf, root_trust, { root, sub })))
    end)

    -- bytes of an extension that fills the certificate
    for size, too_large in pairs { [5500] = false, [9000] = true } do
      it(("with %d bytes inside is %s"):format(size, too_large and "too large" or "there"), function()
        local big = certs.leaf(root, { extensions = { "1.2.3.4=ASN1:FORMAT:HEX,OCT:" .. ("00"):rep(size) } })
        local value, told_too_large = text("rfc9440", big)
        assert.equal(too_large, told_too_large)
        assert.equal(too_large and "" or base64(big), value)
        local chain
        chain, told_too_large = text("chain_rfc9440", leaf, root_trust, { big, big })
        assert.equal(too_large, told_too_large)
        assert.equal(too_large, chain == "")
      end)
    end

    it("is there for a certificate that is not verified", function()
      assert.equal(base64(leaf), (text("rfc9440", leaf, tls.trust(certs.ca("Other").pem))))
    end)
  end)

  describe("lists", function()
    it("are the alternative names by kind, in order", function()
      assert.same({ "a.test", "*.b.test" }, list("san_dns", leaf))
      assert.same({ "urn:acme:pump" }, list("san_uri", leaf))
      assert.same({ "pump@acme.test" }, list("san_email", leaf))
      assert.same({ "\192\0\2\1", "\32\1\13\184" .. ("\0"):rep(11) .. "\1" }, list("san_ip", leaf))
    end)

    it("are the extended key usages in numbers", function()
      assert.same({ "1.3.6.1.5.5.7.3.2", "1.2.3.4" }, list("eku", leaf))
    end)

    it("are empty where there is nothing", function()
      local plain = certs.leaf(root, { eku = false })
      for _, name in ipairs { "san_dns", "san_uri", "san_email", "san_ip", "eku" } do assert.same({}, list(name, plain)) end
    end)

    it("escape what is not printable, a NUL above all", function() -- X-14
      -- a dNSName (context tag 2) as raw bytes: "a.test\0.evil\n\\"
      local der = "3010820E" .. "612E7465737400" .. "2E6576696C0A5C"
      local odd = certs.leaf(root, { extensions = { "2.5.29.17=DER:" .. der } })
      assert.same({ "a.test\\00.evil\\0A\\5C" }, list("san_dns", odd))
    end)

    it("leave out addresses of other lengths", function()
      local odd = certs.leaf(root, { extensions = { "2.5.29.17=DER:300C8703010203" .. "8700" .. "870301" .. "0203" } })
      assert.same({}, list("san_ip", odd))
    end)

    it("of more entries than anybody needs make a certificate that is not verified", function()
      for count, verified in pairs { [1000] = true, [1100] = false } do
        local names = ("8203612E62"):rep(count)
        local size = #names / 2
        local crowded = certs.leaf(root, { extensions = { ("2.5.29.17=DER:3082%04X%s"):format(size, names) } })
        assert.equal(verified, tls.facts(peer_of(crowded, root_trust), root_trust, os.time()).verified)
      end
    end)
  end)
end)
