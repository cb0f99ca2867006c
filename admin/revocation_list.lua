--- moongate.admin.revocation_list — the revocation list of an uploaded CA: read, checked, kept.
--
-- Called by admin/resources/revocation_lists.lua for lists that are uploaded or named by an address, and by
-- admin/crl_refresh.lua for those that are fetched again. What a list means is the core's business (core/tls/crl.h); here
-- it is brought to the one form that is stored, and an older one never takes the place of a newer one.

local managed_ca = require "moongate.admin.managed_ca"
local stamp = require "moongate.admin.stamp"

local M = {}

M.TEXT_BYTES = 15 * 1024 * 1024 -- MOON_CRL_BYTES of core/tls/crl.h, in base64 with line ends
M.COLUMNS = "certificate_id, digest, authority, issuer, entries, this_update, next_update, soft, url, refresh_minutes, "
  .. "last_refresh, last_error, warned, created_on, modified_on"

---@class moongate.admin.revocation_list
---@field list string base64 of the DER, in one line
---@field digest string SHA-256 of the DER, hex
---@field authority string SHA-256 of the CA's certificate, hex
---@field issuer string the CA's name
---@field entries integer
---@field this_update string
---@field next_update string|nil
---@field handle any keeps what was read until it is served

-- The form that is stored; of a text that the core has read. Nil for PEM that the core reads and we do not.
local function stored_form(control, text)
  if text:sub(1, 1) == "0" then return control.base64(text) end -- the first byte of DER, and of no base64 of it
  if text:find("-----BEGIN", 1, true) then
    text = ("\n" .. text):match("\n%-%-%-%-%-BEGIN X509 CRL%-%-%-%-%-%s*\n(.-)\n%-%-%-%-%-END X509 CRL%-%-%-%-%-")
  end
  text = text and text:gsub("%s+", "")
  return text and not text:find("[^%w+/=]") and text or nil
end

local FETCH_MS = 60 * 1000

--- Fetches what lies at an address. Waits: only from a task.
---@param control table
---@param url string
---@return string|nil text
---@return string|nil reason
function M.fetch(control, url)
  local answer, diag = control.outgoing { url = url, timeout_ms = FETCH_MS, max_bytes = M.TEXT_BYTES }
  if not answer then return nil, diag.text end
  if answer.status ~= 200 then return nil, ("the answer has status %d"):format(answer.status) end
  return answer.body
end

--- Reads a list. Waits: only from a task.
---@param control table
---@param certificates string PEM of the CA, or of several, of which one issued the list
---@param text string PEM, DER or its base64
---@return moongate.admin.revocation_list|nil
---@return string|nil reason
function M.read(control, certificates, text)
  local facts, diag = control.revocation_list { ca = certificates, text = text }
  if not facts then return nil, (diag.where == "issuer" and "the CA: " or "") .. diag.text end
  local list, authority = stored_form(control, text), assert(control.certificates(certificates))[facts.issuer]
  if not list then return nil, "the PEM block is not written as usual: each line by itself, nothing but base64 between" end
  return {
    list = list, digest = facts.digest, authority = authority.sha256, issuer = authority.subject,
    entries = facts.count, this_update = stamp.seconds(facts.this_update),
    next_update = facts.next_update and stamp.seconds(facts.next_update), handle = facts.handle,
  }
end

--- Why a list cannot serve at this moment; nil when it can.
---@param list { this_update: string, next_update: string|nil }
---@param now number
---@return string|nil
function M.out_of_date(list, now)
  local moment = stamp.seconds(now)
  if list.this_update > moment then return "it begins at " .. list.this_update end
  if list.next_update and list.next_update <= moment then return "it ended at " .. list.next_update end
end

--- Is `list` older than what is stored of the same CA?
---@param list moongate.admin.revocation_list
---@param before table|nil the row
---@return boolean
function M.is_older(list, before)
  return before ~= nil and before.authority == list.authority and list.this_update < before.this_update
end

--- When a list is to be fetched again: in time, and shortly before it ends.
---@param list { next_update: string|nil }
---@param refresh_minutes integer
---@param now number
---@return string
function M.due(list, refresh_minutes, now)
  local at = now + 60 * refresh_minutes
  local ends = list.next_update and stamp.read(list.next_update)
  if ends and ends > now then at = math.min(at, math.max(ends - 300, now + 60)) end
  return stamp.micros(at)
end

---@param tx table
---@param certificate_id string
---@return table|nil row without the list itself
function M.find(tx, certificate_id)
  return tx:one("SELECT " .. M.COLUMNS .. " FROM revocation_lists WHERE certificate_id = ?", certificate_id)
end

--- Stores a list and what is set about it, in place of what there was, and has it served.
---@param tx table
---@param certificate_id string
---@param list moongate.admin.revocation_list
---@param terms { soft: boolean, url: string|nil, refresh_minutes: integer|nil, now: number, created_on: string|nil }
function M.keep(tx, certificate_id, list, terms)
  local at = stamp.micros(terms.now)
  local due = terms.url and M.due(list, terms.refresh_minutes, terms.now)
  assert(tx:run("DELETE FROM revocation_lists WHERE certificate_id = ?", certificate_id))
  assert(tx:run("INSERT INTO revocation_lists (certificate_id, list, digest, authority, issuer, entries, this_update, "
    .. "next_update, soft, url, refresh_minutes, next_refresh, last_refresh, created_on, modified_on) "
    .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", certificate_id, list.list, list.digest, list.authority,
    list.issuer, list.entries, list.this_update, list.next_update, terms.soft and 1 or 0, terms.url,
    terms.refresh_minutes, due, terms.url and at, terms.created_on or at, at))
  managed_ca.touch_zones(tx, certificate_id)
end

--- Lets a list go: nothing is looked up in one any more.
---@param tx table
---@param certificate_id string
function M.drop(tx, certificate_id)
  assert(tx:run("DELETE FROM revocation_lists WHERE certificate_id = ?", certificate_id))
  managed_ca.touch_zones(tx, certificate_id)
end

return M
