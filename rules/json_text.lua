-- moongate.rules.json_text: the elements of JSON (RFC 8259) at a given place, and one value out of a text without
-- building it.
--
-- Strict and linear. The element readers raise {pos, message}; the gateway's decoder is built on them. lookup()
-- serves the functions lookup_json_string and lookup_json_integer: the whole text is checked, only the value asked
-- for is made. Keeps no state.

local utf8 = require "moongate.rules.utf8"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local concat = table.concat
local error, pcall, tonumber, type = error, pcall, tonumber, type

local M = {}

local MAX_DEPTH = 128

--- Raises a mistake.
---@param pos integer
---@param message string
function M.fail(pos, message)
  error({ pos = pos, message = message }, 0)
end

local fail = M.fail

--- The place of the next byte that is no whitespace.
---@param text string
---@param pos integer
---@return integer
function M.skip(text, pos)
  local b = byte(text, pos)
  if b ~= 32 and b ~= 10 and b ~= 13 and b ~= 9 then
    return pos
  end
  return match(text, "^[ \n\r\t]+()", pos)
end

local skip = M.skip

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

--- A string.
---@param text string
---@param pos integer  the opening quote
---@return string value
---@return integer after
function M.string(text, pos)
  local start = pos + 1
  local at = find(text, '[%z\1-\31"\\]', start)
  local value
  if at and byte(text, at) == 34 then
    value = sub(text, start, at - 1)
  else
    local parts, n, from = {}, 0, start
    while true do
      local b = at and byte(text, at)
      if not b then
        fail(pos, "a string without an end")
      end
      n = n + 1
      parts[n] = sub(text, from, at - 1)
      if b == 34 then
        break
      elseif b ~= 92 then
        fail(at, "a control character within a string")
      end
      local escape = byte(text, at + 1)
      n = n + 1
      if ESCAPED[escape] then
        parts[n], from = ESCAPED[escape], at + 2
      elseif escape == 117 then
        parts[n], from = unicode_escape(text, at + 2)
      else
        fail(at, "an unknown escape")
      end
      at = find(text, '[%z\1-\31"\\]', from)
    end
    value = concat(parts)
  end
  if not utf8.is_valid(value) then
    fail(pos, "a string that is not UTF-8")
  end
  return value, at + 1
end

--- A number as it is written.
---@param text string
---@param pos integer
---@return string digits
---@return integer after
---@return boolean is_integer  no fraction and no exponent
function M.number(text, pos)
  local stop = match(text, "^%-?[1-9][0-9]*()", pos) or match(text, "^%-?0()", pos)
  if not stop then
    fail(pos, "expected a digit")
  end
  local after = match(text, "^%.[0-9]+()", stop) or stop
  after = match(text, "^[eE][+-]?[0-9]+()", after) or after
  if find(text, "^[0-9.eE+-]", after) then
    fail(pos, "a malformed number")
  end
  return sub(text, pos, after - 1), after, after == stop
end

--- The words true, false and null: the word, or nil when none stands here.
---@param text string
---@param pos integer
---@return string|nil word
---@return integer after
function M.word(text, pos)
  local word = match(text, "^true", pos) or match(text, "^false", pos) or match(text, "^null", pos)
  return word, word and pos + #word or pos
end

--- Walks a list in brackets or braces; read_item(pos) reads one item and returns the place after it.
---@param text string
---@param pos integer  the opening bracket
---@param closing integer  the byte that ends the list
---@param read_item fun(pos: integer): integer
---@return integer after
function M.list(text, pos, closing, read_item)
  pos = skip(text, pos + 1)
  if byte(text, pos) == closing then
    return pos + 1
  end
  while true do
    pos = skip(text, read_item(pos))
    local b = byte(text, pos)
    if b == closing then
      return pos + 1
    elseif b ~= 44 then
      fail(pos, closing == 93 and "expected , or ] in an array" or "expected , or } in an object")
    end
    pos = skip(text, pos + 1)
  end
end

--- A member's name and the place of its value.
---@param text string
---@param pos integer
---@return string name
---@return integer value_pos
function M.member(text, pos)
  if byte(text, pos) ~= 34 then
    fail(pos, "expected a member name in quotes")
  end
  local name, after = M.string(text, pos)
  after = skip(text, after)
  if byte(text, after) ~= 58 then
    fail(after, "expected : after a member name")
  end
  return name, skip(text, after + 1)
end

-- Checks the value at pos. With `keys`, also follows keys[at…] into it: found(kind, value) is called for the value at
-- the end of the path, the last one when a name stands twice.
local function walk(text, pos, depth, keys, at, found)
  local b = byte(text, pos)
  local key = keys and keys[at]
  local is_end = keys and key == nil
  if b == 34 then
    local value, after = M.string(text, pos)
    if is_end then
      found("string", value)
    end
    return after
  elseif b == 91 or b == 123 then
    if depth >= MAX_DEPTH then
      fail(pos, "nesting too deep")
    end
    if is_end then
      found(nil)
    end
    if b == 91 then
      local position = 0
      return M.list(text, pos, 93, function(item)
        local follow = type(key) == "number" and key == position
        position = position + 1
        return walk(text, item, depth + 1, follow and keys or nil, at + 1, found)
      end)
    end
    return M.list(text, pos, 125, function(item)
      local name, value = M.member(text, item)
      local follow = type(key) == "string" and key == name
      if follow then
        found(nil) -- a later member of the same name replaces the earlier one, whatever it holds
      end
      return walk(text, value, depth + 1, follow and keys or nil, at + 1, found)
    end)
  end
  local word, after = M.word(text, pos)
  if word then
    if is_end then
      found(nil)
    end
    return after
  end
  local digits, stop, is_integer = M.number(text, pos)
  if is_end then
    if is_integer then
      found("integer", digits)
    else
      found(nil)
    end
  end
  return stop
end

--- The value at a path. String keys go into objects, number keys (from 0) into arrays.
---@param text string
---@param keys (string|number)[]  at least one
---@return string|nil kind  "string" or "integer"; nil when the text is no JSON, the path leads nowhere or elsewhere
---@return string|nil value  the decoded string, or the integer's digits
function M.lookup(text, keys)
  local kind, value
  local ok, err = pcall(function()
    local after = walk(text, skip(text, 1), 0, keys, 1, function(k, v)
      kind, value = k, v
    end)
    if skip(text, after) <= #text then
      fail(after, "text after the value")
    end
  end)
  if not ok then
    if type(err) ~= "table" or not err.pos then
      error(err, 0) -- our bug, not the text's
    end
    return nil
  end
  return kind, value
end

return M
