-- check_floors.lua [ROOT] — fails when an include or a require climbs: the import arrow points down (docs/architecture.md).
--
-- Reads the #include lines of core/ and the require lines of lua/, rules/, admin/ and cli/, and prints each wrong arrow as
-- FILE:LINE: message. Exit code 0 when there is none, 1 when there is one, 2 when the tree cannot be read. Run by spec/run and
-- by spec/docs/floors_spec.lua; changes nothing.

local ROOT = arg[1] or "."

-- ---- what each place may use ----

-- Folder of core → folders of core it may include besides itself, and the patterns of libraries that are not for it.
local SYSTEM = { uv = "^uv%.h$", curl = "^curl/", openssl = "^openssl/", llhttp = "^llhttp%.h$", lua = "^lu?a.*%.h$" }
local function only(...)
  local allowed = {}
  for _, name in ipairs { ... } do allowed[name] = true end
  return allowed
end

local CORE = {
  include = { uses = only(), libraries = only() },
  base = { uses = only "include", libraries = only() },
  net = { uses = only "base", libraries = only "uv" },
  tls = { uses = only "base", libraries = only "openssl" },
  http = { uses = only "base", libraries = only "llhttp" },
  gate = { uses = only("base", "net", "tls", "http", "include"), libraries = only("uv", "openssl") },
  script = { uses = only("base", "net", "tls", "http", "gate", "include"), libraries = only("lua", "uv", "openssl", "curl") },
  app = { uses = only("base", "net", "tls", "http", "gate", "script", "include"), libraries = only("lua", "uv", "openssl") },
}

-- Folder of Lua → folders whose modules it may require, and foreign modules it may use ("*": any).
local LUA = {
  rules = { uses = only "rules", foreign = only() },
  lua = { uses = only("lua", "rules"), foreign = only("dkjson", "jit.opt") },
  admin = { uses = only("admin", "lua", "rules"), foreign = only() },
  cli = { uses = only("cli", "lua", "rules", "admin"), foreign = only "argparse" },
}

-- Single files with a right of their own, each for the reason given in the file.
local FOREIGN_OF_FILE = {
  ["lua/ffi.lua"] = only "ffi",
  ["rules/sha256.lua"] = only "bit", -- arithmetic only, and done without where there is none
  ["admin/store/files.lua"] = only "ffi",
  ["admin/store/sqlite.lua"] = only "DBI",
  ["admin/store/postgres.lua"] = only "DBI",
  ["cli/http.lua"] = only "ffi", -- libcurl
  ["cli/system.lua"] = only "ffi",
}

-- What lua/ and cli/ may take from LuaJIT itself without reaching into our core.
local LUAJIT = only("jit", "bit")

-- ---- reading the tree ----

local function run(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function files(folder, pattern)
  return run(("cd %s && find %s -type f \\( %s \\) 2>/dev/null | LC_ALL=C sort"):format(quote(ROOT), folder, pattern))
end

local faults = 0

local function fault(path, line, format, ...)
  faults = faults + 1
  io.stdout:write(("%s:%d: %s\n"):format(path, line, format:format(...)))
end

local function each_line(path, visit)
  local file = assert(io.open(ROOT .. "/" .. path, "rb"))
  local number = 0
  for line in file:lines() do
    number = number + 1
    visit(line, number)
  end
  file:close()
end

-- ---- C ----

local function library_of(header)
  for name, pattern in pairs(SYSTEM) do
    if header:find(pattern) then return name end
  end
end

local function check_c(path)
  local floor = path:match("^core/([^/]+)/")
  local may = CORE[floor]
  if not may then
    return fault(path, 1, "core/%s is no floor of this house", floor)
  end
  each_line(path, function(line, number)
    local own = line:match('^%s*#%s*include%s+"([^"]+)"')
    local foreign = line:match("^%s*#%s*include%s+<([^>]+)>")
    if own then
      local target = own:match("^([^/]+)/")
      if not target and own == "moongate.h" then target = "include" end
      if not target then
        fault(path, number, 'include "%s" does not name its floor', own)
      elseif target ~= floor and not may.uses[target] then
        fault(path, number, "%s must not use %s (%s)", floor, target, own)
      end
    elseif foreign then
      local library = library_of(foreign)
      if library and not may.libraries[library] then
        fault(path, number, "%s must not use <%s>", floor, foreign)
      end
    end
  end)
end

-- ---- Lua ----

local function folder_of(module)
  if module == "moongate" then return "lua" end
  local first = module:match("^moongate%.([^.]+)")
  if first and LUA[first] and first ~= "lua" then return first end
  return first and "lua"
end

local function check_require(path, folder, module, number)
  local target = folder_of(module)
  local may = LUA[folder]
  if target then
    if not may.uses[target] then
      fault(path, number, "%s/ must not use %s/ (%s)", folder, target, module)
    end
    return
  end
  local rights = FOREIGN_OF_FILE[path]
  if may.foreign[module] or rights and rights[module] or folder ~= "rules" and LUAJIT[module] then return end
  fault(path, number, "%s/ must not require %q", folder, module)
end

local function check_lua(path)
  local folder = path:match("^([^/]+)/")
  each_line(path, function(line, number)
    local code = line:gsub("%-%-.*$", "") -- a comment may name any module
    for module in (" " .. code):gmatch("[^%w_\"']require%s*%(?%s*[\"']([^\"']+)[\"']") do check_require(path, folder, module, number) end
    for module in code:gmatch("pcall%s*%(%s*require%s*,%s*[\"']([^\"']+)[\"']") do
      check_require(path, folder, module, number)
    end
  end)
end

-- ---- all of it ----

local seen = 0
for _, path in ipairs(files("core", "-name '*.c' -o -name '*.h' -o -name '*.cc'")) do
  seen = seen + 1
  check_c(path)
end
for _, folder in ipairs { "lua", "rules", "admin", "cli" } do
  for _, path in ipairs(files(folder, "-name '*.lua'")) do
    seen = seen + 1
    check_lua(path)
  end
end
if seen == 0 then
  io.stderr:write("check_floors: there is no source tree at ", ROOT, "\n")
  os.exit(2)
end
os.exit(faults == 0 and 0 or 1)
