--- moongate.admin.document_settings — the part of a zone's document that its settings decide: TLS terms of the zone and
--- of its hostnames, and what holds for every name alike.
--
-- Called by admin/document.lua inside its transaction. Only what differs from the default is in the document. Equal terms
-- of hostnames are one shared table.

local setting = require "moongate.admin.setting"

local M = {}

-- Settings of a hostname or a zone as terms (moongate.tls_policies); nil when they say nothing about TLS.
local function terms_of(values, is_zone)
  local terms = {
    min_version = values.min_tls_version, ciphers = values.ciphers, tls_1_3 = values.tls_1_3 == "off" and "off" or nil,
  }
  if is_zone then
    if terms.min_version == setting.by_id.min_tls_version.default then terms.min_version = nil end
    if #terms.ciphers == 0 then terms.ciphers = nil end
  end
  return next(terms) and terms or nil
end

-- Hostname → its own terms.
local function terms_by_host(tx, zone_id)
  local rows = tx:all("SELECT hostname, setting, value FROM hostname_settings WHERE zone_id = ? "
    .. "AND setting IN ('ciphers', 'min_tls_version') ORDER BY hostname, setting", zone_id)
  local values, texts, shared, terms = {}, {}, {}, {}
  for _, row in ipairs(rows) do
    local name = row.hostname
    values[name] = values[name] or {}
    values[name][row.setting] = setting.decode(row.value)
    texts[name] = (texts[name] or "") .. row.setting .. row.value
  end
  for name, text in pairs(texts) do
    shared[text] = shared[text] or terms_of(values[name], false)
    terms[name] = shared[text]
  end
  return terms
end

-- What origins of the zone's hosts are told besides what is set for each host: families → the same with Cf-Cert-…. Equal
-- ones are one table.
local function adding_fields()
  local made = {}
  return function(forward)
    local key = forward or adding_fields
    if not made[key] then
      made[key] = { fields = true }
      for family, on in pairs(forward or {}) do made[key][family] = on end
    end
    return made[key]
  end
end

local function unchanged(forward) return forward end

-- Managed headers that are switched on → true.
local function managed_headers(tx, zone_id)
  local on = {}
  for _, row in ipairs(tx:all("SELECT id FROM managed_headers WHERE zone_id = ?", zone_id)) do on[row.id] = true end
  return on
end

---@class moongate.admin.served_settings
---@field tls moongate.tls_policies.Terms|nil of the zone
---@field tls_of table<string, moongate.tls_policies.Terms> hostname → its own, which go before the zone's
---@field https_only boolean|nil true: plain HTTP is sent to https://
---@field websockets boolean|nil false: no request switches to websocket
---@field true_client_ip boolean|nil true: origins are told the client's address in True-Client-IP
---@field forward_of fun(forward: table|nil): table|nil what a host's origin is told, from what is set for the host
---@field names table<string, true> that have to be among the hosts, so that they get what is set

--- Reads what the settings of a zone mean for serving it.
---@param tx table
---@param zone { id: string }
---@return moongate.admin.served_settings
function M.build(tx, zone)
  local values, names = setting.of_zone(tx, zone.id), {}
  local headers = managed_headers(tx, zone.id)
  local served = {
    tls = terms_of(values, true), tls_of = terms_by_host(tx, zone.id), names = names,
    forward_of = headers.add_client_certificate_headers and adding_fields() or unchanged,
    true_client_ip = headers.add_true_client_ip_headers,
  }
  if values.always_use_https == "on" then served.https_only = true end
  if values.websockets == "off" then served.websockets = false end
  for name in pairs(served.tls_of) do names[name] = true end
  if next(headers) or served.https_only ~= nil or served.websockets ~= nil then names["*"] = true end
  return served
end

return M
