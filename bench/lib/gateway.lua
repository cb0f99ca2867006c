-- gateway.lua — moongate under test, set up as its user would: a configuration file, a token from the command line,
-- then the admin API. Limits, rules and access log are as shipped; only the number of workers is set, equal for all
-- servers.

local json = require "dkjson"
local process = require "process"

local M = {}

local MTLS_RULE = '(http.host in {"api.example.com"} and not cf.tls_client_auth.cert_verified)'
local RULES_PER_ZONE = 1000 -- what one entry point may hold

local function api(server, method, path, body)
  local file = ""
  if body then
    process.write(server.dir .. "/body.json", json.encode(body))
    file = " --data-binary @" .. process.quote(server.dir .. "/body.json")
  end
  local answer = process.output(("curl -sS -m 120 -K %s -X %s %s%s 2>&1"):format(
    process.quote(server.dir .. "/admin.curl"), method, process.quote(server.admin .. path), file))
  local document = json.decode(answer)
  if type(document) ~= "table" or not document.success then
    error(("%s %s was refused: %s"):format(method, path, answer:sub(1, 2000)), 0)
  end
  return document.result
end

local function make_zone(server, account, name, origin, rules)
  local zone = api(server, "POST", "/zones", { name = name, account = { id = account } }).id
  api(server, "PUT", ("/zones/%s/moongate/origins/*"):format(zone), { url = origin })
  local entry_point = ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(zone)
  api(server, "PUT", entry_point, { rules = rules })
  return zone
end

local function block(expression) return { action = "block", expression = expression } end

-- api.example.com wants a verified certificate; /blocked is for nobody.
local function configure_base(server, account, options)
  local zone = make_zone(server, account, "example.com", options.origin, {
    block(MTLS_RULE), block('http.request.uri.path eq "/blocked"') })
  local certificate = api(server, "POST", ("/accounts/%s/mtls_certificates"):format(account),
    { name = "bench", ca = true, certificates = process.read(options.pki.ca) })
  api(server, "PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone),
    { hostnames = { "api.example.com" }, mtls_certificate_id = certificate.id })
end

-- One rule for each host, at most a thousand to a zone.
local function configure_hosts(server, account, options)
  local zones, order = {}, {}
  for _, host in ipairs(options.hosts) do
    local name = host:match("^[^.]+%.(.+)$")
    if not zones[name] then
      zones[name] = {}
      order[#order + 1] = name
    end
    local rules = zones[name]
    assert(#rules < RULES_PER_ZONE, "too many hosts in one zone")
    rules[#rules + 1] = block(('(http.host eq "%s" and not cf.tls_client_auth.cert_verified)'):format(host))
  end
  for _, name in ipairs(order) do make_zone(server, account, name, options.origin, zones[name]) end
end

-- Rules that every request has to be tried against; the last one is the one that matches.
local function configure_needles(server, account, options)
  local rules = {}
  for index, needle in ipairs(options.needles) do
    rules[index] = block(('http.request.uri.path contains "%s"'):format(needle))
  end
  make_zone(server, account, "example.com", options.origin, rules)
end

--- Starts and configures it.
---@param options bench.settings
---@return bench.server
function M.start(options)
  local dir = ("%s/%s"):format(options.work, options.name)
  local quoted = process.quote(dir)
  process.output(("rm -rf %s && mkdir -p %s"):format(quoted, quoted))
  local server = { name = options.name, dir = dir, log = dir .. "/gateway.log" }
  process.write(dir .. "/moongate.lua", ([[
return {
  listen = { "127.0.0.1:0" },
  listen_http = { "127.0.0.1:0" },
  admin = { listen = "127.0.0.1:0" },
  data_dir = "data",
  workers = %d,
  log = { file = "gateway.log" },
}
]]):format(options.workers))
  local binary, config = process.quote(options.build .. "/moongate"), process.quote(dir .. "/moongate.lua")
  local token = process.output(("%s token create -c %s --name bench"):format(binary, config)):match("^(%S+)")
  process.write(dir .. "/admin.curl",
    ('header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\n'):format(token))
  local command = ("%s%s run -c %s"):format(options.under or "", binary, config)
  server.pid = process.start(options.work, command, dir .. "/stderr")
  local ready = process.wait("moongate", options.under and 120 or 30, function()
    if not process.runs(server.pid) then error("moongate did not start: " .. process.read(dir .. "/stderr"), 0) end
    return process.read(dir .. "/stderr"):match('[^\n]*"what":"ready"[^\n]*\n')
  end)
  ready = json.decode(ready)
  server.https = tonumber(ready.listen[1]:match(":(%d+)$"))
  server.http = tonumber(ready.listen_http[1]:match(":(%d+)$"))
  server.admin = ("http://%s/client/v4"):format(ready.admin)
  local account = api(server, "GET", "/accounts")[1].id
  local configure = options.hosts and configure_hosts or options.needles and configure_needles or configure_base
  configure(server, account, options)
  return server
end

--- Log lines that were lost since the log was last emptied, because the writer did not keep up; then empties the log.
---@return integer
function M.forget_log(server)
  local lost = 0
  for count in process.output(("grep -F '\"what\":\"lines dropped\"' %s || true"):format(process.quote(server.log)))
    :gmatch('"count":(%d+)') do
    lost = lost + tonumber(count)
  end
  process.write(server.log, "")
  return lost
end

return M
