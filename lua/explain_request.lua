-- moongate.explain_request: what is said about a request on the command line → a value for every field.
--
-- A struct of facts is filled as the gateway would fill it and read through the accessors that the rules use (fields.lua): a
-- certificate from a file is parsed and verified by the C core, not here. Called by explain.lua. Reads the files that it is told to.

local bridge = require "moongate.ffi"
local fields = require "moongate.fields"
local given = require "moongate.given"
local ip = require "moongate.rules.ip"

local C, ffi = bridge.C, bridge.ffi

local M = {}

local FILE_MAX = 1024 * 1024
local HEADERS_MAX = 128 -- MOON_HTTP_FIELDS_MAX
local CERTIFICATE_PREFIXES = { "cf.tls_client_auth.", "mg.cert." }

--- Whether a field speaks of the client's certificate.
---@param name string
---@return boolean
function M.is_of_certificate(name)
  for _, prefix in ipairs(CERTIFICATE_PREFIXES) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- ---- what is said ----

---@class moongate.explain.Said
---@field request string|nil  path of a JSON file with values of fields; "-" is standard input
---@field host string|nil
---@field method string|nil
---@field path string|nil     with its query
---@field ip string|nil
---@field headers string[]|nil  each "Name: value"
---@field cert string|nil     path of a PEM file: the certificate, perhaps with its chain
---@field ca string|nil       path of a PEM file: the CAs to verify it against

-- "API.Example.com:443" → "api.example.com"
local function effective_host(text)
  local bare = text:match("^%[.*%]") or text:match("^([^:]*):%d*$") or text
  return (bare:lower():gsub("%.$", ""))
end

local function read_headers(list)
  local headers = {}
  if #list > HEADERS_MAX then return nil, ("more than %d headers"):format(HEADERS_MAX) end
  for i, line in ipairs(list) do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$")
    if not name or value:find("[%z\r\n]") then return nil, ('"%s" is no header such as "Accept: text/html"'):format(line) end
    headers[i] = { name = name, value = value }
  end
  return headers
end

local function header(headers, name)
  for _, one in ipairs(headers) do
    if one.name:lower() == name then return one.value end
  end
end

-- Checks the words of the command line; nothing is read yet.
local function check(said)
  local headers, err = read_headers(said.headers or {})
  if not headers then return nil, err end
  local address
  if said.ip then
    address = ip.parse(said.ip)
    if not address then return nil, ('"%s" is no IP address'):format(said.ip) end
  end
  if said.path and not said.path:find("^/[^%s%c]*$") then
    return nil, ('"%s" is no path: it begins with a slash and has no blanks'):format(said.path)
  end
  if said.ca and not said.cert then return nil, "--ca says what --cert is verified against; give both" end
  local host = said.host or header(headers, "host")
  return {
    headers = headers, address = address, host = host and effective_host(host), method = said.method, path = said.path,
    user_agent = header(headers, "user-agent"),
  }
end

-- ---- facts ----

-- Points a view at a Lua string, which is kept in `kept` as long as the facts are read.
local function point(kept, view, text)
  kept[#kept + 1] = text
  view.data, view.len = ffi.cast("const char *", text), #text
end

local TEXTS = { "http_host", "method", "uri", "path", "query", "raw_uri", "raw_path", "user_agent", "ray" }

-- A request of which nothing is known, and no connection.
local function new_facts(kept)
  local facts = ffi.new("struct moon_facts[1]")
  kept[#kept + 1] = facts
  for _, name in ipairs(TEXTS) do point(kept, facts[0][name], "") end
  facts[0].ip_len = 4
  facts[0].socket = -1
  facts[0].minor_version = 1
  return facts[0]
end

local function fill(facts, kept, checked)
  if checked.host then point(kept, facts.http_host, checked.host) end
  if checked.method then point(kept, facts.method, checked.method) end
  if checked.path then
    local path = checked.path:match("^[^?]*")
    for _, prefix in ipairs { "", "raw_" } do
      point(kept, facts[prefix .. "uri"], checked.path)
      point(kept, facts[prefix .. "path"], path)
    end
    point(kept, facts.query, checked.path:match("?(.*)$") or "")
  end
  if checked.user_agent then point(kept, facts.user_agent, checked.user_agent) end
  if checked.address then
    ffi.copy(facts.ip, checked.address, #checked.address)
    facts.ip_len = #checked.address
  end
  local headers = checked.headers
  if headers[1] then
    local list = ffi.new("struct moon_http_field[?]", #headers)
    kept[#kept + 1] = list
    for i, one in ipairs(headers) do
      point(kept, list[i - 1].name, one.name)
      point(kept, list[i - 1].value, one.value)
    end
    facts.fields, facts.field_count = list, #headers
  end
end

local function read_facts(facts)
  local values = {}
  for name, field in pairs(fields.bind(facts).fields) do
    if field.access then values[name] = field.access() end
  end
  return values
end

-- ---- the certificate ----

local function read_pem(path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  local text
  text, err = file:read(FILE_MAX + 1)
  file:close()
  if not text then return nil, ("%s: %s"):format(path, err or "the file is empty") end
  if #text > FILE_MAX then return nil, ("%s: larger than %d bytes"):format(path, FILE_MAX) end
  return text
end

local function refusal(path, diag)
  local where, text = ffi.string(diag[0].where), ffi.string(diag[0].text)
  return ("%s: %s"):format(path, where == "" and text or where .. ": " .. text)
end

local function read_cas(path)
  if not path then return nil end
  local pem, err = read_pem(path)
  if not pem then return nil, err end
  local out, diag = ffi.new("struct moon_trust *[1]"), ffi.new("struct moon_diag[1]")
  if C.moon_ffi_present_cas(out, pem, #pem, diag) ~= 0 then return nil, refusal(path, diag) end
  return ffi.gc(out[0], C.moon_ffi_present_cas_free)
end

-- Presents the certificate of a file to the CAs of another.
local function present(facts, kept, said)
  local cas, err = read_cas(said.ca)
  if err then return nil, err end
  local pem
  pem, err = read_pem(said.cert)
  if not pem then return nil, err end
  local diag = ffi.new("struct moon_diag[1]")
  local now = math.floor(C.moon_ffi_now())
  if C.moon_ffi_present(facts.certificate, pem, #pem, cas, now, diag) ~= 0 then return nil, refusal(said.cert, diag) end
  kept[#kept + 1] = ffi.gc(facts.certificate.peer, C.moon_ffi_present_end)
  facts.ssl = true
  return {
    verified = facts.certificate.verified,
    reason = not facts.certificate.verified
      and (cas and ffi.string(C.moon_ffi_verify_error(facts.certificate.verify_error)) or "no CA was given to verify it against")
      or nil,
  }
end

-- ---- values ----

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- Differ whenever they are read.
local VOLATILE = { ["http.request.timestamp.sec"] = true, ["http.request.timestamp.msec"] = true, ["cf.random_seed"] = true }

-- The fields that the words of the command line say something about: those that they change in a request of which nothing is
-- known, and all parts of a URI that was given.
local function said_fields(blank, told, path)
  local names = {}
  for name, value in pairs(told) do
    local is_of_uri = path and (name:find("http.request.uri", 1, true) or name:find("http.request.full_uri", 1, true))
    if not VOLATILE[name] and (is_of_uri or not same(blank[name], value)) then names[name] = true end
  end
  return names
end

-- What nobody gave is as the schema has it for an empty request.
local function completed(schema, values)
  for name, field in pairs(schema.fields) do
    if values[name] == nil and field.access then values[name] = field.access() end
  end
  return values
end

--- Values for every field. Without a request file: an HTTPS request, "GET /", of which the rest is as it is said. With one, what
--- it does not name is empty, as for `moongate eval`; what is said beside it goes before it, a certificate's fields behind it.
---@param schema moongate.rules.Schema  from given.new_schema, over an empty request
---@param said moongate.explain.Said
---@param stdin table
---@return table<string, any>|nil values
---@return { verified: boolean, reason: string|nil }|string|nil certificate  of --cert; the message on failure
---@return integer|nil exit  on failure: 1 failed, 2 wrong usage
function M.read(schema, said, stdin)
  local checked, err = check(said)
  if not checked then return nil, err, 2 end
  local kept, certificate = {}, nil
  local facts = new_facts(kept)
  if not said.request then
    checked.method, checked.path = checked.method or "GET", checked.path or "/"
    facts.ssl = true
  end
  fill(facts, kept, checked)
  if said.cert then
    certificate, err = present(facts, kept, said)
    if not certificate then return nil, err, 1 end
  end
  local told = read_facts(facts)
  if not said.request then return completed(schema, told), certificate end

  local values
  values, err = given.read_values(schema, said.request, stdin)
  if not values then return nil, err, 1 end
  local blank = read_facts(new_facts(kept))
  for name in pairs(said_fields(blank, told, checked.path)) do
    local is_behind = M.is_of_certificate(name) or name == "ssl"
    if not is_behind or values[name] == nil then values[name] = told[name] end
  end
  return completed(schema, values), certificate
end

return M
