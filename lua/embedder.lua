-- moongate.embedder: fields of rules whose values are functions of the program that the gateway is part of
-- (core/script/embedder.h).
--
-- The control state checks expressions against their names and types, each worker's state asks for their values: through
-- FFI, so that a rule with such a field is compiled as any other. phases.lua declares them before anything is checked;
-- check() is asked when the program adds one. Calls nothing of the program itself.

local bridge = require "moongate.ffi"
local fields = require "moongate.fields"
local registry = require "moongate.registry"

local C, ffi = bridge.C, bridge.ffi

local M = {}

-- enum moon_embedder_type → how the rules language calls it, and what reads the value
local TYPES = {
  [0] = { name = "Boolean", read = function(value) return value.boolean end },
  [1] = { name = "Integer", read = function(value) return tonumber(value.integer) end },
  [2] = { name = "String", read = function(value) return ffi.string(value.text.data, value.text.len) end },
  [3] = { name = "IP", read = function(value) return ffi.string(value.text.data, value.text.len) end },
}

local function accessor(embedder, index, kind, facts)
  local value, read = ffi.new("struct moon_embedder_value"), kind.read
  return function()
    if C.moon_ffi_embedder_value(embedder, index, facts, value) then return read(value) end
    return nil
  end
end

--- Adds the program's fields to those of the rules language.
---@param embedder ffi.cdata*     const struct moon_embedder *
---@param facts ffi.cdata*|nil    const struct moon_facts * of this thread; nil where no request comes by
function M.declare(embedder, facts)
  local list, name = {}, ffi.new("struct moon_str[1]")
  while true do
    local kind = TYPES[C.moon_ffi_embedder_field(embedder, #list, name)]
    if not kind then break end
    list[#list + 1] = {
      name = ffi.string(name[0].data, name[0].len), type = kind.name, may_miss = true, help = "",
      access = facts and accessor(embedder, #list, kind, facts) or nil,
    }
  end
  fields.extend("embedder", list, {})
end

--- Whether a field may have this name.
---@param name string
---@return true|nil
---@return string|nil reason
function M.check(name)
  local ok, reason = pcall(registry.check_field_name, name)
  if not ok then return nil, (tostring(reason):gsub("^moongate%.field: ", "")) end
  if fields.schema().fields[name] then return nil, ("there is a field %q already"):format(name) end
  return true
end

return M
