-- Joins a server session of ours with a client in memory: a client of OpenSSL's own (so that it can misbehave), or a client
-- session of ours. Bytes travel as Lua strings, so a spec may look at them or cut them on the way.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C
local M = {}

local registry = debug.getregistry()
local chooser = registry["moongate.spec.chooser"]
if not chooser then
  local path = certs.directory() .. "/choose.so"
  assert(os.execute(("%s -shared -fPIC -Icore spec/support/tls_choose.c -o %s"):format(os.getenv("CC") or "cc", path)) == 0)
  ffi.cdef [[
    struct spec_terms { const char *name; struct moon_tls_policy *policy; struct moon_trust *trust; bool resumable; };
    struct spec_index { int calls; char asked[256]; int count; struct spec_terms terms[8]; };
    struct moon_tls_choice spec_choose(void *data, struct moon_str sni);
  ]]
  -- The directory of the certificates goes with this module, the loaded library does not need its file.
  chooser = ffi.load(path)
  registry["moongate.spec.chooser"] = chooser
end

local SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_CTRL_SET_MIN, SSL_CTRL_SET_MAX, SSL_CTRL_SET_GROUPS = 55, 123, 124, 92
local WANT_READ, ZERO_RETURN = 2, 6
local CEILING = 1024 * 1024

local function new_wire()
  local out = ffi.new("struct moon_buf[1]")
  C.moon_buf_init(out, CEILING)
  local wire = ffi.new("struct moon_tls_wire[1]")
  wire[0].out = out
  return { raw = wire, out = ffi.gc(out, C.moon_buf_free), keep = {} }
end

-- What was appended to the wire since the last look.
local function drain(wire)
  local view = ffi.string(wire.out[0].data == nil and "" or wire.out[0].data + wire.out[0].start, wire.out[0].len)
  wire.out[0].start, wire.out[0].len = 0, 0
  return view
end

local Session = {}
Session.__index = Session

local function wrap(session)
  assert(session ~= nil)
  local free = function(pointer) C.moon_tls_session_free(ffi.new("struct moon_tls_session *[1]", pointer)) end
  return setmetatable({ raw = ffi.gc(session, free), wire = new_wire(), received = "" }, Session)
end

local function acceptor_of(terms)
  if not terms.acceptor then
    local acceptor = ffi.new("struct moon_tls_acceptor *[1]")
    local sessions
    if terms.sessions then
      sessions = C.moon_tls_sessions_new(terms.sessions)
      terms.table = sessions -- freed by nobody: it has to outlive every context of the process
    end
    assert(C.moon_tls_acceptor_new(acceptor, sessions, nil) == 0)
    terms.acceptor = ffi.gc(acceptor, C.moon_tls_acceptor_free)
  end
  return terms.acceptor[0]
end

--- A server session. `terms` is a list of { name = "a.test" or nil, policy =, trust =, resumable = }, with `sessions` a number when
--- that many are to be kept for resumption; sessions with the same list come from
--- the same acceptor, as in the gateway.
function M.server(terms)
  local index = ffi.new("struct spec_index[1]")
  for i, entry in ipairs(terms) do
    index[0].terms[i - 1].name = entry.name
    index[0].terms[i - 1].policy = entry.policy
    index[0].terms[i - 1].trust = entry.trust
    index[0].terms[i - 1].resumable = entry.resumable or false
  end
  index[0].count = #terms
  local choose = ffi.cast("moon_tls_choose_fn", chooser.spec_choose)
  local server = wrap(C.moon_tls_session_accept(acceptor_of(terms), choose, index))
  server.index, server.terms = index, terms
  return server
end

--- A client session of ours toward `name`; nil when the name is refused.
function M.client(client, name)
  local raw = C.moon_tls_session_connect(client, tls.str(name))
  if raw == nil then return nil end
  return wrap(raw)
end

--- One turn: takes bytes in, goes on with the handshake or reads; what is to be sent stays in the wire until output().
---@return string state as in moon/base error names: "OK", "EAGAIN", "ETLS", "ECLOSED"
function Session:feed(bytes)
  local wire = self.wire.raw
  self.window = bytes
  wire[0]["in"] = tls.str(bytes)
  local code = 0
  if not C.moon_tls_session_established(self.raw) then
    code = C.moon_tls_session_handshake(self.raw, wire)
  end
  local room, got = ffi.new("char[4096]"), ffi.new("size_t[1]")
  while code == 0 do
    code = C.moon_tls_session_read(self.raw, wire, room, 4096, got)
    if code == 0 then self.received = self.received .. ffi.string(room, got[0]) end
  end
  assert(code ~= -20007 or wire[0]["in"].len == 0, "the window must be drained")
  return tls.errors[code]
end

function Session:write(text) return tls.errors[C.moon_tls_session_write(self.raw, self.wire.raw, tls.str(text))] end
function Session:shutdown() C.moon_tls_session_shutdown(self.raw, self.wire.raw) end
function Session:output() return drain(self.wire) end
function Session:established() return C.moon_tls_session_established(self.raw) end
function Session:failure() return ffi.string(C.moon_tls_session_failure(self.raw)) end
function Session:name() return tls.text(C.moon_tls_session_server_name(self.raw)) end
function Session:peer() return C.moon_tls_session_peer(self.raw) end
function Session:certificate_refused() return C.moon_tls_session_certificate_refused(self.raw) end
function Session:version() return ffi.string(C.moon_tls_session_version(self.raw)) end
function Session:cipher() return ffi.string(C.moon_tls_session_cipher(self.raw)) end

local Client = {}
Client.__index = Client

--- A client of OpenSSL's: { name, certificate (of certs), chain (PEM list beside it), version, alpn, groups, ciphers, signatures,
--- session }.
function M.openssl(options)
  local ctx = ffi.gc(C.SSL_CTX_new(C.TLS_client_method()), C.SSL_CTX_free)
  C.SSL_CTX_set_security_level(ctx, 0)
  if options.version then
    C.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN, options.version, nil)
    C.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MAX, options.version, nil)
  end
  if options.groups then assert(C.SSL_CTX_ctrl(ctx, SSL_CTRL_SET_GROUPS, 0, ffi.cast("char *", options.groups)) == 1) end
  if options.ciphers then assert(C.SSL_CTX_set_cipher_list(ctx, options.ciphers) == 1) end
  if options.signatures then -- SSL_CTRL_SET_SIGALGS_LIST
    assert(C.SSL_CTX_ctrl(ctx, 98, 0, ffi.cast("char *", options.signatures)) == 1)
  end
  if options.alpn then C.SSL_CTX_set_alpn_protos(ctx, options.alpn, #options.alpn) end
  local keep = {}
  if options.certificate then
    keep[1], keep[2] = tls.x509(options.certificate.pem), tls.private_key(options.certificate.key)
    assert(C.SSL_CTX_use_certificate(ctx, keep[1]) == 1 and C.SSL_CTX_use_PrivateKey(ctx, keep[2]) == 1)
    for _, pem in ipairs(options.chain or {}) do
      keep[#keep + 1] = tls.x509(pem)
      assert(C.SSL_CTX_ctrl(ctx, 89, 1, keep[#keep]) == 1) -- SSL_CTRL_CHAIN_CERT, counted
    end
  end
  local ssl = ffi.gc(C.SSL_new(ctx), C.SSL_free)
  local input, output = C.BIO_new(C.BIO_s_mem()), C.BIO_new(C.BIO_s_mem())
  C.SSL_set_bio(ssl, input, output)
  C.SSL_set_connect_state(ssl)
  if options.name then C.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, ffi.cast("char *", options.name)) end
  if options.session then assert(C.SSL_set_session(ssl, options.session) == 1) end
  return setmetatable({ ssl = ssl, ctx = ctx, input = input, to_send = output, keep = keep, received = "" }, Client)
end

function Client:output()
  local size = tonumber(C.BIO_ctrl_pending(self.to_send))
  local room = ffi.new("char[?]", size + 1)
  if size > 0 then C.BIO_read(self.to_send, room, size) end
  return ffi.string(room, size)
end

--- Takes bytes in and reads. Returns "OK", "EAGAIN", "ECLOSED" or the reason of the failure.
function Client:feed(bytes)
  if self.failure then return self.failure end
  if #bytes > 0 then C.BIO_write(self.input, bytes, #bytes) end
  C.ERR_clear_error()
  if not self.done then
    local rc = C.SSL_do_handshake(self.ssl)
    if rc ~= 1 then return self:result(rc) end
    self.done = true
  end
  local room = ffi.new("char[4096]")
  while true do
    local rc = C.SSL_read(self.ssl, room, 4096)
    if rc <= 0 then return self:result(rc) end
    self.received = self.received .. ffi.string(room, rc)
  end
end

function Client:result(rc)
  local error = C.SSL_get_error(self.ssl, rc)
  if error == WANT_READ then return "EAGAIN" end
  if error == ZERO_RETURN then return "ECLOSED" end
  local reason = C.ERR_reason_error_string(C.ERR_peek_last_error())
  self.failure = reason ~= nil and ffi.string(reason) or "unknown"
  return self.failure
end

function Client:write(text) return C.SSL_write(self.ssl, text, #text) end
function Client:version() return ffi.string(C.SSL_get_version(self.ssl)) end

--- Carries bytes between both sides until neither has any more to say. `change` may replace what the client sends.
---@return string server_state
---@return string client_state
function M.join(server, client, change)
  local server_state, client_state = "EAGAIN", "EAGAIN"
  for _ = 1, 50 do
    local to_client = server:output()
    client_state = client:feed(to_client)
    local to_server = client:output()
    if change then to_server = change(to_server) end
    if to_server == "" and to_client == "" then break end
    if to_server ~= "" then server_state = server:feed(to_server) end
  end
  return server_state, client_state
end

--- Replaces the first occurrence of a plain string.
function M.replace(bytes, from, to)
  local first, last = bytes:find(from, 1, true)
  return first and bytes:sub(1, first - 1) .. to .. bytes:sub(last + 1) or bytes
end

--- The records of a flight cut into records of one byte each (handshake records only).
function M.shred(bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local type, major, minor, high, low = bytes:byte(at, at + 4)
    local length = high * 256 + low
    local body = bytes:sub(at + 5, at + 4 + length)
    if type == 22 then
      for i = 1, length do out[#out + 1] = string.char(22, major, minor, 0, 1) .. body:sub(i, i) end
    else
      out[#out + 1] = bytes:sub(at, at + 4 + length)
    end
    at = at + 5 + length
  end
  return table.concat(out)
end

return M
