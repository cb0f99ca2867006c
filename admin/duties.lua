--- moongate.admin.duties — what the control thread does by itself, every so often.
--
-- boot.lua makes one set and calls `tick` every second. A duty runs as a task: it may wait for something outside
-- (`control.outgoing`) while the thread serves others, but must not hold the thread for long otherwise: between pieces
-- of work it gives way (`control.give_way`). A duty that still waits is not begun again; one that fails is told to the
-- log and begun again at its next time. Nothing is remembered over a restart: what must not happen twice is kept in the
-- store by the duty itself.

local alert_delivery = require "moongate.admin.alert_delivery"
local alerts = require "moongate.admin.alerts"

local M = {}

---@class moongate.admin.duty
---@field name string for the log
---@field first integer seconds after the start
---@field every integer seconds from one beginning to the next
---@field run fun(running: table) gets what boot.lua has: `store`, `control`, `log`, `config`, `publisher`

--- All of them.
---@type moongate.admin.duty[]
M.ALL = {
  require "moongate.admin.crl_refresh",
  require "moongate.admin.custom_hostname_proof",
  { name = "the look for certificates that will expire", first = 60, every = 86400, run = alerts.run },
  { name = "the delivery of notifications", first = 1, every = 1, run = alert_delivery.run },
}

local Duties = {}
Duties.__index = Duties

---@param list moongate.admin.duty[]
---@param running table
---@return table duties
function M.new(list, running)
  local self = setmetatable({ running = running, entries = {} }, Duties)
  local now = running.control.now()
  for index, duty in ipairs(list) do self.entries[index] = { duty = duty, due = now + duty.first, busy = false } end
  return self
end

local function begin(self, entry)
  local duty, running = entry.duty, self.running
  entry.busy = true
  running.control.task(function()
    local ok, message = xpcall(function() duty.run(running) end, debug.traceback)
    entry.busy = false
    if not ok then running.log("error", ("%s failed: %s"):format(duty.name, tostring(message))) end
  end)
end

--- Begins what is due.
function Duties:tick()
  local now = self.running.control.now()
  for _, entry in ipairs(self.entries) do
    -- A clock that was set back must not keep a duty waiting for longer than its own time.
    local due = now >= entry.due or entry.due - now > entry.duty.every + entry.duty.first
    if due and not entry.busy then
      entry.due = now + entry.duty.every
      begin(self, entry)
    end
  end
end

return M
