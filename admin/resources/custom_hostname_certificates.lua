--- moongate.admin.resources.custom_hostname_certificates — one of the two certificates of a custom hostname, replaced or
--- taken away while the other one stays (section 7 of the API).
--
-- The pack is the hostname's `ssl` object, whose `certificates` have the ids. What is served follows before the answer;
-- open connections go on.

local custom_hostname = require "moongate.admin.custom_hostname"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local show = require("moongate.admin.resources.custom_hostnames").show
local ssl = require "moongate.admin.custom_hostname_ssl"

local M = {}

local GROUP = "SSL and Certificates"
local PATH = "/zones/{zone_id}/custom_hostnames/{custom_hostname_id}/certificate_pack/{certificate_pack_id}"
  .. "/certificates/{certificate_id}"

-- The hostname, its certificates and the place of the one that the path names.
local function find(context)
  local row, failure = custom_hostname.find(context)
  if not row then return nil, failure end
  local certificates = custom_hostname.certificates(context.tx, row.id)
  for index, one in ipairs(certificates) do
    if row.ssl_id == context.params.certificate_pack_id and one.id == context.params.certificate_id then
      return row, certificates, index
    end
  end
  return nil, errors.fail("custom_hostname_certificate_unknown")
end

local function put(context)
  local row, certificates, index = find(context)
  if not row then return nil, certificates end
  local fresh, failure = ssl.read_pair(context, row, context.values, "")
  if not fresh then return nil, failure end
  local other = certificates[3 - index]
  if other and other.kind == fresh.kind then
    return nil, errors.fail_at("/custom_certificate", "custom_hostname_ssl", ssl.ONE_OF_EACH)
  end
  local ok
  ok, failure = custom_hostname.replace_certificate(context, row, certificates[index].id, fresh)
  if not ok then return nil, failure end
  return { result = show(row, context) }
end

local function delete(context)
  local row, certificates, index = find(context)
  if not row then return nil, certificates end
  if not certificates[2] then return nil, errors.fail("custom_hostname_only_certificate") end
  custom_hostname.drop_certificate(context, row, certificates[index].id)
  local id = certificates[index].id
  return { result = json.object { id = id }, beside = { id = id } }
end

local WRITE = permissions.need("write", GROUP)

M.routes = {
  {
    method = "PUT", path = PATH, permission = WRITE, group = "custom_hostnames", run = put,
    fields = {
      { name = "custom_certificate", type = "any" },
      { name = "custom_key", type = "any" },
    },
  },
  { method = "DELETE", path = PATH, permission = WRITE, run = delete },
}

return M
