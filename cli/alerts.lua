--- moongate.cli.alerts — the command `alerts run`: look now for certificates that will expire.
--
-- Works on the store's file itself, while the gateway runs too: what is to be told is queued there, and the running
-- gateway delivers it within a second, or the next one after its start. Nothing is told twice, however often it is run.

local alerts = require "moongate.admin.alerts"
local stamp = require "moongate.admin.stamp"
local store = require "moongate.admin.store"

local M = {}

local FAILED = 1

local function complain(host, where, text)
  host.stderr:write("moongate: ", where, ": ", text, "\n")
  return FAILED
end

-- What waits for another attempt is due at once.
local function hasten(opened, control)
  return opened:write(function(tx)
    return true, assert(tx:run("UPDATE alert_deliveries SET due_on = ?", stamp.micros(control.now())))
  end)
end

local function run(opened, args, host)
  local told, failure = alerts.check(opened, host.control)
  if not told then return complain(host, opened.path, failure.text) end
  if args.now then
    local ok, why = hasten(opened, host.control)
    if not ok then return complain(host, opened.path, why.text) end
  end
  local waiting
  opened:read(function(tx)
    waiting = tx:one("SELECT count(*) AS n FROM alert_deliveries").n
    return true
  end)
  host.stdout:write(("%d new notice%s, %d deliver%s waiting\n"):format(told, told == 1 and "" or "s", waiting,
    waiting == 1 and "y" or "ies"))
  return 0
end

--- Runs one of the alerts commands.
---@param args table as parsed by moongate.cli; there is one command so far
---@param config table
---@param host { stdout: table, stderr: table, control: table|nil }
---@return integer exit code
function M.run(args, config, host)
  host = { stdout = host.stdout, stderr = host.stderr, control = host.control or require "moongate.control" }
  local opened, diag = store.open { data_dir = config.data_dir }
  if not opened then return complain(host, diag.where, diag.text) end
  local code = run(opened, args, host)
  opened:close()
  return code
end

return M
