-- moongate.fields: the one table of built-in fields of the rules language: name, type, a line of help, and where the value lies.
--
-- The admin API and `check` take names and types from here (schema), the workers take accessors over their thread's facts
-- (bind), `eval` and the documentation read the list. A new field is one entry here. Accessors take nothing and read a struct
-- at a fixed address: no table, no closure, no garbage but the string itself, which LuaJIT interns.

local rules = require "moongate.rules"

local M = {}

---@class moongate.fields.Field
---@field name string
---@field type string    a type of the rules language
---@field help string    one line for people
---@field from string|nil the member of struct moon_facts (core/gate/facts.h)
---@field expression string|nil instead of `from`: the Lua expression over `facts`

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
    name = "cf.tls_client_auth.cert_issuer_dn", type = "String", from = "certificate.issuer_dn",
    help = "The issuer's name, most specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_subject_dn", type = "String", from = "certificate.subject_dn",
    help = "The subject's name, most specific attribute first.",
  },
  {
    name = "cf.tls_client_auth.cert_issuer_ski", type = "String", from = "certificate.issuer_ski",
    help = "The key identifier of the issuer, upper-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_ski", type = "String", from = "certificate.ski",
    help = "The key identifier of the certificate, upper-case hex.",
  },
  {
    name = "cf.tls_client_auth.cert_serial", type = "String", from = "certificate.serial",
    help = "The serial number, upper-case hex with an even number of digits.",
  },
  {
    name = "cf.tls_client_auth.cert_fingerprint_sha256", type = "String", from = "certificate.fingerprint_sha256",
    help = "The SHA-256 of the certificate, lower-case hex.",
  },
}

-- How a member of each type becomes a value of the rules language.
local READ = {
  String = "read(facts.%s.data, facts.%s.len)",
  Boolean = "facts.%s",
}

-- One chunk per accessor: the JIT compiler then sees each as a function of its own, with facts as a constant.
local function accessor(field, facts, read)
  local expression = field.expression or READ[field.type]:gsub("%%s", field.from)
  local source = ("local facts, read = ...\nreturn function() return %s end\n"):format(expression)
  return assert(loadstring(source, "=" .. field.name))(facts, read)
end

local more_fields, more_functions = {}, {} -- what policy files declare, with accessors of their own

local function schema(facts, read)
  local declared = {}
  for i, field in ipairs(M.list) do
    declared[i] = {
      name = field.name,
      type = field.type,
      access = facts and accessor(field, facts, read) or nil,
    }
  end
  for _, field in ipairs(more_fields) do
    declared[#declared + 1] = field
  end
  return rules.new_schema { fields = declared, functions = more_functions, regex = require "moongate.regex" }
end

local names_only

--- Adds fields and functions that policy files declare (lua/policies.lua); before any expression is checked or compiled.
---@param added_fields table[]     name, type, help, access
---@param added_functions table[]  as moongate.rules.functions has them
function M.extend(added_fields, added_functions)
  more_fields, more_functions, names_only = added_fields, added_functions, nil
end

--- Names and types, for checking expressions. The same schema each time.
---@return moongate.rules.Schema
function M.schema()
  names_only = names_only or schema()
  return names_only
end

--- The same fields with accessors over one thread's facts.
---@param facts ffi.cdata*  const struct moon_facts *, at a fixed address as long as the state lives
---@return moongate.rules.Schema
function M.bind(facts)
  return schema(facts, require("moongate.ffi").ffi.string)
end

return M
