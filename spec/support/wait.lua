-- Waiting in flow specs: for a condition, with a deadline, never for luck. Times are seconds on the monotonic clock.

local ffi = require "ffi"

local registry = debug.getregistry()
if not registry["moongate.spec.wait"] then
  ffi.cdef [[
    struct moon_spec_timespec { long seconds; long nanoseconds; };
    int clock_gettime(int clock, struct moon_spec_timespec *now);
    int usleep(unsigned microseconds);
  ]]
  registry["moongate.spec.wait"] = true
end

local M = {}

local stamp = ffi.new("struct moon_spec_timespec[1]")

---@return number seconds
function M.now()
  ffi.C.clock_gettime(1, stamp)
  return tonumber(stamp[0].seconds) + tonumber(stamp[0].nanoseconds) / 1e9
end

--- Passes some time; only for what is itself about time, such as a client that stalls.
---@param seconds number
function M.pause(seconds)
  local last = M.now() + seconds
  while M.now() < last do ffi.C.usleep(math.max(1, math.min(100000, (last - M.now()) * 1e6))) end
end

--- Asks until the answer is true, then gives it back; an error that names what was waited for when the deadline passes.
---@param what string
---@param ask fun(): any
---@param seconds number|nil default 10
---@return any
function M.until_true(what, ask, seconds)
  local last = M.now() + (seconds or 10)
  while true do
    local answer = ask()
    if answer then return answer end
    if M.now() > last then error(("waited %d seconds for %s"):format(seconds or 10, what), 2) end
    ffi.C.usleep(5000)
  end
end

return M
