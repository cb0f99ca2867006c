--- moongate.admin.resources.ruleset_rules — single rules of a ruleset: added, replaced, moved, removed.
--
-- Each call makes a version of the ruleset and answers with the whole of it. PATCH with a definition replaces the rule
-- as a whole and keeps its identity; PATCH with a position alone moves it.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local rule_of = require "moongate.admin.rule"
local ruleset = require "moongate.admin.ruleset"
local stamp = require "moongate.admin.stamp"

local M = {}

local FIELDS = { { name = "position", type = "object" } } -- the rest is the rule's (admin/rule.lua)

local function refuse(key, text)
  return errors.fail_at("/position" .. (key and "/" .. key or ""), "rule_value", "position", text)
end

local function place_of(list, id)
  for index, rule in ipairs(list) do
    if rule.id == id then return index end
  end
end

-- How each form of a position becomes an index among the other rules, of which there are `#list`.
local INDEX = {}

function INDEX.index(list, value)
  if check.kind(value) ~= "integer" or value < 1 then return nil, "expected a whole number from 1 on" end
  return math.min(value, #list + 1)
end

local function beside(at_empty, step)
  return function(list, value)
    if type(value) ~= "string" then return nil, "expected the identifier of a rule" end
    if value == "" then return at_empty(list) end
    local index = place_of(list, value)
    if not index then return nil, "there is no such rule in this ruleset" end
    return index + step
  end
end

INDEX.before = beside(function() return 1 end, 0)
INDEX.after = beside(function(list) return #list + 1 end, 1)

-- The one key of a position and its value.
local function form_of(position)
  local found
  for key, value in pairs(position) do
    if value ~= json.null then
      if not INDEX[key] then return nil, refuse(ruleset.shown(tostring(key)), "expected before, after or index") end
      if found then return nil, refuse(key, "expected exactly one of before, after and index") end
      found = key
    end
  end
  if not found then return nil, refuse(nil, "expected one of before, after and index") end
  return found
end

-- Puts a rule among the others.
local function insert(list, rule, position, present)
  local key, failure = form_of(position)
  if not key then return nil, failure end
  if present and position[key] == rule.id then
    table.insert(list, present, rule)
    return true
  end
  local index, reason = INDEX[key](list, position[key])
  if not index then return nil, refuse(key, reason) end
  table.insert(list, index, rule)
  return true
end

local function answer(context, row, list)
  local refused = ruleset.too_many(#list) or ruleset.twice(list, function(_, key) return "/" .. key end)
  if refused then return nil, refused end
  return { result = ruleset.show(ruleset.replace(context, row, list)) }
end

local function read(context, row)
  return rule_of.read(context.body, ruleset.place(context, row.kind, row.phase), "")
end

local function post(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  local values
  values, failure = read(context, row)
  if not values then return nil, failure end
  local list = json.decode(row.rules)
  local rule = rule_of.revise(values, nil, stamp.hex_id(context.control.random), context.stamp)
  local placed
  placed, failure = insert(list, rule, context.values.position or { after = "" })
  if not placed then return nil, failure end
  return answer(context, row, list)
end

local function find(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  local list, id = json.decode(row.rules), context.params.rule_id
  local index = place_of(list, id)
  if not index then return nil, errors.fail("rule_unknown", ruleset.shown(id), row.id) end
  return row, list, index
end

local function patch(context)
  local row, list, index = find(context)
  if not row then return nil, list end
  local rule, position = table.remove(list, index), context.values.position
  if not position or rule_of.is_definition(context.body) then
    local values, failure = read(context, row)
    if not values then return nil, failure end
    rule = rule_of.revise(values, rule, rule.id, context.stamp)
  end
  local placed, failure = insert(list, rule, position or { before = rule.id }, index)
  if not placed then return nil, failure end
  return answer(context, row, list)
end

local function delete(context)
  local row, list, index = find(context)
  if not row then return nil, list end
  table.remove(list, index)
  return answer(context, row, list)
end

local ONE = "/{ruleset_id}/rules/{rule_id}"

M.routes = ruleset.routes {
  { method = "POST", path = "/{ruleset_id}/rules", run = post, fields = FIELDS },
  { method = "PATCH", path = ONE, run = patch, fields = FIELDS },
  { method = "DELETE", path = ONE, run = delete },
}

return M
