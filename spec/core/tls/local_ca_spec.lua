-- The gateway's own CA: made once, read again, refused when something about its files is not right; and what it issues.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C
local count = 0

local function paths()
  count = count + 1
  local directory = ("%s/local-ca-%d"):format(certs.directory(), count)
  os.execute("mkdir -m 700 " .. directory)
  return directory .. "/local-ca.pem", directory .. "/local-ca.key", directory
end

local function open(certificate_path, key_path)
  local out, diag = ffi.new("struct moon_local_ca *[1]"), tls.diag()
  local code = C.moon_local_ca_open(out, certificate_path, key_path, diag)
  if code ~= 0 then
    assert(out[0] == nil)
    return nil, tls.errors[code], tls.told(diag)
  end
  return ffi.gc(out[0], function(pointer) C.moon_local_ca_close(ffi.new("struct moon_local_ca *[1]", pointer)) end)
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text, mode)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  os.execute(("chmod %s %s"):format(mode or "600", path))
end

local function mode_of(path)
  local pipe = io.popen("stat -c %a " .. path)
  local mode = pipe:read("*l")
  pipe:close()
  return mode
end

-- { chain, key } or nil with the diagnostic.
local function issue_with(ca, rsa, ...)
  local names, list = { ... }, ffi.new("struct moon_str[128]")
  for i, name in ipairs(names) do list[i - 1] = tls.str(name) end
  local certificates, key, diag = ffi.new("struct moon_buf[1]"), ffi.new("struct moon_buf[1]"), tls.diag()
  C.moon_buf_init(certificates, 65536)
  C.moon_buf_init(key, 65536)
  local code = C.moon_local_ca_issue(ca, list, #names, rsa, certificates, key, diag)
  local function text(buf) return buf[0].len > 0 and ffi.string(buf[0].data + buf[0].start, buf[0].len) or "" end
  local chain, private_key = text(certificates), text(key)
  C.moon_buf_free(certificates)
  C.moon_buf_free(key)
  if code == 0 then return { chain = chain, key = private_key } end
  return nil, tls.errors[code], tls.told(diag)
end

local function issue(ca, ...) return issue_with(ca, false, ...) end

local function describe_certificate(pem, options)
  return certs.openssl(("x509 -noout %s -in %s"):format(options or "-text", certs.write(pem)))
end

describe("tls.local_ca", function()
  describe("make()", function()
    it("makes a CA that has no files, shows its certificate and issues like any other", function()
      local out, pem = ffi.new("struct moon_local_ca *[1]"), ffi.new("struct moon_buf[1]")
      assert.equal(0, C.moon_local_ca_make(out, tls.diag()))
      local ca = ffi.gc(out[0], function(pointer) C.moon_local_ca_close(ffi.new("struct moon_local_ca *[1]", pointer)) end)
      C.moon_buf_init(pem, 65536)
      assert.equal(0, C.moon_local_ca_certificate(ca, pem))
      local root = ffi.string(pem[0].data, pem[0].len)
      C.moon_buf_free(pem)
      assert.matches("CA:TRUE, pathlen:0", describe_certificate(root))
      local made = assert(issue(ca, "a.test"))
      certs.openssl(("verify -verify_hostname a.test -CAfile %s %s"):format(certs.write(root), certs.write(made.chain)))
    end)
  end)

  describe("open()", function()
    it("makes a CA on the first start, with a key for nobody else", function()
      local certificate_path, key_path, directory = paths()
      assert.is_truthy(open(certificate_path, key_path))
      assert.equal("600", mode_of(key_path))
      local told = describe_certificate(read(certificate_path))
      assert.matches("CA:TRUE, pathlen:0", told)
      assert.matches("Certificate Sign, CRL Sign", told)
      assert.matches("Subject: CN = Moongate local CA %x+", told)
      local pipe = io.popen("ls -A " .. directory)
      local files = pipe:read("*a")
      pipe:close()
      assert.equal("local-ca.key\nlocal-ca.pem\n", files)
    end)

    it("reads the same CA later", function()
      local certificate_path, key_path = paths()
      assert(open(certificate_path, key_path))
      local certificate, key = read(certificate_path), read(key_path)
      assert.is_truthy(open(certificate_path, key_path))
      assert.equal(certificate, read(certificate_path))
      assert.equal(key, read(key_path))
    end)

    it("gives every CA a name of its own", function()
      local first, second = { paths() }, { paths() }
      assert(open(first[1], first[2]))
      assert(open(second[1], second[2]))
      assert.not_equal(describe_certificate(read(first[1]), "-subject"), describe_certificate(read(second[1]), "-subject"))
    end)

    it("makes the files although a crash left temporary ones", function()
      local certificate_path, key_path = paths()
      write(certificate_path .. ".new", "half")
      write(key_path .. ".new", "half")
      assert.is_truthy(open(certificate_path, key_path))
    end)

    it("refuses a directory that is not there", function()
      local directory = certs.directory() .. "/nowhere"
      local ca, code, where = open(directory .. "/a.pem", directory .. "/a.key")
      assert.is_nil(ca)
      assert.equal("ESYSTEM", code)
      assert.equal(directory .. "/a.key", where)
    end)

    for _, case in ipairs {
      { "a key without a certificate", function(certificate) os.remove(certificate) end, "certificate", "is missing" },
      { "a certificate without a key", function(_, key) os.remove(key) end, "key", "is missing" },
      { "a key that the group can read", function(_, key) os.execute("chmod 640 " .. key) end, "key", "mode 0640" },
      { "a key that others can read", function(_, key) os.execute("chmod 604 " .. key) end, "key", "mode 0604" },
      { "a key of another CA", function(_, key) write(key, certs.ca("other").key) end, "certificate", "does not belong" },
      { "a spoilt certificate", function(certificate) write(certificate, "spoilt") end, "certificate", "no CERTIFICATE block" },
      { "a spoilt key", function(_, key) write(key, "spoilt") end, "key", "no readable PEM private key" },
      { "an empty key file", function(_, key) write(key, "") end, "key", "no readable PEM private key" },
      { "a certificate that is no CA", function(certificate, key)
        local leaf = certs.leaf(nil)
        write(certificate, leaf.pem)
        write(key, leaf.key)
      end, "certificate", "not a CA" },
      { "an expired CA", function(certificate, key)
        local old = certs.ca("old", { not_before = os.time() - 9000, not_after = os.time() - 10 })
        write(certificate, old.pem)
        write(key, old.key)
      end, "certificate", "has expired" },
      { "a directory in place of the key", function(_, key) os.execute(("rm %s; mkdir -m 700 %s"):format(key, key)) end, "key",
        "not a regular file" },
      { "a file that never ends", function(certificate) write(certificate, ("x"):rep(70000)) end, "certificate", "longer than" },
    } do
      it("refuses " .. case[1] .. ", and changes nothing", function()
        local certificate_path, key_path, directory = paths()
        assert(open(certificate_path, key_path))
        case[2](certificate_path, key_path)
        local before = io.popen(("cd %s; ls -lA; cat * 2>&1"):format(directory)):read("*a")
        local ca, code, where, text = open(certificate_path, key_path)
        assert.is_nil(ca)
        assert.equal("EREFUSED", code)
        assert.equal(case[3] == "key" and key_path or certificate_path, where)
        assert.matches(case[4], text)
        assert.equal(before, io.popen(("cd %s; ls -lA; cat * 2>&1"):format(directory)):read("*a"))
      end)
    end
  end)

  describe("issue()", function()
    local ca, root

    setup(function()
      local certificate_path, key_path = paths()
      ca = assert(open(certificate_path, key_path))
      root = certificate_path
    end)

    it("signs server certificates that the openssl command verifies", function()
      local made = assert(issue(ca, "a.test", "*.b.test", "192.0.2.1", "[2001:db8::1]"))
      local path = certs.write(made.chain)
      certs.openssl(("verify -purpose sslserver -verify_hostname a.test -CAfile %s %s"):format(root, path))
      certs.openssl(("verify -purpose sslserver -verify_hostname x.b.test -CAfile %s %s"):format(root, path))
      certs.openssl(("verify -verify_ip 192.0.2.1 -CAfile %s %s"):format(root, path))
      certs.openssl(("verify -verify_ip 2001:db8::1 -CAfile %s %s"):format(root, path))
      assert.has_error(function() certs.openssl(("verify -purpose sslclient -CAfile %s %s"):format(root, path)) end)
      assert.has_error(function() certs.openssl(("verify -verify_hostname c.test -CAfile %s %s"):format(root, path)) end)
    end)

    it("hands out the chain and the matching key", function()
      local made = assert(issue(ca, "a.test"))
      assert.equal(0, C.moon_certificates_match_key(tls.str(made.chain), tls.str(made.key), nil))
      local _, blocks = made.chain:gsub("BEGIN CERTIFICATE", "")
      assert.equal(2, blocks)
      assert.is_truthy(made.chain:find(read(root), 1, true))
      assert.is_truthy(tls.policy(made))
    end)

    it("says what server certificates say", function()
      local told = describe_certificate(assert(issue(ca, "A.Test.")).chain)
      assert.matches("DNS:a%.test\n", told)
      assert.matches("Subject: CN = a%.test\n", told)
      assert.matches("CA:FALSE", told)
      assert.matches("Extended Key Usage: \n%s+TLS Web Server Authentication\n", told)
      assert.matches("NIST CURVE: P%-256", told)
      assert.matches("Authority Key Identifier", told)
    end)

    it("gives them an RSA key where one is asked for, the same to all of them", function()
      local first, second = assert(issue_with(ca, true, "a.test")), assert(issue_with(ca, true, "b.test"))
      local told = describe_certificate(first.chain)
      assert.matches("Public%-Key: %(2048 bit%)", told)
      assert.matches("Digital Signature, Key Encipherment", told)
      certs.openssl(("verify -purpose sslserver -verify_hostname a.test -CAfile %s %s"):format(root, certs.write(first.chain)))
      assert.equal(first.key, second.key)
      assert.is_truthy(tls.policy(first))
    end)

    it("makes one certificate for the gateway itself, which is a client's", function()
      local chain, key, diag = ffi.new("struct moon_str[1]"), ffi.new("struct moon_str[1]"), tls.diag()
      local function own()
        assert(C.moon_local_ca_client(ca, chain, key, diag) == 0, tls.told(diag))
        return ffi.string(chain[0].data, chain[0].len), ffi.string(key[0].data, key[0].len)
      end
      local pem, private_key = own()
      local path = certs.write(pem)
      certs.openssl(("verify -purpose sslclient -CAfile %s %s"):format(root, path))
      assert.has_error(function() certs.openssl(("verify -purpose sslserver -CAfile %s %s"):format(root, path)) end)
      assert.equal(0, C.moon_certificates_match_key(tls.str(pem), tls.str(private_key), nil))
      assert.equal(pem, (own()))
    end)

    it("lets them live for 397 days", function()
      local path = certs.write(assert(issue(ca, "a.test")).chain)
      certs.openssl(("x509 -noout -checkend %d -in %s"):format(396 * 86400, path))
      assert.has_error(function() certs.openssl(("x509 -noout -checkend %d -in %s"):format(397 * 86400, path)) end)
    end)

    it("never lets them outlive the CA", function()
      local certificate_path, key_path = paths()
      local short = certs.ca("short", { not_after = os.time() + 1000 })
      write(certificate_path, short.pem)
      write(key_path, short.key)
      local made = assert(issue(assert(open(certificate_path, key_path)), "a.test"))
      assert.equal(describe_certificate(short.pem, "-enddate"), describe_certificate(made.chain, "-enddate"))
    end)

    it("never gives two the same serial number or key", function()
      local first, second = assert(issue(ca, "a.test")), assert(issue(ca, "a.test"))
      assert.not_equal(describe_certificate(first.chain, "-serial"), describe_certificate(second.chain, "-serial"))
      assert.not_equal(first.key, second.key)
    end)

    it("leaves the subject empty and the names critical for a name of more than 64 bytes", function()
      local long = ("a"):rep(60) .. "." .. ("b"):rep(60) .. ".test"
      local made = assert(issue(ca, long))
      local told = describe_certificate(made.chain)
      assert.matches("Subject Alternative Name: critical", told)
      assert.matches("Subject: \n", told)
      certs.openssl(("verify -verify_hostname %s -CAfile %s %s"):format(long, root, certs.write(made.chain)))
    end)

    for _, name in ipairs { "", ".", "a..test", "*", "*.", "a.*.test", "**.test", "*.*.test", "*.192.0.2.1", "a b", "a.test:443",
      "a.test\ncn", "b\195\188cher.test", "[::1", "[a.test]", "a\0b", ("a"):rep(64) .. ".test" } do
      it(("refuses the name %q"):format(name), function()
        local made, code, where, text = issue(ca, "ok.test", name)
        assert.is_nil(made)
        assert.equal("EREFUSED", code)
        assert.equal("names", where)
        assert.matches("name 2", text)
      end)
    end

    it("refuses no name and more than a hundred", function()
      local many = {}
      for i = 1, 101 do many[i] = i .. ".test" end
      assert.is_nil((issue(ca)))
      assert.is_nil((issue(ca, unpack(many))))
      many[101] = nil
      assert.is_truthy(issue(ca, unpack(many)))
    end)
  end)
end)
