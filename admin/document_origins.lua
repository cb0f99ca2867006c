--- moongate.admin.document_origins — the part of a zone's document about origins: where the requests of each name go,
--- and which certificate is presented there.
--
-- Called by admin/document.lua inside its transaction. An origin that somebody has named for a name goes before what DNS
-- records say about the same name (moongate.admin.document_dns). Toward an origin over TLS the certificate of the very hostname
-- goes before the one that the origin itself names, that before the zone's, and that before the gateway's own, for
-- zones that have it switched on (authenticated origin pulls). Equal origins are one shared table.

local document_dns = require "moongate.admin.document_dns"
local secrets = require "moongate.admin.secrets"
local setting = require "moongate.admin.setting"

local M = {}

-- SQL that gives id, certificates and private_key → id → what is presented.
local function identities(tx, table_name, sql, ...)
  local list = {}
  for _, row in ipairs(tx:all(sql, ...)) do
    list[row.id] = secrets.identity(table_name, row.id, row.certificates, row.private_key)
  end
  return list
end

local function origins_by_pattern(tx, zone_id)
  local presented = identities(tx, "mtls_certificates", "SELECT id, certificates, private_key FROM mtls_certificates "
    .. "WHERE id IN (SELECT client_certificate_id FROM origins WHERE zone_id = ?)", zone_id)
  local origins = {}
  local rows = tx:all("SELECT hostname, url, host_header, sni, verify, ca, client_certificate_id FROM origins "
    .. "WHERE zone_id = ?", zone_id)
  for _, row in ipairs(rows) do
    origins[row.hostname] = {
      url = row.url, host_header = row.host_header, sni = row.sni, verify = row.verify == 1, ca = row.ca,
      client_certificate = presented[row.client_certificate_id],
    }
  end
  return origins
end

-- Hostname → what is presented for it.
local function pulls_by_host(tx, zone_id)
  local presented = identities(tx, "origin_pull_certificates", "SELECT id, certificate AS certificates, private_key "
    .. "FROM origin_pull_certificates WHERE zone_id = ? AND scope = 'hostname'", zone_id)
  local pulls = {}
  for _, row in ipairs(tx:all("SELECT hostname, certificate_id FROM origin_pull_hostnames WHERE zone_id = ? "
      .. "AND enabled = 1", zone_id)) do
    pulls[row.hostname] = presented[row.certificate_id]
  end
  return pulls
end

-- What is presented for the whole zone: of several the one that was deployed last.
local function pull_of_zone(tx, zone_id)
  if not tx:one("SELECT 1 AS one FROM origin_pull_settings WHERE zone_id = ? AND enabled = 1", zone_id) then
    return nil
  end
  local row = tx:one("SELECT id, certificate, private_key FROM origin_pull_certificates WHERE zone_id = ? "
    .. "AND scope = 'zone' ORDER BY uploaded_on DESC, id LIMIT 1", zone_id)
  return row and secrets.identity("origin_pull_certificates", row.id, row.certificate, row.private_key)
end

--- The origin of a name: its own, that of a wildcard one label above, that of the whole zone.
---@param origins table<string, table>
---@param name string a hostname, or `*.` and one, or `*`
---@return table|nil
function M.origin_for(origins, name)
  if origins[name] then return origins[name] end
  local parent = name:sub(1, 1) ~= "*" and name:match("^[^.]+%.(.+)$")
  return parent and origins["*." .. parent] or origins["*"]
end

-- Stands for the gateway's own certificate, which is in no store.
local SHARED = {}

-- The same origin with another certificate; one table for each pair.
local function presenter()
  local made = {}
  return function(origin, client)
    made[origin] = made[origin] or {}
    if not made[origin][client] then
      local copy = {}
      for key, value in pairs(origin) do copy[key] = value end
      if client == SHARED then copy.shared_client = true else copy.client_certificate = client end
      made[origin][client] = copy
    end
    return made[origin][client]
  end
end

--- Reads the origins of a zone.
---@param tx table
---@param zone { id: string }
---@return table<string, true> names that have something of their own
---@return fun(name: string): table|nil origin_of the origin of any name of the zone, as the core gets it
function M.build(tx, zone)
  local origins, pulls, of_zone = origins_by_pattern(tx, zone.id), pulls_by_host(tx, zone.id), pull_of_zone(tx, zone.id)
  for name, origin in pairs(document_dns.build(tx, zone)) do origins[name] = origins[name] or origin end
  local shared = setting.value(tx, zone.id, "tls_client_auth") == "on" and SHARED or nil
  local names, with = {}, presenter()
  for _, set in ipairs { origins, pulls } do
    for name in pairs(set) do names[name] = true end
  end
  return names, function(name)
    local origin = M.origin_for(origins, name)
    if not origin then return nil end
    local client = pulls[name] or origin.client_certificate or of_zone or shared
    if client == origin.client_certificate or origin.url:sub(1, 8) ~= "https://" then return origin end
    return with(origin, client)
  end
end

return M
