--- moongate.admin.resource — the verbs that most resources share, written once: list, get, delete.
--
-- A resource declares its table, its columns, how a row is shown and what it is called when it is missing; these
-- functions make the `run` of a route from that. What is special stays in the resource's own file. All SQL text comes
-- from the declarations, all values travel as parameters.

local errors = require "moongate.admin.errors"
local query = require "moongate.admin.query"

local M = {}

---@class moongate.admin.resource
---@field table string
---@field columns string for SELECT
---@field scope string the condition that keeps to the account or zone of the path, with one `?`
---@field scope_of fun(context: table): string the value of that `?`
---@field key string column of the object's own id
---@field parameter string path parameter that holds it
---@field show fun(row: table, context: table): table the object as the API shows it
---@field unknown string error key for an object that is not there
---@field is_id (fun(text: string): boolean)|nil what cannot be an id is unknown without a look
---@field normalise (fun(text: string, context: table): string|nil)|nil for keys that are names
---@field paging moongate.admin.paging
---@field order string|(fun(query: table): string|nil, string|nil) for ORDER BY; a function gives nil and the name of a
--- parameter that makes no sense
---@field filters (fun(query: table, context: table): string|nil, any[]|nil, string|nil)[]|nil each gives a condition
--- with `?`s and its values, or nil, nil and the name of a parameter that makes no sense

local function conditions(resource, context)
  local where, values = { resource.scope }, { resource.scope_of(context) }
  for _, filter in ipairs(resource.filters or {}) do
    local condition, list, bad = filter(context.query, context)
    if bad then return nil, errors.fail("bad_query", bad) end
    if condition then
      where[#where + 1] = condition
      for _, value in ipairs(list) do values[#values + 1] = value end
    end
  end
  return table.concat(where, " AND "), values
end

--- The verb of `GET` on a collection.
---@param resource moongate.admin.resource
---@return fun(context: table): table|nil, table|nil
function M.list(resource)
  return function(context)
    local slice, bad = context.query:slice(resource.paging)
    if not slice then return nil, errors.fail("bad_query", bad) end
    local where, values = conditions(resource, context)
    if not where then return nil, values end
    local order, bad_order = resource.order, nil
    if type(order) == "function" then order, bad_order = order(context.query) end
    if not order then return nil, errors.fail("bad_query", bad_order) end
    local counting = ("SELECT count(*) AS n FROM %s WHERE %s"):format(resource.table, where)
    local total = context.tx:one(counting, unpack(values)).n
    values[#values + 1], values[#values + 2] = slice.limit, slice.offset
    local rows = context.tx:all(("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT ? OFFSET ?")
      :format(resource.columns, resource.table, where, order), unpack(values))
    local result = M.array()
    for index, row in ipairs(rows) do result[index] = resource.show(row, context) end
    return { result = result, result_info = query.result_info(slice, #rows, total) }
  end
end

--- An empty JSON array.
---@return table
function M.array()
  return require("moongate.json").array {}
end

--- The row of the object that the path names.
---@param resource moongate.admin.resource
---@param context table
---@return table|nil row
---@return moongate.admin.error[]|nil
function M.find(resource, context)
  local id = context.params[resource.parameter]
  if resource.normalise then id = resource.normalise(id, context) end
  if not id or (resource.is_id and not resource.is_id(id)) then return nil, errors.fail(resource.unknown) end
  local row = context.tx:one(("SELECT %s FROM %s WHERE %s AND %s = ?")
    :format(resource.columns, resource.table, resource.scope, resource.key), resource.scope_of(context), id)
  if not row then return nil, errors.fail(resource.unknown) end
  return row
end

--- The verb of `GET` on one object.
---@param resource moongate.admin.resource
---@return fun(context: table): table|nil, table|nil
function M.get(resource)
  return function(context)
    local row, failure = M.find(resource, context)
    if not row then return nil, failure end
    return { result = resource.show(row, context) }
  end
end

--- The verb of `DELETE` on one object.
---@param resource moongate.admin.resource
---@param refused fun(refusal: table): moongate.admin.error[] what a constraint that stands in the way means
---@param answer (fun(row: table, context: table): any)|nil the result; the object as it was when absent
---@return fun(context: table): table|nil, table|nil
function M.delete(resource, refused, answer)
  return function(context)
    local row, failure = M.find(resource, context)
    if not row then return nil, failure end
    local result = (answer or resource.show)(row, context)
    local gone, refusal = context.tx:run(("DELETE FROM %s WHERE %s AND %s = ?")
      :format(resource.table, resource.scope, resource.key), resource.scope_of(context), row[resource.key])
    if not gone then return nil, refused(refusal) end
    return { result = result }
  end
end

return M
