--- moongate.admin.resources.hostname_associations — which hostnames of a zone ask their clients for a certificate,
--- and which CA verifies it.
--
-- One ordered list for each pair of zone and CA; a PUT replaces exactly one list. An association alone blocks nobody:
-- a rule does, and where none speaks of client certificates the answer says so in `messages`. `result` holds the
-- hostnames and nothing else.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local managed_ca = require "moongate.admin.managed_ca"
local permissions = require "moongate.admin.permissions"
local stamp = require "moongate.admin.stamp"

local M = {}

local GROUP = "SSL and Certificates"
local PATH = "/zones/{zone_id}/certificate_authorities/hostname_associations"

local function hostnames_of(tx, zone_id, certificate_id)
  local list = json.array {}
  for index, row in ipairs(tx:all("SELECT hostname FROM hostname_associations WHERE zone_id = ? AND certificate_id = ? "
      .. "ORDER BY position", zone_id, certificate_id)) do
    list[index] = row.hostname
  end
  return list
end

-- The CA that a request means. No id means the managed CA; nil without a failure: there is none yet.
local function find_ca(context, id)
  if not id then return managed_ca.find(context.tx, context.account.id) end
  local row = stamp.is_uuid(id)
    and context.tx:one("SELECT id, ca FROM mtls_certificates WHERE id = ? AND account_id = ?", id, context.account.id)
  if not row then return nil, errors.fail("certificate_unknown") end
  if row.ca ~= 1 then return nil, errors.fail_at("/mtls_certificate_id", "certificate_not_ca") end
  return row
end

local function get(context)
  local ca, failure = find_ca(context, context.query:get("mtls_certificate_id"))
  if failure then return nil, failure end
  local names = ca and hostnames_of(context.tx, context.zone.id, ca.id) or json.array {}
  return { result = json.object { hostnames = names } }
end

--- The zone of the same store that lies between a hostname and the zone given, if any: it serves the hostname then.
---@param tx table
---@param name string
---@param zone_name string
---@return string|nil
function M.closer_zone(tx, name, zone_name)
  local candidate = name
  while candidate and candidate ~= zone_name do
    if tx:one("SELECT 1 AS one FROM zones WHERE name = ?", candidate) then return candidate end
    candidate = candidate:match("^[^.]+%.(.+)$")
  end
end

local function read_hostnames(context)
  local names, seen, failure = {}, {}, {}
  for index, text in ipairs(context.values.hostnames) do
    local name, reason = check.hostname(text)
    if name and not check.is_within(name, context.zone.name) then
      reason = "it is not in the zone " .. context.zone.name
    elseif name then
      local closer = M.closer_zone(context.tx, name, context.zone.name)
      reason = closer and "it belongs to the zone " .. closer
    end
    if reason then
      local one = errors.new("bad_hostname", (text:sub(1, 253):gsub("[%c\127-\255]", "?")), reason)
      one.pointer = ("/hostnames/%d"):format(index - 1)
      failure[#failure + 1] = one
      if #failure == 10 then break end
    elseif not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  if failure[1] then return nil, failure end
  return names
end

local function same(a, b)
  if #a ~= #b then return false end
  for index, name in ipairs(a) do
    if b[index] ~= name then return false end
  end
  return true
end

local function replace(context, ca, names)
  local tx, zone_id = context.tx, context.zone.id
  if same(names, hostnames_of(tx, zone_id, ca.id)) then return end
  assert(tx:run("DELETE FROM hostname_associations WHERE zone_id = ? AND certificate_id = ?", zone_id, ca.id))
  for position, name in ipairs(names) do
    assert(tx:run("INSERT INTO hostname_associations (zone_id, certificate_id, position, hostname, updated_on) "
      .. "VALUES (?, ?, ?, ?, ?)", zone_id, ca.id, position, name, context.stamp))
  end
  tx:touch(zone_id)
end

--- Does an enabled rule of the zone or of its account speak of client certificates at all?
---@param tx table
---@param zone_id string
---@return boolean
function M.is_enforced(tx, zone_id)
  for _, row in ipairs(tx:all("SELECT rules FROM rulesets WHERE zone_id = ? OR account_id = "
      .. "(SELECT account_id FROM zones WHERE id = ?)", zone_id, zone_id)) do
    for _, rule in ipairs(json.decode(row.rules)) do
      if rule.enabled and rule.expression:find("cf.tls_client_auth", 1, true) then return true end
    end
  end
  return false
end

local function put(context)
  local names, failure = read_hostnames(context)
  if not names then return nil, failure end
  local result = json.array {}
  for index, name in ipairs(names) do result[index] = name end
  local ca
  ca, failure = find_ca(context, context.values.mtls_certificate_id)
  if not ca and not failure then
    if not names[1] then return { result = json.object { hostnames = result } } end
    ca, failure = managed_ca.ensure(context)
  end
  if not ca then return nil, failure end
  replace(context, ca, names)
  if names[1] and not M.is_enforced(context.tx, context.zone.id) then
    context.messages[1] = {
      code = 21100,
      message = "These hostnames are associated, but no rule enforces it: clients without a valid certificate still get "
        .. "in. Add a rule such as (http.host in {\"" .. names[1] .. "\"} and not cf.tls_client_auth.cert_verified) "
        .. "with the action block.",
    }
  end
  return { result = json.object { hostnames = result } }
end

M.routes = {
  { method = "GET", path = PATH, permission = permissions.need("read", GROUP), run = get },
  {
    method = "PUT", path = PATH, permission = permissions.need("write", GROUP), group = "certificates", run = put,
    fields = {
      { name = "hostnames", type = "array", of = "string", default = {} },
      { name = "mtls_certificate_id", type = "string" },
    },
  },
}

return M
