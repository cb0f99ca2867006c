-- moongate.rules.utf8: is it UTF-8, and a code point as UTF-8 (RFC 3629). Pure functions; stock Lua 5.1 has neither.

local char, floor, match = string.char, math.floor, string.match

local M = {}

--- Whether a string is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
---@param s string
---@return boolean
function M.is_valid(s)
  local pos, length = 1, #s
  while pos <= length do
    local after = match(s, "^[%z\1-\127]+()", pos)
      or match(s, "^[\194-\223][\128-\191]()", pos)
      or match(s, "^\224[\160-\191][\128-\191]()", pos)
      or match(s, "^[\225-\236\238\239][\128-\191][\128-\191]()", pos)
      or match(s, "^\237[\128-\159][\128-\191]()", pos)
      or match(s, "^\240[\144-\191][\128-\191][\128-\191]()", pos)
      or match(s, "^[\241-\243][\128-\191][\128-\191][\128-\191]()", pos)
      or match(s, "^\244[\128-\143][\128-\191][\128-\191]()", pos)
    if not after then
      return false
    end
    pos = after
  end
  return true
end

--- One code point.
---@param code integer  0 … 0x10FFFF
---@return string
function M.encode(code)
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(192 + floor(code / 64), 128 + code % 64)
  elseif code < 0x10000 then
    return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64)
  end
  return char(240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64)
end

return M
