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

-- Where the one leaf stands; else nil, the word and why.
local function position_of(list)
  local position
  for index, certificate in ipairs(list) do
    if not certificate.is_ca and position then return nil, "many_leaves", "there are two leaf certificates" end
    if not certificate.is_ca then position = index end
  end
  if not position then return nil, "no_leaf", "all of them are CA certificates" end
  if position > 1 then return nil, "no_leaf", "the leaf must be the first of the chain" end
  return position
end

--- Reads and checks a pair. The words of a failure: `unreadable`, `no_leaf`, `many_leaves`, `algorithm`, `cipher`,
--- `key`, `expired`, `private_key`, `mismatch`.
---@param context table of a request
---@param certificates string PEM
---@param private_key string PEM
---@return moongate.admin.leaf|nil
---@return string|nil word
---@return string|nil detail for people
function M.read(context, certificates, private_key)
  local list, diag = context.control.certificates(certificates)
  if not list then return nil, "unreadable", diag.text end
  local position, wrong_leaf, reason = position_of(list)
  if not position then return nil, wrong_leaf, reason end
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

--- What is sent to clients: with the bundle method `force` the text as it came, else each certificate followed by the
--- one that issued it, up to the root, which clients have.
---@param context table of a request
---@param pem string that read() has accepted
---@param method string
---@return string|nil chain PEM
---@return string|nil reason why they are no chain
function M.chain(context, pem, method)
  if method == "force" then return pem end
  local list = context.control.certificates(pem)
  local blocks = {}
  for block in ("\n" .. pem:gsub("\r", "")):gmatch("\n(%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-.-"
      .. "\n%-%-%-%-%-END CERTIFICATE%-%-%-%-%-)") do
    blocks[#blocks + 1] = block
  end
  local chain, current, left = { blocks[1] }, list[1], #list - 1
  local used = { true }
  while left > 0 do
    local next_index
    for index, certificate in ipairs(list) do
      if not used[index] and certificate.subject == current.issuer then next_index = next_index or index end
    end
    if not next_index then return nil, "a certificate of it has issued none of the others" end
    if list[next_index].self_issued then return nil, "it holds the root, which clients must have anyway" end
    used[next_index], current, left = true, list[next_index], left - 1
    chain[#chain + 1] = blocks[next_index]
  end
  return table.concat(chain, "\n") .. "\n"
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
