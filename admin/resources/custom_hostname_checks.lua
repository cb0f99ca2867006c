--- moongate.admin.resources.custom_hostname_checks — what the operator says about custom hostnames: whether ownership
--- is to be proven in a zone, and the status of a single one. Ours, below /zones/{zone_id}/moongate/custom_hostnames.
--
-- For credentials without limits only: whoever may make custom hostnames must not be able to wave them through.

local custom_hostname = require "moongate.admin.custom_hostname"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local show = require("moongate.admin.resources.custom_hostnames").show

local M = {}

local PATH = "/zones/{zone_id}/moongate/custom_hostnames"

local function get(context)
  return { result = json.object { ownership_checks = custom_hostname.is_checked(context.tx, context.zone.id) } }
end

local function put(context)
  local on = context.values.ownership_checks
  assert(context.tx:run("INSERT INTO custom_hostname_checks (zone_id, checks) VALUES (?, ?) "
    .. "ON CONFLICT (zone_id) DO UPDATE SET checks = excluded.checks", context.zone.id, on and 1 or 0))
  return { result = json.object { ownership_checks = on } }
end

local function put_status(context)
  local row, failure = custom_hostname.find(context)
  if not row then return nil, failure end
  local status, ssl_status = context.values.status, context.values.ssl_status
  if status then
    local errors_before = json.decode(row.verification_errors)
    custom_hostname.set_status(row, status, status == row.status and errors_before or {})
    local reason = row.served == 1 and custom_hostname.obstacle(context.tx, row)
    if reason then return nil, errors.fail_at("/status", "custom_hostname_unservable", reason) end
    if row.served == 1 then row.owned = 1 end
  end
  if ssl_status and not row.ssl_id then
    return nil, errors.fail_at("/ssl_status", "custom_hostname_ssl", "the hostname has no ssl object")
  end
  row.ssl_status = ssl_status or row.ssl_status
  local ok
  ok, failure = custom_hostname.store(context, row)
  if not ok then return nil, failure end
  return { result = show(row, context) }
end

local OPERATOR = permissions.unrestricted()

M.routes = {
  { method = "GET", path = PATH, permission = OPERATOR, run = get },
  {
    method = "PUT", path = PATH, permission = OPERATOR, group = "custom_hostnames", run = put,
    fields = { { name = "ownership_checks", type = "boolean", required = true } },
  },
  {
    method = "PUT", path = PATH .. "/{custom_hostname_id}/status", permission = OPERATOR, group = "custom_hostnames",
    run = put_status,
    fields = {
      { name = "status", type = "string", one_of = custom_hostname.STATUSES },
      { name = "ssl_status", type = "string", one_of = custom_hostname.SSL_STATUSES },
    },
  },
}

return M
