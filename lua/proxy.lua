-- moongate.proxy: objects whose inside policies cannot see: userdata without memory of their own, with a Lua table
-- behind them.
--
-- The table is the userdata's environment, which only the debug library can reach, and policies have none. So there is
-- nothing to walk through with next or rawget, no weak table to keep, and an object is collected with its state
-- whatever that holds. Used by request.lua, response.lua and headers.lua.

local getfenv, setfenv = debug.getfenv, debug.setfenv
local newproxy = newproxy

local M = {}

--- A class of objects. The metatable is copied and cannot be had from an object.
---@param meta table
---@return userdata class
function M.class(meta)
  local class = newproxy(true)
  local own = getmetatable(class)
  for name, value in pairs(meta) do own[name] = value end
  own.__metatable = false
  return class
end

--- An object. Its state remembers its class in `class`.
---@param class userdata
---@param state table
---@return userdata
function M.new(class, state)
  local object = newproxy(class)
  state.class = class
  setfenv(object, state)
  return object
end

--- The state of an object of this class; nil for everything else.
---@param class userdata
---@param object any
---@return table|nil
function M.state(class, object)
  local state = getfenv(object)
  if state and state.class == class then return state end
end

return M
