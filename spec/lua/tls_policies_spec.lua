-- TLS terms as the API says them, built by the real core and tried in handshakes.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local tls = require "spec.support.cdef_tls"
local loop = require "spec.support.tls_loop"

local TLS12, TLS13 = 0x0303, 0x0304
local CONTEXT = "custom_certificates:private_key:1"

describe("moongate.tls_policies", function()
  local policies, control, struct, ecdsa, rsa

  setup(function()
    control, struct = script.control()
    policies = require "moongate.tls_policies"
    assert(control.open_secrets(certs.directory() .. "/tls-policies.key", true))
    local root = certs.ca("Servers")
    local function identity(options)
      local made = certs.leaf(root, options)
      return { certificates = made.chain, private_key = assert(control.seal(made.key, CONTEXT)), context = CONTEXT }
    end
    ecdsa = identity { eku = "serverAuth", san = "DNS:a.test" }
    rsa = identity { eku = "serverAuth", san = "DNS:a.test", key = "RSA 2048" }
  end)

  local function of(terms, names) return policies.of(struct, terms, names or { "a.test" }) end

  -- Version and cipher of a handshake; false when there is none.
  local function shake(terms, version, ciphers, name)
    local policy = assert(of(terms))
    local server = loop.server { { name = name or "a.test", policy = policy.handle } }
    loop.join(server, loop.openssl { name = name or "a.test", version = version, ciphers = (ciphers or "ALL") .. ":@SECLEVEL=0" })
    if not server:established() then return false end
    return server:version(), server:cipher()
  end

  -- what the API says / what a client offers / what comes of it
  for _, case in ipairs {
    { "nothing", {}, TLS12, "TLSv1.2" },
    { "nothing", {}, 0x0302, false }, -- T-1
    { "a minimum of 1.0", { min_version = "1.0" }, 0x0301, false },
    { "a minimum of 1.0", { min_version = "1.0" }, TLS12, "TLSv1.2" },
    { "a minimum of 1.1", { min_version = "1.1" }, TLS12, "TLSv1.2" },
    { "a minimum of 1.2", { min_version = "1.2" }, TLS12, "TLSv1.2" },
    { "a minimum of 1.3", { min_version = "1.3" }, TLS12, false },
    { "a minimum of 1.3", { min_version = "1.3" }, TLS13, "TLSv1.3" },
    { "TLS 1.3 off", { tls_1_3 = "off" }, nil, "TLSv1.2" },
    { "TLS 1.3 on", { tls_1_3 = "on" }, nil, "TLSv1.3" },
    { "TLS 1.3 with 0-RTT", { tls_1_3 = "zrt" }, nil, "TLSv1.3" },
    { "an empty list of ciphers", { ciphers = {} }, TLS12, "TLSv1.2" },
    { "ciphers of the past", { ciphers = { "ECDHE-ECDSA-AES128-SHA", "DES-CBC3-SHA" } }, TLS12, "TLSv1.2", "ECDHE-ECDSA-AES128-SHA" },
  } do
    it(("%s: a client of %s gets %s"):format(case[1], case[3] and ("0x%04x"):format(case[3]) or "every version", case[4] or "nothing"),
      function()
        local version, cipher = shake(case[2], case[3])
        assert.equal(case[4], version)
        if case[5] then assert.equal(case[5], cipher) end
      end)
  end

  it("serves uploaded certificates, of each the one that the client can use", function()
    local terms = { identities = { rsa, ecdsa } }
    local _, cipher = shake(terms, TLS12, "ECDHE-RSA-AES128-GCM-SHA256")
    assert.equal("ECDHE-RSA-AES128-GCM-SHA256", cipher)
    _, cipher = shake(terms, TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert.equal("ECDHE-ECDSA-AES128-GCM-SHA256", cipher)
  end)

  it("refuses names that no certificate covers where that is asked for", function()
    assert.equal("TLSv1.3", (shake({ identities = { ecdsa }, strict_sni = true })))
    assert.is_false((shake({ identities = { ecdsa }, strict_sni = true }, nil, nil, "other.test")))
    assert.equal("TLSv1.3", (shake({ identities = { ecdsa } }, nil, nil, "other.test")))
  end)

  it("builds equal terms once, in whatever order the ciphers come", function()
    local one = assert(of { ciphers = { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA" }, min_version = "1.0" })
    local two = assert(of { ciphers = { "ECDHE-ECDSA-AES128-SHA", "AES128-SHA" }, tls_1_3 = "on" })
    assert.equal(one, two)
    assert.equal(one, (assert(of { ciphers = { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA" }, min_version = "1.2" })))
  end)

  it("builds each of different terms", function()
    local seen = {}
    for _, terms in ipairs { {}, { min_version = "1.3" }, { tls_1_3 = "off" }, { ciphers = { "ECDHE-ECDSA-AES128-SHA" } }, { strict_sni = true },
      { identities = { ecdsa } }, { identities = { rsa } }, { identities = { ecdsa, rsa } } } do
      local policy = assert(of(terms))
      assert.is_nil(seen[policy])
      seen[policy] = true
    end
    assert.is_nil(seen[assert(of({}, { "b.test" }))])
    assert.is_true(seen[assert(of({ identities = { ecdsa } }, { "b.test" }))])
  end)

  for _, case in ipairs {
    { "a version that is none", function() return { min_version = "1.4" } end, "min_version", '"1.4"' },
    { "a minimum of 1.3 with TLS 1.3 off", function() return { min_version = "1.3", tls_1_3 = "off" } end, "min_version", "above" },
    { "an unknown cipher", function() return { ciphers = { "RC4-MD5" } } end, "ciphers", '"RC4-MD5"' },
    { "three certificates", function() return { identities = { ecdsa, rsa, ecdsa } } end, "certificates", "two" },
    { "two certificates of one type", function() return { identities = { ecdsa, ecdsa } } end, "second_certificates", "one type" },
    { "a key that was sealed for another", function()
      return { identities = { { certificates = ecdsa.certificates, private_key = ecdsa.private_key, context = "x" } } }
    end, "secrets", "" },
    { "a key in the open", function()
      return { identities = { { certificates = ecdsa.certificates, private_key = "-----BEGIN", context = CONTEXT } } }
    end, "secrets", "" },
  } do
    it("refuses " .. case[1], function() -- D-3
      local policy, err = of(case[2]())
      assert.is_nil(policy)
      assert.equal(case[3], err.where)
      assert.is_truthy(err.text:find(case[4], 1, true))
    end)
  end

  describe("merge()", function()
    it("puts the hostname's members before the zone's", function()
      assert.same({ min_version = "1.3", ciphers = { "a" } },
        policies.merge({ min_version = "1.2", ciphers = { "a" } }, { min_version = "1.3" }))
      assert.same({ min_version = "1.2" }, policies.merge({ min_version = "1.2" }))
      assert.same({}, policies.merge())
      assert.same({ tls_1_3 = "off" }, policies.merge(nil, { tls_1_3 = "off" }))
    end)
  end)

  it("stands behind the sections of moongate.control", function()
    local C = require("moongate.ffi").C
    local section = assert(control.section { id = "z", name = "example.com", version = 1, rules = {}, tls = { tls_1_3 = "off" },
      hosts = { { name = "a.example.com" }, { name = "b.example.com", tls = { tls_1_3 = "on" } }, { name = "c.example.com" },
        { name = "d.example.com", tls = { ciphers = { "ECDHE-ECDSA-AES128-SHA" } } } } })
    local function version_of(index)
      local host = C.moon_section_host(section.handle, index)
      local server = loop.server { { name = "x.test", policy = host.terms.policy } }
      loop.join(server, loop.openssl { name = "x.test", ciphers = "ALL:@SECLEVEL=0" })
      return server:version() .. " " .. server:cipher()
    end
    assert.matches("^TLSv1.2", version_of(0))
    assert.matches("^TLSv1.3", version_of(1))
    assert.equal("TLSv1.2 ECDHE-ECDSA-AES128-SHA", version_of(3))
    assert.equal(C.moon_section_host(section.handle, 0).terms.policy, C.moon_section_host(section.handle, 2).terms.policy)
    assert.matches("^TLSv1.2", version_of(4)) -- the rest of the zone

    local _, err = control.section { id = "z", name = "example.com", version = 1, rules = {}, hosts = {}, tls = { ciphers = { "x" } } }
    assert.equal("tls: ciphers", err.where)
    _, err = control.section { id = "z", name = "example.com", version = 1, rules = {},
      hosts = { { name = "b.example.com", tls = { min_version = "2" } } } }
    assert.equal("tls of b.example.com: min_version", err.where)
  end)

  it("keeps nobody out while nothing strict is asked for", function()
    local C = tls.C
    assert.is_true(C.moon_snapshot_fallback(assert(control.snapshot(1, {})).handle) ~= nil)
    assert.is_true(C.moon_snapshot_fallback(assert(control.snapshot(1, {}, { strict_sni = true })).handle) == nil)
  end)
end)
