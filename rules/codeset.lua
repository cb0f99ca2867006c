-- moongate.rules.codeset: sets of bytes or code points as sorted ranges, for the classes of regular expressions.
--
-- A set is a list of { first, last }, sorted, not touching. Every function returns a new set or the same one
-- unchanged; sets are never changed in place. Knows nothing of syntax.

local sort = table.sort
local floor, max, min = math.floor, math.max, math.min

local M = {}

--- A set from ranges in any order, overlapping or not.
---@param ranges integer[][]
---@return integer[][]
function M.new(ranges)
  local sorted = {}
  for i, range in ipairs(ranges) do
    sorted[i] = range
  end
  sort(sorted, function(a, b) return a[1] < b[1] end)
  local out, n = {}, 0
  for _, range in ipairs(sorted) do
    local last = out[n]
    if last and range[1] <= last[2] + 1 then
      if range[2] > last[2] then
        out[n] = { last[1], range[2] }
      end
    else
      n = n + 1
      out[n] = range
    end
  end
  return out
end

--- Everything in one of two sets.
function M.union(a, b)
  local both = {}
  for _, range in ipairs(a) do
    both[#both + 1] = range
  end
  for _, range in ipairs(b) do
    both[#both + 1] = range
  end
  return M.new(both)
end

--- Everything up to `highest` that is not in a set.
---@param a integer[][]
---@param highest integer  255, or 0x10FFFF
---@return integer[][]
function M.negate(a, highest)
  local out, from = {}, 0
  for _, range in ipairs(a) do
    if range[1] > from then
      out[#out + 1] = { from, range[1] - 1 }
    end
    from = range[2] + 1
  end
  if from <= highest then
    out[#out + 1] = { from, highest }
  end
  return out
end

--- Everything in both of two sets.
function M.intersect(a, b)
  local out, i, j = {}, 1, 1
  while a[i] and b[j] do
    local first, last = max(a[i][1], b[j][1]), min(a[i][2], b[j][2])
    if first <= last then
      out[#out + 1] = { first, last }
    end
    if a[i][2] < b[j][2] then
      i = i + 1
    else
      j = j + 1
    end
  end
  return out
end

--- Everything in the first of two sets only.
function M.subtract(a, b, highest)
  return M.intersect(a, M.negate(b, highest))
end

--- Everything in exactly one of two sets.
function M.differ(a, b, highest)
  return M.union(M.subtract(a, b, highest), M.subtract(b, a, highest))
end

--- Whether a set has a member.
---@param a integer[][]
---@param code integer
---@return boolean
function M.has(a, code)
  local low, high = 1, #a
  while low <= high do
    local middle = floor((low + high) / 2)
    local range = a[middle]
    if code < range[1] then
      high = middle - 1
    elseif code > range[2] then
      low = middle + 1
    else
      return true
    end
  end
  return false
end

--- The set with both cases of every ASCII letter in it.
function M.fold_ascii(a)
  local extra = {}
  for _, range in ipairs(a) do
    for offset, letters in pairs { [32] = { 65, 90 }, [-32] = { 97, 122 } } do
      local first, last = max(range[1], letters[1]), min(range[2], letters[2])
      if first <= last then
        extra[#extra + 1] = { first + offset, last + offset }
      end
    end
  end
  return #extra > 0 and M.union(a, extra) or a
end

return M
