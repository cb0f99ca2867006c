-- moongate.rules.unicode: what regular expressions ask of Unicode after `(?u)`: properties, words, equality without
-- case.
--
-- The tables are large and rarely needed, so they are loaded when first asked for, and a set is unpacked once. Names
-- are compared loosely (case, spaces, - and _ do not count), as the Rust regex family does. Sets are those of
-- codeset.lua.

local codeset = require "moongate.rules.codeset"

local byte, gmatch, gsub, lower, match = string.byte, string.gmatch, string.gsub, string.lower, string.match
local tonumber = tonumber

local M = {}

local HIGHEST = 0x10FFFF

local tables
local unpacked = {} -- packed text → set

local function data()
  tables = tables or require "moongate.rules.unicode_tables"
  return tables
end

local function unpack_set(text)
  local set = unpacked[text]
  if not set then
    set = {}
    local at = 0
    for gap, length in gmatch(text, "(%w+),?(%w*)") do
      local first = at + tonumber(gap, 36)
      at = first + (length == "" and 1 or tonumber(length, 36) + 1)
      set[#set + 1] = { first, at - 1 }
    end
    unpacked[text] = set
  end
  return set
end

-- A category of two letters, or all that begin with one.
local function category(name)
  local categories = data().categories
  if categories[name] then
    return unpack_set(categories[name])
  end
  local union = {}
  for key, text in pairs(categories) do
    local fits = #name == 1 and byte(key) == byte(name) or name == "LC" and match(key, "^L[ltu]$")
      or name == "Cn" -- what no category names is not assigned
    if fits then
      union = codeset.union(union, unpack_set(text))
    end
  end
  if name == "Cn" then
    return codeset.negate(union, HIGHEST)
  elseif name == "C" then
    return codeset.union(union, category "Cn")
  end
  return union
end

local function squash(name)
  return (gsub(lower(name), "[^a-z0-9]", ""))
end

local function find_category(name)
  local found = data().category_aliases[name]
  return found and category(found)
end

local function find_script(name)
  local found = data().scripts[name] or data().scripts[data().script_aliases[name]]
  return found and unpack_set(found)
end

local SPECIAL = {
  any = function() return { { 0, HIGHEST } } end,
  ascii = function() return { { 0, 127 } } end,
  assigned = function() return codeset.negate(category "Cn", HIGHEST) end,
}

local function find(name)
  local special, properties = SPECIAL[name], data().properties
  if special then
    return special()
  end
  return find_category(name) or find_script(name) or properties[name] and unpack_set(properties[name])
end

--- The set of a property: "L", "Letter", "Greek", "Script=Greek", "gc:Lu", "Alphabetic", "Any".
---@param name string
---@return integer[][]|nil set
function M.property(name)
  local kind, value = match(name, "^([^=:]+)[=:](.*)$")
  if kind then
    kind, value = squash(kind), squash(value)
    if kind == "script" or kind == "sc" then
      return find_script(value)
    elseif kind == "generalcategory" or kind == "gc" then
      return find_category(value)
    end
    return nil
  end
  local plain = squash(name)
  return find(plain) or match(plain, "^is.") and find(plain:sub(3)) or nil
end

--- What \w, \d and \s mean with Unicode.
---@param letter string  "w", "d" or "s"
---@return integer[][] set
function M.class(letter)
  if letter == "d" then
    return category "Nd"
  end
  return unpack_set(data().properties[letter == "w" and "xposixword" or "whitespace"])
end

local equals -- code point → all that equal it without case

local function equal_codes()
  if not equals then
    equals = {}
    for _, run in ipairs(data().folds) do
      local first, count, step, distance = run[1], run[2], run[3], run[4]
      for i = 0, count - 1 do
        local code = first + i * step
        local target = code + distance
        local group = equals[target] or { target }
        group[#group + 1] = code
        equals[target], equals[code] = group, group
      end
    end
  end
  return equals
end

--- A set with everything that equals one of its members when case is ignored.
---@param set integer[][]
---@return integer[][]
function M.fold(set)
  local extra = {}
  for code, group in pairs(equal_codes()) do
    if codeset.has(set, code) then
      for _, other in ipairs(group) do
        extra[#extra + 1] = { other, other }
      end
    end
  end
  return #extra > 0 and codeset.union(set, extra) or set
end

return M
