-- process.lua — starts and stops the programs of a benchmark, finds free ports, waits for conditions with a deadline.
--
-- Every program started is written into WORK/processes, so that bench/run can stop what is left when a run is cut
-- off. A program is known by its process id and the time of its start; nothing is ever stopped by name.

local ffi = require "ffi"

ffi.cdef [[
int kill(int, int);
int usleep(unsigned);
int socket(int, int, int);
int bind(int, const void *, unsigned);
int connect(int, const void *, unsigned);
int getsockname(int, void *, unsigned *);
int close(int);
struct bench_sockaddr { uint16_t family; uint8_t port[2]; uint8_t address[4]; uint8_t zero[8]; };
]]

local C = ffi.C
local M = {}

local AF_INET, SOCK_STREAM, TERM, KILL = 2, 1, 15, 9

---@param seconds number
function M.sleep(seconds) C.usleep(seconds * 1e6) end

---@param text string
---@return string  as one word for the shell
function M.quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

--- Runs a command and returns what it printed; an error when it fails.
---@param command string
---@return string
function M.output(command)
  local pipe = assert(io.popen(command .. "; echo \" $?\"", "r"))
  local text = pipe:read("*a")
  pipe:close()
  local body, code = text:match("^(.*) (%d+)\n$")
  if code ~= "0" then error(("this failed (exit code %s): %s\n%s"):format(code, command, body), 0) end
  return body
end

--- Waits until `ready` returns something true, and returns that.
---@param what string  for the error
---@param seconds number
---@param ready fun(): any
function M.wait(what, seconds, ready)
  for _ = 1, seconds * 50 do
    local value = ready()
    if value then return value end
    M.sleep(0.02)
  end
  error(("%s: not within %d seconds"):format(what, seconds), 0)
end

local function address(port)
  local sockaddr = ffi.new("struct bench_sockaddr")
  sockaddr.family = AF_INET
  sockaddr.port[0], sockaddr.port[1] = math.floor(port / 256), port % 256
  sockaddr.address[0], sockaddr.address[3] = 127, 1
  return sockaddr
end

--- A port of 127.0.0.1 that nobody listens on now.
---@return integer
function M.free_port()
  local fd = C.socket(AF_INET, SOCK_STREAM, 0)
  local sockaddr, size = address(0), ffi.new("unsigned[1]", 16)
  assert(C.bind(fd, sockaddr, 16) == 0 and C.getsockname(fd, sockaddr, size) == 0)
  C.close(fd)
  return sockaddr.port[0] * 256 + sockaddr.port[1]
end

---@param port integer
---@return boolean
function M.listens(port)
  local fd = C.socket(AF_INET, SOCK_STREAM, 0)
  local rc = C.connect(fd, address(port), 16)
  C.close(fd)
  return rc == 0
end

function M.read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- When a process began, in ticks since the machine did: with the id, the name of one process only.
local function start_time(pid)
  local rest = M.read(("/proc/%d/stat"):format(pid)):match("%) (.*)$") or ""
  local index = 0
  for field in rest:gmatch("%S+") do
    index = index + 1
    if index == 20 then return field end
  end
  return "0"
end

--- Starts a program in the background.
---@param work string     directory of this run
---@param command string  for the shell, without redirections
---@param log string      path that its output is appended to
---@return integer pid
function M.start(work, command, log)
  local line = ("setsid nohup %s </dev/null >>%s 2>&1 & echo $!"):format(command, M.quote(log))
  local pipe = assert(io.popen(line, "r"))
  local pid = tonumber(pipe:read("*l"))
  pipe:close()
  local file = assert(io.open(work .. "/processes", "a"))
  file:write(("%d %s\n"):format(pid, start_time(pid)))
  file:close()
  return pid
end

---@param pid integer
---@return boolean
function M.runs(pid)
  local state = M.read(("/proc/%d/stat"):format(pid)):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

--- Ends a program: asks, and after ten seconds insists.
---@param pid integer
function M.stop(pid)
  if not M.runs(pid) then return end
  C.kill(pid, TERM)
  for _ = 1, 500 do
    if not M.runs(pid) then return end
    M.sleep(0.02)
  end
  C.kill(pid, KILL)
end

return M
