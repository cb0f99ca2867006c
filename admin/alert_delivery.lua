--- moongate.admin.alert_delivery — carries out what admin/alerts.lua has queued: a few deliveries at a time, each a
--- task of its own, tried again with longer and longer waits, and at last an entry of the history.
--
-- The queue is in the store: a restart goes on where it ended, and whatever put it there need not be this process. At
-- least once: what was sent, but could not be written down, is sent again with the same `alert_correlation_id`. The log
-- names webhooks by their ids, since a URL may be a secret itself.

local alert_mail = require "moongate.admin.alert_mail"
local alert_webhook = require "moongate.admin.alert_webhook"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local M = {}

-- Seconds to wait after each failed attempt; after the one behind the last it is given up.
local WAITS = { 1, 10, 60, 600, 3600 }
local AT_ONCE = 8
local BUSY_SECONDS = 5

local under_way = {} -- id of a delivery → true while its task waits
local under_way_count = 0

local function send_mail(running, delivery, message)
  local settings = running.config.alerts
  if not (settings and settings.sendmail[1]) then
    return nil, { where = "sendmail", text = "no program for e-mail is configured (alerts.sendmail)" }
  end
  return running.control.run_command(settings.sendmail, alert_mail.message(settings.from, delivery.target, message),
    alert_mail.TIMEOUT_MS)
end

local function send_webhook(running, delivery, message)
  local webhook
  local ok, failure = running.store:read(function(tx)
    webhook = tx:one("SELECT id, url, type, secret FROM alert_webhooks WHERE id = ?", delivery.target)
    return true
  end)
  if not ok then return nil, { where = "errands", text = failure.text } end
  if not webhook then return nil, { where = "webhook", text = "the webhook is not there any more" } end
  return alert_webhook.send(running.control, alert_webhook.request(webhook, message))
end

-- What no further attempt can change.
local FINAL = { sendmail = true, webhook = true }

local function next_attempt(delivery, failure)
  if not failure or FINAL[failure.where] then return nil end
  if failure.where == "errands" then return BUSY_SECONDS, delivery.attempts end
  return WAITS[delivery.attempts + 1], delivery.attempts + 1
end

local function close(tx, delivery, failure, control, now)
  -- Nothing is there when its policy was deleted meanwhile.
  if assert(tx:run("DELETE FROM alert_deliveries WHERE id = ?", delivery.id)) == 0 then return end
  assert(tx:run("INSERT INTO alert_history (id, account_id, policy_id, name, description, alert_type, alert_body, "
    .. "mechanism, mechanism_type, failure, sent) SELECT ?, account_id, id, name, description, alert_type, ?, ?, ?, ?, ? "
    .. "FROM alert_policies WHERE id = ?", stamp.uuid(control.random), delivery.body, delivery.target, delivery.kind,
    failure and failure.text, stamp.seconds(now), delivery.policy_id))
end

local function record(running, delivery, failure)
  local control = running.control
  local now = control.now()
  local wait, attempts = next_attempt(delivery, failure)
  return running.store:write(function(tx)
    if delivery.kind == "webhook" and attempts ~= delivery.attempts then -- it was tried
      local column = failure and "last_failure" or "last_success"
      assert(tx:run(("UPDATE alert_webhooks SET %s = ? WHERE id = ?"):format(column), stamp.seconds(now),
        delivery.target))
    end
    if not wait then
      close(tx, delivery, failure, control, now)
    else
      assert(tx:run("UPDATE alert_deliveries SET attempts = ?, due_on = ? WHERE id = ?", attempts,
        stamp.micros(now + wait), delivery.id))
    end
    return true
  end), not wait
end

local function tell(running, delivery, failure, given_up)
  running.log(given_up and "error" or "warn", ("alerts: a notification of the policy %s to the %s %s %s: %s"):format(
    delivery.policy_id, delivery.kind, delivery.target,
    given_up and "could not be delivered" or "was not taken and will be tried again", failure.text))
end

local function deliver(running, delivery)
  local message = json.decode(delivery.body)
  local send = delivery.kind == "webhook" and send_webhook or send_mail
  local ok, failure = send(running, delivery, message)
  if ok then failure = nil end
  if not running.store then return end -- the gateway has stopped meanwhile
  local written, given_up = record(running, delivery, failure)
  if failure then tell(running, delivery, failure, given_up) end
  if written then return end
  running.log("error", "alerts: what came of a delivery could not be written down; it is made again")
end

local function due(running)
  local rows
  local ok, failure = running.store:read(function(tx)
    rows = tx:all("SELECT id, policy_id, kind, target, body, attempts FROM alert_deliveries WHERE due_on <= ? "
      .. "ORDER BY due_on, id LIMIT ?", stamp.micros(running.control.now()), AT_ONCE + under_way_count)
    return true
  end)
  if ok then return rows end
  running.log("error", ("alerts: the store failed (kind=%s): %s"):format(failure.store, failure.text))
  return {}
end

local function begin(running, delivery)
  under_way[delivery.id] = true
  under_way_count = under_way_count + 1
  running.control.task(function()
    local ok, message = xpcall(function() deliver(running, delivery) end, debug.traceback)
    under_way[delivery.id] = nil
    under_way_count = under_way_count - 1
    if not ok then running.log("error", "alerts: a delivery failed: " .. tostring(message)) end
  end)
end

--- The duty of the control thread: begins what is due, as far as there is room.
---@param running table
function M.run(running)
  for _, delivery in ipairs(due(running)) do
    if under_way_count >= AT_ONCE then return end
    if not under_way[delivery.id] then begin(running, delivery) end
  end
end

return M
