-- moongate.rules.suggest: "did you mean …" for a name that nobody knows.
--
-- Only called once an expression is refused, so it may look at every name; lengths are bounded because the name is a
-- stranger's.

local byte, min = string.byte, math.min

local M = {}

local MAX_NAME = 64

-- Edit distance, given up once it must exceed `limit`.
local function distance(a, b, limit)
  if math.abs(#a - #b) > limit then
    return limit + 1
  end
  local previous = {}
  for j = 0, #b do
    previous[j] = j
  end
  for i = 1, #a do
    local current, best = { [0] = i }, i
    for j = 1, #b do
      local cost = byte(a, i) == byte(b, j) and 0 or 1
      local d = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
      current[j] = d
      best = min(best, d)
    end
    if best > limit then
      return limit + 1
    end
    previous = current
  end
  return previous[#b]
end

--- The known name nearest to an unknown one, as a sentence, or nil when none is near.
---@param name string
---@param schema moongate.rules.Schema
---@return string|nil
function M.name(name, schema)
  if #name > MAX_NAME then
    return nil
  end
  local limit = #name <= 4 and 1 or #name <= 12 and 2 or 3
  local found, found_distance
  local function consider(known)
    local d = distance(name:lower(), known:lower(), limit)
    if d <= limit and (not found or d < found_distance or (d == found_distance and known < found)) then
      found, found_distance = known, d
    end
  end
  for known in pairs(schema.fields) do
    consider(known)
  end
  for known in pairs(schema.functions) do
    consider(known)
  end
  return found and ("did you mean %s?"):format(found)
end

return M
