-- A client of flow specs that sends exactly the bytes it is told to: plain TCP or TLS, on sockets and libssl through FFI.
-- Every wait has a deadline (`timeout` seconds, default 10): a read or write that passes it raises "timeout".
--
--   local session = client.connect { port = 8443, sni = "a.test", ca = path, cert = path, key = path }
--   local answer = session:get("/x", { host = "a.test" })         -- answer.status, :field("cf-ray"), .body
--   session:send "GET / HTTP/1.1\r\n…"   session:response()   session:is_closed()   session:close()

local ffi = require "ffi"
local wait = require "spec.support.wait"
require "spec.support.shell" -- SIGPIPE

local registry = debug.getregistry()
if not registry["moongate.spec.client"] then
  ffi.cdef [[
    struct moon_spec_timeval { long seconds; long microseconds; };
    struct moon_spec_address { uint16_t family; uint16_t port; uint32_t ip; char zero[8]; };
    int socket(int domain, int type, int protocol);
    int connect(int fd, const void *address, unsigned len);
    int setsockopt(int fd, int level, int option, const void *value, unsigned len);
    int shutdown(int fd, int how);
    int close(int fd);
    ssize_t send(int fd, const void *data, size_t len, int flags);
    ssize_t recv(int fd, void *data, size_t len, int flags);
    uint16_t htons(uint16_t port);
    uint32_t htonl(uint32_t ip);

    typedef struct ssl_ctx_st SSL_CTX;
    typedef struct ssl_st SSL;
    const void *TLS_client_method(void);
    SSL_CTX *SSL_CTX_new(const void *method);
    void SSL_CTX_free(SSL_CTX *ctx);
    void SSL_CTX_set_verify(SSL_CTX *ctx, int mode, void *callback);
    int SSL_CTX_load_verify_locations(SSL_CTX *ctx, const char *file, const char *directory);
    int SSL_CTX_use_certificate_chain_file(SSL_CTX *ctx, const char *file);
    int SSL_CTX_use_PrivateKey_file(SSL_CTX *ctx, const char *file, int type);
    int SSL_CTX_set_cipher_list(SSL_CTX *ctx, const char *list);
    long SSL_CTX_ctrl(SSL_CTX *ctx, int command, long number, void *pointer);
    SSL *SSL_new(SSL_CTX *ctx);
    void SSL_free(SSL *ssl);
    int SSL_set_fd(SSL *ssl, int fd);
    long SSL_ctrl(SSL *ssl, int command, long number, void *pointer);
    int SSL_connect(SSL *ssl);
    int SSL_set_alpn_protos(SSL *ssl, const char *list, unsigned len);
    typedef struct bio_st BIO;
    BIO *BIO_new(const void *method);
    const void *BIO_s_mem(void);
    int BIO_read(BIO *bio, void *data, int len);
    int BIO_write(BIO *bio, const void *data, int len);
    void SSL_set_bio(SSL *ssl, BIO *input, BIO *output);
    int SSL_read(SSL *ssl, void *data, int len);
    int SSL_write(SSL *ssl, const void *data, int len);
    int SSL_shutdown(SSL *ssl);
    int SSL_get_error(const SSL *ssl, int rc);
    const char *SSL_get_version(const SSL *ssl);
    typedef struct ssl_session_st SSL_SESSION;
    SSL_SESSION *SSL_get1_session(SSL *ssl);
    int SSL_set_session(SSL *ssl, SSL_SESSION *session);
    int SSL_session_reused(const SSL *ssl);
    void SSL_set_shutdown(SSL *ssl, int mode);
    void SSL_SESSION_free(SSL_SESSION *session);
    unsigned long ERR_get_error(void);
    void ERR_clear_error(void);
    void ERR_error_string_n(unsigned long code, char *text, size_t len);
  ]]
  registry["moongate.spec.client"] = { ssl = ffi.load "ssl", crypto = ffi.load "crypto" }
end
local ssl = registry["moongate.spec.client"].ssl
local crypto = registry["moongate.spec.client"].crypto

local ERROR_SSL, ERROR_WANT_READ, ERROR_WANT_WRITE, ERROR_SYSCALL, ERROR_ZERO_RETURN = 1, 2, 3, 5, 6
local VERSIONS = { ["1.0"] = 0x301, ["1.1"] = 0x302, ["1.2"] = 0x303, ["1.3"] = 0x304 }
local CTRL_SET_TLSEXT_HOSTNAME, CTRL_SET_MIN_PROTO, CTRL_SET_MAX_PROTO = 55, 123, 124
local EAGAIN = 11

local M = {}
local Session = {}
Session.__index = Session

local function ssl_reason()
  local code = crypto.ERR_get_error()
  if code == 0 then return nil end
  local text = ffi.new("char[256]")
  crypto.ERR_error_string_n(code, text, 256)
  return ffi.string(text)
end

local function tcp(port, timeout)
  local fd = ffi.C.socket(2, 1, 0)
  local limit = ffi.new("struct moon_spec_timeval", math.floor(timeout), (timeout % 1) * 1e6)
  ffi.C.setsockopt(fd, 1, 20, limit, ffi.sizeof(limit))
  ffi.C.setsockopt(fd, 1, 21, limit, ffi.sizeof(limit))
  ffi.C.setsockopt(fd, 6, 1, ffi.new("int[1]", 1), 4)
  local address = ffi.new("struct moon_spec_address", { family = 2, port = ffi.C.htons(port), ip = ffi.C.htonl(0x7f000001) })
  if ffi.C.connect(fd, address, ffi.sizeof(address)) ~= 0 then
    ffi.C.close(fd)
    return nil, "connection refused"
  end
  return fd
end

local function context(options)
  local ctx = ssl.SSL_CTX_new(ssl.TLS_client_method())
  ssl.SSL_CTX_set_verify(ctx, options.ca and 1 or 0, nil)
  if options.ca then assert(ssl.SSL_CTX_load_verify_locations(ctx, options.ca, nil) == 1, "cannot read " .. options.ca) end
  if options.cert then
    assert(ssl.SSL_CTX_use_certificate_chain_file(ctx, options.cert) == 1, "cannot use " .. options.cert)
    assert(ssl.SSL_CTX_use_PrivateKey_file(ctx, options.key, 1) == 1, "cannot use " .. options.key)
  end
  local version = VERSIONS[options.version]
  if version then
    ssl.SSL_CTX_ctrl(ctx, CTRL_SET_MIN_PROTO, version, nil)
    ssl.SSL_CTX_ctrl(ctx, CTRL_SET_MAX_PROTO, version, nil)
    if version < VERSIONS["1.2"] then ssl.SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0") end
  end
  return ctx
end

-- A handshake whose ClientHello goes out as `split` makes it of the bytes that OpenSSL wrote. Everything after it is as usual.
local function connect_split(self, split)
  local input, output = ssl.BIO_new(ssl.BIO_s_mem()), ssl.BIO_new(ssl.BIO_s_mem())
  ssl.SSL_set_bio(self.ssl, input, output)
  local room = ffi.new("char[65536]")
  local function receive_exactly(len)
    local text = ""
    while #text < len do
      local count = tonumber(ffi.C.recv(self.fd, room, len - #text, 0))
      if count <= 0 then return nil end
      text = text .. ffi.string(room, count)
    end
    return text
  end
  local function send_all(bytes)
    assert(tonumber(ffi.C.send(self.fd, bytes, #bytes, 0x4000)) == #bytes)
  end
  local first = true
  while true do
    local rc = ssl.SSL_connect(self.ssl)
    local reason = rc ~= 1 and ssl.SSL_get_error(self.ssl, rc)
    local count = ssl.BIO_read(output, room, 65536)
    if count > 0 then
      local pieces = { ffi.string(room, count) }
      if first then pieces = split(pieces[1]) end
      for _, piece in ipairs(pieces) do send_all(piece) end
      first = false
    end
    if rc == 1 then break end
    local header = reason == ERROR_WANT_READ and receive_exactly(5) -- record by record, so that nothing is left over at the end
    local record = header and receive_exactly(header:byte(4) * 256 + header:byte(5))
    if not record then return false end
    ssl.BIO_write(input, header .. record, 5 + #record)
  end
  ssl.SSL_set_fd(self.ssl, self.fd)
  return true
end

--- For `split` of connect(): the ClientHello in TLS records of one byte each, in few segments.
function M.tiny_records(flight)
  local version, message = flight:sub(2, 3), flight:sub(6)
  assert(#message == flight:byte(4) * 256 + flight:byte(5), "the flight is more than one record")
  return { (message:gsub(".", function(byte) return "\22" .. version .. "\0\1" .. byte end)) }
end

--- The same in one record, sent byte by byte.
function M.tiny_segments(flight)
  local pieces = {}
  for i = 1, #flight do pieces[i] = flight:sub(i, i) end
  return pieces
end

--- Opens a connection. `tls = false`: plain TCP. Without `sni` no server name is sent. `cert` (a chain) and `key` are paths.
---@param options { port: integer, tls: boolean|nil, sni: string|nil, ca: string|nil, cert: string|nil, key: string|nil,
---                 version: string|nil, resume: ffi.cdata*|nil, timeout: number|nil, alpn: string|nil,
---                 split: fun(flight: string): string[] }  alpn: as on the wire
---@return table|nil session
---@return string|nil reason when the handshake or the connection failed
function M.connect(options)
  local fd, err = tcp(options.port, options.timeout or 10)
  if not fd then return nil, err end
  local self = setmetatable({ fd = fd, input = "", timeout = options.timeout or 10 }, Session)
  if options.tls == false then return self end
  crypto.ERR_clear_error()
  self.ctx = context(options)
  self.ssl = ssl.SSL_new(self.ctx)
  ssl.SSL_set_fd(self.ssl, fd)
  if options.sni then
    ssl.SSL_ctrl(self.ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, ffi.cast("void *", ffi.cast("const char *", options.sni)))
  end
  if options.resume then ssl.SSL_set_session(self.ssl, options.resume) end
  if options.alpn then ssl.SSL_set_alpn_protos(self.ssl, options.alpn, #options.alpn) end
  local connected
  if options.split then connected = connect_split(self, options.split) else connected = ssl.SSL_connect(self.ssl) == 1 end
  if not connected then
    local reason = ssl_reason() or "the connection was closed in the handshake"
    self:close()
    return nil, reason
  end
  return self
end

---@return string|nil such as "TLSv1.3"
function Session:version() return self.ssl and ffi.string(ssl.SSL_get_version(self.ssl)) end

--- What another connection may resume (`resume` of connect). With TLS 1.3 it comes with the first bytes that are read.
---@return ffi.cdata*|nil
function Session:resumable()
  local kept = ssl.SSL_get1_session(self.ssl)
  if kept == nil then return nil end
  ssl.SSL_set_shutdown(self.ssl, 3) -- else OpenSSL marks the session as spoilt when the connection ends without close_notify
  return ffi.gc(kept, ssl.SSL_SESSION_free)
end

---@return boolean
function Session:is_resumed() return ssl.SSL_session_reused(self.ssl) == 1 end

--- Sends bytes, all of them.
---@param bytes string
---@return boolean|nil ok
---@return string|nil "closed"
function Session:send(bytes)
  local sent = 0
  while sent < #bytes do
    local from = ffi.cast("const char *", bytes) + sent
    local count
    if self.ssl then
      crypto.ERR_clear_error()
      count = ssl.SSL_write(self.ssl, from, #bytes - sent)
      if count <= 0 then
        if ssl.SSL_get_error(self.ssl, count) == ERROR_WANT_WRITE then error("timeout: the gateway takes no bytes", 2) end
        return nil, "closed"
      end
    else
      count = tonumber(ffi.C.send(self.fd, from, #bytes - sent, 0x4000))
      if count < 0 then
        if ffi.errno() == EAGAIN then error("timeout: the gateway takes no bytes", 2) end
        return nil, "closed"
      end
    end
    sent = sent + count
  end
  return true
end

local scratch = ffi.new("char[65536]")

-- Some bytes; nil and "closed" (in order) or "reset" at the end.
local function receive(self)
  local count
  if self.ssl then
    crypto.ERR_clear_error()
    count = ssl.SSL_read(self.ssl, scratch, 65536)
    if count <= 0 then
      local kind = ssl.SSL_get_error(self.ssl, count)
      if kind == ERROR_WANT_READ then error("timeout: nothing came within " .. self.timeout .. " s", 3) end
      if kind == ERROR_ZERO_RETURN then return nil, "closed" end
      if kind == ERROR_SSL then return nil, ssl_reason() or "reset" end
      return nil, kind == ERROR_SYSCALL and count == 0 and "closed" or "reset"
    end
  else
    count = tonumber(ffi.C.recv(self.fd, scratch, 65536, 0))
    if count < 0 then
      if ffi.errno() == EAGAIN then error("timeout: nothing came within " .. self.timeout .. " s", 3) end
      return nil, "reset"
    end
    if count == 0 then return nil, "closed" end
  end
  return ffi.string(scratch, count)
end

--- Reads what is there next: at least one byte.
---@return string|nil bytes
---@return string|nil "closed" or "reset"
function Session:receive()
  if #self.input > 0 then
    local bytes = self.input
    self.input = ""
    return bytes
  end
  return receive(self)
end

--- Reads `len` bytes and counts them only; for bodies too large to keep.
---@param len integer
---@return integer read fewer when the connection ended
function Session:skip(len)
  local left = len - #self.input
  if left < 0 then
    self.input = self.input:sub(len + 1)
    return len
  end
  self.input = ""
  while left > 0 do
    local size = math.min(65536, left)
    local count
    if self.ssl then count = ssl.SSL_read(self.ssl, scratch, size) else count = tonumber(ffi.C.recv(self.fd, scratch, size, 0)) end
    if count <= 0 then break end
    left = left - count
  end
  return len - left
end

local function fill(self)
  local bytes, err = receive(self)
  if not bytes then return nil, err end
  self.input = self.input .. bytes
  return true
end

local function read_line(self)
  while true do
    local line, rest = self.input:match("^(.-)\r\n(.*)$")
    if line then
      self.input = rest
      return line
    end
    local ok, err = fill(self)
    if not ok then return nil, err end
  end
end

local function read_bytes(self, len)
  local pieces, have = { self.input }, #self.input
  while have < len do
    local bytes, err = receive(self)
    if not bytes then
      self.input = ""
      return nil, err, table.concat(pieces)
    end
    pieces[#pieces + 1] = bytes
    have = have + #bytes
  end
  local all = table.concat(pieces)
  self.input = all:sub(len + 1)
  return all:sub(1, len)
end

local Response = {}
Response.__index = Response

--- The values of a field, joined by ", "; nil when there is none.
function Response:field(name)
  local values = {}
  for _, field in ipairs(self.fields) do
    if field[1]:lower() == name:lower() then values[#values + 1] = field[2] end
  end
  if values[1] then return table.concat(values, ", ") end
end

local function read_head(self)
  local line, err = read_line(self)
  if not line then return nil, err end
  local minor, status = line:match("^HTTP/1%.(%d) (%d%d%d) ")
  if not minor then error("not a status line: " .. line, 3) end
  local response = setmetatable({ minor = tonumber(minor), status = tonumber(status), fields = {} }, Response)
  while true do
    line, err = read_line(self)
    if not line then return nil, err end
    if line == "" then return response end
    local name, value = line:match("^([^:]+):%s*(.*)$")
    response.fields[#response.fields + 1] = { name, value }
  end
end

local function read_chunks(self, response)
  local pieces = {}
  while true do
    local line, err = read_line(self)
    if not line then return nil, err, table.concat(pieces) end
    local size = tonumber(line:match("^%x+$"), 16)
    if not size then error("not a chunk size: " .. line, 4) end
    if size == 0 then break end
    local data, why, part = read_bytes(self, size + 2)
    pieces[#pieces + 1] = (data or part):sub(1, size)
    if not data then return nil, why, table.concat(pieces) end
  end
  response.trailers = {}
  while true do
    local line, err = read_line(self)
    if not line then return nil, err, table.concat(pieces) end
    if line == "" then return table.concat(pieces) end
    response.trailers[#response.trailers + 1] = line
  end
end

local function read_all(self)
  local pieces = { self.input }
  self.input = ""
  while true do
    local bytes, err = receive(self)
    if not bytes then return table.concat(pieces), err end
    pieces[#pieces + 1] = bytes
  end
end

--- Reads one response. `response.body` is what came of the body; `response.incomplete` says why when it is not all of it.
---@param options { head: boolean|nil, body: boolean|nil, interim: boolean|nil }|nil head: it answers HEAD; body = false: leave the body unread;
---       interim: give back 1xx responses too
---@return table|nil response
---@return string|nil "closed" or "reset" when the connection ended before the head was complete
function Session:response(options)
  options = options or {}
  local response, err
  repeat
    response, err = read_head(self)
    if not response then return nil, err end
  until options.interim or response.status >= 200 or response.status == 101
  local status = response.status
  if options.head or options.body == false or status < 200 or status == 204 or status == 304 then return response end
  local _
  if (response:field("transfer-encoding") or ""):lower() == "chunked" then
    response.body, response.incomplete, _ = read_chunks(self, response)
    response.body = response.body or _
  elseif response:field("content-length") then
    response.body, response.incomplete, _ = read_bytes(self, tonumber(response:field("content-length")))
    response.body = response.body or _
  else
    response.body, response.ended = read_all(self)
  end
  return response
end

--- The bytes of a request. A body gets a Content-Length unless the fields say how it is framed.
---@param method string
---@param target string
---@param options { host: string|nil, fields: string[][]|nil, body: string|nil, minor: integer|nil }
---@return string
function M.request_bytes(method, target, options)
  local lines = { ("%s %s HTTP/1.%d"):format(method, target, options.minor or 1) }
  local framed = false
  if options.host then lines[#lines + 1] = "Host: " .. options.host end
  for _, field in ipairs(options.fields or {}) do
    lines[#lines + 1] = field[1] .. ": " .. field[2]
    local name = field[1]:lower()
    if name == "content-length" or name == "transfer-encoding" then framed = true end
  end
  if options.body and not framed then lines[#lines + 1] = "Content-Length: " .. #options.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

--- Sends a request and reads its response.
function Session:request(method, target, options)
  local ok, err = self:send(M.request_bytes(method, target, options))
  if not ok then return nil, err end
  return self:response { head = method == "HEAD" }
end

function Session:get(target, options) return self:request("GET", target, options) end

--- For connections that a change may have closed: the status of the answer to a GET, or "closed" instead of one.
---@return integer|string
function Session:status_or_closed(target, options)
  local response = self:get(target, options)
  return response and response.status or "closed"
end

--- Is the connection closed by the other side, with nothing left to read? Waits for it as long as the timeout.
---@return boolean closed
---@return string|nil what came instead
function Session:is_closed()
  if #self.input > 0 then return false, self.input end
  local ok, bytes = pcall(receive, self)
  if not ok then return false, bytes end
  if bytes then
    self.input = bytes
    return false, bytes
  end
  return true
end

--- Is the connection still open and silent, as far as one can see in `seconds`?
---@param seconds number|nil default 0.2
function Session:is_quiet(seconds)
  local limit = ffi.new("struct moon_spec_timeval", 0, (seconds or 0.2) * 1e6)
  ffi.C.setsockopt(self.fd, 1, 20, limit, ffi.sizeof(limit))
  local ok, bytes = pcall(receive, self)
  limit.seconds, limit.microseconds = self.timeout, 0
  ffi.C.setsockopt(self.fd, 1, 20, limit, ffi.sizeof(limit))
  if ok and bytes then self.input = self.input .. bytes end
  return not ok
end

--- Says that nothing more will be sent; reading goes on.
function Session:end_sending()
  if self.ssl then ssl.SSL_shutdown(self.ssl) end
  ffi.C.shutdown(self.fd, 1)
end

function Session:close()
  if self.ssl then
    ssl.SSL_free(self.ssl)
    ssl.SSL_CTX_free(self.ctx)
    self.ssl = nil
  end
  if self.fd then
    ffi.C.close(self.fd)
    self.fd = nil
  end
end

--- Opens a connection, trying until the deadline; for a gateway that is only just starting.
function M.connect_soon(options, seconds)
  return wait.until_true("a connection to port " .. options.port, function() return M.connect(options) end, seconds)
end

return M
