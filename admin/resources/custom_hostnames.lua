--- moongate.admin.resources.custom_hostnames — hostnames of other domains that a zone serves (section 7 of the API).
--
-- A hostname is served from the answer on, unless something stands in the way (moongate.admin.custom_hostname). PATCH
-- with the same `method` and `type` asks again. Neither PEM text of keys nor sealed keys are ever shown.

local check = require "moongate.admin.check"
local custom_hostname = require "moongate.admin.custom_hostname"
local custom_origin = require "moongate.admin.custom_origin"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local ssl = require "moongate.admin.custom_hostname_ssl"
local stamp = require "moongate.admin.stamp"

local M = {}

local METADATA_BYTES = 4096
local NOTICE = 21103

-- ---- showing ----

local function ownership(row, shown)
  if row.status == "active" then return end
  local challenge = custom_hostname.challenge(row)
  shown.ownership_verification = json.object { type = "txt", name = challenge.txt_name, value = row.token }
  shown.ownership_verification_http = json.object { http_url = challenge.http_url, http_body = row.token }
end

--- A custom hostname as the API shows it.
---@param row table
---@param context table
---@return table
function M.show(row, context)
  local reasons = json.decode(row.verification_errors)
  local shown = json.object {
    id = row.id, hostname = row.hostname, status = row.status, created_at = row.created_at,
    ssl = ssl.show(row, custom_hostname.certificates(context.tx, row.id), context.now),
    custom_metadata = row.custom_metadata and json.object(json.decode(row.custom_metadata)),
    custom_origin_server = row.custom_origin_server, custom_origin_sni = row.custom_origin_sni,
    verification_errors = reasons[1] and json.array(reasons) or nil,
  }
  ownership(row, shown)
  return shown
end

-- ---- the list ----

local function has(column)
  return function(text) return column .. " = ?", { text } end
end

local function is_flag(sql_on, sql_off)
  return function(text)
    if text == "1" or text == "true" then return sql_on, {} end
    if text == "0" or text == "false" then return sql_off, {} end
  end
end

-- As it is shown: a certificate whose time has passed is expired (moongate.admin.custom_hostname_ssl).
local function has_ssl_status(text, context)
  return "CASE WHEN ssl_status = 'active' AND (SELECT c.expires_on FROM custom_hostname_certificates c "
    .. "WHERE c.custom_hostname_id = custom_hostnames.id ORDER BY c.position LIMIT 1) <= ? THEN 'expired' "
    .. "ELSE ssl_status END = ?", { stamp.seconds(context.now), text }
end

local PARAMETERS = {
  hostname = function(text) return "instr(hostname, ?) > 0", { text:lower() } end,
  ["hostname.exact"] = function(text) return "hostname = ?", { text:lower() } end,
  ["hostname.contain"] = function(text) return "instr(hostname, ?) > 0", { text:lower() } end,
  ["hostname.startsWith"] = function(text)
    return "substr(hostname, 1, length(?)) = ?", { text:lower(), text:lower() }
  end,
  id = has "id", ssl_status = has_ssl_status, hostname_status = has "status",
  certificate_authority = has "certificate_authority", custom_origin_server = has "custom_origin_server",
  ssl = is_flag("ssl_id IS NOT NULL", "ssl_id IS NULL"), wildcard = is_flag("wildcard = 1", "wildcard = 0"),
}

local function filter(name, read)
  return function(query, context)
    local text = query:get(name)
    if not text then return nil end
    local sql, values = read(text, context)
    if not sql then return nil, nil, name end
    return sql, values
  end
end

local ORDER = { ssl = "ssl_id IS NULL", ssl_status = "ssl_status" }

local function order_of(query)
  local direction = query:get("direction") or "asc"
  if direction ~= "asc" and direction ~= "desc" then return nil, "direction" end
  local wanted = query:get("order")
  if not wanted then return "created_at " .. direction .. ", id" end
  if not ORDER[wanted] then return nil, "order" end
  return ("%s %s, created_at, id"):format(ORDER[wanted], direction)
end

local RESOURCE = {
  table = "custom_hostnames",
  columns = table.concat(custom_hostname.COLUMNS, ", "),
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  show = M.show,
  order = order_of,
  paging = { style = "page", size = 20, min = 5, max = 50 },
  filters = {},
}
for name, read in pairs(PARAMETERS) do table.insert(RESOURCE.filters, filter(name, read)) end

local list_all = resource.list(RESOURCE)

local function list(context)
  local query = context.query
  if query:get("id") then
    for name in pairs(PARAMETERS) do
      if name ~= "id" and query:get(name) then return nil, errors.fail("custom_hostname_id_filter") end
    end
  end
  for _, name in ipairs { "hostname.contain", "hostname.exact", "hostname.startsWith" } do
    if #(query:get(name) or "") > 255 then return nil, errors.fail("custom_hostname_contain") end
  end
  return list_all(context)
end

-- ---- reading ----

local function is_object(given)
  return given ~= nil and given ~= json.null and given ~= ""
end

local function read_hostname(context)
  local text = context.values.hostname
  if check.kind(text) ~= "string" then
    return nil, errors.fail_at("/hostname", "custom_hostname_invalid", "a string is required")
  end
  if text:find("[\128-\255]") then return nil, errors.fail_at("/hostname", "custom_hostname_ascii") end
  local name, reason = check.hostname(text)
  if name and not name:find(".", 1, true) then return nil, errors.fail_at("/hostname", "custom_hostname_suffix") end
  if name and check.is_within(name, context.zone.name) then
    reason = "it lies in the zone itself, whose names need no custom hostname"
  end
  if reason then return nil, errors.fail_at("/hostname", "custom_hostname_invalid", reason) end
  return name
end

local ORIGIN_ERRORS = {
  ascii = "custom_origin_ascii", wildcard = "custom_origin_wildcard", invalid = "custom_origin_invalid",
  unreadable = "custom_origin_unreadable", record = "custom_origin_record",
}

-- Null and "" take away what was set.
local function read_origin(context, row)
  local body, values = context.body, context.values
  if body.custom_origin_server ~= nil then
    row.custom_origin_server = nil
    if values.custom_origin_server then
      local name, word, detail = custom_origin.read(context.tx, context.zone, values.custom_origin_server)
      if not name then return errors.fail_at("/custom_origin_server", ORIGIN_ERRORS[word], detail) end
      row.custom_origin_server = name
    end
  end
  if body.custom_origin_sni ~= nil then
    row.custom_origin_sni = nil
    if values.custom_origin_sni then
      local name, word, detail = custom_origin.read_sni(context.zone, values.custom_origin_sni,
        row.custom_origin_server)
      if not name then return errors.fail_at("/custom_origin_sni", ORIGIN_ERRORS[word], detail) end
      row.custom_origin_sni = name
    end
  end
end

local function read_metadata(context, row)
  local given = context.body.custom_metadata
  if given == nil then return nil end
  row.custom_metadata = nil
  if given == json.null or given == "" then return nil end
  if check.kind(given) ~= "object" then
    return errors.fail_at("/custom_metadata", "custom_hostname_metadata", "expected an object")
  end
  if next(given) == nil then return nil end
  for _, value in pairs(given) do
    if type(value) ~= "string" then
      return errors.fail_at("/custom_metadata", "custom_hostname_metadata", "its values are strings")
    end
  end
  local text = json.encode(given, { sorted = true })
  if #text > METADATA_BYTES then
    return errors.fail_at("/custom_metadata", "custom_hostname_metadata", ("at most %d bytes"):format(METADATA_BYTES))
  end
  row.custom_metadata = text
end

-- Everything of a body but the name; the certificates, or false when they stay.
local function read_rest(context, row)
  local failure = read_metadata(context, row) or read_origin(context, row)
  if failure then return nil, failure end
  local certificates = false
  local given = context.body.ssl
  if is_object(given) then
    local count = row.id and #custom_hostname.certificates(context.tx, row.id) or 0
    certificates, failure = ssl.read(context, given, row, count)
    if certificates == nil then return nil, failure end
  end
  if row.custom_metadata and row.wildcard == 1 then
    return nil, errors.fail_at("/custom_metadata", "custom_hostname_metadata_wildcard")
  end
  return certificates
end

local function notices(context, row)
  if row.ssl_id and row.status == "active" and not custom_hostname.certificates(context.tx, row.id)[1] then
    context.messages[1] = {
      code = NOTICE,
      message = "This gateway asks no certificate authority: the hostname is served with a certificate of the "
        .. "gateway's own CA until a custom certificate is uploaded.",
    }
  end
end

-- ---- the verbs ----

local function finish(context, row, certificates, is_new)
  local asked = is_new or is_object(context.body.ssl)
  if asked or row.status ~= "active" then custom_hostname.settle(context, row) end
  local ok, failure = custom_hostname.store(context, row, is_new)
  if ok and certificates then ok, failure = custom_hostname.replace_certificates(context, row.id, certificates) end
  if not ok then return nil, failure end
  if asked then notices(context, row) end
  return { status = is_new and 201 or 202, result = M.show(row, context) }
end

local function quota_of(tx)
  return tx:one("SELECT value FROM quotas WHERE name = 'custom_hostnames'").value
end

local function create(context)
  if quota_of(context.tx) == 0 then return nil, errors.fail("custom_hostname_no_quota") end
  local name, failure = read_hostname(context)
  if not name then return nil, failure end
  local row = { hostname = name, zone_id = context.zone.id, owned = 0, wildcard = 0, branding = 0, settings = "{}" }
  local certificates
  certificates, failure = read_rest(context, row)
  if certificates == nil then return nil, failure end
  row.id, row.token = stamp.uuid(context.control.random), stamp.uuid(context.control.random)
  row.created_at = context.stamp
  return finish(context, row, certificates, true)
end

local function get(context)
  local row, failure = custom_hostname.find(context)
  if not row then return nil, failure end
  return { result = M.show(row, context) }
end

local function edit(context)
  local row, failure = custom_hostname.find(context)
  if not row then return nil, failure end
  local certificates
  certificates, failure = read_rest(context, row)
  if certificates == nil then return nil, failure end
  return finish(context, row, certificates)
end

local function delete(context)
  local row, failure = custom_hostname.find(context)
  if not row then return nil, failure end
  assert(context.tx:run("DELETE FROM custom_hostnames WHERE id = ?", row.id))
  context.tx:touch(context.zone.id)
  return { result = json.object { id = row.id }, beside = { id = row.id } }
end

local function quota(context)
  local allocated = quota_of(context.tx)
  local used = context.tx:one("SELECT count(*) AS n FROM custom_hostnames WHERE zone_id = ?", context.zone.id).n
  return { result = json.object {
    allocated = allocated, used = used, exceeded = used > allocated, hard_cap = allocated,
  } }
end

local GROUP = "SSL and Certificates"
local COLLECTION = "/zones/{zone_id}/custom_hostnames"
local ONE = COLLECTION .. "/{custom_hostname_id}"
local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)

-- What has codes of its own for a value that cannot be is read above. PATCH ignores `hostname`.
local FIELDS = {
  { name = "hostname", type = "any" },
  { name = "custom_metadata", type = "any" },
  { name = "custom_origin_server", type = "any" },
  { name = "custom_origin_sni", type = "any" },
  { name = "ssl", type = "object" },
}

M.routes = {
  { method = "GET", path = COLLECTION, permission = READ, run = list },
  {
    method = "POST", path = COLLECTION, permission = WRITE, group = "custom_hostnames", run = create,
    fields = FIELDS,
  },
  { method = "GET", path = COLLECTION .. "/quota", permission = READ, run = quota },
  { method = "GET", path = ONE, permission = READ, run = get },
  { method = "PATCH", path = ONE, permission = WRITE, group = "custom_hostnames", run = edit, fields = FIELDS },
  { method = "DELETE", path = ONE, permission = WRITE, run = delete },
}

return M
