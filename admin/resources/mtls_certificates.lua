--- moongate.admin.resources.mtls_certificates — uploaded certificates of an account: CAs that clients are verified
--- against, and leaf certificates.
--
-- An upload is checked in a fixed order and stored byte for byte as it came, for clients compare. There is no update.
-- The private key of a leaf is sealed (moongate.admin.secrets) and never shown: origins may ask for the certificate. That
-- of a CA only proves that it belongs to the certificate and is then forgotten. Uniqueness, the quota and "in use" are
-- constraints of the store.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local secrets = require "moongate.admin.secrets"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "Account: SSL and Certificates"
local SOON_SECONDS = 30 * 86400

local function show(row)
  return json.object {
    id = row.id, name = row.name, ca = row.ca == 1, certificates = row.certificates, issuer = row.issuer,
    signature = row.signature, serial_number = row.serial_number, type = row.type, uploaded_on = row.uploaded_on,
    expires_on = row.expires_on,
  }
end

local function by_name(query)
  local name = query:get("name")
  if name then return "name = ?", { name } end
end

local function by_ca(query)
  local value, bad = check.flag(query:get("ca"))
  if bad then return nil, nil, "ca" end
  if value ~= nil then return "ca = ?", { value and 1 or 0 } end
end

local function by_type(query)
  local types = query:list("type")
  if types[1] then return "type IN (" .. ("?, "):rep(#types - 1) .. "?)", types end
end

local RESOURCE = {
  table = "mtls_certificates",
  columns = "id, name, ca, certificates, issuer, signature, serial_number, type, uploaded_on, expires_on",
  scope = "account_id = ?",
  scope_of = function(context) return context.account.id end,
  key = "id",
  parameter = "certificate_id",
  is_id = stamp.is_uuid,
  unknown = "certificate_unknown",
  show = show,
  order = "uploaded_on DESC, id",
  paging = { style = "single", size = 50, min = 1, max = 1000 },
  filters = { by_name, by_ca, by_type },
}

--- The uploaded CA that a path names.
---@param context table
---@return { id: string, certificates: string }|nil
---@return moongate.admin.error[]|nil
function M.find_ca(context)
  local row, failure = resource.find(RESOURCE, context)
  if row and row.ca ~= 1 then return nil, errors.fail("certificate_not_ca") end
  return row, failure
end

-- One step of the upload's checks gives errors, or nil to go on.
local function check_shape(upload)
  if upload.ca then
    for _, certificate in ipairs(upload.list) do
      if not certificate.is_ca then return errors.fail_at("/certificates", "certificate_not_ca") end
    end
  end
end

local function check_algorithms(upload, now)
  for index, certificate in ipairs(upload.list) do
    local key = not certificate.signature_allowed and "certificate_algorithm"
      or not certificate.key_allowed and "certificate_key"
      or certificate.not_after <= now and "certificate_expired"
    if key then
      local one = errors.new(key)
      one.pointer = "/certificates"
      local detail = key == "certificate_algorithm" and certificate.signature
        or key == "certificate_key" and certificate.key
        or "it ended at " .. stamp.seconds(certificate.not_after)
      local message = ("certificate %d (%s): %s"):format(index, certificate.subject, detail)
      one.chain = { { code = one.code, message = message } }
      return { one }
    end
    if upload.ca and certificate.subject == "" then
      return errors.fail_at("/certificates", "certificate_value", "certificates",
        "a CA without a subject issues nothing")
    end
  end
end

local function check_key(upload, control)
  local key = upload.private_key
  if not key then
    if not upload.ca then return errors.fail_at("/private_key", "private_key_unreadable") end
    return nil
  end
  local ok, diag = control.match_key(upload.certificates, key)
  if ok then return nil end
  return errors.fail_at("/private_key", diag.where == "match" and "private_key_mismatch" or "private_key_unreadable")
end

local function check_chain(upload)
  if upload.ca then return nil end
  for index, certificate in ipairs(upload.list) do
    if certificate.is_ca ~= (index > 1) then return errors.fail_at("/certificates", "certificate_chain") end
  end
end

-- The set of certificates, however it was ordered or repeated.
local function fingerprint(control, list)
  local hashes, seen = {}, {}
  for _, certificate in ipairs(list) do
    if not seen[certificate.sha256] then
      seen[certificate.sha256] = true
      hashes[#hashes + 1] = certificate.sha256
    end
  end
  table.sort(hashes)
  return stamp.hex(control.sha256(table.concat(hashes)))
end

local function inspect(context)
  local values = context.values
  local list, diag = context.control.certificates(values.certificates)
  if not list then
    local one = errors.new("certificate_unreadable")
    one.pointer = "/certificates"
    one.chain = { { code = one.code, message = diag.text } }
    return nil, { one }
  end
  local upload = { ca = values.ca, certificates = values.certificates, private_key = values.private_key, list = list }
  local failure = check_shape(upload) or check_algorithms(upload, context.now) or check_key(upload, context.control)
    or check_chain(upload)
  if failure then return nil, failure end
  return list
end

local function refused(refusal)
  if refusal.kind == "quota" then return errors.fail("certificate_quota") end
  if refusal.kind == "unique" and refusal.name:find("name", 1, true) then
    return errors.fail_at("/name", "certificate_name_exists")
  end
  if refusal.kind == "unique" then return errors.fail_at("/certificates", "certificate_exists") end
  error("mtls_certificates: " .. refusal.kind .. " " .. refusal.name)
end

local function taken(context, column, value)
  return context.tx:one(("SELECT 1 AS one FROM mtls_certificates WHERE account_id = ? AND %s = ?"):format(column),
    context.account.id, value) ~= nil
end

-- What ends soon is taken, and said so.
local function warn_of_end(context, list)
  for index, certificate in ipairs(list) do
    if certificate.not_after - context.now < SOON_SECONDS then
      context.messages[1] = {
        code = 21104,
        message = ("certificate %d (%s) ends at %s; nothing under it verifies after that"):format(index,
          certificate.subject, stamp.seconds(certificate.not_after)),
      }
      return
    end
  end
end

local function upload(context)
  local values = context.values
  local list, failure = inspect(context)
  if not list then return nil, failure end
  local first, hash = list[1], fingerprint(context.control, list)
  -- The constraints decide; these two questions only keep the documented order among several refusals.
  if taken(context, "fingerprint", hash) then return nil, errors.fail_at("/certificates", "certificate_exists") end
  if values.name and taken(context, "name", values.name) then
    return nil, errors.fail_at("/name", "certificate_name_exists")
  end
  local row = {
    id = stamp.uuid(context.control.random), name = values.name, ca = values.ca and 1 or 0,
    certificates = values.certificates, issuer = first.issuer, signature = first.signature,
    serial_number = first.serial, type = "custom", uploaded_on = context.stamp, expires_on = stamp.seconds(first.not_after),
  }
  local sealed
  if not values.ca then
    sealed, failure = secrets.seal(context, "mtls_certificates", row.id, values.private_key)
    if not sealed then return nil, failure end
  end
  local made, refusal = context.tx:run("INSERT INTO mtls_certificates (id, account_id, name, ca, certificates, "
    .. "fingerprint, issuer, signature, serial_number, type, uploaded_on, expires_on, private_key) "
    .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    row.id, context.account.id, row.name, row.ca, row.certificates, hash, row.issuer, row.signature, row.serial_number,
    row.type, row.uploaded_on, row.expires_on, sealed)
  if not made then return nil, refused(refusal) end
  local result = show(row)
  result.updated_at = row.uploaded_on
  if values.ca then warn_of_end(context, list) end
  return { result = result }
end

local function associations(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  local result = resource.array()
  if context.tx:one("SELECT 1 AS one FROM hostname_associations WHERE certificate_id = ? LIMIT 1", row.id) then
    result[1] = json.object { service = "api_shield", status = "active" }
  end
  return { result = result }
end

local COLLECTION = "/accounts/{account_id}/mtls_certificates"
local ONE = COLLECTION .. "/{certificate_id}"

M.routes = {
  {
    method = "POST", path = COLLECTION, permission = permissions.need("write", GROUP), group = "certificates",
    run = upload,
    fields = {
      { name = "ca", type = "boolean", required = true },
      { name = "certificates", type = "string", required = true },
      { name = "name", type = "string", max = 1024 },
      { name = "private_key", type = "string" },
    },
  },
  { method = "GET", path = COLLECTION, permission = permissions.need("read", GROUP), run = resource.list(RESOURCE) },
  { method = "GET", path = ONE, permission = permissions.need("read", GROUP), run = resource.get(RESOURCE) },
  {
    method = "DELETE", path = ONE, permission = permissions.need("write", GROUP),
    run = resource.delete(RESOURCE, function(refusal)
      return errors.fail(refusal.name == "origins" and "certificate_presented" or "certificate_in_use")
    end),
  },
  { method = "GET", path = ONE .. "/associations", permission = permissions.need("read", GROUP), run = associations },
}

return M
