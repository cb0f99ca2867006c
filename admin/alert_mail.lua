--- moongate.admin.alert_mail — what goes to an e-mail address: a message for the program that the configuration names
--- (`alerts.sendmail`).
--
-- The address stands in the message only, never among the program's arguments, and was checked when it was stored
-- (`check`). Called by admin/resources/alert_policies.lua and admin/alert_delivery.lua. Pure.

local check = require "moongate.admin.check"

local M = {}

M.TIMEOUT_MS = 30000
local ADDRESS_BYTES = 254

--- Why a text is no address that mail can be sent to; nil when it is one.
---@param text string
---@return string|nil reason
function M.mistake(text)
  if #text > ADDRESS_BYTES then return ("at most %d characters"):format(ADDRESS_BYTES) end
  local mailbox, domain = text:match("^([%w!#$%%&'*+/=?^_`{|}~.-]+)@([%w.-]+)$")
  if not mailbox or mailbox:sub(1, 1) == "-" then return "expected an e-mail address" end
  local name, reason = check.hostname(domain)
  if not name then return "after the @: " .. reason end
end

-- One line of a text that others have written.
local function line(text)
  return (text:gsub("%c+", " "))
end

--- The message, as sendmail -t reads it.
---@param from string
---@param to string
---@param message table what admin/alerts.lua has written down
---@return string
function M.message(from, to, message)
  return table.concat({
    "From: " .. from, "To: " .. to, "Subject: moongate: a certificate expires soon", "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "",
    line(message.text), "", "Notification: " .. line(message.policy_name), "Policy: " .. message.policy_id, "",
  }, "\n")
end

return M
