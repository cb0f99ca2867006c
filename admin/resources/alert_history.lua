--- moongate.admin.resources.alert_history — what there is to be told of, by which ways, and what was told (section 11
--- of the API). Reading only.

local alert_types = require "moongate.admin.alert_types"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local BASE = "/accounts/{account_id}/alerting/v3"
local READ = permissions.need("read", "Notifications")

-- `result` and `failure` are ours: an entry is written for what was given up, too.
local function show(row)
  return json.object {
    id = row.id, policy_id = row.policy_id, name = row.name, description = row.description, alert_type = row.alert_type,
    alert_body = row.alert_body, mechanism = row.mechanism, mechanism_type = row.mechanism_type, sent = row.sent,
    result = row.failure and "failed" or "delivered", failure = row.failure or json.null,
  }
end

-- A query parameter with a time: entries from it on, or before it.
local function by_time(name, comparison)
  return function(query)
    local text = query:get(name)
    if not text then return nil end
    local moment = stamp.read(text)
    if not moment then return nil, nil, name end
    return "sent " .. comparison .. " ?", { stamp.seconds(moment) }
  end
end

local RESOURCE = {
  table = "alert_history",
  columns = "id, policy_id, name, description, alert_type, alert_body, mechanism, mechanism_type, failure, sent",
  scope = "account_id = ?",
  scope_of = function(context) return context.account.id end,
  show = show,
  order = "sent DESC, id",
  paging = { style = "page", size = 25, min = 5, max = 1000 },
  filters = { by_time("since", ">="), by_time("before", "<") },
}

local function destination(kind, eligible, ready)
  return json.array { json.object { type = kind, eligible = eligible, ready = ready } }
end

local function eligible(context)
  return { result = json.object {
    email = destination("email", true, context.app.sends_mail),
    webhooks = destination("webhooks", true, true),
    pagerduty = destination("pagerduty", false, false),
  } }
end

M.routes = {
  { method = "GET", path = BASE .. "/available_alerts", permission = READ,
    run = function() return { result = alert_types.available() } end },
  { method = "GET", path = BASE .. "/destinations/eligible", permission = READ, run = eligible },
  { method = "GET", path = BASE .. "/destinations/pagerduty", permission = READ,
    run = function() return { result = resource.array() } end },
  { method = "GET", path = BASE .. "/history", permission = READ, run = resource.list(RESOURCE) },
}

return M
