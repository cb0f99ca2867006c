-- moongate.regex: regular expressions by RE2, for the gateway's schemas (fields.lua).
--
-- One parser reads the dialect, rules/regex_syntax.lua: what it refuses is refused here with the same words. Its tree, which
-- speaks of bytes only, is printed in RE2's syntax (Latin-1, no flags left to interpret) and RE2 does the matching, in time
-- linear in the value. What RE2 has no words for (one-sided word boundaries) or refuses though it is small (counts within
-- counts) stays with the engine's own matcher. Compiled patterns belong to their Lua state and are freed with it.

local bridge = require "moongate.ffi"
local own = require "moongate.rules.regex"
local syntax = require "moongate.rules.regex_syntax"

local C, ffi = bridge.C, bridge.ffi

local M = {}

local ERROR_BYTES = 256
local GROUPS = 16         -- moon_ffi_regex_find takes these and the whole
local REPEAT_MAX = 1000   -- RE2 refuses a higher count; so do we, in its name
local SOURCE_BYTES = 1024 * 1024

-- How a place between two bytes is said; absent: RE2 cannot say it.
local LOOKS = {
  start = "\\A", ["end"] = "\\z", line_start = "(?m:^)", line_end = "(?m:$)", word = "\\b", not_word = "\\B",
}

local PRINT = {}

local function print_node(node, out)
  local print = PRINT[node.kind]
  return print(node, out)
end

function PRINT.empty(_, out)
  out[#out + 1] = "(?:)"
  return true
end

function PRINT.set(node, out)
  if #node.ranges == 0 then
    out[#out + 1] = "[^\\x00-\\xff]"
    return true
  end
  local parts = {}
  for i, range in ipairs(node.ranges) do
    parts[i] = range[1] == range[2] and ("\\x%02x"):format(range[1]) or ("\\x%02x-\\x%02x"):format(range[1], range[2])
  end
  out[#out + 1] = "[" .. table.concat(parts) .. "]"
  return true
end

local function print_list(node, out, separator)
  out[#out + 1] = "(?:"
  for i, child in ipairs(node) do
    if i > 1 then out[#out + 1] = separator end
    if not print_node(child, out) then return false end
  end
  out[#out + 1] = ")"
  return true
end

function PRINT.cat(node, out)
  return print_list(node, out, "")
end

function PRINT.alt(node, out)
  return print_list(node, out, "|")
end

PRINT["repeat"] = function(node, out)
  local min, max = node.min, node.max
  if min > REPEAT_MAX or (max and max > REPEAT_MAX) then return false end
  out[#out + 1] = "(?:"
  if not print_node(node.of, out) then return false end
  out[#out + 1] = ")"
  if min == 0 and not max then
    out[#out + 1] = "*"
  elseif min == 1 and not max then
    out[#out + 1] = "+"
  elseif min == 0 and max == 1 then
    out[#out + 1] = "?"
  else
    out[#out + 1] = max and ("{%d,%d}"):format(min, max) or ("{%d,}"):format(min)
  end
  if not node.greedy then out[#out + 1] = "?" end
  return true
end

function PRINT.group(node, out)
  out[#out + 1] = node.index and "(" or "(?:"
  if not print_node(node.of, out) then return false end
  out[#out + 1] = ")"
  return true
end

function PRINT.look(node, out)
  local text = LOOKS[node.what]
  if not text then return false end
  out[#out + 1] = text
  return true
end

local message_room = ffi.new("char[?]", ERROR_BYTES)

-- The compiled pattern; nil when RE2 has no words for it; nil and a message when it refuses it.
local function compile(tree)
  local out = {}
  if not print_node(tree, out) then return nil end
  local source = table.concat(out)
  if #source > SOURCE_BYTES then return nil, "the regular expression is too large" end
  local regex = C.moon_ffi_regex_new(source, #source, false, message_room, ERROR_BYTES)
  if regex == nil then return nil, "the regular expression is refused: " .. ffi.string(message_room) end
  return ffi.gc(regex, C.moon_ffi_regex_free)
end

--- Compiles a pattern.
---@param pattern string  the dialect of rules/regex_syntax.lua
---@return (fun(value: string): boolean)|nil matcher  true when some part of the value matches
---@return string|nil message
function M.compile(pattern)
  local tree, message = syntax.parse(pattern)
  if not tree then return nil, message end
  local regex, refusal = compile(tree)
  if not regex then
    local matcher, limit = own.compile(pattern)
    return matcher, not matcher and (refusal or limit) or nil
  end
  return function(value)
    return C.moon_ffi_regex_test(regex, value, #value)
  end
end

--- Compiles a pattern for its groups.
---@param pattern string
---@return (fun(value: string): table|nil, integer|nil, integer|nil)|nil find_captures
---  the groups of the leftmost match ([0] is the match itself) and its first and last byte; nil when there is none
---@return integer|string groups_or_message  how many groups the pattern has
function M.compile_captures(pattern)
  local tree, groups = syntax.parse(pattern)
  if not tree then return nil, groups end
  local regex, refusal = compile(tree)
  if not regex or groups > GROUPS then
    local finder, count = own.compile_captures(pattern)
    return finder, finder and count or refusal or count
  end
  local offsets = ffi.new("int[?]", 2 * (GROUPS + 1))
  return function(value)
    if not C.moon_ffi_regex_find(regex, value, #value, offsets, groups + 1) then return nil end
    local captures = {}
    for group = 0, groups do
      local first, last = offsets[2 * group], offsets[2 * group + 1]
      captures[group] = first >= 0 and value:sub(first + 1, last) or nil
    end
    return captures, offsets[0] + 1, offsets[1]
  end, groups
end

return M
