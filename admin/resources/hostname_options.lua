--- moongate.admin.resources.hostname_options — how clients of a hostname are treated: what their certificates must say,
--- whether sessions resume, what the origin is told of them. Ours, below /zones/{zone_id}/moongate/.
--
-- Kept for an exact hostname or a wildcard `*.example.com` (one label), of the zone or among its custom hostnames; what
-- is set for a custom hostname waits while that is not served. Nothing that is set here blocks or lets in by
-- itself. admin/document_options.lua serves it.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local origins = require "moongate.admin.resources.origins"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"

local M = {}

local GROUP = "SSL and Certificates"
local COLLECTION = "/zones/{zone_id}/moongate/hostnames"
local ONE = COLLECTION .. "/{hostname}"

local FORWARD = { "cloudflare", "fields", "rfc9440", "xfcc" } -- in the store with `forward_` in front
local FLAGS = { "resumption", "forward_cloudflare", "forward_fields", "forward_rfc9440", "forward_xfcc", "strict_sni" }
local COLUMNS = "hostname, usage, " .. table.concat(FLAGS, ", ") .. ", created_on, modified_on"

local function show(row)
  local forward = json.object {}
  for _, name in ipairs(FORWARD) do forward[name] = row["forward_" .. name] == 1 end
  return json.object {
    hostname = row.hostname, client_certificate_usage = row.usage, resumption = row.resumption == 1, forward = forward,
    strict_sni = row.strict_sni == 1, created_on = row.created_on, modified_on = row.modified_on,
  }
end

-- The form in which a name is stored, whoever's it is; and the name without its wildcard.
local function stored_form(text)
  local wildcard, rest = text:match("^(%*%.)(.+)$")
  local name = check.hostname(rest or text)
  if name then return (wildcard or "") .. name, name end
end

-- A custom hostname of the zone, or the names one label below it; nil when it is none.
local function guest_of(context, text)
  local form, name = stored_form(text)
  return form and context.tx:one("SELECT 1 AS one FROM custom_hostnames WHERE zone_id = ? AND hostname = ?",
    context.zone.id, name) and form
end

local function name_of(context)
  local text = context.params.hostname
  if text == "*" then return nil, "a hostname or a wildcard such as *." .. context.zone.name .. " is needed" end
  local name, reason = origins.pattern_of(context.tx, text, context.zone.name)
  if name then return name end
  return guest_of(context, text), reason
end

local RESOURCE = {
  table = "hostname_options",
  columns = COLUMNS,
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "hostname",
  parameter = "hostname",
  normalise = function(text) return (stored_form(text)) end,
  unknown = "hostname_options_unknown",
  show = show,
  order = "hostname",
  paging = { style = "page", size = 50, min = 5, max = 1000 },
}

-- Writes the members of `forward` that the body names into `row`.
local function read_forward(row, forward)
  for _, name in ipairs(FORWARD) do
    local value = forward[name]
    if value ~= nil and value ~= json.null then
      if check.kind(value) ~= "boolean" then
        return errors.fail_at("/forward/" .. name, "hostname_options_value", "forward." .. name,
          "expected true or false")
      end
      row["forward_" .. name] = value and 1 or 0
    end
  end
end

-- `row` with what the body says.
local function read(context, row)
  local values = context.values
  row.usage = values.client_certificate_usage or row.usage
  for _, name in ipairs { "resumption", "strict_sni" } do
    if values[name] ~= nil then row[name] = values[name] and 1 or 0 end
  end
  return values.forward and read_forward(row, values.forward)
end

local function keep(context, row)
  local tx, zone_id = context.tx, context.zone.id
  row.modified_on = context.stamp
  local values = { zone_id, row.hostname, row.usage }
  for _, name in ipairs(FLAGS) do values[#values + 1] = row[name] end
  values[#values + 1], values[#values + 2] = row.created_on, row.modified_on
  assert(tx:run("DELETE FROM hostname_options WHERE zone_id = ? AND hostname = ?", zone_id, row.hostname))
  assert(tx:run(("INSERT INTO hostname_options (zone_id, %s) VALUES (%s?)"):format(COLUMNS, ("?, "):rep(#values - 1)),
    unpack(values)))
  tx:touch(zone_id)
  return { result = show(row) }
end

local function put(context)
  local hostname, reason = name_of(context)
  if not hostname then return nil, errors.fail("hostname_options_value", "the hostname in the path", reason) end
  local before = context.tx:one("SELECT created_on FROM hostname_options WHERE zone_id = ? AND hostname = ?",
    context.zone.id, hostname)
  local row = { hostname = hostname, usage = "require", created_on = before and before.created_on or context.stamp }
  for _, name in ipairs(FLAGS) do row[name] = name == "resumption" and 1 or 0 end
  local failure = read(context, row)
  if failure then return nil, failure end
  return keep(context, row)
end

local function patch(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  failure = read(context, row)
  if failure then return nil, failure end
  return keep(context, row)
end

local remove = resource.delete(RESOURCE, function(refusal) error("hostname_options: " .. refusal.name) end)

local function delete(context)
  local answer, failure = remove(context)
  if not answer then return nil, failure end
  context.tx:touch(context.zone.id)
  return answer
end

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)
local FIELDS = {
  { name = "client_certificate_usage", type = "string", one_of = { "require", "warn", "ignore" } },
  { name = "resumption", type = "boolean" },
  { name = "forward", type = "object" },
  { name = "strict_sni", type = "boolean" },
}

M.routes = {
  { method = "GET", path = COLLECTION, permission = READ, run = resource.list(RESOURCE) },
  { method = "GET", path = ONE, permission = READ, run = resource.get(RESOURCE) },
  { method = "PUT", path = ONE, permission = WRITE, group = "hostname_options", fields = FIELDS, run = put },
  { method = "PATCH", path = ONE, permission = WRITE, group = "hostname_options", fields = FIELDS, run = patch },
  { method = "DELETE", path = ONE, permission = WRITE, run = delete },
}

return M
