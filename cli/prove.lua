--- moongate.cli.prove — the command `prove`: performs the handshakes of a bypass against a running gateway, and reports.
--
-- A throw-away zone is made through the API, with CAs and certificates of its own; a model says what must come of each
-- request, the gateway says what does; the exit code is 0 only when both always agree. What was made is removed again,
-- whatever happens. The zone has no origin, so a request that passes is answered with 530 and reaches nobody.

local bridge = require "moongate.ffi"
local cases = require "moongate.cli.proof_cases"
local config_file = require "moongate.config"
local control = require "moongate.control"
local json = require "moongate.json"
local proof_world = require "moongate.cli.proof_world"
local session_of = require "moongate.cli.session"

local M = {}

local FAILED = 1
local ANSWER_MS = 10000
local SHOWN = 20 -- differences that are printed; all of them with -o json

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local prove = with_help(parser:command("prove", "Try to get around the certificate rules of a running gateway, and say "
    .. "whether there is a way. Works in a zone of its own, which it makes and removes."))
  prove:option("--connect", "Where clients reach the gateway over TLS. Without it: the first entry of `listen` in the "
    .. "configuration file."):argname "ADDRESS:PORT"
  prove:option("--connect-http", "The same without TLS. Without it: the first entry of `listen_http`, if there is one.")
    :argname "ADDRESS:PORT":target "connect_http"
  session_of.declare(prove)
  prove:epilog("The token needs permission to make zones, CAs, hostname associations and rules in the account; three CAs are "
    .. "uploaded for the time being.\n\nExample:\n  MOONGATE_TOKEN=$(cat token) moongate prove -c moongate.lua")
end

local function read_address(text, option)
  local address, port = text:match("^%[?([%x:.]+)%]?:(%d+)$")
  if not address or tonumber(port) < 1 or tonumber(port) > 65535 then
    return session_of.usage(("%s: expected ADDRESS:PORT with an IP address and a port, not \"%s\""):format(option, text))
  end
  return { address = address, port = tonumber(port) }
end

local function reachable(listen)
  return (listen:gsub("^0%.0%.0%.0:", "127.0.0.1:"):gsub("^%[::%]:", "[::1]:"))
end

local function addresses_of(args, host)
  local https, http = args.connect, args.connect_http
  local path = not https and host.find_config(args.config)
  if path then
    local config, diag = config_file.load(path)
    if not config then return session_of.fail(diag.text) end
    https = config.listen[1] and reachable(config.listen[1])
    http = http or config.listen_http and config.listen_http[1] and reachable(config.listen_http[1])
    if (https or ""):find(":0$") or (http or ""):find(":0$") then
      return session_of.usage(path .. ": no fixed port; say where clients reach the gateway with --connect")
    end
  end
  if not https then return session_of.usage "say where clients reach the gateway with --connect ADDRESS:PORT, or give -c" end
  local read, failure = read_address(https, "--connect")
  if not read or not http then return read, failure end
  local plain
  plain, failure = read_address(http, "--connect-http")
  if not plain then return nil, failure end
  return read, nil, plain
end

-- ---- counting ----

local function recorder(host)
  local results = { families = {}, differences = json.array {}, cases = 0 }
  local terminal = host.is_terminal "stderr"
  local family
  function results.begin(title)
    family = { title = title, cases = 0, equal = 0 }
    results.families[#results.families + 1] = family
  end
  function results.record(description, expected, found)
    family.cases, results.cases = family.cases + 1, results.cases + 1
    if expected == found then
      family.equal = family.equal + 1
    else
      results.differences[#results.differences + 1] = json.object {
        family = family.title, case = description, expected = tostring(expected), found = tostring(found),
      }
    end
    if terminal and results.cases % 25 == 0 then
      host.stderr:write(("\r\27[K%s: %d"):format(family.title, family.cases))
    end
  end
  function results.finish()
    if terminal then host.stderr:write "\r\27[K" end
  end
  return results
end

local function run_families(run, results)
  run.world:set_up()
  for _, family in ipairs(cases.families) do
    results.begin(family.title)
    family.run(run)
  end
end

-- ---- the report ----

local function report(results, resumed, session)
  if session.args.output == "json" then
    local families = json.array {}
    for index, family in ipairs(results.families) do families[index] = json.object(family) end
    session:print_json(json.object {
      cases = results.cases, resumed = resumed, families = families, differences = results.differences,
    })
    return
  end
  session:print_list(results.families, { "TRIED", "CASES", "AS IT MUST BE" }, function(family)
    return { family.title, family.cases, family.equal }
  end)
  local stdout = session.host.stdout
  for index, one in ipairs(results.differences) do
    if index > SHOWN then
      stdout:write(("… and %d more; all of them with -o json\n"):format(#results.differences - SHOWN))
      break
    end
    stdout:write(("%s: expected %s, found %s\n"):format(one.case, one.expected, one.found))
  end
  stdout:write(#results.differences == 0
    and ("no way around the rules was found in %d cases (%d of them with a resumed session)\n"):format(results.cases, resumed)
    or ("%d of %d cases are not as they must be\n"):format(#results.differences, results.cases))
end

-- An error of ours stays one; what a call said is a failure like that of any command.
local function failure_of(err)
  if type(err) == "table" and err.text then return err end
  error(err, 0)
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  local https, failure, http = addresses_of(args, session.host)
  if not https then return nil, failure end
  local world = proof_world.new(session, {
    random = control.random, now = tonumber(bridge.C.moon_ffi_now()),
    fingerprint = function(specimen) return assert(control.certificates(specimen.certificate))[1].sha256 end,
  })
  local results = recorder(session.host)
  local run = { world = world, https = https, http = http, timeout_ms = ANSWER_MS, record = results.record }
  local called, err = pcall(run_families, run, results)
  results.finish()
  local left = world:take_down()
  if not called then return nil, failure_of(err) end
  report(results, run.resumed or 0, session)
  if left then
    return session_of.fail(("the zone prove-%s.invalid or its CAs could not be removed: %s"):format(world.id, left.text))
  end
  return #results.differences == 0 and 0 or FAILED
end

return M
