--- moongate.cli.target — which gateway a command talks to, and with which token.
--
-- The options that all commands over the admin API share are declared here, and brought to an address and a token. The
-- address comes from --url, MOONGATE_URL or the configuration file's admin.listen; the token from --token-file or
-- MOONGATE_TOKEN, never from an argument, which every user of the machine could read. A token goes in the clear to
-- loopback addresses only.

local config_file = require "moongate.config"

local M = {}

local BASE = "/client/v4"
local TOKEN_BYTES = 4096
local SECONDS, SECONDS_MAX = 60, 3600

--- Declares the options on a command.
---@param command table of argparse
function M.declare(command)
  command:option("--url", "Address of the admin API, such as https://gateway.example.com:8444. Without it: "
    .. "MOONGATE_URL, then admin.listen of the configuration file."):argname "URL"
  command:option("-c --config", "Configuration file. Without it: ./moongate.lua, then /etc/moongate/moongate.lua.")
    :argname "FILE"
  command:option("--token-file", "File with the token; - is standard input. Without it: MOONGATE_TOKEN.")
    :argname "FILE":target "token_file"
  command:option("--cacert", "The CA of the admin API's certificate in PEM, when the system does not know it.")
    :argname "FILE"
  command:option("--timeout", ("Seconds to wait for an answer; %d without it."):format(SECONDS)):argname "SECONDS"
  command:option("--account", "Name or id of the account, when the token sees several."):argname "ACCOUNT"
end

local function is_loopback(host)
  return host == "localhost" or host == "[::1]" or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- The address in the form to which paths are appended; nil and a reason.
local function read_url(text)
  local scheme, host, rest = text:match("^(https?)://([^/?#@%s%c]+)([^?#%s%c]*)$")
  if not scheme or rest ~= "" and rest:sub(1, 1) ~= "/" then
    return nil, ("\"%s\" is no address of an admin API; write https://HOST:PORT"):format((text:gsub("%c", "?")))
  end
  local name, port = host:match("^(.-):(%d+)$")
  if not name or name:find("^%[") and not name:find("%]$") then name, port = host, nil end
  if port and tonumber(port) == 0 then return nil, ("\"%s\" has no port"):format(text) end
  if scheme == "http" and not is_loopback(name) then
    return nil, ("the token would travel readable for everybody to %s: use https"):format(name)
  end
  rest = rest:gsub("/+$", "")
  if rest == "" then rest = BASE end
  return ("%s://%s%s"):format(scheme, host, rest)
end

-- The address that the configuration file speaks of, and the certificate behind it.
local function of_config(path)
  local config, diag = config_file.load(path)
  if not config then return nil, diag.text end
  local admin = config.admin
  local name, port = admin.listen:match("^(.*):(%d+)$")
  if tonumber(port) == 0 then
    return nil, path .. ": admin.listen has no fixed port; give the address with --url"
  end
  if name == "0.0.0.0" then name = "127.0.0.1" end
  if name == "[::]" then name = "[::1]" end
  return ("%s://%s:%s"):format(admin.certificate and "https" or "http", name, port), nil, admin.certificate
end

local function find_url(args, host)
  local given = args.url or host.environment "MOONGATE_URL"
  if given and given ~= "" then return given end
  local path = host.find_config(args.config)
  if not path then
    return nil, "no gateway is named: give --url or MOONGATE_URL, or a configuration file with -c"
  end
  return of_config(path)
end

local function read_token(text, source)
  local token = text:match("^%s*(.-)%s*$")
  if token == "" then return nil, source .. " is empty; a token is made with: moongate token create" end
  if token:find("[^%w_.~+/=-]") then return nil, source .. " holds no token: there are other characters in it" end
  return token
end

local function find_token(args, host)
  if args.token_file then
    local name = args.token_file == "-" and "standard input" or args.token_file
    local text, reason = host.read_file(args.token_file, TOKEN_BYTES)
    if not text then return nil, reason end
    return read_token(text, name)
  end
  local text = host.environment "MOONGATE_TOKEN"
  if not text then
    return nil, "no token is given: put one into MOONGATE_TOKEN, or its file's name behind --token-file; one is made "
      .. "with: moongate token create"
  end
  return read_token(text, "MOONGATE_TOKEN")
end

---@class moongate.cli.target
---@field base string address with the base path, without a slash at the end
---@field token string
---@field ca_file string|nil
---@field timeout_ms integer

--- Where to go, and with what.
---@param args table as parsed
---@param host table see moongate.cli
---@return moongate.cli.target|nil
---@return string|nil reason
function M.find(args, host)
  local seconds = tonumber(args.timeout or SECONDS)
  if not seconds or seconds < 1 or seconds > SECONDS_MAX then
    return nil, ("--timeout must be a number of seconds from 1 to %d"):format(SECONDS_MAX)
  end
  local url, reason, certificate = find_url(args, host)
  if not url then return nil, reason end
  local base
  base, reason = read_url(url)
  if not base then return nil, reason end
  local token
  token, reason = find_token(args, host)
  if not token then return nil, reason end
  return { base = base, token = token, ca_file = args.cacert or certificate, timeout_ms = math.floor(seconds * 1000) }
end

return M
