-- moongate.rules.ranges: membership in a set of inclusive ranges, over any ordered values.
--
-- The ranges are sorted and merged once, when a rule is compiled; a question is then a binary search. Integers and
-- addresses both come here, each with its own order. Frozen after new(); knows nothing of rules.

local floor = math.floor
local sort = table.sort

local M = {}

--- Builds the membership test for a list of ranges.
---@param list table[]  each {first, last} with first <= last; may overlap, any order; not kept
---@param less fun(a: any, b: any): boolean  a strict order over the values
---@return fun(value: any): boolean contains
function M.new(list, less)
  local sorted = {}
  for i, range in ipairs(list) do
    sorted[i] = range
  end
  sort(sorted, function(a, b) return less(a[1], b[1]) end)

  local first, last, n = {}, {}, 0
  for _, range in ipairs(sorted) do
    if n > 0 and not less(last[n], range[1]) then -- overlaps the one before: merge
      if less(last[n], range[2]) then
        last[n] = range[2]
      end
    else
      n = n + 1
      first[n], last[n] = range[1], range[2]
    end
  end

  return function(value)
    local low, high = 1, n -- the last range that does not begin after the value
    while low <= high do
      local middle = floor((low + high) / 2)
      if less(value, first[middle]) then
        high = middle - 1
      else
        low = middle + 1
      end
    end
    return high > 0 and not less(last[high], value)
  end
end

return M
