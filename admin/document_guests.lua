--- moongate.admin.document_guests — the part of a zone's document about its custom hostnames: names of other domains
--- with their certificates, TLS terms and origins.
--
-- Called by admin/document.lua inside its transaction. Only what is served stands here. Settings hold for the hostname
-- itself; names under a wildcard have the zone's values. Equal origins and terms are one shared table each.

local custom_hostname = require "moongate.admin.custom_hostname"
local custom_origin = require "moongate.admin.custom_origin"
local json = require "moongate.json"
local secrets = require "moongate.admin.secrets"

local M = {}

-- ---- origins ----

-- The origin under another name for TLS: each request's own, or a fixed one. One table for each.
local function renamer()
  local made = {}
  return function(origin, sni)
    made[origin] = made[origin] or {}
    local key = sni or custom_origin.REQUEST_HOST
    if not made[origin][key] then
      local copy = {}
      for name, value in pairs(origin) do copy[name] = value end
      copy.request_name, copy.sni = not sni or nil, sni
      made[origin][key] = copy
    end
    return made[origin][key]
  end
end

-- Where requests go. An origin that the operator has set says itself how it is spoken to, as long as the hostname does
-- not name another SNI; one that comes from DNS records is asked for the custom origin server by its name.
local function origin_for(row, below, target, rename)
  if not target or target.url:sub(1, 8) ~= "https://" then return target end
  local sni = not below and row.custom_origin_sni
  if sni then return rename(target, sni ~= custom_origin.REQUEST_HOST and sni or nil) end
  if target.request_name and row.custom_origin_server then return rename(target, row.custom_origin_server) end
  return target
end

-- ---- TLS ----

-- Hostname's id → its certificates, in order.
local function certificates_of(tx, zone_id)
  local certificates = {}
  for _, row in ipairs(tx:all("SELECT c.id AS id, c.custom_hostname_id AS owner, c.chain AS chain, "
      .. "c.private_key AS private_key, c.covers_wildcard AS covers_wildcard FROM custom_hostname_certificates c "
      .. "JOIN custom_hostnames h ON h.id = c.custom_hostname_id WHERE h.zone_id = ? AND h.served = 1 "
      .. "ORDER BY c.custom_hostname_id, c.position", zone_id)) do
    local list = certificates[row.owner] or {}
    certificates[row.owner] = list
    list[#list + 1] = {
      covers_wildcard = row.covers_wildcard == 1,
      identity = secrets.identity(custom_hostname.CERTIFICATES, row.id, row.chain, row.private_key),
    }
  end
  return certificates
end

local function identities_of(list, below)
  local identities = {}
  for _, one in ipairs(list or {}) do
    if not below or one.covers_wildcard then identities[#identities + 1] = one.identity end
  end
  return identities[1] and identities or nil
end

-- Terms without certificates, shared among hostnames with equal settings.
local function terms_reader()
  local made = {}
  return function(text)
    if made[text] == nil then
      local settings = json.decode(text)
      local terms = {
        min_version = settings.min_tls_version, tls_1_3 = settings.tls_1_3,
        ciphers = settings.ciphers and #settings.ciphers > 0 and settings.ciphers or nil,
      }
      made[text] = next(terms) and terms or false
    end
    return made[text] or nil
  end
end

local function with_identities(terms, identities)
  if not identities then return terms end
  local own = { identities = identities }
  for name, value in pairs(terms or {}) do own[name] = value end
  return own
end

-- ---- the whole ----

---@class moongate.admin.guest
---@field origin table|nil as in a document
---@field tls table|nil as in a document
---@field metadata string|nil JSON

--- Reads the custom hostnames that a zone serves.
---@param tx table
---@param zone { id: string }
---@param origin_of fun(name: string): table|nil the origin of a name of the zone
---@return table<string, moongate.admin.guest> guests by name, wildcards as they are written
function M.build(tx, zone, origin_of)
  local rows = tx:all("SELECT id, hostname, custom_metadata, custom_origin_server, custom_origin_sni, wildcard, "
    .. "settings FROM custom_hostnames WHERE zone_id = ? AND served = 1", zone.id)
  local guests = {}
  if not rows[1] then return guests end
  local fallback = tx:one("SELECT origin FROM custom_hostname_fallbacks WHERE zone_id = ?", zone.id)
  local certificates, terms_of, rename = certificates_of(tx, zone.id), terms_reader(), renamer()
  for _, row in ipairs(rows) do
    local named = row.custom_origin_server or fallback and fallback.origin
    local target = named and origin_of(named)
    guests[row.hostname] = {
      origin = origin_for(row, false, target, rename),
      tls = with_identities(terms_of(row.settings), identities_of(certificates[row.id], false)),
      metadata = row.custom_metadata,
    }
    if row.wildcard == 1 then
      guests["*." .. row.hostname] = {
        origin = origin_for(row, true, target, rename),
        tls = with_identities(nil, identities_of(certificates[row.id], true)),
      }
    end
  end
  return guests
end

return M
