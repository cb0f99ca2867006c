-- moongate.rules.types: the types of the language and how their values look at run time.
--
-- A type is an interned table: two types are equal exactly when they are the same table, so the checker compares by
-- identity. Everybody in rules/ reads this file; it reads nothing and keeps no state besides the interning tables.
--
-- Run-time values (what an accessor returns, what a function receives):
--   Boolean   true or false
--   Integer   a Lua number while -2^53 <= n <= 2^53, beyond that the eight-byte form of integer.lua; one form per value
--   String    a Lua string, any bytes ("Bytes" is another name for it)
--   IP        a Lua string of 4 or 16 bytes in network order
--   Array<T>  a table with elements 1..n and their number in the field n; nothing beyond n is looked at
--   Map<T>    a table from string to value
--   missing   nil, in every type

local M = {}

---@class moongate.rules.Type
---@field kind string   Boolean, Integer, String, IP, Array or Map
---@field name string   as schemas write it: "Map<Array<String>>"
---@field label string  as messages write it: "Map<Array<Bytes>>"
---@field of moongate.rules.Type|nil  element type of Array and Map

local function scalar(name, label)
  return { kind = name, name = name, label = label }
end

M.boolean = scalar("Boolean", "Bool")
M.integer = scalar("Integer", "Int")
M.string = scalar("String", "Bytes")
M.ip = scalar("IP", "Ip")

local SCALARS = {
  Boolean = M.boolean,
  Integer = M.integer,
  String = M.string,
  Bytes = M.string,
  IP = M.ip,
}

-- Deeper declarations than this are a mistake of the host, and a bound keeps the recursion below harmless.
local MAX_DEPTH = 8

local function interner(kind)
  local known = {}
  return function(of)
    local found = known[of]
    if not found then
      found = {
        kind = kind,
        of = of,
        name = kind .. "<" .. of.name .. ">",
        label = kind .. "<" .. of.label .. ">",
      }
      known[of] = found
    end
    return found
  end
end

--- The type "array of `of`".
---@type fun(of: moongate.rules.Type): moongate.rules.Type
M.array = interner("Array")

--- The type "map from String to `of`".
---@type fun(of: moongate.rules.Type): moongate.rules.Type
M.map = interner("Map")

M.booleans = M.array(M.boolean)

local function parse(text, depth)
  local known = SCALARS[text]
  if known then
    return known
  end
  local kind, inner = text:match("^(%a+)<(.+)>$")
  if depth >= MAX_DEPTH or (kind ~= "Array" and kind ~= "Map") then
    return nil
  end
  local of = parse(inner, depth + 1)
  if not of then
    return nil
  end
  return kind == "Array" and M.array(of) or M.map(of)
end

--- Reads a type as schemas write it.
---@param text string  e.g. "Map<Array<String>>"
---@return moongate.rules.Type|nil
---@return string|nil err
function M.parse(text)
  if type(text) ~= "string" then
    return nil, "a type must be a string"
  end
  local found = parse(text, 1)
  if not found then
    return nil, ("unknown type %q"):format(text)
  end
  return found
end

return M
