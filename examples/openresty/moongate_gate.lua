-- moongate_gate: the rules engine inside nginx: what expressions may ask of a request is read from ngx.var, and a rule that
-- blocks is answered with 403. Used by nginx.conf: load() once in the master, check() in the access phase of each request.
--
-- Needs the folder rules/ of moongate as moongate/rules on the Lua path, and nothing else of it.

local rules = require "moongate.rules"
local sha256 = require "moongate.rules.sha256"

local ngx = ngx -- luacheck: read globals ngx

local M = {}

-- ---- fields ----

local function variable(name)
  return function() return ngx.var[name] or "" end
end

local function path() return (ngx.var.request_uri:match("^[^?]*")) end
local function verdict() return ngx.var.ssl_client_verify or "NONE" end

-- The client's certificate in base64, without the frame that PEM puts around it; empty when there is none.
local function certificate()
  local pem = ngx.var.ssl_client_raw_cert
  return pem and (pem:match("%-%-\n(.-)\n%-%-") or ""):gsub("%s", "") or ""
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- Header values by name in lower case, repeated ones in order, as the language wants its maps of arrays.
local function headers()
  local map = {}
  for name, value in pairs(ngx.req.get_headers(0)) do
    local list = type(value) == "table" and value or { tostring(value) }
    list.n = #list
    map[name] = list
  end
  return map
end

local CERT = "cf.tls_client_auth.cert_"

-- Cloudflare's names on the left, nginx on the right. An expression that names any other field is refused by load().
local FIELDS = {
  { name = "http.host", type = "String", access = variable "host" },
  { name = "http.request.method", type = "String", access = variable "request_method" },
  { name = "http.request.uri", type = "String", access = variable "request_uri" },
  { name = "http.request.uri.path", type = "String", access = path },
  { name = "http.request.uri.query", type = "String", access = variable "args" },
  { name = "http.request.version", type = "String", access = variable "server_protocol" },
  { name = "http.request.headers", type = "Map<Array<String>>", access = headers },
  { name = "http.user_agent", type = "String", access = variable "http_user_agent" },
  { name = "http.referer", type = "String", access = variable "http_referer" },
  { name = "http.cookie", type = "String", access = variable "http_cookie" },
  { name = "ip.src", type = "IP", access = variable "binary_remote_addr" },
  { name = "ssl", type = "Boolean", access = function() return ngx.var.https == "on" end },
  { name = "cf.tls_version", type = "String", access = variable "ssl_protocol" },
  { name = "cf.tls_cipher", type = "String", access = variable "ssl_cipher" },
  { name = CERT .. "presented", type = "Boolean", access = function() return verdict() ~= "NONE" end },
  { name = CERT .. "verified", type = "Boolean", access = function() return verdict() == "SUCCESS" end },
  { name = CERT .. "revoked", type = "Boolean", constant = false }, -- nginx refuses those itself, see ssl_crl
  { name = CERT .. "subject_dn", type = "String", access = variable "ssl_client_s_dn" },
  { name = CERT .. "issuer_dn", type = "String", access = variable "ssl_client_i_dn" },
  { name = CERT .. "subject_dn_legacy", type = "String", access = variable "ssl_client_s_dn_legacy" },
  { name = CERT .. "issuer_dn_legacy", type = "String", access = variable "ssl_client_i_dn_legacy" },
  { name = CERT .. "serial", type = "String", access = variable "ssl_client_serial" },
  { name = CERT .. "fingerprint_sha1", type = "String", access = variable "ssl_client_fingerprint" },
  {
    name = CERT .. "fingerprint_sha256", type = "String",
    access = function()
      local encoded = certificate()
      return encoded == "" and "" or hex(sha256.digest(ngx.decode_base64(encoded)))
    end,
  },
  { name = CERT .. "not_before", type = "String", access = variable "ssl_client_v_start" },
  { name = CERT .. "not_after", type = "String", access = variable "ssl_client_v_end" },
  {
    name = CERT .. "rfc9440", type = "String",
    access = function()
      local encoded = certificate()
      return encoded == "" and "" or ":" .. encoded .. ":"
    end,
  },
}

-- ---- rules ----

local list, ruleset

local function title(index)
  return ("rule %d (%s)"):format(index, list[index].description or list[index].expression)
end

--- Parses and compiles the rules. A mistake in one is an error, and nginx does not start.
---@param given table[]  each { expression, action, description = …, enabled = … }
function M.load(given)
  local compiled, mistake, index = rules.compile(rules.new_schema { fields = FIELDS }, given, {
    on_log = function(at) ngx.log(ngx.NOTICE, title(at), " matches") end,
    on_error = function(at, err) ngx.log(ngx.ERR, title(at), " failed: ", err) end,
  })
  if not compiled then
    error(("rule %d: %s"):format(index, mistake:advise()), 0)
  end
  list, ruleset = given, compiled
end

--- Decides the request at hand: returns, or ends it with 403. Fails closed: where a rule that blocks cannot be evaluated, it counts as
--- a match.
function M.check()
  local ok, index = pcall(ruleset.run)
  if not ok then
    index = ruleset.run_guarded()
  end
  if index ~= 0 then
    ngx.log(ngx.NOTICE, title(index), " blocks")
    return ngx.exit(ngx.HTTP_FORBIDDEN)
  end
end

return M
