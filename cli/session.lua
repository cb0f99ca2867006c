--- moongate.cli.session — what a command over the admin API works with: calls, names instead of ids, output, questions.
--
-- Made by moongate.cli for one command. Names of accounts, zones and certificates are looked up here, so that people
-- need no ids. Tables and JSON go to standard output, notes and questions to standard error. A command returns its exit
-- code, or nil and a failure, which is printed here.

local api = require "moongate.cli.api"
local json = require "moongate.json"
local table_print = require "moongate.cli.table_print"
local target = require "moongate.cli.target"

local M = {}

local FAILED, USAGE = 1, 2
local FILE_BYTES = 16 * 1024 * 1024

local Session = { escape = api.escape }
Session.__index = Session

--- Declares the options of a command over the admin API.
---@param command table of argparse
---@param options { destructive: boolean|nil, output: boolean|nil }|nil
function M.declare(command, options)
  options = options or {}
  if options.output ~= false then
    command:option("-o --output", "table, or json: what the API answered."):argname "FORMAT"
      :choices { "table", "json" }:default "table"
  end
  if options.destructive then command:flag("-y --yes", "Do not ask.") end
  target.declare(command)
end

--- Declares `--zone`.
---@param command table of argparse
---@param note string|nil what it means when it is left out; nil: it may not be
function M.declare_zone(command, note)
  local option = command:option("-z --zone", "Name or id of the zone." .. (note and " " .. note or "")):argname "ZONE"
  if not note then option:count(1) end
end

--- A failure that is the user's own.
---@param text string
---@return nil
---@return table failure
function M.usage(text)
  return nil, { text = text, usage = true }
end

---@param text string
---@return nil
---@return table failure
function M.fail(text)
  return nil, { text = text }
end

-- ---- output ----

function Session:colour()
  local unwanted = self.host.environment "NO_COLOR"
  return { colour = (not unwanted or unwanted == "") and self.host.is_terminal "stdout" }
end

--- Prints a value as JSON, the same text for the same value.
---@param value any
function Session:print_json(value)
  self.host.stdout:write(json.encode(value, { sorted = true, indent = true }), "\n")
end

--- Prints what the API answered: as it is with `-o json`, else as a table.
---@param result any
---@param headings string[]
---@param row_of fun(element: table): any[]
---@return integer exit code
function Session:print_list(result, headings, row_of)
  if self.args.output == "json" then
    self:print_json(result)
    return 0
  end
  local rows = {}
  for index, element in ipairs(result) do rows[index] = row_of(element) end
  self.host.stdout:write(table_print.rows(headings, rows, self:colour()))
  return 0
end

--- The same for one object.
---@param result table
---@param members any[][] { name, value }
---@return integer exit code
function Session:print_one(result, members)
  if self.args.output == "json" then
    self:print_json(result)
  else
    self.host.stdout:write(table_print.members(members, self:colour()))
  end
  return 0
end

--- Says what was done: the object with `-o json`, else a sentence.
---@param result any
---@param text string
---@return integer exit code
function Session:print_done(result, text)
  if self.args.output == "json" then
    self:print_json(result)
  else
    self.host.stdout:write(table_print.cell(text), "\n")
  end
  return 0
end

--- Asks whether to go on with something that cannot be taken back.
---@param what string such as "delete the zone example.com"
---@return true|nil
---@return table|nil failure
function Session:confirm(what)
  if self.args.yes then return true end
  if not self.host.is_terminal "stdin" then return M.usage(("to %s without being asked, give --yes"):format(what)) end
  self.host.stderr:write("moongate: ", table_print.cell(what), "? [y/N] ")
  local line = self.host.stdin:read "*l"
  if line and line:lower():find("^%s*y") then return true end
  return M.fail "nothing was changed"
end

--- The text of a file that an argument names.
---@param path string
---@param bytes integer|nil how large it may be
---@return string|nil
---@return table|nil failure
function Session:read_file(path, bytes)
  if path == "-" and self.args.token_file == "-" then
    return M.usage "standard input can be read once: for the token or for the file"
  end
  local text, reason = self.host.read_file(path, bytes or FILE_BYTES)
  if not text then return M.fail(reason) end
  return text
end

-- ---- names ----

local function is_hex_id(text) return #text == 32 and not text:find("[^%x]") end

--- Is it a UUID?
---@param text string
---@return boolean
function M.is_uuid(text)
  return text:find("^%x+%-%x+%-%x+%-%x+%-%x+$") ~= nil and #text == 36
end

local function choose_account(list, wanted)
  local names = {}
  for index, account in ipairs(list) do
    if wanted and (account.id == wanted or account.name == wanted) then return account end
    names[index] = account.name
  end
  if not list[1] then return M.fail "this token sees no account" end
  if wanted then
    return M.fail(("this token sees no account \"%s\"; it sees: %s"):format(wanted, table.concat(names, ", ")))
  end
  if not list[2] then return list[1] end
  return M.usage("this token sees several accounts; name one with --account: " .. table.concat(names, ", "))
end

--- The account that is worked with.
---@return table|nil account as the API shows it
---@return table|nil failure
function Session:account()
  if self.chosen then return self.chosen end
  local list, failure = self.api:list "/accounts"
  if not list then return nil, failure end
  self.chosen, failure = choose_account(list, self.args.account)
  return self.chosen, failure
end

--- Works with this account from now on: that of a zone, whose certificates are meant then.
---@param account { id: string, name: string }
function Session:use_account(account) self.chosen = account end

--- A path below the account.
---@param rest string
---@return string|nil
---@return table|nil failure
function Session:account_path(rest)
  local account, failure = self:account()
  if not account then return nil, failure end
  return "/accounts/" .. account.id .. rest
end

local function find_zone(self, name)
  local query = { name = "equal:" .. name:lower():gsub("%.$", "") }
  if self.args.account then
    local account, failure = self:account()
    if not account then return nil, failure end
    query["account.id"] = account.id
  end
  local list, failure = self.api:list("/zones", query)
  if not list then return nil, failure end
  return list[1] or false
end

--- A zone by its name or id.
---@param text string
---@return table|nil zone as the API shows it
---@return table|nil failure
function Session:zone(text)
  if is_hex_id(text) then return self.api:ask("GET", "/zones/" .. text) end
  local zone, failure = find_zone(self, text)
  if zone == false then return M.fail(("there is no zone \"%s\" that this token sees"):format(text)) end
  return zone, failure
end

--- The zone of --zone or, without it, the closest zone that a hostname lies in.
---@param hostname string a wildcard counts as the name behind its star
---@return table|nil zone
---@return table|nil failure
function Session:zone_of(hostname)
  if self.args.zone then return self:zone(self.args.zone) end
  local name = hostname:gsub("^%*%.", "")
  if name == "*" then return M.usage "name the zone with --zone" end
  while name and name:find(".", 1, true) do
    local zone, failure = find_zone(self, name)
    if zone ~= false then return zone, failure end
    name = name:match("^[^.]*%.(.+)$")
  end
  return M.fail(("\"%s\" lies in no zone that this token sees"):format(hostname))
end

--- An uploaded certificate by its name or id.
---@param text string
---@param is_ca boolean
---@return table|nil certificate as the API shows it
---@return table|nil failure
function Session:certificate(text, is_ca)
  local path, failure = self:account_path "/mtls_certificates"
  if not path then return nil, failure end
  if M.is_uuid(text) then return self.api:ask("GET", path .. "/" .. text) end
  local list
  list, failure = self.api:list(path, { name = text, ca = is_ca })
  if not list then return nil, failure end
  if list[1] then return list[1] end
  return M.fail(("there is no %s \"%s\""):format(is_ca and "CA" or "leaf certificate", text))
end

-- ---- running ----

local function transport_of(where, host)
  if host.transport then return host.transport end
  return require("moongate.cli.http").new { ca_file = where.ca_file, timeout_ms = where.timeout_ms }
end

local function finish(code, failure, host)
  if code then return code end
  host.note(failure.text)
  return failure.usage and USAGE or FAILED
end

--- Runs a command over the admin API.
---@param run fun(args: table, session: table): integer|nil, table|nil
---@param args table as parsed
---@param host table see moongate.cli
---@return integer exit code
function M.run(run, args, host)
  local where, reason = target.find(args, host)
  if not where then return finish(nil, { text = reason }, host) end
  local transport
  transport, reason = transport_of(where, host)
  if not transport then return finish(nil, { text = reason }, host) end
  local session = setmetatable({ args = args, host = host, api = api.new(where, transport, host) }, Session)
  local code, failure = run(args, session)
  if transport.close then transport:close() end
  return finish(code, failure, host)
end

return M
