--- moongate.admin.cipher — the cipher suites that settings choose from: which there are, and which certificates they
--- work with.
--
-- The names are the API's, which core/tls/ciphers.h reads. A choice that no uploaded certificate of a name works with
-- leaves the name nothing but TLS 1.3, whose suites go with every certificate; where that is off, the rehearsal refuses.
-- The local CA makes certificates that work with whatever is chosen.

local json = require "moongate.json"

local M = {}

-- Those of TLS 1.3 cannot be chosen.
local KNOWN = {}
for name in ([[
  ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-CHACHA20-POLY1305
  ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256
  ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA
  AES128-GCM-SHA256 AES128-SHA256 AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES256-SHA DES-CBC3-SHA
]]):gmatch("%S+") do
  KNOWN[name] = true
end

-- The API has it, the TLS library has not.
local GONE = "DES-CBC3-SHA"

--- Why a name cannot be chosen; nil when it can.
---@param name string
---@return string|nil reason
function M.mistake(name)
  if KNOWN[name] then return nil end
  if name:find("^AEAD%-") then
    return "the cipher suites of TLS 1.3 cannot be chosen; tls_1_3 and min_tls_version decide about them"
  end
  return ('"%s" is no cipher suite that is known here'):format(name:sub(1, 64))
end

--- Does one of the suites work with a certificate of this kind of key?
---@param names string[]
---@param kind string `EC` or `RSA`
---@return boolean
function M.fits(names, kind)
  for _, name in ipairs(names) do
    local needs = name:find("^ECDHE%-ECDSA%-") and "EC" or "RSA"
    if needs == kind and name ~= GONE then return true end
  end
  return false
end

--- A name that uploaded certificates of a zone cover, none of which works with any of the suites.
---@param tx table
---@param zone_id string
---@param names string[] suites; none: whatever is chosen by default, which fits
---@param hostname string|nil look at this one only
---@return string|nil
function M.misfit(tx, zone_id, names, hostname)
  if #names == 0 then return nil end
  local fits, covered = {}, {}
  for _, row in ipairs(tx:all("SELECT hosts, kind FROM custom_certificates WHERE zone_id = ? AND deploy = 'production' "
      .. "ORDER BY priority DESC, uploaded_on DESC, id", zone_id)) do
    for _, host in ipairs(json.decode(row.hosts)) do
      covered[#covered + 1] = host
      fits[host] = fits[host] or M.fits(names, row.kind)
    end
  end
  for _, host in ipairs(covered) do
    if not fits[host] and (not hostname or host == hostname) then return host end
  end
end

return M
