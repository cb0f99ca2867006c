-- moongate.tls_policies: the TLS terms of hostnames as handles of the core (core/tls/policy.h): versions, ciphers,
-- server certificates.
--
-- Called by moongate.control when it builds a section, on the control thread. Terms are those of the API (admin-api:
-- zone settings, settings of hostnames and custom hostnames). Equal terms are built once and shared while somebody
-- holds them. Where there is no uploaded certificate, the local CA issues one. No private key is ever in the open
-- here.

local bridge = require "moongate.ffi"
local reach = require "moongate.reach"
local secrets = require "moongate.secrets"

local C, ffi = bridge.C, bridge.ffi
local diag, refusal, refused, view, views = reach.diag, reach.refusal, reach.refused, reach.view, reach.views

local M = {}

local REISSUE_SECONDS = 90 * 86400 -- a certificate of the local CA lives 397 days; one that is built anew is younger

---@class moongate.tls_policies.Identity
---@field certificates string  PEM, leaf first
---@field private_key string   sealed
---@field context string       what it was sealed with
---@field plain_key string|nil  instead of both: the key in PEM, for who has no store to keep it sealed in

---@class moongate.tls_policies.Terms  every member may be absent
---@field min_version string  "1.0" to "1.3"; what is below 1.2 is served as 1.2, for nothing older is spoken
---@field tls_1_3 string      "off", or anything else for on
---@field ciphers string[]    names of the API (core/tls/ciphers.h); none: the default
---@field strict_sni boolean  refuse handshakes under names that the certificates do not cover
---@field identities moongate.tls_policies.Identity[]  one, or two with different types of keys

---@class moongate.tls_policies.Policy
---@field handle ffi.cdata*
---@field issued number  when; UNIX seconds

-- What the API's versions mean to us.
local VERSIONS = { ["1.0"] = 0x0303, ["1.1"] = 0x0303, ["1.2"] = 0x0303, ["1.3"] = 0x0304 }

local policies = setmetatable({}, { __mode = "v" }) -- digest of the content → Policy

local function digest(text)
  local bytes = ffi.new("unsigned char[32]")
  C.moon_ffi_sha256(bytes, text, #text)
  return ffi.string(bytes, 32)
end

-- Everything that makes two policies differ. The order of ciphers does not.
local function key_of(terms, names)
  local ciphers = {}
  for i, name in ipairs(terms.ciphers or {}) do ciphers[i] = name end
  table.sort(ciphers)
  local parts = {
    tostring(VERSIONS[terms.min_version or "1.0"]), terms.tls_1_3 == "off" and "off" or "on",
    terms.strict_sni and "strict" or "", table.concat(ciphers, ":"),
  }
  if not terms.identities or #terms.identities == 0 then
    parts[#parts + 1] = table.concat(names, ",")
  end
  for _, identity in ipairs(terms.identities or {}) do
    parts[#parts + 1] = digest(identity.certificates) .. digest(identity.private_key or "") .. (identity.context or "")
      .. (identity.plain_key and digest(identity.plain_key) or "")
  end
  return digest(table.concat(parts, "\0"))
end

local function set_identity(target, identity)
  if not identity then return end
  target.certificates = view(identity.certificates)
  target.sealed, target.context = view(identity.private_key or ""), view(identity.context or "")
  target.plain = view(identity.plain_key or "")
end

local function build(control, terms, names)
  local version = VERSIONS[terms.min_version or "1.0"]
  if not version then
    return refusal("min_version", ('"%s" is no version of TLS that is known here'):format(tostring(terms.min_version)))
  end
  local identities = terms.identities or {}
  if #identities > 2 then
    return refusal("certificates", "at most two certificates, with keys of different types")
  end
  local target = ffi.new("struct moon_ffi_terms")
  local ciphers, kept_ciphers = views(terms.ciphers or {})
  local texts, kept_names = views(names)
  target.min_version, target.max_version = version, terms.tls_1_3 == "off" and 0x0303 or 0
  target.ciphers, target.cipher_count = ciphers, #kept_ciphers
  target.names, target.name_count = texts, #kept_names
  target.strict_name = terms.strict_sni == true
  set_identity(target.identity, identities[1])
  set_identity(target.second, identities[2])
  local out = ffi.new("struct moon_tls_policy *[1]")
  if C.moon_ffi_policy_build(out, control, target, secrets.ring(), diag) ~= 0 then
    return refused()
  end
  return ffi.gc(out[0], C.moon_ffi_policy_free)
end

--- A policy of these terms; the same one as long as somebody holds it and its certificate is young.
---@param control ffi.cdata*  struct moon_control *
---@param terms moongate.tls_policies.Terms
---@param names string[]  what the local CA's certificate is for when there is no other; at least one
---@return moongate.tls_policies.Policy|nil
---@return moongate.control.Diagnostic|nil
function M.of(control, terms, names)
  local key, now = key_of(terms, names), C.moon_ffi_now()
  local known = policies[key]
  if known and now - known.issued < REISSUE_SECONDS then
    return known
  end
  local handle, err = build(control, terms, names)
  if not handle then
    return nil, err
  end
  known = { handle = handle, issued = now }
  policies[key] = known
  return known
end

--- Terms with those of a hostname in front.
---@param zone moongate.tls_policies.Terms|nil
---@param host moongate.tls_policies.Terms|nil
---@return moongate.tls_policies.Terms
function M.merge(zone, host)
  if not host then return zone or {} end
  local merged = {}
  for name, value in pairs(zone or {}) do merged[name] = value end
  for name, value in pairs(host) do merged[name] = value end
  return merged
end

return M
