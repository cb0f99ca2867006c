--- moongate.admin.resources.origins — where the requests for a zone's hostnames go. Ours, below
--- /zones/{zone_id}/moongate/.
--
-- An origin is kept for an exact hostname, a wildcard `*.example.com` (one label), or `*` (the whole zone). Origins
-- are the operator's word, yet addresses that only ever mean a machine's own link or its cloud's metadata service are
-- refused, and TLS is verified unless the body says otherwise.

local address = require "moongate.admin.address"
local check = require "moongate.admin.check"
local associations = require "moongate.admin.resources.hostname_associations"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local COLLECTION = "/zones/{zone_id}/moongate/origins"
local ONE = COLLECTION .. "/{hostname}"

local function show(row)
  return json.object {
    hostname = row.hostname, url = row.url, host_header = row.host_header or json.null, sni = row.sni or json.null,
    verify = row.verify == 1, ca = row.ca or json.null, client_certificate_id = row.client_certificate_id or json.null,
    created_on = row.created_on, modified_on = row.modified_on,
  }
end

--- The form in which a hostname or pattern is stored; nil and a reason when it is neither or not of this zone.
---@param tx table
---@param text string
---@param zone_name string
---@return string|nil
---@return string|nil reason
function M.pattern_of(tx, text, zone_name)
  if text == "*" then return text end
  local wildcard, rest = text:match("^(%*%.)(.+)$")
  local name, reason = check.hostname(rest or text)
  if not name then return nil, reason end
  if not check.is_within(name, zone_name) then return nil, "it is not in the zone " .. zone_name end
  local closer = associations.closer_zone(tx, name, zone_name)
  if closer then return nil, "it belongs to the zone " .. closer end
  return (wildcard or "") .. name
end

local RESOURCE = {
  table = "origins",
  columns = "hostname, url, host_header, sni, verify, ca, client_certificate_id, created_on, modified_on",
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "hostname",
  parameter = "hostname",
  normalise = function(text, context) return (M.pattern_of(context.tx, text, context.zone.name)) end,
  unknown = "origin_unknown",
  show = show,
  order = "hostname",
  paging = { style = "page", size = 50, min = 5, max = 1000 },
}

local function port_of(text)
  if text == "" then return true end
  local digits = text:match("^:(%d+)$")
  return digits ~= nil and #digits <= 5 and tonumber(digits) >= 1 and tonumber(digits) <= 65535
end

-- host [":" port], the host being a name, an IPv4 address or "[" IPv6 "]". Gives the stored form, and the address.
local function authority_of(text)
  local host, port = text:match("^(%[[^%]]*%])(.*)$")
  if not host then host, port = text:match("^([^:]*)(.*)$") end
  if not port_of(port) then return nil, "the port is not a number from 1 to 65535" end
  if host:sub(1, 1) == "[" then
    local bytes = address.read(host:sub(2, -2))
    if not bytes or #bytes ~= 16 then return nil, "there is no IPv6 address in the brackets" end
    return host:lower() .. port, bytes
  end
  local bytes = address.read(host)
  if bytes then return host .. port, bytes end
  local name, reason = check.hostname(host)
  if not name then return nil, reason end
  return name .. port
end

local function url_of(text)
  local scheme, rest = text:match("^(%a+)://(.*)$")
  scheme = scheme and scheme:lower()
  if scheme ~= "http" and scheme ~= "https" then return nil, "expected http://… or https://…" end
  if rest:find("[%?#@%s%c\\]") then return nil, "only a host and a port may stand in it" end
  local authority, path = rest:match("^([^/]*)(.*)$")
  if path ~= "" and path ~= "/" then return nil, "a path is not possible; requests keep their own" end
  local form, bytes = authority_of(authority)
  if not form then return nil, bytes end
  local reason = bytes and address.mistake(bytes)
  if reason then return nil, reason end
  return scheme .. "://" .. form
end

local function check_ca(context, pem)
  local list, diag = context.control.certificates(pem)
  if not list then return diag.text end
  for _, certificate in ipairs(list) do
    if not certificate.is_ca then return "only CA certificates are allowed here" end
  end
end

-- A leaf certificate of the zone's own account, with its key. One of another account is as unknown as one that is
-- nowhere.
local function check_client_certificate(context, id, url)
  local row = stamp.is_uuid(id) and context.tx:one("SELECT ca, private_key IS NOT NULL AS has_key "
    .. "FROM mtls_certificates WHERE id = ? AND account_id = ?", id, context.account.id)
  if not row then return "there is no such certificate in this account" end
  if row.ca == 1 then return "this is a CA; a leaf certificate with its private key is needed" end
  if row.has_key == 0 then return "its private key is not stored; upload the certificate again" end
  if url and url:sub(1, 8) ~= "https://" then return "only an https:// origin asks for a certificate" end
end

-- The values of a body in stored form, or errors: all mistakes at once.
local function read(context)
  local values, failure = context.values, {}
  local row = { verify = values.verify and 1 or 0, ca = values.ca }
  local function refuse(field, reason)
    local one = errors.new("origin_invalid", field, reason)
    one.pointer = "/" .. field
    failure[#failure + 1] = one
  end
  local reason
  row.url, reason = url_of(values.url)
  if not row.url then refuse("url", reason) end
  if values.host_header then
    row.host_header, reason = authority_of(values.host_header)
    if not row.host_header then refuse("host_header", reason) end
  end
  if values.sni then
    row.sni, reason = check.hostname(values.sni)
    if not row.sni then refuse("sni", reason) end
  end
  reason = values.ca and check_ca(context, values.ca)
  if reason then refuse("ca", reason) end
  row.client_certificate_id = values.client_certificate_id
  reason = row.client_certificate_id and check_client_certificate(context, row.client_certificate_id, row.url)
  if reason then refuse("client_certificate_id", reason) end
  if failure[1] then return nil, failure end
  return row
end

local function put(context)
  local tx, zone = context.tx, context.zone
  local hostname, reason = M.pattern_of(tx, context.params.hostname, zone.name)
  if not hostname then
    return nil, errors.fail("origin_invalid", "the hostname in the path", reason)
  end
  local row, failure = read(context)
  if not row then return nil, failure end
  local before = tx:one("SELECT created_on FROM origins WHERE zone_id = ? AND hostname = ?", zone.id, hostname)
  row.hostname, row.created_on, row.modified_on = hostname, before and before.created_on or context.stamp, context.stamp
  assert(tx:run("DELETE FROM origins WHERE zone_id = ? AND hostname = ?", zone.id, hostname))
  assert(tx:run("INSERT INTO origins (zone_id, hostname, url, host_header, sni, verify, ca, client_certificate_id, "
    .. "created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", zone.id, hostname, row.url, row.host_header,
    row.sni, row.verify, row.ca, row.client_certificate_id, row.created_on, row.modified_on))
  tx:touch(zone.id)
  return { result = show(row) }
end

local remove = resource.delete(RESOURCE, function(refusal) error("origins: " .. refusal.name) end)

local function delete(context)
  local answer, failure = remove(context)
  if not answer then return nil, failure end
  context.tx:touch(context.zone.id)
  return answer
end

M.routes = {
  { method = "GET", path = COLLECTION, permission = permissions.need("read", "Origin"), run = resource.list(RESOURCE) },
  { method = "GET", path = ONE, permission = permissions.need("read", "Origin"), run = resource.get(RESOURCE) },
  {
    method = "PUT", path = ONE, permission = permissions.need("write", "Origin"), group = "origins", run = put,
    fields = {
      { name = "url", type = "string", required = true, max = 2048 },
      { name = "host_header", type = "string", max = 260 },
      { name = "sni", type = "string", max = 254 },
      { name = "verify", type = "boolean", default = true },
      { name = "ca", type = "string" },
      { name = "client_certificate_id", type = "string" },
    },
  },
  { method = "DELETE", path = ONE, permission = permissions.need("write", "Origin"), run = delete },
}

return M
