--- moongate.admin.crl_refresh — revocation lists that are fetched again from their address, and told of before they end.
--
-- A duty of the control thread (admin/duties.lua). A list that cannot be fetched, is none of the CA's, is older or would
-- verify nothing leaves the stored one as it is; the reason is kept beside it. What has not changed is not published
-- again. A list whose life is over to three quarters is told to the log once, and once more when it has ended.

local revocation_list = require "moongate.admin.revocation_list"
local stamp = require "moongate.admin.stamp"

local M = { name = "revocation lists", first = 5, every = 30 }

local AT_ONCE = 8        -- lists under way; the others are due in the next round
local RETRY_MINUTES = 10 -- after a failure, unless the list is fetched more often anyway
local REASON_BYTES = 500

local function due_lists(running)
  return running.store:read(function(tx)
    return tx:all("SELECT l.certificate_id AS certificate_id, l.url AS url, c.certificates AS certificates "
      .. "FROM revocation_lists l JOIN mtls_certificates c ON c.id = l.certificate_id "
      .. "WHERE l.url IS NOT NULL AND l.next_refresh <= ? ORDER BY l.next_refresh LIMIT ?",
      stamp.micros(running.control.now()), 2 * AT_ONCE)
  end)
end

-- The list, or nil and why there is none.
local function fetch(running, entry)
  local text, reason = revocation_list.fetch(running.control, entry.url)
  if not text then return nil, "it cannot be fetched: " .. reason end
  return revocation_list.read(running.control, entry.certificates, text)
end

-- Why a fetched list does not take the place of the stored one; nil when it does.
local function objection(list, row, now)
  if revocation_list.is_older(list, row) then
    return ("the list of %s is older than the stored one"):format(list.this_update)
  end
  return row.soft == 0 and revocation_list.out_of_date(list, now) or nil
end

local function note_failure(running, tx, row, reason, now)
  local text = reason:sub(1, REASON_BYTES)
  if text ~= row.last_error then
    running.log("warn", ("the revocation list of %s (certificate %s) stays as it is: %s"):format(row.issuer,
      row.certificate_id, text))
  end
  local minutes = math.min(row.refresh_minutes, RETRY_MINUTES)
  assert(tx:run("UPDATE revocation_lists SET last_error = ?, next_refresh = ? WHERE certificate_id = ?", text,
    stamp.micros(now + 60 * minutes), row.certificate_id))
  return true
end

local function note_same(tx, row, list, now)
  assert(tx:run("UPDATE revocation_lists SET last_error = NULL, last_refresh = ?, next_refresh = ? "
    .. "WHERE certificate_id = ?", stamp.micros(now), revocation_list.due(list, row.refresh_minutes, now),
    row.certificate_id))
  return true
end

-- What came of one fetch, in one transaction: true, and what is to be published if anything is.
local function settle(running, tx, entry, list, reason)
  local row, now = revocation_list.find(tx, entry.certificate_id), running.control.now()
  if not row or row.url ~= entry.url then return true end -- it was taken away or replaced meanwhile
  reason = reason or objection(list, row, now)
  if reason then return note_failure(running, tx, row, reason, now) end
  if list.digest == row.digest then return note_same(tx, row, list, now) end
  revocation_list.keep(tx, row.certificate_id, list, {
    soft = row.soft == 1, url = row.url, refresh_minutes = row.refresh_minutes, now = now, created_on = row.created_on,
  })
  local pending, refused = running.publisher:rehearse(tx)
  if not pending then return nil, { text = refused[1].message } end
  return true, pending
end

-- Nothing of it was stored; it is not tried again at once.
local function postpone(running, entry, reason)
  running.store:write(function(tx)
    local row = revocation_list.find(tx, entry.certificate_id)
    return not row or not row.url or note_failure(running, tx, row, "it cannot be served: " .. reason,
      running.control.now())
  end)
end

local function refresh(running, entry)
  local list, reason = fetch(running, entry)
  if not running.store then return end -- the gateway has ended meanwhile
  local ok, pending = running.store:write(function(tx) return settle(running, tx, entry, list, reason) end)
  if not ok then return postpone(running, entry, pending.text) end
  if not pending then return end
  running.publisher:release(pending)
  running.log("info", ("the revocation list of %s (certificate %s) was fetched anew: %d entries"):format(list.issuer,
    entry.certificate_id, list.entries))
end

-- ---- lists that come to their end ----

-- How near its end a list is: 0, 1 (three quarters of its life are over) or 2 (it has ended).
local function age_of(row, now)
  local from, to = stamp.read(row.this_update), stamp.read(row.next_update)
  if now >= to then return 2 end
  return now >= from + 0.75 * (to - from) and 1 or 0
end

local function warn(running, row, age)
  local what = age == 1 and "three quarters of its life are over; it ends at " .. row.next_update
    or "it has ended at " .. row.next_update .. (row.soft == 1 and "; it is still looked at, for it is soft"
      or "; nothing under the CA verifies until there is a newer one")
  running.log(age == 1 and "warn" or "error", ("the revocation list of %s (certificate %s): %s"):format(row.issuer,
    row.certificate_id, what))
end

local function watch(running)
  local now, aged = running.control.now(), {}
  local rows = running.store:read(function(tx)
    return tx:all("SELECT certificate_id, issuer, this_update, next_update, soft, warned FROM revocation_lists "
      .. "WHERE next_update IS NOT NULL AND warned < 2")
  end)
  for _, row in ipairs(rows or {}) do
    local age = age_of(row, now)
    if age > row.warned then
      warn(running, row, age)
      aged[row.certificate_id] = age
    end
  end
  if not next(aged) then return end
  running.store:write(function(tx)
    for id, age in pairs(aged) do
      assert(tx:run("UPDATE revocation_lists SET warned = ? WHERE certificate_id = ?", age, id))
    end
    return true
  end)
end

-- A task for each list, so that an address where nobody answers keeps no other waiting. `busy`: those under way, by id.
local function begin(running, entry, busy)
  busy[entry.certificate_id] = true
  running.control.task(function()
    local ok, message = xpcall(refresh, debug.traceback, running, entry)
    busy[entry.certificate_id] = nil
    if not ok then running.log("error", M.name .. " failed: " .. tostring(message)) end
  end)
end

local under_way = setmetatable({}, { __mode = "k" }) -- running → its busy lists

---@param running table see moongate.admin.duties
function M.run(running)
  watch(running)
  local busy = under_way[running] or {}
  under_way[running] = busy
  local count = 0
  for _ in pairs(busy) do count = count + 1 end
  for _, entry in ipairs(due_lists(running) or {}) do
    if count >= AT_ONCE then return end
    if not busy[entry.certificate_id] then
      count = count + 1
      begin(running, entry, busy)
    end
  end
end

return M
