--- moongate.admin.alerts — looks for certificates that will expire, and writes down who is to be told.
--
-- Once a day (admin/duties.lua), or when the command line says so. Whoever can insert the row of a notice has it
-- delivered, so that nothing is told twice to a policy, whatever restarts or runs beside; admin/alert_delivery.lua
-- carries out what is queued here. A certificate that is found late is told of once, with the nearer threshold. Works
-- on the store alone and sends nothing. A look goes in small pieces, each a transaction of its own: whoever shares the
-- thread or the store gets between them.

local alert_types = require "moongate.admin.alert_types"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local M = {}

local DAY = 86400
-- Days before the end, the nearest first.
local THRESHOLDS = { 14, 30 }
local HISTORY_DAYS = 30
-- How long it is remembered after the end of a certificate that its policy was told.
local NOTICE_DAYS = 60

local function sentence(entry, account, row, days, hostnames)
  local called = row.name ~= "" and (" \"%s\""):format(row.name) or ""
  local where = row.zone_name ~= "" and (" of the zone %s"):format(row.zone_name) or ""
  local names = hostnames ~= "" and (" Hostnames: %s."):format(hostnames) or ""
  return ("The %s%s (%s)%s in the account %s expires in %d day%s, on %s.%s"):format(entry.subject, called, row.id,
    where, account.name, days, days == 1 and "" or "s", row.expires_on, names)
end

-- What a generic webhook gets; others get parts of it (admin/alert_webhook.lua).
local function message(tx, control, entry, policy, account, row)
  local now = control.now()
  local days = math.floor((stamp.read(row.expires_on) - now) / DAY)
  local hostnames = alert_types.hostnames(tx, entry, row)
  return json.encode(json.object {
    name = policy.name, text = sentence(entry, account, row, days, hostnames), ts = math.floor(now),
    account_id = account.id, policy_id = policy.id, policy_name = policy.name, alert_type = policy.alert_type,
    alert_correlation_id = stamp.uuid(control.random), alert_event = "ALERT_STATE_EVENT_START",
    data = json.object {
      account_name = account.name, account_tag = account.id, certificate_id = row.id, days_til_expiration = days,
      hostnames = hostnames, zone_name = row.zone_name, zone_tag = row.zone_id,
    },
  }, { sorted = true })
end

local function enqueue(tx, control, policy, body)
  local now = stamp.micros(control.now())
  for _, mechanism in ipairs(tx:all("SELECT kind, COALESCE(email, webhook_id) AS target FROM alert_mechanisms "
      .. "WHERE policy_id = ? ORDER BY position", policy.id)) do
    assert(tx:run("INSERT INTO alert_deliveries (id, policy_id, kind, target, body, attempts, due_on, created_on) "
      .. "VALUES (?, ?, ?, ?, ?, 0, ?, ?)", stamp.uuid(control.random), policy.id, mechanism.kind, mechanism.target,
      body, now, now))
  end
end

-- True when nobody was told before.
local function note(tx, policy, row, days, now)
  local count = assert(tx:run("INSERT OR IGNORE INTO alert_notices (policy_id, certificate_id, expires_on, days, "
    .. "created_on) VALUES (?, ?, ?, ?, ?)", policy.id, row.id, row.expires_on, days, now))
  return count == 1
end

-- One piece: what one policy is to be told with one threshold, as much as a statement gives.
local function tell_some(tx, control, policy, index)
  local entry, told = alert_types.by_type[policy.alert_type], 0
  local account = { id = policy.account_id, name = policy.account_name }
  local now, days = control.now(), THRESHOLDS[index]
  local rows = tx:all(entry.sql, account.id, stamp.seconds(now), stamp.seconds(now + days * DAY), policy.id, days)
  for _, row in ipairs(rows) do
    -- The farther thresholds are over as well.
    for later = #THRESHOLDS, index + 1, -1 do note(tx, policy, row, THRESHOLDS[later], stamp.micros(now)) end
    if note(tx, policy, row, days, stamp.micros(now)) then
      enqueue(tx, control, policy, message(tx, control, entry, policy, account, row))
      told = told + 1
    end
  end
  return told, #rows == alert_types.AT_ONCE
end

local function tell_policy(store, control, policy, give_way)
  local told = 0
  for index = 1, #THRESHOLDS do
    local more = true
    while more do
      local ok, count
      ok, count, more = store:write(function(tx)
        -- It may have gone while others had their turn.
        if not tx:one("SELECT 1 AS there FROM alert_policies WHERE id = ?", policy.id) then return true, 0, false end
        return true, tell_some(tx, control, policy, index)
      end)
      if not ok then return nil, count end
      told = told + count
      give_way()
    end
  end
  return told
end

local function policies(store)
  local list = {}
  local ok, failure = store:read(function(tx)
    for _, row in ipairs(tx:all("SELECT p.id AS id, p.name AS name, p.alert_type AS alert_type, "
        .. "p.account_id AS account_id, a.name AS account_name FROM alert_policies p "
        .. "JOIN accounts a ON a.id = p.account_id WHERE p.enabled = 1 ORDER BY p.id")) do
      local entry = alert_types.by_type[row.alert_type]
      if entry and entry.sql then list[#list + 1] = row end
    end
    return true
  end)
  if not ok then return nil, failure end
  return list
end

local function prune(store, now)
  return store:write(function(tx)
    assert(tx:run("DELETE FROM alert_history WHERE sent < ?", stamp.seconds(now - HISTORY_DAYS * DAY)))
    assert(tx:run("DELETE FROM alert_notices WHERE expires_on < ?", stamp.seconds(now - NOTICE_DAYS * DAY)))
    return true
  end)
end

--- Looks once, and lets old history go.
---@param store table
---@param control table
---@param give_way fun()|nil called between the pieces
---@return integer|nil notices how many there are to be told now
---@return moongate.store.failure|nil
function M.check(store, control, give_way)
  local pruned, failure = prune(store, control.now())
  if not pruned then return nil, failure end
  local list
  list, failure = policies(store)
  if not list then return nil, failure end
  local told = 0
  for _, policy in ipairs(list) do
    local count
    count, failure = tell_policy(store, control, policy, give_way or function() end)
    if not count then return nil, failure end
    told = told + count
  end
  return told
end

--- The duty of the control thread.
---@param running table
function M.run(running)
  local told, failure = M.check(running.store, running.control, running.control.give_way)
  if not told then
    running.log("error", ("alerts: the store failed (kind=%s): %s"):format(failure.store, failure.text))
  elseif told > 0 then
    running.log("info", ("alerts: %d notices of certificates that will expire"):format(told))
  end
end

return M
