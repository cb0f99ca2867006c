-- The CA of an account: what it makes, what it signs, and what it refuses to sign. Judged by the openssl command line.

local certs = require "spec.support.certs"
local managed = require "spec.support.managed_ca"

local DAY = 86400

describe("tls.managed_ca", function()
  local ca, now

  setup(function()
    now = os.time()
    ca = assert(managed.make("Managed CA for account 0123456789abcdef0123456789abcdef", now))
    ca.path = certs.write(ca.certificates, ".pem")
  end)

  local function issue(csr, days, at) return managed.issue(ca.certificates, ca.key, csr, days or 30, at or now) end
  local function told(pem, options) return certs.openssl(("x509 -noout %s -in %s"):format(options, certs.write(pem, ".pem"))) end

  describe("make()", function()
    it("makes a root of its own name and key", function()
      local text = told(ca.certificates, "-text")
      assert.truthy(text:find("Issuer: CN%s?=%s?Managed CA for account 0123456789abcdef0123456789abcdef"))
      assert.truthy(text:find("CA:TRUE, pathlen:0", 1, true))
      assert.truthy(text:find("Certificate Sign, CRL Sign", 1, true))
      assert.truthy(text:find("prime256v1", 1, true))
      assert.truthy(text:find("ecdsa%-with%-SHA256"))
      certs.openssl(("verify -CAfile %s %s"):format(ca.path, ca.path))
    end)

    it("makes two of one name differ in key and serial number", function()
      local other = assert(managed.make("Managed CA for account 0123456789abcdef0123456789abcdef", now))
      assert.not_equal(ca.key, other.key)
      assert.not_equal(told(ca.certificates, "-serial"), told(other.certificates, "-serial"))
    end)

    it("outlives whatever it signs by as much again", function()
      assert.equal("Certificate will not expire\n", told(ca.certificates, "-checkend " .. 2 * 5475 * DAY - 7200))
    end)

    for title, name in pairs { ["no name"] = "", ["a name of 65 bytes"] = ("x"):rep(65), ["a NUL"] = "a\0b" } do
      it("refuses " .. title, function()
        local made, where = managed.make(name, now)
        assert.is_nil(made)
        assert.equal("name", where)
      end)
    end
  end)

  describe("issue()", function()
    it("signs for clients and for nothing else", function()
      local request = certs.request { subject = "/C=NO/ST=Oslo/L=Oslo/O=Heron Ltd/OU=Pumps/CN=pump-17" }
      local issued = assert(issue(request.pem, 365))
      local text = told(issued.certificate, "-text")
      assert.truthy(text:find("CA:FALSE", 1, true))
      assert.truthy(text:find("TLS Web Client Authentication", 1, true))
      assert.is_nil(text:find("TLS Web Server Authentication", 1, true))
      assert.truthy(text:find("Digital Signature\n", 1, true))
      local path = certs.write(issued.certificate, ".pem")
      assert.truthy(certs.openssl(("verify -purpose sslclient -x509_strict -CAfile %s %s"):format(ca.path, path)):find(": OK", 1, true))
      assert.has_error(function() certs.openssl(("verify -purpose sslserver -CAfile %s %s"):format(ca.path, path)) end)
      assert.same({ "pump-17", "NO", "Oslo", "Oslo", "Heron Ltd", "Pumps" },
        { issued.common_name, issued.country, issued.state, issued.location, issued.organization, issued.organizational_unit })
    end)

    it("tells serial number and key identifier as the certificate has them, in lower case", function()
      local issued = assert(issue(certs.request().pem))
      assert.equal("serial=" .. issued.serial:upper() .. "\n", told(issued.certificate, "-serial"))
      assert.truthy(issued.serial:find("^[4-7]%x+$"))
      assert.equal(32, #issued.serial)
      assert.equal(issued.ski:upper(), (told(issued.certificate, "-ext subjectKeyIdentifier"):match("\n%s+([%x:]+)"):gsub(":", "")))
    end)

    it("never gives a serial number twice, also for one request", function()
      local request, seen = certs.request().pem, {}
      for _ = 1, 20 do
        local serial = assert(issue(request)).serial
        assert.is_nil(seen[serial])
        seen[serial] = true
      end
    end)

    for _, days in ipairs { 1, 5475 } do
      it(("makes it valid from now for %d days"):format(days), function()
        local issued = assert(issue(certs.request().pem, days))
        local dates = told(issued.certificate, "-dates -dateopt iso_8601")
        assert.equal(os.date("!notBefore=%Y-%m-%d %H:%M:%SZ\n", now) .. os.date("!notAfter=%Y-%m-%d %H:%M:%SZ\n", now + days * DAY), dates)
      end)
    end

    for _, days in ipairs { 0, 5476, 4294967295 } do
      it(("refuses %.0f days"):format(days), function()
        local issued, where = issue(certs.request().pem, days)
        assert.is_nil(issued)
        assert.equal("days", where)
      end)
    end

    it("takes subject and key of the request and none of its extensions", function()
      local request = certs.request { subject = "/CN=x", extensions = {
        "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "extendedKeyUsage=serverAuth,codeSigning",
        "subjectAltName=DNS:api.example.com,email:ceo@example.com", "1.2.3.4=ASN1:UTF8String:hello",
      } }
      local text = told(assert(issue(request.pem)).certificate, "-text")
      for _, word in ipairs { "CA:TRUE", "Certificate Sign", "Server Authentication", "Code Signing", "example.com", "1.2.3.4", "hello" } do
        assert.is_nil(text:find(word, 1, true), word)
      end
    end)

    for _, kind in ipairs { "P-256", "P-384", "RSA 2048" } do
      it("signs a key " .. kind, function() assert.truthy(issue(certs.request { key = kind }.pem)) end)
    end

    it("takes a subject that is empty, and one with letters of all languages", function()
      local issued = assert(issue(certs.request { subject = "/" }.pem))
      assert.equal("", issued.common_name)
      assert.equal("Zürich 東京", assert(issue(certs.request { subject = "/L=Zürich 東京/CN=x" }.pem)).location)
    end)

    it("takes the last of several parts of one kind", function()
      assert.equal("two", assert(issue(certs.request { subject = "/CN=one/CN=two" }.pem)).common_name)
    end)

    it("takes the older name of the block, CRLF, and text around it", function()
      local pem = "hello\r\n" .. certs.request().pem:gsub("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):gsub("\n", "\r\n") .. "bye\r\n"
      assert.truthy(issue(pem))
    end)

    local good = certs.request { subject = "/CN=good" }
    -- One character of the signature at the end changed.
    local function forged()
      return (good.pem:gsub("(.)(...)(=*\n%-%-%-%-%-END)", function(c, rest, tail) return (c == "A" and "B" or "A") .. rest .. tail end))
    end
    for title, csr in pairs {
      ["nothing"] = function() return "" end,
      ["no PEM"] = function() return "hello" end,
      ["a NUL in front"] = function() return "\0" .. good.pem:gsub("BEGIN", "BEGIM") end,
      ["a certificate"] = function() return ca.certificates end,
      ["a private key"] = function() return good.key end,
      ["two requests"] = function() return good.pem .. certs.request().pem end,
      ["a request and its key"] = function() return good.pem .. good.key end,
      ["half a block"] = function() return good.pem:sub(1, 200) end,
      ["a block without its end"] = function() return (good.pem:gsub("%-%-%-%-%-END.*$", "")) end,
      ["bytes that are no request"] = function() return "-----BEGIN CERTIFICATE REQUEST-----\nQUJD\n-----END CERTIFICATE REQUEST-----\n" end,
      ["a changed signature"] = forged,
      ["a subject that somebody changed"] = function()
        local der = certs.write("", ".der")
        certs.openssl(("req -in %s -outform DER -out %s"):format(good.path, der))
        local file = assert(io.open(der, "rb"))
        local bytes = file:read("*a"):gsub("good", "evil")
        file:close()
        return certs.openssl(("enc -base64 -in %s"):format(certs.write(bytes, ".der")))
          :gsub("^", "-----BEGIN CERTIFICATE REQUEST-----\n") .. "-----END CERTIFICATE REQUEST-----\n"
      end,
      ["an RSA key of 1024 bits"] = function() return certs.request { key = "RSA 1024" }.pem end,
      ["an Ed25519 key"] = function() return certs.request { key = "Ed25519" }.pem end,
      ["a curve of 192 bits"] = function() return certs.request { key = "P-192" }.pem end,
      ["spelt-out curve parameters"] = function() return certs.request { key = "P-256 explicit" }.pem end,
      ["a control character in the subject"] = function() return certs.request { subject = "/CN=a\tb" }.pem end,
      ["a line feed in the subject"] = function() return certs.request { subject = "/O=a\nb/CN=x" }.pem end,
      ["the CA's own subject"] = function()
        return certs.request { subject = "/CN=Managed CA for account 0123456789abcdef0123456789abcdef" }.pem
      end,
      ["a text beyond 32 KiB"] = function() return ("x"):rep(33 * 1024) .. good.pem end,
    } do
      it("refuses " .. title, function()
        local issued, where, text = issue(csr())
        assert.is_nil(issued)
        assert.equal("csr", where)
        assert.truthy(#text > 0)
      end)
    end

    it("does not sign beyond its own end", function()
      local late = now + (10957 - 29) * DAY
      local issued, where = issue(good.pem, 30, late)
      assert.is_nil(issued)
      assert.equal("ca", where)
      assert.truthy(issue(good.pem, 28, late))
    end)

    for title, pair in pairs {
      ["another's key"] = function() return ca.certificates, certs.ca("Other").key end,
      ["a leaf for a CA"] = function()
        local leaf = certs.leaf(nil, { cn = "leaf" })
        return leaf.pem, leaf.key
      end,
      ["no certificate"] = function() return "", ca.key end,
      ["no key"] = function() return ca.certificates, "" end,
    } do
      it("refuses to sign with " .. title, function()
        local certificates, key = pair()
        local issued, where, text = managed.issue(certificates, key, good.pem, 30, now)
        assert.is_nil(issued)
        assert.equal("ca", where)
        assert.is_nil(text:find("PRIVATE", 1, true))
      end)
    end
  end)
end)
