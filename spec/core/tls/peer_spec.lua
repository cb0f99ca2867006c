-- The decision table: what is "verified", given what was presented, the trust set of the moment and the time. Nothing in it
-- may be a remembered answer.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C
local DAY = 86400
local EXPIRED, NOT_YET, UNTRUSTED, REJECTED = 10, 9, 20, 28

describe("tls.peer", function()
  local now, acme, beta, pump, acme_trust, beta_trust, both_trust

  setup(function()
    now = os.time() + 60 -- after the first second of certificates made during the specs
    acme = certs.ca("Acme", { not_before = now - 40 * DAY, not_after = now + 400 * DAY })
    beta = certs.ca("Beta")
    pump = certs.leaf(acme, { cn = "pump-17", not_before = now - DAY, not_after = now + DAY })
    acme_trust, beta_trust, both_trust = tls.trust(acme.pem), tls.trust(beta.pem), tls.trust(beta.pem, acme.pem)
  end)

  local function peer_of(certificate, trust, at, chain)
    local peer = ffi.gc(C.moon_peer_new(nil), function(pointer) C.moon_peer_free(ffi.new("struct moon_peer *[1]", pointer)) end)
    if certificate then
      local list = { tls.x509(certificate.pem) }
      for _, other in ipairs(chain or {}) do list[#list + 1] = tls.x509(other.pem) end
      C.moon_peer_present(peer, list[1], tls.stack(list), trust, at or now)
    end
    return peer
  end

  describe("facts()", function()
    it("without a certificate presents nothing and verifies nothing, with any trust set", function()
      for _, trust in ipairs { acme_trust, beta_trust } do
        local facts = tls.facts(peer_of(nil), trust, now)
        assert.same({ presented = false, verified = false, revoked = false, lacks_usage = false, error = 0, subject_dn = "", issuer_dn = "",
          issuer_ski = "", ski = "", serial = "", fingerprint_sha256 = "" }, facts)
      end
    end)

    it("without a trust set shows nothing, even of a certificate that was verified", function()
      local peer = peer_of(pump, acme_trust)
      assert.is_true(tls.facts(peer, acme_trust, now).verified)
      local facts = tls.facts(peer, nil, now)
      assert.is_false(facts.presented)
      assert.is_false(facts.verified)
      assert.equal("", facts.subject_dn)
      assert.equal("", facts.fingerprint_sha256)
    end)

    -- handshake with / request with / at / expected
    local function trusts() return { acme = acme_trust, beta = beta_trust, both = both_trust } end
    for _, case in ipairs {
      { "acme", "acme", 0, true, 0 },
      { "acme", "both", 0, true, 0 },
      { "acme", "beta", 0, false, UNTRUSTED },
      { "beta", "beta", 0, false, UNTRUSTED },
      { "beta", "acme", 0, true, 0 },
      { nil, "acme", 0, true, 0 },
      { nil, "beta", 0, false, UNTRUSTED },
      { "acme", "acme", DAY - 1, true, 0 },
      { "acme", "acme", DAY, false, EXPIRED },
      { "acme", "acme", 2 * DAY, false, EXPIRED },
      { "acme", "acme", -DAY, true, 0 },
      { "acme", "acme", -DAY - 1, false, NOT_YET },
      { "acme", "both", 2 * DAY, false, EXPIRED },
      { "beta", "acme", 2 * DAY, false, EXPIRED },
    } do
      it(("after a handshake for %s: a request for %s %+d s later is %s"):format(case[1] or "no set", case[2], case[3],
        case[4] and "verified" or "not verified"), function()
        local peer = peer_of(pump, case[1] and trusts()[case[1]])
        local facts = tls.facts(peer, trusts()[case[2]], now + case[3])
        assert.is_true(facts.presented)
        assert.equal(case[4], facts.verified)
        assert.equal(case[5], facts.error)
        assert.equal("CN=pump-17", facts.subject_dn)
      end)
    end

    it("follows the trust set from request to request", function()
      local peer = peer_of(pump, acme_trust)
      local seen = {}
      for _, trust in ipairs { acme_trust, beta_trust, both_trust, beta_trust, acme_trust } do
        seen[#seen + 1] = tls.facts(peer, trust, now).verified
      end
      assert.same({ true, false, true, false, true }, seen)
    end)

    it("follows revocations of the same set from request to request, and keeps the certificate verified", function() -- M-16, M-27
      local function denying(...)
        return tls.trust_with { pems = { acme.pem }, denials = { ... } }
      end
      local fingerprint = tls.facts(peer_of(pump, acme_trust), acme_trust, now).fingerprint_sha256
      local peer = peer_of(pump, acme_trust)
      for _, case in ipairs {
        { acme_trust, false }, { denying { "", fingerprint }, true }, { denying { "", ("0"):rep(64) }, false },
        { denying({ "", ("0"):rep(64) }, { "", fingerprint }), true }, { acme_trust, false },
      } do
        local facts = tls.facts(peer, case[1], now)
        assert.is_true(facts.verified)
        assert.equal(case[2], facts.revoked)
      end
    end)

    it("looks again when a revocation list ends", function()
      local list = tls.crl((certs.crl(acme, { this_update = now - 3600, next_update = now + 100 })), acme.pem)
      local trust = tls.trust_with { pems = { acme.pem }, crls = { { list } } }
      local peer = peer_of(pump, trust)
      assert.is_true(tls.facts(peer, trust, now + 99).verified)
      local facts = tls.facts(peer, trust, now + 100)
      assert.is_false(facts.verified)
      assert.equal(12, facts.error)
    end)

    it("notices a set of the same names with another key", function()
      local twin = tls.trust(certs.ca("Acme", { extensions = { "subjectKeyIdentifier=" } }).pem)
      local peer = peer_of(pump, acme_trust)
      assert.is_false(tls.facts(peer, twin, now).verified)
    end)

    it("treats an equal set from a later snapshot as the same", function()
      local peer = peer_of(pump, acme_trust)
      assert.is_true(tls.facts(peer, tls.trust(acme.pem), now).verified)
      assert.is_false(tls.facts(peer, tls.trust(acme.pem), now + 2 * DAY).verified)
    end)

    it("becomes verified when the certificate's time comes, and stops when it ends", function()
      local early = certs.leaf(acme, { cn = "early", not_before = now + 100, not_after = now + 200 })
      local peer = peer_of(early, acme_trust)
      local seen = {}
      for _, at in ipairs { 0, 99, 100, 199, 200, 150 } do
        local facts = tls.facts(peer, acme_trust, now + at)
        seen[#seen + 1] = facts.verified and "verified" or facts.error
      end
      assert.same({ NOT_YET, NOT_YET, "verified", "verified", EXPIRED, "verified" }, seen)
    end)

    it("says until when it is verified: the first end of validity on the path", function()
      local peer = peer_of(pump, acme_trust)
      assert.equal(now + DAY, tonumber(C.moon_peer_valid_until(peer)))
      tls.facts(peer, beta_trust, now)
      assert.is_true(C.moon_peer_valid_until(peer) == 0x7fffffffffffffffLL)
    end)

    it("finds another path when the first one ends", function()
      local short = certs.ca("Crossed", { not_after = now + 100 })
      local long = certs.ca("Crossed", { key = short })
      local client = certs.leaf(short, { cn = "client" })
      local trust = tls.trust(short.pem, long.pem)
      local peer = peer_of(client, trust)
      assert.is_true(tls.facts(peer, trust, now + 99).verified)
      assert.is_true(tls.facts(peer, trust, now + 101).verified)
    end)

    it("keeps the presented intermediates for later sets", function()
      local sub = certs.ca("Issuing", { issuer = acme })
      local client = certs.leaf(sub, { cn = "client" })
      local peer = peer_of(client, beta_trust, now, { sub })
      assert.is_true(tls.facts(peer, acme_trust, now).verified)
    end)

    it("keeps a set alive that nobody else holds", function()
      local own = tls.trust(acme.pem)
      local peer = peer_of(pump, own)
      own = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_true(tls.facts(peer, acme_trust, now).verified)
    end)
  end)

  describe("texts", function()
    local function facts_of(options)
      return tls.facts(peer_of(certs.leaf(acme, options), acme_trust), acme_trust, now)
    end

    it("are those of the openssl command", function()
      local peer = peer_of(pump, acme_trust)
      local facts = tls.facts(peer, acme_trust, now)
      local function told(option) return (certs.openssl(("x509 -noout %s -in %s"):format(option, pump.path)):gsub("%s+$", "")) end
      assert.equal(told("-serial"):match("=(%x+)"), facts.serial)
      assert.equal(told("-fingerprint -sha256"):match("=(.*)"):gsub(":", ""):lower(), facts.fingerprint_sha256)
      local text = told("-ext subjectKeyIdentifier,authorityKeyIdentifier"):gsub("[: ]", "")
      assert.equal(text:match("SubjectKeyIdentifier%s+(%x+)"), facts.ski)
      assert.equal(text:match("AuthorityKeyIdentifier%s+(%x+)"), facts.issuer_ski)
      assert.equal("CN=Acme", facts.issuer_dn)
    end)

    for _, case in ipairs {
      { "most specific attribute first", "/C=NL/O=Acme/OU=Field/CN=pump-17", "CN=pump-17,OU=Field,O=Acme,C=NL" },
      { "separators escaped", "/O=Acme, Inc./CN=a\\+b=c", "CN=a\\+b=c,O=Acme\\, Inc." },
      { "letters beyond ASCII escaped", "/CN=Zoë", "CN=Zo\\C3\\AB" },
      { "line ends escaped", "/CN=a\r\nX-Evil: 1", "CN=a\\0D\\0AX-Evil: 1" },
      { "quotes and backslashes escaped", "/CN=\"a\\\\b\"", "CN=\\\"a\\\\b\\\"" },
    } do
      it("have a name with " .. case[1], function() -- X-14
        assert.equal(case[3], facts_of { subject = case[2] }.subject_dn)
      end)
    end

    for serial, expected in pairs { ["0x1"] = "01", ["0xABC"] = "0ABC", ["0x80"] = "80", ["0"] = "00", ["-255"] = "-FF" } do
      it(("write the serial %s as %s"):format(serial, expected), function()
        assert.equal(expected, facts_of { serial = serial }.serial)
      end)
    end

    it("are empty for identifiers that are not there", function()
      local facts = facts_of { extensions = { "subjectKeyIdentifier=none", "authorityKeyIdentifier=none" } }
      assert.equal("", facts.ski)
      assert.is_true(facts.verified)
    end)

    it("of absurd length make a certificate that is not verified", function()
      local subject = "/CN=x"
      for i = 1, 200 do subject = subject .. "/OU=" .. i .. ("\195\171"):rep(28) end
      local facts = facts_of { subject = subject }
      assert.is_true(facts.presented)
      assert.is_false(facts.verified)
      assert.equal(REJECTED, facts.error)
      assert.equal(64, #facts.fingerprint_sha256)
    end)

    it("are written once and stay valid while the peer lives", function()
      local peer = peer_of(pump, acme_trust)
      local first, second = ffi.new("struct moon_str"), ffi.new("struct moon_str")
      C.moon_peer_text(peer, C.MOON_CERTIFICATE_SUBJECT_DN, first)
      tls.facts(peer, beta_trust, now + 5)
      C.moon_peer_text(peer, C.MOON_CERTIFICATE_SUBJECT_DN, second)
      assert.equal("CN=pump-17", tls.text(first))
      assert.equal(first.data, second.data)
    end)

    it("are empty for a peer that presented nothing, and for none", function()
      for _, peer in ipairs { peer_of(nil), false } do
        for which = 0, tonumber(C.MOON_CERTIFICATE_TEXT_COUNT) - 1 do
          local view = ffi.new("struct moon_str")
          assert.equal(0, C.moon_peer_text(peer or nil, which, view))
          assert.equal("", tls.text(view))
        end
        assert.same({}, tls.certificate_list(peer or nil, "san_dns"))
      end
    end)
  end)

  describe("verify_error_text()", function()
    it("speaks OpenSSL's words, also for numbers that it does not know", function()
      assert.equal("certificate has expired", ffi.string(C.moon_verify_error_text(EXPIRED)))
      assert.is_true(#ffi.string(C.moon_verify_error_text(123456)) > 0)
    end)
  end)
end)
