--- moongate.admin.custom_origin — hostnames of a zone that other hostnames may have as their origin: custom origin
--- servers and fallback origins.
--
-- Called by the resources of custom hostnames, inside their transaction. Such a name has an origin in the zone: a
-- proxied DNS record, or one that was set for it or for its wildcard. Where requests go in the end is decided when the
-- document is built (moongate.admin.document_guests).

local address = require "moongate.admin.address"
local check = require "moongate.admin.check"

local M = {}

--- Stands for the hostname of each request.
M.REQUEST_HOST = ":request_host_header:"

local function has_origin(tx, zone_id, name)
  local wildcard = "*." .. (name:match("^[^.]+%.(.+)$") or "")
  return tx:one("SELECT 1 AS one FROM dns_records WHERE zone_id = ? AND proxied = 1 AND hostname IN (?, ?) "
    .. "UNION ALL SELECT 1 FROM origins WHERE zone_id = ? AND hostname IN (?, ?) LIMIT 1", zone_id, name, wildcard,
    zone_id, name, wildcard) ~= nil
end

--- Reads the name of an origin. The words of a failure: `ascii`, `wildcard`, `invalid`, `unreadable`, `record`.
---@param tx table
---@param zone { id: string, name: string }
---@param text any decoded JSON
---@return string|nil name in stored form
---@return string|nil word
---@return string|nil detail for people
function M.read(tx, zone, text)
  if type(text) ~= "string" then return nil, "invalid", "a string is required" end
  if text:find("[\128-\255]") then return nil, "ascii", "write international names in their xn-- form" end
  if text:find("*", 1, true) then return nil, "wildcard", "a wildcard is not possible" end
  if address.read(text) then return nil, "invalid", "it is an address, not a hostname" end
  local name, reason = check.hostname(text)
  if not name then return nil, "unreadable", reason end
  if not check.is_within(name, zone.name) then return nil, "record", "it is not in the zone " .. zone.name end
  if not has_origin(tx, zone.id, name) then
    return nil, "record", "it has no proxied A, AAAA or CNAME record and no origin in the zone"
  end
  return name
end

--- Reads the name that TLS toward an origin is to ask for.
---@param zone { name: string }
---@param text any decoded JSON
---@param server string|nil the custom origin server
---@return string|nil name in stored form, or REQUEST_HOST
---@return string|nil word
---@return string|nil detail
function M.read_sni(zone, text, server)
  if text == M.REQUEST_HOST then return text end
  if type(text) ~= "string" then return nil, "invalid", "a string is required" end
  local name, reason = check.hostname(text)
  if not name then return nil, "unreadable", reason end
  if name ~= server and not check.is_within(name, zone.name) then
    return nil, "invalid", ("expected a name in the zone %s, the custom origin server, or %s"):format(zone.name,
      M.REQUEST_HOST)
  end
  return name
end

return M
