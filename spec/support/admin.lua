-- Drives the admin API without a server: a whole application on a store in a fresh directory, with a control that keeps what
-- would be served instead of serving it. Certificates are read by the real C core (spec/support/unit.lua).
--
--   local gate = admin.start()
--   local answer = gate:call("POST", "/zones", { name = "heron.test" })      -- with a token that may do everything
--   local answer = gate:call("GET", "/zones", nil, { token = gate:token { "Zone Read" } })
--   gate.control.served["heron.test"]                                        -- the document that is served
--   gate:close()

local ffi = require "ffi"
local managed_ca = require "spec.support.managed_ca"
local revocation = require "spec.support.revocation"
local secrets = require "spec.support.secrets"
local tls = require "spec.support.cdef_tls"
local unit = require "spec.support.unit"

local C = tls.C

local M = {}

local function read_certificates(pem)
  local room, count, diag = ffi.new("struct moon_certificate[32]"), ffi.new("size_t[1]"), ffi.new("struct moon_diag[1]")
  if C.moon_certificates_read(room, 32, count, unit.str(pem), diag) ~= 0 then
    return nil, { where = ffi.string(diag[0].where), text = ffi.string(diag[0].text) }
  end
  local list = {}
  for index = 1, tonumber(count[0]) do
    local one = room[index - 1]
    list[index] = {
      is_ca = one.is_ca, self_issued = one.self_issued, signature_allowed = one.signature_allowed,
      key_allowed = one.key_allowed, not_before = tonumber(one.not_before), not_after = tonumber(one.not_after),
    }
    for _, name in ipairs { "signature", "key", "serial", "sha256", "md5", "subject", "issuer" } do
      list[index][name] = ffi.string(one[name])
    end
  end
  return list
end

local function certificate_hosts(pem)
  local buf, diag = ffi.gc(ffi.new("struct moon_buf"), C.moon_buf_free), ffi.new("struct moon_diag[1]")
  C.moon_buf_init(buf, 65536)
  if C.moon_certificates_hosts(buf, unit.str(pem), diag) ~= 0 then
    return nil, { where = ffi.string(diag[0].where), text = ffi.string(diag[0].text) }
  end
  local list = {}
  for line in (buf.len > 0 and ffi.string(buf.data + buf.start, buf.len) or ""):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

local function match_key(pem, key)
  local diag = ffi.new("struct moon_diag[1]")
  if C.moon_certificates_match_key(unit.str(pem), unit.str(key), diag) == 0 then return true end
  return nil, { where = ffi.string(diag[0].where), text = ffi.string(diag[0].text) }
end

--- What stands where the C core stands in the program. Its `served` is what the workers would serve: zone name → document.
--- Requests to the outside go to `answer_outgoing`, which answers 200 until a spec says otherwise.
--- `refuse_section`, `refuse_snapshot`, `refuse_publish` are functions that may return { where, text }; `files` holds what was written.
---@return table control
function M.control()
  local control = { clock = 1770000000.25, served = {}, generation = 0, sections = 0, files = {}, publications = 0 }

  function control.now() return control.clock end

  function control.random(count)
    local room = ffi.new("unsigned char[?]", count)
    C.moon_random(room, count)
    return ffi.string(room, count)
  end

  function control.sha256(bytes)
    local digest = ffi.new("unsigned char[32]")
    C.moon_sha256(digest, unit.str(bytes))
    return ffi.string(digest, 32)
  end

  function control.equal(a, b) return a == b end

  control.certificates, control.match_key = read_certificates, match_key
  control.certificate_hosts = certificate_hosts
  secrets.install(control)
  managed_ca.install(control)
  revocation.install(control)

  -- Requests to the outside: `requests` has them all, `answer_outgoing` gives { status, body }, or nil and { where, text };
  -- the same for TXT records with `lookups` and `answer_texts`, which gives a list.
  control.requests, control.lookups = {}, {}
  function control.prepare() return {} end
  function control.texts(name)
    control.lookups[#control.lookups + 1] = name
    return control.answer_texts(name)
  end
  function control.answer_texts() return {} end
  function control.answer_outgoing() return { status = 200, body = "" } end
  function control.configure_outgoing(terms) control.outgoing_terms = terms end
  function control.outgoing(request)
    control.requests[#control.requests + 1] = request
    return control.answer_outgoing(request)
  end
  -- Programs: `commands` has them all, `end_command` gives true, or nil and { where, text }.
  control.commands = {}
  function control.end_command() return true end
  function control.run_command(words, input)
    control.commands[#control.commands + 1] = { words = words, input = input }
    return control.end_command()
  end
  function control.task(work) work() end
  function control.give_way() control.gave_way = (control.gave_way or 0) + 1 end

  function control.section(document)
    local refused = control.refuse_section and control.refuse_section(document)
    if refused then return nil, refused end
    control.sections = control.sections + 1
    return { document = document }
  end

  function control.snapshot(generation, sections)
    local refused = control.refuse_snapshot and control.refuse_snapshot(generation, sections)
    if refused then return nil, refused end
    return { generation = generation, sections = sections }
  end

  function control.publish(snapshot)
    local refused = control.refuse_publish and control.refuse_publish(snapshot)
    if refused then return nil, refused end
    control.served, control.generation = {}, snapshot.generation
    control.publications = control.publications + 1
    for _, section in ipairs(snapshot.sections) do control.served[section.document.name] = section.document end
    return true
  end

  function control.status()
    return { generation = control.generation, workers = { { generation = control.generation }, { generation = control.generation } } }
  end

  function control.save_with_digest(path, pieces)
    local text = table.concat(pieces)
    return control.write_file_atomically(path, text .. require("moongate.admin.stamp").hex(control.sha256(text)) .. "\n")
  end
  function control.await_saves() end

  function control.write_file_atomically(path, text)
    if control.refuse_write then return nil, control.refuse_write end
    control.files[path] = text
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return true
  end

  return control
end

--- A fresh directory, private to the owner.
---@return string
function M.directory()
  local pipe = assert(io.popen("mktemp -d"))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local Gate = {}
Gate.__index = Gate

local function write(self, work)
  return assert(self.app.store:write(work))
end

--- Makes a token and returns its text. Give names of permission groups (over everything), or `policies`; nothing: everything.
---@param options table|nil
---@return string
function Gate:token(options)
  local auth = require "moongate.admin.auth"
  local permissions = require "moongate.admin.permissions"
  local policy = require "moongate.admin.policy"
  local policies = options and options.policies
  if options and options[1] then
    policies = {}
    for index, name in ipairs(options) do
      local group = assert(permissions.by_name[name], name)
      policies[index] = policy.everywhere { group }[1]
    end
  end
  local text
  write(self, function(tx)
    local id
    text, id = auth.issue(tx, self.control, { name = "spec", policies = policies, expires_on = options and options.expires_on })
    if options and options.account_id then
      assert(tx:run("UPDATE tokens SET account_id = ? WHERE id = ?", options.account_id, id))
    end
    if options and options.status then assert(tx:run("UPDATE tokens SET status = ? WHERE id = ?", options.status, id)) end
    return true
  end)
  return text
end

local function headers_by_name(list)
  local headers = {}
  for _, header in ipairs(list) do headers[header[1]:lower()] = header[2] end
  return headers
end

--- Sends one request below /client/v4 and returns { status, headers, raw, body } with the decoded body.
--- `body` is a table (sent as JSON) or a string (sent as it is). Without options.token the gate's own token is used; `false`: none.
---@param method string
---@param target string path and query
---@param body table|string|nil
---@param options { token: string|false|nil, headers: table|nil, address: string|nil }|nil
---@return table answer
function Gate:call(method, target, body, options)
  local json = require "moongate.json"
  options = options or {}
  local path, query = target:match("^([^?]*)%??(.*)$")
  local headers = {}
  for name, value in pairs(options.headers or {}) do headers[name:lower()] = value end
  if options.token ~= false then headers["authorization"] = "Bearer " .. (options.token or self.owner) end
  local status, list, raw = self.app:handle {
    method = method, path = (options.base or "/client/v4") .. path, query = target:find("?", 1, true) and query or nil,
    headers = headers, body = type(body) == "table" and json.encode(body) or body or "",
    address = options.address or "127.0.0.1", ray = "0123456789abcdef",
  }
  return { status = status, headers = headers_by_name(list), raw = raw, body = raw ~= "" and json.decode(raw) or nil }
end

--- A zone, made through the API.
---@return table zone as the API shows it
function Gate:zone(name)
  local answer = self:call("POST", "/zones", { name = name })
  assert(answer.status == 200, answer.raw)
  return answer.body.result
end

--- Uploads a CA and returns it as the API shows it.
---@param pem string
---@param name string|nil
function Gate:upload_ca(pem, name)
  local answer = self:call("POST", ("/accounts/%s/mtls_certificates"):format(self.account_id),
    { ca = true, certificates = pem, name = name })
  assert(answer.status == 200, answer.raw)
  return answer.body.result
end

--- Uploads a leaf certificate with its key (spec.support.certs) and returns it as the API shows it.
---@param leaf table
---@param account_id string|nil
function Gate:upload_leaf(leaf, account_id)
  local answer = self:call("POST", ("/accounts/%s/mtls_certificates"):format(account_id or self.account_id),
    { ca = false, certificates = leaf.chain, private_key = leaf.key })
  assert(answer.status == 200, answer.raw)
  return answer.body.result
end

--- A second account with its own id, made through the API, a second after all that was there before.
---@param name string
---@return string id
function Gate:account(name)
  self.control.clock = self.control.clock + 1
  local answer = self:call("POST", "/accounts", { name = name })
  assert(answer.status == 200, answer.raw)
  return answer.body.result.id
end

function Gate:close()
  if self.app.store then self.app:stop() end
  os.execute("rm -rf '" .. self.directory .. "'")
end

--- Starts an application. Returns nil and the diagnostic when it does not start.
---@param options { directory: string|nil, control: table|nil, config: table|nil }|nil
---@return table|nil gate
---@return table|nil diagnostic
function M.start(options)
  options = options or {}
  local boot = require "moongate.admin.boot"
  local gate = setmetatable({
    directory = options.directory or M.directory(), control = options.control or M.control(), log = {},
  }, Gate)
  -- The specs' clock stands still: without limits, or all requests of a spec would fall into one second.
  local config = { data_dir = gate.directory .. "/data", admin = { requests = 0, requests_per_second = 0 } }
  for key, value in pairs(options.config or {}) do config[key] = value end
  local app, diag = boot.start {
    config = config, control = gate.control,
    log = function(level, text) gate.log[#gate.log + 1] = level .. " " .. text end,
  }
  if not app then return nil, diag end
  gate.app = app
  if app.store then
    gate.owner = gate:token()
    app.store:read(function(tx)
      gate.account_id = tx:one("SELECT id FROM accounts WHERE name = 'default'").id
      return true
    end)
  end
  return gate
end

--- True when the log has a line with this text.
function Gate:logged(text)
  for _, line in ipairs(self.log) do
    if line:find(text, 1, true) then return true end
  end
  return false
end

return M
