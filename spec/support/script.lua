-- Floor 4 as a spec wants it: a control plane without a gateway (moongate.control over a local CA in a temporary directory) and
-- workers that are asked directly, through the very hooks that the gateway calls. Used by spec/core/script and spec/lua.
--
--   local control = script.control()                         -- the module moongate.control, attached
--   local worker = script.worker()
--   worker:adopt(control.snapshot(1, { assert(control.section(document)) }))
--   local verdict = worker:ask { host = "api.example.com", path = "/" }   -- { action = "block", rule_id = "…", … }

local certs = require "spec.support.certs"
local unit = require "spec.support.unit"
local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

local M = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- A struct of a header that has parts LuaJIT cannot read.
local function struct_of(header, name)
  return unit.declarations("\n" .. assert(read("core/" .. header):match("struct " .. name .. " {.-\n};"))) .. "\n"
end

ffi.cdef(unit.declarations("\n" .. read "core/gate/snapshot.h"))
ffi.cdef(struct_of("script/control.h", "moon_control"))
ffi.cdef(struct_of("gate/hooks.h", "moon_hooks"))
ffi.cdef(struct_of("script/phases.h", "moon_script_options"))
ffi.cdef(struct_of("gate/handler.h", "moon_handler_request") .. struct_of("gate/handler.h", "moon_handler_response")
  .. struct_of("gate/handler.h", "moon_handler"))
ffi.cdef [[
struct moon_log;
struct lua_State;
struct moon_plane;
void moon_crypto_init(void);
struct moon_log *moon_log_open(int fd, void *sink, void *data, int level);
void moon_log_close(struct moon_log **log);
struct moon_log_channel *moon_log_channel_open(struct moon_log *log);
int moon_local_ca_open(struct moon_local_ca **out, const char *certificate_path, const char *key_path, struct moon_diag *diag);
void moon_script_hooks(struct moon_hooks *hooks, struct moon_script_options *options);
struct lua_State *moon_vm_open(const char *source_dir, struct moon_diag *diag);
void moon_vm_close(struct lua_State **state);
int moon_vm_require(struct lua_State *L, const char *name, struct moon_diag *diag);
int moon_vm_call(struct lua_State *L, int arguments, int results, struct moon_diag *diag, char *trace, size_t trace_size);
int moon_plane_new(struct moon_plane **out, struct lua_State *L, struct moon_control *control, struct moon_diag *diag);
void moon_plane_handler(struct moon_plane *plane, struct moon_handler *handler);
int moon_plane_start(struct moon_plane *plane, int config, struct moon_diag *diag);
void moon_plane_tick(struct moon_plane *plane);
void moon_plane_stop(struct moon_plane **plane);
int luaL_loadstring(struct lua_State *L, const char *source);
int lua_pcall(struct lua_State *L, int arguments, int results, int handler);
const char *lua_tolstring(struct lua_State *L, int index, size_t *len);
void lua_settop(struct lua_State *L, int index);
int lua_gettop(struct lua_State *L);
int open(const char *path, int flags, ...);
int close(int fd);
]]

C.moon_crypto_init()

local O_WRONLY_CREAT_TRUNC = 1 + 0x40 + 0x200

--- A log into a file of its own.
---@return table log { channel, lines() } lines() closes it and gives what was written
function M.log()
  local path = certs.write("", ".log")
  local fd = C.open(path, O_WRONLY_CREAT_TRUNC, ffi.cast("int", 384))
  assert(fd >= 0)
  local box = ffi.new("struct moon_log *[1]", C.moon_log_open(fd, nil, nil, 3))
  local log = { channel = C.moon_log_channel_open(box[0]) }
  function log.close()
    if box[0] ~= nil then
      C.moon_log_close(box)
      C.close(fd)
    end
  end
  function log.lines()
    log.close()
    return read(path)
  end
  return log
end

local local_ca

--- moongate.control, attached to a control struct without a gateway.
---@return table control
---@return ffi.cdata* struct moon_control
function M.control(log)
  if not local_ca then
    local box, diag = ffi.new("struct moon_local_ca *[1]"), ffi.new("struct moon_diag")
    local base = certs.directory() .. "/script-local-ca"
    assert(C.moon_local_ca_open(box, base .. ".pem", base .. ".key", diag) == 0, ffi.string(diag.text))
    local_ca = box[0]
  end
  local struct = ffi.new("struct moon_control")
  struct.local_ca = local_ca
  struct.log = log and log.channel or nil
  local control = require "moongate.control"
  control.attach(struct)
  return control, struct
end

-- ---- workers ----

local ACTIONS = { [0] = "pass", "block", "fail" }
local Worker = {}
Worker.__index = Worker

--- A worker's state, as the gateway opens it.
---@param options { source_dir: string|nil, policies: ffi.cdata*|nil }|nil policies: struct moon_policies *
---@return table worker
function M.worker(options)
  local self = setmetatable({ log = M.log() }, Worker)
  self.options = ffi.new("struct moon_script_options")
  self.source_dir = options and options.source_dir
  self.options.source_dir = self.source_dir
  self.options.policies = options and options.policies or nil
  self.hooks = ffi.new("struct moon_hooks")
  C.moon_script_hooks(self.hooks, self.options)
  self.facts, self.verdict = ffi.new("struct moon_facts"), ffi.new("struct moon_verdict")
  self.state = ffi.new("void *[1]")
  local diag = ffi.new("struct moon_diag")
  local rc = self.hooks.open(self.hooks.data, self.state, self.facts, self.verdict, self.log.channel, diag)
  if rc ~= 0 then return nil, ffi.string(diag.text) end
  return self
end

--- Adopts a snapshot of moongate.control.
---@return true|nil
---@return string|nil message
function Worker:adopt(snapshot)
  local diag = ffi.new("struct moon_diag")
  if self.hooks.adopt(self.state[0], snapshot.handle, diag) ~= 0 then return nil, ffi.string(diag.text) end
  self.snapshot = snapshot
  return true
end

local DEFAULTS = { method = "GET", uri = "/", path = "/", query = "", user_agent = "spec", ray = "0123456789abcdef" }

--- Fills the facts of one request.
---@param request table host, members of struct moon_facts by name, `ip` as raw bytes, `certificate` as a table
function Worker:fill(request)
  local facts = self.facts
  local kept = {}
  local function set(view, text)
    kept[#kept + 1] = text
    view.data, view.len = text, #text
  end
  set(facts.http_host, request.host)
  for name, default in pairs(DEFAULTS) do set(facts[name], request[name] or default) end
  local ip = request.ip or "\192\0\2\1"
  ffi.copy(facts.ip, ip, #ip)
  facts.ip_len = #ip
  facts.ssl = request.ssl ~= false
  facts.minor_version = request.minor_version or 1
  local certificate = request.certificate or {}
  facts.certificate.presented = certificate.presented or false
  facts.certificate.verified = certificate.verified or false
  facts.certificate.revoked = certificate.revoked or false
  facts.certificate.peer = certificate.peer
  facts.host = C.moon_snapshot_find(self.snapshot.handle, unit.str(request.host))
  facts.host_id = facts.host ~= nil and facts.host.id or 0
  self.kept = kept
end

--- What the rules say to the facts as they are.
function Worker:decide()
  self.hooks.rules(self.state[0])
end

---@param request table as for fill()
---@return table verdict { action, status, content, content_type, rule_id, matches }
function Worker:ask(request)
  self:fill(request)
  self:decide()
  local verdict = self.verdict
  local matches = {}
  for i = 1, verdict.match_count do matches[i] = unit.text(verdict.matches[i - 1]) end
  return {
    action = ACTIONS[verdict.action], status = verdict.status, content = unit.text(verdict.content),
    content_type = unit.text(verdict.content_type), rule_id = unit.text(verdict.rule_id), matches = matches,
  }
end

--- Ends the worker and gives what it logged.
---@return string
function Worker:close()
  self.hooks.close(self.state[0])
  return self.log.lines()
end

return M
