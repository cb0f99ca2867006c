-- A gateway of its own for each flow spec: own directory, own ports, own store, configured through the admin API as users do.
--
--   local gate = gateway.start { origin = origin }              -- zone example.com with that origin under "*"
--   gate:protect("api.example.com", ca)                         -- upload, associate, block the unverified
--   gate:connect { host = "api.example.com", cert = leaf }      -- raw session (spec.support.client)
--   gate:curl { host = "api.example.com", cert = leaf, path = "/x" }
--   gate:stop()                                                 -- drains; fails the spec when it did not end well
--
-- When the spec failed, `stop` leaves the directory (with gateway.log) behind and says where.

local dkjson = require "dkjson"
local client = require "spec.support.client"
local origin_support = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local M = {}
local Gateway = {}
Gateway.__index = Gateway

local RULE = '(http.host in {"%s"} and not cf.tls_client_auth.cert_verified)'

---@return string path of the program under test
function M.program() return origin_support.build_dir() .. "/moongate" end

--- Is the program built with sanitizers? Then memory and time say nothing.
function M.is_sanitized() return os.getenv "MOONGATE_SANITIZED" ~= nil end

-- A table as Lua source; keys are words.
local function source(value, indent)
  if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
  local lines, inner = {}, indent .. "  "
  for index, element in ipairs(value) do lines[index] = inner .. source(element, inner) end
  local keys = {}
  for key in pairs(value) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do lines[#lines + 1] = ("%s%s = %s"):format(inner, key, source(value[key], inner)) end
  return "{\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "}"
end

-- How many specs of this run have failed so far (spec/support/report.lua counts).
local function failures() return debug.getregistry()["moongate.spec.failures"] or 0 end

--- The text of a configuration file.
---@param config table
---@return string
function M.config_text(config) return "return " .. source(config, "") .. "\n" end

--- Runs the program's command line.
---@param arguments string[]
---@param stdin string|nil
---@return { status: integer, stdout: string, stderr: string }
function M.cli(arguments, stdin)
  local argv = { M.program() }
  for _, word in ipairs(arguments) do argv[#argv + 1] = word end
  return shell.run(argv, { stdin = stdin })
end

local function merged(given)
  local config = {
    listen = { "127.0.0.1:0" }, admin = { listen = "127.0.0.1:0" }, data_dir = "data", workers = 2,
    log = { level = "debug" },
  }
  for key, value in pairs(given or {}) do config[key] = value end
  return config
end

--- A gateway that is not started: directory and configuration file only.
--- files: name → text, written beside the configuration file.
---@param options { config: table|nil, origin: table|nil, zone: string|nil, files: table<string, string>|nil }|nil
---@return table gateway
function M.new(options)
  options = options or {}
  local directory = shell.directory("gateway")
  local self = setmetatable({
    directory = directory, config_path = directory .. "/moongate.lua", log = directory .. "/gateway.log",
    ca_path = directory .. "/data/local-ca.pem", origin = options.origin, config = merged(options.config),
    failures = failures(),
  }, Gateway)
  shell.write(self.config_path, M.config_text(self.config))
  for name, text in pairs(options.files or {}) do shell.write(directory .. "/" .. name, text) end
  return self
end

--- Starts a gateway and, with an origin, makes the zone `example.com` (or options.zone) that goes there.
---@param options table|nil as for new()
---@return table gateway
function M.start(options)
  local self = M.new(options)
  local ok, err = pcall(function()
    self:create_token()
    self:launch()
    if self.origin then self.zone = self:create_zone(options.zone or "example.com", self.origin.url) end
  end)
  if not ok then
    self:kill9()
    error(("%s\n%s"):format(err, shell.read(self.log) or ""), 2)
  end
  return self
end

function Gateway:create_token()
  local result = M.cli { "token", "create", "-c", self.config_path, "--name", "spec" }
  assert(result.status == 0, result.stderr)
  self.token = result.stdout:match("^(%S+)\n$")
  assert(self.token, "token create printed: " .. result.stdout)
end

local function port_of(address) return tonumber(address:match(":(%d+)$")) end

-- Starts the program and waits until it says that it is ready, for 20 seconds unless told otherwise.
function Gateway:launch(seconds)
  self.pid = shell.spawn({ M.program(), "run", "-c", self.config_path }, { stdout = self.directory .. "/stdout", stderr = self.log })
  local ready = wait.until_true("the gateway to be ready", function()
    local status = shell.ended(self.pid)
    if status then
      self.pid = nil
      error(("the gateway ended with %d:\n%s"):format(status, shell.read(self.log)), 0)
    end
    local line = (shell.read(self.log) or ""):match('({"subject":"gateway","what":"ready".-})\n')
    return line and dkjson.decode(line)
  end, seconds or M.is_sanitized() and 60 or 20)
  self.port = ready.listen[1] and port_of(ready.listen[1])
  self.http_port = ready.listen_http[1] and port_of(ready.listen_http[1])
  self.admin_port = port_of(ready.admin)
end

--- One call of the admin API, over a connection that is kept open.
---@param method string
---@param path string below /client/v4
---@param body table|string|nil a table is sent as JSON
---@param fields string[][]|nil instead of the token
---@return integer status
---@return table|nil document decoded; nil when the answer has no body
---@return table response
function Gateway:admin(method, path, body, fields)
  local options = {
    host = "127.0.0.1:" .. self.admin_port,
    fields = fields or { { "Authorization", "Bearer " .. self.token }, { "Content-Type", "application/json" } },
    body = type(body) == "table" and dkjson.encode(body) or body,
  }
  for attempt = 1, 2 do
    self.admin_session = self.admin_session or assert(client.connect { port = self.admin_port, tls = false, timeout = 30 })
    local response, err = self.admin_session:request(method, "/client/v4" .. path, options)
    if response then
      if response:field("connection") == "close" then self:hang_up() end
      return response.status, response.body and response.body ~= "" and dkjson.decode(response.body) or nil, response
    end
    self:hang_up()
    if attempt == 2 then error(("the admin API gave no answer to %s %s: %s"):format(method, path, err), 2) end
  end
end

function Gateway:hang_up()
  if self.admin_session then self.admin_session:close() end
  self.admin_session = nil
end

--- The same, when it must succeed.
---@return any result
function Gateway:api(method, path, body)
  local status, document, response = self:admin(method, path, body)
  if status ~= 200 then error(("%s %s: %d %s"):format(method, path, status, response.body or ""), 2) end
  return document.result
end

---@return string id
function Gateway:account()
  self.account_id = self.account_id or self:api("GET", "/accounts")[1].id
  return self.account_id
end

--- Makes a zone with an origin for all of its names.
---@return string id of the zone
function Gateway:create_zone(name, origin_url)
  local zone = self:api("POST", "/zones", { name = name, account = { id = self:account() } }).id
  if origin_url then self:set_origin(zone, "*", origin_url) end
  return zone
end

--- options: the other fields of the origin, such as verify or ca.
function Gateway:set_origin(zone, hostname, url, options)
  local body = { url = url }
  for key, value in pairs(options or {}) do body[key] = value end
  return self:api("PUT", ("/zones/%s/moongate/origins/%s"):format(zone, hostname), body)
end

--- Uploads a CA (spec.support.certs), once.
---@return string id
function Gateway:upload(ca)
  self.uploads = self.uploads or {}
  self.uploads[ca] = self.uploads[ca]
    or self:api("POST", ("/accounts/%s/mtls_certificates"):format(self:account()), { ca = true, certificates = ca.pem }).id
  return self.uploads[ca]
end

--- Sets the hostnames of a CA in the zone.
function Gateway:associate(ca, hostnames, zone)
  return self:api("PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone or self.zone),
    { hostnames = setmetatable(hostnames, { __jsontype = "array" }), mtls_certificate_id = self:upload(ca) })
end

--- Replaces the zone's custom rules; a rule is an expression (block) or a table as the API takes it.
function Gateway:set_rules(rules, zone)
  local list = setmetatable({}, { __jsontype = "array" })
  for index, rule in ipairs(rules) do
    list[index] = type(rule) == "table" and rule or { expression = rule, action = "block" }
  end
  return self:api("PUT", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(zone or self.zone),
    { rules = list })
end

--- The rule that blocks unverified clients of a host.
function M.block_rule(host) return RULE:format(host) end

--- The main job for one host: upload, associate, block.
function Gateway:protect(host, ca)
  self:associate(ca, { host })
  self:set_rules { M.block_rule(host) }
end

---@param host string
---@param path string|nil
---@return string
function Gateway:url(host, path) return ("https://%s:%d%s"):format(host, self.port, path or "/") end

--- Runs the real curl.
---@param options { host: string, path: string|nil, cert: table|nil, arguments: string[]|nil }
---@return { status: integer|nil, exit: integer, head: string, body: string, stderr: string }
function Gateway:curl(options)
  local argv = {
    "curl", "-sS", "--max-time", "30", "--noproxy", "*", "--cacert", self.ca_path, "-D", "-",
    "--resolve", ("%s:%d:127.0.0.1"):format(options.host, self.port),
  }
  if options.cert then
    for _, word in ipairs { "--cert", options.cert.path, "--key", options.cert.key_path } do argv[#argv + 1] = word end
  end
  for _, word in ipairs(options.arguments or {}) do argv[#argv + 1] = word end
  argv[#argv + 1] = self:url(options.host, options.path)
  local result = shell.run(argv)
  local head, body = result.stdout:match("^(HTTP.-\r\n\r\n)(.*)$")
  while head and head:find("^HTTP/1%.1 1") and not head:find("^HTTP/1%.1 101") do head, body = body:match("^(HTTP.-\r\n\r\n)(.*)$") end
  return {
    status = head and tonumber(head:match("^HTTP/%S+ (%d+)")), exit = result.status, head = head or "", body = body or result.stdout,
    stderr = result.stderr,
  }
end

--- Opens a raw TLS session. `sni` defaults to `host`; `sni = false` sends none. `cert` is a leaf of spec.support.certs.
---@param options { host: string|nil, sni: string|false|nil, cert: table|nil, version: string|nil, timeout: number|nil,
---                 resume: ffi.cdata*|nil }|nil
---@return table session
function Gateway:connect(options)
  options = options or {}
  local sni = options.sni
  if sni == nil then sni = options.host end
  local session, err = client.connect {
    port = self.port, sni = sni or nil, ca = self.ca_path, cert = options.cert and options.cert.chain_path,
    key = options.cert and options.cert.key_path, version = options.version, timeout = options.timeout,
    resume = options.resume, alpn = options.alpn, split = options.split,
  }
  if not session then error("no TLS session: " .. tostring(err), 2) end
  session.host = options.host
  return session
end

--- One request on a connection of its own; the status.
---@param options table as for connect(), and path
---@return integer status
---@return table response
function Gateway:status(options)
  local session = self:connect(options)
  local response = assert(session:get(options.path or "/", { host = options.host }))
  session:close()
  return response.status, response
end

--- The log so far: decoded lines.
---@return table[]
function Gateway:log_lines()
  local lines = {}
  for line in (shell.read(self.log) or ""):gmatch("([^\n]+)\n") do
    lines[#lines + 1] = dkjson.decode(line) or { text = line }
  end
  return lines
end

--- Waits for a line of the log with these values.
---@param wanted table
---@return table line the last such line
function Gateway:wait_log(wanted)
  return wait.until_true("a log line with " .. dkjson.encode(wanted), function()
    local lines = self:log_lines()
    for index = #lines, 1, -1 do
      local fits = true
      for key, value in pairs(wanted) do fits = fits and lines[index][key] == value end
      if fits then return lines[index] end
    end
  end)
end

--- A number of /proc/<pid>/status in KiB, such as "VmHWM" (the most memory it ever had) or "VmRSS".
function Gateway:memory(name)
  local text = assert(shell.read(("/proc/%d/status"):format(self.pid)))
  return tonumber(text:match(name .. ":%s+(%d+) kB"))
end

--- Forgets the most memory that it ever had, where the kernel lets us: the program is not dumpable, so that takes root.
function Gateway:reset_peak() pcall(shell.write, ("/proc/%d/clear_refs"):format(self.pid), "5") end

---@return boolean
function Gateway:is_running()
  if not self.pid then return false end
  local status = shell.ended(self.pid)
  if status then self.pid, self.exit_status = nil, status end
  return status == nil
end

function Gateway:signal(number) shell.kill(self.pid, number) end

--- Waits for its end.
---@return integer exit status
function Gateway:wait_exit(seconds)
  if self.pid then
    self.exit_status = shell.wait(self.pid, seconds or 20)
    self.pid = nil
  end
  self:hang_up()
  return self.exit_status
end

function Gateway:kill9()
  if self:is_running() then
    self:signal(shell.KILL)
    self:wait_exit()
  end
  self:hang_up()
end

--- Starts it again with what it stored.
function Gateway:restart()
  self:kill9()
  self:launch()
end

--- Ends it, as an operator would, and removes its directory unless it did not end well or a spec failed.
function Gateway:stop()
  local crashed = self.exit_status and self.exit_status > 128 and self.exit_status ~= 137
  if self:is_running() then
    self:signal(shell.TERM)
    local ok, status = pcall(self.wait_exit, self, 30)
    if not ok then
      self:kill9()
      error("the gateway did not end within 30 s of TERM; see " .. self.log, 2)
    end
    if status ~= 0 then error(("the gateway ended with %d; see %s"):format(status, self.log), 2) end
  elseif crashed then
    error(("the gateway had ended with %d; see %s"):format(self.exit_status, self.log), 2)
  end
  self:hang_up()
  if failures() > self.failures then
    print("kept: " .. self.directory)
  else
    shell.remove_directory(self.directory)
  end
end

return M
