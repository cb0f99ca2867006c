--- moongate.cli.zone — the commands `zone list`, `create`, `show` and `delete`, and `zone settings get` and `set`.

local json = require "moongate.json"
local session_of = require "moongate.cli.session"

local M = {}

local HEADINGS = { "NAME", "ID", "STATUS", "PAUSED", "ACCOUNT", "CREATED" }

local function declare_settings(zone, with_help)
  local settings = with_help(zone:command("settings", "What holds for all hostnames of a zone."))
  settings:command_target "settings_command"
  local get = with_help(settings:command("get", "Show the settings of a zone, or one of them."))
  get:argument("zone", "Name or id."):argname "ZONE"
  get:argument("setting", "The id of a setting."):argname "SETTING":args "?"
  session_of.declare(get)
  local set = with_help(settings:command("set", "Change a setting."))
  set:argument("zone", "Name or id."):argname "ZONE"
  set:argument("setting", "Its id."):argname "SETTING"
  set:argument("value", "Its value; several for a list, '' for an empty one."):argname "VALUE":args "+"
  session_of.declare(set)
  set:epilog "Example:\n  moongate zone settings set example.com min_tls_version 1.3"
end

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local zone = with_help(parser:command("zone", "Domain names, and everything served below them."))
  zone:command_target "zone_command"
  session_of.declare(with_help(zone:command("list", "List the zones that the token sees.")))
  local create = with_help(zone:command("create", "Make a zone."))
  create:argument("name", "Its domain name."):argname "NAME"
  session_of.declare(create)
  create:epilog("Example:\n  moongate zone create example.com\n"
    .. "  moongate host origin set '*' http://127.0.0.1:9000 --zone example.com")
  local show = with_help(zone:command("show", "Show one zone."))
  show:argument("zone", "Name or id."):argname "ZONE"
  session_of.declare(show)
  local delete = with_help(zone:command("delete", "Delete a zone with everything in it."))
  delete:argument("zone", "Name or id."):argname "ZONE"
  session_of.declare(delete, { destructive = true })
  declare_settings(zone, with_help)
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
    { "name", zone.name }, { "id", zone.id }, { "type", zone.type }, { "status", zone.status },
    { "paused", zone.paused }, { "account", zone.account.name }, { "created", zone.created_on },
    { "modified", zone.modified_on },
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

-- ---- settings ----

local SETTINGS = {}

local function settings_path(args, session)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  return ("/zones/%s/settings"):format(zone.id) .. (args.setting and "/" .. session.escape(args.setting) or "")
end

function SETTINGS.get(args, session)
  local path, failure = settings_path(args, session)
  if not path then return nil, failure end
  local result
  result, failure = session.api:ask("GET", path)
  if not result then return nil, failure end
  if args.setting then
    return session:print_one(result, { { result.id, result.value }, { "modified", result.modified_on } })
  end
  return session:print_list(result, { "SETTING", "VALUE", "EDITABLE", "MODIFIED" }, function(one)
    return { one.id, one.value, one.editable, one.modified_on }
  end)
end

-- Whether a value is a list, the setting itself tells.
function SETTINGS.set(args, session)
  local path, failure = settings_path(args, session)
  if not path then return nil, failure end
  local before
  before, failure = session.api:ask("GET", path)
  if not before then return nil, failure end
  local value = args.value[1]
  if json.is_array(before.value) then
    value = json.array {}
    for _, element in ipairs(args.value) do value[#value + 1] = element ~= "" and element or nil end
  elseif args.value[2] then
    return session_of.usage(("%s has one value"):format(args.setting))
  end
  local result
  result, failure = session.api:ask("PATCH", path, { value = value })
  if not result then return nil, failure end
  return session:print_one(result, { { result.id, result.value } })
end

function COMMANDS.settings(args, session) return SETTINGS[args.settings_command](args, session) end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.zone_command](args, session)
end

return M
