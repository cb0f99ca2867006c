--- moongate.cli.kinds — all kinds of things that export and import know, in the order in which an import makes them.
--
-- What others refer to comes before them. Rules, and what asks clients for certificates, come before DNS records, origins
-- and custom hostnames, so that nothing is reachable before it is protected; deletions go the other way round. What may
-- name custom hostnames comes after them: CAs of Access, without which rules block, and options of hostnames.

local account = require "moongate.cli.kinds_account"
local alerts = require "moongate.cli.kinds_alerts"
local rules = require "moongate.cli.kinds_rules"
local saas = require "moongate.cli.kinds_saas"
local zone = require "moongate.cli.kinds_zone"

local M = {}

---@type moongate.cli.kind[]
M.list = {
  account.lists,
  account.certificate_authorities,
  account.leaf_certificates,
  rules.custom_rulesets "account",
  rules.rules "account",
  account.zones,
  zone.settings,
  zone.managed_headers,
  zone.hostname_settings,
  zone.origin_pulls,
  zone.associations,
  rules.custom_rulesets "zone",
  rules.rules "zone",
  rules.firewall_rules,
  zone.dns_records,
  zone.origins,
  saas.fallback_origin,
  saas.custom_hostname_checks,
  saas.custom_hostnames,
  zone.hostname_options,
  account.access_certificates "account",
  account.access_certificates "zone",
  zone.access_settings,
  alerts.webhooks,
  alerts.notification_policies,
}

--- The kind of zones themselves, whose things the other kinds of that level are.
M.zones = account.zones

--- The account's kinds by name, those too that never stand in a document.
---@type table<string, moongate.cli.kind>
M.of_account = {}
for _, kind in ipairs(M.list) do
  if kind.level == "account" then M.of_account[kind.name] = kind end
end

--- The kinds of one level that stand in documents, by the name of their member.
---@param level string
---@return table<string, moongate.cli.kind>
function M.of(level)
  local by_name = {}
  for _, kind in ipairs(M.list) do
    if kind.level == level and not kind.hidden and kind ~= M.zones then by_name[kind.name] = kind end
  end
  return by_name
end

return M
