--- moongate.admin.embedded_document — reads the configuration of a gateway that is part of another program: one JSON
--- value that says everything (docs/embedding.md), checked and turned into the documents that moongate.control builds.
---
--- Called by admin/embedded.lua. The keys are declared here; what is not declared is refused, for nobody would notice a
--- misspelt one. Values that only the core can judge (PEM, addresses of origins) are left to it. Each mistake says where
--- it stands (`zones[0].hosts[2].origin.url`) and what would be right. Pure but for looking into certificates.

local check = require "moongate.admin.check"
local config = require "moongate.config"
local json = require "moongate.json"
local leaf = require "moongate.admin.leaf"
local list_item = require "moongate.admin.list_item"
local rule = require "moongate.admin.rule"
local rule_lists = require "moongate.rule_lists"
local stamp = require "moongate.admin.stamp"

local M = {}

-- ---- what may be said ----

local TLS = {
  { name = "min_version", type = "string", one_of = { "1.0", "1.1", "1.2", "1.3" } },
  { name = "tls_1_3", type = "string", one_of = { "on", "off" } },
  { name = "ciphers", type = "array", of = "string" },
  { name = "strict_sni", type = "boolean" },
}
local IDENTITY = {
  { name = "certificate", type = "string", required = true },
  { name = "private_key", type = "string", required = true },
}
local ORIGIN = {
  { name = "url", type = "string", required = true },
  { name = "host_header", type = "string" },
  { name = "sni", type = "string" },
  { name = "verify", type = "boolean", default = true },
  { name = "ca", type = "string" },
  { name = "client_certificate", type = "object" },
}
local HOST = {
  { name = "name", type = "string", required = true },
  { name = "trust", type = "array", of = "string" },
  { name = "usage", type = "string", one_of = { "require", "warn", "ignore" } },
  { name = "origin", type = "object" },
  { name = "forward", type = "array", of = "string" },
  { name = "tls", type = "object" },
  { name = "https_only", type = "boolean" },
  { name = "websockets", type = "boolean" },
  { name = "resumption", type = "boolean" },
  { name = "strict_sni", type = "boolean" },
  { name = "true_client_ip", type = "boolean" },
}
local CRL = {
  { name = "ca", type = "string", required = true },
  { name = "crl", type = "string", required = true },
  { name = "soft", type = "boolean" },
}
local REVOKED = {
  { name = "ca", type = "string" },
  { name = "serial", type = "string" },
  { name = "sha256", type = "string" },
}
local LIST = {
  { name = "kind", type = "string", required = true, one_of = { "ip", "hostname", "asn" } },
  { name = "items", type = "array", required = true },
}
local ZONE = {
  { name = "name", type = "string", required = true },
  { name = "tls", type = "object" },
  { name = "certificates", type = "array", of = "object" },
  { name = "crls", type = "array", of = "object" },
  { name = "revoked", type = "array", of = "object" },
  { name = "lists", type = "object" },
  { name = "rules", type = "array", of = "object" },
  { name = "hosts", type = "array", of = "object" },
}
local CONFIGURATION = {
  { name = "generation", type = "integer", min = 1 },
  { name = "strict_sni", type = "boolean" },
  { name = "zones", type = "array", of = "object", required = true },
}

--- The keys by the object that they belong to, for the manual's spec.
M.KEYS = {
  configuration = CONFIGURATION, zone = ZONE, host = HOST, origin = ORIGIN, tls = TLS, identity = IDENTITY, list = LIST, crl = CRL,
  revoked = REVOKED,
}

local FORWARD = { "cloudflare", "fields", "rfc9440", "xfcc" }

-- ---- mistakes ----

---@class moongate.admin.embedded.mistake
---@field where string
---@field text string

-- Raised here, caught by read(): no function in between has to hand it on.
local function refuse(where, text, ...)
  error({ where = where, text = select("#", ...) > 0 and text:format(...) or text }, 0)
end

local function at(where, key)
  return where == "" and key or where .. "." .. key
end

local function element(where, key, index)
  return ("%s[%d]"):format(at(where, key), index - 1)
end

local function shown(text)
  return (tostring(text):sub(1, 64):gsub("[%c\127]", "?"))
end

local function refuse_unknown(value, fields, where)
  local known, names = {}, {}
  for index, field in ipairs(fields) do known[field.name], names[index] = true, field.name end
  for key in pairs(value) do
    if not known[key] then
      local near = config.nearest(key, names)
      refuse(at(where, shown(key)), "this key is unknown%s", near and ("; did you mean %s?"):format(near) or "")
    end
  end
end

local function object(value, fields, where)
  if check.kind(value) ~= "object" then refuse(where, "expected an object") end
  refuse_unknown(value, fields, where)
  local values, mistakes = check.object(value, fields)
  if not values then refuse(at(where, mistakes[1].field), "%s", mistakes[1].text) end
  return values
end

-- Turns each element of an array that may be absent.
local function each(values, key, where, turn)
  local list = {}
  for index, value in ipairs(values[key] or {}) do list[index] = turn(value, element(where, key, index)) end
  return list
end

-- ---- parts ----

local function read_tls(value, where)
  return value and object(value, TLS, where)
end

-- What leaf.read calls a mistake, with the key that it is about.
local IDENTITY_MISTAKES = {
  unreadable = { "certificate", "it cannot be read: %s" }, no_leaf = { "certificate", "%s" },
  algorithm = { "certificate", "%s" }, cipher = { "certificate", "%s" }, key = { "certificate", "%s" },
  expired = { "certificate", "%s" }, private_key = { "private_key", "it cannot be read: %s" },
  mismatch = { "private_key", "%s" },
}

local function read_identity(context, value, where)
  local values = object(value, IDENTITY, where)
  local found, word, detail = leaf.read(context, values.certificate, values.private_key)
  if not found then
    local key, text = unpack(IDENTITY_MISTAKES[word])
    refuse(at(where, key), text, detail)
  end
  return { certificates = values.certificate, plain_key = values.private_key }, found
end

-- A server certificate, with the names that it is for.
local function certificate_reader(context)
  return function(value, where)
    local identity, found = read_identity(context, value, where)
    local hosts, diag = context.control.certificate_hosts(identity.certificates)
    if not hosts then refuse(at(where, "certificate"), "%s", diag.text) end
    identity.hosts, identity.kind, identity.expires_on = hosts, found.kind, stamp.seconds(found.first.not_after)
    return identity
  end
end

local function read_origin(context, value, where)
  if not value then return nil end
  local origin = object(value, ORIGIN, where)
  if origin.client_certificate then
    origin.client_certificate = read_identity(context, origin.client_certificate, at(where, "client_certificate"))
  end
  return origin
end

local function read_forward(names, where)
  local set = {}
  for index, name in ipairs(names or {}) do
    local known = table.concat(FORWARD, ", ")
    if not (" " .. known .. ","):find(" " .. name .. ",", 1, true) then
      refuse(("%s[%d]"):format(where, index - 1), "expected one of %s", known)
    end
    set[name] = true
  end
  return next(set) and set or nil
end

local function host_name(text, zone_name, where)
  if text == "*" then return text end
  local star, rest = text:match("^(%*%.)(.*)$")
  local name, reason = check.hostname(rest or text)
  if not name then refuse(where, "%s", reason) end
  if not check.is_within(name, zone_name) then refuse(where, "it is not in the zone %s", zone_name) end
  return (star or "") .. name
end

local function host_reader(context, zone_name)
  local seen = {}
  return function(value, where)
    local host = object(value, HOST, where)
    host.name = host_name(host.name, zone_name, at(where, "name"))
    if seen[host.name] then refuse(at(where, "name"), "%s stands twice", host.name) end
    seen[host.name] = true
    host.origin = read_origin(context, host.origin, at(where, "origin"))
    host.forward = read_forward(host.forward, at(where, "forward"))
    host.tls = read_tls(host.tls, at(where, "tls"))
    return host
  end
end

local function read_revoked(value, where)
  local one = object(value, REVOKED, where)
  if (one.sha256 == nil) == (one.ca == nil) or (one.ca == nil) ~= (one.serial == nil) then
    refuse(where, "expected sha256, or ca (SHA-256 of the CA's certificate) and serial")
  end
  return one
end

local function read_crl(value, where)
  local one = object(value, CRL, where)
  return { ca = one.ca, text = one.crl, soft = one.soft }
end

-- An item may be written as rules write it: a hostname needs no object around it.
local function read_items(kind, items, where)
  local known, list = {}, {}
  for index, value in ipairs(items) do
    if kind == "hostname" and type(value) == "string" then value = json.object { url_hostname = value } end
    local item, reason = list_item.read(kind, json.object { [kind] = value })
    if not item then refuse(element(where, "items", index), "%s", reason) end
    if not known[item.sorts_as] then list[#list + 1] = item end
    known[item.sorts_as] = true
  end
  table.sort(list, function(a, b) return a.sorts_as < b.sorts_as end)
  for index, item in ipairs(list) do list[index] = item.served end
  return table.concat(list, " ")
end

local function read_lists(value, where)
  local lists = {}
  for name, list in pairs(value or {}) do
    local place = at(where, shown(name))
    if not name:find("^[a-z0-9_]+$") or #name > 50 then
      refuse(place, "the name of a list has 1 to 50 characters: lower-case letters, digits and underscores")
    end
    local one = object(list, LIST, place)
    lists[name] = { kind = one.kind, items = read_items(one.kind, one.items, place) }
  end
  return lists
end

local function rule_reader(lists)
  local number = 0
  local place = {
    level = "zone", kind = "zone", has_ruleset = function() return false end,
    has_list = function(name, type_name) return lists[name] ~= nil and rule_lists.TYPES[lists[name].kind] == type_name end,
  }
  return function(value, where)
    number = number + 1
    local one, mistakes = rule.read(value, place, "")
    if not one then
      refuse(where .. (mistakes[1].pointer or ""):gsub("/", "."), "%s", mistakes[1].message)
    end
    local id = one.id or one.ref or ("rule-%d"):format(number)
    local read = {
      id = id, ref = one.ref or id, action = one.action, expression = one.expression, enabled = one.enabled,
      action_parameters = one.action_parameters,
    }
    if one.logging and one.logging.enabled == false then read.logging = false end
    return read
  end
end

-- ---- a zone ----

-- The entry that requests of a name are served by, when it has none of its own.
local function closest(by_name, name)
  local parent = name:sub(1, 1) ~= "*" and name:match("^[^.]+%.(.+)$")
  return parent and by_name["*." .. parent] or by_name["*"]
end

-- Every name that a certificate is for needs an entry, since the certificate belongs to it. Else it is as it would be without.
local function add_covered(hosts, certificates, zone_name)
  local by_name = {}
  for _, host in ipairs(hosts) do by_name[host.name] = host end
  local given = {}
  for name, host in pairs(by_name) do given[name] = host end
  for _, certificate in ipairs(certificates) do
    for _, name in ipairs(certificate.hosts) do
      if not by_name[name] and check.is_within((name:gsub("^%*%.", "")), zone_name) then
        local host = {}
        for key, value in pairs(closest(given, name) or {}) do host[key] = value end
        host.name, by_name[name] = name, host
        hosts[#hosts + 1] = host
      end
    end
  end
end

--- Reads one zone.
---@param context { control: table, now: number }
---@param value any
---@param where string
---@return table document
local function read_zone(context, value, where)
  local zone = object(value, ZONE, where)
  local name, reason = check.hostname(zone.name)
  if not name then refuse(at(where, "name"), "%s", reason) end
  local lists = read_lists(zone.lists, at(where, "lists"))
  local certificates = each(zone, "certificates", where, certificate_reader(context))
  local hosts = each(zone, "hosts", where, host_reader(context, name))
  add_covered(hosts, certificates, name)
  return {
    id = name, name = name, version = 1, hosts = hosts, certificates = certificates, lists = lists,
    rules = each(zone, "rules", where, rule_reader(lists)), tls = read_tls(zone.tls, at(where, "tls")),
    trust_options = { crls = each(zone, "crls", where, read_crl), denials = each(zone, "revoked", where, read_revoked) },
  }
end

-- ---- all of it ----

local function caught(err)
  if type(err) == "table" and err.where then return nil, err end
  error(err, 0) -- our bug, not the configuration's
end

--- Reads what stands around the zones.
---@param decoded any
---@return { generation: integer|nil, strict_sni: boolean|nil, zones: table[] }|nil
---@return moongate.admin.embedded.mistake|nil
function M.read(decoded)
  local ok, value = pcall(object, decoded, CONFIGURATION, "")
  if not ok then return caught(value) end
  return value
end

--- Reads one of the zones.
---@param control table moongate.control
---@param value any
---@param index integer its place among the zones
---@return table|nil document
---@return moongate.admin.embedded.mistake|nil
function M.zone(control, value, index)
  local ok, document = pcall(read_zone, { control = control, now = control.now() }, value, element("", "zones", index))
  if not ok then return caught(document) end
  return document
end

return M
