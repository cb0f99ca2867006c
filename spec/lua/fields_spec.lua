-- The table of fields, and that each accessor reads the member it names.

local fields = require "moongate.fields"
local rules = require "moongate.rules"

local function names()
  local out = {}
  for _, field in ipairs(fields.list) do out[#out + 1] = field.name end
  return out
end

describe("moongate.fields", function()
  describe("list", function()
    it("names every field once", function()
      local seen = {}
      for _, name in ipairs(names()) do
        assert.is_nil(seen[name], name)
        seen[name] = true
      end
    end)

    for _, field in ipairs(fields.list) do
      it(("has a type and one line of help for %s"):format(field.name), function()
        assert.truthy(require("moongate.rules.types").parse(field.type))
        assert.truthy(#field.help > 10 and not field.help:find("\n"))
      end)
    end
  end)

  describe("schema()", function()
    it("knows names and types without a request", function()
      local tree = rules.parse(fields.schema(), 'http.host eq "a" and ssl and ip.src in {192.0.2.0/24}')
      assert.truthy(tree)
    end)

    it("refuses a field that is not there", function()
      local tree, diagnostic = rules.parse(fields.schema(), 'http.hots eq "a"')
      assert.is_nil(tree)
      assert.equal(1, diagnostic.column)
    end)

    it("is the same each time", function()
      assert.equal(fields.schema(), fields.schema())
    end)
  end)

  describe("bind()", function()
    local bridge = require "moongate.ffi"
    local ffi = bridge.ffi
    local facts = ffi.new("struct moon_facts")
    local schema = fields.bind(facts)
    local kept = {}

    local function set(view, text)
      kept[#kept + 1] = text
      view.data, view.len = text, #text
    end

    local function read(name) return schema.fields[name].access() end

    for _, case in ipairs {
      { "http.host", "http_host" },
      { "http.request.method", "method" },
      { "http.request.uri", "uri" },
      { "http.request.uri.path", "path" },
      { "http.request.uri.query", "query" },
      { "http.user_agent", "user_agent" },
    } do
      it(("reads %s from facts.%s"):format(case[1], case[2]), function()
        set(facts[case[2]], "the value of " .. case[1])
        assert.equal("the value of " .. case[1], read(case[1]))
        set(facts[case[2]], "")
        assert.equal("", read(case[1]))
      end)
    end

    describe("of a certificate", function()
      local tls, certs, peer
      local TEXTS = { "issuer_dn", "subject_dn", "issuer_dn_legacy", "subject_dn_legacy", "serial", "issuer_serial", "fingerprint_sha256",
        "fingerprint_sha1", "not_before", "not_after", "ski", "issuer_ski", "rfc9440", "chain_rfc9440" }
      local LISTS = { "san_dns", "san_uri", "san_email", "san_ip", "eku" }

      setup(function()
        tls, certs = require "spec.support.cdef_tls", require "spec.support.certs"
        local ca = certs.ca("Fields")
        local leaf = certs.leaf(ca, { subject = "/C=NL/CN=pump", eku = "clientAuth,1.2.3",
          san = "DNS:a.test,DNS:b.test,URI:urn:x,email:p@a.test,IP:192.0.2.1" })
        peer = ffi.gc(tls.C.moon_peer_new(nil), function(it) tls.C.moon_peer_free(ffi.new("struct moon_peer *[1]", it)) end)
        local list = { tls.x509(leaf.pem), tls.x509(ca.pem) }
        tls.C.moon_peer_present(peer, list[1], tls.stack(list), tls.trust(ca.pem), os.time())
      end)

      before_each(function() facts.certificate.peer = peer end)
      after_each(function() facts.certificate.peer = nil end)

      local function field_of(name)
        return name:match("^san_") and "mg.cert." .. name:gsub("_", ".") or name == "eku" and "mg.cert.eku" or "cf.tls_client_auth.cert_" .. name
      end

      for _, name in ipairs(TEXTS) do
        it(("reads %s, and nothing where there is none"):format(field_of(name)), function()
          local expected = tls.certificate_text(peer, name)
          assert.is_true(#expected > 0)
          assert.equal(expected, read(field_of(name)))
          facts.certificate.peer = nil
          assert.equal("", read(field_of(name)))
        end)
      end

      for _, name in ipairs(LISTS) do
        it(("reads %s, and nothing where there is none"):format(field_of(name)), function()
          local expected = tls.certificate_list(peer, name)
          assert.is_true(#expected > 0)
          local list = read(field_of(name))
          assert.equal(#expected, list.n)
          for i, value in ipairs(expected) do assert.equal(value, list[i]) end
          facts.certificate.peer = nil
          assert.equal(0, read(field_of(name)).n)
        end)
      end

      it("reads the names as RFC 2253 writes them", function()
        assert.equal("CN=pump,C=NL", read "cf.tls_client_auth.cert_subject_dn_rfc2253")
        assert.equal("CN=Fields", read "cf.tls_client_auth.cert_issuer_dn_rfc2253")
      end)

      it("reads the hash of its public key", function()
        assert.equal((tls.certificate_text(peer, "spki_sha256")), read "mg.cert.spki_sha256")
      end)

      it("reads that its texts are too large only when they are", function()
        for _, name in ipairs { "cert_rfc9440_too_large", "cert_chain_rfc9440_too_large" } do
          assert.is_false(read("cf.tls_client_auth." .. name))
        end
        local big = certs.leaf(nil, { extensions = { "1.2.3.4=ASN1:FORMAT:HEX,OCT:" .. ("00"):rep(13000) } })
        local list = { tls.x509(big.pem), tls.x509(big.pem) }
        tls.C.moon_peer_present(peer, list[1], tls.stack(list), nil, os.time())
        for _, name in ipairs { "cert_rfc9440", "cert_chain_rfc9440" } do
          assert.is_true(read("cf.tls_client_auth." .. name .. "_too_large"))
          assert.equal("", read("cf.tls_client_auth." .. name))
        end
      end)
    end)

    describe("of a TLS session", function()
      local tls, server
      local TEXTS = { ["cf.tls_version"] = "VERSION", ["cf.tls_cipher"] = "CIPHER", ["cf.tls_client_random"] = "CLIENT_RANDOM",
        ["cf.tls_ciphers_sha1"] = "CIPHERS_SHA1", ["cf.tls_client_extensions_sha1"] = "EXTENSIONS_SHA1",
        ["cf.tls_client_extensions_sha1_le"] = "EXTENSIONS_SHA1_LE", ["cf.bot_management.ja3_hash"] = "JA3",
        ["cf.bot_management.ja4"] = "JA4" }

      setup(function()
        tls = require "spec.support.cdef_tls"
        local certs, loop = require "spec.support.certs", require "spec.support.tls_loop"
        local identity = certs.leaf(certs.ca("Server"), { eku = "serverAuth", san = "DNS:a.test" })
        server = loop.server { { name = "a.test", policy = tls.policy(identity) } }
        loop.join(server, loop.openssl { name = "a.test" })
        assert(server:established())
      end)

      before_each(function() facts.tls = server.raw end)
      after_each(function() facts.tls = nil end)

      for name, which in pairs(TEXTS) do
        it(("reads %s, and nothing without TLS"):format(name), function()
          local expected = tls.text(tls.C.moon_tls_session_text(server.raw, tls.C["MOON_TLS_" .. which]))
          assert.is_true(#expected > 0)
          assert.equal(expected, read(name))
          facts.tls = nil
          assert.equal("", read(name))
        end)
      end

      it("reads the length of the ClientHello", function()
        assert.is_true(read "cf.tls_client_hello_length" > 100)
        facts.tls = nil
        assert.equal(0, read "cf.tls_client_hello_length")
      end)
    end)

    for _, name in ipairs { "presented", "verified", "revoked" } do
      it(("reads cf.tls_client_auth.cert_%s"):format(name), function()
        for _, value in ipairs { true, false } do
          facts.certificate[name] = value
          assert.equal(value, read("cf.tls_client_auth.cert_" .. name))
        end
      end)
    end

    it("reads ssl", function()
      facts.ssl = true
      assert.is_true(read "ssl")
      facts.ssl = false
      assert.is_false(read "ssl")
    end)

    for _, bytes in ipairs { "\192\0\2\1", ("\32\1"):rep(8) } do
      it(("reads ip.src of %d bytes"):format(#bytes), function()
        ffi.copy(facts.ip, bytes, #bytes)
        facts.ip_len = #bytes
        assert.equal(bytes, read "ip.src")
      end)
    end

    it("reads the ray without the place that the header adds", function()
      set(facts.ray, "0123456789abcdef-MGT")
      assert.equal("0123456789abcdef", read "cf.ray_id")
      set(facts.ray, "short")
      assert.equal("short", read "cf.ray_id")
    end)

    for minor, text in pairs { [0] = "HTTP/1.0", [1] = "HTTP/1.1" } do
      it(("reads http.request.version %s"):format(text), function()
        facts.minor_version = minor
        assert.equal(text, read "http.request.version")
      end)
    end

    it("keeps bytes as they are", function()
      set(facts.path, "/a\0b\255")
      assert.equal("/a\0b\255", read "http.request.uri.path")
    end)

    it("has a value for every field of the list, but for those that are known by name only", function()
      for _, field in ipairs(fields.list) do
        local declared = schema.fields[field.name]
        if field.constant ~= nil then
          assert.equal(field.constant, declared.constant)
        else
          local ok, value = pcall(declared.access)
          assert.truthy(ok, field.name)
          if field.name ~= "cf.edge.server_ip" then assert.equal(field.absent or false, value == nil, field.name) end -- no socket here
        end
      end
    end)
  end)
end)
