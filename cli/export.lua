--- moongate.cli.export — the command `export`: an account, or one of its zones, as one JSON document.
--
-- Things are read kind by kind (moongate.cli.kinds) in a form that holds no ids, no times and no secrets, so that the
-- same configuration gives the same text on every gateway. What has a secret is named and left out. A zone takes
-- along what it refers to of its account.

local export_document = require "moongate.cli.export_document"
local json = require "moongate.json"
local kind_of = require "moongate.cli.kind"
local kinds = require "moongate.cli.kinds"
local session_of = require "moongate.cli.session"
local world_of = require "moongate.cli.world"

local M = {}

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local export = with_help(parser:command("export",
    "Print an account, or one of its zones, as a JSON document without secrets."))
  session_of.declare_zone(export, "Without it: the whole account.")
  session_of.declare(export, { output = false })
  export:epilog "Example:\n  moongate export > account.json\n  moongate export --zone example.com > example.com.json"
end

-- ---- what is left out ----

local function id_of(one) return one.id end

-- Things with secrets: what they are called, where they are listed, and their name, if they have one.
local WITH_SECRETS = {
  account = {
    { "leaf certificate", "/mtls_certificates", function(one) return kind_of.given(one.name) or one.id end, { ca = false } },
    { "webhook", "/alerting/v3/destinations/webhooks", function(one) return one.name end },
  },
  zone = {
    { "server certificate", "/custom_certificates", function(one) return table.concat(one.hosts, ", ") end },
    { "certificate of the custom hostname", "/custom_hostnames", function(one)
      return json.is_object(one.ssl) and kind_of.given(one.ssl.custom_certificate) and one.hostname or nil
    end },
    { "certificate for origin pulls", "/origin_tls_client_auth", id_of },
    { "certificate for origin pulls of hostnames", "/origin_tls_client_auth/hostnames/certificates", id_of },
  },
}

local function name_left_out(world, place, left_out)
  for _, one in ipairs(WITH_SECRETS[place.level]) do
    local list, failure = world.api:list(place.path .. one[2], one[4])
    if not list then return nil, failure end
    for _, element in ipairs(list) do
      local name = one[3](element)
      left_out[#left_out + 1] = name and ("%s %s of the %s %s: what is secret about it stays on the gateway")
        :format(one[1], name, place.level, place.name)
    end
  end
  return true
end

-- Lists that were sent, not fetched from an address.
local function name_revocation_lists(account, left_out)
  for _, ca in ipairs(account.certificate_authorities) do
    if ca.revocation_list ~= json.null and ca.revocation_list.source == "upload" then
      left_out[#left_out + 1] = ("revocation list of the CA %s: the API does not show it"):format(
        kinds.of("account").certificate_authorities.key(ca))
    end
  end
end

-- Client certificates belong to the managed CA, whose key stays; there may be very many.
local function count_client_certificates(world, place, left_out)
  local envelope, failure = world.api:call("GET", place.path .. "/client_certificates", nil, { per_page = 5 })
  if not envelope then return nil, failure end
  local count = envelope.result_info.total_count
  if count > 0 then
    left_out[#left_out + 1] = ("%d client certificates of the zone %s: the managed CA that signed them "
      .. "stays on the gateway"):format(count, place.name)
  end
  return true
end

-- ---- reading ----

-- In the order of their keys. Two of the same key could not be told apart.
local function sorted(kind, values)
  table.sort(values, function(a, b) return kind.key(a) < kind.key(b) end)
  local list = json.array {}
  for index, value in ipairs(values) do
    local key = kind.key(value)
    if index == 1 or kind.key(values[index - 1]) ~= key then
      list[#list + 1] = value
    elseif not kind.repeatable then
      return session_of.fail(("two things of the kind %s are called \"%s\" and cannot be told apart")
        :format(kind.singular, key))
    end
  end
  return list
end

-- Everything of one place, by the names of the kinds.
local function read_place(world, place, object)
  for _, kind in ipairs(kinds.list) do
    if kind.level == place.level and kind ~= kinds.zones then
      local values, failure = kind.read(world, place)
      if not values then return nil, failure end
      if kind.single then
        object[kind.name] = values[1]
      elseif not kind.hidden then
        object[kind.name], failure = sorted(kind, values)
        if not object[kind.name] then return nil, failure end
      end
    end
  end
  return object
end

local function read_zone(world, place, left_out)
  local object = kind_of.pick(place.zone, kinds.zones.members)
  local read, failure = read_place(world, place, object)
  if not read then return nil, failure end
  local ok
  ok, failure = name_left_out(world, place, left_out)
  if ok then ok, failure = count_client_certificates(world, place, left_out) end
  if not ok then return nil, failure end
  return object
end

-- ---- one zone ----

local function keep(list, wanted)
  local kept = json.array {}
  for _, value in ipairs(list) do
    if wanted(value) then kept[#kept + 1] = value end
  end
  return kept
end

-- Of the account, only what the zone refers to.
local function referred(account, zone)
  local text, cas = kind_of.canonical(zone), {}
  for _, association in ipairs(zone.associations) do
    if association.ca ~= json.null then cas[association.ca] = true end
  end
  local ca_kind = kinds.of("account").certificate_authorities
  local rulesets = keep(account.custom_rulesets, function(one)
    return text:find('"account_ruleset":' .. json.encode(one.name), 1, true) ~= nil
  end)
  local rules = text .. kind_of.canonical(rulesets)
  return json.object {
    certificate_authorities = keep(account.certificate_authorities, function(ca) return cas[ca_kind.key(ca)] end),
    lists = keep(account.lists, function(list) return rules:find("$" .. list.name .. "%f[^%w_]") ~= nil end),
    custom_rulesets = rulesets,
  }
end

local function zones_of(world, args, session)
  if not args.zone then return world.zones end
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  return { world:zone(zone.name) }
end

local function read_all(world, args, session)
  local document = { moongate_export = export_document.VERSION, scope = args.zone and "zone" or "account",
    zones = json.array {}, left_out = json.array {} }
  local places, failure = zones_of(world, args, session)
  if not places then return nil, failure end
  document.account, failure = read_place(world, world.account_place, json.object {})
  if not document.account then return nil, failure end
  if not args.zone then
    local ok
    ok, failure = name_left_out(world, world.account_place, document.left_out)
    if not ok then return nil, failure end
  end
  for index, place in ipairs(places) do
    document.zones[index], failure = read_zone(world, place, document.left_out)
    if not document.zones[index] then return nil, failure end
  end
  sorted(kinds.zones, document.zones)
  if args.zone then document.account = referred(document.account, document.zones[1]) end
  name_revocation_lists(document.account, document.left_out)
  return document
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  session.api:be_patient()
  if args.zone then
    local zone, failure = session:zone(args.zone)
    if not zone then return nil, failure end
    session:use_account(zone.account)
  end
  local world, failure = world_of.open(session)
  if not world then return nil, failure end
  local document
  document, failure = read_all(world, args, session)
  if not document then return nil, failure end
  session.host.stdout:write(export_document.encode(document))
  for _, text in ipairs(document.left_out) do session.host.note("left out: " .. text) end
  return 0
end

return M
