-- The cache of validated chains never answers for another set, another chain, or a time beyond the path's.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C
local DAY = 86400

describe("tls.verified", function()
  local now, acme, beta, pump, acme_trust, beta_trust, cache

  setup(function()
    now = os.time() + 60
    acme, beta = certs.ca("Acme", { not_before = now - 40 * DAY, not_after = now + 400 * DAY }), certs.ca("Beta")
    pump = certs.leaf(acme, { cn = "pump-17", not_before = now - DAY, not_after = now + 120 })
    acme_trust, beta_trust = tls.trust(acme.pem), tls.trust(beta.pem)
  end)

  before_each(function()
    cache = ffi.gc(C.moon_verified_new(), function(pointer) C.moon_verified_free(ffi.new("struct moon_verified *[1]", pointer)) end)
  end)

  local function check(trust, certificate, at)
    local found = ffi.new("struct moon_verification")
    C.moon_verified_check(cache, trust, tls.x509(certificate.pem), nil, at, found)
    return found.ok
  end

  it("gives the verdict of a validation, first and again", function()
    for _ = 1, 3 do
      assert.is_true(check(acme_trust, pump, now))
      assert.is_false(check(beta_trust, pump, now))
    end
  end)

  it("does not carry a success over to another trust set", function()
    assert.is_true(check(acme_trust, pump, now))
    assert.is_false(check(beta_trust, pump, now))
  end)

  it("does not carry a success beyond the end of the path", function()
    assert.is_true(check(acme_trust, pump, now))
    assert.is_true(check(acme_trust, pump, now + 100))
    assert.is_false(check(acme_trust, pump, now + 121))
  end)

  it("does not carry a success back before the path begins", function()
    assert.is_true(check(acme_trust, pump, now))
    assert.is_false(check(acme_trust, pump, now - 2 * DAY))
  end)

  it("keeps no failure", function()
    assert.is_false(check(acme_trust, pump, now + 121))
    assert.is_true(check(acme_trust, pump, now))
  end)
end)
