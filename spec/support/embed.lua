-- The library as an embedder meets it: installed into a prefix of its own, the example built against that, and run. For
-- spec/flow/embed_spec.lua.

local dkjson = require "dkjson"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local M = {}

local function run(argv, seconds)
  local result = shell.run(argv, { seconds = seconds or 120 })
  if result.status ~= 0 then
    error(("%s: exit %d\n%s\n%s"):format(table.concat(argv, " "), result.status, result.stdout, result.stderr), 2)
  end
  return result
end

M.run = run

--- Whether the build under test has sanitizers, which the example then needs as well.
---@return string|nil
function M.sanitizers()
  local cache = shell.read(origin.build_dir() .. "/CMakeCache.txt") or ""
  local names = cache:match("MOONGATE_SANITIZE:STRING=([%w,]+)")
  return names
end

--- Installs the build under test.
---@return { prefix: string, pkgconfig: string, libraries: string }
function M.install()
  local prefix = shell.directory("prefix")
  run { "cmake", "--install", origin.build_dir(), "--prefix", prefix }
  local pc = run({ "find", prefix, "-name", "moongate.pc" }).stdout:gsub("%s+$", "")
  return { prefix = prefix, pkgconfig = pc:match("^(.*)/"), libraries = pc:match("^(.*)/pkgconfig/") }
end

local function flags(installed, ...)
  local result = run({ "env", "PKG_CONFIG_PATH=" .. installed.pkgconfig, "pkg-config", ... }).stdout
  local words = {}
  for word in result:gmatch("%S+") do words[#words + 1] = word end
  return words
end

--- Builds the example with the compiler alone, as pkg-config says.
---@param package string moongate, or moongate-static
---@return string program
function M.build_by_pkgconfig(installed, package)
  local program = installed.prefix .. "/embed-" .. package
  local argv = { "cc", "-g", "-Wall", "-Wextra", "-Werror", "examples/embed/embed.c", "-o", program }
  if M.sanitizers() then argv[#argv + 1] = "-fsanitize=" .. M.sanitizers() end
  for _, word in ipairs(flags(installed, "--cflags", "--libs", package, "libuv")) do argv[#argv + 1] = word end
  argv[#argv + 1] = "-Wl,-rpath," .. installed.libraries
  run(argv)
  return program
end

--- Builds the example by its CMakeLists.txt.
---@param options { static: boolean|nil }
---@return string program
function M.build_by_cmake(installed, options)
  local directory = shell.directory("embed-cmake")
  local extra = M.sanitizers() and "-fsanitize=" .. M.sanitizers() or ""
  run { "cmake", "-G", "Ninja", "-S", "examples/embed", "-B", directory, "-DCMAKE_PREFIX_PATH=" .. installed.prefix,
    "-DMOONGATE_STATIC=" .. (options.static and "ON" or "OFF"), "-DCMAKE_C_FLAGS=" .. extra }
  run { "cmake", "--build", directory }
  return directory .. "/embed"
end

---@param path string of a library or program
---@return table<string, true> names of what it defines for others, versions left out
function M.exported(path)
  local names = {}
  local result = run { "nm", path:find("%.a$") and "-g" or "-D", "--defined-only", path }
  for kind, name in result.stdout:gmatch("%x+ (%a) (%S+)") do
    if kind ~= "A" then names[(name:gsub("@.*$", ""))] = true end
  end
  return names
end

-- ---- a program that runs ----

local Embed = {}
Embed.__index = Embed

--- Starts the example.
---@param program string
---@param configuration table
---@return table embed
function M.start(program, configuration)
  local directory = shell.directory("embed")
  local self = setmetatable({ directory = directory, path = directory .. "/gateway.json", published = 0 }, Embed)
  self:write(configuration)
  self.pid = shell.spawn({ "env", "ASAN_OPTIONS=detect_leaks=1:log_path=" .. directory .. "/sanitizer",
    "UBSAN_OPTIONS=print_stacktrace=1:log_path=" .. directory .. "/sanitizer", program, self.path, "127.0.0.1:0", "0" },
    { stdout = directory .. "/stdout", stderr = directory .. "/stderr" })
  local out = wait.until_true("the example to be ready", function()
    if shell.ended(self.pid) then error(shell.read(directory .. "/stderr"), 0) end
    return (shell.read(directory .. "/stdout") or ""):match("(ready [^\n]+)\n")
  end, 30)
  self.port, self.tcp = out:match("https=127%.0%.0%.1:(%d+) tcp=127%.0%.0%.1:(%d+)")
  return self
end

function Embed:write(configuration)
  shell.write(self.path, type(configuration) == "string" and configuration or dkjson.encode(configuration))
end

---@return string everything it has said so far
function Embed:stderr() return shell.read(self.directory .. "/stderr") or "" end

--- Publishes another configuration and waits for what the program says about it.
---@return string said
function Embed:publish(configuration)
  local before = #self:stderr()
  self:write(configuration)
  shell.kill(self.pid, shell.HUP)
  return wait.until_true("the publication", function()
    return self:stderr():sub(before + 1):match("(embed: [^\n]+)\n")
  end)
end

--- curl against it: status, body.
---@param options { host: string, path: string|nil, cert: table|nil, headers: string[]|nil, ca: table|nil } without `ca`
--- the server's certificate is not looked at
---@return { status: integer, body: string }
function Embed:curl(options)
  local to = ("%s:%s:127.0.0.1:%s"):format(options.host, self.port, self.port)
  local argv = { "curl", "-sS", "--max-time", "30", "--noproxy", "*", "--connect-to", to, "-w", "\n%{http_code}" }
  for _, word in ipairs(options.ca and { "--cacert", options.ca.path } or { "-k" }) do argv[#argv + 1] = word end
  if options.cert then
    for _, word in ipairs { "--cert", options.cert.path, "--key", options.cert.key_path } do argv[#argv + 1] = word end
  end
  for _, header in ipairs(options.headers or {}) do
    argv[#argv + 1] = "-H"
    argv[#argv + 1] = header
  end
  argv[#argv + 1] = ("https://%s:%s%s"):format(options.host, self.port, options.path or "/")
  local body, status = run(argv).stdout:match("^(.*)\n(%d+)$")
  return { status = tonumber(status), body = body }
end

--- What a sanitizer has said; nil when nothing.
function Embed:reports()
  local text = run({ "sh", "-c", "cat " .. self.directory .. "/sanitizer.* 2>/dev/null || true" }).stdout
  return text ~= "" and text or nil
end

--- Tells it to drain and end.
---@return integer status
function Embed:stop()
  shell.kill(self.pid, shell.TERM)
  local status = shell.wait(self.pid, 60)
  self.pid = nil
  return status
end

--- Ends it however it is, and removes its directory.
function Embed:close()
  if self.pid and not shell.ended(self.pid) then
    shell.kill(self.pid, shell.KILL)
    shell.wait(self.pid)
  end
  shell.remove_directory(self.directory)
end

return M
