-- moongate.rules.runtime: the few helpers that generated code calls: for arrays of Booleans, for walking maps, for long calls.
--
-- Also used by the specialiser, so that a known value and a value of the request go through the same code. Pure
-- functions over arrays { n = …, … }; results are new tables and belong to the caller.

local sort = table.sort
local min = math.min
local pairs = pairs
local unpack = unpack or rawget(table, "unpack")

local order = require "moongate.rules.order"

local M = {}

--- Calls a function with more arguments than generated code can hold in its hands.
---@param call function
---@param count integer
---@param args table  some of them perhaps missing
---@return any
function M.apply(call, count, args)
  return call(unpack(args, 1, count))
end

--- The values of a map in the byte order of its keys.
---@param map table<string, any>
---@return table array
function M.sorted_values(map)
  local keys, n = {}, 0
  for key in pairs(map) do
    n = n + 1
    keys[n] = key
  end
  if n > 1 then
    sort(keys, order.less)
  end
  local out = { n = n }
  for i = 1, n do
    out[i] = map[keys[i]]
  end
  return out
end

--- Each Boolean turned round.
---@param list table
---@return table
function M.negate(list)
  local out = { n = list.n }
  for i = 1, list.n do
    out[i] = not list[i]
  end
  return out
end

--- Pairs by position, cut to the shorter: and.
---@param a table
---@param b table
---@return table
function M.both(a, b)
  local n = min(a.n, b.n)
  local out = { n = n }
  for i = 1, n do
    out[i] = a[i] and b[i]
  end
  return out
end

--- Pairs by position, cut to the shorter: or.
---@param a table
---@param b table
---@return table
function M.either(a, b)
  local n = min(a.n, b.n)
  local out = { n = n }
  for i = 1, n do
    out[i] = a[i] or b[i]
  end
  return out
end

--- Pairs by position, cut to the shorter: xor.
---@param a table
---@param b table
---@return table
function M.differ(a, b)
  local n = min(a.n, b.n)
  local out = { n = n }
  for i = 1, n do
    out[i] = a[i] ~= b[i]
  end
  return out
end

--- Whether some element is true; false for an empty array.
---@param list table
---@return boolean
function M.any(list)
  for i = 1, list.n do
    if list[i] then
      return true
    end
  end
  return false
end

--- Whether no element is false; true for an empty array.
---@param list table
---@return boolean
function M.all(list)
  for i = 1, list.n do
    if not list[i] then
      return false
    end
  end
  return true
end

return M
