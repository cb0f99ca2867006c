-- moongate.fields: the one table of built-in fields of the rules language: name, type, a line of help, and where the value lies.
--
-- The admin API and `check` take names and types from here (schema), the workers take accessors over their thread's facts
-- (bind), `eval` and the documentation read the list. A new field is one entry here. Accessors take nothing and read a struct
-- at a fixed address: no table, no closure, no garbage but the string itself, which LuaJIT interns. What is costly to know (texts of
-- certificates, fingerprints of clients) is not in the struct: its accessor asks C, which computes it once per connection.

local absent_fields = require "moongate.absent_fields"
local body_fields = require "moongate.body_fields"
local geo_fields = require "moongate.geo_fields"
local http_fields = require "moongate.http_fields"
local rules = require "moongate.rules"

local M = {}

---@class moongate.fields.Field
---@field name string
---@field type string    a type of the rules language
---@field help string    one line for people
---@field from string|nil the member of struct moon_facts (core/gate/facts.h)
---@field expression string|nil instead of `from`: the Lua expression over `facts`
---@field certificate string|nil instead of `from`: the text, MOON_CERTIFICATE_… (core/tls/texts.h)
---@field too_large string|nil   instead of `from`: whether that text is too large to be shown
---@field entries string|nil     instead of `from`: the list, MOON_CERTIFICATE_…
---@field host string|nil        instead of `from`: the text that the host has under this name, moon_ffi_host_…
---@field tls string|nil         instead of `from`: the text, MOON_TLS_… (core/tls/session.h)
---@field geo function|nil       instead of `from`: from the place of the client's address (geo_fields.lua)
---@field get function|nil       instead of `from`: from the view of the head (http_fields.lua)
---@field constant any           instead of `from`: the same for every request
---@field may_miss boolean|nil   whether a request can be without it
---@field absent boolean|nil     known by name only (absent_fields.lua)

---@type moongate.fields.Field[]
M.list = {
  {
    name = "http.host", type = "String", from = "http_host",
    help = "The host of the request: lower case, without port and without a trailing dot.",
  },
  { name = "http.request.method", type = "String", from = "method", help = "The request method, as sent." },
  { name = "http.request.uri", type = "String", from = "uri", help = "Path and query, as the origin sees them." },
  { name = "http.request.uri.path", type = "String", from = "path", help = "The path, beginning with a slash." },
  {
    name = "http.request.uri.query", type = "String", from = "query",
    help = "The query without its question mark; empty when there is none.",
  },
  {
    name = "http.request.version", type = "String",
    expression = [[facts.minor_version == 0 and "HTTP/1.0" or "HTTP/1.1"]],
    help = "The version of HTTP that the client speaks.",
  },
  {
    name = "http.user_agent", type = "String", from = "user_agent",
    help = "The User-Agent header; empty when it is absent.",
  },
  {
    name = "ip.src", type = "IP", expression = "read(facts.ip, facts.ip_len)",
    help = "The client's address.",
  },
  { name = "ssl", type = "Boolean", from = "ssl", help = "True when the client's connection is encrypted." },
  {
    name = "cf.ray_id", type = "String",
    expression = "read(facts.ray.data, facts.ray.len < 16 and facts.ray.len or 16)", -- the header adds a place to it
    help = "The request's identifier: 16 lower-case hex digits.",
  },
  {
    name = "cf.hostname.metadata", type = "String", host = "metadata",
    help = "The custom_metadata of the custom hostname, as JSON; empty when there is none.",
  },
  {
    name = "cf.tls_client_auth.cert_presented", type = "Boolean", from = "certificate.presented",
    help = "True when the client presented a certificate, valid or not, to a host that asks for one.",
  },
  {
    name = "cf.tls_client_auth.cert_verified", type = "Boolean", from = "certificate.verified",
    help = "True when the certificate leads to a CA of this host and is within its dates. Stays true for a revoked one.",
  },
  {
    name = "cf.tls_client_auth.cert_revoked", type = "Boolean", from = "certificate.revoked",
    help = "True when the certificate is valid but revoked; cert_verified is true then as well.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_dn", type = "String", certificate = "ISSUER_DN",
    help = "The issuer's name, most specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_subject_dn", type = "String", certificate = "SUBJECT_DN",
    help = "The subject's name, most specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_dn_rfc2253", type = "String", certificate = "ISSUER_DN",
    help = "The issuer's name as RFC 2253 writes it.",
  },
  {
    name = "cf.tls_client_auth.cert_subject_dn_rfc2253", type = "String", certificate = "SUBJECT_DN",
    help = "The subject's name as RFC 2253 writes it.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_dn_legacy", type = "String", certificate = "ISSUER_DN_LEGACY",
    help = "The issuer's name with slashes, least specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_subject_dn_legacy", type = "String", certificate = "SUBJECT_DN_LEGACY",
    help = "The subject's name with slashes, least specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_serial", type = "String", certificate = "SERIAL",
    help = "The serial number, upper-case hex with an even number of digits.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_serial", type = "String", certificate = "ISSUER_SERIAL",
    help = "The serial number of the certificate that issued it, upper-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_fingerprint_sha256", type = "String", certificate = "FINGERPRINT_SHA256",
    help = "The SHA-256 of the certificate, lower-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_fingerprint_sha1", type = "String", certificate = "FINGERPRINT_SHA1",
    help = "The SHA-1 of the certificate, lower-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_not_before", type = "String", certificate = "NOT_BEFORE",
    help = 'The beginning of its validity: "Jan  7 09:30:00 2031 GMT".',
  },
  {
    name = "cf.tls_client_auth.cert_not_after", type = "String", certificate = "NOT_AFTER",
    help = "The end of its validity, in the same form.",
  },
  {
    name = "cf.tls_client_auth.cert_ski", type = "String", certificate = "SKI",
    help = "The key identifier of the certificate, upper-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_ski", type = "String", certificate = "ISSUER_SKI",
    help = "The key identifier of the issuer, upper-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_rfc9440", type = "String", certificate = "RFC9440",
    help = "The certificate as RFC 9440 writes it; empty above 10 KiB.",
  },
  {
    name = "cf.tls_client_auth.cert_rfc9440_too_large", type = "Boolean", too_large = "RFC9440",
    help = "True when cert_rfc9440 would be longer than 10 KiB.",
  },
  {
    name = "cf.tls_client_auth.cert_chain_rfc9440", type = "String", certificate = "CHAIN_RFC9440",
    help = "The other certificates that the client sent, as RFC 9440 writes them; empty above 16 KiB.",
  },
  {
    name = "cf.tls_client_auth.cert_chain_rfc9440_too_large", type = "Boolean", too_large = "CHAIN_RFC9440",
    help = "True when cert_chain_rfc9440 would be longer than 16 KiB.",
  },
  {
    name = "mg.cert.san.dns", type = "Array<String>", entries = "SAN_DNS",
    help = "The DNS names among the certificate's alternative names.",
  },
  {
    name = "mg.cert.san.uri", type = "Array<String>", entries = "SAN_URI",
    help = "The URIs among the certificate's alternative names.",
  },
  {
    name = "mg.cert.san.email", type = "Array<String>", entries = "SAN_EMAIL",
    help = "The mail addresses among the certificate's alternative names.",
  },
  {
    name = "mg.cert.san.ip", type = "Array<IP>", entries = "SAN_IP",
    help = "The IP addresses among the certificate's alternative names.",
  },
  {
    name = "mg.cert.eku", type = "Array<String>", entries = "EKU",
    help = "The extended key usages of the certificate, as dotted numbers.",
  },
  {
    name = "mg.cert.spki_sha256", type = "String", certificate = "SPKI_SHA256",
    help = "The SHA-256 of the certificate's public key, lower-case hex.",
  },
  {
    name = "cf.tls_version", type = "String", tls = "VERSION",
    help = 'The version of TLS, as in "TLSv1.3"; empty without TLS.',
  },
  {
    name = "cf.tls_cipher", type = "String", tls = "CIPHER",
    help = "The cipher suite in OpenSSL's words; empty without TLS.",
  },
  {
    name = "cf.tls_client_hello_length", type = "Integer", expression = "tonumber(C.moon_ffi_tls_hello_length(facts.tls))",
    help = "The bytes of the ClientHello; 0 without TLS.",
  },
  {
    name = "cf.tls_client_random", type = "String", tls = "CLIENT_RANDOM",
    help = "The random value of the ClientHello, in base64.",
  },
  {
    name = "cf.tls_ciphers_sha1", type = "String", tls = "CIPHERS_SHA1",
    help = "The SHA-1 of the list of cipher suites that the client offers, in base64.",
  },
  {
    name = "cf.tls_client_extensions_sha1", type = "String", tls = "EXTENSIONS_SHA1",
    help = "The SHA-1 of the list of extensions in the ClientHello, in base64.",
  },
  {
    name = "cf.tls_client_extensions_sha1_le", type = "String", tls = "EXTENSIONS_SHA1_LE",
    help = "The same over the extensions' numbers with their bytes swapped.",
  },
  {
    name = "cf.bot_management.ja3_hash", type = "String", tls = "JA3",
    help = "The JA3 fingerprint of the client: 32 lower-case hex digits.",
  },
  {
    name = "cf.bot_management.ja4", type = "String", tls = "JA4",
    help = "The JA4 fingerprint of the client.",
  },
  { name = "raw.http.request.uri", type = "String", from = "raw_uri", help = "Path and query before normalisation." },
  { name = "raw.http.request.uri.path", type = "String", from = "raw_path", help = "The path before normalisation." },
  {
    name = "http.request.timestamp.sec", type = "Integer", get = function(head) return math.floor(head:get "time" / 1000) end,
    help = "UNIX seconds of the request.",
  },
  {
    name = "http.request.timestamp.msec", type = "Integer", get = function(head) return head:get "time" % 1000 end,
    help = "The milliseconds of that second.",
  },
  {
    name = "cf.random_seed", type = "Bytes", get = function(head) return head:get "seed" end,
    help = "32 random bytes, the same during one request.",
  },
  {
    name = "cf.zone.name", type = "String", get = function(head) return head:get "zone" end,
    help = "The zone's own name.",
  },
  { name = "cf.zone.plan", type = "String", constant = "ENT", help = 'Always "ENT".' },
  { name = "cf.edge.client_tcp", type = "Boolean", constant = true, help = "Always true: requests come over TCP." },
  {
    name = "cf.edge.server_ip", type = "IP", may_miss = true, get = function(head) return head:get("edge").ip end,
    help = "The address that the client connected to.",
  },
  {
    name = "cf.edge.server_port", type = "Integer", get = function(head) return head:get("edge").port end,
    help = "The port that the client connected to.",
  },
  {
    name = "cf.edge.l4.delivery_rate", type = "Integer", get = function(head) return head:get("tcp").delivery_rate end,
    help = "The connection's delivery rate in bytes a second, as the kernel measures it; 0 when unknown.",
  },
  {
    name = "cf.timings.client_tcp_rtt_msec", type = "Integer", get = function(head) return head:get("tcp").rtt end,
    help = "The connection's smoothed round-trip time in milliseconds.",
  },
}

for _, row in ipairs(geo_fields.list) do M.list[#M.list + 1] = row end
for _, row in ipairs(body_fields.list) do M.list[#M.list + 1] = row end
for _, row in ipairs(http_fields.list) do M.list[#M.list + 1] = row end
for _, row in ipairs(absent_fields.list()) do M.list[#M.list + 1] = row end

-- How a member of each type becomes a value of the rules language.
local READ = {
  String = "read(facts.%s.data, facts.%s.len)",
  Boolean = "facts.%s",
}

-- Bodies of the accessors that ask C: `number` stands for the enum's, `view` is a scratch of the state.
local ASK = {
  certificate = [[
    C.moon_ffi_certificate_text(facts.certificate.peer, number, view)
    return read(view.data, view.len)]],
  too_large = [[
    return C.moon_ffi_certificate_text(facts.certificate.peer, number, view) == 1]],
  entries = [[
    local peer = facts.certificate.peer
    if peer == nil then return nothing end
    local list, count = {}, 0
    while C.moon_ffi_certificate_entry(peer, number, count, view) do
      count = count + 1
      list[count] = read(view.data, view.len)
    end
    list.n = count
    return list]],
  tls = [[
    C.moon_ffi_tls_text(facts.tls, number, view)
    return read(view.data, view.len)]],
}
local ASK_HOST = [[
    C.moon_ffi_host_%s(facts.host, view)
    return read(view.data, view.len)]]
local ENUM = { certificate = "MOON_CERTIFICATE_", too_large = "MOON_CERTIFICATE_", entries = "MOON_CERTIFICATE_", tls = "MOON_TLS_" }

local function body_of(field, C)
  for way, body in pairs(ASK) do
    if field[way] then return (body:gsub("number", tostring(tonumber(C[ENUM[way] .. field[way]])))) end
  end
  if field.host then return ASK_HOST:format(field.host) end
  return "return " .. (field.expression or READ[field.type]:gsub("%%s", field.from))
end

local function missing() return nil end

-- One chunk per accessor: the JIT compiler then sees each as a function of its own, with facts as a constant.
local function accessor(field, facts, bridge, view, head, place)
  if field.absent then return missing end
  if field.geo then
    local geo = field.geo
    return function() return geo(place()) end
  end
  if field.get then
    local get = field.get
    return function() return get(head) end
  end
  local source = ("local facts, read, C, view, nothing = ...\nreturn function()\n%s\nend\n"):format(body_of(field, bridge.C))
  return assert(loadstring(source, "=" .. field.name))(facts, bridge.ffi.string, bridge.C, view, { n = 0 })
end

-- Who declares → what, with accessors of their own: policy files, and the program that the gateway is part of.
local more = { policies = { fields = {}, functions = {} }, embedder = { fields = {}, functions = {} } }

local function schema(facts, bridge, geo)
  local view = bridge and bridge.ffi.new("struct moon_str")
  local head = bridge and http_fields.head(facts, bridge)
  local place = bridge and geo_fields.finder(facts, bridge, geo)
  local declared = {}
  for i, field in ipairs(M.list) do
    declared[i] = {
      name = field.name,
      type = field.type,
      constant = field.constant,
      missing = field.absent,
      may_miss = field.may_miss,
      access = facts and field.constant == nil and accessor(field, facts, bridge, view, head, place) or nil,
    }
  end
  local functions = {}
  for _, source in ipairs { more.policies, more.embedder } do
    for _, field in ipairs(source.fields) do declared[#declared + 1] = field end
    for _, func in ipairs(source.functions) do functions[#functions + 1] = func end
  end
  return rules.new_schema { fields = declared, functions = functions, regex = require "moongate.regex" }
end

local names_only

--- Sets the fields and functions that one side declares; before any expression is checked or compiled.
---@param source string            "policies" (lua/policies.lua) or "embedder" (lua/embedder.lua)
---@param added_fields table[]     name, type, help, access
---@param added_functions table[]  as moongate.rules.functions has them
function M.extend(source, added_fields, added_functions)
  more[source], names_only = { fields = added_fields, functions = added_functions }, nil
end

--- Names and types, for checking expressions. The same schema each time.
---@return moongate.rules.Schema
function M.schema()
  names_only = names_only or schema()
  return names_only
end

--- The same fields with accessors over one thread's facts.
---@param facts ffi.cdata*  const struct moon_facts *, at a fixed address as long as the state lives
---@param geo ffi.cdata*|nil  const struct moon_geo *
---@return moongate.rules.Schema
function M.bind(facts, geo)
  return schema(facts, require "moongate.ffi", geo)
end

return M
