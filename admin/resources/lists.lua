--- moongate.admin.resources.lists — named lists of an account, which rules ask as `$name`.
--
-- The items are admin/resources/list_items.lua's. Name and kind are for good. Who asks a list is written down by
-- admin/ruleset_uses.lua; a list that some rule or filter names cannot be deleted.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local COLLECTION = "/accounts/{account_id}/rules/lists"
local ONE = COLLECTION .. "/{list_id}"
local GROUP = "Account Rule Lists"

local function show(row)
  return json.object {
    id = row.id, name = row.name, kind = row.kind, description = row.description, num_items = row.num_items,
    num_referencing_filters = row.referencing, created_on = row.created_on, modified_on = row.modified_on,
  }
end

local RESOURCE = {
  table = "lists",
  columns = "id, name, kind, description, num_items, created_on, modified_on, "
    .. "(SELECT COALESCE(sum(u.rules), 0) FROM ruleset_uses u WHERE u.list_id = lists.id) "
    .. "+ (SELECT count(*) FROM filter_lists f WHERE f.list_id = lists.id) AS referencing",
  scope = "account_id = ?",
  scope_of = function(context) return context.account.id end,
  key = "id",
  parameter = "list_id",
  show = show,
  unknown = "list_unknown",
  is_id = stamp.is_hex_id,
  paging = { style = "single", size = 50, min = 1, max = 1000 },
  order = "name",
}

--- The list that the path names.
---@param context table
---@return table|nil row
---@return moongate.admin.error[]|nil
function M.find(context)
  return resource.find(RESOURCE, context)
end

local FIELDS = {
  { name = "name", type = "string", required = true, max = 50 },
  { name = "kind", type = "string", required = true, one_of = { "ip", "redirect", "hostname", "asn" } },
  { name = "description", type = "string", default = "", max = 2000 },
}

local function too_long(description)
  local _, characters = (description or ""):gsub("[^\128-\191]", "")
  return characters > 500 and errors.fail_at("/description", "invalid", "description", "at most 500 characters") or nil
end

local function refusal_of(refusal, name)
  if refusal.kind == "unique" then return errors.fail_at("/name", "list_exists", name) end
  if refusal.kind == "quota" then return errors.fail("list_quota") end
  error("lists: " .. refusal.name)
end

local function post(context)
  local values, now = context.values, stamp.seconds(context.now)
  if values.name:find("[^%w_]") then
    return nil, errors.fail_at("/name", "invalid", "name", "only letters, digits and underscores may stand in it")
  end
  local refused = too_long(values.description)
  if refused then return nil, refused end
  local row = {
    id = stamp.hex_id(context.control.random), name = values.name, kind = values.kind, description = values.description,
    num_items = 0, referencing = 0, created_on = now, modified_on = now,
  }
  local made, refusal = context.tx:run("INSERT INTO lists (id, account_id, name, kind, description, created_on, "
    .. "modified_on) VALUES (?, ?, ?, ?, ?, ?, ?)", row.id, context.account.id, row.name, row.kind, row.description,
    row.created_on, row.modified_on)
  if not made then return nil, refusal_of(refusal, row.name) end
  return { result = show(row) }
end

local function put(context)
  local row, failure = M.find(context)
  if not row then return nil, failure end
  local refused = too_long(context.values.description)
  if refused then return nil, refused end
  row.description, row.modified_on = context.values.description, stamp.seconds(context.now)
  assert(context.tx:run("UPDATE lists SET description = ?, modified_on = ? WHERE id = ?", row.description, row.modified_on,
    row.id))
  return { result = show(row) }
end

local delete = resource.delete(RESOURCE, function(refusal)
  if refusal.kind ~= "reference" then error("lists: " .. refusal.name) end
  return errors.fail("list_in_use")
end, function(row) return json.object { id = row.id } end)

M.routes = {
  { method = "GET", path = COLLECTION, permission = permissions.need("read", GROUP), run = resource.list(RESOURCE) },
  { method = "POST", path = COLLECTION, permission = permissions.need("write", GROUP), run = post, fields = FIELDS },
  { method = "GET", path = ONE, permission = permissions.need("read", GROUP), run = resource.get(RESOURCE) },
  { method = "PUT", path = ONE, permission = permissions.need("write", GROUP), run = put, fields = { FIELDS[3] } },
  { method = "DELETE", path = ONE, permission = permissions.need("write", GROUP), run = delete },
}

return M
