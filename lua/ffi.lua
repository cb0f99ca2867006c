-- moongate.ffi: the only declaration of our own C in Lua, and the handshake that both sides are of one version.
--
-- Every module that reaches down into the core requires this one. The declarations (moongate.cdef) are gathered at build time
-- from the C headers, so the two sides are one text; the number below is compared all the same, because a source tree may be
-- put in place of the embedded modules. Declares nothing else and keeps no state.

local ffi = require "ffi"

-- What this side was written against: MOON_FFI_ABI of core/script/bridge.h.
local ABI = 19

local declarations = require "moongate.cdef"
ffi.cdef(declarations)

-- The functions come as a table of pointers and not by name: they are those of the core that made this state, whatever else the
-- process has loaded. As values of a Lua table they cost nothing to look up and are called as directly as named ones. Constants
-- of enums need no symbol: LuaJIT knows them.
local function functions_of(table_at)
  local bridge = ffi.cast("const struct moon_bridge *", table_at)
  local functions = {}
  for name in declarations:gmatch("%(%*(moon_ffi_[%w_]+)%)") do functions[name] = bridge[name] end
  return setmetatable(functions, { __index = ffi.C })
end

local found, table_at = pcall(require, "moongate.bridge") -- put there by core/script/vm.c
if not found then
  error("the C core is not part of this program", 0)
end
local C = functions_of(table_at)
local number = C.moon_ffi_abi() -- the first member of the table, in every version
if number ~= ABI then
  error(("the Lua modules were written for version %d of the C core's interface, this binary has %d"):format(ABI, number), 0)
end

---@class moongate.ffi
---@field C table<string, ffi.cdata*>  functions of our core, and its constants
---@field ffi ffilib        LuaJIT's library
return { C = C, ffi = ffi }
