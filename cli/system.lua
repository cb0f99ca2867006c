--- moongate.cli.system — the few things about the process's surroundings that Lua cannot say: terminals and waiting.
--
-- Handed to commands as part of their host, so that specs can stand in for it.

local ffi = require "ffi"

ffi.cdef [[
int isatty(int fd);
int poll(void *fds, unsigned long count, int timeout);
]]

local M = {}

local DESCRIPTORS = { stdin = 0, stdout = 1, stderr = 2 }

--- Is this stream a terminal?
---@param name string `stdin`, `stdout` or `stderr`
---@return boolean
function M.is_terminal(name)
  return ffi.C.isatty(DESCRIPTORS[name]) == 1
end

--- Waits.
---@param seconds number
function M.sleep(seconds)
  ffi.C.poll(nil, 0, math.ceil(seconds * 1000))
end

return M
