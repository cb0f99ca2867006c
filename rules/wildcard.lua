-- moongate.rules.wildcard: patterns in which * stands for any bytes, matched without going back.
--
-- A pattern is cut at its stars once. The first piece must begin the value, the last must end it, and each piece
-- between is looked for from left to right; the leftmost place is always good enough, so no choice is ever revised.
-- Called by parse.lua (mistakes show when a rule is saved) and operators.lua. Case folding is the caller's: it lowers
-- both sides.

local byte, find, sub = string.byte, string.find, string.sub

local M = {}

local STAR, BACKSLASH = 42, 92

--- Cuts a pattern at its stars.
---@param pattern string
---@return string[]|nil pieces  n + 1 pieces for n stars
---@return string|nil message
function M.parse(pattern)
  local pieces, piece, pos = {}, "", 1
  local after_star = false
  while pos <= #pattern do
    local b = byte(pattern, pos)
    if b == STAR then
      if after_star then
        return nil, "wildcard contains a double star"
      end
      pieces[#pieces + 1] = piece
      piece, after_star, pos = "", true, pos + 1
    else
      if b == BACKSLASH then
        local escaped = byte(pattern, pos + 1)
        if escaped ~= STAR and escaped ~= BACKSLASH then
          return nil, escaped and "invalid wildcard: only * and \\ may follow a backslash"
            or "invalid wildcard: a backslash at the end"
        end
        pos = pos + 1
      end
      local stop = find(pattern, "[*\\]", pos + 1) or #pattern + 1
      piece, after_star, pos = piece .. sub(pattern, pos, stop - 1), false, stop
    end
  end
  pieces[#pieces + 1] = piece
  return pieces
end

--- Builds the matcher for a parsed pattern.
---@param pieces string[]
---@return fun(value: string): boolean
function M.matcher(pieces)
  local count = #pieces
  local head, tail = pieces[1], pieces[count]
  local head_length, tail_length = #head, #tail
  if count == 1 then
    return function(value) return value == head end
  end
  return function(value)
    local stop = #value - tail_length
    if stop < head_length or sub(value, 1, head_length) ~= head or sub(value, stop + 1) ~= tail then
      return false
    end
    local pos = head_length + 1
    for i = 2, count - 1 do
      local _, last = find(value, pieces[i], pos, true)
      if not last or last > stop then
        return false
      end
      pos = last + 1
    end
    return true
  end
end

return M
