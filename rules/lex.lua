-- moongate.rules.lex: reads one lexical element at a given place: names, operators, strings, integers, addresses.
--
-- The language has no tokens that could be cut out beforehand (what `12.34` or `80` means depends on the type to the
-- left of the operator), so the parser asks for the element that it expects. Each reader takes (text, pos) and
-- returns the value and the place after it; a mistake is raised as a table {message, pos, length} that init.lua turns
-- into a Diagnostic. Called by parse.lua only. Knows no fields and no types.

local integer = require "moongate.rules.integer"

local byte, char, find, match, sub = string.byte, string.char, string.find, string.match, string.sub
local concat = table.concat
local error, tonumber = error, tonumber

local M = {}

local QUOTE, HASH, BACKSLASH, MINUS, ZERO, LOWER_R, LOWER_X, DOLLAR = 34, 35, 92, 45, 48, 114, 120, 36
local MAX_HASHES = 255

--- Raises a mistake. A length of nil means: to the end of the text.
---@param text string
---@param pos integer
---@param length integer|nil
---@param message string
---@param hint string|nil
function M.fail(text, pos, length, message, hint)
  error({ message = message, pos = pos, length = length or #text - pos + 1, hint = hint }, 0)
end

local fail = M.fail

--- The place of the next byte that is not whitespace (space, CR, LF).
---@param text string
---@param pos integer
---@return integer
function M.skip(text, pos)
  local b = byte(text, pos)
  if b ~= 32 and b ~= 10 and b ~= 13 then
    return pos
  end
  local _, stop = find(text, "^[ \r\n]+", pos)
  return stop + 1
end

-- Unicode whitespace, as trimmed around the whole text: ASCII, then U+0085, U+00A0, U+1680, U+2000–200A, U+2028,
-- U+2029, U+202F, U+205F, U+3000 in UTF-8.
local WIDE_SPACES = {
  ["\194\133"] = true, ["\194\160"] = true, ["\225\154\128"] = true, ["\226\128\168"] = true, ["\226\128\169"] = true,
  ["\226\128\175"] = true, ["\226\129\159"] = true, ["\227\128\128"] = true,
}
for last = 128, 138 do
  WIDE_SPACES["\226\128" .. char(last)] = true
end

--- First and last byte of the text without surrounding Unicode whitespace; last < first for a blank one.
---@param text string
---@return integer first
---@return integer last
function M.trim(text)
  local first, last = 1, #text
  while first <= last do
    local b = byte(text, first)
    if b == 32 or (b >= 9 and b <= 13) then
      first = first + 1
    elseif b >= 128 and WIDE_SPACES[sub(text, first, first + 1)] then
      first = first + 2
    elseif b >= 128 and WIDE_SPACES[sub(text, first, first + 2)] then
      first = first + 3
    else
      break
    end
  end
  while last >= first do
    local b = byte(text, last)
    if b == 32 or (b >= 9 and b <= 13) then
      last = last - 1
    elseif b >= 128 and last - first >= 1 and WIDE_SPACES[sub(text, last - 1, last)] then
      last = last - 2
    elseif b >= 128 and last - first >= 2 and WIDE_SPACES[sub(text, last - 2, last)] then
      last = last - 3
    else
      break
    end
  end
  return first, last
end

--- The longest run that could be a name: segments joined by single dots.
---@param text string
---@param pos integer
---@return string|nil name
---@return integer after
function M.name(text, pos)
  local _, stop = find(text, "^[A-Za-z0-9_]+", pos)
  if not stop then
    return nil, pos
  end
  while byte(text, stop + 1) == 46 do
    local _, further = find(text, "^[A-Za-z0-9_]+", stop + 2)
    if not further then
      break
    end
    stop = further
  end
  return sub(text, pos, stop), stop + 1
end

-- Operator spellings by first byte, longest first where one begins another.
local OPERATORS = {
  { "in", "in" },
  { "eq", "eq" }, { "==", "eq" },
  { "ne", "ne" }, { "!=", "ne" },
  { "ge", "ge" }, { ">=", "ge" },
  { "le", "le" }, { "<=", "le" },
  { "gt", "gt" }, { ">", "gt" },
  { "lt", "lt" }, { "<", "lt" },
  { "bitwise_and", "&" }, { "&", "&" },
  { "contains", "contains" },
  { "matches", "matches" }, { "~", "matches" },
  { "wildcard", "wildcard" },
  { "strict wildcard", "strict wildcard" },
}
local BY_FIRST_BYTE = {}
for _, pair in ipairs(OPERATORS) do
  local first = byte(pair[1])
  BY_FIRST_BYTE[first] = BY_FIRST_BYTE[first] or {}
  local list = BY_FIRST_BYTE[first]
  list[#list + 1] = pair
end

--- A comparison operator. There is no word boundary: `in{80}` and `eq"a"` are fine.
---@param text string
---@param pos integer
---@return string|nil operator  its one name: eq ne lt le gt ge in & contains matches wildcard "strict wildcard"
---@return integer after
function M.operator(text, pos)
  local candidates = BY_FIRST_BYTE[byte(text, pos)]
  if candidates then
    for i = 1, #candidates do
      local spelling = candidates[i][1]
      if sub(text, pos, pos + #spelling - 1) == spelling then
        if spelling == "&" and byte(text, pos + 1) == 38 then -- `&&` joins expressions, it does not compare
          break
        end
        return candidates[i][2], pos + #spelling
      end
    end
  end
  return nil, pos
end

local function escape(text, pos) -- pos: the byte after the backslash
  local b = byte(text, pos)
  if b == QUOTE or b == BACKSLASH then
    return sub(text, pos, pos), pos + 1
  end
  if b == LOWER_X then
    local hex = match(text, "^[0-9A-Fa-f][0-9A-Fa-f]", pos + 1)
    if hex then
      return char(tonumber(hex, 16)), pos + 3
    end
    fail(text, pos + 1, 2, "invalid digit found in string while parsing with radix 16")
  end
  local octal = match(text, "^[0-7][0-7][0-7]", pos)
  if octal then
    if byte(octal) > 51 then
      fail(text, pos, 3, "number too large to fit in target type while parsing with radix 8")
    end
    return char(tonumber(octal, 8)), pos + 3
  end
  fail(text, pos, 1, 'expected ", xHH or OOO after \\')
end

--- A quoted string, with its escapes resolved.
---@param text string
---@param pos integer  the opening quote
---@return string value
---@return integer after
function M.quoted(text, pos)
  local start = pos + 1
  local at = find(text, '["\\]', start)
  if at and byte(text, at) == QUOTE then -- nearly every literal
    return sub(text, start, at - 1), at + 1
  end
  local parts, from = {}, start
  while at do
    parts[#parts + 1] = sub(text, from, at - 1)
    if byte(text, at) == QUOTE then
      return concat(parts), at + 1
    end
    parts[#parts + 1], from = escape(text, at + 1)
    at = find(text, '["\\]', from)
  end
  fail(text, start, nil, "could not find an ending quote")
end

--- Whether a raw string begins here.
---@param text string
---@param pos integer
---@return boolean
function M.is_raw(text, pos)
  if byte(text, pos) ~= LOWER_R then
    return false
  end
  local b = byte(text, pos + 1)
  return b == QUOTE or b == HASH
end

--- A raw string: r"…", r#"…"#, up to 255 hashes.
---@param text string
---@param pos integer  the letter r
---@return string value
---@return integer after
function M.raw(text, pos)
  local _, stop = find(text, "^#*", pos + 1)
  local hashes = sub(text, pos + 1, stop)
  if #hashes > MAX_HASHES then
    fail(text, pos + 1, #hashes, "too many hashes around a raw string (limit: 255)")
  end
  if byte(text, stop + 1) ~= QUOTE then
    fail(text, stop + 1, 1, 'expected literal "\\""')
  end
  local start = stop + 2
  local at = find(text, '"' .. hashes, start, true)
  if not at then
    fail(text, start, nil, "could not find an ending quote")
  end
  return sub(text, start, at - 1), at + 1 + #hashes
end

--- A byte literal such as 61:62-63: at least two bytes in hex.
---@param text string
---@param pos integer
---@return string value
---@return integer after
function M.bytes(text, pos)
  local out = {}
  while true do
    local pair = match(text, "^[0-9A-Fa-f][0-9A-Fa-f]", pos)
    if not pair then
      local b = byte(text, pos)
      if not b then
        fail(text, pos, 1, "unrecognised input")
      elseif find(text, "^[0-9A-Fa-f]", pos) and (pos == #text or find(text, "^[^0-9A-Za-z]", pos + 1)) then
        fail(text, pos, 1, "expected 2 characters, but found 1")
      end
      fail(text, pos, 2, "invalid digit found in string while parsing with radix 16")
    end
    out[#out + 1] = char(tonumber(pair, 16))
    pos = pos + 2
    if not find(text, "^[:.-]", pos) then
      if #out == 1 then
        fail(text, pos, 1, "expected byte separator")
      end
      return concat(out), pos
    end
    pos = pos + 1
  end
end

--- A String literal in any form: quoted, raw or bytes.
---@param text string
---@param pos integer
---@return string value
---@return integer after
function M.string(text, pos)
  if byte(text, pos) == QUOTE then
    return M.quoted(text, pos)
  elseif M.is_raw(text, pos) then
    return M.raw(text, pos)
  end
  return M.bytes(text, pos)
end

--- A quoted or raw string, where bytes are not taken (patterns).
---@param text string
---@param pos integer
---@return string value
---@return integer after
---@return boolean raw
function M.pattern(text, pos)
  if byte(text, pos) == QUOTE then
    local value, after = M.quoted(text, pos)
    return value, after, false
  elseif M.is_raw(text, pos) then
    local value, after = M.raw(text, pos)
    return value, after, true
  end
  fail(text, pos, nil, pos > #text and "unrecognised input" or 'expected literal "\\""')
end

--- A quoted string on the right of `matches`, where the escapes belong to the regular expression.
---@param text string
---@param pos integer  the opening quote
---@return string pattern
---@return integer after
function M.quoted_regex(text, pos)
  local parts, from, at, in_class = {}, pos + 1, pos + 1, false
  while true do
    at = find(text, '["\\%[%]]', at)
    if not at then
      fail(text, pos + 1, nil, "could not find an ending quote")
    end
    local b = byte(text, at)
    if b == BACKSLASH then
      -- The pair is passed on; only an escaped quote outside a class loses its backslash.
      if byte(text, at + 1) == QUOTE and not in_class then
        parts[#parts + 1] = sub(text, from, at - 1)
        from = at + 1
      end
      at = at + 2
    elseif b == QUOTE and not in_class then
      parts[#parts + 1] = sub(text, from, at - 1)
      return concat(parts), at + 1
    else
      if b == 91 then
        in_class = true
      elseif b == 93 then
        in_class = false
      end
      at = at + 1
    end
  end
end

local NOT_A_DIGIT = { [8] = "[^0-7]", [10] = "[^0-9]" }

--- An integer: decimal with an optional minus, 0x hexadecimal, or octal with a leading zero.
---@param text string
---@param pos integer
---@return number|string value  in the one form of integer.lua
---@return integer after
function M.integer(text, pos)
  local from, radix, negative = pos, 10, false
  local b = byte(text, pos)
  if b == MINUS then
    from, negative = pos + 1, true
  elseif b == ZERO then
    if byte(text, pos + 1) == LOWER_X then
      from, radix = pos + 2, 16
    else
      radix = 8
    end
  end
  local _, stop = find(text, "^[0-9A-Fa-f]+", from)
  if not stop then
    fail(text, from, nil, "expected digit")
  end
  local digits = sub(text, from, stop)
  if radix ~= 16 and find(digits, NOT_A_DIGIT[radix]) then
    fail(text, from, #digits, "invalid digit found in string while parsing with radix " .. radix)
  end
  local value = integer.from_digits(digits, radix, negative)
  if not value then
    fail(text, from, #digits, "number too large to fit in target type while parsing with radix " .. radix)
  end
  return value, stop + 1
end

--- The run of characters that may form an address, a block or a range of addresses.
---@param text string
---@param pos integer
---@return string|nil token
---@return integer after
function M.address_run(text, pos)
  local _, stop = find(text, "^[0-9A-Fa-f:./]+", pos)
  if not stop then
    return nil, pos
  end
  return sub(text, pos, stop), stop + 1
end

--- The name of a list, after its `$`.
---@param text string
---@param pos integer  the dollar
---@return string name
---@return integer after
function M.list_name(text, pos)
  local _, stop = find(text, "^[a-z0-9_.]*", pos + 1)
  local name = sub(text, pos + 1, stop)
  if name == "" or byte(name) == 46 or byte(name, -1) == 46 then
    fail(text, pos, #name + 1, ('invalid list name "%s"'):format(name))
  end
  return name, stop + 1
end

--- Whether a list name begins here.
---@param text string
---@param pos integer
---@return boolean
function M.is_list(text, pos)
  return byte(text, pos) == DOLLAR
end

return M
