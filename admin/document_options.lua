--- moongate.admin.document_options — the part of a zone's document about how clients of a name are treated beyond which
--- CA they need.
--
-- Called by admin/document.lua inside its transaction. Options are kept for names and wildcards
-- (admin/resources/hostname_options.lua); the more specific ones count whole. What Access says about forwarding is added
-- to them. Equal ones are one shared table.

local M = {}

local FORWARD = { "cloudflare", "fields", "rfc9440", "xfcc" }

-- Name → row.
local function rows_of(tx, zone_id)
  local rows = {}
  for _, row in ipairs(tx:all("SELECT hostname, usage, resumption, forward_cloudflare, forward_fields, "
      .. "forward_rfc9440, forward_xfcc, strict_sni FROM hostname_options WHERE zone_id = ?", zone_id)) do
    rows[row.hostname] = row
  end
  return rows
end

-- Hostnames whose origin is told about the client's certificate, by the settings of Access.
local function forwarded_by_access(tx, zone_id)
  local names = {}
  for _, row in ipairs(tx:all("SELECT hostname FROM access_settings WHERE zone_id = ? AND forwarding = 1", zone_id)) do
    names[row.hostname] = true
  end
  return names
end

---@class moongate.admin.host_options every member may be absent
---@field forward table<string, true>|nil what the origin is told of clients' certificates: any of FORWARD
---@field resumption boolean|nil false: no session is kept or taken
---@field strict_sni boolean|nil true: answered under this very name only
---@field usage string|nil `warn` or `ignore`: of a certificate that is not meant for clients

local NONE = {}

local function options_of(row, access)
  row = row or NONE
  local forward = access and { cloudflare = true } or {}
  for _, name in ipairs(FORWARD) do
    if row["forward_" .. name] == 1 then forward[name] = true end
  end
  local options = { forward = next(forward) and forward or nil, strict_sni = row.strict_sni == 1 or nil }
  if row.resumption == 0 then options.resumption = false end
  if row.usage ~= "require" then options.usage = row.usage end
  return options
end

--- Reads the options of a zone's names.
---@param tx table
---@param zone { id: string }
---@return table<string, true> names that have something of their own
---@return fun(name: string): moongate.admin.host_options of any name of the zone
function M.build(tx, zone)
  local rows, access = rows_of(tx, zone.id), forwarded_by_access(tx, zone.id)
  local names, made = {}, {}
  for _, set in ipairs { rows, access } do
    for name in pairs(set) do names[name] = true end
  end
  return names, function(name)
    local parent = name:sub(1, 1) ~= "*" and name:match("^[^.]+%.(.+)$")
    local row = rows[name] or (parent and rows["*." .. parent]) or NONE
    if row == NONE and not access[name] then return NONE end
    made[row] = made[row] or {}
    local told = access[name] == true
    made[row][told] = made[row][told] or options_of(row, told)
    return made[row][told]
  end
end

return M
