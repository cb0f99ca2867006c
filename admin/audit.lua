--- moongate.admin.audit — the rows of the audit log: who did what to which thing, from where, and whether it was
--- allowed.
--
-- A change leaves its row in the transaction that makes it (admin/init.lua), so that neither can be there without the
-- other. What an authenticated identity was refused on a write, and the telling ones among failed authentications,
-- leave rows of their own. The operator's commands on the machine (moongate.admin.auth) leave rows too. Rows are
-- never changed and go only when there are more than a million; no row holds a credential or a body.

local stamp = require "moongate.admin.stamp"

local M = {}

local VERBS = { POST = "create", PUT = "update", PATCH = "update", DELETE = "delete" }

local function current_generation(tx)
  return tonumber(tx:one("SELECT CAST(generation AS TEXT) AS generation FROM meta WHERE id = 1").generation)
end

local function insert(tx, row)
  assert(tx:run("INSERT INTO audit (uid, at, account_id, zone_id, zone_name, user_id, email, token_id, token_name, "
    .. "address, ray, interface, verb, action, object, resource_type, resource_id, result, code, generation) "
    .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    row.uid, row.at, row.account_id, row.zone_id, row.zone_name, row.user_id, row.email, row.token_id, row.token_name,
    row.address, row.ray, row.interface, row.verb, row.action, row.object, row.resource_type, row.resource_id,
    row.result, row.code, row.generation))
end

-- The id in the path that says most: the last one.
local function last_parameter(route, params)
  local found = ""
  for name in route.path:gmatch("{(.-)}") do found = params[name] end
  return found
end

local function printable(text)
  return (text:sub(1, 256):gsub("[^\33-\126]", "?"))
end

local function row_of(context, route, identity)
  local request = context.request
  local account, zone = context.account or {}, context.zone or {}
  return {
    uid = stamp.uuid(context.control.random), at = context.stamp,
    account_id = account.id or zone.account_id or identity.account_id, zone_id = zone.id, zone_name = zone.name,
    user_id = identity.user_id, email = identity.email, token_id = identity.id, token_name = identity.name,
    address = request.address, ray = request.ray or "", interface = "API",
    verb = route.verb or VERBS[route.method] or "read", action = route.method .. " " .. route.path,
    object = printable(request.path), resource_type = route.resource or "",
    resource_id = printable(last_parameter(route, context.params)),
  }
end

-- What is made below no account may be one, or say in which it is.
local function owner_of_new(route, result)
  if route.method ~= "POST" then return nil end
  if route.resource == "accounts" then return result.id end
  return type(result.account) == "table" and result.account.id or nil
end

--- Leaves the row of a change.
---@param tx table the writing transaction of the change
---@param route moongate.admin.route
---@param context table
---@param answer moongate.admin.answer
function M.change(tx, route, context, answer)
  local row, result = row_of(context, route, context.identity), answer.result
  if type(result) == "table" and type(result.id) == "string" then
    if route.method == "POST" or row.resource_id == "" then row.resource_id = result.id end
    if not row.account_id then row.account_id = owner_of_new(route, result) end
    if route.resource == "zones" then row.zone_id, row.zone_name = result.id, result.name or row.zone_name end
  end
  row.result, row.generation = 1, tx:generation()
  insert(tx, row)
end

--- Should this failure leave a row?
---@param route moongate.admin.route
---@param context table
---@param failure moongate.admin.error[]
---@return boolean
function M.is_noteworthy(route, context, failure)
  if failure.unauthenticated then return true end
  return context.identity ~= nil and route.method ~= "GET" and failure[1].status == 403
end

--- Leaves the row of a refusal, without a new generation, for nothing that is served has changed.
---@param tx table a writing transaction of its own
---@param route moongate.admin.route
---@param context table
---@param failure moongate.admin.error[]
function M.refusal(tx, route, context, failure)
  local row = row_of(context, route, context.identity or failure.owner or {})
  if failure.unauthenticated then row.verb, row.resource_type, row.resource_id = "authenticate", "", "" end
  row.result, row.code, row.generation = 0, failure[1].code, current_generation(tx)
  insert(tx, row)
end

--- Leaves the row of something that the operator did on the machine itself.
---@param tx table the writing transaction of the change
---@param control table
---@param verb string
---@param resource_type string
---@param resource_id string
function M.operator(tx, control, verb, resource_type, resource_id)
  insert(tx, {
    uid = stamp.uuid(control.random), at = stamp.micros(control.now()), address = "", ray = "", interface = "CLI",
    verb = verb, action = verb .. " " .. resource_type, object = "", resource_type = resource_type,
    resource_id = resource_id, result = 1, generation = current_generation(tx),
  })
end

return M
