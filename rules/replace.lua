-- moongate.rules.replace: replacement templates with ${1} … ${8}, and the replacing of wildcard matches.
--
-- A template is cut up when the rule is saved; a reference to something that the pattern does not have is a mistake
-- then and not later. Pure functions; called by functions.lua.

local find, match, sub = string.find, string.match, string.sub
local concat = table.concat

local M = {}

M.MAX_REFERENCES = 8

--- Cuts a template into literal pieces and references.
---@param text string
---@param highest integer  the highest reference that means something
---@return (string|integer)[]|nil parts
---@return string|nil message
function M.parse(text, highest)
  local parts, from, references = {}, 1, 0
  while true do
    local at = find(text, "$", from, true)
    if not at then
      parts[#parts + 1] = sub(text, from)
      return parts
    end
    parts[#parts + 1] = sub(text, from, at - 1)
    if sub(text, at + 1, at + 1) == "$" then
      parts[#parts + 1], from = "$", at + 2
    else
      local digits, after = match(text, "^{([0-9]+)}()", at + 1)
      if not digits then
        return nil, "a dollar that is neither ${n} nor $$"
      end
      local reference = tonumber(digits, 10)
      if reference > highest then
        return nil, ("reference ${%s} is beyond the pattern's %d"):format(digits, highest)
      end
      references = references + 1
      if references > M.MAX_REFERENCES then
        return nil, ("more than %d references"):format(M.MAX_REFERENCES)
      end
      parts[#parts + 1], from = reference, after
    end
  end
end

--- Fills a template.
---@param parts (string|integer)[]
---@param captures table<integer, string>  [0] is the whole match; what is absent counts as empty
---@return string
function M.fill(parts, captures)
  local out = {}
  for i = 1, #parts do
    local part = parts[i]
    out[i] = type(part) == "number" and (captures[part] or "") or part
  end
  return concat(out)
end

--- What each star of a wildcard stands for, stars taking as little as they can.
---@param pieces string[]  from wildcard.parse
---@param value string     compared with the pieces
---@param original string  the captures are cut from here; as long as value
---@return table<integer, string>|nil captures  nil when the value does not match
function M.captures(pieces, value, original)
  local count = #pieces
  local head, tail = pieces[1], pieces[count]
  if count == 1 then
    return value == head and { [0] = original } or nil
  end
  local stop = #value - #tail
  if stop < #head or sub(value, 1, #head) ~= head or sub(value, stop + 1) ~= tail then
    return nil
  end
  local captures, pos = { [0] = original }, #head + 1
  for i = 2, count - 1 do
    local first, last = find(value, pieces[i], pos, true)
    if not first or last > stop then
      return nil
    end
    captures[i - 1], pos = sub(original, pos, first - 1), last + 1
  end
  captures[count - 1] = sub(original, pos, stop)
  return captures
end

return M
