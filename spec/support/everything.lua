-- A configuration with something of every kind, made through the admin API: what export has to carry, and import to bring back.
--
--   everything.make(call, certs)     -- call(method, path, body) → result; fails the spec when it is refused
--   everything.prepare(call)         -- what import cannot make: a leaf with its key, Access certificates

local certs = require "spec.support.certs"
local json = require "moongate.json"

local M = {}

local array = json.array

M.partners, M.devices, M.access = certs.ca "Partners", certs.ca "Devices", certs.ca "Access"
M.leaf = certs.leaf(M.partners, { cn = "gateway" })

local function account_of(call) return "/accounts/" .. call("GET", "/accounts")[1].id end

--- Uploads what is never exported.
function M.prepare(call)
  local account = account_of(call)
  call("POST", account .. "/mtls_certificates", { ca = false, name = "presented", certificates = M.leaf.chain, private_key = M.leaf.key })
  call("POST", account .. "/access/certificates", { name = "staff", certificate = M.access.pem })
end

local function make_account(call, account)
  local ids = {}
  ids.partners = call("POST", account .. "/mtls_certificates", { ca = true, name = "partners", certificates = M.partners.pem }).id
  ids.devices = call("POST", account .. "/mtls_certificates", { ca = true, certificates = M.devices.pem }).id
  call("POST", ("%s/mtls_certificates/%s/moongate/denials"):format(account, ids.partners), { serial = "0x0a1b", comment = "lost" })
  local office = call("POST", account .. "/rules/lists", { name = "office", kind = "ip", description = "where we sit" }).id
  call("PUT", ("%s/rules/lists/%s/items"):format(account, office), array { { ip = "192.0.2.0/24", comment = "desk" }, { ip = "2001:db8::/32" } })
  call("POST", account .. "/rules/lists", { name = "nothing", kind = "asn" })
  ids.shared = call("POST", account .. "/rulesets", {
    name = "shared", kind = "custom", phase = "http_request_firewall_custom", description = "for all", rules = array {
      { action = "block", expression = "not ip.src in $office and http.request.uri.path eq \"/admin\"", ref = "admin" } },
  }).id
  call("PUT", account .. "/rulesets/phases/http_request_firewall_custom/entrypoint", { description = "top", rules = array {
    { action = "execute", expression = "true", action_parameters = { id = ids.shared } },
    { action = "log", expression = "ssl", enabled = false, description = "off" },
  } })
  call("POST", account .. "/alerting/v3/policies", { name = "expiry", alert_type = "mtls_certificate_store_certificate_expiration_type",
    mechanisms = { email = array { { id = "ops@heron.test" } } } })
  return ids
end

local function make_rules(call, zone, ids)
  local own = call("POST", zone .. "/rulesets", { name = "own", kind = "custom", phase = "http_request_firewall_custom",
    rules = array { { action = "log", expression = "not ssl" } } }).id
  call("PUT", zone .. "/rulesets/phases/http_request_firewall_custom/entrypoint", { rules = array {
    { action = "skip", expression = "http.request.uri.path eq \"/health\"", action_parameters = { ruleset = "current" }, logging = { enabled = false } },
    { action = "block", expression = "http.host eq \"api.heron.test\" and not cf.tls_client_auth.cert_verified", ref = "mtls",
      action_parameters = { response = { status_code = 401, content = "no", content_type = "text/plain" } } },
    { action = "execute", expression = "ssl", action_parameters = { id = own } },
    { action = "execute", expression = "not ssl", action_parameters = { id = ids.shared } },
  } })
  call("POST", zone .. "/firewall/rules", array {
    { action = "block", priority = 5, filter = { expression = "ip.src eq 192.0.2.9", description = "him" }, description = "out" },
    { action = "allow", ref = "fine", paused = true, filter = { expression = "ssl", paused = true } },
  })
end

local function make_hosts(call, zone, account, ids)
  local path = zone .. "/certificate_authorities/hostname_associations"
  call("PUT", path, { hostnames = array { "api.heron.test", "b.heron.test" }, mtls_certificate_id = ids.partners })
  call("PUT", path, { hostnames = array { "api.heron.test" }, mtls_certificate_id = ids.devices })
  call("PUT", path, { hostnames = array { "m.heron.test" } })
  call("PUT", zone .. "/hostnames/settings/min_tls_version/api.heron.test", { value = "1.2" })
  local access = call("GET", account .. "/access/certificates")[1]
  call("PUT", ("%s/access/certificates/%s"):format(account, access.id), { name = "staff", associated_hostnames = array { "s.heron.test" } })
  call("PUT", zone .. "/access/certificates/settings", { settings = array { { hostname = "s.heron.test", client_certificate_forwarding = true } } })
end

local function make_origins(call, zone, account)
  local leaf = call("GET", account .. "/mtls_certificates?ca=false")[1].id
  call("PUT", zone .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
  call("PUT", zone .. "/moongate/origins/api.heron.test", { url = "https://127.0.0.1:9001", host_header = "in.test", sni = "in.test",
    ca = M.partners.pem, client_certificate_id = leaf })
  call("PUT", zone .. "/origin_tls_client_auth/settings", { enabled = true })
  for _, record in ipairs {
    { type = "A", name = "www.heron.test", content = "192.0.2.7", proxied = true, comment = "front", tags = array { "team:web" } },
    { type = "A", name = "www.heron.test", content = "192.0.2.8", proxied = true },
    { type = "CNAME", name = "alias.heron.test", content = "www.heron.test", ttl = 300 },
    { type = "TXT", name = "heron.test", content = "v=spf1 -all" },
  } do
    call("POST", zone .. "/dns_records", record)
  end
end

local function make_custom_hostnames(call, zone)
  call("PUT", zone .. "/custom_hostnames/fallback_origin", { origin = "www.heron.test" })
  call("PUT", zone .. "/moongate/custom_hostnames", { ownership_checks = true })
  call("POST", zone .. "/custom_hostnames", { hostname = "shop.crane.test", custom_metadata = { tier = "gold" },
    ssl = { method = "txt", type = "dv", settings = { min_tls_version = "1.2" } } })
  call("PUT", zone .. "/moongate/hostnames/api.heron.test", { resumption = false, forward = { xfcc = true } })
  call("PUT", zone .. "/moongate/hostnames/shop.crane.test", { strict_sni = true })
  call("POST", zone .. "/custom_hostnames", { hostname = "plain.crane.test", custom_origin_server = "www.heron.test" })
end

--- Makes all of it, prepare() included.
function M.make(call)
  M.prepare(call)
  local account = account_of(call)
  local ids = make_account(call, account)
  local zone = "/zones/" .. call("POST", "/zones", { name = "heron.test" }).id
  call("PATCH", zone .. "/settings", { items = array { { id = "ssl", value = "strict" }, { id = "min_tls_version", value = "1.2" } } })
  call("PATCH", zone .. "/managed_headers", { managed_request_headers = array { { id = "add_client_certificate_headers", enabled = true } } })
  make_hosts(call, zone, account, ids)
  make_rules(call, zone, ids)
  make_origins(call, zone, account)
  make_custom_hostnames(call, zone)
  call("PATCH", "/zones/" .. call("POST", "/zones", { name = "stork.test", type = "partial" }).id, { paused = true })
end

return M
