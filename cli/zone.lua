--- moongate.cli.zone — the commands `zone list`, `zone create`, `zone show` and `zone delete`.

local session_of = require "moongate.cli.session"

local M = {}

local HEADINGS = { "NAME", "ID", "STATUS", "PAUSED", "ACCOUNT", "CREATED" }

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local zone = with_help(parser:command("zone", "Domain names, and everything served below them."))
  zone:command_target "zone_command"
  session_of.declare(with_help(zone:command("list", "List the zones that the token sees.")))
  local create = with_help(zone:command("create", "Make a zone."))
  create:argument("name", "Its domain name."):argname "NAME"
  session_of.declare(create)
  create:epilog "Example:\n  moongate zone create example.com\n  moongate host origin set '*' http://127.0.0.1:9000 --zone example.com"
  local show = with_help(zone:command("show", "Show one zone."))
  show:argument("zone", "Name or id."):argname "ZONE"
  session_of.declare(show)
  local delete = with_help(zone:command("delete", "Delete a zone with everything in it."))
  delete:argument("zone", "Name or id."):argname "ZONE"
  session_of.declare(delete, { destructive = true })
end

local COMMANDS = {}

function COMMANDS.list(args, session)
  local query = {}
  if args.account then
    local account, failure = session:account()
    if not account then return nil, failure end
    query["account.id"] = account.id
  end
  local list, failure = session.api:list("/zones", query)
  if not list then return nil, failure end
  return session:print_list(list, HEADINGS, function(zone)
    return { zone.name, zone.id, zone.status, zone.paused, zone.account.name, zone.created_on }
  end)
end

function COMMANDS.create(args, session)
  local account, failure = session:account()
  if not account then return nil, failure end
  local zone
  zone, failure = session.api:ask("POST", "/zones", { name = args.name, account = { id = account.id } })
  if not zone then return nil, failure end
  return session:print_done(zone, ("made the zone %s (%s)"):format(zone.name, zone.id))
end

function COMMANDS.show(args, session)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  return session:print_one(zone, {
    { "name", zone.name }, { "id", zone.id }, { "type", zone.type }, { "status", zone.status }, { "paused", zone.paused },
    { "account", zone.account.name }, { "created", zone.created_on }, { "modified", zone.modified_on },
  })
end

function COMMANDS.delete(args, session)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  local ok
  ok, failure = session:confirm(("delete the zone %s with everything in it"):format(zone.name))
  if not ok then return nil, failure end
  local gone
  gone, failure = session.api:ask("DELETE", "/zones/" .. zone.id)
  if not gone then return nil, failure end
  return session:print_done(gone, "deleted the zone " .. zone.name)
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.zone_command](args, session)
end

return M
