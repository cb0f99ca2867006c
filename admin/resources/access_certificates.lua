--- moongate.admin.resources.access_certificates — CAs of Access with their hostnames, for an account or one of its
--- zones, and what is set for hostnames (section 10 of the API).
--
-- A client certificate of such a CA verifies for the hostnames that are listed with it, beside those of uploaded CAs.
-- They have a quota of their own. The PEM text is never shown and never changes; PUT replaces the list of hostnames,
-- and a missing list clears it, which is how clients prepare a DELETE.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "Access: Mutual TLS Certificates"

-- The second in which something happened, of a time with microseconds.
local function second_of(moment)
  return moment:sub(1, 19) .. "Z"
end

local function hostnames_of(tx, id)
  local list, sql = json.array {}, "SELECT hostname FROM access_hostnames WHERE certificate_id = ? ORDER BY position"
  for index, row in ipairs(tx:all(sql, id)) do list[index] = row.hostname end
  return list
end

local function show(row, context)
  return json.object {
    id = row.id, name = row.name, fingerprint = "MD5 Fingerprint=" .. row.fingerprint,
    associated_hostnames = hostnames_of(context.tx, row.id), expires_on = row.expires_on,
    created_at = second_of(row.created_on), updated_at = second_of(row.updated_on),
  }
end

-- Of the zone that the path names, or of the account itself.
local function resource_of(level)
  local of_zone = level == "zone"
  return {
    table = "access_certificates",
    columns = "id, name, fingerprint, expires_on, created_on, updated_on",
    scope = of_zone and "zone_id = ?" or "zone_id IS NULL AND account_id = ?",
    scope_of = function(context) return of_zone and context.zone.id or context.account.id end,
    key = "id",
    parameter = "certificate_id",
    is_id = stamp.is_uuid,
    unknown = "access_unknown",
    show = show,
    order = "created_on DESC, id",
    paging = { style = "page", size = 25, min = 1, max = 1000 },
  }
end

-- ---- hostnames ----

-- The zone that serves a name: the closest one above it.
local function zone_of(tx, name)
  local candidate = name
  while candidate do
    local zone = tx:one("SELECT id, name, account_id FROM zones WHERE name = ?", candidate)
    if zone then return zone end
    candidate = candidate:match("^[^.]+%.(.+)$")
  end
end

-- A hostname in stored form and its zone, or the one that serves it as a custom hostname; nil and a reason when it is
-- none of the account, or of the zone of the path.
local function place(context, text)
  local name, reason = check.hostname(text)
  if not name then return nil, reason end
  local zone = zone_of(context.tx, name) or context.tx:one("SELECT z.id AS id, z.name AS name, "
    .. "z.account_id AS account_id FROM custom_hostnames h JOIN zones z ON z.id = h.zone_id WHERE h.hostname = ? "
    .. "AND h.served = 1", name)
  if context.zone and (not zone or zone.id ~= context.zone.id) then
    return nil, "it is not in the zone " .. context.zone.name
  end
  if not zone or zone.account_id ~= context.account.id then return nil, "it is in no zone of this account" end
  return name, zone
end

local function read_hostnames(context)
  local list, seen = {}, {}
  for index, text in ipairs(context.values.associated_hostnames) do
    local name, zone = place(context, text)
    if not name then
      return nil, errors.fail_at(("/associated_hostnames/%d"):format(index - 1), "access_value",
        ("associated_hostnames[%d]"):format(index), zone)
    end
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = { name = name, zone_id = zone.id }
    end
  end
  return list
end

local function touch_all(tx, id)
  for _, row in ipairs(tx:all("SELECT DISTINCT zone_id FROM access_hostnames WHERE certificate_id = ?", id)) do
    tx:touch(row.zone_id)
  end
end

local function set_hostnames(tx, id, list)
  touch_all(tx, id)
  assert(tx:run("DELETE FROM access_hostnames WHERE certificate_id = ?", id))
  for position, host in ipairs(list) do
    assert(tx:run("INSERT INTO access_hostnames (certificate_id, zone_id, position, hostname) VALUES (?, ?, ?, ?)", id,
      host.zone_id, position, host.name))
  end
  touch_all(tx, id)
end

-- ---- certificates ----

local function unusable(detail)
  local one = errors.new("access_certificate")
  one.pointer = "/certificate"
  one.chain = { { code = one.code, message = detail } }
  return nil, { one }
end

local function inspect(context)
  local list, diag = context.control.certificates(context.values.certificate)
  if not list then return unusable(diag.text) end
  for index, certificate in ipairs(list) do
    local reason = not certificate.is_ca and "it is not a CA"
      or not certificate.signature_allowed and "it is signed with " .. certificate.signature
      or not certificate.key_allowed and "its key is " .. certificate.key
      or certificate.not_after <= context.now and "it ended at " .. stamp.seconds(certificate.not_after)
      or certificate.subject == "" and "a CA without a subject issues nothing"
    if reason then return unusable(("certificate %d (%s): %s"):format(index, certificate.subject, reason)) end
  end
  return list[1]
end

local function create(level)
  return function(context)
    local first, failure = inspect(context)
    if not first then return nil, failure end
    local hostnames
    hostnames, failure = read_hostnames(context)
    if not hostnames then return nil, failure end
    local row = {
      id = stamp.uuid(context.control.random), name = context.values.name,
      fingerprint = first.md5:upper():gsub("%x%x", ":%0"):sub(2), expires_on = stamp.seconds(first.not_after),
      created_on = context.stamp, updated_on = context.stamp,
    }
    local made, refusal = context.tx:run("INSERT INTO access_certificates (id, account_id, zone_id, name, certificate, "
      .. "fingerprint, expires_on, created_on, updated_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id,
      context.account.id, level == "zone" and context.zone.id or nil, row.name, context.values.certificate,
      row.fingerprint, row.expires_on, row.created_on, row.updated_on)
    if not made then
      if refusal.kind == "quota" then return nil, errors.fail("access_quota") end
      error("access_certificates: " .. refusal.kind .. " " .. refusal.name)
    end
    set_hostnames(context.tx, row.id, hostnames)
    return { status = 201, result = show(row, context) }
  end
end

local function update(kind)
  return function(context)
    local row, failure = resource.find(kind, context)
    if not row then return nil, failure end
    local hostnames
    hostnames, failure = read_hostnames(context)
    if not hostnames then return nil, failure end
    row.name, row.updated_on = context.values.name or row.name, context.stamp
    assert(context.tx:run("UPDATE access_certificates SET name = ?, updated_on = ? WHERE id = ?", row.name,
      row.updated_on, row.id))
    set_hostnames(context.tx, row.id, hostnames)
    return { result = show(row, context) }
  end
end

-- ---- settings ----

local function show_setting(row)
  return json.object {
    hostname = row.hostname, china_network = row.china_network == 1,
    client_certificate_forwarding = row.forwarding == 1,
  }
end

local function get_settings(context)
  local scope, id = "z.account_id = ?", context.account.id
  if context.zone then scope, id = "z.id = ?", context.zone.id end
  local result = json.array {}
  for index, row in ipairs(context.tx:all("SELECT s.hostname AS hostname, s.china_network AS china_network, "
      .. "s.forwarding AS forwarding FROM access_settings s JOIN zones z ON z.id = s.zone_id WHERE " .. scope
      .. " ORDER BY s.hostname", id)) do
    result[index] = show_setting(row)
  end
  return { result = result }
end

local function bad_setting(index, field, text)
  return nil, errors.fail_at(("/settings/%d/%s"):format(index - 1, field), "access_value",
    ("settings[%d].%s"):format(index, field), text)
end

local function flag_of(value, before)
  if value == nil or value == json.null then return before end
  if type(value) ~= "boolean" then return nil end
  return value and 1 or 0
end

local function put_setting(context, entry, index)
  if check.kind(entry.hostname) ~= "string" then return bad_setting(index, "hostname", "expected a string") end
  local name, zone = place(context, entry.hostname)
  if not name then return bad_setting(index, "hostname", zone) end
  local before = context.tx:one("SELECT china_network, forwarding FROM access_settings WHERE hostname = ?", name)
    or { china_network = 0, forwarding = 0 }
  local row = { hostname = name, china_network = flag_of(entry.china_network, before.china_network),
    forwarding = flag_of(entry.client_certificate_forwarding, before.forwarding) }
  if not row.china_network then return bad_setting(index, "china_network", "expected true or false") end
  if not row.forwarding then return bad_setting(index, "client_certificate_forwarding", "expected true or false") end
  assert(context.tx:run("INSERT INTO access_settings (hostname, zone_id, china_network, forwarding) "
    .. "VALUES (?, ?, ?, ?) ON CONFLICT (hostname) DO UPDATE SET zone_id = excluded.zone_id, "
    .. "china_network = excluded.china_network, forwarding = excluded.forwarding", name, zone.id, row.china_network,
    row.forwarding))
  context.tx:touch(zone.id)
  return show_setting(row)
end

local function put_settings(context)
  local result = json.array {}
  for index, entry in ipairs(context.values.settings) do
    local shown, failure = put_setting(context, entry, index)
    if not shown then return nil, failure end
    result[index] = shown
  end
  return { status = 202, result = result }
end

-- ---- routes ----

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)
local HOSTNAMES = { name = "associated_hostnames", type = "array", of = "string", default = {}, max = 1000 }

M.routes = {}

local function add_routes(base, level)
  local kind = resource_of(level)
  local one = base .. "/{certificate_id}"
  local remove = resource.delete(kind, function() return errors.fail("access_in_use") end,
    function(row) return json.object { id = row.id } end)
  for _, route in ipairs {
    { method = "GET", path = base .. "/settings", permission = READ, run = get_settings },
    {
      method = "PUT", path = base .. "/settings", permission = WRITE, group = "access", run = put_settings,
      fields = { { name = "settings", type = "array", of = "object", required = true, max = 1000 } },
    },
    { method = "GET", path = base, permission = READ, run = resource.list(kind) },
    {
      method = "POST", path = base, permission = WRITE, group = "access", run = create(level),
      fields = {
        { name = "name", type = "string", required = true, max = 350 },
        { name = "certificate", type = "string", required = true },
        HOSTNAMES,
      },
    },
    { method = "GET", path = one, permission = READ, run = resource.get(kind) },
    {
      method = "PUT", path = one, permission = WRITE, group = "access", run = update(kind),
      fields = { { name = "name", type = "string", max = 350 }, HOSTNAMES },
    },
    { method = "DELETE", path = one, permission = WRITE, run = remove },
  } do
    M.routes[#M.routes + 1] = route
  end
end

add_routes("/accounts/{account_id}/access/certificates", "account")
add_routes("/zones/{zone_id}/access/certificates", "zone")

return M
