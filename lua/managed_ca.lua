-- moongate.managed_ca: the CA that the gateway keeps for an account (core/tls/managed_ca.h): makes one, signs with it.
--
-- Called through moongate.control by the admin API, on the control thread. The CA's key is made, sealed, opened and
-- wiped in C: Lua sees it sealed only. Keeps no state but scratch rooms; what was issued is for the store to
-- remember.

local bridge = require "moongate.ffi"
local reach = require "moongate.reach"
local secrets = require "moongate.secrets"

local C, ffi = bridge.C, bridge.ffi
local diag, refusal, refused, view = reach.diag, reach.refusal, reach.refused, reach.view

local M = {}

local CERTIFICATE_BYTES = 64 * 1024 -- MOON_CERTIFICATES_BYTES of core/tls/certificate.h
local SEALED_BYTES = 96 * 1024      -- MOON_SEALED_BYTES of core/tls/keyring.h

local PARTS = {
  "serial", "ski", "common_name", "country", "state", "location", "organization", "organizational_unit",
}

local function no_keys()
  return refusal("secrets", "the keys that private keys are sealed with are not there")
end

--- Makes a CA.
---@param name string its common name, at most 64 bytes
---@param context string what its key is sealed for
---@param now number UNIX seconds
---@return { certificates: string, private_key: string, context: string }|nil  PEM and the sealed key
---@return moongate.control.Diagnostic|nil
function M.make(name, context, now)
  if not secrets.ring() then return no_keys() end
  local pem, sealed = ffi.new("char[?]", CERTIFICATE_BYTES), ffi.new("char[?]", SEALED_BYTES)
  local lengths = ffi.new("size_t[2]")
  if C.moon_ffi_managed_ca_make(secrets.ring(), view(name), view(context), now, pem, lengths, sealed, lengths + 1,
      diag) ~= 0 then
    return refused()
  end
  return { certificates = ffi.string(pem, lengths[0]), private_key = ffi.string(sealed, lengths[1]), context = context }
end

--- Signs a certificate request. What is refused is named by `where`: `csr`, `days` or `ca`.
---@param ca { certificates: string, private_key: string, context: string }
---@param csr string PEM
---@param days integer
---@param now number UNIX seconds
---@return table|nil issued  certificate (PEM), and as strings what struct moon_issued has
---@return moongate.control.Diagnostic|nil
function M.issue(ca, csr, days, now)
  if not secrets.ring() then return no_keys() end
  local identity = ffi.new("struct moon_ffi_identity")
  identity.certificates, identity.sealed = view(ca.certificates), view(ca.private_key)
  identity.context = view(ca.context)
  local issued, len = ffi.new("struct moon_issued"), ffi.new("size_t[1]")
  local pem = ffi.new("char[?]", CERTIFICATE_BYTES)
  if C.moon_ffi_managed_ca_issue(secrets.ring(), identity, view(csr), days, now, issued, pem, len, diag) ~= 0 then
    return refused()
  end
  local result = { certificate = ffi.string(pem, len[0]) }
  for _, part in ipairs(PARTS) do result[part] = ffi.string(issued[part]) end
  return result
end

return M
