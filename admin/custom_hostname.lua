--- moongate.admin.custom_hostname — the life of a custom hostname: its rows, and whether its zone serves it.
--
-- Called by the resources of custom hostnames, inside their transaction. One zone at a time serves a hostname, and none
-- does while a zone of its own has it; where the operator has switched checks on, whoever asks proves ownership first.
-- What is not served waits as `pending`, with the reason in `verification_errors`.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local secrets = require "moongate.admin.secrets"
local stamp = require "moongate.admin.stamp"

local M = {}

M.CERTIFICATES = "custom_hostname_certificates"

M.COLUMNS = { "id", "zone_id", "hostname", "status", "served", "owned", "token", "verification_errors",
  "attempts", "next_check", "custom_metadata", "custom_origin_server", "custom_origin_sni", "created_at", "ssl_id",
  "ssl_status", "ssl_method", "ssl_type", "bundle_method", "certificate_authority", "wildcard", "branding", "settings" }

--- All that a hostname can be.
M.STATUSES = { "active", "pending", "active_redeploying", "moved", "pending_deletion", "deleted", "pending_blocked",
  "pending_migration", "pending_provisioned", "test_pending", "test_active", "test_active_apex", "test_blocked",
  "test_failed", "provisioned", "blocked" }

--- All that its certificate can be.
M.SSL_STATUSES = { "initializing", "pending_validation", "deleted", "pending_issuance", "pending_deployment",
  "pending_deletion", "pending_expiration", "expired", "active", "initializing_timed_out", "validation_timed_out",
  "issuance_timed_out", "deployment_timed_out", "deletion_timed_out", "pending_cleanup", "staging_deployment",
  "staging_active", "deactivating", "inactive", "backup_issued", "holding_deployment" }

local SERVED = { active = true, active_redeploying = true }
-- What a request to validate again goes on from; the rest is the operator's word and stays.
local RESTARTS = { active = true, pending = true, moved = true, deleted = true }

-- ---- whether it is served ----

--- Is ownership to be proven in this zone?
---@param tx table
---@param zone_id string
---@return boolean
function M.is_checked(tx, zone_id)
  return tx:one("SELECT 1 AS one FROM custom_hostname_checks WHERE zone_id = ? AND checks = 1", zone_id) ~= nil
end

-- Has a zone the hostname in its domain?
local function has_zone(tx, hostname)
  local candidate = hostname
  while candidate do
    if tx:one("SELECT 1 AS one FROM zones WHERE name = ?", candidate) then return true end
    candidate = candidate:match("^[^.]+%.(.+)$")
  end
  return false
end

--- Why the hostname cannot be served, whoever owns it; nil when it can.
---@param tx table
---@param row table
---@return string|nil
function M.obstacle(tx, row)
  if has_zone(tx, row.hostname) then
    return "The hostname lies in a zone of this gateway, which goes before custom hostnames."
  end
  if tx:one("SELECT 1 AS one FROM custom_hostnames WHERE hostname = ? AND served = 1 AND id <> ?", row.hostname,
      row.id) then
    return "Another zone of this gateway serves the hostname."
  end
end

--- Sets a status, and with it whether the hostname is served.
---@param row table
---@param status string
---@param reasons string[] for `verification_errors`
function M.set_status(row, status, reasons)
  row.status, row.served = status, SERVED[status] and 1 or 0
  row.verification_errors = json.encode(json.array(reasons))
end

--- Says anew whether the hostname is served; whoever waits for ownership to be proven begins from the start.
---@param context table
---@param row table
function M.settle(context, row)
  row.attempts, row.next_check = 0, context.stamp
  if row.status and not RESTARTS[row.status] then return end
  local reason = M.obstacle(context.tx, row)
  if not reason and row.owned == 0 and M.is_checked(context.tx, context.zone.id) then
    reason = "Ownership of the hostname has not been verified yet."
  end
  M.set_status(row, reason and "pending" or "active", { reason })
  if row.ssl_id then row.ssl_status = reason and "pending_validation" or "active" end
end

--- Where ownership is looked for: the token is the body of `http_url`, or the TXT record of `txt_name`.
---@param row { id: string, hostname: string }
---@return { http_url: string, txt_name: string }
function M.challenge(row)
  return {
    http_url = ("http://%s/.well-known/cf-custom-hostname-challenge/%s"):format(row.hostname, row.id),
    txt_name = "_cf-custom-hostname." .. row.hostname,
  }
end

-- ---- rows ----

local SELECT = "SELECT " .. table.concat(M.COLUMNS, ", ") .. " FROM custom_hostnames WHERE "

---@param tx table
---@param id string
---@return table|nil row
function M.by_id(tx, id)
  return tx:one(SELECT .. "id = ?", id)
end

--- The row that the path names.
---@param context table
---@return table|nil
---@return moongate.admin.error[]|nil
function M.find(context)
  local id = context.params.custom_hostname_id
  if not stamp.is_uuid(id) then return nil, errors.fail("custom_hostname_bad_id") end
  local row = context.tx:one(SELECT .. "zone_id = ? AND id = ?", context.zone.id, id)
  if not row then return nil, errors.fail("custom_hostname_unknown") end
  return row
end

local function values_of(row)
  local values = {}
  for index, column in ipairs(M.COLUMNS) do values[index] = row[column] end
  return values
end

local INSERT = ("INSERT INTO custom_hostnames (%s) VALUES (%s?)"):format(table.concat(M.COLUMNS, ", "),
  ("?, "):rep(#M.COLUMNS - 1))
local UPDATE = ("UPDATE custom_hostnames SET %s = ? WHERE id = ?"):format(table.concat(M.COLUMNS, " = ?, "))

local function refused(refusal)
  if refusal.kind == "unique" then return errors.fail_at("/hostname", "custom_hostname_exists") end
  if refusal.kind == "quota" then return errors.fail("custom_hostname_quota") end
  error("custom_hostnames: " .. refusal.kind .. " " .. refusal.name)
end

--- Stores a row, new or not.
---@param context table
---@param row table
---@param is_new boolean|nil
---@return true|nil
---@return moongate.admin.error[]|nil
function M.store(context, row, is_new)
  local values, count = values_of(row), #M.COLUMNS
  if not is_new then values[count + 1] = row.id end
  local made, refusal = context.tx:run(is_new and INSERT or UPDATE, unpack(values, 1, is_new and count or count + 1))
  if not made then return nil, refused(refusal) end
  context.tx:touch(row.zone_id)
  return true
end

--- Its certificates, in the order in which they were uploaded.
---@param tx table
---@param id string
---@return table[]
function M.certificates(tx, id)
  return tx:all("SELECT id, kind, certificate, chain, private_key, covers_wildcard, issuer, serial_number, signature, "
    .. "uploaded_on, expires_on FROM custom_hostname_certificates WHERE custom_hostname_id = ? ORDER BY position", id)
end

--- Puts certificates with their keys in the place of those that there are.
---@param context table
---@param id string of the hostname
---@param list table[] from moongate.admin.custom_hostname_ssl
---@return true|nil
---@return moongate.admin.error[]|nil
function M.replace_certificates(context, id, list)
  assert(context.tx:run("DELETE FROM custom_hostname_certificates WHERE custom_hostname_id = ?", id))
  for position, one in ipairs(list) do
    local own_id = stamp.uuid(context.control.random)
    local sealed, failure = secrets.seal(context, M.CERTIFICATES, own_id, one.key)
    if not sealed then return nil, failure end
    assert(context.tx:run("INSERT INTO custom_hostname_certificates (id, custom_hostname_id, position, kind, "
      .. "certificate, chain, private_key, covers_wildcard, issuer, serial_number, signature, uploaded_on, expires_on) "
      .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", own_id, id, position, one.kind, one.certificate, one.chain,
      sealed, one.covers_wildcard, one.issuer, one.serial_number, one.signature, one.uploaded_on, one.expires_on))
  end
  return true
end

--- Puts a certificate with its key in the place of one; its id stays.
---@param context table
---@param row table the hostname
---@param id string of the certificate
---@param fresh table from moongate.admin.custom_hostname_ssl
---@return true|nil
---@return moongate.admin.error[]|nil
function M.replace_certificate(context, row, id, fresh)
  local sealed, failure = secrets.seal(context, M.CERTIFICATES, id, fresh.key)
  if not sealed then return nil, failure end
  assert(context.tx:run("UPDATE custom_hostname_certificates SET kind = ?, certificate = ?, chain = ?, "
    .. "private_key = ?, covers_wildcard = ?, issuer = ?, serial_number = ?, signature = ?, uploaded_on = ?, "
    .. "expires_on = ? WHERE id = ?", fresh.kind, fresh.certificate, fresh.chain, sealed, fresh.covers_wildcard,
    fresh.issuer, fresh.serial_number, fresh.signature, fresh.uploaded_on, fresh.expires_on, id))
  context.tx:touch(row.zone_id)
  return true
end

--- Takes one certificate away; another one stays.
---@param context table
---@param row table the hostname
---@param id string of the certificate
function M.drop_certificate(context, row, id)
  assert(context.tx:run("DELETE FROM custom_hostname_certificates WHERE id = ?", id))
  context.tx:touch(row.zone_id)
end

--- A zone has been made: custom hostnames in its domain are its own from now on.
---@param tx table
---@param name string of the zone
function M.leave_to_zone(tx, name)
  local condition = "served = 1 AND (hostname = ? OR substr(hostname, ?) = ?)"
  for _, row in ipairs(tx:all("SELECT DISTINCT zone_id FROM custom_hostnames WHERE " .. condition, name, -#name - 1,
      "." .. name)) do
    tx:touch(row.zone_id)
  end
  assert(tx:run("UPDATE custom_hostnames SET status = 'moved', served = 0, verification_errors = ? WHERE " .. condition,
    json.encode(json.array { "A zone of this gateway has taken the hostname over." }), name, -#name - 1, "." .. name))
end

return M
