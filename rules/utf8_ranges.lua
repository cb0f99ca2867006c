-- moongate.rules.utf8_ranges: a set of code points → the sequences of byte ranges that encode exactly these.
--
-- A range of code points is split where the number of bytes changes and then until all continuation bytes run through
-- their whole range, so that each piece is a plain sequence of byte ranges. Used for classes after `(?u)`. Surrogates
-- are left out.

local utf8 = require "moongate.rules.utf8"

local byte = string.byte
local floor = math.floor

local M = {}

-- Ranges of code points that have encodings of one length.
local LENGTHS = { { 0, 0x7F }, { 0x80, 0x7FF }, { 0x800, 0xD7FF }, { 0xE000, 0xFFFF }, { 0x10000, 0x10FFFF } }

local function emit(first, last, out)
  local a, b = utf8.encode(first), utf8.encode(last)
  local sequence = {}
  for i = 1, #a do
    sequence[i] = { byte(a, i), byte(b, i) }
  end
  out[#out + 1] = sequence
end

-- Splits so that first and last differ in a prefix only, everything after it running from its lowest to its highest.
local function split(first, last, length, out)
  for i = 1, length - 1 do
    local unit = 64 ^ i
    if floor(first / unit) ~= floor(last / unit) then
      if first % unit ~= 0 then
        local edge = (floor(first / unit) + 1) * unit
        split(first, edge - 1, length, out)
        return split(edge, last, length, out)
      elseif (last + 1) % unit ~= 0 then
        local edge = floor(last / unit) * unit
        split(first, edge - 1, length, out)
        return split(edge, last, length, out)
      end
    end
  end
  emit(first, last, out)
end

--- The sequences for a set.
---@param set integer[][]  as in codeset.lua
---@return integer[][][] sequences  each a list of { first byte, last byte }
function M.sequences(set)
  local out = {}
  for _, range in ipairs(set) do
    for i, limits in ipairs(LENGTHS) do
      local first = range[1] > limits[1] and range[1] or limits[1]
      local last = range[2] < limits[2] and range[2] or limits[2]
      if first <= last then
        split(first, last, i <= 2 and i or i == 5 and 4 or 3, out)
      end
    end
  end
  return out
end

return M
