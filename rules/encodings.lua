-- moongate.rules.encodings: Base64 (RFC 4648) and percent-encoding, both ways as far as the functions need them.
--
-- Linear in their input whatever it holds: the values come from clients. Pure functions; called by functions.lua and
-- signed_url.lua.

local utf8 = require "moongate.rules.utf8"

local byte, char, find, floor, gsub, match, rep, sub = string.byte, string.char, string.find, math.floor, string.gsub,
  string.match, string.rep, string.sub
local concat, tonumber, unpack = table.concat, tonumber, unpack or rawget(table, "unpack")

local M = {}

local STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function symbols(alphabet)
  local out = {}
  for i = 1, 64 do
    out[i - 1] = sub(alphabet, i, i)
  end
  return out
end

local STANDARD_SYMBOLS, URL_SAFE_SYMBOLS = symbols(STANDARD), symbols(URL_SAFE)

local VALUES = {}
for i = 1, 64 do
  VALUES[byte(STANDARD, i)] = i - 1
end

--- Encodes bytes.
---@param bytes string
---@param padded boolean
---@param url_safe boolean
---@return string
function M.encode_base64(bytes, padded, url_safe)
  local symbol = url_safe and URL_SAFE_SYMBOLS or STANDARD_SYMBOLS
  local out, n = {}, 0
  for i = 1, #bytes, 3 do
    local a, b, c = byte(bytes, i, i + 2)
    local word = a * 65536 + (b or 0) * 256 + (c or 0)
    out[n + 1], out[n + 2] = symbol[floor(word / 262144)], symbol[floor(word / 4096) % 64]
    out[n + 3] = b and symbol[floor(word / 64) % 64] or nil
    if c then
      out[n + 4] = symbol[word % 64]
    end
    n = n + 4
  end
  local text = concat(out, "", 1, #out)
  if padded and #bytes % 3 > 0 then
    return text .. rep("=", 3 - #bytes % 3)
  end
  return text
end

--- Decodes the standard alphabet. Padding may be absent.
---@param text string
---@return string|nil bytes  nil when the text is no Base64
function M.decode_base64(text)
  local body, padding = match(text, "^([A-Za-z0-9+/]*)(=?=?)$")
  if not body or #body % 4 == 1 or padding ~= "" and (#body + #padding) % 4 ~= 0 then
    return nil
  end
  local out, n = {}, 0
  for i = 1, #body, 4 do
    local a, b, c, d = byte(body, i, i + 3)
    local word = VALUES[a] * 262144 + VALUES[b] * 4096 + (c and VALUES[c] * 64 or 0) + (d and VALUES[d] or 0)
    local bytes = char(floor(word / 65536), floor(word / 256) % 256, word % 256)
    n = n + 1
    out[n] = d and bytes or sub(bytes, 1, c and 2 or 1)
  end
  return concat(out)
end

local function from_hex(digits)
  return char(tonumber(digits, 16))
end

--- Turns %HH into bytes and leaves everything else, malformed sequences included.
---@param text string
---@return string
function M.percent_decode(text)
  return (gsub(text, "%%([0-9A-Fa-f][0-9A-Fa-f])", from_hex))
end

-- %uHHHH at pos: the bytes it stands for and the place after it. Two surrogates in a row are one character; one alone
-- is none.
local function unicode_at(text, pos)
  local digits = match(text, "^%%[uU]([0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f])", pos)
  if not digits then
    return nil
  end
  local code = tonumber(digits, 16)
  if code >= 0xD800 and code <= 0xDBFF then
    local low = tonumber(match(text, "^%%[uU]([dD][c-fC-F][0-9A-Fa-f][0-9A-Fa-f])", pos + 6) or "0", 16)
    if low == 0 then
      return nil
    end
    return utf8.encode(0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)), pos + 12
  elseif code >= 0xDC00 and code <= 0xDFFF then
    return nil
  end
  return utf8.encode(code), pos + 6
end

local function decode_once(text, with_unicode)
  if not with_unicode then
    return M.percent_decode((gsub(text, "+", " ")))
  end
  local out, n, from = {}, 0, 1
  while true do
    local at = find(text, "[%%+]", from)
    if not at then
      out[n + 1] = sub(text, from)
      return concat(out)
    end
    local value, after
    if byte(text, at) == 43 then
      value, after = " ", at + 1
    else
      local digits = match(text, "^[0-9A-Fa-f][0-9A-Fa-f]", at + 1)
      if digits then
        value, after = from_hex(digits), at + 3
      else
        value, after = unicode_at(text, at)
        if not value then
          value, after = "%", at + 1
        end
      end
    end
    out[n + 1], out[n + 2], n, from = sub(text, from, at - 1), value, n + 2, after
  end
end

local PERCENT, PLUS, SPACE, LETTER_U = 37, 43, 32, 117

local function hex_value(b)
  if b >= 48 and b <= 57 then
    return b - 48
  elseif b >= 65 and b <= 70 then
    return b - 55
  elseif b >= 97 and b <= 102 then
    return b - 87
  end
  return nil
end

-- Decodes until nothing changes, in one pass: a byte is looked at again as soon as what follows it is known, so a value
-- encoded ten thousand times over costs no more than its length.
local function decode_repeatedly(text, with_unicode)
  local out, n = {}, 0

  local function number(first, last)
    local value = 0
    for i = first, last do
      local digit = hex_value(out[i])
      if not digit then
        return nil
      end
      value = value * 16 + digit
    end
    return value
  end

  local push

  local function reduce()
    if n >= 3 and out[n - 2] == PERCENT then
      local value = number(n - 1, n)
      if value then
        n = n - 3
        return push(value)
      end
    end
    if with_unicode and n >= 6 and out[n - 5] == PERCENT and (out[n - 4] == LETTER_U or out[n - 4] == 85) then
      local code = number(n - 3, n)
      if not code then
        return
      end
      local is_low = code >= 0xDC00 and code <= 0xDFFF
      if is_low then
        local high = n >= 12 and out[n - 11] == PERCENT and (out[n - 10] == LETTER_U or out[n - 10] == 85)
          and number(n - 9, n - 6)
        if not high or high < 0xD800 or high > 0xDBFF then
          return
        end
        n, code = n - 6, 0x10000 + (high - 0xD800) * 1024 + (code - 0xDC00)
      elseif code >= 0xD800 and code <= 0xDBFF then
        return
      end
      n = n - 6
      local encoded = utf8.encode(code)
      for i = 1, #encoded do
        push(byte(encoded, i))
      end
    end
  end

  function push(b)
    n = n + 1
    out[n] = b == PLUS and SPACE or b
    if hex_value(b) then
      return reduce()
    end
  end

  for i = 1, #text do
    push(byte(text, i))
  end
  local parts = {}
  for i = 1, n, 4096 do
    parts[#parts + 1] = char(unpack(out, i, i + 4095 < n and i + 4095 or n))
  end
  return concat(parts)
end

--- Decodes %HH and `+`; malformed sequences stay as they are.
---@param text string
---@param repeatedly boolean  until nothing changes any more
---@param with_unicode boolean  also %uHHHH, to UTF-8
---@return string
function M.url_decode(text, repeatedly, with_unicode)
  if not find(text, "[%%+]") then
    return text
  elseif repeatedly then
    return decode_repeatedly(text, with_unicode)
  end
  return decode_once(text, with_unicode)
end

return M
