--- moongate.cli.http — one HTTP request after the other, over libcurl, for commands that wait for the answer.
--
-- Called by moongate.cli.api. libcurl is loaded when the first request is made, so that commands without requests run
-- without it. It goes to the address that it is given and nowhere else: no proxy, no redirect, no netrc; certificates are
-- always verified, TLS begins at 1.2, each request has a deadline and each answer a ceiling. Knows nothing of the API.

local ffi = require "ffi"

-- Structures can be declared once in a process, modules can be loaded again.
if not pcall(ffi.typeof, "struct moon_cli_slist") then ffi.cdef [[
struct moon_cli_slist { char *data; struct moon_cli_slist *next; };
int curl_global_init(long flags);
void *curl_easy_init(void);
void curl_easy_reset(void *handle);
void curl_easy_cleanup(void *handle);
int curl_easy_setopt(void *handle, int option, ...);
int curl_easy_perform(void *handle);
int curl_easy_getinfo(void *handle, int info, ...);
const char *curl_easy_strerror(int code);
struct moon_cli_slist *curl_slist_append(struct moon_cli_slist *list, const char *line);
void curl_slist_free_all(struct moon_cli_slist *list);
void *malloc(size_t size);
void free(void *block);
void *fmemopen(void *block, size_t size, const char *mode);
int setvbuf(void *file, char *block, int mode, size_t size);
long ftell(void *file);
int fclose(void *file);
]] end

local M = {}

local BYTES = 64 * 1024 * 1024 -- of an answer
local CONNECT_MS = 10000
local UNBUFFERED = 2 -- _IONBF: a write beyond the ceiling fails at once and ends the request

-- Names of curl/curl.h. Options that take a number begin below 10000, pointers from there on.
local OPTION = {
  write_data = 10001, url = 10002, proxy = 10004, error_buffer = 10010, post_fields = 10015, user_agent = 10018,
  headers = 10023, method = 10036, ca_file = 10065, ssl_version = 32, no_signal = 99, timeout_ms = 155,
  connect_timeout_ms = 156, protocols = 181, path_as_is = 234, http_version = 84,
}
local POST_FIELDS_SIZE = 30120 -- a curl_off_t
local HTTP_AND_HTTPS, TLS_1_2, HTTP_1_1 = 3, 6, 2
local RESPONSE_CODE, RETRY_AFTER = 2097154, 6291513
local NO_ROOM = 23 -- CURLE_WRITE_ERROR
local ERROR_BYTES = 256

-- What went wrong, for those who have a better word for it than libcurl.
local KIND = { [6] = "unreachable", [7] = "unreachable", [28] = "late", [51] = "untrusted", [60] = "untrusted" }

local library

local function load_library()
  if library then return library end
  local found, lib = pcall(ffi.load, "libcurl.so.4")
  if not found then return nil, "libcurl.so.4 cannot be loaded; install the package libcurl4" end
  if lib.curl_global_init(3) ~= 0 then return nil, "libcurl cannot be started" end
  library = lib
  return lib
end

local Client = {}
Client.__index = Client

--- A client, which keeps its connection from one request to the next.
---@param options { ca_file: string|nil, timeout_ms: integer }
---@return table|nil client
---@return string|nil reason
function M.new(options)
  local lib, reason = load_library()
  if not lib then return nil, reason end
  local handle = lib.curl_easy_init()
  if handle == nil then return nil, "libcurl has no memory" end
  return setmetatable({
    lib = lib, handle = ffi.gc(handle, lib.curl_easy_cleanup), ca_file = options.ca_file,
    timeout_ms = options.timeout_ms,
  }, Client)
end

local function set(self, name, value)
  if type(value) == "number" then value = ffi.cast("long", value) end
  return self.lib.curl_easy_setopt(self.handle, OPTION[name], value)
end

-- Everything that a request says. The strings are copied by libcurl, but for the body's.
local function prepare(self, request, headers, file, message)
  self.lib.curl_easy_reset(self.handle)
  set(self, "no_signal", 1)
  set(self, "proxy", "")
  set(self, "protocols", HTTP_AND_HTTPS)
  set(self, "http_version", HTTP_1_1)
  set(self, "ssl_version", TLS_1_2)
  set(self, "path_as_is", 1)
  set(self, "connect_timeout_ms", math.min(CONNECT_MS, self.timeout_ms))
  set(self, "timeout_ms", self.timeout_ms)
  set(self, "error_buffer", message)
  set(self, "write_data", file)
  set(self, "user_agent", "moongate")
  set(self, "headers", headers)
  if self.ca_file then set(self, "ca_file", self.ca_file) end
  if request.body then
    self.lib.curl_easy_setopt(self.handle, POST_FIELDS_SIZE, ffi.cast("int64_t", #request.body))
    set(self, "post_fields", ffi.cast("const char *", request.body))
  end
  set(self, "method", request.method)
  return set(self, "url", request.url) == 0
end

local function answer(self, block, length)
  local status, wait = ffi.new("long[1]"), ffi.new("int64_t[1]")
  self.lib.curl_easy_getinfo(self.handle, RESPONSE_CODE, status)
  self.lib.curl_easy_getinfo(self.handle, RETRY_AFTER, wait)
  return {
    status = tonumber(status[0]), body = ffi.string(block, length),
    retry_after = wait[0] > 0 and tonumber(wait[0]) or nil,
  }
end

local function failure(self, code, message)
  if code == NO_ROOM then
    return nil, { kind = "other", text = ("the answer is larger than %d MiB"):format(BYTES / 1024 / 1024) }
  end
  local text = ffi.string(message)
  if text == "" then text = ffi.string(self.lib.curl_easy_strerror(code)) end
  return nil, { kind = KIND[code] or "other", text = text }
end

--- Sends one request and waits for the answer.
---@param request { method: string, url: string, headers: string[], body: string|nil }
---@return { status: integer, body: string, retry_after: integer|nil }|nil
---@return { kind: string, text: string }|nil failure kind: unreachable, late, untrusted or other
function Client:request(request)
  local block = ffi.C.malloc(BYTES)
  if block == nil then return nil, { kind = "other", text = "out of memory" } end
  local file = ffi.C.fmemopen(block, BYTES, "wb")
  if file == nil then
    ffi.C.free(block)
    return nil, { kind = "other", text = "out of memory" }
  end
  ffi.C.setvbuf(file, nil, UNBUFFERED, 0)
  local message = ffi.new("char[?]", ERROR_BYTES)
  local list
  for _, line in ipairs(request.headers) do list = self.lib.curl_slist_append(list, line) end
  local usable = prepare(self, request, list, file, message)
  local code = usable and self.lib.curl_easy_perform(self.handle)
  local length = tonumber(ffi.C.ftell(file))
  ffi.C.fclose(file)
  local got, err
  if not usable then
    got, err = nil, { kind = "other", text = "libcurl does not take the address " .. request.url }
  elseif code == 0 then
    got = answer(self, block, length)
  else
    got, err = failure(self, code, message)
  end
  self.lib.curl_easy_reset(self.handle) -- nothing of it points to what goes now
  self.lib.curl_slist_free_all(list)
  ffi.C.free(block)
  return got, err
end

function Client:close()
  self.lib.curl_easy_cleanup(ffi.gc(self.handle, nil))
  self.handle = nil
end

return M
