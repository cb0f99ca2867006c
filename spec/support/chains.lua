-- Chains against trust sets, for specs of the validation: every chain is made by the openssl command (spec.support.certs), so
-- that the writer of the validation is not the writer of what it validates.
--
--   chains.check(it, { { "a leaf of the root", "OK", function() return tls.trust(root.pem), leaf, { intermediate }, now end }, … })

local assert = require "luassert"
local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

local M = {}

-- X509_V_ERR_… by the names that the specs use; others go by OpenSSL's text.
local ERRORS = { UNTRUSTED = 20, BAD_SIGNATURE = 7, NOT_YET = 9, EXPIRED = 10, CHAIN_TOO_LONG = 22, INVALID_CA = 79, PURPOSE = 26,
  PATH_LENGTH = 25, REJECTED = 28, UNKNOWN_CRITICAL = 34, PERMITTED = 47, EXCLUDED = 48, LEAF_KEY = 66, CA_KEY = 67,
  WEAK_DIGEST = 68, EXPLICIT_CURVE = 94, SELF_SIGNED = 18, SELF_SIGNED_IN_CHAIN = 19, PROXY = 40, INVALID_EXTENSION = 41,
  CONSTRAINT_TYPE = 51, CONSTRAINT_SYNTAX = 52, NAME_SYNTAX = 53, VERSION = 93 }

--- Validates a certificate of certs with others beside it.
---@return string result the name of the error, or "OK"
---@return integer|nil not_before when "OK"
---@return integer|nil not_after
---@return ffi.cdata* verification
function M.verify(trust, leaf, chain, now)
  local out = ffi.new("struct moon_verification")
  local list = {}
  for i, certificate in ipairs(chain or {}) do list[i] = tls.x509(certificate.pem) end
  C.moon_trust_verify(trust, tls.x509(leaf.pem), #list > 0 and tls.stack(list) or nil, now or os.time(), out)
  assert.equal(out.error == 0, out.ok)
  if out.ok then return "OK", tonumber(out.not_before), tonumber(out.not_after), out end
  for name, number in pairs(ERRORS) do
    if number == out.error then return name, nil, nil, out end
  end
  return ffi.string(C.moon_verify_error_text(out.error)), nil, nil, out
end

--- One spec for each case: { title, what verify() is to say, function that gives its arguments }.
---@param it function of the spec's file
---@param cases table[]
function M.check(it, cases)
  for _, case in ipairs(cases) do
    local title, expected, make = case[1], case[2], case[3]
    it(("%s: %s"):format(title, expected), function()
      assert.equal(expected, (M.verify(make())))
    end)
  end
end

return M
