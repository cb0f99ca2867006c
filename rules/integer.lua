-- moongate.rules.integer: exact signed 64-bit integers in plain Lua, where a number alone is exact only up to 2^53.
--
-- Every value has one form. Between -2^53 and 2^53 it is a Lua number. Beyond, it is a "wide" value: a string of
-- eight bytes, the value plus 2^63 in network order, so that the order of bytes is the order of values. One form per
-- value means that equality and table lookup need no help; only ordering, printing and bits come here. Used by the
-- lexer (literals), the generated code (ordering) and hosts that convert their own integers. Never touches cdata.

local order = require "moongate.rules.order"

local byte, char, floor, format, sub = string.byte, string.char, math.floor, string.format, string.sub
local type, tonumber = type, tonumber

local M = {}

local WORD = 4294967296       -- 2^32
local HALF = 2147483648       -- 2^31
local EXACT = 9007199254740992 -- 2^53: the largest magnitude kept as a Lua number
local EXACT_HIGH = 2097152    -- 2^53 / 2^32

local function pack(high, low)
  return char(
    floor(high / 16777216), floor(high / 65536) % 256, floor(high / 256) % 256, high % 256,
    floor(low / 16777216), floor(low / 65536) % 256, floor(low / 256) % 256, low % 256
  )
end

-- The biased words of a wide value: value + 2^63 = high * 2^32 + low.
local function unpack_words(wide)
  local a, b, c, d, e, f, g, h = byte(wide, 1, 8)
  return ((a * 256 + b) * 256 + c) * 256 + d, ((e * 256 + f) * 256 + g) * 256 + h
end

-- From sign and magnitude (high * 2^32 + low) to the one form; nil when it does not fit.
local function from_magnitude(high, low, negative)
  if high < EXACT_HIGH or (high == EXACT_HIGH and low == 0) then
    local n = high * WORD + low
    return negative and n ~= 0 and -n or n
  end
  if not negative then
    return high < HALF and pack(high + HALF, low) or nil
  end
  if high > HALF or (high == HALF and low > 0) then
    return nil
  end
  if low == 0 then
    return pack(HALF - high, 0)
  end
  return pack(HALF - high - 1, WORD - low)
end

--- Reads digits that are already known to be valid in the radix.
---@param digits string  at least one digit
---@param radix integer  8, 10 or 16
---@param negative boolean
---@return number|string|nil value  nil when it does not fit in 64 bits
function M.from_digits(digits, radix, negative)
  if #digits <= 12 then -- 16^12 is below 2^53
    local n = tonumber(digits, radix)
    return negative and n ~= 0 and -n or n
  end
  local high, low = 0, 0
  for i = 1, #digits do
    low = low * radix + tonumber(sub(digits, i, i), radix)
    local carry = floor(low / WORD)
    low = low - carry * WORD
    high = high * radix + carry
    if high >= WORD then
      return nil
    end
  end
  return from_magnitude(high, low, negative)
end

--- Reads a decimal integer such as JSON writes it: an optional minus and digits.
---@param text string
---@return number|string|nil value  nil when it is no integer or does not fit in 64 bits
function M.from_decimal(text)
  local sign, digits = text:match("^(%-?)([0-9]+)$")
  if not digits then
    return nil
  end
  return M.from_digits(digits, 10, sign == "-")
end

--- Writes a value in decimal.
---@param value number|string
---@return string
function M.to_decimal(value)
  if type(value) == "number" then
    return format("%.0f", value)
  end
  local high, low = unpack_words(value)
  local negative = high < HALF
  if negative then -- magnitude = 2^63 - biased
    high, low = HALF - high - (low > 0 and 1 or 0), low > 0 and WORD - low or 0
  else
    high = high - HALF
  end
  local out = ""
  while high > 0 or low > 0 do -- five digits at a time: the dividend stays below 2^53
    local q = floor(high / 100000)
    local rest = (high - q * 100000) * WORD + low
    local low_q = floor(rest / 100000)
    local digits = format("%.0f", rest - low_q * 100000)
    high, low = q, low_q
    if high > 0 or low > 0 then
      digits = ("0"):rep(5 - #digits) .. digits
    end
    out = digits .. out
  end
  return (negative and "-" or "") .. out
end

--- Whether a value is an Integer in its one form.
---@param value any
---@return boolean
function M.is_integer(value)
  if type(value) == "number" then
    return value >= -EXACT and value <= EXACT and value == floor(value)
  end
  if type(value) ~= "string" or #value ~= 8 then
    return false
  end
  local high, low = unpack_words(value)
  if high >= HALF then
    high = high - HALF
    return high > EXACT_HIGH or (high == EXACT_HIGH and low > 0)
  end
  -- below -2^53: biased is below 2^63 - 2^53
  return high < HALF - EXACT_HIGH
end

-- A wide value lies outside every number, so against a number only its sign counts.
local function is_positive(wide)
  return byte(wide, 1) >= 128
end

local bytes_less = order.less

--- A number that stands to every value of magnitude up to 2^53 as the given one does: itself, or an infinity for a
--- wide one.
---@param value number|string
---@return number
function M.as_number(value)
  if type(value) == "number" then
    return value
  end
  return is_positive(value) and math.huge or -math.huge
end

--- a < b
---@param a number|string
---@param b number|string
---@return boolean
function M.less(a, b)
  if type(a) == "number" then
    if type(b) == "number" then
      return a < b
    end
    return is_positive(b)
  end
  if type(b) == "number" then
    return not is_positive(a)
  end
  return bytes_less(a, b)
end

local less = M.less

--- a <= b
---@param a number|string
---@param b number|string
---@return boolean
function M.less_equal(a, b)
  if type(a) == "number" and type(b) == "number" then
    return a <= b
  end
  return not less(b, a)
end

local function words(value) -- two's complement
  if type(value) == "number" then
    local high = floor(value / WORD)
    return high % WORD, value - high * WORD
  end
  local high, low = unpack_words(value)
  return (high + HALF) % WORD, low
end

local function words_share_a_bit(a, b)
  while a > 0 and b > 0 do
    if a % 2 == 1 and b % 2 == 1 then
      return true
    end
    a, b = floor(a / 2), floor(b / 2)
  end
  return false
end

--- Whether the bitwise and of two values is not zero.
---@param a number|string
---@param b number|string
---@return boolean
function M.shares_a_bit(a, b)
  local ah, al = words(a)
  local bh, bl = words(b)
  return words_share_a_bit(ah, bh) or words_share_a_bit(al, bl)
end

return M
