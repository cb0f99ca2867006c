--- moongate.admin.resources.filters — the filters of a zone, one by one and many at once; and a check of expressions for
--- everybody.
--
-- A batch is all or nothing, whether it comes as an array or as one object; its answer is always an array. A filter that
-- a firewall rule uses cannot be deleted. What a filter is, admin/filter.lua says.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local filter = require "moongate.admin.filter"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local COLLECTION = "/zones/{zone_id}/filters"
local ONE = COLLECTION .. "/{filter_id}"
local VALIDATE = "/filters/validate-expr"

local function needs(access) return permissions.need(access, "Firewall Services", "Zone WAF") end

--- A condition on a column that must be what the query says.
---@param name string
---@param column string
---@return fun(query: table): string|nil, any[]|nil
function M.equal(name, column)
  return function(query)
    local value = query:get(name)
    if value then return column .. " = ?", { value } end
  end
end

--- A condition on a column in which the query's text must stand, in whatever case.
---@param name string
---@param column string
---@return fun(query: table): string|nil, any[]|nil
function M.part(name, column)
  return function(query)
    local value = query:get(name)
    if value then return ("instr(lower(%s), lower(?)) > 0"):format(column), { value } end
  end
end

--- The condition of `?paused=`.
---@param column string
---@return fun(query: table): string|nil, any[]|nil, string|nil
function M.paused(column)
  return function(query)
    local value, bad = check.flag(query:get("paused"))
    if bad then return nil, nil, "paused" end
    if value ~= nil then return column .. " = ?", { value and 1 or 0 } end
  end
end

local RESOURCE = {
  table = "filters",
  columns = filter.COLUMNS,
  scope = "zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "id",
  parameter = "filter_id",
  show = filter.show,
  unknown = "filter_unknown",
  is_id = stamp.is_hex_id,
  paging = { style = "page", size = 25, min = 5, max = 100 },
  order = "number",
  filters = {
    M.equal("id", "id"), M.part("description", "description"), M.part("expression", "expression"), M.paused "paused",
    M.equal("ref", "ref"),
  },
}

local function show_all(context, ids)
  local result = json.array {}
  for index, id in ipairs(ids) do result[index] = filter.show(filter.find(context, id)) end
  return { result = result }
end

local function read(context)
  return filter.read_each(context.body, function(value, pointer) return filter.read(context, value, pointer) end)
end

local function post(context)
  local list, failure = read(context)
  if not list then return nil, failure end
  local ids = {}
  for index, values in ipairs(list) do
    ids[index], failure = filter.insert(context, values)
    if not ids[index] then return nil, failure end
  end
  return show_all(context, ids)
end

local function put_all(context)
  local list, failure = read(context)
  if not list then return nil, failure end
  local ids = {}
  for index, values in ipairs(list) do
    local pointer = filter.each(context.body)[index].pointer .. "/id"
    if not values.id then return nil, errors.fail_at(pointer, "invalid", "id", "this field is required") end
    if not filter.replace(context, values.id, values) then return nil, errors.fail_at(pointer, "filter_unknown") end
    ids[index] = values.id
  end
  return show_all(context, ids)
end

local function put(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  local list
  list, failure = read(context)
  if not list then return nil, failure end
  if #list ~= 1 then return nil, errors.fail("invalid", "body", "expected one filter") end
  filter.replace(context, row.id, list[1])
  return { result = filter.show(filter.find(context, row.id)) }
end

local function in_use(refusal)
  if refusal.kind ~= "reference" then error("filters: " .. refusal.name) end
  return errors.fail("filter_in_use")
end

local function delete_all(context)
  local result = json.array {}
  for _, id in ipairs(context.query:list "id") do
    local gone, refusal = context.tx:run("DELETE FROM filters WHERE zone_id = ? AND id = ?", context.zone.id, id)
    if not gone then return nil, in_use(refusal) end
    if gone > 0 then result[#result + 1] = json.object { id = id } end
  end
  return { result = result }
end

local delete = resource.delete(RESOURCE, in_use, function(row) return json.object { id = row.id } end)

-- Whose lists an expression without a zone means cannot be known, so all are there.
local function validate(text)
  local failure = filter.refused(text, function() return true end)
  if failure then return nil, failure end
  return { result = nil }
end

M.routes = {
  { method = "GET", path = COLLECTION, permission = needs "read", run = resource.list(RESOURCE) },
  { method = "POST", path = COLLECTION, permission = needs "write", run = post, body = "required" },
  { method = "PUT", path = COLLECTION, permission = needs "write", run = put_all, body = "required" },
  { method = "DELETE", path = COLLECTION, permission = needs "write", run = delete_all },
  { method = "GET", path = ONE, permission = needs "read", run = resource.get(RESOURCE) },
  { method = "PUT", path = ONE, permission = needs "write", run = put, body = "required" },
  { method = "DELETE", path = ONE, permission = needs "write", run = delete },
  {
    method = "GET", path = VALIDATE, permission = permissions.any(),
    run = function(context) return validate(context.query:get("expression") or "") end,
  },
  {
    method = "POST", path = VALIDATE, permission = permissions.any(), reads = true,
    run = function(context) return validate(context.values.expression) end,
    fields = { { name = "expression", type = "string", default = "" } },
  },
}

return M
