-- moongate.json: JSON both ways. The decoder is strict (RFC 8259) because strangers write what it reads; it works in linear
-- time, never deeper than its limit, and says where a text is wrong. The encoder is dkjson's.
--
-- Decoded: objects and arrays are tables that know which of the two they are (is_array, is_object), null is M.null, so that an
-- absent member and a null one stay apart. Numbers are Lua numbers; with `exact_integers` an integer beyond 2^53 becomes an
-- Integer that keeps its digits. Called by the admin API, by eval and by whatever else reads JSON. Does no I/O.

local dkjson = require "dkjson"
local utf8 = require "moongate.rules.utf8"

local byte, char, find, match, sub = string.byte, string.char, string.find, string.match, string.sub
local concat, sort = table.concat, table.sort
local error, getmetatable, pairs, pcall, setmetatable, tonumber, type = error, getmetatable, pairs, pcall, setmetatable,
  tonumber, type

local M = {}

--- Stands for null, decoded and encoded.
M.null = dkjson.null

M.MAX_DEPTH = 32

local EXACT = 9007199254740992 -- 2^53

local ARRAY = { __jsontype = "array" }
local OBJECT = { __jsontype = "object" }

--- An integer that a Lua number would round; .digits is its decimal text.
---@class moongate.json.Integer
---@field digits string
local Integer = {}
Integer.__index = Integer
Integer.__tojson = function(self) return self.digits end
Integer.__tostring = function(self) return self.digits end

--- Whether a decoded value is an array; an empty one is an array only if it was written as one.
---@param value any
---@return boolean
function M.is_array(value)
  return type(value) == "table" and getmetatable(value) == ARRAY
end

--- Whether a decoded value is an object.
---@param value any
---@return boolean
function M.is_object(value)
  return type(value) == "table" and getmetatable(value) == OBJECT
end

--- Whether a decoded value is an integer kept exact beside Lua's numbers.
---@param value any
---@return boolean
function M.is_exact_integer(value)
  return type(value) == "table" and getmetatable(value) == Integer
end

--- Marks a table as an array, so that it is encoded as one even when empty.
---@param list table|nil
---@return table
function M.array(list)
  return setmetatable(list or {}, ARRAY)
end

--- Marks a table as an object, so that it is encoded as one even when empty.
---@param map table|nil
---@return table
function M.object(map)
  return setmetatable(map or {}, OBJECT)
end

--- An exact integer from its decimal digits, for encoding.
---@param digits string
---@return moongate.json.Integer
function M.integer(digits)
  return setmetatable({ digits = digits }, Integer)
end

local function fail(pos, message)
  error({ pos = pos, message = message }, 0)
end

local function skip(text, pos)
  local b = byte(text, pos)
  if b ~= 32 and b ~= 10 and b ~= 13 and b ~= 9 then
    return pos
  end
  return match(text, "^[ \n\r\t]+()", pos)
end

local ESCAPED = {
  [34] = '"', [92] = "\\", [47] = "/", [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t",
}

local function hex4(text, pos)
  local digits = match(text, "^[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]", pos)
  if not digits then
    fail(pos, "expected four hexadecimal digits")
  end
  return tonumber(digits, 16)
end

-- pos: the byte after "\u"
local function unicode_escape(text, pos)
  local code = hex4(text, pos)
  if code >= 0xD800 and code <= 0xDBFF then
    if sub(text, pos + 4, pos + 5) ~= "\\u" then
      fail(pos, "a high surrogate without its low one")
    end
    local low = hex4(text, pos + 6)
    if low < 0xDC00 or low > 0xDFFF then
      fail(pos, "a high surrogate without its low one")
    end
    return utf8.encode(0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)), pos + 10
  elseif code >= 0xDC00 and code <= 0xDFFF then
    fail(pos, "a low surrogate without its high one")
  end
  return utf8.encode(code), pos + 4
end

local function read_string(text, pos)
  local start = pos + 1
  local at = find(text, '[%c"\\]', start)
  local value
  if at and byte(text, at) == 34 then
    value = sub(text, start, at - 1)
  else
    local parts, n, from = {}, 0, start
    while true do
      local b = at and byte(text, at)
      if not b then
        fail(pos, "a string without an end")
      elseif b == 127 then -- DEL is a control character to Lua, not to JSON
        at = find(text, '[%c"\\]', at + 1)
      else
        n = n + 1
        parts[n] = sub(text, from, at - 1)
        if b == 34 then
          break
        elseif b ~= 92 then
          fail(at, "a control character within a string")
        end
        local e = byte(text, at + 1)
        n = n + 1
        if ESCAPED[e] then
          parts[n], from = ESCAPED[e], at + 2
        elseif e == 117 then
          parts[n], from = unicode_escape(text, at + 2)
        else
          fail(at, "an unknown escape")
        end
        at = find(text, '[%c"\\]', from)
      end
    end
    value = concat(parts)
  end
  if not utf8.is_valid(value) then
    fail(pos, "a string that is not UTF-8")
  end
  return value, at + 1
end

local function read_number(text, pos, state)
  local stop = match(text, "^%-?[1-9][0-9]*()", pos) or match(text, "^%-?0()", pos)
  if not stop then
    fail(pos, "expected a digit")
  end
  local after = match(text, "^%.[0-9]+()", stop) or stop
  after = match(text, "^[eE][+-]?[0-9]+()", after) or after
  local follows = byte(text, after)
  if follows and match(char(follows), "[0-9.eE+-]") then
    fail(pos, "a malformed number")
  end
  local digits = sub(text, pos, after - 1)
  local value = tonumber(digits)
  if after == stop then
    if state.exact_integers and (value >= EXACT or value <= -EXACT) then
      local magnitude = match(digits, "[0-9]+")
      if #magnitude > 16 or magnitude > "9007199254740992" then
        return M.integer(digits), after
      end
    end
  end
  if value ~= value or value == math.huge or value == -math.huge then
    fail(pos, "a number beyond the range")
  end
  return value, after
end

local read_value

local function read_array(text, pos, state, depth)
  local list, n = setmetatable({}, ARRAY), 0
  pos = skip(text, pos + 1)
  if byte(text, pos) == 93 then
    return list, pos + 1
  end
  while true do
    n = n + 1
    list[n], pos = read_value(text, pos, state, depth)
    pos = skip(text, pos)
    local b = byte(text, pos)
    if b == 93 then
      return list, pos + 1
    elseif b ~= 44 then
      fail(pos, "expected , or ] in an array")
    end
    pos = skip(text, pos + 1)
  end
end

local function read_object(text, pos, state, depth)
  local map, seen = setmetatable({}, OBJECT), nil
  if state.unique_keys then
    seen = {}
  end
  pos = skip(text, pos + 1)
  if byte(text, pos) == 125 then
    return map, pos + 1
  end
  while true do
    if byte(text, pos) ~= 34 then
      fail(pos, "expected a member name in quotes")
    end
    local name_pos = pos
    local name
    name, pos = read_string(text, pos)
    if seen then
      if seen[name] then
        fail(name_pos, "a member name that stands twice")
      end
      seen[name] = true
    end
    pos = skip(text, pos)
    if byte(text, pos) ~= 58 then
      fail(pos, "expected : after a member name")
    end
    map[name], pos = read_value(text, skip(text, pos + 1), state, depth)
    pos = skip(text, pos)
    local b = byte(text, pos)
    if b == 125 then
      return map, pos + 1
    elseif b ~= 44 then
      fail(pos, "expected , or } in an object")
    end
    pos = skip(text, pos + 1)
  end
end

local WORDS = { [116] = { "true", true }, [102] = { "false", false }, [110] = { "null", M.null } }

function read_value(text, pos, state, depth)
  local b = byte(text, pos)
  if b == 34 then
    return read_string(text, pos)
  elseif b == 123 or b == 91 then
    if depth >= state.max_depth then
      fail(pos, ("nesting deeper than %d"):format(state.max_depth))
    end
    if b == 123 then
      return read_object(text, pos, state, depth + 1)
    end
    return read_array(text, pos, state, depth + 1)
  elseif b == 45 or b and b >= 48 and b <= 57 then
    return read_number(text, pos, state)
  end
  local word = WORDS[b]
  if word and sub(text, pos, pos + #word[1] - 1) == word[1] then
    return word[2], pos + #word[1]
  end
  fail(pos, b and "expected a value" or "the text ends where a value should be")
end

local function place(text, pos)
  local line, start = 1, 1
  while true do
    local stop = find(text, "\n", start, true)
    if not stop or stop >= pos then
      return line, pos - start + 1
    end
    line, start = line + 1, stop + 1
  end
end

local DEFAULTS = {}

--- Decodes one JSON text. Nothing but whitespace may follow the value.
---@param text string
---@param options { max_depth: integer|nil, unique_keys: boolean|nil, exact_integers: boolean|nil } | nil
---  max_depth 32 by default; unique_keys refuses an object that names a member twice (otherwise the last one counts)
---@return any value  nil only on failure; null is M.null
---@return { message: string, line: integer, column: integer } | nil err
function M.decode(text, options)
  options = options or DEFAULTS
  local state = {
    max_depth = options.max_depth or M.MAX_DEPTH,
    unique_keys = options.unique_keys,
    exact_integers = options.exact_integers,
  }
  local ok, value = pcall(function()
    local value, after = read_value(text, skip(text, 1), state, 0)
    after = skip(text, after)
    if after <= #text then
      fail(after, "text after the value")
    end
    return value
  end)
  if ok then
    return value
  elseif type(value) ~= "table" or not value.pos then
    error(value, 0) -- our bug, not the text's
  end
  local line, column = place(text, value.pos)
  return nil, { message = value.message, line = line, column = column }
end

local function collect_keys(value, keys, depth)
  if type(value) ~= "table" or value == M.null or depth > 64 then
    return
  end
  for k, v in pairs(value) do
    if type(k) == "string" then
      keys[k] = true
    end
    collect_keys(v, keys, depth + 1)
  end
end

--- Encodes a value. Tables from decode(), array() and object() keep their kind; others are arrays when they look like one.
---@param value any
---@param options { sorted: boolean|nil, order: string[]|nil, indent: boolean|nil } | nil
---  sorted: members by name, the same text for the same value; order: these members first, in this order
---@return string
function M.encode(value, options)
  options = options or DEFAULTS
  local order = options.order
  if options.sorted then
    local keys = {}
    collect_keys(value, keys, 0)
    order = order and { unpack(order) } or {}
    for _, key in ipairs(order) do
      keys[key] = nil
    end
    local rest = {}
    for key in pairs(keys) do
      rest[#rest + 1] = key
    end
    sort(rest)
    for _, key in ipairs(rest) do
      order[#order + 1] = key
    end
  end
  return dkjson.encode(value, { keyorder = order, indent = options.indent })
end

return M
