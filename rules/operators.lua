-- moongate.rules.operators: which operator goes with which type, and what it means for a value that is present.
--
-- The parser asks accepts(); the specialiser and the generator ask predicate() for the meaning of one comparison node
-- with its right-hand side bound. (The generator writes the common cases inline; a spec holds both against each
-- other.) A missing value never comes here: every comparison with it is false, and whoever calls sees to that.

local integer = require "moongate.rules.integer"
local order = require "moongate.rules.order"
local ranges = require "moongate.rules.ranges"
local wildcard = require "moongate.rules.wildcard"

local find = string.find
local less, less_equal, lower = order.less, order.less_equal, order.lower

local M = {}

local function set_of(names)
  local out = {}
  for name in names:gmatch("%S+") do
    out[name] = true
  end
  return out
end

local ACCEPTS = {
  String = set_of "eq ne lt le gt ge in contains matches wildcard",
  Integer = set_of "eq ne lt le gt ge in &",
  IP = set_of "eq ne lt le gt ge in",
}
ACCEPTS.String["strict wildcard"] = true

--- Whether a type takes an operator at all. Booleans, arrays and maps take none.
---@param kind string  Type.kind of the left-hand side
---@param op string    as lex.operator names it
---@return boolean
function M.accepts(kind, op)
  local set = ACCEPTS[kind]
  return set ~= nil and set[op] == true
end

-- Addresses are ordered within their family only; across families every order is false.
local function ip_less(a, b)
  return #a == #b and less(a, b)
end

local function ip_less_equal(a, b)
  return #a == #b and less_equal(a, b)
end

local LESS = { String = less, Integer = integer.less, IP = ip_less }
local LESS_EQUAL = { String = less_equal, Integer = integer.less_equal, IP = ip_less_equal }

--- The members of a literal set, ready to be asked.
---@class moongate.rules.Set
---@field items table[]                        each {value} or {first, last}, in the order written
---@field members table<any, boolean>          single values; the values have one form, so lookup is equality
---@field count integer                        number of different single values
---@field in_range (fun(value: any): boolean)|nil  membership in one of the ranges, when there are any

--- Builds a set from the items of a literal.
---@param kind string  String, Integer or IP
---@param items table[]
---@return moongate.rules.Set
function M.new_set(kind, items)
  local members, count, spans = {}, 0, {}
  for i = 1, #items do
    local item = items[i]
    if item[2] == nil or item[2] == item[1] then
      if not members[item[1]] then
        members[item[1]] = true
        count = count + 1
      end
    else
      spans[#spans + 1] = item
    end
  end
  local in_range
  if #spans > 0 then
    if kind == "IP" then
      local by_family = { [4] = {}, [16] = {} }
      for _, span in ipairs(spans) do
        local list = by_family[#span[1]]
        list[#list + 1] = span
      end
      local in_v4, in_v6 = ranges.new(by_family[4], less), ranges.new(by_family[16], less)
      in_range = function(value)
        if #value == 4 then
          return in_v4(value)
        end
        return in_v6(value)
      end
    else
      in_range = ranges.new(spans, LESS[kind])
    end
  end
  return { items = items, members = members, count = count, in_range = in_range }
end

--- The order of Integers, for the bounds of a range.
M.integer_less = integer.less

local PREDICATE = {}

function PREDICATE.eq(right)
  return function(value) return value == right end
end

function PREDICATE.ne(right)
  return function(value) return value ~= right end
end

function PREDICATE.lt(right, kind)
  local before = LESS[kind]
  return function(value) return before(value, right) end
end

function PREDICATE.le(right, kind)
  local before = LESS_EQUAL[kind]
  return function(value) return before(value, right) end
end

function PREDICATE.gt(right, kind)
  local before = LESS[kind]
  return function(value) return before(right, value) end
end

function PREDICATE.ge(right, kind)
  local before = LESS_EQUAL[kind]
  return function(value) return before(right, value) end
end

PREDICATE["&"] = function(right)
  return function(value) return integer.shares_a_bit(value, right) end
end

PREDICATE["in"] = function(right)
  local members, in_range = right.members, right.in_range
  if not in_range then
    return function(value) return members[value] ~= nil end
  end
  return function(value) return members[value] ~= nil or in_range(value) end
end

function PREDICATE.contains(right)
  return function(value) return find(value, right, 1, true) ~= nil end
end

function PREDICATE.matches(right)
  return right.matcher
end

function PREDICATE.wildcard(right)
  local matcher = wildcard.matcher(right.pieces)
  return function(value) return matcher(lower(value)) end
end

PREDICATE["strict wildcard"] = function(right)
  return wildcard.matcher(right.pieces)
end

--- The meaning of a comparison node, but for lists, which belong to the host and are bound when a ruleset is
--- specialised.
---@param node table  kind "compare"
---@param op string|nil  asked in place of the node's own
---@return fun(value: any): boolean  for values that are present
function M.predicate(node, op)
  return PREDICATE[op or node.op](node.right, node.left.type.kind)
end

return M
