-- A gateway inside the specs' own process, without Lua hooks: the floors up to gate/ as the unit library has them, driven
-- through FFI. Its workers are threads of this process; the control loop runs only when told to (pump, close). Beside it
-- an origin whose every byte the spec writes itself. For spec/core/gate; whole programs are spec/flow's.
--
--   local server = gate.origin()
--   local gateway = gate.start { hosts = { ["a.test"] = { origin = server.port } } }
--   local client = gateway:connect()            -- spec/support/client.lua, plain; { tls = true, sni = … } for TLS
--   client:send(…)   local peer = server:accept()   peer:request()   peer:send(…)   peer:reset()
--   gateway:close()   server:close()

local ffi = require "ffi"
local certs = require "spec.support.certs"
local net = require "spec.support.client"
local shell = require "spec.support.shell"
local unit = require "spec.support.unit"
local wait = require "spec.support.wait"

local M = {}

local DECLARATIONS = [[
typedef struct uv_loop_s uv_loop_t;
size_t uv_loop_size(void);
int uv_loop_init(uv_loop_t *);
int uv_loop_close(uv_loop_t *);
int uv_run(uv_loop_t *, int mode);

struct moon_tls_terms {
  int min_version; struct moon_str certificates; struct moon_str private_key; struct moon_str second_certificates;
  struct moon_str second_private_key; int max_version; const struct moon_str *ciphers; size_t cipher_count;
  void *leaf; void *issuer; void *key; bool strict_name;
};
struct moon_tls_policy;
int moon_tls_policy_new(struct moon_tls_policy **out, const struct moon_tls_terms *terms, struct moon_diag *diag);
void moon_tls_policy_unref(struct moon_tls_policy **policy);
struct moon_trust;
struct moon_trust_crl;
struct moon_trust_denial { struct moon_str ca; struct moon_str certificate; };
struct moon_trust_options {
  const struct moon_str *pems; size_t pem_count; const struct moon_trust_crl *crls; size_t crl_count;
  const struct moon_trust_denial *denials; size_t denial_count; int usage;
};
int moon_trust_build(struct moon_trust **out, const struct moon_trust_options *options, struct moon_diag *diag);
void moon_trust_unref(struct moon_trust **trust);
struct moon_tls_client;
void moon_crypto_init(void);
]]

local SOCKETS = [[
struct moon_spec_poll { int fd; short events; short revents; };
struct moon_spec_linger { int on; int seconds; };
int bind(int fd, const void *address, unsigned len);
int listen(int fd, int backlog);
int accept(int fd, void *address, unsigned *len);
int getsockname(int fd, void *address, unsigned *len);
int poll(struct moon_spec_poll *fds, unsigned long count, int milliseconds);
int open(const char *path, int flags, ...);
uint16_t ntohs(uint16_t port);
void *dlopen(const char *path, int flags);
]]

local registry = debug.getregistry()
if not registry["moongate.spec.gate"] then
  ffi.cdef(SOCKETS)
  registry["moongate.spec.gate"] = { next_host_id = ffi.new("uint32_t[1]", 1) }
end
local memory = registry["moongate.spec.gate"]

-- What is declared already is passed over (spec/support/tree.lua).
unit.load { "base/str.h", "base/buf.h" }
ffi.cdef "struct moon_diag { char where[256]; char text[768]; };"
ffi.cdef(DECLARATIONS)
M.C = unit.load { "base/log.h", "gate/origin_terms.h", "gate/snapshot.h", "gate/options.h", "gate/gateway.h" }
local C = M.C

-- A spec that fails leaves its gateway behind, whose threads must not find the code gone when the process ends.
local RTLD_NOW, RTLD_NODELETE = 2, 0x1000
local function keep_loaded(path) assert(ffi.C.dlopen(path, RTLD_NOW + RTLD_NODELETE) ~= nil) end
keep_loaded(unit.library():find("/", 1, true) and unit.library() or "./" .. unit.library())

local function diag() return ffi.new("struct moon_diag[1]") end
local function told(box) return { where = ffi.string(box[0].where), text = ffi.string(box[0].text) } end
M.diag, M.told = diag, told

--- A certificate and key for the names of the specs, made once per run.
function M.identity()
  if not memory.identity then
    local root = certs.ca "Gate specs"
    memory.identity = certs.leaf(root, { cn = "a.test", eku = "serverAuth", san = "DNS:a.test,DNS:b.test,DNS:*.test" })
    memory.identity.root = root.path
  end
  return memory.identity
end

--- A TLS policy of that certificate.
function M.policy()
  if not memory.policy then
    local identity = M.identity()
    local terms, box, out = ffi.new("struct moon_tls_terms"), diag(), ffi.new("struct moon_tls_policy *[1]")
    local chain, key = identity.pem, identity.key
    terms.min_version, terms.certificates, terms.private_key = 0x303, unit.str(chain), unit.str(key)
    assert(C.moon_tls_policy_new(out, terms, box) == 0, told(box).text)
    memory.policy = out[0]
  end
  return memory.policy
end

--- Terms of an origin: `options` as in struct moon_origin_options. nil and a diagnostic when they are refused.
function M.origin_terms(options)
  local given, box, out = ffi.new("struct moon_origin_options"), diag(), ffi.new("struct moon_origin_terms *[1]")
  for _, name in ipairs { "url", "host_header", "sni", "ca", "certificates", "private_key", "addresses" } do
    if options[name] then given[name] = unit.str(options[name]) end
  end
  given.verify, given.request_name = options.verify ~= false, options.request_name == true
  if C.moon_origin_terms_new(out, given, box) ~= 0 then
    assert(out[0] == nil)
    return nil, told(box)
  end
  return ffi.gc(out[0], function(terms) C.moon_origin_terms_unref(ffi.new("struct moon_origin_terms *[1]", terms)) end)
end

--- A trust set of one CA.
---@param pem string
---@param revoked string|nil SHA-256 of a certificate, 64 hex digits
function M.trust(pem, revoked)
  local box, out, options = diag(), ffi.new("struct moon_trust *[1]"), ffi.new("struct moon_trust_options")
  local pems, denials = ffi.new("struct moon_str[1]", unit.str(pem)), ffi.new("struct moon_trust_denial[1]")
  options.pems, options.pem_count, options.denials, options.denial_count = pems, 1, denials, revoked and 1 or 0
  if revoked then denials[0].certificate = unit.str(revoked) end
  assert(C.moon_trust_build(out, options, box) == 0, told(box).text)
  return ffi.gc(out[0], function(trust) C.moon_trust_unref(ffi.new("struct moon_trust *[1]", trust)) end)
end

-- The members of struct moon_host_terms that are plain values.
local PLAIN_TERMS = { "forward", "no_resumption", "https_only", "no_websockets", "true_client_ip", "strict_sni",
  "metadata" }

--- A sealed section of `domain` with `hosts`: { [name] = { origin = port or URL, trust = …, and what else struct
--- moon_host_terms has } }, or a list of { name, … }.
function M.section(domain, hosts, rules)
  local section = C.moon_section_new(unit.str(domain), unit.str(rules or ""), M.policy())
  section = ffi.gc(section, function(it) C.moon_section_unref(ffi.new("struct moon_section *[1]", it)) end)
  local list = {}
  for name, host in pairs(hosts) do
    list[#list + 1] = type(name) == "number" and host or setmetatable({ name }, { __index = host })
  end
  local box = diag()
  for _, host in ipairs(list) do
    local origin, terms = host.origin, ffi.new("struct moon_host_terms")
    if type(origin) == "number" then origin = { url = "http://127.0.0.1:" .. origin } end
    origin = origin and assert(M.origin_terms(origin))
    terms.trust, terms.origin = host.trust, origin
    for _, member in ipairs(PLAIN_TERMS) do terms[member] = host[member] or terms[member] end
    local add = host.guest and C.moon_section_add_guest or C.moon_section_add
    if add(section, unit.str(host[1]), terms, box) ~= 0 then return nil, told(box) end
  end
  C.moon_section_seal(section, memory.next_host_id)
  return section
end

--- A snapshot of sections; nil and a diagnostic when they are refused.
function M.snapshot(generation, sections, fallback)
  local array, out, box = ffi.new("struct moon_section *[?]", #sections + 1), ffi.new("struct moon_snapshot *[1]"), diag()
  for i, section in ipairs(sections) do array[i - 1] = section end
  if C.moon_snapshot_new(out, generation, array, #sections, fallback, box) ~= 0 then
    assert(out[0] == nil)
    return nil, told(box)
  end
  return ffi.gc(out[0], function(it) C.moon_snapshot_unref(ffi.new("struct moon_snapshot *[1]", it)) end)
end

--- Default options with `change` (a function) applied.
function M.options(change)
  local options = ffi.new("struct moon_options[1]")
  C.moon_options_init(options)
  options[0].workers = 1
  if change then change(options[0]) end
  return options
end

--- The library of spec/core/gate/*.c, with those declarations.
function M.helpers(declarations)
  local path = (os.getenv("MOONGATE_BUILD_DIR") or "build/dev") .. "/libmoongate_spec.so"
  memory.helpers = memory.helpers or ffi.load(path)
  keep_loaded(path)
  ffi.cdef(declarations)
  return memory.helpers
end

--- Hooks whose rules go by the path (spec/core/gate/hooks.c).
function M.hooks(settings)
  local helpers = M.helpers "struct moon_hooks *moon_spec_hooks_new(bool refuse_to_open, uint64_t refuse_to_adopt);"
  settings = settings or {}
  return helpers.moon_spec_hooks_new(settings.refuse_to_open or false, settings.refuse_to_adopt or 0)
end

--- A handler that answers as many bytes as the query says.
function M.handler(body_ceiling)
  return M.helpers("struct moon_handler *moon_spec_handler_new(size_t body_ceiling);").moon_spec_handler_new(body_ceiling)
end

local Gateway = {}
Gateway.__index = Gateway

local function port_of(gateway, kind)
  local text = ffi.new("char[64]")
  if not C.moon_gateway_address(gateway, kind, 0, text, 64) then return nil end
  return tonumber(ffi.string(text):match(":(%d+)$"))
end

--- Starts a gateway on ports of the system's choice and publishes its first snapshot.
---@param settings { hosts: table, domain: string|nil, options: function|nil, level: integer|nil, hooks: ffi.cdata*|nil,
---                  handler: ffi.cdata*|nil, unpublished: boolean|nil }
function M.start(settings)
  C.moon_crypto_init()
  local self = setmetatable({ generation = 0, domain = settings.domain or "test" }, Gateway)
  self.options = M.options(function(options)
    options.listen[0], options.listen_http[0] = "127.0.0.1:0", "127.0.0.1:0"
    if settings.options then settings.options(options) end
  end)
  self.loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
  self.loop = ffi.cast("uv_loop_t *", self.loop_memory)
  assert(C.uv_loop_init(self.loop) == 0)
  self.directory = shell.directory "gate"
  self.log_fd = ffi.C.open(self.directory .. "/log", 1 + 64 + 512, ffi.cast("int", 384))
  self.log = ffi.new("struct moon_log *[1]", C.moon_log_open(self.log_fd, nil, nil, settings.level or 3))
  local out, box = ffi.new("struct moon_gateway *[1]"), diag()
  local rc = C.moon_gateway_new(out, self.loop, self.options, settings.hooks, settings.handler, self.log[0], box)
  if rc ~= 0 then
    C.uv_run(self.loop, 0)
    self:free()
    return nil, told(box)
  end
  self.gateway = out[0]
  self.https, self.http, self.admin = port_of(self.gateway, 0), port_of(self.gateway, 1), port_of(self.gateway, 2)
  if not settings.unpublished then assert(self:publish(settings.hosts)) end
  return self
end

--- Publishes hosts as M.section takes them. 0 expected: true, or nil and a diagnostic.
function Gateway:publish(hosts, seconds)
  self.generation = self.generation + 1
  local box = diag()
  local snapshot = assert(M.snapshot(self.generation, { assert(M.section(self.domain, hosts)) }, M.policy()))
  if C.moon_gateway_publish(self.gateway, snapshot, (seconds or 10) * 1000, box) ~= 0 then return nil, told(box) end
  return true
end

--- A client connection; plain unless options.tls.
function Gateway:connect(options)
  options = options or {}
  if options.tls then
    local given = { port = self.https, sni = options.sni, ca = M.identity().root, timeout = options.timeout }
    for _, name in ipairs { "cert", "key", "version", "resume" } do given[name] = options[name] end
    return assert(net.connect(given))
  end
  return assert(net.connect { port = self.http, tls = false, timeout = options.timeout })
end

function Gateway:counters()
  local sum = ffi.new("struct moon_counters[1]")
  C.moon_gateway_counters(self.gateway, sum)
  local all = {}
  for _, name in ipairs { "connections", "open", "handshakes", "handshakes_failed", "requests", "blocked", "misdirected",
    "refused", "origin_failed" } do all[name] = tonumber(sum[0][name]) end
  return all
end

--- Waits until a counter has a value.
function Gateway:await(name, value, seconds)
  return wait.until_true(("%s = %d"):format(name, value), function() return self:counters()[name] == value end, seconds)
end

--- What the log has by now.
function Gateway:log_text() return shell.read(self.directory .. "/log") or "" end

--- Waits for a line of the log with `text` in it.
function Gateway:await_log(text, seconds)
  return wait.until_true("a log line with " .. text, function()
    for line in self:log_text():gmatch("[^\n]+") do
      if line:find(text, 1, true) then return line end
    end
  end, seconds)
end

--- Begins the end: no new connections, running requests may finish. `pump` lets the control loop go on.
function Gateway:drain() C.moon_gateway_close(self.gateway, nil, nil) end
function Gateway:pump() return C.uv_run(self.loop, 2) end

--- Lets the control loop run beside the spec, as it must for the admin listener to answer. Until close() nothing but clients and
--- counters may be used.
function Gateway:run()
  self.helpers = M.helpers [[
    struct moon_spec_pump *moon_spec_pump_start(uv_loop_t *loop);
    void moon_spec_pump_stop(struct moon_spec_pump *pump);
  ]]
  self.running = self.helpers.moon_spec_pump_start(self.loop)
end

function Gateway:free()
  C.moon_log_close(self.log)
  assert(C.uv_loop_close(self.loop) == 0)
  ffi.C.close(self.log_fd)
  self.final_log = shell.read(self.directory .. "/log")
  shell.remove_directory(self.directory)
end

--- Ends everything now and waits for it.
function Gateway:close()
  if not self.gateway then return end
  if self.running then self.helpers.moon_spec_pump_stop(self.running) end
  C.moon_gateway_close(self.gateway, nil, nil)
  C.moon_gateway_close(self.gateway, nil, nil)
  C.uv_run(self.loop, 0)
  self.gateway = nil
  self:free()
end

--- Runs the control loop to its end after drain().
function Gateway:finish()
  C.uv_run(self.loop, 0)
  self.gateway = nil
  self:free()
end

-- ---- the origin ----

local Origin, Peer = {}, {}
Origin.__index, Peer.__index = Origin, Peer

local POLLIN = 1

local function readable(fd, seconds)
  local item = ffi.new("struct moon_spec_poll[1]", { { fd = fd, events = POLLIN } })
  return ffi.C.poll(item, 1, seconds * 1000) > 0
end

--- A listening socket on a port of the system's choice. `receive_buffer`: SO_RCVBUF of what it accepts.
function M.origin(options)
  options = options or {}
  local fd = ffi.C.socket(2, 1, 0)
  if options.receive_buffer then
    ffi.C.setsockopt(fd, 1, 8, ffi.new("int[1]", options.receive_buffer), 4)
  end
  local address = ffi.new("struct moon_spec_address[1]", { { family = 2, ip = ffi.C.htonl(0x7f000001) } })
  local len = ffi.new("unsigned[1]", ffi.sizeof(address))
  assert(ffi.C.bind(fd, address, len[0]) == 0 and ffi.C.listen(fd, 64) == 0)
  assert(ffi.C.getsockname(fd, address, len) == 0)
  return setmetatable({ fd = fd, port = ffi.C.ntohs(address[0].port) }, Origin)
end

--- The next connection; an error when none comes in time.
function Origin:accept(seconds)
  if not readable(self.fd, seconds or 10) then error("no connection came to the origin", 2) end
  local fd = ffi.C.accept(self.fd, nil, nil)
  assert(fd >= 0)
  return setmetatable({ fd = fd, input = "" }, Peer)
end

--- Has a connection come within that time?
function Origin:is_called(seconds) return readable(self.fd, seconds or 0.3) end

function Origin:close()
  if self.fd then ffi.C.close(self.fd) end
  self.fd = nil
end

local room = ffi.new("char[65536]")

--- What is there next; nil and "closed", "reset" or "silent".
function Peer:receive(seconds)
  if not readable(self.fd, seconds or 10) then return nil, "silent" end
  local count = tonumber(ffi.C.recv(self.fd, room, 65536, 0))
  if count > 0 then return ffi.string(room, count) end
  return nil, count == 0 and "closed" or "reset"
end

--- Reads until `pattern` (plain text) stands in what came; gives back everything up to its end.
function Peer:receive_until(text, seconds)
  while true do
    local _, last = self.input:find(text, 1, true)
    if last then
      local taken = self.input:sub(1, last)
      self.input = self.input:sub(last + 1)
      return taken
    end
    local bytes, err = self:receive(seconds)
    if not bytes then error(("the origin waited for %q: %s after %q"):format(text, err, self.input:sub(-200)), 2) end
    self.input = self.input .. bytes
  end
end

--- Reads to the end of the connection.
---@return string bytes
---@return string "closed" or "reset"
function Peer:receive_all(seconds)
  local pieces = { self.input }
  self.input = ""
  while true do
    local bytes, err = self:receive(seconds)
    if not bytes then return table.concat(pieces), err end
    pieces[#pieces + 1] = bytes
  end
end

--- The head of the next request, as text.
function Peer:request(seconds) return self:receive_until("\r\n\r\n", seconds) end

function Peer:send(bytes)
  local sent = 0
  while sent < #bytes do
    local count = tonumber(ffi.C.send(self.fd, ffi.cast("const char *", bytes) + sent, #bytes - sent, 0x4000))
    if count < 0 then return nil, "closed" end
    sent = sent + count
  end
  return true
end

--- An answer with Content-Length.
function Peer:answer(status, body, fields)
  return self:send(("HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, #body, fields or "", body))
end

function Peer:end_sending() ffi.C.shutdown(self.fd, 1) end

function Peer:close()
  if self.fd then ffi.C.close(self.fd) end
  self.fd = nil
end

function Peer:reset()
  ffi.C.setsockopt(self.fd, 1, 13, ffi.new("struct moon_spec_linger", 1, 0), 8)
  self:close()
end

--- Ends a client of spec/support/client.lua with RST.
function M.reset(session)
  ffi.C.setsockopt(session.fd, 1, 13, ffi.new("struct moon_spec_linger", 1, 0), 8)
  session:close()
end

return M
