--- moongate.admin.resources.client_certificates — client certificates that the managed CA of the account signs on
--- request (section 3 of the API).
--
-- A certificate is never deleted: DELETE revokes, PATCH restores. What is revoked goes into the documents of all
-- zones of the account that trust the CA, before the answer; the answer itself shows the pending state that clients
-- expect. The private key of a client is never seen here.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local managed_ca = require "moongate.admin.managed_ca"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "SSL and Certificates"
local TABLE = "client_certificates"
local DAYS_MAX = 5475 -- MOON_MANAGED_LEAF_DAYS of core/tls/managed_ca.h

local COLUMNS = { "id", "zone_id", "ca_id", "status", "certificate", "csr", "common_name", "country", "state",
  "location", "organization", "organizational_unit", "serial_number", "fingerprint_sha256", "signature", "ski", "validity_days",
  "issued_on", "expires_on", "created_on" }

local SHOWN = { "id", "certificate", "csr", "common_name", "country", "state", "location", "organization",
  "organizational_unit", "serial_number", "fingerprint_sha256", "signature", "ski", "validity_days", "issued_on",
  "expires_on", "status" }

-- `status`: the pending state of an answer to a change.
local function show(row, context, status)
  local object = json.object {}
  for _, name in ipairs(SHOWN) do object[name] = row[name] end
  object.status = status or row.status
  local ca = managed_ca.find(context.tx, context.account.id)
  object.certificate_authority = json.object { id = ca.id, name = ca.name }
  return object
end

local STATUSES = { active = { "active" }, revoked = { "revoked" }, pending_reactivation = {}, pending_revocation = {} }

local function by_status(query)
  local status = query:get("status")
  if not status or status == "all" then return nil end
  local stored = STATUSES[status]
  if not stored then return nil, nil, "status" end
  if not stored[1] then return "1 = 0", {} end -- nothing stays pending
  return "status = ?", stored
end

local RESOURCE = {
  table = TABLE,
  columns = table.concat(COLUMNS, ", "),
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "id",
  parameter = "client_certificate_id",
  is_id = stamp.is_uuid,
  unknown = "client_certificate_unknown",
  show = function(row, context) return show(row, context) end,
  order = "created_on DESC, id",
  paging = { style = "page", size = 20, min = 5, max = 50 },
  filters = { by_status },
}

local function quota_reached(context)
  local name = context.account.type == "enterprise" and "client_certificates_enterprise" or "client_certificates"
  return errors.fail("client_certificate_quota", context.tx:one("SELECT value FROM quotas WHERE name = ?", name).value)
end

local function refused(context, refusal)
  if refusal.kind == "quota" then return quota_reached(context) end
  error("client_certificates: " .. refusal.kind .. " " .. refusal.name)
end

-- ---- signing ----

local function sign(context, ca)
  local values = context.values
  local issued, diag = context.control.issue(managed_ca.signer(ca), values.csr, values.validity_days, context.now)
  if issued then return issued end
  if diag.where == "csr" then
    local one = errors.new("csr_unreadable")
    one.pointer = "/csr"
    one.chain = { { code = one.code, message = diag.text } }
    return nil, { one }
  end
  context.app.log("error", ("managed CA: it cannot sign: %s: %s"):format(diag.where, diag.text))
  return nil, errors.fail("internal")
end

local function create(context)
  local ca, failure = managed_ca.ensure(context)
  if not ca then return nil, failure end
  local row
  row, failure = sign(context, ca)
  if not row then return nil, failure end
  local described = context.control.certificates(row.certificate)[1]
  row.id, row.zone_id, row.ca_id, row.status = stamp.uuid(context.control.random), context.zone.id, ca.id, "active"
  row.csr, row.validity_days, row.serial_number = context.values.csr, context.values.validity_days, row.serial
  row.fingerprint_sha256, row.signature = described.sha256, described.signature
  row.issued_on, row.expires_on = stamp.seconds(described.not_before), stamp.seconds(described.not_after)
  row.created_on = context.stamp
  local values = {}
  for index, column in ipairs(COLUMNS) do values[index] = row[column] end
  local made, refusal = context.tx:run(("INSERT INTO %s (%s) VALUES (%s?)"):format(TABLE, RESOURCE.columns,
    ("?, "):rep(#COLUMNS - 1)), unpack(values))
  if not made then return nil, refused(context, refusal) end
  return { result = show(row, context) }
end

-- ---- revoking and restoring ----

local function set_status(context, row, status)
  local changed, refusal = context.tx:run("UPDATE client_certificates SET status = ? WHERE id = ?", status, row.id)
  if not changed then return nil, refused(context, refusal) end
  if status == "revoked" then
    assert(context.tx:run("INSERT INTO managed_revocations (ca_id, serial_number, revoked_on) VALUES (?, ?, ?)",
      row.ca_id, row.serial_number, context.stamp))
  else
    assert(context.tx:run("DELETE FROM managed_revocations WHERE ca_id = ? AND serial_number = ?", row.ca_id,
      row.serial_number))
  end
  managed_ca.touch_zones(context.tx, row.ca_id)
  return true
end

local function revoke(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  if row.status == "revoked" then return nil, errors.fail("client_certificate_revoked") end
  local ok
  ok, failure = set_status(context, row, "revoked")
  if not ok then return nil, failure end
  return { result = show(row, context, "pending_revocation") }
end

local function restore(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  if not context.values.reactivate or row.status == "active" then return { result = show(row, context) } end
  local ok
  ok, failure = set_status(context, row, "active")
  if not ok then return nil, failure end
  return { result = show(row, context, "pending_reactivation") }
end

local COLLECTION = "/zones/{zone_id}/client_certificates"
local ONE = COLLECTION .. "/{client_certificate_id}"

M.routes = {
  {
    method = "POST", path = COLLECTION, permission = permissions.need("write", GROUP), group = "certificates",
    run = create,
    fields = {
      { name = "csr", type = "string", required = true },
      { name = "validity_days", type = "integer", required = true, min = 1, max = DAYS_MAX },
    },
  },
  { method = "GET", path = COLLECTION, permission = permissions.need("read", GROUP), run = resource.list(RESOURCE) },
  { method = "GET", path = ONE, permission = permissions.need("read", GROUP), run = resource.get(RESOURCE) },
  {
    method = "PATCH", path = ONE, permission = permissions.need("write", GROUP), group = "certificates", run = restore,
    fields = { { name = "reactivate", type = "boolean" } },
  },
  { method = "DELETE", path = ONE, permission = permissions.need("write", GROUP), run = revoke },
}

return M
