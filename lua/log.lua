-- moongate.log: log lines from Lua, through the channel of this thread.
--
-- The control plane attaches its channel at start, each worker its own. Lines go into a bounded ring and are written by another
-- thread (base/log.h), so logging never waits. Before a channel is attached (the command line) lines go to stderr as plain
-- text. Escaping is done below; nothing here may be called with secrets.

local M = {}

---@alias moongate.log.Level "error"|"warn"|"info"|"debug"

local LEVELS = { error = 0, warn = 1, info = 2, debug = 3 }

local bridge, channel -- lua/ffi.lua's table and a struct moon_log_channel *, once attached

--- Sends this state's lines to a channel from now on.
---@param ffi_bridge moongate.ffi
---@param target ffi.cdata*  struct moon_log_channel *, valid as long as the state
function M.attach(ffi_bridge, target)
  bridge, channel = ffi_bridge, target
end

--- Writes one line.
---@param level moongate.log.Level
---@param subject string  what part of the gateway speaks; a constant word
---@param what string     what happened; a constant sentence
---@param detail string|nil
function M.line(level, subject, what, detail)
  local number = LEVELS[level] or error(("%q is no log level"):format(tostring(level)), 2)
  if channel then
    bridge.C.moon_ffi_log(channel, number, subject, what, detail, detail and #detail or 0)
  elseif number <= LEVELS.warn then
    io.stderr:write("moongate: ", subject, ": ", what, detail and ": " .. detail or "", "\n")
  end
end

--- A function for modules that are handed their log.
---@param subject string
---@return fun(level: moongate.log.Level, text: string)
function M.writer(subject)
  return function(level, text)
    M.line(level, subject, text)
  end
end

return M
