-- moongate.json: JSON both ways. The decoder is strict (RFC 8259) because strangers write what it reads; it works in
-- linear time, never deeper than its limit, and says where a text is wrong. The encoder is dkjson's.
--
-- The elements are read by rules/json_text.lua, which the rules language needs too; here they become tables. Decoded:
-- objects and arrays are tables that know which of the two they are (is_array, is_object), null is M.null, so that an
-- absent member and a null one stay apart. Numbers are Lua numbers; with `exact_integers` an integer beyond 2^53
-- becomes an Integer that keeps its digits. Called by the admin API, by eval and by whatever else reads JSON. Does no
-- I/O.

local dkjson = require "dkjson"
local json_text = require "moongate.rules.json_text"

local byte, find, match = string.byte, string.find, string.match
local fail, skip = json_text.fail, json_text.skip
local sort = table.sort
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

local function read_number(text, pos, state)
  local digits, after, is_integer = json_text.number(text, pos)
  local value = tonumber(digits)
  if is_integer and state.exact_integers and (value >= EXACT or value <= -EXACT) then
    local magnitude = match(digits, "[0-9]+")
    if #magnitude > 16 or magnitude > "9007199254740992" then
      return M.integer(digits), after
    end
  elseif value == math.huge or value == -math.huge then
    fail(pos, "a number beyond the range")
  end
  return value, after
end

local read_value

local function read_array(text, pos, state, depth)
  local list, n = setmetatable({}, ARRAY), 0
  return list, json_text.list(text, pos, 93, function(item)
    n = n + 1
    list[n], item = read_value(text, item, state, depth)
    return item
  end)
end

local function read_object(text, pos, state, depth)
  local map, seen = setmetatable({}, OBJECT), state.unique_keys and {}
  return map, json_text.list(text, pos, 125, function(item)
    local name, value = json_text.member(text, item)
    if seen then
      if seen[name] then
        fail(item, "a member name that stands twice")
      end
      seen[name] = true
    end
    map[name], value = read_value(text, value, state, depth)
    return value
  end)
end

local WORDS = { ["true"] = true, ["false"] = false, ["null"] = M.null }

function read_value(text, pos, state, depth)
  local b = byte(text, pos)
  if b == 34 then
    return json_text.string(text, pos)
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
  local word, after = json_text.word(text, pos)
  if word then
    return WORDS[word], after
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

--- Encodes a value. Tables from decode(), array() and object() keep their kind; others are arrays when they look like
--- one.
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
