--- moongate.cli.rules — the commands `rules list`, `add`, `enable`, `disable`, `delete` and `check`: the custom rules of a
--- zone, or of all zones of the account.
--
-- They work on the entry point of the phase of custom rules. The API replaces a rule as a whole, so switching one on or
-- off reads it and sends it back with nothing else changed.

local json = require "moongate.json"
local session_of = require "moongate.cli.session"

local M = {}

local PHASE = "http_request_firewall_custom"
local ENTRY_POINT = "/rulesets/phases/" .. PHASE .. "/entrypoint"
local SENT = { "ref", "action", "action_parameters", "expression", "description", "logging" }

-- Rules of which zone, or of all.
local function declare_place(command)
  command:mutex(
    command:option("-z --zone", "Name or id of the zone."):argname "ZONE",
    command:flag("--all-zones", "The rules of the account, which run before those of each of its zones.")
      :target "all_zones")
end

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local rules = with_help(parser:command("rules", "Custom rules: who is blocked."))
  rules:command_target "rules_command"
  local list = with_help(rules:command("list", "List the rules in the order in which they are tried."))
  declare_place(list)
  session_of.declare(list)
  local add = with_help(rules:command("add", "Add a rule behind the others."))
  add:argument("expression", "When it matches."):argname "EXPRESSION"
  add:option("-a --action", "block, log, or another action without parameters."):argname "ACTION":default "block"
  add:option("-d --description", "What it is for."):argname "TEXT"
  add:option("--ref", "A name of your own for it, by which other commands know it."):argname "NAME"
  add:flag("--first", "Before the others.")
  add:flag("--disabled", "Switched off.")
  declare_place(add)
  session_of.declare(add)
  add:epilog("Example:\n  moongate rules add --zone example.com --ref mtls \\\n"
    .. "    '(http.host in {\"api.example.com\"} and not cf.tls_client_auth.cert_verified)'")
  for _, one in ipairs {
    { "enable", "Switch a rule on." }, { "disable", "Switch a rule off." }, { "delete", "Delete a rule." },
  } do
    local command = with_help(rules:command(one[1], one[2]))
    command:argument("rule", "Its id or its ref."):argname "RULE"
    declare_place(command)
    session_of.declare(command, { destructive = one[1] ~= "enable" })
  end
  local check = with_help(rules:command("check", "Check an expression; exits 1 when something is wrong with it."))
  check:argument("expression", "The expression."):argname "EXPRESSION"
  session_of.declare(check, { output = false })
  check:epilog("Example:\n  moongate rules check 'ip.src in $office and http.host eq \"api.example.com\"'\n"
    .. "Without a gateway: moongate eval, moongate explain.")
end

-- The path below which the rules are, and what it is for people.
local function place_of(args, session)
  if args.zone then
    local zone, failure = session:zone(args.zone)
    if not zone then return nil, failure end
    return "/zones/" .. zone.id, zone.name
  end
  if not args.all_zones then return session_of.usage "whose rules? Give --zone ZONE, or --all-zones" end
  local path, failure = session:account_path ""
  return path, path and "all zones" or failure
end

-- The entry point; false when there is none yet.
local function entry_point(session, base)
  local ruleset, failure = session.api:ask("GET", base .. ENTRY_POINT)
  if not ruleset and failure.status == 404 and failure.code == 10003 then return false end
  return ruleset, failure
end

local function find(session, base, name)
  local ruleset, failure = entry_point(session, base)
  if ruleset == nil then return nil, failure end
  for _, rule in ipairs(ruleset and ruleset.rules or {}) do
    if rule.id == name or rule.ref == name then
      return rule, ("%s/rulesets/%s/rules/%s"):format(base, ruleset.id, rule.id)
    end
  end
  return session_of.fail(("there is no rule \"%s\""):format(name))
end

local COMMANDS = {}

function COMMANDS.list(args, session)
  local base, name = place_of(args, session)
  if not base then return nil, name end
  local ruleset, failure = entry_point(session, base)
  if ruleset == nil then return nil, failure end
  local list = ruleset and ruleset.rules or json.array {}
  return session:print_list(list, { "ID", "REF", "ON", "ACTION", "EXPRESSION", "DESCRIPTION" }, function(rule)
    local ref = rule.ref ~= rule.id and rule.ref or nil
    return { rule.id, ref, rule.enabled, rule.action, rule.expression, rule.description }
  end)
end

-- The rule that add has made: the first or the last one of the ruleset that the API answers with.
local function added(ruleset, first)
  return ruleset.rules[first and 1 or #ruleset.rules]
end

function COMMANDS.add(args, session)
  local base, name = place_of(args, session)
  if not base then return nil, name end
  local rule = {
    expression = args.expression, action = args.action, description = args.description, ref = args.ref,
    enabled = not args.disabled,
  }
  local ruleset, failure = entry_point(session, base)
  if ruleset == nil then return nil, failure end
  if not ruleset then
    ruleset, failure = session.api:ask("PUT", base .. ENTRY_POINT, { rules = json.array { rule } })
  else
    rule.position = args.first and { before = "" } or nil
    ruleset, failure = session.api:ask("POST", ("%s/rulesets/%s/rules"):format(base, ruleset.id), rule)
  end
  if not ruleset then return nil, failure end
  rule = added(ruleset, args.first)
  return session:print_done(rule, ("added the rule %s (%s) for %s"):format(rule.ref, rule.action, name))
end

local function switch(args, session, enabled)
  local base, name = place_of(args, session)
  if not base then return nil, name end
  local rule, path = find(session, base, args.rule)
  if not rule then return nil, path end
  if not enabled then
    local ok, failure = session:confirm(("switch the rule %s for %s off"):format(args.rule, name))
    if not ok then return nil, failure end
  end
  local body = { enabled = enabled }
  for _, member in ipairs(SENT) do body[member] = rule[member] end
  local ruleset, failure = session.api:ask("PATCH", path, body)
  if not ruleset then return nil, failure end
  return session:print_done(ruleset, ("the rule %s for %s is %s"):format(args.rule, name, enabled and "on" or "off"))
end

function COMMANDS.enable(args, session) return switch(args, session, true) end

function COMMANDS.disable(args, session) return switch(args, session, false) end

COMMANDS["delete"] = function(args, session)
  local base, name = place_of(args, session)
  if not base then return nil, name end
  local rule, path = find(session, base, args.rule)
  if not rule then return nil, path end
  local ok, failure = session:confirm(("delete the rule %s for %s"):format(args.rule, name))
  if not ok then return nil, failure end
  local ruleset
  ruleset, failure = session.api:ask("DELETE", path)
  if not ruleset then return nil, failure end
  return session:print_done(ruleset, ("deleted the rule %s for %s"):format(args.rule, name))
end

function COMMANDS.check(args, session)
  local ok, failure = session.api:ask("POST", "/filters/validate-expr", { expression = args.expression })
  if not ok then return nil, failure end
  session.host.stdout:write("the expression is valid\n")
  return 0
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.rules_command](args, session)
end

return M
