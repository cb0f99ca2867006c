--- moongate.admin.resources.revocation_lists — the revocation list of an uploaded CA. Ours, below
--- /accounts/{account_id}/mtls_certificates/{certificate_id}/moongate/.
--
-- It is sent with the body, or fetched from an address, now and every so often (admin/crl_refresh.lua). Fetching and
-- reading may take a while, so they come before the transaction. With a list, nothing under the CA verifies without one
-- that speaks for this moment, unless it is soft. A list that is older than the stored one is refused, and so is one
-- that would verify nothing from the start. The list itself is never shown.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local mtls_certificates = require "moongate.admin.resources.mtls_certificates"
local permissions = require "moongate.admin.permissions"
local revocation_list = require "moongate.admin.revocation_list"

local M = {}

local GROUP = "Account: SSL and Certificates"
local PATH = "/accounts/{account_id}/mtls_certificates/{certificate_id}/moongate/crl"
local BODY_BYTES = 16 * 1024 * 1024 -- ten MiB in base64, and its line ends as JSON writes them
local REFRESH_MINUTES = 60 -- unless the body says otherwise

local function show(row, now)
  local null = json.null
  return json.object {
    source = row.url and "url" or "upload", url = row.url or null, refresh_minutes = row.refresh_minutes or null,
    soft = row.soft == 1, issuer = row.issuer, this_update = row.this_update, next_update = row.next_update or null,
    entries = row.entries, stale = revocation_list.out_of_date(row, now) ~= nil, last_refresh = row.last_refresh or null,
    last_error = row.last_error or null, created_on = row.created_on, modified_on = row.modified_on,
  }
end

local function find(context)
  local ca, failure = mtls_certificates.find_ca(context)
  if not ca then return nil, failure end
  local row = revocation_list.find(context.tx, ca.id)
  if not row then return nil, errors.fail("revocation_list_unknown") end
  return row
end

local function get(context)
  local row, failure = find(context)
  if not row then return nil, failure end
  return { result = show(row, context.now) }
end

local function delete(context)
  local row, failure = find(context)
  if not row then return nil, failure end
  revocation_list.drop(context.tx, row.certificate_id)
  return { result = show(row, context.now) }
end

local function refuse(field, reason)
  return nil, errors.fail_at("/" .. field, "revocation_list_value", field, reason)
end

-- The text that the body has, or that lies where it says.
local function text_of(context)
  local values = context.values
  if (values.crl == nil) == (values.url == nil) then
    return refuse("crl", "either crl or url is needed, and not both")
  end
  if values.crl and values.refresh_minutes then return refuse("refresh_minutes", "a list without url is not fetched") end
  if values.crl then return values.crl end
  local text, reason = revocation_list.fetch(context.control, values.url)
  if not text then return refuse("url", "the list cannot be fetched: " .. reason) end
  return text
end

local function prepare(context)
  local ca, failure = context.app.store:read(function(tx)
    return mtls_certificates.find_ca { tx = tx, account = context.account, params = context.params }
  end)
  if not ca then return nil, failure end
  local text, reason
  text, failure = text_of(context)
  if not text then return nil, failure end
  context.list, reason = revocation_list.read(context.control, ca.certificates, text)
  if not context.list then return refuse(context.values.url and "url" or "crl", reason) end
  return true
end

local function put(context)
  local ca, failure = mtls_certificates.find_ca(context)
  if not ca then return nil, failure end
  local values, list = context.values, context.list
  local field = values.url and "url" or "crl"
  local reason = not values.soft and revocation_list.out_of_date(list, context.now)
  if reason then return refuse(field, reason .. "; nothing under the CA would verify, unless the list is soft") end
  local before = revocation_list.find(context.tx, ca.id)
  if revocation_list.is_older(list, before) then
    return nil, errors.fail_at("/" .. field, "revocation_list_older", list.this_update, before.this_update)
  end
  revocation_list.keep(context.tx, ca.id, list, {
    soft = values.soft, now = context.now, created_on = before and before.created_on, url = values.url,
    refresh_minutes = values.url and (values.refresh_minutes or REFRESH_MINUTES),
  })
  return { result = show(revocation_list.find(context.tx, ca.id), context.now) }
end

M.routes = {
  { method = "GET", path = PATH, permission = permissions.need("read", GROUP), run = get },
  {
    method = "PUT", path = PATH, permission = permissions.need("write", GROUP), group = "revocation_lists",
    prepare = prepare, run = put, body_bytes = BODY_BYTES,
    fields = {
      { name = "crl", type = "string" },
      { name = "url", type = "string", max = 2048 },
      { name = "refresh_minutes", type = "integer", min = 5, max = 7 * 24 * 60 },
      { name = "soft", type = "boolean", default = false },
    },
  },
  { method = "DELETE", path = PATH, permission = permissions.need("write", GROUP), run = delete },
}

return M
