--- moongate.admin.document_trust — the part of a zone's document about its clients: which CAs each hostname trusts, and
--- what is revoked under them.
--
-- Called by admin/document.lua inside its transaction. A hostname may have uploaded CAs, the managed one of the account
-- and those of Access; a certificate of any of them verifies. Equal lists are one shared table.

local M = {}

-- hostname → ids of CAs, those that are tried first in front: the ones deployed most recently.
local function ids_by_host(tx, zone_id)
  local rows = tx:all("SELECT a.hostname AS hostname, a.certificate_id AS id, "
    .. "COALESCE(c.uploaded_on, m.created_on) AS since FROM hostname_associations a "
    .. "LEFT JOIN mtls_certificates c ON c.id = a.certificate_id "
    .. "LEFT JOIN managed_cas m ON m.id = a.certificate_id WHERE a.zone_id = ? "
    .. "UNION ALL SELECT h.hostname, h.certificate_id, x.created_on FROM access_hostnames h "
    .. "JOIN access_certificates x ON x.id = h.certificate_id WHERE h.zone_id = ? "
    .. "ORDER BY 1, 3 DESC, 2", zone_id, zone_id)
  local ids = {}
  for _, row in ipairs(rows) do
    local list = ids[row.hostname] or {}
    list[#list + 1] = row.id
    ids[row.hostname] = list
  end
  return ids
end

local function pems_by_id(tx, zone_id)
  local pems = {}
  for _, row in ipairs(tx:all("SELECT id, certificates AS pem FROM mtls_certificates WHERE id IN "
      .. "(SELECT certificate_id FROM hostname_associations WHERE zone_id = ?) "
      .. "UNION ALL SELECT id, certificate FROM managed_cas WHERE id IN "
      .. "(SELECT certificate_id FROM hostname_associations WHERE zone_id = ?) "
      .. "UNION ALL SELECT id, certificate FROM access_certificates WHERE id IN "
      .. "(SELECT certificate_id FROM access_hostnames WHERE zone_id = ?)", zone_id, zone_id, zone_id)) do
    pems[row.id] = row.pem
  end
  return pems
end

local OF_ZONE = "IN (SELECT certificate_id FROM hostname_associations WHERE zone_id = ?)"

-- What is revoked under the managed CA and denied under uploaded ones, when the zone has hostnames with them.
local function denials_of(tx, zone_id)
  local denials = {}
  for _, row in ipairs(tx:all("SELECT m.fingerprint AS ca, r.serial_number AS serial FROM managed_revocations r "
      .. "JOIN managed_cas m ON m.id = r.ca_id WHERE m.id " .. OF_ZONE .. " UNION ALL "
      .. "SELECT i.sha256, d.value FROM certificate_denials d JOIN certificate_denial_issuers i "
      .. "ON i.certificate_id = d.certificate_id WHERE d.kind = 'serial' AND d.certificate_id " .. OF_ZONE
      .. " ORDER BY 1, 2", zone_id, zone_id)) do
    denials[#denials + 1] = { ca = row.ca, serial = "0x" .. row.serial }
  end
  for _, row in ipairs(tx:all("SELECT DISTINCT value FROM certificate_denials WHERE kind = 'sha256' "
      .. "AND certificate_id " .. OF_ZONE .. " ORDER BY value", zone_id)) do
    denials[#denials + 1] = { sha256 = row.value }
  end
  return denials
end

-- The revocation lists of the CAs that the zone has hostnames with.
local function lists_of(tx, zone_id)
  local lists = {}
  for index, row in ipairs(tx:all("SELECT c.certificates AS ca, l.list AS list, l.digest AS digest, l.soft AS soft FROM revocation_lists l "
      .. "JOIN mtls_certificates c ON c.id = l.certificate_id WHERE l.certificate_id " .. OF_ZONE
      .. " ORDER BY l.certificate_id", zone_id)) do
    lists[index] = { ca = row.ca, text = row.list, digest = row.digest, soft = row.soft == 1 }
  end
  return lists
end

--- Reads what a zone's hostnames trust.
---@param tx table
---@param zone { id: string }
---@return table<string, string[]> trust hostname → PEM texts
---@return table|nil options moongate.trust_sets.Options of the whole zone
function M.build(tx, zone)
  local pems, shared, trust = pems_by_id(tx, zone.id), {}, {}
  for hostname, list in pairs(ids_by_host(tx, zone.id)) do
    local key = table.concat(list, " ")
    if not shared[key] then
      local texts = {}
      for index, id in ipairs(list) do texts[index] = pems[id] end
      shared[key] = texts
    end
    trust[hostname] = shared[key]
  end
  local lists, denials = lists_of(tx, zone.id), denials_of(tx, zone.id)
  if not lists[1] and not denials[1] then return trust end
  return trust, { crls = lists[1] and lists, denials = denials[1] and denials }
end

return M
