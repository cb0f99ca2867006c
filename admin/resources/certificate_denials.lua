--- moongate.admin.resources.certificate_denials — the deny list of an uploaded CA: client certificates that are revoked
--- although the CA itself says nothing. Ours, below /accounts/{account_id}/mtls_certificates/{certificate_id}/moongate/.
--
-- An entry is a serial number under any certificate of the CA's bundle, or the fingerprint of one certificate. It holds
-- for every hostname of the account that is associated with the CA, before the answer.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local managed_ca = require "moongate.admin.managed_ca"
local mtls_certificates = require "moongate.admin.resources.mtls_certificates"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local serial_number = require "moongate.admin.serial_number"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "Account: SSL and Certificates"
local COLLECTION = "/accounts/{account_id}/mtls_certificates/{certificate_id}/moongate/denials"
local ONE = COLLECTION .. "/{denial_id}"

local function show(row)
  return json.object {
    id = row.id, serial = row.kind == "serial" and "0x" .. row.value or json.null,
    sha256 = row.kind == "sha256" and row.value or json.null, comment = row.comment or json.null,
    created_on = row.created_on,
  }
end

local RESOURCE = {
  table = "certificate_denials",
  columns = "id, kind, value, comment, created_on",
  scope = "certificate_id = ?",
  scope_of = function(context) return context.params.certificate_id end,
  key = "id",
  parameter = "denial_id",
  is_id = stamp.is_uuid,
  unknown = "denial_unknown",
  show = show,
  order = "created_on DESC, id",
  paging = { style = "page", size = 50, min = 5, max = 1000 },
}

-- A verb that is asked only when the path names a CA of the account.
local function under_ca(verb)
  return function(context)
    local ca, failure = mtls_certificates.find_ca(context)
    if not ca then return nil, failure end
    return verb(context, ca)
  end
end

local function refuse(field, reason)
  return nil, errors.fail_at("/" .. field, "denial_value", field, reason)
end

-- Which certificate the body means, in stored form.
local function read(values)
  if (values.serial == nil) == (values.sha256 == nil) then
    return refuse("serial", "either serial or sha256 is needed, and not both")
  end
  if values.serial then
    local hex, reason = serial_number.read(values.serial)
    if not hex then return refuse("serial", reason) end
    return { kind = "serial", value = hex }
  end
  local hex = values.sha256:gsub(":", ""):lower()
  if #hex ~= 64 or hex:find("%X") then
    return refuse("sha256", "expected the 64 hexadecimal digits of a certificate's SHA-256")
  end
  return { kind = "sha256", value = hex }
end

local function note_issuers(context, ca)
  for _, certificate in ipairs(assert(context.control.certificates(ca.certificates))) do
    assert(context.tx:run("INSERT INTO certificate_denial_issuers (certificate_id, sha256) VALUES (?, ?) "
      .. "ON CONFLICT DO NOTHING", ca.id, certificate.sha256))
  end
end

local function create(context, ca)
  local row, failure = read(context.values)
  if not row then return nil, failure end
  row.id, row.comment, row.created_on = stamp.uuid(context.control.random), context.values.comment, context.stamp
  local made, refusal = context.tx:run("INSERT INTO certificate_denials (id, certificate_id, kind, value, comment, "
    .. "created_on) VALUES (?, ?, ?, ?, ?, ?)", row.id, ca.id, row.kind, row.value, row.comment, row.created_on)
  if not made then
    if refusal.kind == "quota" then return nil, errors.fail("denial_quota") end
    if refusal.kind == "unique" then return nil, errors.fail_at("/" .. row.kind, "denial_exists") end
    error("certificate_denials: " .. refusal.kind .. " " .. refusal.name)
  end
  note_issuers(context, ca)
  managed_ca.touch_zones(context.tx, ca.id)
  return { result = show(row) }
end

local remove = resource.delete(RESOURCE, function(refusal) error("certificate_denials: " .. refusal.name) end)

local function delete(context, ca)
  local answer, failure = remove(context)
  if not answer then return nil, failure end
  managed_ca.touch_zones(context.tx, ca.id)
  return answer
end

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)

M.routes = {
  { method = "GET", path = COLLECTION, permission = READ, run = under_ca(resource.list(RESOURCE)) },
  {
    method = "POST", path = COLLECTION, permission = WRITE, group = "denials", run = under_ca(create),
    fields = {
      { name = "serial", type = "string", max = 1024 },
      { name = "sha256", type = "string", max = 128 },
      { name = "comment", type = "string", max = 500 },
    },
  },
  { method = "GET", path = ONE, permission = READ, run = under_ca(resource.get(RESOURCE)) },
  { method = "DELETE", path = ONE, permission = WRITE, run = under_ca(delete) },
}

return M
