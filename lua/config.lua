--- moongate.config — reads the configuration file: Lua that returns a table, checked against a schema, defaults
--- filled in.
--
-- Called by the command line. The file runs as text only, in an empty environment, without string methods and with an
-- instruction budget, so it can compute a table and do nothing else. A mistake names file and, where it can be known,
-- line. Holds process settings only; everything that the admin API calls a resource lives in the store.

local M = {}

local INSTRUCTIONS = 10 * 1000 * 1000
local BYTES = 1024 * 1024
local COMMAND_WORDS = 32 -- MOON_PROCESS_WORDS of core/script/process.h

---@class moongate.config.diagnostic
---@field file string
---@field line integer|nil
---@field message string
---@field text string `FILE:LINE: message`

-- Key → what may stand there. `check` gives a reason when a value of the right type is wrong all the same.
local function integer(default, min, max) return { type = "integer", default = default, min = min, max = max } end

local function check_address(text)
  local host, port = text:match("^(%[[%x:%.]+%]):(%d+)$")
  if not host then host, port = text:match("^([%w%.%-]*):(%d+)$") end
  if not host or host == "" then return "expected HOST:PORT, such as \"0.0.0.0:443\" or \"[::]:443\"" end
  if #port > 5 or tonumber(port) > 65535 then return "the port must be a number from 0 to 65535" end
end

local function check_resolver(text)
  local host, port = text:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")
  if not host or #port > 5 or tonumber(port) > 65535 or tonumber(port) == 0 then
    return "expected an IPv4 address and a port, such as \"192.0.2.53:53\""
  end
end

local function check_email(text)
  if #text > 90 or not text:find("^[^@%s%c]+@[^@%s%c]+$") then return "expected an e-mail address" end
end

local SCHEMA = {
  listen = { type = "list", of = "string", check_each = check_address, default = {} },
  listen_http = { type = "list", of = "string", check_each = check_address, default = {} },
  admin = { type = "table", default = {}, keys = {
    listen = { type = "string", default = "127.0.0.1:8444", check = check_address },
    certificate = { type = "string", path = true },
    key = { type = "string", path = true },
    email = { type = "string", check = check_email },
    requests = integer(1200, 0, 1000000000),
    requests_per_second = integer(200, 0, 1000000000),
    failures_per_minute = integer(100, 1, 1000000),
  } },
  data_dir = { type = "string", path = true, required = true },
  workers = { type = "integer", default = "auto", word = "auto", min = 1, max = 1024 },
  geoip = { type = "list", of = "string", default = {}, path = true },
  policies = { type = "list", of = "string", default = {}, path = true },
  policy_budget_ms = integer(10, 1, 1000),
  policy_jit = { type = "boolean", default = false },
  serve_without_store = { type = "boolean", default = false },
  outgoing = { type = "table", default = {}, keys = {
    allow_local = { type = "boolean", default = false },
    ca = { type = "string", path = true },
    dns = { type = "string", check = check_resolver },
  } },
  alerts = { type = "table", default = {}, keys = {
    sendmail = { type = "list", of = "string", default = {} },
    from = { type = "string", default = "moongate@localhost", check = check_email },
  } },
  log = { type = "table", default = {}, keys = {
    level = { type = "string", default = "info", one_of = { "debug", "info", "warn", "error" } },
    file = { type = "string", default = "-", path = true },
  } },
  limits = { type = "table", default = {}, keys = {
    start_line = integer(8192, 256, 65536),
    field = integer(16384, 256, 65536),
    head = integer(65536, 1024, 1048576),
    fields = integer(128, 8, 128),
    body = integer(104857600, 0, 4000000000),
    connections = integer(50000, 1, 10000000),
    connections_per_address = integer(10000, 1, 10000000),
    handshakes = integer(4096, 1, 10000000),
    tls_sessions = integer(10000, 0, 1000000),
    idle_origin_connections = integer(64, 0, 100000),
    client_cas_per_account = integer(5, 0, 1000000),
  } },
  timeouts = { type = "table", default = {}, keys = {
    handshake = integer(10, 1, 3600),
    head = integer(30, 1, 3600),
    body_idle = integer(30, 1, 3600),
    keep_alive = integer(75, 1, 3600),
    write_idle = integer(60, 1, 3600),
    origin_connect = integer(10, 1, 3600),
    origin_head = integer(60, 1, 86400),
    origin_idle = integer(60, 1, 3600),
    origin_keep_alive = integer(60, 1, 3600),
    tunnel_idle = integer(3600, 1, 604800),
    drain = integer(30, 0, 3600),
  } },
}

local EMBEDDED = {
  limits = SCHEMA.limits, timeouts = SCHEMA.timeouts, policy_budget_ms = SCHEMA.policy_budget_ms, policy_jit = SCHEMA.policy_jit,
}

local function fail(file, line, message)
  local text = line and ("%s:%d: %s"):format(file, line, message) or ("%s: %s"):format(file, message)
  return nil, { file = file, line = line, message = message, text = text }
end

-- The line on which a key is written, when it is written on one line only.
local function line_of(source, key)
  local number, found = 0, nil
  for line in (source .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local code = line:gsub("%-%-.*$", "")
    if code:find("%f[%w_]" .. key:gsub("%W", "%%%0") .. "%f[^%w_]%s*%]?\"?%]?%s*=") then
      if found then return nil end
      found = number
    end
  end
  return found
end

local function distance(a, b)
  local row = {}
  for column = 0, #b do row[column] = column end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(above + 1, row[j - 1] + 1, diagonal + cost)
      diagonal = above
    end
  end
  return row[#b]
end

--- The known word that looks most like a misspelt one.
---@param word string
---@param known string[]
---@return string|nil
function M.nearest(word, known)
  local best, best_distance
  for _, candidate in ipairs(known) do
    local steps = distance(word:lower(), candidate:lower())
    if not best or steps < best_distance then best, best_distance = candidate, steps end
  end
  if best and best_distance <= math.max(2, math.floor(#word / 3)) then return best end
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local check_table -- forward: tables hold tables

local function check_list(value, spec, name)
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  if count ~= #value then return ("%s must be a list"):format(name) end
  for index, element in ipairs(value) do
    if type(element) ~= spec.of then return ("%s[%d] must be a %s"):format(name, index, spec.of) end
    local reason = spec.check_each and spec.check_each(element)
    if reason then return ("%s[%d]: %s"):format(name, index, reason) end
  end
end

local function check_scalar(value, spec, name)
  if spec.word and value == spec.word then return nil end
  if spec.type == "integer" then
    if type(value) ~= "number" or value ~= math.floor(value) then
      return ("%s must be a whole number%s"):format(name, spec.word and (" or \"%s\""):format(spec.word) or "")
    end
    if value < spec.min or value > spec.max then
      return ("%s must be from %.0f to %.0f, not %.0f"):format(name, spec.min, spec.max, value)
    end
    return nil
  end
  if type(value) ~= spec.type then
    return ("%s must be a %s, not a %s"):format(name, spec.type, type(value))
  end
  if spec.one_of then
    for _, word in ipairs(spec.one_of) do
      if word == value then return nil end
    end
    return ("%s must be one of %s, not \"%s\""):format(name, table.concat(spec.one_of, ", "), value)
  end
  local reason = spec.check and spec.check(value)
  if reason then return name .. ": " .. reason end
end

-- A path as the process can use it: relative ones begin at the configuration file.
local function resolve(path, base)
  if path == "-" or path:sub(1, 1) == "/" then return path end
  return base .. "/" .. path
end

-- Returns the checked value, or nil, the reason and the key it is about.
local function check_value(value, spec, name, key, base)
  if spec.type == "table" then
    if type(value) ~= "table" then return nil, name .. " must be a table", key end
    return check_table(value, spec.keys, name .. ".", base)
  end
  if spec.type == "list" then
    if type(value) ~= "table" then return nil, name .. " must be a list", key end
    local reason = check_list(value, spec, name)
    if reason then return nil, reason, key end
    local list = {}
    for index, element in ipairs(value) do list[index] = spec.path and resolve(element, base) or element end
    return list
  end
  local reason = check_scalar(value, spec, name)
  if reason then return nil, reason, key end
  return spec.path and resolve(value, base) or value
end

function check_table(given, keys, prefix, base)
  for key in pairs(given) do
    if type(key) ~= "string" or not keys[key] then
      local name = tostring(key)
      local near = type(key) == "string" and M.nearest(key, sorted_keys(keys))
      local message = ("unknown key %s%s"):format(prefix, name)
      return nil, near and ("%s; did you mean %s%s?"):format(message, prefix, near) or message, name
    end
  end
  local result = {}
  for _, key in ipairs(sorted_keys(keys)) do
    local spec, value = keys[key], given[key]
    if value == nil then value = spec.default end
    if value ~= nil then
      local checked, reason, at = check_value(value, spec, prefix .. key, key, base)
      if checked == nil then return nil, reason, at end
      result[key] = checked
    elseif spec.required then
      return nil, ("%s%s is missing"):format(prefix, key), key
    end
  end
  return result
end

local function is_loopback(address)
  local host = address:match("^(.*):%d+$")
  return host == "localhost" or host == "[::1]" or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

local function check_heads(limits)
  if limits.start_line > limits.head then return "limits.start_line is larger than limits.head", "start_line" end
  if limits.field > limits.head then return "limits.field is larger than limits.head", "field" end
end

local function check_mail(words)
  if words[1] and words[1]:sub(1, 1) ~= "/" then
    return "alerts.sendmail[1] must be the whole path of a program, such as \"/usr/sbin/sendmail\"", "sendmail"
  end
  if #words > COMMAND_WORDS then return ("alerts.sendmail has more than %d words"):format(COMMAND_WORDS), "sendmail" end
end

-- What no single key can know.
local function check_together(config)
  local admin = config.admin
  if (admin.certificate == nil) ~= (admin.key == nil) then
    return "admin.certificate and admin.key belong together", admin.key and "key" or "certificate"
  end
  if not is_loopback(admin.listen) and not admin.certificate then
    return ("admin.listen = \"%s\" is not a loopback address: admin.certificate and admin.key are required there")
      :format(admin.listen), "admin"
  end
  local message, key = check_mail(config.alerts.sendmail)
  if message then return message, key end
  return check_heads(config.limits)
end

-- Runs the chunk with nothing within reach: no globals, no string methods (C functions know no budget), no compiled
-- loops (hooks do not fire in them).
local function run(chunk)
  local strings = debug.getmetatable("")
  local methods = strings.__index
  local jit_library = rawget(_G, "jit")
  if jit_library then jit_library.off(chunk, true) end
  strings.__index = nil
  local task = coroutine.create(chunk)
  debug.sethook(task, function() error("it takes too long: is there an endless loop?", 0) end, "", INSTRUCTIONS)
  local ok, value = coroutine.resume(task)
  debug.sethook() -- LuaJIT has one hook for all coroutines: left behind, it would end somebody else's work
  strings.__index = methods
  if coroutine.status(task) ~= "dead" then return false, "it must return a table" end
  return ok, value
end

local function split_position(message, file)
  local line, text = tostring(message):match("^" .. file:gsub("%W", "%%%0") .. ":(%d+): (.*)$")
  if line then return tonumber(line), text end
  return nil, tostring(message)
end

--- Checks a table as if it had been read from a file.
---@param given table
---@param file string for messages
---@param base string directory that relative paths start from
---@param source string|nil text of the file, to find lines in
---@return table|nil config every key present, defaults filled in
---@return moongate.config.diagnostic|nil
function M.check(given, file, base, source)
  local config, message, key = check_table(given, SCHEMA, "", base)
  if not config then return fail(file, source and line_of(source, key), message) end
  message, key = check_together(config)
  if message then return fail(file, source and line_of(source, key), message) end
  return config
end

--- Checks the settings of a gateway that is part of another program: only these are of use to it.
---@param given table
---@return table|nil config every key present, defaults filled in
---@return string|nil message
function M.embedded(given)
  local config, message = check_table(given, EMBEDDED, "", ".")
  if not config then return nil, message end
  message = check_heads(config.limits)
  if message then return nil, message end
  return config
end

--- Reads and checks a configuration file.
---@param path string
---@return table|nil config
---@return moongate.config.diagnostic|nil
function M.load(path)
  local file, err = io.open(path, "rb")
  if not file then return fail(path, nil, (tostring(err):gsub("^" .. path:gsub("%W", "%%%0") .. ": ", ""))) end
  local source = file:read(BYTES + 1)
  file:close()
  if not source then return fail(path, nil, "it is empty, or it is not a file") end
  if #source > BYTES then return fail(path, nil, "it is larger than 1 MiB") end
  if source:sub(1, 1) == "\27" then return fail(path, nil, "it is bytecode; only text is read") end
  local chunk, message = load(source, "@" .. path, "t", {})
  if not chunk then return fail(path, split_position(message, path)) end
  local ok, value = run(chunk)
  if not ok then return fail(path, split_position(value, path)) end
  if type(value) ~= "table" then return fail(path, nil, "it must return a table") end
  return M.check(value, path, path:match("^(.*)/[^/]*$") or ".", source)
end

--- The configuration of `run --dev` without a file: everything on loopback, everything in one directory.
---@param directory string
---@return table config
function M.development(directory)
  return assert(M.check({
    listen = { "127.0.0.1:8443" },
    listen_http = { "127.0.0.1:8080" },
    admin = { listen = "127.0.0.1:8444" },
    data_dir = directory,
    log = { level = "debug" },
  }, "development", "."))
end

return M
