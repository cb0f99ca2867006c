--- moongate.cli.host — the commands `host list`, `host add`, `host remove` and `host origin …`: which hostnames ask their
--- clients for certificates, of which CAs, and where their requests go.
--
-- The API replaces a list of hostnames as a whole, so adding and removing read the list, change it and write it back.

local json = require "moongate.json"
local session_of = require "moongate.cli.session"

local M = {}

local MANAGED = "(managed)"
local CLOSEST = "Without it: the closest zone that the hostname lies in."

local function declare_origin(host, with_help)
  local origin = with_help(host:command("origin", "Where the requests for hostnames go."))
  origin:command_target "origin_command"
  local list = with_help(origin:command("list", "List the origins of a zone."))
  session_of.declare_zone(list)
  session_of.declare(list)
  local set = with_help(origin:command("set", "Set the origin of a hostname; what is not given has its default."))
  set:argument("hostname", "A hostname, *.NAME, or * for the rest of the zone."):argname "HOSTNAME"
  set:argument("origin_url", "http://HOST[:PORT] or https://HOST[:PORT]."):argname "URL"
  set:option("--host-header", "What the origin sees as Host."):argname "NAME":target "host_header"
  set:option("--sni", "The name for TLS, and the one that is verified."):argname "NAME"
  set:flag("--no-verify", "Take any certificate of the origin."):target "no_verify"
  set:option("--ca-file", "The CA that the origin's certificate must come from."):argname "FILE":target "ca_file"
  set:option("--client-certificate", "Name or id of an uploaded leaf certificate that is presented to the origin.")
    :argname "CERTIFICATE":target "client_certificate"
  session_of.declare_zone(set, CLOSEST)
  session_of.declare(set)
  set:epilog "Example:\n  moongate host origin set api.example.com https://10.0.0.7:8443 --ca-file internal.pem"
  local unset = with_help(origin:command("unset", "Remove the origin of a hostname."))
  unset:argument("hostname", "As it was set."):argname "HOSTNAME"
  session_of.declare_zone(unset, CLOSEST)
  session_of.declare(unset, { destructive = true })
end

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local host = with_help(parser:command("host", "Hostnames: whose certificates they ask for, and their origins."))
  host:command_target "host_command"
  local list = with_help(host:command("list", "List the hostnames of a zone that are associated with CAs."))
  session_of.declare_zone(list)
  session_of.declare(list)
  for name, text in pairs {
    add = "Ask the clients of hostnames for a certificate of a CA. This alone blocks nobody: a rule does.",
    remove = "Ask the clients of hostnames for certificates of a CA no longer.",
  } do
    local command = with_help(host:command(name, text))
    command:argument("hostnames", "Hostnames of one zone."):argname "HOSTNAME":args "+"
    command:option("--ca", "Name or id of the CA. Without it: the account's managed CA."):argname "CA"
    session_of.declare_zone(command, CLOSEST)
    session_of.declare(command, { destructive = name == "remove" })
    command:epilog(("Example:\n  moongate host %s api.example.com --ca partners"):format(name))
  end
  declare_origin(host, with_help)
end

-- ---- associations ----

local function associations(zone) return ("/zones/%s/certificate_authorities/hostname_associations"):format(zone.id) end

local function names_of(session, zone, ca)
  local result, failure = session.api:ask("GET", associations(zone), nil, ca and { mtls_certificate_id = ca.id })
  if not result then return nil, failure end
  return result.hostnames
end

-- All associations of a zone, one entry for each CA that has any.
local function read_all(session, zone)
  local path = ("/accounts/%s/mtls_certificates"):format(zone.account.id)
  local cas, failure = session.api:list(path, { ca = true })
  if not cas then return nil, failure end
  table.insert(cas, 1, false) -- the managed one
  local all = json.array {}
  for _, ca in ipairs(cas) do
    local names
    names, failure = names_of(session, zone, ca)
    if not names then return nil, failure end
    if names[1] then
      all[#all + 1] = json.object {
        mtls_certificate_id = ca and ca.id or json.null, name = ca and ca.name or json.null, hostnames = names,
      }
    end
  end
  return all
end

local COMMANDS = {}

function COMMANDS.list(args, session)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  local all
  all, failure = read_all(session, zone)
  if not all then return nil, failure end
  if args.output == "json" then return session:print_list(all) end
  local cas_of, names = {}, {}
  for _, one in ipairs(all) do
    local label = one.name ~= json.null and one.name or one.mtls_certificate_id
    if label == json.null then label = MANAGED end
    for _, name in ipairs(one.hostnames) do
      if not cas_of[name] then
        cas_of[name] = json.array {}
        names[#names + 1] = name
      end
      table.insert(cas_of[name], label)
    end
  end
  table.sort(names)
  return session:print_list(names, { "HOSTNAME", "CAS" }, function(name) return { name, cas_of[name] } end)
end

local function normal(name) return (name:lower():gsub("%.$", "")) end

-- The zone and the CA that add and remove speak of; false for the managed CA.
local function place_of(args, session)
  local zone, failure = session:zone_of(args.hostnames[1])
  if not zone then return nil, failure end
  if not args.ca then return zone, false end
  session:use_account(zone.account)
  local ca
  ca, failure = session:certificate(args.ca, true)
  if not ca then return nil, failure end
  return zone, ca
end

local function write_names(args, session, zone, ca, names, done)
  local result, failure = session.api:ask("PUT", associations(zone), {
    hostnames = names, mtls_certificate_id = ca and ca.id or nil,
  })
  if not result then return nil, failure end
  return session:print_done(result, ("%s %s %s"):format(table.concat(args.hostnames, ", "), done,
    ca and (ca.name or ca.id) or "the managed CA"))
end

function COMMANDS.add(args, session)
  local zone, ca = place_of(args, session)
  if not zone then return nil, ca end
  local names, failure = names_of(session, zone, ca)
  if not names then return nil, failure end
  local there = {}
  for _, name in ipairs(names) do there[name] = true end
  for _, name in ipairs(args.hostnames) do
    if not there[normal(name)] then names[#names + 1] = name end
  end
  return write_names(args, session, zone, ca, names, "now asks for certificates of")
end

function COMMANDS.remove(args, session)
  local zone, ca = place_of(args, session)
  if not zone then return nil, ca end
  local names, failure = names_of(session, zone, ca)
  if not names then return nil, failure end
  local gone, left = {}, json.array {}
  for _, name in ipairs(args.hostnames) do gone[normal(name)] = false end
  for _, name in ipairs(names) do
    if gone[name] == nil then left[#left + 1] = name else gone[name] = true end
  end
  for name, was_there in pairs(gone) do
    if not was_there then return session_of.fail(("%s is not associated with this CA"):format(name)) end
  end
  local ok
  ok, failure = session:confirm(("stop asking the clients of %s for certificates of %s"):format(
    table.concat(args.hostnames, ", "), args.ca or "the managed CA"))
  if not ok then return nil, failure end
  return write_names(args, session, zone, ca, left, "no longer asks for certificates of")
end

-- ---- origins ----

local function origin_path(session, zone, hostname)
  return ("/zones/%s/moongate/origins/%s"):format(zone.id, session.escape(hostname))
end

local ORIGIN = {}

function ORIGIN.list(args, session)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  local list
  list, failure = session.api:list(("/zones/%s/moongate/origins"):format(zone.id))
  if not list then return nil, failure end
  return session:print_list(list, { "HOSTNAME", "URL", "VERIFY", "HOST HEADER", "SNI" }, function(origin)
    return { origin.hostname, origin.url, origin.verify, origin.host_header, origin.sni }
  end)
end

function ORIGIN.set(args, session)
  local zone, failure = session:zone_of(args.hostname)
  if not zone then return nil, failure end
  local body = { url = args.origin_url, host_header = args.host_header, sni = args.sni, verify = not args.no_verify }
  if args.ca_file then
    body.ca, failure = session:read_file(args.ca_file)
    if not body.ca then return nil, failure end
  end
  if args.client_certificate then
    session:use_account(zone.account)
    local leaf
    leaf, failure = session:certificate(args.client_certificate, false)
    if not leaf then return nil, failure end
    body.client_certificate_id = leaf.id
  end
  local made
  made, failure = session.api:ask("PUT", origin_path(session, zone, args.hostname), body)
  if not made then return nil, failure end
  return session:print_done(made, ("requests for %s in %s go to %s"):format(made.hostname, zone.name, made.url))
end

function ORIGIN.unset(args, session)
  local zone, failure = session:zone_of(args.hostname)
  if not zone then return nil, failure end
  local ok
  ok, failure = session:confirm(("remove the origin of %s in %s"):format(args.hostname, zone.name))
  if not ok then return nil, failure end
  local gone
  gone, failure = session.api:ask("DELETE", origin_path(session, zone, args.hostname))
  if not gone then return nil, failure end
  return session:print_done(gone, ("%s in %s has no origin of its own now"):format(args.hostname, zone.name))
end

function COMMANDS.origin(args, session) return ORIGIN[args.origin_command](args, session) end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.host_command](args, session)
end

return M
