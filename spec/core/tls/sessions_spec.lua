-- What a session may be resumed for, and what it is worth then: nothing that a full handshake would not give at that moment.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local loop = require "spec.support.tls_loop"

local C = tls.C
local VERSIONS = { ["TLSv1.2"] = 0x0303, ["TLSv1.3"] = 0x0304 }

describe("tls.sessions", function()
  local certificate, policy, acme, beta, pump, acme_trust, both_trust

  setup(function()
    local server_ca = certs.ca("Server Root")
    certificate = certs.leaf(server_ca, { cn = "a.test", eku = "serverAuth", san = "DNS:a.test,DNS:b.test,DNS:open.test" })
    policy = tls.policy(certificate)
    acme, beta = certs.ca("Acme Root"), certs.ca("Beta Root")
    pump = certs.leaf(acme, { cn = "pump-17" })
    acme_trust, both_trust = tls.trust(acme.pem), tls.trust(acme.pem, beta.pem)
  end)

  local function terms_with(capacity)
    return {
      sessions = capacity or 100,
      { name = "a.test", policy = policy, trust = acme_trust, resumable = true },
      { name = "b.test", policy = policy, trust = acme_trust, resumable = true },
      { name = "open.test", policy = policy, resumable = true },
      { name = "never.test", policy = policy, trust = acme_trust },
      { policy = policy, resumable = true },
    }
  end

  -- A full handshake; returns the session that the client may resume with.
  local function first(terms, options)
    local server, client = loop.server(terms), loop.openssl(options)
    loop.join(server, client)
    assert.is_true(server:established())
    server:write("ticket")
    loop.join(server, client)
    return ffi.gc(C.SSL_get1_session(client.ssl), C.SSL_SESSION_free), server
  end

  local function resume(terms, session, options)
    options.session = session
    local server, client = loop.server(terms), loop.openssl(options)
    loop.join(server, client)
    assert.is_true(server:established())
    local resumed = C.moon_tls_session_resumed(server.raw)
    assert.equal(resumed, C.SSL_session_reused(client.ssl) == 1)
    return resumed, server
  end

  for name, version in pairs(VERSIONS) do
    describe("with " .. name, function()
      it("resumes under the name it was made for, with the same certificate facts", function()
        local terms = terms_with()
        local session, before = first(terms, { name = "a.test", version = version, certificate = pump })
        local resumed, after = resume(terms, session, { name = "a.test", version = version })
        assert.is_true(resumed)
        local expected = tls.facts(before:peer(), acme_trust, os.time())
        assert.is_true(expected.verified)
        assert.same(expected, tls.facts(after:peer(), acme_trust, os.time()))
      end)

      it("resumes a session without a certificate as one without", function()
        local terms = terms_with()
        local session = first(terms, { name = "a.test", version = version })
        local resumed, after = resume(terms, session, { name = "a.test", version = version })
        assert.is_true(resumed)
        assert.is_false(tls.facts(after:peer(), acme_trust, os.time()).presented)
      end)

      for _, case in ipairs {
        { "a.test", "b.test" }, { "a.test", nil }, { "a.test", "open.test" }, { "open.test", "a.test" }, { nil, "a.test" },
        { "open.test", nil },
      } do
        it(("makes a full handshake when a session of %s comes under %s"):format(case[1] or "no name", case[2] or "no name"), function()
          local terms = terms_with()
          local session = first(terms, { name = case[1], version = version, certificate = pump })
          local resumed, after = resume(terms, session, { name = case[2], version = version })
          assert.is_false(resumed)
          assert.is_false(tls.facts(after:peer(), acme_trust, os.time()).presented)
        end)
      end

      it("makes a full handshake after the trust set of the name has changed", function()
        local terms = terms_with()
        local session = first(terms, { name = "a.test", version = version, certificate = pump })
        terms[1].trust = both_trust
        assert.is_false((resume(terms, session, { name = "a.test", version = version })))
      end)

      it("makes a full handshake after the ciphers of the name have changed, and not after they were set anew", function()
        local function with(...) return assert(tls.policy(certificate, 0x0303, { ciphers = { ... } })) end
        local terms = terms_with()
        terms[1].policy = with("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA")
        local session = first(terms, { name = "a.test", version = version })
        terms[1].policy = with("ECDHE-ECDSA-AES256-GCM-SHA384")
        assert.is_false((resume(terms, session, { name = "a.test", version = version })))
        terms[1].policy = with("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256")
        session = first(terms, { name = "a.test", version = version })
        terms[1].policy = with("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA")
        assert.is_true((resume(terms, session, { name = "a.test", version = version })))
      end)

      it("resumes when the set was replaced by an equal one", function()
        local terms = terms_with()
        local session = first(terms, { name = "a.test", version = version, certificate = pump })
        terms[1].trust = tls.trust(acme.pem)
        assert.is_true((resume(terms, session, { name = "a.test", version = version })))
      end)

      it("keeps nothing for a name that is not resumable", function()
        local terms = terms_with()
        local session = first(terms, { name = "never.test", version = version, certificate = pump })
        assert.equal(0, tonumber(C.moon_tls_sessions_count(terms.table)))
        assert.is_false((resume(terms, session, { name = "never.test", version = version })))
      end)

      it("makes a full handshake once the name is not resumable any more", function()
        local terms = terms_with()
        local session = first(terms, { name = "a.test", version = version, certificate = pump })
        terms[1].resumable = false
        assert.is_false((resume(terms, session, { name = "a.test", version = version })))
      end)
    end)
  end

  it("holds no more than its capacity, and forgets the oldest first", function()
    local terms = terms_with(64) -- one in each of 64 shards
    for _ = 1, 200 do first(terms, { name = "open.test", version = VERSIONS["TLSv1.3"] }) end
    local held = tonumber(C.moon_tls_sessions_count(terms.table))
    assert.truthy(held <= 64 and held >= 32, held)
    local newest = first(terms, { name = "open.test", version = VERSIONS["TLSv1.3"] })
    assert.is_true((resume(terms, newest, { name = "open.test", version = VERSIONS["TLSv1.3"] })))
  end)
end)
