--- moongate.cli — the command line: reads arguments, runs a command, gives an exit code.
--
-- The program calls `main` with its arguments. `run` is the one command that is not carried out here: its plan goes
-- back to the program, which starts the gateway. Results go to standard output and diagnostics to standard error as
-- `moongate: FILE:LINE: message`; exit codes are 0 fine, 1 failed, 2 wrong usage. Secrets are never arguments.

local argparse = require "argparse"

local M = {}

local FAILED, USAGE = 1, 2
-- Commands over the admin API, each in a file of its own.
local OVER_THE_API = { "ca", "host", "cert", "rules", "zone", "status", "export", "import", "prove" }
local CANDIDATES = { "moongate.lua", "/etc/moongate/moongate.lua" }
local DEVELOPMENT_DIR = "moongate-data"

local EPILOG = "Exit codes: 0 fine, 1 failed, 2 wrong usage."

local function config_option(command)
  command:option("-c --config", "Configuration file. Without it: ./moongate.lua, then /etc/moongate/moongate.lua.")
    :argname "FILE"
end

-- argparse's own help ends the process, so each parser gets a flag that ends the parsing only.
local function with_help(parser, shown)
  parser:add_help(false)
  parser:help_max_width(100)
  parser:flag("-h --help", "Show this help and exit."):action(function()
    shown.text = parser:get_help()
    error("help", 0)
  end)
  return parser
end

local function build_token(parser, shown)
  local token = with_help(parser:command("token", "Make, list and revoke API tokens, and make the global key."), shown)
  token:command_target "token_command"
  local create = with_help(token:command("create", "Make a token and print it, once, alone on standard output."), shown)
  config_option(create)
  create:option("-n --name", "What the token is for; shown in lists."):argname "NAME":count(1)
  create:option("-p --permission", "A permission group, such as \"SSL and Certificates Write\"; may be given several "
    .. "times. Without it the token may do everything."):argname "GROUP":count "*"
  create:option("--expires", "Last day or moment, such as 2027-01-31 or 2027-01-31T12:00:00Z."):argname "TIME"
  local list = with_help(token:command("list", "List tokens; never shows a secret."), shown)
  config_option(list)
  local revoke = with_help(token:command("revoke", "Take a token away; it stops working at once."), shown)
  config_option(revoke)
  revoke:argument("token", "Id or name of the token."):argname "ID"
  local key = with_help(token:command("key", "Make the user's global key (X-Auth-Key), which may do everything, and print it, "
    .. "once, alone on standard output; the one before stops working."), shown)
  config_option(key)
end

local function build_secrets(parser, shown)
  local secrets = with_help(parser:command("secrets", "Look after the keys that private keys are sealed with."), shown)
  secrets:command_target "secrets_command"
  local rotate = with_help(secrets:command("rotate", "Seal every private key in the store with a fresh key. With keys from "
    .. "MOONGATE_SECRETS_KEY, with the first of them."), shown)
  config_option(rotate)
end

local function build_alerts(parser, shown)
  local alerts = with_help(parser:command("alerts", "Look after notifications."), shown)
  alerts:command_target "alerts_command"
  local run = with_help(alerts:command("run", "Look now for certificates that will expire, as the gateway does once a day. What is "
    .. "to be told is delivered by the running gateway, or after its next start."), shown)
  config_option(run)
  run:flag("--now", "Do not let deliveries that have failed wait for their next attempt.")
end

local function build_explain(parser, shown)
  local explain = with_help(parser:command("explain", "Show what rules say of a request, and why."), shown)
  explain:argument("expression", "An expression; or give rules with --rules."):argname "EXPRESSION":args "?"
  explain:option("--rules", "JSON: a list of rules, or a ruleset as the API shows it; - is standard input."):argname "FILE"
  explain:option("--request", "JSON object with the values of fields; - is standard input. Without it the request is GET / "
    .. "over TLS, and the following say the rest; with it, they go before it."):argname "FILE"
  explain:option("--host", "The host of the request."):argname "NAME"
  explain:option("--method", "Its method."):argname "METHOD"
  explain:option("--path", "Its path, with the query if there is one."):argname "PATH"
  explain:option("--ip", "The client's address."):argname "ADDRESS"
  explain:option("--header", "A header field; may be given several times."):argname "'NAME: VALUE'":count "*":target "headers"
  explain:option("--cert", "The client's certificate in PEM, perhaps with its chain."):argname "FILE"
  explain:option("--ca", "The CAs of the host in PEM. Without it no certificate is verified."):argname "FILE"
  explain:option("--lists", "JSON object with the named lists: {\"name\": [\"item\", …]}; - is standard input."):argname "FILE"
  explain:option("-o --output", "text or json."):argname "FORMAT":choices { "text", "json" }:default "text"
end

local function build_parser(shown)
  local parser = with_help(argparse("moongate", "A gateway for mutual TLS, configured through an API.", EPILOG), shown)
  parser:command_target "command"

  local run = with_help(parser:command("run", "Start the gateway and stay in the foreground."), shown)
  config_option(run)
  run:flag("--dev", "Log everything; without a configuration file, listen on loopback and keep all data in ./"
    .. DEVELOPMENT_DIR .. ".")

  local check = with_help(parser:command("check", "Check a configuration file and say what is wrong with it."), shown)
  config_option(check)

  build_token(parser, shown)
  build_secrets(parser, shown)
  build_alerts(parser, shown)

  local eval = with_help(parser:command("eval", "Evaluate an expression of the rules language."), shown)
  eval:argument("expression", "The expression."):argname "EXPRESSION":args "?"
  eval:option("--request", "JSON object with the values of fields; - is standard input."):argname "FILE"
  eval:option("--scheme", "JSON object {\"field\": \"Type\"} that replaces the built-in fields."):argname "FILE"
  eval:flag("--batch", "Read JSON lines from standard input and answer each with one.")
  eval:flag("--show-code", "Print the Lua source that the expression compiles to."):target "show_code"

  build_explain(parser, shown)

  for _, name in ipairs(OVER_THE_API) do
    require("moongate.cli." .. name).declare(parser, function(command) return with_help(command, shown) end)
  end

  local completion = with_help(parser:command("completion",
    "Print what makes a shell complete commands and options."), shown)
  completion:argument("shell", "bash, zsh or fish."):argname "SHELL":choices { "bash", "zsh", "fish" }
  completion:epilog "Example:\n  source <(moongate completion bash)"

  local version = with_help(parser:command("version", "Print the version."), shown)
  version:flag("--json", "As a JSON object.")
  return parser
end

local function find_config(path)
  if path then return path end
  for _, candidate in ipairs(CANDIDATES) do
    local file = io.open(candidate, "rb")
    if file then
      file:close()
      return candidate
    end
  end
end

-- The text of a file that an argument names, `-` for standard input; nil and a reason.
local function read_file(path, bytes, stdin)
  local file = stdin
  if path ~= "-" then
    local opened, reason = io.open(path, "rb")
    if not opened then return nil, reason end
    file = opened
  end
  local text = file:read(bytes + 1)
  if path ~= "-" then file:close() end
  if not text then return nil, path .. ": there is nothing in it, or it is not a file" end
  if #text > bytes then return nil, ("%s: it is larger than %d bytes"):format(path, bytes) end
  return text
end

-- The configuration that a command works with; nil after the reason was printed.
local function load_config(args, host)
  local path = find_config(args.config)
  if not path then
    host.stderr:write("moongate: no configuration file: give one with -c, or put it at ",
      table.concat(CANDIDATES, " or "), "\n")
    return nil
  end
  local config, diag = require("moongate.config").load(path)
  if config then return config, path end
  host.stderr:write("moongate: ", diag.text, "\n")
  return nil
end

local function readable(path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  file:close()
  return true
end

local COMMANDS = {}

function COMMANDS.run(args, host)
  if args.dev and not find_config(args.config) then
    return "run", { config = require("moongate.config").development(DEVELOPMENT_DIR), dev = true }
  end
  local config = load_config(args, host)
  if not config then return FAILED end
  if args.dev then config.log.level = "debug" end
  return "run", { config = config, dev = args.dev or false }
end

function COMMANDS.check(args, host)
  local config, path = load_config(args, host)
  if not config then return FAILED end
  for _, name in ipairs { "certificate", "key" } do
    local file = config.admin[name]
    local ok, err = true, nil
    if file then ok, err = readable(file) end
    if not ok then
      host.stderr:write("moongate: ", path, ": admin.", name, ": ", err, "\n")
      return FAILED
    end
  end
  local loaded, mistake = require("moongate.policies").check(config)
  if not loaded then
    host.stderr:write("moongate: ", mistake, "\n")
    return FAILED
  end
  host.stdout:write(path, ": the configuration is valid\n")
  return 0
end

function COMMANDS.token(args, host)
  local config = load_config(args, host)
  if not config then return FAILED end
  return require("moongate.cli.token").run(args, config, host)
end

function COMMANDS.secrets(args, host)
  local config = load_config(args, host)
  if not config then return FAILED end
  return require("moongate.cli.secrets").run(args, config, host)
end

function COMMANDS.alerts(args, host)
  local config = load_config(args, host)
  if not config then return FAILED end
  return require("moongate.cli.alerts").run(args, config, host)
end

function COMMANDS.eval(args, host)
  if not args.batch and not args.expression then
    host.stderr:write("moongate: eval: give an expression, or --batch\n")
    return USAGE
  end
  return require("moongate.eval").run {
    expression = args.expression, batch = args.batch or false, scheme = args.scheme, request = args.request,
    show_code = args.show_code or false, stdin = host.stdin, stdout = host.stdout, stderr = host.stderr,
  }
end

function COMMANDS.explain(args, host)
  if (args.expression == nil) == (args.rules == nil) then
    host.stderr:write("moongate: explain: give either an expression or --rules FILE\n")
    return USAGE
  end
  local options = { stdin = host.stdin, stdout = host.stdout, stderr = host.stderr }
  for _, name in ipairs { "expression", "rules", "request", "host", "method", "path", "ip", "headers", "cert", "ca", "lists", "output" } do
    options[name] = args[name]
  end
  return require("moongate.explain").run(options)
end

function COMMANDS.version(args, host)
  local version = require "moongate.version"
  if args.json then
    local json = require "moongate.json"
    host.stdout:write(json.encode(json.object { version = version, luajit = jit.version }, { sorted = true }), "\n")
  else
    host.stdout:write("moongate ", version, "\n")
  end
  return 0
end

local COMPLETIONS = { bash = "get_bash_complete", zsh = "get_zsh_complete", fish = "get_fish_complete" }

function COMMANDS.completion(args, host, parser)
  host.stdout:write(parser[COMPLETIONS[args.shell]](parser))
  return 0
end

for _, name in ipairs(OVER_THE_API) do
  COMMANDS[name] = function(args, host)
    return require("moongate.cli.session").run(require("moongate.cli." .. name).run, args, host)
  end
end

-- What commands know of the world around them; specs put something else in its place.
local function host_of(given)
  local system = require "moongate.cli.system"
  local host = {
    stdin = given.stdin or io.stdin, stdout = given.stdout or io.stdout, stderr = given.stderr or io.stderr,
    control = given.control, transport = given.transport, environment = given.environment or os.getenv,
    is_terminal = given.is_terminal or system.is_terminal, sleep = given.sleep or system.sleep,
    find_config = find_config,
  }
  function host.read_file(path, bytes) return read_file(path, bytes, host.stdin) end
  -- Names in it were given by strangers: nothing but a line end gets through to a terminal.
  function host.note(text) host.stderr:write("moongate: ", (text:gsub("[%z\1-\9\11-\31\127]", "?")), "\n") end
  return host
end

-- What the arguments say; nil when they are wrong, or when help was asked for.
local function parse(parser, argv, shown)
  function parser.error(command, message)
    shown.mistake, shown.usage = message, command:get_usage()
    error("usage", 0)
  end
  local ok, args = pcall(parser.parse, parser, argv)
  if ok then return args end
  if not shown.text and not shown.mistake then error(args, 0) end
end

--- Runs one command.
---@param argv string[] the arguments, without the program's name
---@param given table|nil for specs, any of: stdin, stdout, stderr, control, transport, environment, is_terminal, sleep
---@return integer|"run" exit code, or "run" when the program is to start the gateway
---@return { config: table, dev: boolean }|nil plan with "run"
function M.main(argv, given)
  local host = host_of(given or {})
  local shown = {}
  local parser = build_parser(shown)
  local args = parse(parser, argv, shown)
  if shown.text then
    host.stdout:write(shown.text, "\n")
    return 0
  end
  if not args then
    host.stderr:write("moongate: ", shown.mistake, "\n", shown.usage, "\n")
    return USAGE
  end
  return COMMANDS[args.command](args, host, parser)
end

return M
