--- moongate.admin.resources.hostname_settings — TLS settings of single hostnames, before those of their zone (section 6
--- of the API).
--
-- Kept for exact hostnames of the zone; admin/document_settings.lua serves them. A choice of ciphers asks for a
-- certificate that names the hostname itself, as upstream does: a wildcard's certificate is that of many hostnames.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local origins = require "moongate.admin.resources.origins"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local setting = require "moongate.admin.setting"

local M = {}

local GROUP = "SSL and Certificates"
local COLLECTION = "/zones/{zone_id}/hostnames/settings/{setting_id}"
local ONE = COLLECTION .. "/{hostname}"

local SETTINGS = { ciphers = true, min_tls_version = true, http2 = true }

local function show(row)
  return json.object {
    hostname = row.hostname, value = setting.decode(row.value), status = "active", created_at = row.created_at,
    updated_at = row.updated_at,
  }
end

local function name_of(text, context)
  if text:find("*", 1, true) then return nil, "a wildcard is not possible, only a hostname" end
  return origins.pattern_of(context.tx, text, context.zone.name)
end

local function by_setting(_, context)
  return "setting = ?", { context.params.setting_id }
end

local function by_hostname(query)
  local names = query:list("hostname")
  if not names[1] then return nil end
  for index, name in ipairs(names) do names[index] = check.hostname(name) or "" end
  return "hostname IN (" .. ("?, "):rep(#names - 1) .. "?)", names
end

local RESOURCE = {
  table = "hostname_settings",
  columns = "hostname, value, created_at, updated_at",
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  show = show,
  order = "hostname",
  paging = { style = "single", size = 50, min = 1, max = 1000 },
  filters = { by_setting, by_hostname },
}

local function find(context, hostname)
  return context.tx:one("SELECT hostname, value, created_at, updated_at FROM hostname_settings WHERE zone_id = ? "
    .. "AND setting = ? AND hostname = ?", context.zone.id, context.params.setting_id, hostname)
end

-- The verb behind the question whether there is such a setting at all.
local function with_setting(run)
  return function(context)
    if SETTINGS[context.params.setting_id] then return run(context) end
    return nil, errors.fail("bad_identifier", (context.request.path:sub(1, 256):gsub("[^\33-\126]", "?")))
  end
end

local function get(context)
  local hostname = name_of(context.params.hostname, context)
  local row = hostname and find(context, hostname)
  if not row then return nil, errors.fail("hostname_setting_unknown") end
  return { result = show(row) }
end

-- ---- changes ----

-- Is the hostname covered by uploaded certificates, but by a wildcard of theirs only?
local function has_only_wildcards(context, hostname)
  local parent, found = hostname:match("^[^.]+%.(.+)$"), false
  for _, row in ipairs(context.tx:all("SELECT hosts FROM custom_certificates WHERE zone_id = ? AND deploy = 'production'",
      context.zone.id)) do
    for _, name in ipairs(json.decode(row.hosts)) do
      if name == hostname then return false end
      found = found or name == "*." .. parent
    end
  end
  return found
end

-- Why the value cannot hold for the hostname, as errors.
local function obstacle(context, hostname, value)
  local id = context.params.setting_id
  if id == "ciphers" and #value > 0 and has_only_wildcards(context, hostname) then
    return errors.fail_at("/value", "hostname_setting_wildcard", hostname)
  end
  if id == "min_tls_version" and value == "1.3" and setting.value(context.tx, context.zone.id, "tls_1_3") == "off" then
    return errors.fail_at("/value", "hostname_setting_value", id, "TLS 1.3 is off in the zone: no client could connect")
  end
end

local function put(context)
  local one, value = setting.by_id[context.params.setting_id], context.values.value
  local hostname, reason = name_of(context.params.hostname, context)
  if not hostname then
    local shown = context.params.hostname:sub(1, 253):gsub("[%c\127-\255]", "?")
    return nil, errors.fail("bad_hostname", shown, reason)
  end
  reason = setting.mistake(one, value)
  if reason then return nil, errors.fail_at("/value", "hostname_setting_value", one.id, reason) end
  local failure = obstacle(context, hostname, value)
  if failure then return nil, failure end
  local before = find(context, hostname)
  assert(context.tx:run("INSERT INTO hostname_settings (zone_id, setting, hostname, value, created_at, updated_at) "
    .. "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (zone_id, setting, hostname) DO UPDATE SET value = excluded.value, "
    .. "updated_at = excluded.updated_at", context.zone.id, one.id, hostname, setting.encode(value),
    before and before.created_at or context.stamp, context.stamp))
  context.messages[1] = setting.notice(one, value, context, hostname)
  context.tx:touch(context.zone.id)
  return { result = show(find(context, hostname)) }
end

local function delete(context)
  local hostname = name_of(context.params.hostname, context)
  local row = hostname and find(context, hostname)
  if not row then return nil, errors.fail("hostname_setting_unknown") end
  assert(context.tx:run("DELETE FROM hostname_settings WHERE zone_id = ? AND setting = ? AND hostname = ?",
    context.zone.id, context.params.setting_id, hostname))
  context.tx:touch(context.zone.id)
  local result = show(row)
  result.value, result.status, result.updated_at = "", "pending_deletion", context.stamp
  return { result = result }
end

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)

M.routes = {
  { method = "GET", path = COLLECTION, permission = READ, run = with_setting(resource.list(RESOURCE)) },
  { method = "GET", path = ONE, permission = READ, run = with_setting(get) },
  {
    method = "PUT", path = ONE, permission = WRITE, run = with_setting(put),
    fields = { { name = "value", type = "any" } },
  },
  { method = "DELETE", path = ONE, permission = WRITE, run = with_setting(delete) },
}

return M
