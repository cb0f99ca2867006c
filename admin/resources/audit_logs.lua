--- moongate.admin.resources.audit_logs — reading the audit log: of an account, and of what belongs to none.
--
-- The rows are written by moongate.admin.audit. At the user's path stand the rows of no account: the user's own tokens,
-- the operator's commands on the machine, failed authentications.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local PAGING = { style = "page", size = 100, min = 1, max = 1000 }
-- The generation as text, because the client library hands integers out as 32 bits.
local COLUMNS = "uid, at, account_id, zone_id, zone_name, user_id, email, token_id, token_name, address, ray, "
  .. "interface, verb, action, object, resource_type, resource_id, result, code, CAST(generation AS TEXT) AS generation"

local function show(row)
  return json.object {
    id = row.uid,
    when = row.at,
    interface = row.interface,
    action = json.object { type = row.verb, result = row.result == 1 },
    actor = json.object {
      id = row.user_id or row.token_id or "", email = row.email, ip = row.address,
      type = row.interface == "CLI" and "admin" or "user",
    },
    owner = json.object { id = row.user_id or row.account_id or row.token_id or "" },
    resource = json.object { type = row.resource_type, id = row.resource_id },
    metadata = json.object {
      call = row.action, path = row.object, ray = row.ray, generation = tonumber(row.generation), code = row.code,
      token_id = row.token_id, token_name = row.token_name, zone_id = row.zone_id, zone_name = row.zone_name,
    },
    newValue = "", oldValue = "",
  }
end

-- Parameter → the column that must be equal.
local EQUAL = {
  { "id", "uid" }, { "action.type", "verb" }, { "actor.ip", "address" }, { "actor.email", "email" },
  { "zone.name", "zone_name" },
}
-- Parameter → how a row's time must stand to it.
local TIMES = { { "since", "at >= ?" }, { "before", "at < ?" } }

local function conditions(context, owner)
  local where, values = { "COALESCE(account_id, '') = ?" }, { owner }
  for _, filter in ipairs(EQUAL) do
    local value = context.query:get(filter[1])
    if value then where[#where + 1], values[#values + 1] = filter[2] .. " = ?", value end
  end
  for _, filter in ipairs(TIMES) do
    local text = context.query:get(filter[1])
    if text then
      local moment = stamp.read(text)
      if not moment then return nil, filter[1] end
      where[#where + 1], values[#values + 1] = filter[2], stamp.micros(moment)
    end
  end
  return table.concat(where, " AND "), values
end

local function list(context, owner)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local where, values = conditions(context, owner)
  if not where then return nil, errors.fail("bad_query", values) end
  local direction = context.query:get("direction") or "desc"
  if direction ~= "asc" and direction ~= "desc" then return nil, errors.fail("bad_query", "direction") end
  local total = context.tx:one("SELECT count(*) AS n FROM audit WHERE " .. where, unpack(values)).n
  values[#values + 1], values[#values + 2] = slice.limit, slice.offset
  local result = resource.array()
  for index, row in ipairs(context.tx:all(("SELECT %s FROM audit WHERE %s ORDER BY id %s LIMIT ? OFFSET ?")
    :format(COLUMNS, where, direction:upper()), unpack(values))) do
    result[index] = show(row)
  end
  return { result = result, result_info = query.result_info(slice, #result, total) }
end

M.routes = {
  {
    method = "GET", path = "/accounts/{account_id}/audit_logs",
    permission = permissions.need("read", "Account Settings"),
    run = function(context) return list(context, context.account.id) end,
  },
  {
    method = "GET", path = "/user/audit_logs", permission = permissions.need("read", "User Details"),
    run = function(context) return list(context, "") end,
  },
}

return M
