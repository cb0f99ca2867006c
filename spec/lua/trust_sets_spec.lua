-- Trust sets with what is revoked under them, built by the real core.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local tls = require "spec.support.cdef_tls"

local ffi = require "ffi"
local C = tls.C

describe("moongate.trust_sets", function()
  local sets, control, ca, other, leaf, fine, ca_sha256

  setup(function()
    control = script.control()
    sets = require "moongate.trust_sets"
    ca, other = certs.ca("Sets"), certs.ca("Others")
    leaf, fine = certs.leaf(ca, { cn = "gone", serial = "0x0A0B" }), certs.leaf(ca, { cn = "fine" })
    ca_sha256 = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. ca.path):match("=(%S+)"):gsub(":", "")
  end)

  local function verdict(options, certificate, at)
    local trust = assert(sets.of({ ca.pem }, options))
    local out = ffi.new("struct moon_verification")
    C.moon_trust_verify(trust, tls.x509(certificate.pem), nil, at or os.time(), out)
    return not out.ok and "not verified" or out.revoked and "revoked" or "fine"
  end

  it("without options know of nothing revoked", function()
    assert.equal("fine", verdict(nil, leaf))
    assert.equal("not verified", verdict(nil, certs.leaf(other, { cn = "x" })))
  end)

  it("know a list of the CA", function()
    local options = { crls = { { ca = ca.pem, text = (certs.crl(ca, { revoked = { leaf } })) } } }
    assert.equal("revoked", verdict(options, leaf))
    assert.equal("fine", verdict(options, fine))
  end)

  it("fail closed after the end of a list, unless it is soft", function() -- R-3
    local now = os.time()
    local text = certs.crl(ca, { next_update = now + 100 })
    for soft, expected in pairs { [false] = "not verified", [true] = "fine" } do
      assert.equal(expected, verdict({ crls = { { ca = ca.pem, text = text, soft = soft } } }, fine, now + 200))
    end
  end)

  for title, denial in pairs {
    ["a serial number in hex"] = function() return { ca = ca_sha256, serial = "0xA0B" } end,
    ["a serial number in decimal"] = function() return { ca = ca_sha256, serial = "2571" } end,
    ["a fingerprint"] = function()
      return { sha256 = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. leaf.path):match("=(%S+)"):gsub(":", "") }
    end,
  } do
    it("know " .. title .. " that is denied", function() -- R-1
      local options = { denials = { denial() } }
      assert.equal("revoked", verdict(options, leaf))
      assert.equal("fine", verdict(options, fine))
    end)
  end

  it("pass over what is said about CAs of other sets", function()
    local options = { crls = { { ca = other.pem, text = (certs.crl(other)) } }, denials = { { ca = ("0"):rep(64), serial = "1" } } }
    assert.equal("fine", verdict(options, leaf))
  end)

  it("are built once for equal content, and anew for other content", function()
    local text = certs.crl(ca)
    local function options(soft) return { crls = { { ca = ca.pem, text = text, soft = soft } }, denials = { { ca = ca_sha256, serial = "1" } } } end
    local first = assert(sets.of({ ca.pem }, options()))
    assert.equal(first, sets.of({ ca.pem }, options()))
    assert.equal(first, sets.of({ ca.pem }, options(false)))
    assert.not_equal(first, sets.of({ ca.pem }, options(true)))
    assert.not_equal(first, sets.of({ ca.pem }))
    assert.not_equal(first, sets.of({ ca.pem, other.pem }, options()))
    assert.equal(sets.of({ ca.pem }), sets.of({ ca.pem }, {}))
    assert.not_equal(sets.of({ ca.pem }), sets.of({ ca.pem }, { usage = "warn" }))
  end)

  it("share a list that several sets need", function()
    local list = { ca = ca.pem, text = (certs.crl(ca)) }
    local one = assert(sets.of({ ca.pem }, { crls = { list } }))
    local handle = assert(sets.crl(list))
    local two = assert(sets.of({ ca.pem, other.pem }, { crls = { { ca = ca.pem, text = list.text } } }))
    collectgarbage()
    assert.equal(handle, sets.crl(list))
    assert.not_equal(one, two)
  end)

  it("know a list by its digest without its text, as long as somebody holds it", function()
    local text, path = certs.crl(ca)
    local sha256 = certs.openssl("dgst -sha256 -r " .. certs.write(certs.openssl("crl -outform DER -in " .. path))):match("^%x+")
    local list = { ca = ca.pem, text = text, digest = sha256 }
    local handle = assert(sets.crl(list))
    list.text = "x"
    collectgarbage()
    assert.equal(handle, sets.crl(list))
  end)

  it("are built side by side for those who ask next", function()
    local lists = {}
    for index = 1, 40 do lists[index] = { certs.ca("Side " .. index % 5).pem, index > 20 and other.pem or nil } end
    local held = sets.prepare(lists)
    local count, first = 0, {}
    for _, handle in pairs(held) do
      count = count + 1
      first[handle] = true
    end
    assert.equal(40, count)
    for _, pems in ipairs(lists) do assert.is_true(first[sets.of(pems)] or false) end
    assert.same({}, sets.prepare(lists)) -- they are there
    assert.is_nil(first[sets.of(lists[1], { usage = "warn" })])
  end)

  it("that cannot be built are passed over side by side, and refused when they are asked for", function()
    local held = sets.prepare { { "x" }, { leaf.pem }, { ca.pem, other.pem } }
    local handle = sets.of { ca.pem, other.pem }
    for _, one in pairs(held) do assert.equal(handle, one) end
    local set, err = sets.of { leaf.pem }
    assert.is_nil(set)
    assert.is_true(#err.text > 0)
  end)

  for _, case in ipairs {
    { "another CA's list", function() return { crls = { { ca = ca.pem, text = (certs.crl(other)) } } } end, "crls[1]: crl" },
    { "a list of somebody who is no CA", function() return { crls = { { ca = leaf.pem, text = (certs.crl(ca)) } } } end, "crls[1]: issuer" },
    { "a fingerprint that is none", function() return { denials = { { sha256 = "12" } } } end, "denials[1]" },
    { "a denial without a serial number", function() return { denials = { { ca = ca_sha256 } } } end, "denials[1]" },
    { "a usage that nobody knows", function() return { usage = "maybe" } end, "usage" },
  } do
    it("refuse " .. case[1], function()
      local set, err = sets.of({ ca.pem }, case[2]())
      assert.is_nil(set)
      assert.equal(case[3], err.where)
      assert.is_true(#err.text > 0)
    end)
  end

  it("that moongate.control made ready are those of the sections; what hosts demand beside their CAs is not made ready", function()
    local root = certs.ca "Ready"
    local document = { id = "z", name = "example.com", version = 1, rules = {}, hosts = {
      { name = "a.example.com", trust = { root.pem } }, { name = "b.example.com", trust = { root.pem }, usage = "warn" },
      { name = "c.example.com" },
    } }
    local held = control.prepare { document }
    assert.equal(1, #held)
    local section = assert(control.section(document))
    local function trust_of(index) return C.moon_section_host(section.handle, index).terms.trust end
    assert.equal(held[1], trust_of(0))
    assert.is_true(held[1] ~= trust_of(1))
    document.trust_options = { denials = { { ca = ca_sha256, serial = "0x0A0B" } } }
    assert.same({}, control.prepare { document })
  end)

  it("stand behind the sections of moongate.control, with the demand of each host on the use of certificates", function()
    local zone = { denials = { { ca = ca_sha256, serial = "0x0A0B" } } }
    local section = assert(control.section { id = "z", name = "example.com", version = 1, rules = {}, trust_options = zone, hosts = {
      { name = "a.example.com", trust = { ca.pem } }, { name = "b.example.com", trust = { ca.pem }, usage = "warn" },
    } })
    local server = certs.leaf(ca, { cn = "server", eku = "serverAuth" })
    local function told(index, certificate)
      local out = ffi.new("struct moon_verification")
      C.moon_trust_verify(C.moon_section_host(section.handle, index).terms.trust, tls.x509(certificate.pem), nil, os.time(), out)
      return { ok = out.ok, revoked = out.revoked, lacks_usage = out.lacks_usage }
    end
    for index = 0, 1 do assert.same({ ok = true, revoked = true, lacks_usage = false }, told(index, leaf)) end
    assert.is_false(told(0, server).ok)
    assert.same({ ok = true, revoked = false, lacks_usage = true }, told(1, server))
    local _, err = control.section { id = "z", name = "example.com", version = 1, rules = {}, trust_options = { usage = "x" },
      hosts = { { name = "a.example.com", trust = { ca.pem } } } }
    assert.equal("trust of a.example.com: usage", err.where)
  end)
end)
