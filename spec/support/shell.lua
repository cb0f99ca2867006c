-- Processes and directories for flow specs. Programs are started without a shell (posix_spawn), are children of the spec,
-- and leave their id in $MOONGATE_SPEC_DIR/pids, where spec/run ends what a crashed spec left behind.

local ffi = require "ffi"
local wait = require "spec.support.wait"

local registry = debug.getregistry()
if not registry["moongate.spec.shell"] then
  ffi.cdef [[
    typedef void (*moon_spec_signal)(int);
    moon_spec_signal signal(int number, moon_spec_signal handler);
    int kill(int pid, int number);
    int waitpid(int pid, int *status, int options);
    int posix_spawnp(int *pid, const char *file, const void *actions, const void *attributes, const char *const argv[],
                     char *const environment[]);
    int posix_spawn_file_actions_init(void *actions);
    int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned mode);
    int posix_spawn_file_actions_destroy(void *actions);
    int posix_spawnattr_init(void *attributes);
    int posix_spawnattr_setflags(void *attributes, short flags);
    int posix_spawnattr_setsigdefault(void *attributes, const void *set);
    int posix_spawnattr_destroy(void *attributes);
    int sigemptyset(void *set);
    int sigaddset(void *set, int number);
    char *mkdtemp(char *template);
    char *strerror(int number);
    extern char **environ;
  ]]
  registry["moongate.spec.shell"] = true
  ffi.C.signal(13, ffi.cast("moon_spec_signal", 1)) -- SIGPIPE: a peer that hangs up is an error to look at, not our end
end

local O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC = 0, 1, 64, 512
local SPAWN_SETSIGDEF = 4
local WNOHANG = 1

local M = { TERM = 15, INT = 2, KILL = 9, HUP = 1, STOP = 19, CONT = 18 }

---@param path string
---@return string|nil
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

---@param path string
---@param text string
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

---@param text string
---@return string for /bin/sh
function M.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- A new directory of its own, under $MOONGATE_SPEC_DIR when there is one.
---@param name string
---@return string path
function M.directory(name)
  local template = ("%s/%s.XXXXXX"):format(os.getenv("MOONGATE_SPEC_DIR") or os.getenv("TMPDIR") or "/tmp", name)
  local buffer = ffi.new("char[?]", #template + 1, template)
  assert(ffi.C.mkdtemp(buffer) ~= nil, "cannot make a directory " .. template)
  return ffi.string(buffer)
end

---@param path string
function M.remove_directory(path)
  assert(path:find("^/.+/.+"), "refusing to remove " .. path)
  os.execute("rm -rf " .. M.quote(path))
end

local function pid_file(pid)
  local directory = os.getenv("MOONGATE_SPEC_DIR")
  return directory and ("%s/pids/%d"):format(directory, pid)
end

local function remember(pid)
  local path = pid_file(pid)
  if not path then return end
  local file = io.open(path, "w")
  if not file then
    os.execute("mkdir -p " .. M.quote(os.getenv("MOONGATE_SPEC_DIR") .. "/pids"))
    file = assert(io.open(path, "w"))
  end
  file:close()
end

local function forget(pid)
  local path = pid_file(pid)
  if path then os.remove(path) end
end

--- Starts a program.
---@param argv string[]
---@param files { stdin: string|nil, stdout: string|nil, stderr: string|nil }|nil paths; default /dev/null
---@return integer pid
function M.spawn(argv, files)
  files = files or {}
  local actions, attributes, signals = ffi.new("char[512]"), ffi.new("char[1024]"), ffi.new("char[256]")
  ffi.C.posix_spawn_file_actions_init(actions)
  ffi.C.posix_spawn_file_actions_addopen(actions, 0, files.stdin or "/dev/null", O_RDONLY, 0)
  for fd, path in ipairs { files.stdout or "/dev/null", files.stderr or "/dev/null" } do
    ffi.C.posix_spawn_file_actions_addopen(actions, fd, path, O_WRONLY + O_CREAT + O_TRUNC, 384)
  end
  ffi.C.posix_spawnattr_init(attributes)
  ffi.C.sigemptyset(signals)
  ffi.C.sigaddset(signals, 13)
  ffi.C.posix_spawnattr_setsigdefault(attributes, signals)
  ffi.C.posix_spawnattr_setflags(attributes, SPAWN_SETSIGDEF)
  local vector, pid = ffi.new("const char *[?]", #argv + 1), ffi.new("int[1]")
  for index, word in ipairs(argv) do vector[index - 1] = word end
  vector[#argv] = nil
  local rc = ffi.C.posix_spawnp(pid, argv[1], actions, attributes, vector, ffi.C.environ)
  ffi.C.posix_spawn_file_actions_destroy(actions)
  ffi.C.posix_spawnattr_destroy(attributes)
  assert(rc == 0, ("cannot start %s: %s"):format(argv[1], ffi.string(ffi.C.strerror(rc))))
  remember(pid[0])
  return pid[0]
end

local function decode_status(status)
  local number = status % 128
  if number == 0 then return math.floor(status / 256) % 256 end
  return 128 + number
end

--- Has the program ended? Its exit status (128 + signal when one ended it), or nil while it runs.
---@param pid integer
---@return integer|nil
function M.ended(pid)
  local status = ffi.new("int[1]")
  if ffi.C.waitpid(pid, status, WNOHANG) ~= pid then return nil end
  forget(pid)
  return decode_status(status[0])
end

--- Waits for the end of a program that was started here.
---@param pid integer
---@param seconds number|nil default 20
---@return integer status
function M.wait(pid, seconds)
  return wait.until_true(("the end of process %d"):format(pid), function() return M.ended(pid) end, seconds or 20)
end

---@param pid integer
---@param number integer a signal
function M.kill(pid, number) ffi.C.kill(pid, number) end

--- Runs a program to its end.
---@param argv string[]
---@param options { stdin: string|nil, seconds: number|nil }|nil `stdin` is text
---@return { status: integer, stdout: string, stderr: string }
function M.run(argv, options)
  options = options or {}
  local directory = M.directory("run")
  local paths = { stdout = directory .. "/stdout", stderr = directory .. "/stderr" }
  if options.stdin then
    paths.stdin = directory .. "/stdin"
    M.write(paths.stdin, options.stdin)
  end
  local pid = M.spawn(argv, paths)
  local ok, status = pcall(M.wait, pid, options.seconds or 60)
  if not ok then
    M.kill(pid, M.KILL)
    M.wait(pid)
  end
  local result = { status = status, stdout = M.read(paths.stdout) or "", stderr = M.read(paths.stderr) or "" }
  M.remove_directory(directory)
  if not ok then error(("%s\n%s\n%s"):format(table.concat(argv, " "), status, result.stderr), 2) end
  return result
end

return M
