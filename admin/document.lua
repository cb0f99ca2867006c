--- moongate.admin.document — the document of a zone: everything that serving it needs, read from the store in one go.
--
-- Called by admin/publish.lua inside a transaction. A host entry is complete: which CAs its clients are verified
-- against and which origin its requests go to are decided here, so that the core only looks one name up (exact, then
-- wildcard, then `*`). Equal trust lists and equal origins are one shared table each, which keeps a hundred thousand
-- hosts small.
--
-- A document: { id, name, version, hosts, rules, certificates, account_rules | nil, firewall_rules | nil, rulesets |
-- nil, lists | nil, trust_options | nil, tls | nil }.
--   certificates[i] (of the zone, the preferred first): { hosts, kind = "EC" | "RSA", expires_on, and as a
--     client_certificate below }; every name that one covers is among the hosts
--   hosts[i]: { name, trust = PEM texts | nil, origin | nil, tls | nil, https_only = true | nil, websockets = false | nil,
--     true_client_ip = true | nil,
--     guest = true | nil: a custom hostname, whose name lies outside the zone's domain, metadata = its JSON | nil,
--     and as moongate.admin.host_options: forward | nil, resumption = false | nil, strict_sni = true | nil, usage | nil }
--   tls of the document and of hosts[i] | nil: { min_version | nil, tls_1_3 = "off" | nil, ciphers | nil, and of a guest identities |
--     nil: its certificates, as client_certificate }; a host's go before the zone's, member by member
--   trust_options | nil, what is revoked: { denials = { { ca = SHA-256 of a CA's certificate, serial = "0x…" } or { sha256 =
--     that of the certificate itself }, … } | nil, crls = { { ca = PEM text, text = base64, digest, soft }, … } | nil }
--   origin:   { url, host_header, sni, verify, ca, client_certificate | nil, addresses = literals to connect to | nil,
--     request_name = true | nil: each request's host is the name for TLS, shared_client = true | nil: what is presented is
--     the gateway's own certificate }
--   client_certificate (what we present): { certificates = PEM, private_key = sealed text, context = its row }
--   rules[i]: { id, ref, action, expression, enabled, action_parameters | nil, logging = false | nil }: the entry point of
--     the zone; account_rules (that of its account) and firewall_rules are lists of the same kind and are run before it
--   rulesets[id]: the rules of a custom ruleset that one of them executes
--   lists[name]: { kind = `ip`, `hostname` or `asn`, items = words of lua/rule_lists.lua } that one of them asks

local check = require "moongate.admin.check"
local document_guests = require "moongate.admin.document_guests"
local document_options = require "moongate.admin.document_options"
local document_origins = require "moongate.admin.document_origins"
local document_rules = require "moongate.admin.document_rules"
local document_settings = require "moongate.admin.document_settings"
local document_trust = require "moongate.admin.document_trust"
local json = require "moongate.json"
local secrets = require "moongate.admin.secrets"

local M = {}

-- The zone's server certificates, the preferred first, and the names of the zone that they cover.
local function server_certificates(tx, zone)
  local list, names = {}, {}
  for index, row in ipairs(tx:all("SELECT id, hosts, kind, expires_on, chain, private_key FROM custom_certificates "
      .. "WHERE zone_id = ? AND deploy = 'production' ORDER BY priority DESC, uploaded_on DESC, id", zone.id)) do
    local one = secrets.identity("custom_certificates", row.id, row.chain, row.private_key)
    one.kind, one.expires_on, one.hosts = row.kind, row.expires_on, {}
    for position, host in ipairs(json.decode(row.hosts)) do
      one.hosts[position] = host
      if check.is_within((host:gsub("^%*%.", "")), zone.name) then names[host] = true end
    end
    list[index] = one
  end
  return list, names
end

-- The names of all hosts, in order. What is set for a name that is neither the zone's nor a guest any more waits.
local function names_of(zone, guests, ...)
  local names, seen = {}, {}
  for _, set in ipairs { guests, ... } do
    for name in pairs(set) do
      local plain = name:gsub("^%*%.", "")
      if not seen[name] and (name == "*" or guests[name] or check.is_within(plain, zone.name)) then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

local function host_of(name, origin, options, settings)
  return {
    name = name, origin = origin, forward = settings.forward_of(options.forward), usage = options.usage,
    resumption = options.resumption, strict_sni = options.strict_sni, https_only = settings.https_only,
    websockets = settings.websockets, true_client_ip = settings.true_client_ip,
  }
end

--- Builds the document of one zone.
---@param tx table
---@param zone { id: string, name: string, generation: integer }
---@param memo table|nil what was read of accounts so far, for zones that are built one after the other in `tx`
---@return table document
function M.build(tx, zone, memo)
  local trust, trust_options = document_trust.build(tx, zone)
  local named, origin_of = document_origins.build(tx, zone)
  local certificates, covered = server_certificates(tx, zone)
  local optional, options_of = document_options.build(tx, zone)
  local settings = document_settings.build(tx, zone)
  local guests = document_guests.build(tx, zone, origin_of)
  local hosts = {}
  for index, name in ipairs(names_of(zone, guests, trust, named, covered, optional, settings.names)) do
    local guest = guests[name]
    local origin
    if guest then origin = guest.origin else origin = origin_of(name) end
    local host = host_of(name, origin, options_of(name), settings)
    host.trust, host.tls, host.guest = trust[name], settings.tls_of[name], guest and true or nil
    if guest then host.tls, host.metadata = guest.tls, guest.metadata end
    hosts[index] = host
  end
  local document = document_rules.build(tx, zone.id, memo or {})
  document.id, document.name, document.version, document.hosts = zone.id, zone.name, zone.generation, hosts
  document.certificates, document.trust_options, document.tls = certificates, trust_options, settings.tls
  return document
end

--- The document that stands for a zone which cannot be served: nothing but a rule that blocks every request.
---@param zone { id: string, name: string, generation: integer }
---@return table document
function M.sealed(zone)
  return {
    id = zone.id, name = zone.name, version = zone.generation, hosts = {},
    rules = { {
      id = ("0"):rep(32), ref = "sealed", action = "block", enabled = true,
      expression = 'http.request.method ne ""', -- always true
    } },
  }
end

return M
