--- moongate.admin.custom_hostname_proof — looks for the proofs of ownership that custom hostnames wait for.
--
-- A duty of the control thread (admin/duties.lua), for zones whose operator asks for proofs. Either of two is enough:
-- the token as answer to GET at the hostname's challenge address, or as a TXT record. A hostname that has none is looked
-- at again after a minute, then after two, up to an hour, for a month; a PATCH begins anew, and goes before those that
-- have waited long. One at a time: look-ups take threads that workers need for their own.

local custom_hostname = require "moongate.admin.custom_hostname"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local M = { name = "ownership of custom hostnames", first = 5, every = 15 }

local AT_ONCE = 20 -- hostnames in one round; the others are due in the next
local ATTEMPTS = 30 * 24 -- at an hour each, nearly
local BODY_BYTES, TIMEOUT_MS = 4096, 5000
local FIRST_MINUTES, MOST_MINUTES = 1, 60

local function due(running)
  return running.store:read(function(tx)
    return tx:all("SELECT h.id AS id, h.hostname AS hostname, h.token AS token FROM custom_hostnames h "
      .. "JOIN custom_hostname_checks c ON c.zone_id = h.zone_id WHERE c.checks = 1 AND h.owned = 0 "
      .. "AND h.status = 'pending' AND h.next_check <= ? AND h.attempts < ? ORDER BY h.attempts, h.next_check LIMIT ?",
      stamp.micros(running.control.now()), ATTEMPTS, AT_ONCE)
  end)
end

local function trimmed(text) return text:match("^%s*(.-)%s*$") end

-- Nil when the token is there, else why it is not.
local function missing_over_http(control, row)
  local url = custom_hostname.challenge(row).http_url
  local answer, failure = control.outgoing {
    url = url, timeout_ms = TIMEOUT_MS, max_bytes = BODY_BYTES,
    headers = { ["User-Agent"] = "Moongate Custom Hostname Verification" },
  }
  if not answer then return ("%s gives no answer: %s"):format(url, failure.text) end
  if answer.status ~= 200 then return ("%s answers with status %d"):format(url, answer.status) end
  if trimmed(answer.body) ~= row.token then return url .. " answers with another text" end
end

local function missing_in_dns(control, row)
  local name = custom_hostname.challenge(row).txt_name
  local texts, failure = control.texts(name)
  if not texts then return ("the TXT records of %s cannot be had: %s"):format(name, failure.text) end
  for _, text in ipairs(texts) do
    if trimmed(text) == row.token then return nil end
  end
  return ("%s has no TXT record with the token"):format(name)
end

-- Nil when it is proven, else what was found missing.
local function missing(control, row)
  local first = missing_over_http(control, row)
  if not first then return nil end
  local second = missing_in_dns(control, row)
  if not second then return nil end
  return { "Ownership of the hostname has not been verified yet.", first, second }
end

-- Nothing of it is served: no section is built anew.
local function postpone(tx, row, reasons, now)
  local minutes = math.min(FIRST_MINUTES * 2 ^ row.attempts, MOST_MINUTES)
  assert(tx:run("UPDATE custom_hostnames SET attempts = ?, next_check = ?, verification_errors = ? WHERE id = ?",
    row.attempts + 1, stamp.micros(now + 60 * minutes), json.encode(json.array(reasons)), row.id))
  return true
end

-- What came of one look, in one transaction: true, and what is to be published if anything is.
local function settle(running, tx, entry, reasons)
  local row = custom_hostname.by_id(tx, entry.id)
  -- It may have gone, been proven or been decided upon meanwhile.
  if not row or row.owned == 1 or row.status ~= "pending" then return true end
  local now = running.control.now()
  if reasons then return postpone(tx, row, reasons, now) end
  local context = { tx = tx, zone = { id = row.zone_id }, stamp = stamp.micros(now) }
  row.owned = 1
  custom_hostname.settle(context, row)
  assert(custom_hostname.store(context, row))
  local pending, refused = running.publisher:rehearse(tx)
  if not pending then return nil, { text = refused[1].message } end
  return true, pending
end

local function look_at(running, entry)
  local reasons = missing(running.control, entry)
  if not running.store then return end -- the gateway has ended meanwhile
  local ok, pending = running.store:write(function(tx) return settle(running, tx, entry, reasons) end)
  if not ok then
    local unserved = { "The hostname is verified, but cannot be served: " .. pending.text }
    running.store:write(function(tx) return settle(running, tx, entry, unserved) end)
    return
  end
  if not pending then return end
  running.publisher:release(pending)
  running.log("info", ("the ownership of the custom hostname %s is proven"):format(entry.hostname))
end

---@param running table see moongate.admin.duties
function M.run(running)
  for _, entry in ipairs(due(running) or {}) do
    look_at(running, entry)
    if not running.store then return end
  end
end

return M
