--- moongate.admin.resources.origin_pulls — authenticated origin pulls (section 9 of the API): leaf certificates that
--- the gateway presents to origins, for the whole zone or for single hostnames.
--
-- Certificates of both kinds are uploaded with their key, which is sealed (moongate.admin.secrets) and never shown.
-- Which one an origin gets is decided in moongate.admin.document_origins. Hostnames are associated by one PUT that
-- names any number of them: all of its entries hold, or none.

local associations = require "moongate.admin.resources.hostname_associations"
local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local leaf = require "moongate.admin.leaf"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local secrets = require "moongate.admin.secrets"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "SSL and Certificates"
local TABLE = "origin_pull_certificates"

local function is_enabled(context)
  return context.tx:one("SELECT 1 AS one FROM origin_pull_settings WHERE zone_id = ? AND enabled = 1",
    context.zone.id) ~= nil
end

local function show_certificate(row, status)
  return json.object {
    id = row.id, certificate = row.certificate, issuer = row.issuer, signature = row.signature,
    expires_on = row.expires_on, uploaded_on = row.uploaded_on, status = status or "active",
  }
end

-- What differs between the two kinds: what is shown, and what is said.
local SHOW = {
  zone = function(row, context, status)
    local object = show_certificate(row, status)
    object.enabled = is_enabled(context)
    return object
  end,
  hostname = function(row, _, status)
    local object = show_certificate(row, status)
    object.serial_number = row.serial_number
    return object
  end,
}

local function resource_of(scope)
  return {
    table = TABLE,
    columns = "id, certificate, issuer, signature, serial_number, uploaded_on, expires_on",
    scope = ("scope = '%s' AND zone_id = ?"):format(scope),
    scope_of = function(context) return context.zone.id end,
    key = "id",
    parameter = "certificate_id",
    unknown = scope == "zone" and "origin_pull_zone_unknown" or "origin_pull_hostname_unknown",
    show = SHOW[scope],
    order = "uploaded_on DESC, id",
    paging = { style = "single", size = 50, min = 1, max = 1000 },
  }
end

local KINDS = { zone = resource_of "zone", hostname = resource_of "hostname" }

-- An id that cannot be one is another mistake than one that names nothing.
local function with_id(run)
  return function(context)
    local id = context.params.certificate_id
    if not stamp.is_uuid(id) and not stamp.is_hex_id(id) then return nil, errors.fail("origin_pull_bad_id") end
    return run(context)
  end
end

-- ---- certificates ----

local WORDS = {
  unreadable = "certificate_unreadable", no_leaf = "origin_pull_no_leaf",
  many_leaves = "origin_pull_no_leaf", algorithm = "certificate_algorithm",
  cipher = "certificate_key", key = "certificate_key", expired = "certificate_expired",
  private_key = "private_key_unreadable", mismatch = "private_key_mismatch",
}

local function refused(refusal)
  if refusal.kind == "quota" then return errors.fail("origin_pull_quota") end
  if refusal.kind == "unique" then return errors.fail_at("/certificate", "origin_pull_exists") end
  if refusal.kind == "reference" then return errors.fail("origin_pull_in_use") end
  error("origin_pulls: " .. refusal.kind .. " " .. refusal.name)
end

local function read(context)
  local values = context.values
  local pair, word, detail = leaf.read(context, values.certificate, values.private_key)
  if pair then return pair end
  local one = errors.new(WORDS[word])
  one.pointer = (word == "private_key" or word == "mismatch") and "/private_key" or "/certificate"
  one.chain = { { code = one.code, message = detail } }
  return nil, { one }
end

local function upload(scope)
  return function(context)
    local pair, failure = read(context)
    if not pair then return nil, failure end
    local row = {
      id = stamp.uuid(context.control.random), certificate = context.values.certificate, issuer = pair.first.issuer,
      signature = pair.first.signature, serial_number = pair.first.serial, uploaded_on = context.stamp,
      expires_on = stamp.seconds(pair.first.not_after),
    }
    local sealed
    sealed, failure = secrets.seal(context, TABLE, row.id, context.values.private_key)
    if not sealed then return nil, failure end
    local made, refusal = context.tx:run("INSERT INTO origin_pull_certificates (id, zone_id, scope, certificate, "
      .. "private_key, fingerprint, issuer, signature, serial_number, uploaded_on, expires_on) "
      .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id, context.zone.id, scope, row.certificate, sealed,
      pair.fingerprint, row.issuer, row.signature, row.serial_number, row.uploaded_on, row.expires_on)
    if not made then return nil, refused(refusal) end
    context.tx:touch(context.zone.id)
    return { result = SHOW[scope](row, context) }
  end
end

local function delete(scope)
  local remove = resource.delete(KINDS[scope], refused, function(row, context)
    return SHOW[scope](row, context, "deleted")
  end)
  return with_id(function(context)
    local answer, failure = remove(context)
    if not answer then return nil, failure end
    context.tx:touch(context.zone.id)
    return answer
  end)
end

-- ---- the setting of the zone ----

local function get_settings(context)
  return { result = json.object { enabled = is_enabled(context) } }
end

local function put_settings(context)
  local enabled = context.values.enabled
  assert(context.tx:run("INSERT INTO origin_pull_settings (zone_id, enabled) VALUES (?, ?) "
    .. "ON CONFLICT (zone_id) DO UPDATE SET enabled = excluded.enabled", context.zone.id, enabled and 1 or 0))
  context.tx:touch(context.zone.id)
  return { result = json.object { enabled = enabled } }
end

-- ---- hostnames ----

local HOSTNAME_SQL = "SELECT h.hostname AS hostname, h.enabled AS enabled, h.created_at AS created_at, "
  .. "h.updated_at AS updated_at, c.id AS id, c.certificate AS certificate, c.issuer AS issuer, "
  .. "c.signature AS signature, c.serial_number AS serial_number, c.uploaded_on AS uploaded_on, "
  .. "c.expires_on AS expires_on FROM origin_pull_hostnames h "
  .. "JOIN origin_pull_certificates c ON c.id = h.certificate_id WHERE h.zone_id = ? AND h.hostname = ?"

local function find_hostname(context, hostname)
  return context.tx:one(HOSTNAME_SQL, context.zone.id, hostname)
end

-- `void`: the association was there until now.
local function show_hostname(row, void)
  local enabled = row.enabled == 1
  if void then enabled = json.null end
  return json.object {
    hostname = row.hostname, cert_id = row.id, enabled = enabled, status = void and "deleted" or "active",
    cert_status = "active", cert_updated_at = row.uploaded_on, cert_uploaded_on = row.uploaded_on,
    certificate = row.certificate, issuer = row.issuer, signature = row.signature, serial_number = row.serial_number,
    expires_on = row.expires_on, created_at = row.created_at, updated_at = row.updated_at,
  }
end

local function bad_entry(index, field, text)
  return nil, errors.fail_at(("/config/%d/%s"):format(index - 1, field), "origin_pull_config",
    ("config[%d].%s"):format(index, field), text)
end

-- One entry of a PUT in stored form: { hostname, certificate_id, enabled = true | false | nil (void) }.
local function read_entry(context, entry, index)
  if check.kind(entry.hostname) ~= "string" then return bad_entry(index, "hostname", "expected a string") end
  local hostname, reason = check.hostname(entry.hostname)
  if hostname and not check.is_within(hostname, context.zone.name) then
    reason = "it is not in the zone " .. context.zone.name
  elseif hostname then
    local closer = associations.closer_zone(context.tx, hostname, context.zone.name)
    reason = closer and "it belongs to the zone " .. closer
  end
  if reason then return bad_entry(index, "hostname", reason) end
  local kind = check.kind(entry.enabled == nil or entry.enabled)
  if kind ~= "boolean" and kind ~= "null" then return bad_entry(index, "enabled", "expected true, false or null") end
  local enabled = entry.enabled == nil or entry.enabled
  if kind == "null" then return { hostname = hostname } end
  local id = entry.cert_id
  if id == nil or id == json.null or id == "" then
    return nil, errors.fail_at(("/config/%d/cert_id"):format(index - 1), "origin_pull_id_missing")
  end
  if not stamp.is_uuid(id) and not stamp.is_hex_id(id) then
    return nil, errors.fail_at(("/config/%d/cert_id"):format(index - 1), "origin_pull_bad_id")
  end
  return { hostname = hostname, certificate_id = id, enabled = enabled }
end

local function forget(context, hostname)
  assert(context.tx:run("DELETE FROM origin_pull_hostnames WHERE zone_id = ? AND hostname = ?", context.zone.id,
    hostname))
end

local function void(context, hostname)
  local row = find_hostname(context, hostname)
  if not row then return nil, errors.fail("origin_pull_no_hostname") end
  forget(context, hostname)
  return show_hostname(row, true)
end

local function associate(context, entry)
  local zone_id = context.zone.id
  local before = find_hostname(context, entry.hostname)
  forget(context, entry.hostname)
  local made, refusal = context.tx:run("INSERT INTO origin_pull_hostnames (zone_id, hostname, certificate_id, enabled, "
    .. "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)", zone_id, entry.hostname, entry.certificate_id,
    entry.enabled and 1 or 0, before and before.created_at or context.stamp, context.stamp)
  if made then return show_hostname(find_hostname(context, entry.hostname)) end
  if refusal.kind == "quota" then return nil, errors.fail("origin_pull_hostname_quota") end
  return nil, errors.fail("origin_pull_hostname_unknown")
end

local function put_hostnames(context)
  local result = json.array {}
  for index, raw in ipairs(context.values.config) do
    local entry, failure = read_entry(context, raw, index)
    if not entry then return nil, failure end
    if entry.certificate_id then
      result[index], failure = associate(context, entry)
    else
      result[index], failure = void(context, entry.hostname)
    end
    if failure then return nil, failure end
  end
  context.tx:touch(context.zone.id)
  return { result = result }
end

local function get_hostname(context)
  local hostname = check.hostname(context.params.hostname)
  local row = hostname and find_hostname(context, hostname)
  if not row then return nil, errors.fail("origin_pull_no_hostname") end
  return { result = show_hostname(row) }
end

-- ---- routes ----

local BASE = "/zones/{zone_id}/origin_tls_client_auth"
local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)
local PAIR = {
  { name = "certificate", type = "string", required = true },
  { name = "private_key", type = "string", required = true },
}

M.routes = {
  { method = "GET", path = BASE .. "/settings", permission = READ, run = get_settings },
  {
    method = "PUT", path = BASE .. "/settings", permission = WRITE, group = "origin_pulls", run = put_settings,
    fields = { { name = "enabled", type = "boolean", required = true } },
  },
  {
    method = "PUT", path = BASE .. "/hostnames", permission = WRITE, group = "origin_pulls", run = put_hostnames,
    fields = { { name = "config", type = "array", of = "object", required = true, max = 1000 } },
  },
  { method = "GET", path = BASE .. "/hostnames/{hostname}", permission = READ, run = get_hostname },
}

local function add_certificates(path, scope)
  local one = path .. "/{certificate_id}"
  for _, route in ipairs {
    { method = "GET", path = path, permission = READ, run = resource.list(KINDS[scope]) },
    { method = "POST", path = path, permission = WRITE, group = "origin_pulls", run = upload(scope), fields = PAIR },
    { method = "GET", path = one, permission = READ, run = with_id(resource.get(KINDS[scope])) },
    { method = "DELETE", path = one, permission = WRITE, run = delete(scope) },
  } do
    M.routes[#M.routes + 1] = route
  end
end

add_certificates(BASE, "zone")
add_certificates(BASE .. "/hostnames/certificates", "hostname")

return M
