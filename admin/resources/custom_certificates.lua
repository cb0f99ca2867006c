--- moongate.admin.resources.custom_certificates — the server certificates that a zone has uploaded (section 8 of the
--- API).
--
-- A certificate is served for every name of the zone that it covers, from the answer on; moongate.server_certificates
-- chooses among several by `priority` and age. PATCH with a new pair renews in place: the id stays, open connections go
-- on, new ones see the new certificate. Neither PEM text nor key is shown; the key is sealed (moongate.admin.secrets).

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
local TABLE = "custom_certificates"
local LABELS = { us = true, eu = true, highest_security = true }
local STATUSES = { active = true, expired = true, deleted = true, pending = true, initializing = true }

local function status_of(row, now)
  if row.deploy == "staging" then return "pending" end
  return row.expires_on <= stamp.seconds(now) and "expired" or "active"
end

local function show(row, context)
  return json.object {
    id = row.id, zone_id = row.zone_id, hosts = json.array(json.decode(row.hosts)), issuer = row.issuer,
    signature = row.signature, status = status_of(row, context.now), bundle_method = row.bundle_method, type = row.type,
    priority = row.priority, uploaded_on = row.uploaded_on, modified_on = row.modified_on, expires_on = row.expires_on,
    geo_restrictions = row.geo_restrictions and json.object { label = row.geo_restrictions },
    policy_restrictions = row.policy,
  }
end

local function by_status(query, context)
  local status = query:get("status")
  if not status then return nil end
  if not STATUSES[status] then return nil, nil, "status" end
  local now = stamp.seconds(context.now)
  if status == "active" then return "deploy = 'production' AND expires_on > ?", { now } end
  if status == "expired" then return "deploy = 'production' AND expires_on <= ?", { now } end
  if status == "pending" then return "deploy = ?", { "staging" } end
  return "1 = 0", {}
end

-- There is one filter, so all and any are the same.
local function by_match(query)
  local match = query:get("match")
  if match and match ~= "all" and match ~= "any" then return nil, nil, "match" end
end

local RESOURCE = {
  table = TABLE,
  columns = "id, zone_id, type, bundle_method, deploy, priority, certificate, hosts, issuer, signature, "
    .. "geo_restrictions, policy, uploaded_on, modified_on, expires_on",
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "id",
  parameter = "certificate_id",
  is_id = stamp.is_uuid,
  unknown = "custom_certificate_unknown",
  show = show,
  order = "priority DESC, uploaded_on DESC, id",
  paging = { style = "page", size = 20, min = 5, max = 50 },
  filters = { by_status, by_match },
}

-- ---- reading an upload ----

local WORDS = {
  unreadable = "custom_certificate_invalid", no_leaf = "custom_certificate_no_leaf",
  many_leaves = "custom_certificate_no_leaf",
  algorithm = "custom_certificate_invalid", cipher = "custom_certificate_cipher", key = "custom_certificate_invalid",
  expired = "custom_certificate_invalid", private_key = "private_key_unreadable", mismatch = "private_key_mismatch",
}

local function refuse(word, detail)
  local key = WORDS[word]
  local one = errors.new(key, detail)
  one.pointer = (word == "private_key" or word == "mismatch") and "/private_key" or "/certificate"
  return nil, { one }
end

local function covers_zone(hosts, zone)
  for _, host in ipairs(hosts) do
    if check.is_within((host:gsub("^%*%.", "")), zone) then return true end
  end
  return false
end

-- The columns that follow from a pair; nil and a failure when it is none for this zone.
local function read_pair(context, certificate, private_key)
  if not private_key then return refuse("private_key") end
  local pair, word, detail = leaf.read(context, certificate, private_key)
  if not pair then return refuse(word, detail) end
  local hosts, diag = context.control.certificate_hosts(certificate)
  if not hosts then return refuse("unreadable", diag.text) end
  if not covers_zone(hosts, context.zone.name) then
    return nil, errors.fail_at("/certificate", "custom_certificate_hostname", context.zone.name)
  end
  return {
    certificate = certificate, fingerprint = pair.fingerprint, kind = pair.kind, hosts = json.encode(json.array(hosts)),
    issuer = leaf.issuer_name(pair.first.issuer), signature = pair.first.signature, uploaded_on = context.stamp,
    expires_on = stamp.seconds(pair.first.not_after),
  }
end

local function read_rest(context, row)
  local values = context.values
  if values.geo_restrictions then
    local label = values.geo_restrictions.label
    if type(label) ~= "string" or not LABELS[label] then
      return errors.fail_at("/geo_restrictions/label", "custom_certificate_value", "geo_restrictions.label",
        "expected one of us, eu, highest_security")
    end
    row.geo_restrictions = label
  end
  row.type = values.type or row.type
  row.policy = values.policy or row.policy
  row.deploy = values.deploy or row.deploy
  row.bundle_method = values.bundle_method or row.bundle_method
  row.modified_on = context.stamp
  local chain, reason = leaf.chain(context, row.certificate, row.bundle_method)
  if not chain then return errors.fail_at("/certificate", "custom_certificate_chain", reason) end
  row.chain = chain
end

-- ---- the verbs ----

local COLUMNS = { "id", "zone_id", "type", "bundle_method", "deploy", "priority", "certificate", "chain", "private_key",
  "fingerprint", "kind", "hosts", "issuer", "signature", "geo_restrictions", "policy", "uploaded_on", "modified_on",
  "expires_on" }

local function refused(refusal)
  if refusal.kind == "quota" then return errors.fail("custom_certificate_quota") end
  if refusal.kind == "unique" then return errors.fail_at("/certificate", "custom_certificate_exists") end
  error("custom_certificates: " .. refusal.kind .. " " .. refusal.name)
end

local function values_of(row)
  local values = {}
  for index, column in ipairs(COLUMNS) do values[index] = row[column] end
  return values
end

local function insert(context, row)
  local sql = ("INSERT INTO %s (%s) VALUES (%s?)"):format(TABLE, table.concat(COLUMNS, ", "), ("?, "):rep(#COLUMNS - 1))
  local made, refusal = context.tx:run(sql, unpack(values_of(row), 1, #COLUMNS))
  if not made then return nil, refused(refusal) end
  context.tx:touch(context.zone.id)
  return { result = show(row, context) }
end

local function create(context)
  local values = context.values
  local row, failure = read_pair(context, values.certificate, values.private_key)
  if not row then return nil, failure end
  row.id, row.zone_id = stamp.uuid(context.control.random), context.zone.id
  row.type, row.priority, row.deploy, row.bundle_method = "legacy_custom", 20, "production", "ubiquitous"
  failure = read_rest(context, row)
  if failure then return nil, failure end
  row.private_key, failure = secrets.seal(context, TABLE, row.id, values.private_key)
  if not row.private_key then return nil, failure end
  return insert(context, row)
end

local function edit(context)
  local values = context.values
  local found = resource.find(RESOURCE, context)
  if not found then return nil, errors.fail("custom_certificate_unknown_edit") end
  local row = context.tx:one(("SELECT %s FROM %s WHERE id = ?"):format(table.concat(COLUMNS, ", "), TABLE), found.id)
  if values.certificate or values.private_key then
    if not values.certificate then
      return nil, errors.fail_at("/certificate", "custom_certificate_value", "certificate",
        "a new private key comes with a new certificate")
    end
    local fresh, failure = read_pair(context, values.certificate, values.private_key)
    if not fresh then return nil, failure end
    for column, value in pairs(fresh) do row[column] = value end
    row.private_key, failure = secrets.seal(context, TABLE, row.id, values.private_key)
    if not row.private_key then return nil, failure end
  end
  local failure = read_rest(context, row)
  if failure then return nil, failure end
  local list = values_of(row)
  list[#COLUMNS + 1] = row.id
  local made, refusal = context.tx:run(("UPDATE %s SET %s = ? WHERE id = ?"):format(TABLE,
    table.concat(COLUMNS, " = ?, ")), unpack(list, 1, #COLUMNS + 1))
  if not made then return nil, refused(refusal) end
  context.tx:touch(context.zone.id)
  return { result = show(row, context) }
end

-- The verb behind the question whether the key is to come from a signing request, which are not made here.
local function with_own_key(run)
  return function(context)
    if not context.values.custom_csr_id then return run(context) end
    return nil, errors.fail_at("/custom_csr_id", "custom_certificate_csr")
  end
end

local remove = resource.delete(RESOURCE, refused, function(row) return json.object { id = row.id } end)

local function delete(context)
  local answer, failure = remove(context)
  if not answer then return nil, failure end
  context.tx:touch(context.zone.id)
  return answer
end

local function bad_priority(index, field, text)
  return nil, errors.fail_at(("/certificates/%d/%s"):format(index - 1, field), "custom_certificate_value",
    ("certificates[%d].%s"):format(index, field), text)
end

local function prioritize(context)
  local tx, zone_id = context.tx, context.zone.id
  for index, entry in ipairs(context.values.certificates) do
    if check.kind(entry.priority) ~= "integer" or math.abs(entry.priority) >= 2 ^ 31 then
      return bad_priority(index, "priority", "expected a whole number")
    end
    local changed = stamp.is_uuid(entry.id) and tx:run(("UPDATE %s SET priority = ?, modified_on = ? WHERE id = ? "
      .. "AND zone_id = ?"):format(TABLE), entry.priority, context.stamp, entry.id, zone_id)
    if not changed or changed == 0 then
      return bad_priority(index, "id", "there is no such certificate in this zone")
    end
  end
  tx:touch(zone_id)
  local result = resource.array()
  for index, row in ipairs(tx:all(("SELECT %s FROM %s WHERE zone_id = ? ORDER BY %s"):format(RESOURCE.columns, TABLE,
      RESOURCE.order), zone_id)) do
    result[index] = show(row, context)
  end
  return { result = result }
end

local COLLECTION = "/zones/{zone_id}/custom_certificates"
local ONE = COLLECTION .. "/{certificate_id}"
local METHODS = { "ubiquitous", "optimal", "force" }

local function fields(required)
  return {
    { name = "certificate", type = "string", required = required },
    { name = "private_key", type = "string" },
    { name = "custom_csr_id", type = "string" },
    { name = "bundle_method", type = "string", one_of = METHODS },
    { name = "type", type = "string", one_of = { "legacy_custom", "sni_custom" } },
    { name = "geo_restrictions", type = "object" },
    { name = "policy", type = "string", max = 1024 },
    { name = "deploy", type = "string", one_of = { "production", "staging" } },
  }
end

M.routes = {
  { method = "GET", path = COLLECTION, permission = permissions.need("read", GROUP), run = resource.list(RESOURCE) },
  {
    method = "POST", path = COLLECTION, permission = permissions.need("write", GROUP), group = "custom_certificates",
    run = with_own_key(create), fields = fields(true),
  },
  {
    method = "PUT", path = COLLECTION .. "/prioritize", permission = permissions.need("write", GROUP),
    group = "custom_certificates", run = prioritize,
    fields = { { name = "certificates", type = "array", of = "object", required = true, max = 1000 } },
  },
  { method = "GET", path = ONE, permission = permissions.need("read", GROUP), run = resource.get(RESOURCE) },
  {
    method = "PATCH", path = ONE, permission = permissions.need("write", GROUP), group = "custom_certificates",
    run = with_own_key(edit), fields = fields(false),
  },
  { method = "DELETE", path = ONE, permission = permissions.need("write", GROUP), run = delete },
}

return M
