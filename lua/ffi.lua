-- moongate.ffi: the only declaration of our own C in Lua, and the handshake that both sides are of one version.
--
-- Every module that reaches down into the core requires this one. The declarations (moongate.cdef) are gathered at build time
-- from the C headers, so the two sides are one text; the number below is compared all the same, because a source tree may be
-- put in place of the embedded modules. Declares nothing else and keeps no state.

local ffi = require "ffi"

-- What this side was written against: MOON_FFI_ABI of core/script/bridge.h.
local ABI = 6

ffi.cdef(require "moongate.cdef")

local found, number = pcall(function() return ffi.C.moon_ffi_abi() end)
if not found then
  error("the C core is not part of this program", 0)
end
if number ~= ABI then
  error(("the Lua modules were written for version %d of the C core's interface, this binary has %d"):format(ABI, number), 0)
end

---@class moongate.ffi
---@field C ffi.namespace*  functions of our core
---@field ffi ffilib        LuaJIT's library
return { C = ffi.C, ffi = ffi }
