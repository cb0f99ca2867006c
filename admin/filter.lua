--- moongate.admin.filter — filters, the expressions of firewall rules: read from a body, stored, shown.
--
-- Called by admin/resources/filters.lua, and by admin/resources/firewall_rules.lua for the filters inside rules. Bodies
-- of both resources are one object or an array of them; each() is how they are walked. Mistakes in an expression have a
-- text of their own here, older than that of rulesets.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local expression = require "moongate.admin.expression"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"
local uses = require "moongate.admin.ruleset_uses"

local M = {}

local ERRORS_MAX = 10
M.COLUMNS = "id, expression, paused, description, ref"

local FIELDS = {
  { name = "id", type = "string" },
  { name = "expression", type = "string", required = true },
  { name = "paused", type = "boolean", default = false },
  { name = "description", type = "string", default = "", max = 2000 },
  { name = "ref", type = "string", default = "", max = 200 },
}

-- ---- bodies ----

--- The objects of a body with pointers to them.
---@param body any
---@return { value: any, pointer: string }[]
function M.each(body)
  if not json.is_array(body) then return { { value = body, pointer = "" } } end
  local list = {}
  for index, value in ipairs(body) do list[index] = { value = value, pointer = ("/%d"):format(index - 1) } end
  return list
end

--- Reads every object of a body, or gives up to ten errors of all of them together.
---@param body any
---@param read fun(value: any, pointer: string): table|nil, moongate.admin.error[]|nil
---@return table[]|nil
---@return moongate.admin.error[]|nil
function M.read_each(body, read)
  local list, failure = {}, {}
  for index, one in ipairs(M.each(body)) do
    local values, mistakes = read(one.value, one.pointer)
    list[index] = values or false
    for _, mistake in ipairs(mistakes or {}) do
      if #failure < ERRORS_MAX then failure[#failure + 1] = mistake end
    end
    if #failure == ERRORS_MAX then break end
  end
  if failure[1] then return nil, failure end
  return list
end

--- Reads an object by its fields; texts longer than `limits` (field → characters) are mistakes.
---@param value any
---@param fields table[]
---@param pointer string
---@param limits table<string, integer>
---@return table|nil
---@return moongate.admin.error[]|nil
function M.read_object(value, fields, pointer, limits)
  local values, mistakes = check.object(value, fields)
  mistakes = mistakes or {}
  for name, limit in pairs(values and limits or {}) do
    local _, characters = values[name]:gsub("[^\128-\191]", "")
    if characters > limit then
      mistakes[#mistakes + 1] = { pointer = "/" .. name, field = name, text = ("at most %d characters"):format(limit) }
    end
  end
  if not mistakes[1] then return values end
  local failure = {}
  for index, mistake in ipairs(mistakes) do
    failure[index] = errors.fail_at(pointer .. mistake.pointer, "invalid", mistake.field, mistake.text)[1]
  end
  return nil, failure
end

-- ---- expressions ----

local function characters(text)
  return (select(2, text:gsub("[^\128-\191]", "")))
end

-- The expression in backquotes, and carets under what is wrong.
local function parsing_error(text, diagnostic)
  local line, number = "", 0
  for found in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    if number == diagnostic.line then line = found end
  end
  local before = line:sub(1, diagnostic.column - 1)
  local marked = line:sub(diagnostic.column, diagnostic.column + diagnostic.length - 1)
  local blanks = characters(before) + (diagnostic.line == 1 and 1 or 0) -- one for the backquote
  return ("Filter parsing error:\n`%s`\n%s%s %s\n"):format(text, (" "):rep(blanks),
    ("^"):rep(math.max(1, characters(marked))), diagnostic.message)
end

--- Checks an expression.
---@param text string
---@param has_list fun(name: string, type_name: string): boolean
---@param pointer string|nil
---@return moongate.admin.error[]|nil
function M.refused(text, has_list, pointer)
  local fine, why, diagnostic = expression.check(text, has_list)
  if fine then return nil end
  local failure
  if why == "blank" then
    failure = errors.fail("invalid", "expression", "it cannot be blank")
  elseif why == "long" then
    failure = errors.fail("invalid", "expression", ("at most %d characters"):format(expression.MAX))
  else
    failure = errors.fail("filter_expression", parsing_error(text, diagnostic))
  end
  failure[1].pointer = pointer
  return failure
end

-- ---- filters ----

--- Reads a filter of a body.
---@param context table
---@param value any
---@param pointer string
---@return table|nil values id, expression, paused, description, ref
---@return moongate.admin.error[]|nil
function M.read(context, value, pointer)
  local values, failure = M.read_object(value, FIELDS, pointer, { description = 500, ref = 50 })
  if not values then return nil, failure end
  local has_list = expression.account_lists(context.tx, context.account.id)
  failure = M.refused(values.expression, has_list, pointer .. "/expression")
  if failure then return nil, failure end
  return values
end

--- Stores a new filter.
---@param context table
---@param values table from read()
---@return string|nil id
---@return moongate.admin.error[]|nil
function M.insert(context, values)
  local id = stamp.hex_id(context.control.random)
  local made, refusal = context.tx:run("INSERT INTO filters (id, zone_id, expression, paused, description, ref) "
    .. "VALUES (?, ?, ?, ?, ?, ?)", id, context.zone.id, values.expression, values.paused and 1 or 0, values.description,
    values.ref)
  if not made then
    if refusal.kind ~= "quota" then error("filters: " .. refusal.name) end
    return nil, errors.fail("filter_quota", "filters")
  end
  uses.record_filter(context.tx, id, context.account.id, values.expression)
  return id
end

--- Replaces a filter; nil when the zone has none with this id.
---@param context table
---@param id string
---@param values table from read()
---@return true|nil
function M.replace(context, id, values)
  if not M.find(context, id) then return nil end
  assert(context.tx:run("UPDATE filters SET expression = ?, paused = ?, description = ?, ref = ? WHERE id = ?",
    values.expression, values.paused and 1 or 0, values.description, values.ref, id))
  uses.record_filter(context.tx, id, context.account.id, values.expression)
  if context.tx:one("SELECT id FROM firewall_rules WHERE filter_id = ? LIMIT 1", id) then
    context.tx:touch(context.zone.id)
  end
  return true
end

---@param context table
---@param id string
---@return table|nil row
function M.find(context, id)
  return context.tx:one("SELECT " .. M.COLUMNS .. " FROM filters WHERE zone_id = ? AND id = ?", context.zone.id, id)
end

--- A filter as the API shows it: without description and ref when they are empty.
---@param row table
---@return table
function M.show(row)
  return json.object {
    id = row.id, expression = row.expression, paused = row.paused == 1,
    description = row.description ~= "" and row.description or nil, ref = row.ref ~= "" and row.ref or nil,
  }
end

return M
