-- moongate.rules.ip: addresses and networks as text and as bytes.
--
-- An address is a string of 4 or 16 bytes in network order; the two families never compare as equal, and an
-- IPv4-mapped IPv6 address stays an IPv6 address. Used by the lexer for literals, by the address functions, and by
-- hosts that have addresses as text. Pure functions; no state.

local byte, char, find, floor, format, match, sub = string.byte, string.char, string.find, math.floor, string.format,
  string.match, string.sub
local concat = table.concat
local tonumber = tonumber

local M = {}

local function octet(text)
  -- A leading zero is refused: half of the world reads it as octal.
  if not match(text, "^[0-9][0-9]?[0-9]?$") or (#text > 1 and byte(text) == 48) then
    return nil
  end
  local n = tonumber(text, 10)
  return n <= 255 and n or nil
end

local function parse_v4(text)
  local a, b, c, d = match(text, "^([0-9]+)%.([0-9]+)%.([0-9]+)%.([0-9]+)$")
  if not a then
    return nil
  end
  a, b, c, d = octet(a), octet(b), octet(c), octet(d)
  if not (a and b and c and d) then
    return nil
  end
  return char(a, b, c, d)
end

-- Colon-separated groups of one side of "::" (or of the whole address) as bytes; an IPv4 tail only where `tail`
-- allows it.
local function groups(text, tail)
  if text == "" then
    return ""
  end
  local out, pos = {}, 1
  while true do
    local stop = find(text, ":", pos, true)
    local group = sub(text, pos, stop and stop - 1 or -1)
    if not stop and tail and find(group, ".", 1, true) then
      local v4 = parse_v4(group)
      if not v4 then
        return nil
      end
      out[#out + 1] = v4
      return concat(out)
    end
    if not match(group, "^[0-9A-Fa-f][0-9A-Fa-f]?[0-9A-Fa-f]?[0-9A-Fa-f]?$") then
      return nil
    end
    local n = tonumber(group, 16)
    out[#out + 1] = char(floor(n / 256), n % 256)
    if not stop then
      return concat(out)
    end
    pos = stop + 1
  end
end

local function parse_v6(text)
  local gap = find(text, "::", 1, true)
  if not gap then
    local bytes = groups(text, true)
    return bytes and #bytes == 16 and bytes or nil
  end
  local left, right = groups(sub(text, 1, gap - 1), false), groups(sub(text, gap + 2), true)
  if not left or not right or #left + #right > 14 then -- "::" stands for at least one group
    return nil
  end
  return left .. ("\0"):rep(16 - #left - #right) .. right
end

--- Reads an address.
---@param text string  no brackets, zone, port or prefix
---@return string|nil bytes  4 or 16 bytes
function M.parse(text)
  if #text > 45 then
    return nil
  end
  if find(text, ":", 1, true) then
    return parse_v6(text)
  end
  return parse_v4(text)
end

-- Sets the bits after the first `length` to zero or to one.
local function fill(bytes, length, ones)
  local out = {}
  for i = 1, #bytes do
    local keep = length - (i - 1) * 8
    local b = byte(bytes, i)
    if keep <= 0 then
      b = ones and 255 or 0
    elseif keep < 8 then
      local step = 2 ^ (8 - keep)
      b = floor(b / step) * step + (ones and step - 1 or 0)
    end
    out[i] = char(b)
  end
  return concat(out)
end

--- The network address: everything after the first `length` bits is zero.
---@param bytes string  an address
---@param length integer  0 … 8 * #bytes
---@return string
function M.network(bytes, length)
  return fill(bytes, length, false)
end

--- First and last address of a set item: an address, a CIDR block, or `first..last`.
---@param token string
---@return string|nil first
---@return string last_or_message
function M.parse_item(token)
  local dots = find(token, "..", 1, true)
  if dots then
    local first, last = M.parse(sub(token, 1, dots - 1)), M.parse(sub(token, dots + 2))
    if not first then
      return nil, "couldn't parse address in network: invalid IP address syntax"
    end
    if not last then
      return nil, "couldn't parse address in network: invalid IP address syntax"
    end
    if #first ~= #last or M.compare(first, last) > 0 then
      return nil, "incompatible range bounds"
    end
    return first, last
  end
  local slash = find(token, "/", 1, true)
  if not slash then
    local bytes = M.parse(token)
    if not bytes then
      return nil, "couldn't parse address in network: invalid IP address syntax"
    end
    return bytes, bytes
  end
  local address, digits = sub(token, 1, slash - 1), sub(token, slash + 1)
  -- Short IPv4 networks ("10/8") are filled up with zeros.
  if match(address, "^[0-9.]+$") then
    local _, count = address:gsub("%.", "")
    if count < 3 then
      address = address .. (".0"):rep(3 - count)
    end
  end
  local bytes = M.parse(address)
  if not bytes then
    return nil, "couldn't parse address in network: invalid IP address syntax"
  end
  if not match(digits, "^[0-9][0-9]?[0-9]?$") then
    return nil, "couldn't parse length in network: invalid digit found in string"
  end
  local length = tonumber(digits, 10)
  if length > 8 * #bytes then
    return nil, format("invalid length for network: Network length %d is too long for %s (maximum: %d)", length,
      #bytes == 4 and "Ipv4" or "Ipv6", 8 * #bytes)
  end
  local first = fill(bytes, length, false)
  if first ~= bytes then
    return nil, "host part of address was not zero"
  end
  return first, fill(bytes, length, true)
end

--- An IPv4 address as a number, for comparing with IPv4 ranges.
---@param bytes string
---@return number  -1 for an IPv6 address
function M.v4_number(bytes)
  if #bytes ~= 4 then
    return -1
  end
  local a, b, c, d = byte(bytes, 1, 4)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

--- Orders two addresses of one family.
---@param a string
---@param b string  as long as `a`
---@return integer  negative, zero or positive
function M.compare(a, b)
  for i = 1, #a do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then
      return x - y
    end
  end
  return 0
end

--- Writes an address: dotted IPv4, IPv6 in its shortest form (RFC 5952).
---@param bytes string
---@return string
function M.format(bytes)
  if #bytes == 4 then
    return format("%d.%d.%d.%d", byte(bytes, 1, 4))
  end
  local words = {}
  for i = 1, 8 do
    local high, low = byte(bytes, i * 2 - 1, i * 2)
    words[i] = high * 256 + low
  end
  -- IPv4-mapped addresses are written with a dotted tail (RFC 5952 section 5).
  if sub(bytes, 1, 12) == ("\0"):rep(10) .. "\255\255" then
    return "::ffff:" .. M.format(sub(bytes, 13))
  end
  local best, best_length = nil, 1 -- a single zero group is not shortened
  local i = 1
  while i <= 8 do
    local stop = i
    while stop <= 8 and words[stop] == 0 do
      stop = stop + 1
    end
    if stop - i > best_length then
      best, best_length = i, stop - i
    end
    i = stop > i and stop or i + 1
  end
  local function part(from, to)
    local out = {}
    for k = from, to do
      out[#out + 1] = format("%x", words[k])
    end
    return concat(out, ":")
  end
  if not best then
    return part(1, 8)
  end
  return part(1, best - 1) .. "::" .. part(best + best_length, 8)
end

return M
