--- moongate.admin.leaf — reads an uploaded leaf certificate with its chain and its private key, for every resource that
--- keeps such a pair to present it.
--
-- The checks are one list in one order, and each failing one has a word; the resource says which error of its own
-- section that word is. Reads only: nothing is stored, and no message repeats a word of a key.

local stamp = require "moongate.admin.stamp"

local M = {}

-- What no client or server of today accepts as a signature (SHA-1 is refused from security level 2 on).
local OLD_SIGNATURES = { SHA1WithRSA = true, ECDSAWithSHA1 = true }

---@class moongate.admin.leaf
---@field certificates string as they came
---@field list table[] every certificate (moongate.control.certificates)
---@field first table the leaf
---@field kind string of its key: `EC` or `RSA`
---@field fingerprint string SHA-256 of the leaf

local function check_one(certificate, index, now)
  local shown = ("certificate %d (%s)"):format(index, certificate.subject)
  local counts = not (certificate.is_ca and certificate.self_issued) -- nobody checks how a root signed itself
  if counts and (not certificate.signature_allowed or OLD_SIGNATURES[certificate.signature]) then
    return "algorithm", ("%s is signed with %s"):format(shown, certificate.signature)
  end
  if not certificate.key:find("^RSA ") and not certificate.key:find("^EC ") then
    return "cipher", ("%s has a key of the kind %s; RSA and EC are possible"):format(shown, certificate.key)
  end
  if not certificate.key_allowed then
    return "key", ("%s has the key %s; RSA from 2048 bits, P-256, P-384 and P-521 are possible"):format(shown,
      certificate.key)
  end
  if certificate.not_after <= now then
    return "expired", ("%s has expired: it ended at %s"):format(shown, stamp.seconds(certificate.not_after))
  end
end

-- Where the one leaf stands.
local function position_of(list)
  local position
  for index, certificate in ipairs(list) do
    if not certificate.is_ca and position then return nil, "there are two leaf certificates" end
    if not certificate.is_ca then position = index end
  end
  if not position then return nil, "all of them are CA certificates" end
  return position
end

--- Reads and checks a pair. The words of a failure: `unreadable`, `no_leaf`, `algorithm`, `cipher`, `key`, `expired`,
--- `private_key`, `mismatch`.
---@param context table of a request
---@param certificates string PEM
---@param private_key string PEM
---@return moongate.admin.leaf|nil
---@return string|nil word
---@return string|nil detail for people
function M.read(context, certificates, private_key)
  local list, diag = context.control.certificates(certificates)
  if not list then return nil, "unreadable", diag.text end
  local position, reason = position_of(list)
  if not position then return nil, "no_leaf", reason end
  if position > 1 then return nil, "no_leaf", "the leaf must be the first of the chain" end
  for index, certificate in ipairs(list) do
    local word, detail = check_one(certificate, index, context.now)
    if word then return nil, word, detail end
  end
  local ok, wrong = context.control.match_key(certificates, private_key)
  if not ok then return nil, wrong.where == "match" and "mismatch" or "private_key", wrong.text end
  local first = list[1]
  return {
    certificates = certificates, list = list, first = first, kind = first.key:match("^%a+"), fingerprint = first.sha256,
  }
end

--- The issuer as people call it: its organisation, else its common name, else the whole name.
---@param dn string as certificates() gives it: comma-separated, RFC 2253 escaping
---@return string
function M.issuer_name(dn)
  local values = {}
  -- An escaped comma is no end of a part.
  for part in (dn:gsub("\\,", "\1") .. ","):gmatch("([^,]*),") do
    local name, value = part:match("^(%u+)=(.*)$")
    if name then values[name] = values[name] or value:gsub("\1", ","):gsub("\\(%W)", "%1") end
  end
  return values.O or values.CN or dn
end

return M
