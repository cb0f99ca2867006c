--- moongate.admin.custom_hostname_ssl — the `ssl` member of a custom hostname: reads it from a body, shows it.
--
-- Called by resources/custom_hostnames.lua. No certificate authority is asked here: a hostname is served with the
-- certificates that were uploaded with it, else with one of the gateway's own CA. Keys are checked here and sealed by
-- the caller; nothing is stored.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local leaf = require "moongate.admin.leaf"
local setting = require "moongate.admin.setting"
local stamp = require "moongate.admin.stamp"

local M = {}

local FIELDS = {
  { name = "method", type = "string", one_of = { "http", "txt", "email" } },
  { name = "type", type = "string", one_of = { "dv" } },
  { name = "bundle_method", type = "string", one_of = { "ubiquitous", "optimal", "force" } },
  { name = "certificate_authority", type = "string", one_of = { "google", "lets_encrypt", "ssl_com", "digicert" } },
  { name = "cloudflare_branding", type = "boolean" },
  { name = "wildcard", type = "boolean" },
  { name = "settings", type = "object" },
  { name = "custom_certificate", type = "string" },
  { name = "custom_key", type = "string" },
  { name = "custom_cert_bundle", type = "array", of = "object", max = 2 },
  { name = "custom_csr_id", type = "string" },
}

-- Member → the error for a value that cannot be.
local ERRORS = {
  method = "custom_hostname_method", type = "custom_hostname_type", bundle_method = "custom_hostname_bundle_method",
  custom_certificate = "custom_hostname_certificate", custom_key = "custom_hostname_key",
  custom_csr_id = "custom_hostname_csr", http2 = "custom_hostname_http2", tls_1_3 = "custom_hostname_tls_1_3",
  min_tls_version = "custom_hostname_min_tls", ciphers = "custom_hostname_ciphers",
}

local function refuse(member, detail, pointer)
  return nil, errors.fail_at("/ssl/" .. (pointer or member), ERRORS[member] or "custom_hostname_ssl", detail)
end

-- ---- settings ----

local SWITCHES = { "early_hints", "http2", "tls_1_3" }

local function is_present(value)
  return value ~= nil and value ~= json.null and value ~= ""
end

-- Could no client connect any more?
local function contradiction(context, settings)
  local zone = setting.of_zone(context.tx, context.zone.id)
  local min, newest = settings.min_tls_version or zone.min_tls_version, settings.tls_1_3 or zone.tls_1_3
  if min == "1.3" and newest == "off" then return "TLS 1.3 is the oldest version that is allowed, and it is off" end
end

local function read_settings(context, given)
  local settings = json.object {}
  for _, name in ipairs(SWITCHES) do
    local value = given[name]
    if is_present(value) then
      if value ~= "on" and value ~= "off" then
        return refuse(name, ("Invalid value for %s: expected on or off"):format(name), "settings/" .. name)
      end
      settings[name] = value
    end
  end
  for _, name in ipairs { "min_tls_version", "ciphers" } do
    local value = given[name]
    if is_present(value) then
      local mistake = setting.mistake(setting.by_id[name], value)
      if mistake then return refuse(name, mistake, "settings/" .. name) end
      settings[name] = value
    end
  end
  if settings.ciphers and #settings.ciphers > 0 and settings.min_tls_version == "1.3" then
    return nil, errors.fail_at("/ssl/settings/ciphers", "custom_hostname_ciphers_1_3")
  end
  local reason = contradiction(context, settings)
  if reason then return refuse("min_tls_version", reason, "settings/min_tls_version") end
  return settings
end

-- ---- certificates ----

--- Why two certificates cannot stand beside each other.
M.ONE_OF_EACH = "of two certificates one has an RSA key and one has an ECDSA key"

local WORDS = {
  unreadable = "custom_hostname_certificate", no_leaf = "custom_hostname_no_leaf",
  many_leaves = "custom_hostname_many_leaves", algorithm = "custom_hostname_algorithm",
  cipher = "custom_hostname_bundle", key = "custom_hostname_bundle", expired = "custom_hostname_bundle",
  private_key = "custom_hostname_key", mismatch = "custom_hostname_mismatch",
}

local function refuse_pair(pointer, key, detail)
  return nil, errors.fail_at(pointer, key, detail)
end

local function covers(hosts, hostname)
  local wildcard = "*." .. (hostname:match("^[^.]+%.(.+)$") or "")
  local found, below = false, false
  for _, host in ipairs(hosts) do
    found = found or host == hostname or host == wildcard
    below = below or host == "*." .. hostname
  end
  return found, below
end

--- Reads a certificate and its key into the columns of its row, the key still open in `key`.
---@param context table
---@param row table the hostname
---@param given { custom_certificate: any, custom_key: any }
---@param pointer string to `given` in the body
---@return table|nil
---@return moongate.admin.error[]|nil
function M.read_pair(context, row, given, pointer)
  local certificate, key = given.custom_certificate, given.custom_key
  if not is_present(certificate) then return refuse_pair(pointer .. "/custom_certificate", "custom_hostname_empty") end
  if type(certificate) ~= "string" then
    return refuse_pair(pointer .. "/custom_certificate", "custom_hostname_certificate", "expected a string")
  end
  if type(key) ~= "string" or key == "" then
    return refuse_pair(pointer .. "/custom_key", "custom_hostname_key", "it is missing")
  end
  local pair, word, detail = leaf.read(context, certificate, key)
  if not pair then
    local member = (word == "private_key" or word == "mismatch") and "/custom_key" or "/custom_certificate"
    return refuse_pair(pointer .. member, WORDS[word], detail)
  end
  local hosts, diag = context.control.certificate_hosts(certificate)
  if not hosts then return refuse_pair(pointer .. "/custom_certificate", WORDS.unreadable, diag.text) end
  local found, below = covers(hosts, row.hostname)
  if not found then return refuse_pair(pointer .. "/custom_certificate", "custom_hostname_cover", row.hostname) end
  local chain, reason = leaf.chain(context, certificate, row.bundle_method)
  if not chain then return refuse_pair(pointer .. "/custom_certificate", "custom_hostname_bundle", reason) end
  return {
    certificate = certificate, key = key, chain = chain, kind = pair.kind, covers_wildcard = below and 1 or 0,
    issuer = leaf.issuer_name(pair.first.issuer), serial_number = pair.first.serial, signature = pair.first.signature,
    uploaded_on = context.stamp, expires_on = stamp.seconds(pair.first.not_after),
  }
end

-- The pairs of a body; nil for none.
local function pairs_of(given)
  local bundle = given.custom_cert_bundle
  if bundle and bundle ~= json.null and #bundle > 0 then
    local list = {}
    for index, one in ipairs(bundle) do list[index] = { one, "/ssl/custom_cert_bundle/" .. index - 1 } end
    return list
  end
  if is_present(given.custom_certificate) or is_present(given.custom_key) then return { { given, "/ssl" } } end
end

local function read_certificates(context, row, list)
  local certificates = {}
  for index, entry in ipairs(list) do
    local one, failure = M.read_pair(context, row, entry[1], entry[2])
    if not one then return nil, failure end
    certificates[index] = one
  end
  if certificates[2] and certificates[1].kind == certificates[2].kind then
    return refuse("custom_cert_bundle", M.ONE_OF_EACH)
  end
  return certificates
end

-- ---- the whole ----

-- What has to come together in a change.
local function incomplete(given, has_pairs, row, certificate_count)
  local method, kind = is_present(given.method), is_present(given.type)
  if method ~= kind then return errors.fail_at("/ssl", "custom_hostname_method_and_type") end
  local rebundled = is_present(given.bundle_method) and given.bundle_method ~= row.bundle_method
  if rebundled and certificate_count > 0 and not has_pairs then
    return errors.fail_at("/ssl/bundle_method", "custom_hostname_ssl", "custom_certificate and custom_key have to come "
      .. "with another bundle_method")
  end
  if not is_present(given.settings) or not row.id then return nil end
  if not method and not has_pairs then
    return errors.fail_at("/ssl/settings", "custom_hostname_ssl", "method and type have to come with settings")
  end
  if certificate_count > 0 and not has_pairs then
    return errors.fail_at("/ssl/settings", "custom_hostname_ssl", "with a custom certificate in place, "
      .. "custom_certificate and custom_key have to come with settings")
  end
end

local function overlay(context, values, row)
  row.ssl_id = row.ssl_id or stamp.uuid(context.control.random)
  row.ssl_method = values.method or row.ssl_method or "http"
  row.ssl_type = values.type or row.ssl_type or "dv"
  row.bundle_method = values.bundle_method or row.bundle_method or "ubiquitous"
  row.certificate_authority = values.certificate_authority or row.certificate_authority or "google"
  if values.wildcard ~= nil then row.wildcard = values.wildcard and 1 or 0 end
  if values.cloudflare_branding ~= nil then row.branding = values.cloudflare_branding and 1 or 0 end
end

--- Reads the member into the columns of a row.
---@param context table of a request, in its transaction
---@param given any decoded JSON, not null
---@param row table the columns of the hostname; without `id` it is new
---@param certificate_count integer how many certificates it has
---@return table[]|false|nil certificates the new ones with their `key`; false: they stay
---@return moongate.admin.error[]|nil
function M.read(context, given, row, certificate_count)
  local values, mistakes = check.object(given, FIELDS)
  if not values then
    local mistake = mistakes[1]
    return refuse(mistake.field, mistake.text, mistake.field ~= "body" and mistake.field or "")
  end
  if values.custom_csr_id then
    local known = stamp.is_uuid(values.custom_csr_id)
    return nil, errors.fail_at("/ssl/custom_csr_id", known and "custom_hostname_csr_unknown" or "custom_hostname_csr",
      "expected a UUID")
  end
  local list = pairs_of(given)
  local failure = incomplete(given, list ~= nil, row, certificate_count)
  if failure then return nil, failure end
  overlay(context, values, row)
  if values.settings then
    local settings
    settings, failure = read_settings(context, values.settings)
    if not settings then return nil, failure end
    row.settings = json.encode(settings, { sorted = true })
  end
  if not list then return false end
  return read_certificates(context, row, list)
end

-- ---- showing ----

local function certificates_shown(certificates)
  local list = json.array {}
  for index, one in ipairs(certificates) do
    list[index] = json.object {
      id = one.id, issuer = one.issuer, serial_number = one.serial_number, signature = one.signature,
      uploaded_on = one.uploaded_on, expires_on = one.expires_on,
    }
  end
  return list
end

local PENDING = { pending_validation = true, initializing = true, pending_issuance = true }

local function records_of(row)
  local record = json.object { status = "pending" }
  if row.ssl_method == "http" then
    record.http_url = ("http://%s/.well-known/pki-validation/%s.txt"):format(row.hostname, row.ssl_id)
    record.http_body = row.token
  elseif row.ssl_method == "txt" then
    record.txt_name, record.txt_value = "_acme-challenge." .. row.hostname, row.token
  else
    record.emails = json.array {}
  end
  return json.array { record }
end

--- The member as the API shows it; null when no certificate was ordered.
---@param row table
---@param certificates table[] its certificates in order
---@param now number
---@return table
function M.show(row, certificates, now)
  if not row.ssl_id then return json.null end
  local first, status = certificates[1], row.ssl_status
  if status == "active" and first and first.expires_on <= stamp.seconds(now) then status = "expired" end
  local shown = json.object {
    id = row.ssl_id, type = row.ssl_type, method = row.ssl_method, status = status, bundle_method = row.bundle_method,
    certificate_authority = row.certificate_authority, wildcard = row.wildcard == 1,
    cloudflare_branding = row.branding == 1, settings = json.object(json.decode(row.settings)),
    hosts = json.array { row.hostname, row.wildcard == 1 and "*." .. row.hostname or nil },
    issuer = first and first.issuer or "", serial_number = first and first.serial_number or "",
    signature = first and first.signature or "", uploaded_on = first and first.uploaded_on,
    expires_on = first and first.expires_on, custom_certificate = first and first.certificate,
    certificates = first and certificates_shown(certificates),
  }
  if PENDING[status] then
    shown.validation_records = records_of(row)
    shown.validation_errors = json.array { json.object {
      message = "This gateway asks no certificate authority: it goes on once the hostname is verified, or when the "
        .. "operator says so.",
    } }
  end
  return shown
end

return M
