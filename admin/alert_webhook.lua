--- moongate.admin.alert_webhook — what goes to a webhook: the request and its body, by the service that stands behind
--- the URL.
--
-- Used where a webhook is tested before it is stored (admin/resources/alert_webhooks.lua) and where notifications are
-- delivered (admin/alert_delivery.lua). The secret stays sealed; it is opened in C when the request goes out. Pure.

local json = require "moongate.json"
local secrets = require "moongate.admin.secrets"

local M = {}

M.TABLE = "alert_webhooks"
local TIMEOUT_MS, ANSWER_BYTES = 5000, 64 * 1024
local URL_BYTES = 2048

-- At most so many bytes, and no half of a character at the end.
local function cut(text, bytes)
  local function continues(byte) return byte and byte >= 128 and byte < 192 end
  while continues(text:byte(bytes + 1)) do bytes = bytes - 1 end
  return text:sub(1, bytes)
end

-- Each gets the text, and the whole message where the service takes more.
local BODIES = {
  generic = function(_, message) return message end,
  slack = function(text) return { text = text } end,
  gchat = function(text) return { text = text } end,
  discord = function(text) return { content = cut(text, 2000) } end,
  feishu = function(text) return { msg_type = "text", content = { text = text } } end,
  datadog = function(text, message) return { title = message.name or "moongate", text = text } end,
  opsgenie = function(text) return { message = cut(text, 130), description = text } end,
  splunk = function(_, message) return { event = message } end,
}

-- What stands before the secret; the services of their own have headers of their own.
local SECRET_PREFIX = {
  datadog = "DD-API-KEY: ", opsgenie = "Authorization: GenieKey ", splunk = "Authorization: Splunk ",
}

-- Host, or a domain that it lies in → type.
local HOSTS = {
  { "hooks.slack.com", "slack" }, { "chat.googleapis.com", "gchat" }, { "discord.com", "discord" },
  { "discordapp.com", "discord" }, { "open.feishu.cn", "feishu" }, { "opsgenie.com", "opsgenie" },
  { "datadoghq.com", "datadog" }, { "datadoghq.eu", "datadog" }, { "splunkcloud.com", "splunk" },
}

--- Takes a URL apart as far as it has to be understood here; what libcurl thinks of it is told when it is asked.
---@param url string
---@return string|nil type of the webhook
---@return string|nil reason
function M.type_of(url)
  if #url > URL_BYTES then return nil, ("at most %d characters"):format(URL_BYTES) end
  if url:find("[^\33-\126]") then return nil, "only visible ASCII characters may stand in it" end
  local authority, path = url:match("^[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)([^?#]*)")
  if not authority then return nil, "it must begin with https:// or http://" end
  if authority:find("@", 1, true) then return nil, "it must not carry a user or a password" end
  local host = authority:lower():gsub(":%d*$", "")
  if host == "" then return nil, "it has no host" end
  if path:find("^/services/collector") then return "splunk" end
  for _, known in ipairs(HOSTS) do
    if host == known[1] or host:sub(-#known[1] - 1) == "." .. known[1] then return known[2] end
  end
  return "generic"
end

--- The request that tells a webhook something.
---@param webhook { id: string, url: string, type: string, secret: string|nil } secret: sealed
---@param message table with `text`
---@return moongate.errands.Request
function M.request(webhook, message)
  local body = BODIES[webhook.type](message.text, message)
  return {
    url = webhook.url, method = "POST", headers = { ["Content-Type"] = "application/json" },
    body = json.encode(body, { sorted = true }), timeout_ms = TIMEOUT_MS, max_bytes = ANSWER_BYTES,
    secret = webhook.secret and {
      prefix = SECRET_PREFIX[webhook.type] or "cf-webhook-auth: ", sealed = webhook.secret,
      context = secrets.context(M.TABLE, "secret", webhook.id),
    } or nil,
  }
end

--- Sends it and says what came of it. Only from a task.
---@param control table
---@param request moongate.errands.Request
---@return true|nil
---@return moongate.control.Diagnostic|nil where: "errands" when it could not even be tried now
function M.send(control, request)
  local answer, failure = control.outgoing(request)
  if not answer then return nil, failure end
  if answer.status >= 200 and answer.status < 300 then return true end
  return nil, { where = "", text = ("the answer was %d"):format(answer.status) }
end

return M
