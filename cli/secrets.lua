--- moongate.cli.secrets — the command `secrets rotate`: a fresh key for the private keys in the store.
--
-- Works on the store's file itself, while the gateway runs too: a running gateway looks at the key file again before it
-- seals or opens. With keys from the environment the operator puts the new one in front (NEW,OLD), restarts, rotates,
-- and takes the old one away. No key is ever an argument or printed.

local secrets = require "moongate.admin.secrets"
local store = require "moongate.admin.store"

local M = {}

local FAILED = 1

local function complain(host, diag)
  host.stderr:write("moongate: ", diag.where, ": ", diag.text, "\n")
  return FAILED
end

local function rotate(opened, config, host)
  local ok, diag = secrets.unlock(opened, host.control, config.data_dir)
  if not ok then return complain(host, diag) end
  local count
  count, diag = secrets.rotate(opened, host.control)
  if not count then return complain(host, diag) end
  host.stdout:write(("%d secret%s sealed with the newest key\n"):format(count, count == 1 and "" or "s"))
  return 0
end

--- Runs one of the secrets commands.
---@param _ table as parsed by moongate.cli; there is one command so far
---@param config table
---@param host { stdout: table, stderr: table, control: table|nil }
---@return integer exit code
function M.run(_, config, host)
  host = { stdout = host.stdout, stderr = host.stderr, control = host.control or require "moongate.control" }
  local opened, diag = store.open { data_dir = config.data_dir }
  if not opened then return complain(host, diag) end
  local code = rotate(opened, config, host)
  opened:close()
  return code
end

return M
