-- moongate.values: values of the rules language as policy files write them, and back.
--
-- Policies use plain Lua: addresses are texts, arrays are lists. The rules engine uses bytes and counted lists
-- (rules/types.lua). What a policy returns is checked here against the type that it declared, before any rule sees it.
-- Pure.

local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"

local type = type

local M = {}

local TO_RULES, FROM_RULES = {}, {}

local function expected(kind, value)
  return nil, ("expected a value of type %s, got %s"):format(kind.name, value == nil and "nil" or "a " .. type(value))
end

function TO_RULES.Boolean(kind, value)
  if type(value) ~= "boolean" then return expected(kind, value) end
  return value
end

function TO_RULES.String(kind, value)
  if type(value) ~= "string" then return expected(kind, value) end
  return value
end

function TO_RULES.Integer(kind, value)
  if type(value) ~= "number" then return expected(kind, value) end
  if not integer.is_integer(value) then return nil, ("%s is no integer"):format(value) end
  return value + 0
end

function TO_RULES.IP(kind, value)
  if type(value) ~= "string" then return expected(kind, value) end
  local bytes = ip.parse(value)
  if not bytes then return nil, ("%q is no IP address"):format(value) end
  return bytes
end

function TO_RULES.Array(kind, value)
  if type(value) ~= "table" then return expected(kind, value) end
  local out = { n = #value }
  for i = 1, #value do
    local converted, message = M.to_rules(kind.of, value[i])
    if message then return nil, ("element %d: %s"):format(i, message) end
    out[i] = converted
  end
  return out
end

function TO_RULES.Map(kind, value)
  if type(value) ~= "table" then return expected(kind, value) end
  local out = {}
  for key, element in pairs(value) do
    if type(key) ~= "string" then return nil, "the keys of a map are texts" end
    local converted, message = M.to_rules(kind.of, element)
    if message then return nil, ("%q: %s"):format(key, message) end
    out[key] = converted
  end
  return out
end

--- What a policy returned as a value for rules.
---@param kind moongate.rules.Type
---@param value any
---@return any value
---@return string|nil message  when it does not fit
function M.to_rules(kind, value)
  return TO_RULES[kind.kind](kind, value)
end

function FROM_RULES.IP(_, value)
  return ip.format(value)
end

function FROM_RULES.Array(kind, value)
  local out = {}
  for i = 1, value.n do out[i] = M.from_rules(kind.of, value[i]) end
  return out
end

function FROM_RULES.Map(kind, value)
  local out = {}
  for key, element in pairs(value) do out[key] = M.from_rules(kind.of, element) end
  return out
end

--- A value of a rule as a policy reads it.
---@param kind moongate.rules.Type
---@param value any
---@return any
function M.from_rules(kind, value)
  local convert = FROM_RULES[kind.kind]
  if convert and value ~= nil then return convert(kind, value) end
  return value
end

return M
