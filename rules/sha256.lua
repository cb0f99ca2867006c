-- moongate.rules.sha256: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) in plain Lua, for hosts that hand in none.
--
-- A host with a crypto library passes its own (schema: crypto), which is faster; results are the same. With LuaJIT's
-- bit operations one block takes a few microseconds; stock Lua 5.1 has none and computes with tables of nibbles,
-- slowly but exactly.

local byte, char, floor, rep, sub = string.byte, string.char, math.floor, string.rep, string.sub

local M = {}

local has_bit, bit = pcall(require, "bit")
local band, bxor, rrotate, rshift

if has_bit then
  band, bxor, rrotate, rshift = bit.band, bit.bxor, bit.ror, bit.rshift
else
  local AND, XOR = {}, {}
  for a = 0, 15 do
    for b = 0, 15 do
      local x, y, both, differ = a, b, 0, 0
      for power = 0, 3 do
        local p, q = x % 2, y % 2
        both = both + (p * q) * 2 ^ power
        differ = differ + ((p + q) % 2) * 2 ^ power
        x, y = (x - p) / 2, (y - q) / 2
      end
      AND[a * 16 + b], XOR[a * 16 + b] = both, differ
    end
  end

  local function combine(table_of, a, b)
    local out, unit = 0, 1
    for _ = 1, 8 do
      local x, y = a % 16, b % 16
      out = out + table_of[x * 16 + y] * unit
      a, b, unit = (a - x) / 16, (b - y) / 16, unit * 16
    end
    return out
  end

  function band(a, b)
    return combine(AND, a % 4294967296, b % 4294967296)
  end

  function bxor(a, b, c)
    local out = combine(XOR, a % 4294967296, b % 4294967296)
    return c and combine(XOR, out, c % 4294967296) or out
  end

  function rshift(a, n)
    return floor(a % 4294967296 / 2 ^ n)
  end

  function rrotate(a, n)
    a = a % 4294967296
    local low = a % 2 ^ n
    return (a - low) / 2 ^ n + low * 2 ^ (32 - n)
  end
end

-- The first 32 bits of the fractional parts of a root of the first primes, which is how the standard defines its
-- constants.
local function fractions(count, exponent)
  local out, n = {}, 2
  while #out < count do
    local is_prime = true
    for d = 2, floor(n ^ 0.5) do
      if n % d == 0 then
        is_prime = false
        break
      end
    end
    if is_prime then
      local root = n ^ exponent
      out[#out + 1] = floor((root - floor(root)) * 4294967296)
    end
    n = n + 1
  end
  return out
end

local ROUND = fractions(64, 1 / 3)
local START = fractions(8, 1 / 2)

local function block(state, message, pos, w)
  for i = 0, 15 do
    local a, b, c, d = byte(message, pos + i * 4, pos + i * 4 + 3)
    w[i + 1] = ((a * 256 + b) * 256 + c) * 256 + d
  end
  for i = 17, 64 do
    local x, y = w[i - 15], w[i - 2]
    local s0 = bxor(rrotate(x, 7), rrotate(x, 18), rshift(x, 3))
    local s1 = bxor(rrotate(y, 17), rrotate(y, 19), rshift(y, 10))
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) % 4294967296
  end
  local a, b, c, d, e, f, g, h = state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8]
  for i = 1, 64 do
    local s1 = bxor(rrotate(e, 6), rrotate(e, 11), rrotate(e, 25))
    local choice = bxor(band(e, f), band(4294967295 - e, g))
    local t1 = h + s1 + choice + ROUND[i] + w[i]
    local s0 = bxor(rrotate(a, 2), rrotate(a, 13), rrotate(a, 22))
    local majority = bxor(band(a, b), band(a, c), band(b, c))
    h, g, f, e = g, f, e, (d + t1) % 4294967296
    d, c, b, a = c, b, a, (t1 + s0 + majority) % 4294967296
  end
  state[1], state[2] = (state[1] + a) % 4294967296, (state[2] + b) % 4294967296
  state[3], state[4] = (state[3] + c) % 4294967296, (state[4] + d) % 4294967296
  state[5], state[6] = (state[5] + e) % 4294967296, (state[6] + f) % 4294967296
  state[7], state[8] = (state[7] + g) % 4294967296, (state[8] + h) % 4294967296
end

local function word_bytes(n)
  return char(floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end

--- The digest of a message.
---@param message string
---@return string digest  32 bytes
function M.digest(message)
  local length = #message
  local state, w = {}, {}
  for i = 1, 8 do
    state[i] = START[i]
  end
  local whole = length - length % 64
  for pos = 1, whole, 64 do
    block(state, message, pos, w)
  end
  local bits = length * 8
  local tail = sub(message, whole + 1) .. "\128"
  tail = tail .. rep("\0", (56 - #tail) % 64) .. word_bytes(floor(bits / 4294967296)) .. word_bytes(bits % 4294967296)
  for pos = 1, #tail, 64 do
    block(state, tail, pos, w)
  end
  local out = {}
  for i = 1, 8 do
    out[i] = word_bytes(state[i])
  end
  return table.concat(out)
end

local function xor_with(key, value)
  return (key:gsub(".", function(c)
    return char(bxor(byte(c), value))
  end))
end

--- The authentication code of a message.
---@param key string
---@param message string
---@return string mac  32 bytes
function M.hmac(key, message)
  if #key > 64 then
    key = M.digest(key)
  end
  key = key .. rep("\0", 64 - #key)
  return M.digest(xor_with(key, 0x5c) .. M.digest(xor_with(key, 0x36) .. message))
end

return M
