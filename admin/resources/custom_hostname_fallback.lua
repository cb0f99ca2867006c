--- moongate.admin.resources.custom_hostname_fallback — the origin of a zone's custom hostnames that name none of
--- their own (section 7.5 of the API). There is one, or none: then such hostnames are answered with 530.

local custom_origin = require "moongate.admin.custom_origin"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"

local M = {}

local GROUP = "SSL and Certificates"
local PATH = "/zones/{zone_id}/custom_hostnames/fallback_origin"

local ERRORS = {
  ascii = "custom_origin_ascii", wildcard = "custom_origin_wildcard", invalid = "custom_origin_invalid",
  unreadable = "custom_origin_unreadable", record = "custom_origin_record",
}

local function show(row, status)
  return json.object {
    origin = row.origin, status = status, errors = json.array {}, created_at = row.created_at,
    updated_at = row.updated_at,
  }
end

local function find(context)
  return context.tx:one("SELECT origin, created_at, updated_at FROM custom_hostname_fallbacks WHERE zone_id = ?",
    context.zone.id)
end

local function get(context)
  local row = find(context)
  if not row then return nil, errors.fail("custom_hostname_no_fallback") end
  return { result = show(row, "active") }
end

local function put(context)
  local name, word, detail = custom_origin.read(context.tx, context.zone, context.values.origin)
  if not name then return nil, errors.fail_at("/origin", ERRORS[word], detail) end
  assert(context.tx:run("INSERT INTO custom_hostname_fallbacks (zone_id, origin, created_at, updated_at) "
    .. "VALUES (?, ?, ?, ?) ON CONFLICT (zone_id) DO UPDATE SET origin = excluded.origin, "
    .. "updated_at = excluded.updated_at", context.zone.id, name, context.stamp, context.stamp))
  context.tx:touch(context.zone.id)
  return { result = show(find(context), "active") }
end

local function delete(context)
  local row = find(context)
  if not row then return nil, errors.fail("custom_hostname_no_fallback") end
  assert(context.tx:run("DELETE FROM custom_hostname_fallbacks WHERE zone_id = ?", context.zone.id))
  context.tx:touch(context.zone.id)
  return { result = show(row, "pending_deletion") }
end

M.routes = {
  { method = "GET", path = PATH, permission = permissions.need("read", GROUP), run = get },
  {
    method = "PUT", path = PATH, permission = permissions.need("write", GROUP), group = "custom_hostnames", run = put,
    fields = { { name = "origin", type = "any" } },
  },
  { method = "DELETE", path = PATH, permission = permissions.need("write", GROUP), run = delete },
}

return M
