-- Uploaded PEM texts: what is read, how it is described, and what is refused with which words.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C

-- The list of certificates, or nil with the two texts of the diagnostic.
local function read(pem, room)
  room = room or 32
  local list, count, diag = ffi.new("struct moon_certificate[?]", room), ffi.new("size_t[1]"), tls.diag()
  local code = C.moon_certificates_read(list, room, count, tls.str(pem), diag)
  if code ~= 0 then
    assert(tls.errors[code] == "EREFUSED" and count[0] == 0)
    return nil, tls.told(diag)
  end
  local out = {}
  for i = 0, math.min(tonumber(count[0]), room) - 1 do
    local c = list[i]
    out[i + 1] = { is_ca = c.is_ca, self_issued = c.self_issued, signature_allowed = c.signature_allowed,
      key_allowed = c.key_allowed, not_before = tonumber(c.not_before), not_after = tonumber(c.not_after) }
    for _, name in ipairs { "signature", "key", "serial", "sha256", "md5", "subject", "issuer" } do
      out[i + 1][name] = ffi.string(c[name])
    end
  end
  out.count = tonumber(count[0])
  return out
end

local function match(pem, key)
  local diag = tls.diag()
  local code = C.moon_certificates_match_key(tls.str(pem), tls.str(key), diag)
  if code == 0 then return true end
  return false, tls.told(diag)
end

describe("tls.certificate", function()
  local root, sub, leaf

  setup(function()
    root = certs.ca("Root", { subject = "/C=NO/O=Heron Ltd/CN=Device Root" })
    sub = certs.ca("Issuing", { issuer = root })
    leaf = certs.leaf(sub, { cn = "leaf" })
  end)

  describe("read()", function()
    it("describes a CA as the openssl command does", function()
      local told = assert(read(root.pem))[1]
      local function openssl(option) return (certs.openssl(("x509 -noout %s -in %s"):format(option, root.path)):gsub("%s+$", "")) end
      assert.is_true(told.is_ca)
      assert.is_true(told.self_issued)
      assert.equal("ECDSAWithSHA256", told.signature)
      assert.is_true(told.signature_allowed)
      assert.equal("EC prime256v1", told.key)
      assert.is_true(told.key_allowed)
      assert.equal("CN=Device Root,O=Heron Ltd,C=NO", told.issuer)
      assert.equal(told.issuer, told.subject)
      assert.equal(openssl("-fingerprint -sha256"):match("=(.*)"):gsub(":", ""):lower(), told.sha256)
      assert.equal((openssl("-fingerprint -md5"):match("=(.*)"):gsub(":", ""):lower()), told.md5)
      assert.equal(30 * 86400, told.not_after - told.not_before)
      assert.is_true(math.abs(told.not_before - os.time()) < 60)
    end)

    it("reads a bundle in its order", function()
      local told = assert(read(leaf.pem .. sub.pem .. root.pem))
      assert.equal(3, told.count)
      assert.same({ false, true, true }, { told[1].is_ca, told[2].is_ca, told[3].is_ca })
      assert.equal("CN=Issuing", told[1].issuer)
      assert.is_false(told[2].self_issued)
    end)

    it("counts those for which there is no room", function()
      assert.equal(3, assert(read(leaf.pem .. sub.pem .. root.pem, 1)).count)
    end)

    for title, make in pairs {
      ["CRLF line ends"] = function(pem) return (pem:gsub("\n", "\r\n")) end,
      ["no line end at the end"] = function(pem) return (pem:gsub("%s+$", "")) end,
      ["text before and after"] = function(pem) return "Subject: CN=x\n\n" .. pem .. "\nthe end\n" end,
      ["blanks at line ends"] = function(pem) return (pem:gsub("\n", " \t\n")) end,
      ["base64 on one line"] = function(pem)
        local body = pem:match("%-%-%-%-%-\n(.-)\n%-%-%-%-%-END"):gsub("\n", "")
        return "-----BEGIN CERTIFICATE-----\n" .. body .. "\n-----END CERTIFICATE-----\n"
      end,
    } do
      it("takes " .. title, function() -- X-13
        assert.equal(1, assert(read(make(root.pem))).count)
      end)
    end

    local function der_of(pem)
      local path = certs.write("", ".der")
      certs.openssl(("x509 -in %s -outform DER -out %s"):format(certs.write(pem), path))
      local file = assert(io.open(path, "rb"))
      local der = file:read("*a")
      file:close()
      return der
    end
    local function pem_of(der, label)
      label = label or "CERTIFICATE"
      local base64 = certs.openssl("base64 -in " .. certs.write(der))
      return ("-----BEGIN %s-----\n%s-----END %s-----\n"):format(label, base64, label)
    end

    for _, case in ipairs {
      { "an empty text", function() return "" end, "no CERTIFICATE block" },
      { "a text without blocks", function() return "hello\n" end, "no CERTIFICATE block" },
      { "base64 without header", function() return root.pem:match("\n(.-)\n%-%-%-%-%-END") end, "no CERTIFICATE block" },
      { "bare DER", function() return der_of(root.pem) end, "no CERTIFICATE block" },
      { "a private key beside the certificate", function() return root.pem .. root.key end, "block 2 is a PRIVATE KEY" },
      { "a private key before it", function() return root.key .. root.pem end, "block 1 is a PRIVATE KEY" },
      { "a request", function() return (root.pem:gsub("CERTIFICATE", "CERTIFICATE REQUEST")) end,
        "block 1 is a CERTIFICATE REQUEST" },
      { "PKCS#7", function() return certs.openssl("crl2pkcs7 -nocrl -certfile " .. root.path) end, "block 1 is a PKCS7" },
      { "a TRUSTED CERTIFICATE", function() return pem_of(der_of(root.pem), "TRUSTED CERTIFICATE") end,
        "block 1 is a TRUSTED CERTIFICATE" },
      { "a label with an escape sequence", function() return pem_of("x", "A\27[31m") end, "block 1 is a A%?%[31m" },
      { "bytes after the certificate in the block", function() return root.pem .. pem_of(der_of(root.pem) .. "\0") end,
        "block 2: there are bytes after" },
      { "a truncated certificate", function() return pem_of(der_of(root.pem):sub(1, -20)) end, "block 1: the bytes are not" },
      { "something else in DER", function() return pem_of("\48\3\2\1\5") end, "block 1: the bytes are not" },
      { "a block without its end", function() return root.pem .. root.pem:gsub("%-+END.*", "") end,
        "block 2: the END line is missing" },
      { "an end without its beginning", function() return root.pem .. "-----END CERTIFICATE-----\n" end, "without its BEGIN" },
      { "an end of another kind", function() return (root.pem:gsub("END CERTIFICATE", "END X509 CRL")) end, "do not match" },
      { "a block inside a block", function() return (root.pem:gsub("\n", "\n-----BEGIN CERTIFICATE-----\n", 1)) end,
        "block 1: .*not base64" },
      { "a header inside the block", function() return (root.pem:gsub("\n", "\nProc-Type: 4,ENCRYPTED\n\n", 1)) end,
        "block 1: .*not base64" },
      { "padding in the middle", function() return (root.pem:gsub("\nMII", "\nMI==", 1)) end, "block 1: .*base64" },
      { "an empty block", function() return "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" end, "incomplete" },
      { "a NUL in the base64", function() return (root.pem:gsub("\nMII", "\nMI\0I", 1)) end, "block 1: .*not base64" },
      { "33 certificates", function() return root.pem:rep(33) end, "more than 32" },
      { "more than 64 KiB", function() return ("x"):rep(64 * 1024) .. root.pem end, "longer than 65536 bytes" },
      { "a serial number of 21 octets", function() return certs.leaf(root, { serial = "0x" .. ("7F"):rep(21) }).pem end,
        "block 1: the serial number" },
      { "a name beyond the room for it", function()
        local subject = "/CN=x"
        for i = 1, 40 do subject = subject .. "/OU=" .. i .. ("x"):rep(60) end
        return certs.leaf(root, { subject = subject }).pem
      end, "the subject name is too long" },
      { "a malformed extension", function()
        return certs.leaf(root, { extensions = { "basicConstraints=DER:30:03:01:01" } }).pem
      end, "malformed extension" },
    } do
      it("refuses " .. case[1], function()
        local list, where, text = read(case[2]())
        assert.is_nil(list)
        assert.equal("certificates", where)
        assert.matches(case[3], text)
      end)
    end

    it("never repeats what was between the lines", function()
      local _, _, text = read("-----BEGIN CERTIFICATE-----\nsecret secret\n-----END CERTIFICATE-----\n")
      assert.is_nil(text:find("secret", 1, true))
    end)
  end)

  describe("CA-ness", function()
    for _, case in ipairs {
      { "CA:TRUE", {}, true },
      { "CA:TRUE without key usage", { "keyUsage=" }, true },
      { "CA:TRUE with a key usage that forbids signing", { "keyUsage=critical,digitalSignature" }, false },
      { "CA:FALSE", { "basicConstraints=CA:FALSE" }, false },
      { "key usage alone", { "basicConstraints=" }, false },
    } do
      it(("of %s is %s"):format(case[1], tostring(case[3])), function()
        assert.equal(case[3], assert(read(certs.ca("x", { extensions = case[2] }).pem))[1].is_ca)
      end)
    end

    it("of a version 1 root is false", function()
      local key = certs.ca("x")
      local request, out = certs.write(""), certs.write("")
      certs.openssl(("req -new -key %s -subj /CN=v1 -out %s"):format(key.key_path, request))
      certs.openssl(("x509 -req -in %s -signkey %s -out %s"):format(request, key.key_path, out))
      local file = assert(io.open(out))
      local told = assert(read(file:read("*a")))[1]
      file:close()
      assert.is_false(told.is_ca)
      assert.is_true(told.self_issued)
    end)
  end)

  describe("algorithms and keys", function()
    for _, case in ipairs {
      { { digest = "sha1" }, "ECDSAWithSHA1", true, "EC prime256v1", true },
      { { digest = "sha384" }, "ECDSAWithSHA384", true, "EC prime256v1", true },
      { { digest = "sha512", key = "P-384" }, "ECDSAWithSHA512", true, "EC secp384r1", true },
      { { key = "RSA 2048" }, "SHA256WithRSA", true, "RSA 2048", true },
      { { key = "RSA 2048", digest = "sha1" }, "SHA1WithRSA", true, "RSA 2048", true },
      { { key = "RSA 2048", digest = "md5" }, "MD5WithRSA", false, "RSA 2048", true },
      { { key = "RSA 1024" }, "SHA256WithRSA", true, "RSA 1024", false },
      { { key = "P-192" }, "ECDSAWithSHA256", true, "EC prime192v1", false },
      { { key = "P-256 explicit" }, "ECDSAWithSHA256", true, "EC explicit parameters", false },
      { { key = "Ed25519", digest = "sha256" }, "PureEd25519", false, "ED25519", false },
    } do
      it(("are told: %s by %s"):format(case[4], case[2]), function()
        local told = assert(read(certs.ca("x", case[1]).pem))[1]
        assert.same({ case[2], case[3], case[4], case[5] },
          { told.signature, told.signature_allowed, told.key, told.key_allowed })
      end)
    end

    it("hold 8192 bits of RSA for the most", function()
      local function key_of(bits)
        return assert(read(certs.leaf(root, { public_key_path = certs.rsa_public_key(bits) }).pem))[1]
      end
      assert.is_true(key_of(8192).key_allowed)
      assert.is_false(key_of(8200).key_allowed)
      assert.equal("RSA 8200", key_of(8200).key)
    end)
  end)

  describe("serial", function()
    for serial, decimal in pairs {
      ["0x1"] = "1", ["0x0100"] = "256", ["0x010A6C1E2D3F5871"] = "74991220668979313",
      ["0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"] = "730750818665451459101842416358141509827966271487",
    } do
      it(("%s is %s"):format(serial, decimal), function()
        assert.equal(decimal, assert(read(certs.leaf(root, { serial = serial }).pem))[1].serial)
      end)
    end
  end)

  describe("names", function()
    for _, case in ipairs {
      { "last RDN first", "/C=US/ST=CA/L=SF/O=Acme/OU=Edge/CN=x", "CN=x,OU=Edge,O=Acme,L=SF,ST=CA,C=US" },
      { "escaped separators", "/O=Acme, Inc./CN=a\\+b;c<d>", "CN=a\\+b\\;c\\<d\\>,O=Acme\\, Inc." },
      { "escaped edges", "/CN= a b ", "CN=\\ a b\\ " },
      { "an escaped hash", "/CN=#1", "CN=\\#1" },
      { "letters beyond ASCII as they are", "/CN=Zoë", "CN=Zoë" },
      { "escaped control bytes", "/CN=a\nb", "CN=a\\0Ab" },
      { "other attributes by number", "/CN=x/emailAddress=a@b.c",
        "1.2.840.113549.1.9.1=#16056140622e63,CN=x" },
      { "Go's attribute names", "/serialNumber=7/street=Road/postalCode=99", "POSTALCODE=99,STREET=Road,SERIALNUMBER=7" },
    } do
      it("have " .. case[1], function()
        assert.equal(case[3], assert(read(certs.ca("x", { subject = case[2] }).pem))[1].issuer)
      end)
    end
  end)

  describe("hosts()", function()
    local function hosts(pem)
      local buf, diag = ffi.gc(ffi.new("struct moon_buf"), C.moon_buf_free), tls.diag()
      C.moon_buf_init(buf, 65536)
      if C.moon_certificates_hosts(buf, tls.str(pem), diag) ~= 0 then return nil, tls.told(diag) end
      return buf.len > 0 and ffi.string(buf.data + buf.start, buf.len) or ""
    end

    for _, case in ipairs {
      { "names in their order", "DNS:b.test,DNS:a.test", "b.test\na.test\n" },
      { "wildcards", "DNS:*.a.test,DNS:a.test", "*.a.test\na.test\n" },
      { "capitals and trailing dots in one form, once", "DNS:A.Test,DNS:a.test,DNS:a.test.,DNS:*.B.test", "a.test\n*.b.test\n" },
      { "names and passes over what is none", "DNS:a b.test,DNS:*,DNS:*.,DNS:x.*.test,DNS:..,DNS:ok.test", "ok.test\n" },
      { "names and passes over other kinds", "IP:127.0.0.1,email:x@a.test,URI:http://a.test,DNS:ok.test", "ok.test\n" },
      { "nothing without a DNS name", "IP:127.0.0.1", "" },
    } do
      it("gives " .. case[1], function()
        assert.equal(case[3], hosts(certs.leaf(nil, { cn = "cn.test", san = case[2] }).pem))
      end)
    end

    it("gives nothing for a certificate without the extension: a common name is no hostname", function()
      assert.equal("", hosts(certs.leaf(nil, { cn = "cn.test" }).pem))
    end)

    it("reads the first certificate only", function()
      assert.equal("a.test\n", hosts(certs.leaf(nil, { san = "DNS:a.test" }).pem .. certs.leaf(nil, { san = "DNS:b.test" }).pem))
    end)

    it("passes over a name with a NUL in it", function()
      local leaf_with_nul = certs.leaf(nil, { extensions = {
        "subjectAltName=DER:30:14:82:0A:61:2E:74:65:73:74:00:2E:78:79:82:06:62:2E:74:65:73:74",
      } })
      assert.equal("b.test\n", hosts(leaf_with_nul.pem))
    end)

    it("refuses what is no certificate", function()
      local text, where = hosts "nonsense"
      assert.is_nil(text)
      assert.equal("certificates", where)
    end)
  end)

  describe("match_key()", function()
    it("finds the key of the first certificate", function()
      assert.is_true((match(leaf.pem .. sub.pem, leaf.key)))
    end)

    it("takes PKCS#8, PKCS#1 and SEC1, and EC PARAMETERS before the key", function()
      local rsa = certs.leaf(root, { key = "RSA 2048" })
      local pkcs1 = certs.openssl("rsa -traditional -in " .. rsa.key_path):gsub("^writing RSA key\n", "")
      local sec1 = certs.openssl("ec -in " .. leaf.key_path):match("%-%-%-%-%-BEGIN.*")
      assert.matches("BEGIN RSA PRIVATE KEY", pkcs1)
      assert.matches("BEGIN EC PRIVATE KEY", sec1)
      assert.is_true((match(rsa.pem, rsa.key)))
      assert.is_true((match(rsa.pem, pkcs1)))
      assert.is_true((match(leaf.pem, sec1)))
      assert.is_true((match(leaf.pem, certs.openssl("ecparam -name prime256v1") .. sec1)))
    end)

    it("tells a key of another certificate", function()
      local ok, where = match(leaf.pem, root.key)
      assert.is_false(ok)
      assert.equal("match", where)
    end)

    for _, case in ipairs {
      { "an empty text", function() return "" end, "no readable PEM private key" },
      { "a certificate", function() return leaf.pem end, "no readable PEM private key" },
      { "half a key", function() return leaf.key:sub(1, 90) .. "\n-----END PRIVATE KEY-----\n" end, "no readable" },
      { "an encrypted key", function()
        return certs.openssl("pkcs8 -topk8 -passout pass:x -in " .. leaf.key_path)
      end, "encrypted" },
      { "an encrypted key of the old form", function()
        return certs.openssl("ec -aes128 -passout pass:x -in " .. leaf.key_path):match("%-%-%-%-%-BEGIN.*")
      end, "encrypted" },
    } do
      it("refuses " .. case[1], function()
        local ok, where, text = match(leaf.pem, case[2]())
        assert.is_false(ok)
        assert.equal("private_key", where)
        assert.matches(case[3], text)
      end)
    end
  end)
end)
