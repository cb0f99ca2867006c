-- fleet.lua — fills a store with accounts, CAs, zones and hostnames, as if they had come through the API one by one: the very
-- handlers of the admin API, without a gateway, and without waiting for the disk. bench/lib/control.lua calls it before the gateway starts.

local admin = require "spec.support.admin"
local managed_ca = require "spec.support.managed_ca"

local M = {}

local RULE = '(http.host in {"h1.%s"} and not cf.tls_client_auth.cert_verified)'

M.CAS, M.HOSTNAMES = 5, 50 -- of each account, of each zone

local function call(gate, method, target, body)
  local answer = gate:call(method, target, body)
  if answer.status > 201 then error(("%s %s: %d %s"):format(method, target, answer.status, answer.raw), 0) end
  return answer.body.result
end

---@return string
function M.name(index) return ("z%05d.example"):format(index) end

-- Each CA of the account has its share of the zone's hostnames. Returns the id of the first one.
local function associate(gate, account, zone, name)
  local share, first = M.HOSTNAMES / M.CAS, nil
  for number = 1, M.CAS do
    local made = assert(managed_ca.make(("CA %d of %s"):format(number, name), gate.control.clock))
    local ca = call(gate, "POST", ("/accounts/%s/mtls_certificates"):format(account), { ca = true, certificates = made.certificates })
    local hostnames = {}
    for position = 1, share do hostnames[position] = ("h%d.%s"):format((number - 1) * share + position, name) end
    call(gate, "PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone),
      { hostnames = hostnames, mtls_certificate_id = ca.id })
    first = first or ca.id
  end
  return first
end

local function add_zone(gate, index)
  local name = M.name(index)
  local account = call(gate, "POST", "/accounts", { name = "account " .. index }).id
  local zone = call(gate, "POST", "/zones", { name = name, account = { id = account } }).id
  local ca = associate(gate, account, zone, name)
  call(gate, "PUT", ("/zones/%s/moongate/origins/*"):format(zone), { url = "http://127.0.0.1:9" })
  call(gate, "PUT", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(zone),
    { rules = { { action = "block", expression = RULE:format(name) } } })
  return { id = zone, account_id = account, name = name, ca = ca }
end

-- A list that is long by itself.
local function add_long_list(gate, account, count)
  local list = call(gate, "POST", ("/accounts/%s/rules/lists"):format(account), { name = "long", kind = "ip" })
  local items = {}
  for index = 0, count - 1 do
    items[index + 1] = { ip = ("10.%d.%d.%d"):format(math.floor(index / 65536), math.floor(index / 256) % 256, index % 256) }
  end
  call(gate, "POST", ("/accounts/%s/rules/lists/%s/items"):format(account, list.id), items)
  return list.id
end

--- Fills the store in `directory`/data.
---@param directory string
---@param count integer zones, and accounts
---@param told fun(done: integer) called now and then
---@return { token: string, zones: table[], list: { account_id: string, id: string, items: integer } }
function M.fill(directory, count, told)
  local control = admin.control()
  control.clock = os.time()
  local gate = assert(admin.start { directory = directory, control = control })
  gate.app.publisher = { rehearse = function() return {} end, release = function() return true end, tick = function() end }
  gate.app.store.connection:script "PRAGMA synchronous=OFF"
  local zones = {}
  for index = 1, count do
    zones[index] = add_zone(gate, index)
    if index % 100 == 0 then told(index) end
  end
  local items = count * 50
  local list = { account_id = zones[1].account_id, id = add_long_list(gate, zones[1].account_id, items), items = items }
  local token = gate.owner
  gate.app.store:close()
  return { token = token, zones = zones, list = list }
end

return M
