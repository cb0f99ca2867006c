-- moongate.rule_lists: named lists (`ip.src in $office`) as tests that rules call.
--
-- A list may have a million items, and a worker must not stand still to read them. So the control plane packs it (pack) into bytes
-- that are searched as they lie, and a worker has nothing to do but point at them (new). A question is a binary search, or some for
-- a hostname; it makes no garbage but the names above a hostname. Answers are true and false, never nil.
--
-- What is packed is a text of words, a blank between two, as the admin API keeps them (admin/list_item.lua):
--   ip, asn    first and last value in hex: 8 + 8 digits (IPv4, numbers) or 32 + 32 (IPv6)
--   hostname   a name; `*.name` for all names below it; `*.name!` for the name itself as well

local bridge = require "moongate.ffi"

local ffi = bridge.ffi
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local floor = math.floor

local M = {}

--- Which type of the rules language asks a list of a kind. Lists of redirects are for no rule.
---@type table<string, string>
M.TYPES = { ip = "IP", hostname = "String", asn = "Integer" }

local bytes_of, words_of = ffi.typeof("const uint8_t *"), ffi.typeof("const uint32_t *")
local COUNT_DIGITS = 8 -- of a count, in front of the packed bytes

-- ---- packing: control plane ----
--
-- Values are words of 32 bits, the highest first, each in the machine's own order: one for IPv4 and numbers, four for IPv6.

local NIBBLE = ffi.new("uint8_t[256]") -- value of a hex digit, 255 for what is none
ffi.fill(NIBBLE, 256, 255)
for digit = 0, 15 do NIBBLE[byte(format("%x", digit))] = digit end

-- Turns hex digits into `count` words of 32 bits; false when they are none.
local function unhex(into, from, count)
  for i = 0, count - 1 do
    local word = 0
    for k = 8 * i, 8 * i + 7 do
      local nibble = NIBBLE[from[k]]
      if nibble == 255 then return false end
      word = word * 16 + nibble
    end
    into[i] = word
  end
  return true
end

-- Compares two values of `width` words.
local function compare(a, b, width)
  for i = 0, width - 1 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

-- Adds the range behind those that are there; widens the last one where they share values. False when the range begins before
-- the last one.
local function add_range(ranges, range)
  local width, place = ranges.width, ranges.data + ranges.count * 2 * ranges.width
  if ranges.count > 0 then
    local last = place - 2 * width
    if compare(range, last, width) < 0 then return false end
    if compare(range, last + width, width) <= 0 then
      if compare(range + width, last + width, width) > 0 then ffi.copy(last + width, range + width, 4 * width) end
      return true
    end
  end
  ffi.copy(place, range, 8 * width)
  ranges.count = ranges.count + 1
  return true
end

local function ranges_of(width, room)
  local block = ffi.new("uint32_t[?]", room / 8 + 2 * width)
  return { width = width, count = 0, block = block, data = ffi.cast("uint32_t *", block) }
end

-- Short and long ranges of a text; nil and the word that is wrong, or nil and nothing when the words are in disorder.
local function read_ranges(text)
  local short, long = ranges_of(1, #text), ranges_of(4, #text)
  local from, block, at = ffi.cast(bytes_of, text), ffi.new("uint32_t[8]"), 0
  local range = ffi.cast("uint32_t *", block)
  while at < #text do
    local stop = (find(text, " ", at + 1, true) or #text + 1) - 1
    local ranges = stop - at == 16 and short or stop - at == 64 and long
    if not ranges or not unhex(range, from + at, 2 * ranges.width) then return nil, sub(text, at + 1, stop) end
    if not add_range(ranges, range) then return nil end
    at = stop + 1
  end
  return short, long
end

local function split(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

local PACK = {}

function PACK.ip(text)
  local short, long = read_ranges(text)
  if not short and not long then
    local words = split(text)
    table.sort(words)
    short, long = read_ranges(table.concat(words, " "))
  end
  if not short then return nil, ("%q is no range"):format(long) end
  return ("%08x"):format(short.count) .. ffi.string(short.data, short.count * 8) .. ffi.string(long.data, long.count * 32)
end

PACK.asn = PACK.ip

local function name_of(word)
  return (word:gsub("!$", ""))
end

-- Where each word begins, and behind them where the last one ends; then the words. The mark is no part of a name.
function PACK.hostname(text)
  local words, before, at = split(text), "", 0
  local begins = ffi.new("uint32_t[?]", #words + 1)
  for _, word in ipairs(words) do
    local name = name_of(word)
    if name < before then
      table.sort(words, function(a, b) return name_of(a) < name_of(b) end)
      break
    end
    before = name
  end
  for i, word in ipairs(words) do
    begins[i - 1], at = at, at + #word
  end
  begins[#words] = at
  return ("%08x"):format(#words) .. ffi.string(begins, (#words + 1) * 4) .. table.concat(words)
end

--- Packs the words of a list.
---@param kind string  "ip", "hostname" or "asn"
---@param text string
---@return string|nil bytes
---@return string|nil message
function M.pack(kind, text)
  local pack = PACK[kind]
  if not pack then return nil, ("a list of the kind %q cannot be asked"):format(tostring(kind)) end
  return pack(text)
end

-- ---- asking: workers ----

-- The count in front of packed bytes, and where the words of 32 bits begin.
local function head_of(packed)
  return tonumber(sub(packed, 1, COUNT_DIGITS), 16), ffi.cast(words_of, ffi.cast(bytes_of, packed) + COUNT_DIGITS)
end

-- Whether a number lies in one of the short ranges.
local function search_short(ranges, count, value)
  local low, high = 0, count - 1 -- the last range that does not begin after the value
  while low <= high do
    local middle = floor((low + high) / 2)
    if value < ranges[2 * middle] then
      high = middle - 1
    else
      low = middle + 1
    end
  end
  return high >= 0 and value <= ranges[2 * high + 1]
end

local function search_long(ranges, count, value)
  local low, high = 0, count - 1
  while low <= high do
    local middle = floor((low + high) / 2)
    if compare(value, ranges + 8 * middle, 4) < 0 then
      high = middle - 1
    else
      low = middle + 1
    end
  end
  return high >= 0 and compare(value, ranges + 8 * high + 4, 4) <= 0
end

local NEW = {}

function NEW.ip(packed)
  local count, short = head_of(packed)
  local long, long_count = short + 2 * count, (#packed - COUNT_DIGITS - 8 * count) / 32
  local value_at = ffi.new("uint32_t[4]")
  return function(value)
    if #value == 4 then
      local a, b, c, d = byte(value, 1, 4)
      return search_short(short, count, ((a * 256 + b) * 256 + c) * 256 + d)
    end
    for i = 0, 3 do
      local a, b, c, d = byte(value, 4 * i + 1, 4 * i + 4)
      value_at[i] = ((a * 256 + b) * 256 + c) * 256 + d
    end
    return search_long(long, long_count, value_at)
  end
end

function NEW.asn(packed)
  local count, numbers = head_of(packed)
  return function(value)
    return type(value) == "number" and search_short(numbers, count, value)
  end
end

local MARK = byte("!")

-- Compares a name with the word from `from` up to `stop`, in the order of bytes.
local function compare_word(text, from, stop, name, length)
  local room = stop - from
  for i = 0, (length < room and length or room) - 1 do
    local a, b = name[i], text[from + i]
    if a ~= b then return a < b and -1 or 1 end
  end
  return length < room and -1 or length > room and 1 or 0
end

-- Looks a name up among the words, whose marks do not count. "word", "marked", or nil.
local function look_up(words, name)
  local at, begins, text = ffi.cast(bytes_of, name), words.begins, words.text
  local low, high = 0, words.count - 1
  while low <= high do
    local middle = floor((low + high) / 2)
    local from, stop = begins[middle], begins[middle + 1]
    local is_marked = text[stop - 1] == MARK
    local order = compare_word(text, from, is_marked and stop - 1 or stop, at, #name)
    if order == 0 then return is_marked and "marked" or "word" end
    if order < 0 then high = middle - 1 else low = middle + 1 end
  end
end

function NEW.hostname(packed)
  local count, begins = head_of(packed)
  local words = { count = count, begins = begins, text = ffi.cast(bytes_of, begins + count + 1) }
  return function(value)
    if look_up(words, value) == "word" or look_up(words, "*." .. value) == "marked" then return true end
    local dot = find(value, ".", 1, true)
    while dot do
      if look_up(words, "*" .. sub(value, dot)) then return true end
      dot = find(value, ".", dot + 1, true)
    end
    return false
  end
end

-- Whose bytes a test points into. A test that is let go lets its bytes go.
local bytes_behind = setmetatable({}, { __mode = "k" })

--- Makes the test of a packed list. The bytes are kept as long as the test is.
---@param kind string  "ip", "hostname" or "asn"
---@param packed string  what pack() gave
---@return fun(value: any): boolean
function M.new(kind, packed)
  local contains = NEW[kind](packed)
  bytes_behind[contains] = packed
  return contains
end

return M
