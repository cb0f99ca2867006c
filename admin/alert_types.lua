--- moongate.admin.alert_types — what can be told to whom: the types of notifications, and which certificates each of
--- them watches.
--
-- The names are those of the API's clients. A type without `sql` is accepted, since clients may have policies of it,
-- but nothing of it ever happens here. The statements give the certificates of one account that expire in a stretch of
-- time and of which a policy has not been told yet; admin/alerts.lua runs them. Pure but for a transaction that is
-- handed in.

local json = require "moongate.json"

local M = {}

local PRODUCT = "SSL/TLS"
M.AT_ONCE = 100 -- certificates that a statement gives
local NAMES_SHOWN = 20

-- Parameters: account, from, to, policy, days.
local function expiring(columns, source)
  return ("SELECT c.id AS id, c.expires_on AS expires_on, %s FROM %s AND c.expires_on > ? AND c.expires_on <= ? "
    .. "AND NOT EXISTS (SELECT 1 FROM alert_notices n WHERE n.policy_id = ? AND n.certificate_id = c.id "
    .. "AND n.expires_on = c.expires_on AND n.days = ?) ORDER BY c.expires_on, c.id LIMIT %d")
    :format(columns, source, M.AT_ONCE)
end

local OF_ZONE = "z.id AS zone_id, z.name AS zone_name"

local function origin_pulls(scope)
  return expiring("'' AS name, " .. OF_ZONE, "origin_pull_certificates c JOIN zones z ON z.id = c.zone_id "
    .. "WHERE c.scope = '" .. scope .. "' AND z.account_id = ?")
end

local function named_by(table_name)
  return "SELECT DISTINCT hostname FROM " .. table_name .. " WHERE certificate_id = ? ORDER BY hostname LIMIT "
    .. NAMES_SHOWN + 1
end

---@class moongate.admin.alert_type
---@field type string
---@field display_name string
---@field description string
---@field subject string|nil what expires, in words
---@field sql string|nil gives id, name, expires_on, zone_id, zone_name; parameters: account, from, to, policy, days
---@field hostnames_sql string|nil gives the hostnames of a certificate
---@field hosts_column boolean|nil the statement gives `hosts`, a JSON array, instead

---@type moongate.admin.alert_type[]
M.list = {
  {
    type = "mtls_certificate_store_certificate_expiration_type",
    display_name = "mTLS Certificate Store Certificate Expiration Alert",
    description = "A CA or a client certificate that was uploaded expires in 30 days, and again in 14 days.",
    subject = "uploaded certificate",
    sql = expiring("COALESCE(c.name, '') AS name, '' AS zone_id, '' AS zone_name",
      "mtls_certificates c WHERE c.account_id = ?"),
    hostnames_sql = named_by "hostname_associations",
  }, {
    type = "access_custom_certificate_expiration_type",
    display_name = "Access mTLS Certificate Expiration Alert",
    description = "A CA of Access expires in 30 days, and again in 14 days.",
    subject = "CA of Access",
    sql = expiring("c.name AS name, COALESCE(z.id, '') AS zone_id, COALESCE(z.name, '') AS zone_name",
      "access_certificates c LEFT JOIN zones z ON z.id = c.zone_id WHERE c.account_id = ?"),
    hostnames_sql = named_by "access_hostnames",
  }, {
    type = "hostname_aop_custom_certificate_expiration_type",
    display_name = "Hostname-level Authenticated Origin Pulls Certificate Expiration Alert",
    description = "A certificate that is shown to origins of hostnames expires in 30 days, and again in 14 days.",
    subject = "certificate for authenticated origin pulls of hostnames",
    sql = origin_pulls "hostname",
    hostnames_sql = named_by "origin_pull_hostnames",
  }, {
    type = "zone_aop_custom_certificate_expiration_type",
    display_name = "Zone-level Authenticated Origin Pulls Certificate Expiration Alert",
    description = "A certificate that is shown to origins of a zone expires in 30 days, and again in 14 days.",
    subject = "certificate for authenticated origin pulls of a zone",
    sql = origin_pulls "zone",
  }, {
    type = "dedicated_ssl_certificate_event_type",
    display_name = "Advanced Certificate Alert",
    description = "A custom certificate, which servers present, expires in 30 days, and again in 14 days.",
    subject = "server certificate",
    sql = expiring("'' AS name, c.hosts AS hosts, " .. OF_ZONE, "custom_certificates c JOIN zones z "
      .. "ON z.id = c.zone_id WHERE c.deploy = 'production' AND z.account_id = ?"),
    hosts_column = true,
  }, {
    type = "custom_ssl_certificate_event_type",
    display_name = "SSL for SaaS Custom Hostnames Alert",
    description = "A custom certificate of a custom hostname expires in 30 days, and again in 14 days.",
    subject = "server certificate of a custom hostname",
    sql = expiring("'' AS name, " .. OF_ZONE, "custom_hostname_certificates c JOIN custom_hostnames h "
      .. "ON h.id = c.custom_hostname_id JOIN zones z ON z.id = h.zone_id WHERE z.account_id = ?"),
    hostnames_sql = "SELECT h.hostname AS hostname FROM custom_hostname_certificates c JOIN custom_hostnames h "
      .. "ON h.id = c.custom_hostname_id WHERE c.id = ?",
  }, {
    type = "universal_ssl_event_type",
    display_name = "Universal SSL Alert",
    description = "Accepted for the sake of clients; this gateway tells nothing of this type.",
  },
}

M.by_type = {}
for _, entry in ipairs(M.list) do M.by_type[entry.type] = entry end

--- As the API shows them: product → types.
---@return table
function M.available()
  local types = json.array {}
  for index, entry in ipairs(M.list) do
    types[index] = json.object { type = entry.type, display_name = entry.display_name,
      description = entry.description, filter_options = json.array {} }
  end
  return json.object { [PRODUCT] = types }
end

local function joined(names)
  local shown = table.concat(names, ", ", 1, math.min(#names, NAMES_SHOWN))
  return #names > NAMES_SHOWN and shown .. ", …" or shown
end

--- The hostnames that a certificate is for, in words; empty without any.
---@param tx table
---@param entry moongate.admin.alert_type
---@param row table what `sql` gave
---@return string
function M.hostnames(tx, entry, row)
  if entry.hosts_column then return joined(json.decode(row.hosts)) end
  if not entry.hostnames_sql then return "" end
  local names = {}
  for index, found in ipairs(tx:all(entry.hostnames_sql, row.id)) do names[index] = found.hostname end
  return joined(names)
end

return M
