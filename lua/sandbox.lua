-- moongate.sandbox: what a policy file finds around it: a table of globals of its own, with what cannot hold a thread
-- or reach out of the policy.
--
-- Left out: everything that reads, writes, loads or looks inside (io, most of os, debug, package, ffi, load, getfenv,
-- string.dump, coroutine: waiting is moongate.sleep's business). The rest is bounded: a hook cannot interrupt a C
-- function, so no single call may take long. Patterns go to core/script/pattern.c, which counts its steps. Used by
-- policy.lua, once per file; runs in the state of policies only, whose strings get the bounded methods too.

local bridge = require "moongate.ffi"
local log = require "moongate.log"

local C, ffi = bridge.C, bridge.ffi
local bit = require "bit"
local raise = require("moongate.blame").raise

local concat, format, rep, sort, sub = table.concat, string.format, string.rep, table.sort, string.sub
local error, getmetatable, pcall, select, setmetatable = error, getmetatable, pcall, select, setmetatable
local tonumber, tostring, type, xpcall = tonumber, tostring, type, xpcall

local M = {}

local TEXT_MAX = 1024 * 1024 -- bytes of a string that a library function takes or makes
local SORT_MAX = 20000       -- elements

local call     -- struct moon_policy_call *
local steps_at -- where its steps are

--- Tells where this thread's call is.
---@param struct ffi.cdata*  struct moon_policy_call *
function M.attach(struct)
  call = struct
  steps_at = ffi.cast("uint32_t *", ffi.cast("char *", struct) + ffi.offsetof("struct moon_policy_call", "steps"))
end

-- ---- strings ----

local function check_text(value, name, position)
  local kind = type(value)
  if kind == "number" then
    value = tostring(value)
  elseif kind ~= "string" then
    local got = value == nil and "no value" or kind
    raise(format("bad argument #%d to '%s' (string expected, got %s)", position, name, got))
  end
  if #value > TEXT_MAX then
    raise(format("bad argument #%d to '%s' (longer than %d bytes)", position, name, TEXT_MAX))
  end
  return value
end

local found = ffi.new("struct moon_pattern_match")

-- 1 and the outcome in `found`, or false.
local function search(subject, pattern, from, anchors)
  local rc = C.moon_ffi_pattern_match(found, subject, #subject, pattern, #pattern, from, anchors, steps_at)
  if rc < 0 then
    raise(ffi.string(found.error))
  end
  return rc == 1
end

local function capture(subject, index)
  local one = found.captures[index]
  local begin, len = tonumber(one.begin), tonumber(one.len)
  if len < 0 then
    return begin + 1
  end
  return sub(subject, begin + 1, begin + len)
end

local function captures_from(subject, index, count)
  if index == count then
    return
  end
  return capture(subject, index), captures_from(subject, index + 1, count)
end

-- The captures, or the whole match when there are none.
local function captures(subject)
  local count = found.count
  if count == 0 then
    return sub(subject, tonumber(found.begin) + 1, tonumber(found["end"]))
  end
  return captures_from(subject, 0, count)
end

local function offset_of(init, length)
  init = tonumber(init) or 1
  if init > 0 then
    init = init - 1
  elseif init < 0 then
    init = init + length
    if init < 0 then init = 0 end
  end
  if init > length then return length end
  return init - init % 1
end

local SPECIALS = { "^", "$", "*", "+", "?", ".", "(", "[", "%", "-" }

local function is_plain(pattern)
  for i = 1, #SPECIALS do
    if C.moon_ffi_pattern_plain(pattern, #pattern, SPECIALS[i], 1, 0) >= 0 then return false end
  end
  return true
end

local text = {}

function text.find(subject, pattern, init, plain)
  subject, pattern = check_text(subject, "find", 1), check_text(pattern, "find", 2)
  local from = offset_of(init, #subject)
  if plain or is_plain(pattern) then
    local at = tonumber(C.moon_ffi_pattern_plain(subject, #subject, pattern, #pattern, from))
    if at < 0 then return nil end
    return at + 1, at + #pattern
  end
  if not search(subject, pattern, from, true) then return nil end
  return tonumber(found.begin) + 1, tonumber(found["end"]), captures_from(subject, 0, found.count)
end

function text.match(subject, pattern, init)
  subject, pattern = check_text(subject, "match", 1), check_text(pattern, "match", 2)
  local from = offset_of(init, #subject)
  if not search(subject, pattern, from, true) then return nil end
  return captures(subject)
end

function text.gmatch(subject, pattern)
  subject, pattern = check_text(subject, "gmatch", 1), check_text(pattern, "gmatch", 2)
  local from = 0
  return function()
    if from > #subject or not search(subject, pattern, from, false) then
      from = #subject + 1
      return nil
    end
    local stop = tonumber(found["end"])
    from = stop > tonumber(found.begin) and stop or stop + 1
    return captures(subject)
  end
end

-- What takes the place of the match at hand.
local function replacement_of(subject, replacement, whole)
  local kind = type(replacement)
  local value
  if kind == "table" then
    value = replacement[(captures(subject))]
  elseif kind == "function" then
    value = replacement(captures(subject))
  else
    local from, parts = 1, {}
    while true do
      local at = tonumber(C.moon_ffi_pattern_plain(replacement, #replacement, "%", 1, from - 1)) + 1
      if at == 0 then break end
      parts[#parts + 1] = sub(replacement, from, at - 1)
      local letter = sub(replacement, at + 1, at + 1)
      local digit = tonumber(letter)
      if not digit then
        parts[#parts + 1] = letter
      elseif digit == 0 or digit == 1 and found.count == 0 then
        parts[#parts + 1] = whole
      elseif digit > found.count then
        raise("invalid capture index")
      else
        parts[#parts + 1] = tostring(capture(subject, digit - 1))
      end
      from = at + 2
    end
    parts[#parts + 1] = sub(replacement, from)
    value = concat(parts)
  end
  if not value then return whole end
  if type(value) ~= "string" and type(value) ~= "number" then
    raise(format("invalid replacement value (a %s)", type(value)))
  end
  return tostring(value)
end

function text.gsub(subject, pattern, replacement, limit)
  subject, pattern = check_text(subject, "gsub", 1), check_text(pattern, "gsub", 2)
  local kind = type(replacement)
  if kind ~= "table" and kind ~= "function" then replacement = check_text(replacement, "gsub", 3) end
  local anchored = sub(pattern, 1, 1) == "^"
  local from, count, size, parts = 0, 0, 0, {}
  local function put(part)
    size = size + #part
    if size > TEXT_MAX then raise(format("the result of 'gsub' is longer than %d bytes", TEXT_MAX)) end
    parts[#parts + 1] = part
  end
  limit = limit or #subject + 1
  while count < limit and from <= #subject and search(subject, pattern, from, true) do
    local begin, stop = tonumber(found.begin), tonumber(found["end"])
    put(sub(subject, from + 1, begin))
    put(replacement_of(subject, replacement, sub(subject, begin + 1, stop)))
    count = count + 1
    if stop > begin then
      from = stop
    else -- an empty match: the character behind it stays
      put(sub(subject, stop + 1, stop + 1))
      from = stop + 1
    end
    if anchored then break end
  end
  put(sub(subject, from + 1))
  return concat(parts), count
end

function text.rep(subject, times, separator)
  subject = check_text(subject, "rep", 1)
  separator = separator and check_text(separator, "rep", 3)
  times = tonumber(times) or raise("bad argument #2 to 'rep' (number expected)")
  if times > 0 and (#subject + (separator and #separator or 0)) * times > TEXT_MAX then
    raise(format("the result of 'rep' is longer than %d bytes", TEXT_MAX))
  end
  if separator then return rep(subject, times, separator) end
  return rep(subject, times)
end

for _, name in ipairs { "lower", "upper", "reverse" } do
  local native = string[name]
  text[name] = function(subject) return native(check_text(subject, name, 1)) end
end

for _, name in ipairs { "byte", "char", "format", "len", "sub" } do text[name] = string[name] end

-- ---- tables ----

local list = { insert = table.insert, remove = table.remove, maxn = table.maxn }

function list.concat(items, separator, first, last)
  first, last = first or 1, last or #items
  local size = separator and #tostring(separator) * math.max(0, last - first) or 0
  for i = first, last do
    local item = items[i]
    size = size + (type(item) == "string" and #item or 20)
    if size > TEXT_MAX then raise(format("the result of 'concat' is longer than %d bytes", TEXT_MAX)) end
  end
  return concat(items, separator, first, last)
end

function list.sort(items, comparison)
  if #items > SORT_MAX then raise(format("more than %d elements to sort", SORT_MAX)) end
  return sort(items, comparison)
end

-- ---- errors ----

-- What the budget has ended stays ended, however often it is caught.
local function finish(ok, ...)
  if not ok and call.exhausted then error((...), 0) end
  return ok, ...
end

local function protected(f, ...)
  return finish(pcall(f, ...))
end

local function protected_with(f, handler, ...)
  return finish(xpcall(f, function(err)
    if call.exhausted then return err end
    return handler(err)
  end, ...))
end

-- ---- the whole ----

local function copy(from)
  local to = {}
  for key, value in pairs(from) do to[key] = value end
  return to
end

local MATH_LEFT_OUT = { randomseed = true }

local function print_line(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
  log.line("info", "policy", "print", concat(words, "\t"))
end

--- Protects what all strings share: their methods become the bounded ones, and their metatable cannot be had.
function M.guard_strings()
  local shared = debug.getmetatable("")
  shared.__index = text
  shared.__metatable = false
end

--- A fresh table of globals.
---@param require fun(name: string): any
---@return table environment
function M.environment(require)
  local numbers = copy(math)
  for name in pairs(MATH_LEFT_OUT) do numbers[name] = nil end
  local environment = {
    assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
    pcall = protected, print = print_line, rawequal = rawequal, rawget = rawget, rawset = rawset, require = require,
    select = select, setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
    xpcall = protected_with, _VERSION = _VERSION,
    string = copy(text), table = copy(list), math = numbers, bit = copy(bit),
    os = { clock = os.clock, date = os.date, difftime = os.difftime, time = os.time },
  }
  environment._G = environment
  return environment
end

return M
