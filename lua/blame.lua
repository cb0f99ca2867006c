-- moongate.blame: errors of policy files that name the file and the line.
--
-- A mistake is noticed somewhere in our modules, but it is the policy's: the message gets the place of the policy's own
-- line. Where that is not known (the last call of a function leaves no trace in Lua), located() names the function.
-- Used by everything that policy files call.

local getinfo = debug.getinfo
local find, sub = string.find, string.sub -- not the methods, which count their steps in a state of policies
local error, tostring, type = error, tostring, type

local M = {}

-- Chunks of ours, by the names that core/script/vm.c gives them.
local function is_ours(source)
  return sub(source, 1, 5) == "@lua/" or sub(source, 1, 7) == "@rules/" or sub(source, 1, 1) == "="
end

--- Raises an error at the policy's line.
---@param message string
function M.raise(message)
  local level = 2
  local info = getinfo(level, "Sl")
  while info do
    if info.currentline > 0 and not is_ours(info.source) then
      error(("%s:%d: %s"):format(info.short_src, info.currentline, message), 0)
    end
    level = level + 1
    info = getinfo(level, "Sl")
  end
  error(message, 0)
end

--- A message that begins with a place, this one when it has none.
---@param err any  what was raised
---@param place string  "FILE:LINE" or "FILE"
---@return string
function M.located(err, place)
  if type(err) ~= "string" then err = ("(error value is a %s: %s)"):format(type(err), tostring(err)) end
  if find(err, "^[^\n:]*:%d+: ") then return err end
  return place .. ": " .. err
end

--- Where a function of a policy begins.
---@param f function
---@return string "FILE:LINE"
function M.place_of(f)
  local info = getinfo(f, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

return M
