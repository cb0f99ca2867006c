-- Server and client sessions joined in memory: what a handshake asks for, refuses and establishes.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local loop = require "spec.support.tls_loop"

local C = tls.C
local TLS12, TLS13 = 0x0303, 0x0304

describe("tls.session", function()
  local server_ca, acme, beta, server_certificate, pump, terms

  setup(function()
    server_ca, acme, beta = certs.ca("Server Root"), certs.ca("Acme Root"), certs.ca("Beta Root")
    server_certificate = certs.leaf(server_ca, { cn = "guarded.test", eku = "serverAuth",
      san = "DNS:guarded.test,DNS:open.test,DNS:strict.test,IP:127.0.0.1" })
    pump = certs.leaf(acme, { cn = "pump-17" })
    local policy = tls.policy(server_certificate)
    terms = {
      { name = "open.test", policy = policy },
      { name = "guarded.test", policy = policy, trust = tls.trust(acme.pem) },
      { name = "other.test", policy = policy, trust = tls.trust(beta.pem) },
      { name = "strict.test", policy = tls.policy(server_certificate, TLS13) },
      { policy = policy },
    }
  end)

  local function shake(options, change)
    local server, client = loop.server(terms), loop.openssl(options)
    local server_state, client_state = loop.join(server, client, change)
    return server, client, server_state, client_state
  end

  local function now_facts(server, trust) return tls.facts(server:peer(), trust, os.time()) end

  for version, name in pairs { [TLS12] = "TLSv1.2", [TLS13] = "TLSv1.3" } do
    describe("with " .. name, function()
      it("establishes and carries bytes both ways", function()
        local server, client = shake { name = "open.test", version = version }
        assert.is_true(server:established())
        assert.equal(name, server:version())
        assert.equal("open.test", server:name())
        client:write("ping")
        loop.join(server, client)
        assert.equal("ping", server.received)
        assert.equal("OK", server:write("pong"))
        loop.join(server, client)
        assert.equal("pong", client.received)
      end)

      it("asks for a certificate, by the names of that hostname's CAs only", function()
        local _, client = shake { name = "guarded.test", version = version }
        assert.same({ "CN=Acme Root" }, tls.names(C.SSL_get0_peer_CA_list(client.ssl)))
      end)

      it("asks for no certificate where there is no trust set", function()
        for _, wanted in ipairs { "open.test", "guarded.test" } do
          local server, client = loop.server(terms), loop.openssl { name = wanted, version = version }
          local requested = false
          local callback = ffi.cast("void (*)(int, int, int, const void *, size_t, SSL *, void *)",
            function(writing, _, content, bytes)
              if writing == 0 and content == 22 and ffi.cast("const unsigned char *", bytes)[0] == 13 then requested = true end
            end)
          C.SSL_set_msg_callback(client.ssl, callback)
          loop.join(server, client)
          callback:free()
          assert.is_true(server:established())
          assert.equal(wanted == "guarded.test", requested, wanted)
        end
      end)

      it("takes a client certificate of its CA as verified", function()
        local server = shake { name = "guarded.test", version = version, certificate = pump }
        local facts = now_facts(server, terms[2].trust)
        assert.is_true(facts.presented)
        assert.is_true(facts.verified)
        assert.equal("CN=pump-17", facts.subject_dn)
      end)

      it("establishes with a foreign certificate, unverified", function()
        local stranger = certs.leaf(beta, { cn = "stranger" })
        local server = shake { name = "guarded.test", version = version, certificate = stranger }
        assert.is_true(server:established())
        local facts = now_facts(server, terms[2].trust)
        assert.is_true(facts.presented)
        assert.is_false(facts.verified)
        assert.equal(20, facts.error)
      end)

      for kind, expected in pairs { ["RSA 1024"] = 66, ["RSA 2048"] = 0, ["Ed25519"] = 0 } do
        it(("leaves the judgement about a key of kind %s to the validation"):format(kind), function()
          local odd = certs.leaf(acme, { cn = "odd", key = kind })
          local server = shake { name = "guarded.test", version = version, certificate = odd }
          assert.is_true(server:established())
          local facts = tls.facts(server:peer(), terms[2].trust, os.time() + 1)
          assert.equal("CN=odd", facts.subject_dn)
          assert.equal(expected == 0, facts.verified)
          assert.equal(expected, facts.error)
        end)
      end

      it("establishes without a certificate, which is neither presented nor verified", function()
        local server = shake { name = "guarded.test", version = version }
        assert.is_true(server:established())
        local facts = now_facts(server, terms[2].trust)
        assert.is_false(facts.presented)
        assert.is_false(facts.verified)
        assert.equal(0, facts.error)
      end)

      it("takes the leaf's identity, whatever else is in the message", function()
        local forged = certs.leaf(nil, { cn = "forged" })
        local server = shake { name = "guarded.test", version = version, certificate = forged, chain = { pump.pem } }
        local facts = now_facts(server, terms[2].trust)
        assert.is_false(facts.verified)
        assert.equal("CN=forged", facts.subject_dn)
      end)

      it("reads the name of a ClientHello in records of one byte", function()
        local first = true
        local server = shake({ name = "guarded.test", version = version, certificate = pump }, function(bytes)
          if first and bytes ~= "" then
            first = false
            return loop.shred(bytes)
          end
          return bytes
        end)
        assert.is_true(server:established())
        assert.equal("guarded.test", server:name())
        assert.is_true(now_facts(server, terms[2].trust).verified)
      end)

      it("goes on when the ClientHello comes byte by byte", function()
        local server, client = loop.server(terms), loop.openssl { name = "guarded.test", version = version }
        client:feed("")
        local hello = client:output()
        for i = 1, #hello - 1 do assert.equal("EAGAIN", server:feed(hello:sub(i, i))) end
        assert.equal(0, server.index[0].calls)
        server:feed(hello:sub(-1))
        assert.equal(1, server.index[0].calls)
      end)

      it("resumes nothing where no sessions are kept", function() -- M-17
        for _, host in ipairs { "open.test", "guarded.test" } do
          local server, client = shake { name = host, version = version, certificate = pump }
          server:write("tickets would come before this")
          loop.join(server, client)
          local session = ffi.gc(C.SSL_get1_session(client.ssl), C.SSL_SESSION_free)
          local again, resuming = shake { name = host, version = version, session = session }
          assert.is_true(again:established())
          assert.equal(0, C.SSL_session_reused(resuming.ssl))
          assert.is_false(now_facts(again, terms[2].trust).presented)
        end
      end)

      it("ends with close_notify and hears the other side's", function()
        local server, client = shake { name = "open.test", version = version }
        C.SSL_shutdown(client.ssl)
        assert.equal("ECLOSED", server:feed(client:output()))
        server:shutdown()
        assert.equal("ECLOSED", client:feed(server:output()))
        server:shutdown()
        assert.equal("", server:output())
        assert.equal("ETLS", server:write("late"))
      end)
    end)
  end

  describe("server names", function()
    for _, case in ipairs {
      { "OPEN.Test", "open.test" },
      { "open.test.", "open.test" },
    } do
      it(("reads %q as %q"):format(case[1], case[2]), function()
        local server = shake { name = case[1] }
        assert.is_true(server:established())
        assert.equal(case[2], server:name())
      end)
    end

    it("hands on that there is none", function()
      local server = shake {}
      assert.is_true(server:established())
      assert.equal("-", ffi.string(server.index[0].asked))
      assert.is_nil(server:name())
    end)

    for _, name in ipairs { "open..test", ".open.test", "open.test..", "open test", "%6fpen.test", "ope\195\177.test",
      "[::1]", "open.test:443", ("a"):rep(64) .. ".test" } do
      it(("refuses %q without asking for terms"):format(name), function()
        local server, _, server_state, client_state = shake { name = name }
        assert.equal("ETLS", server_state)
        assert.equal(0, server.index[0].calls)
        assert.equal("invalid server name", server:failure())
        assert.matches("unrecognized name", client_state)
      end)
    end

    for byte, what in pairs { ["\0"] = "NUL", ["\n"] = "LF", ["/"] = "a slash" } do
      it("refuses a name with " .. what .. " inside", function()
        local server, _, server_state = shake({ name = "openXtest" }, function(bytes)
          return loop.replace(bytes, "openXtest", "open" .. byte .. "test")
        end)
        assert.equal("ETLS", server_state)
        assert.equal(0, server.index[0].calls)
      end)
    end

    it("refuses a list with a second name", function()
      local server, _, server_state = shake({ name = "open.test.padded" }, function(bytes)
        -- the same length: one name of 9 bytes, one of 4
        return loop.replace(bytes, "\0\16open.test.padded", "\0\9open.test\0\0\4evil")
      end)
      assert.equal("ETLS", server_state)
      assert.equal("malformed server name extension", server:failure())
      assert.equal(0, server.index[0].calls)
    end)

    it("answers a name without terms with unrecognized_name", function()
      local server, _, server_state, client_state = shake { name = "unknown.test" }
      assert.equal("ETLS", server_state)
      assert.equal("no terms for this server name", server:failure())
      assert.matches("unrecognized name", client_state)
    end)
  end)

  describe("versions and suites", function()
    it("refuses TLS 1.1", function()
      local server, _, server_state, client_state = shake { name = "open.test", version = 0x0302 }
      assert.equal("ETLS", server_state)
      assert.matches("version", client_state)
      assert.equal("unsupported protocol", server:failure())
    end)

    it("refuses TLS 1.2 where the name asks for TLS 1.3", function()
      local _, _, server_state, client_state = shake { name = "strict.test", version = TLS12 }
      assert.equal("ETLS", server_state)
      assert.matches("version", client_state)
    end)

    it("serves TLS 1.3 there", function()
      assert.is_true((shake { name = "strict.test" }):established())
    end)

    for _, suite in ipairs { "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256",
      "ECDHE-ECDSA-AES256-CCM" } do
      it("does not speak " .. suite, function()
        local server, _, server_state = shake { name = "open.test", version = TLS12, ciphers = suite }
        assert.equal("ETLS", server_state)
        assert.equal("no shared cipher", server:failure())
      end)
    end

    it("prefers its own order, but ChaCha20 for who puts it first", function()
      local own = shake { name = "open.test", version = TLS12,
        ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256" }
      assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", own:cipher())
      local chacha = shake { name = "open.test", version = TLS12,
        ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256" }
      assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", chacha:cipher())
    end)

    it("keeps the terms of the first ClientHello through a HelloRetryRequest", function()
      local hellos = 0
      local server = shake({ name = "guarded.test", version = TLS13, groups = "P-521:P-384", certificate = pump },
        function(bytes)
          if bytes:byte(1) == 22 and bytes:byte(6) == 1 or bytes:find("guarded.test", 1, true) then
            hellos = hellos + 1
            if hellos == 2 then return loop.replace(bytes, "guarded.test", "guarded-test") end
          end
          return bytes
        end)
      assert.equal(2, hellos)
      assert.equal("guarded.test", server:name())
      assert.equal(1, server.index[0].calls)
    end)
  end)

  describe("ALPN", function()
    it("selects http/1.1 among others", function()
      local server, client = shake { name = "open.test", alpn = "\2h2\8http/1.1" }
      assert.is_true(server:established())
      local selected, size = ffi.new("const unsigned char *[1]"), ffi.new("unsigned[1]")
      C.SSL_get0_alpn_selected(client.ssl, selected, size)
      assert.equal("http/1.1", ffi.string(selected[0], size[0]))
    end)

    it("refuses a client that offers only other protocols", function()
      local _, _, server_state, client_state = shake { name = "open.test", alpn = "\2h2\4imap" }
      assert.equal("ETLS", server_state)
      assert.matches("no application protocol", client_state)
    end)
  end)

  describe("bounds", function()
    it("tells plain HTTP from TLS", function()
      local server = loop.server(terms)
      assert.equal("ETLS", server:feed("GET / HTTP/1.1\r\nHost: open.test\r\n\r\n"))
      assert.equal("http request", server:failure())
      assert.equal("ETLS", server:feed("more"))
    end)

    it("gives up on a handshake longer than the limit", function()
      local server, client = loop.server(terms), loop.openssl { name = "guarded.test", version = TLS12 }
      client:feed("")
      server:feed(client:output())
      server:output()
      -- a Certificate message (11) of 60 000 bytes, which is allowed, in records of one byte, six bytes on the wire each
      local state, sent = server:feed("\22\3\3\0\4\11\0\234\96"), 0
      while state == "EAGAIN" and sent < 60000 do
        state = server:feed(("\22\3\3\0\1x"):rep(1000))
        sent = sent + 1000
      end
      assert.equal("ETLS", state)
      assert.equal("the handshake is longer than the limit", server:failure())
      assert.is_true(sent * 6 > 128 * 1024 and sent < 25000)
    end)

    it("refuses a certificate message above 64 KiB", function()
      local padding = certs.leaf(acme, { cn = "big", extensions = { "nsComment=" .. ("x"):rep(20000) } })
      local chain = {}
      for i = 1, 4 do chain[i] = padding.pem end
      local server, _, server_state = shake { name = "guarded.test", certificate = pump, chain = chain }
      assert.equal("ETLS", server_state)
      assert.matches("excessive message size", server:failure())
    end)

    it("ends a session that only updates its keys", function()
      local server, client = shake { name = "open.test", version = TLS13 }
      local state
      local updates = 0
      repeat
        assert(C.SSL_key_update(client.ssl, 1) == 1)
        C.SSL_do_handshake(client.ssl)
        updates = updates + 1
        state = server:feed(client:output())
        client:feed(server:output())
      until state ~= "EAGAIN" or updates > 200
      assert.equal("ETLS", state)
      assert.equal(65, updates)
      assert.equal("too many records without data", server:failure())
    end)

    it("bears with key updates between data", function()
      local server, client = shake { name = "open.test", version = TLS13 }
      for _ = 1, 200 do
        C.SSL_key_update(client.ssl, 1)
        client:write("x")
        assert.equal("EAGAIN", server:feed(client:output()))
        client:feed(server:output())
      end
      assert.equal(("x"):rep(200), server.received)
    end)

    it("does not renegotiate", function()
      local server, client = shake { name = "open.test", version = TLS12 }
      assert.equal(1, C.SSL_renegotiate(client.ssl))
      C.SSL_do_handshake(client.ssl)
      server:feed(client:output())
      local state = client:feed(server:output())
      assert.equal("no renegotiation", state)
    end)

    it("breaks the session when the send buffer reaches its ceiling", function()
      local server = shake { name = "open.test" }
      assert.equal("ETOOBIG", server:write(("x"):rep(1024 * 1024)))
      assert.equal("ETLS", server:write("more"))
      server:output()
      server:shutdown()
      assert.equal("", server:output())
    end)

    it("owns nothing of the window between calls", function()
      local server, client = shake { name = "open.test" }
      client:write("split record")
      local bytes = client:output()
      assert.equal("EAGAIN", server:feed(bytes:sub(1, 7)))
      assert.equal("", server.received)
      assert.equal("EAGAIN", server:feed(bytes:sub(8)))
      assert.equal("split record", server.received)
    end)

    it("can be freed in the middle of a handshake", function()
      local server, client = loop.server(terms), loop.openssl { name = "guarded.test", certificate = pump }
      client:feed("")
      server:feed(client:output())
      server.raw = nil
      collectgarbage()
    end)
  end)

  describe("the description of the client", function()
    local TEXTS = { "CIPHERS_SHA1", "EXTENSIONS_SHA1", "EXTENSIONS_SHA1_LE", "JA3", "JA4" }
    local function told(server, which) return tls.text(C.moon_tls_session_text(server.raw, C["MOON_TLS_" .. which])) end

    -- What a trace of the first flight says: record header, then the message.
    local function traced(flight)
      local raw = ffi.gc(C.moon_hello_trace_new(tls.str(flight:sub(6, 5 + flight:byte(4) * 256 + flight:byte(5)))), function(it)
        C.moon_hello_trace_free(ffi.new("struct moon_hello_trace *[1]", it))
      end)
      return tls.text(C.moon_hello_trace_ja3(raw)), tls.text(C.moon_hello_trace_ja4(raw))
    end

    for version, name in pairs { [TLS12] = "TLSv1.2", [TLS13] = "TLSv1.3" } do
      it(("is that of its ClientHello, with %s"):format(name), function()
        local flight
        local server = shake({ name = "open.test", version = version }, function(bytes)
          flight = flight or bytes
          return bytes
        end)
        local ja3, ja4 = traced(flight)
        assert.equal(ja3, told(server, "JA3"))
        assert.equal(ja4, told(server, "JA4"))
        assert.equal(version == TLS13 and "t13d" or "t12d", ja4:sub(1, 4))
        assert.equal(#flight - 5 - 4, C.moon_tls_session_hello_length(server.raw))
        assert.equal(name, told(server, "VERSION"))
        assert.equal(server:cipher(), told(server, "CIPHER"))
        -- the random value lies behind record header, message header and version
        assert.equal((certs.openssl("base64 -A -in " .. certs.write(flight:sub(12, 43)))), told(server, "CLIENT_RANDOM"))
      end)
    end

    it("is that of the first ClientHello when another group is asked for", function()
      local flights = {}
      local server = shake({ name = "open.test", version = TLS13, groups = "P-521:P-384" }, function(bytes)
        flights[#flights + 1] = bytes
        return bytes
      end)
      assert.is_true(server:established())
      assert.equal("\22", flights[2]:sub(7, 12):match("\22"), "a second ClientHello is expected")
      local ja3 = traced(flights[1])
      assert.equal(ja3, told(server, "JA3"))
      assert.equal(#flights[1] - 9, C.moon_tls_session_hello_length(server.raw))
    end)

    it("is of the whole message, in however many records it came", function()
      local first = true
      local server = shake({ name = "open.test" }, function(bytes)
        if not first then return bytes end
        first = false
        return loop.shred(bytes)
      end)
      local other = shake { name = "open.test" }
      assert.equal(told(other, "JA3"), told(server, "JA3"))
      assert.equal(C.moon_tls_session_hello_length(other.raw), C.moon_tls_session_hello_length(server.raw))
    end)

    it("is not kept where the acceptor is told so", function()
      local own = { terms[1] }
      local before = loop.server(own)
      C.moon_tls_acceptor_describe(own.acceptor[0], false)
      local server, client = loop.server(own), loop.openssl { name = "open.test" }
      loop.join(server, client)
      assert.is_true(server:established())
      for _, which in ipairs(TEXTS) do assert.equal("", told(server, which)) end
      assert.is_true(C.moon_tls_session_hello_length(server.raw) > 0)
      assert.equal(44, #told(server, "CLIENT_RANDOM"))
      loop.join(before, loop.openssl { name = "open.test" })
      for _, which in ipairs(TEXTS) do assert.is_true(#told(before, which) > 0) end
    end)
  end)

  describe("a spoilt byte", function()
    it("in a record fails the session with an alert, once", function()
      local server, client = shake { name = "open.test" }
      client:write("hello")
      local bytes = client:output()
      assert.equal("ETLS", server:feed(bytes:sub(1, -2) .. string.char((bytes:byte(-1) + 1) % 256)))
      assert.is_true(#server:output() > 0)
      assert.matches("decryption failed", server:failure())
      assert.equal("ETLS", server:feed(bytes))
    end)

    it("in a client's proof of possession fails the handshake", function()
      local stolen = { pem = pump.pem, key = pump.key }
      local server, client = loop.server(terms), loop.openssl { name = "guarded.test", version = TLS12, certificate = stolen }
      local turn = 0
      local state = loop.join(server, client, function(bytes)
        turn = turn + 1
        if turn ~= 2 then return bytes end
        -- the second flight of TLS 1.2 is in the clear up to Finished: spoil the signature of CertificateVerify (type 15)
        local at, out = 1, {}
        while at <= #bytes do
          local length = bytes:byte(at + 3) * 256 + bytes:byte(at + 4)
          local record = bytes:sub(at, at + 4 + length)
          if record:byte(1) == 22 and record:byte(6) == 15 then
            record = record:sub(1, -2) .. string.char((record:byte(-1) + 1) % 256)
          end
          out[#out + 1] = record
          at = at + 5 + length
        end
        return table.concat(out)
      end)
      assert.equal("ETLS", state)
      assert.is_false(server:established())
      assert.equal("bad signature", server:failure())
    end)
  end)
end)
