--- moongate.admin.document_dns — the part of a zone's document that DNS records make: hostname → origin.
--
-- Called by admin/document_origins.lua inside its transaction. Only proxied records give an origin; a CNAME is followed
-- through the records of its own zone first, proxied or not, and what lies outside is looked up by the workers. How
-- origins are spoken to follows from the zone's `ssl` setting. Equal origins are one shared table.

local json = require "moongate.json"
local origin_mode = require "moongate.admin.origin_mode"
local setting = require "moongate.admin.setting"

local M = {}

local HOPS = 8 -- of CNAMEs

-- hostname → { addresses, cname | nil, proxied }
local function records_of(tx, zone_id)
  local records = {}
  for _, row in ipairs(tx:all("SELECT hostname, type, content, proxied FROM dns_records WHERE zone_id = ? "
      .. "AND type <> 'TXT' ORDER BY hostname, created_on, id", zone_id)) do
    local record = records[row.hostname] or { addresses = {} }
    records[row.hostname] = record
    if row.type == "CNAME" then record.cname = row.content else table.insert(record.addresses, row.content) end
    record.proxied = record.proxied or row.proxied == 1
  end
  return records
end

local function find(records, name)
  local parent = name:match("^[^.]+%.(.+)$")
  return records[name] or (parent and records["*." .. parent])
end

-- Where a record leads: to addresses, or to a name. Nil when its CNAMEs lead nowhere.
local function target_of(records, record)
  for _ = 1, HOPS do
    if not record.cname then return record.addresses end
    local following = find(records, record.cname)
    if not following then return { record.cname } end
    record = following
  end
end

--- Reads what the DNS records of a zone say about origins.
---@param tx table
---@param zone { id: string }
---@return table<string, table> origins by hostname, a wildcard as it is written
function M.build(tx, zone)
  local records, origins, made = records_of(tx, zone.id), {}, {}
  local mode = next(records) and setting.value(tx, zone.id, "ssl")
  for hostname, record in pairs(records) do
    local addresses = record.proxied and target_of(records, record)
    if addresses then
      local key = table.concat(addresses, " ")
      if not made[key] then
        local origin = origin_mode.terms(mode, addresses[1])
        origin.addresses = addresses[2] and json.array(addresses) or nil
        made[key] = origin
      end
      origins[hostname] = made[key]
    end
  end
  return origins
end

return M
