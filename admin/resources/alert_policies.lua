--- moongate.admin.resources.alert_policies — who is told of what (section 11 of the API).
--
-- A policy names a type of notification and at least one mechanism: e-mail addresses, or webhooks of the same account.
-- What the types watch is moongate.admin.alert_types' business. Filters are kept and shown; no type here has any.

local alert_mail = require "moongate.admin.alert_mail"
local alert_types = require "moongate.admin.alert_types"
local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local BASE = "/accounts/{account_id}/alerting/v3/policies"
local GROUP = "Notifications"
local MECHANISMS_MAX = 50

-- ---- mechanisms ----

local function show_mechanisms(tx, policy_id)
  local shown = json.object { email = json.array {}, webhooks = json.array {}, pagerduty = json.array {} }
  local sql = "SELECT kind, email, webhook_id FROM alert_mechanisms WHERE policy_id = ? ORDER BY position"
  for _, row in ipairs(tx:all(sql, policy_id)) do
    local list = row.kind == "email" and shown.email or shown.webhooks
    list[#list + 1] = json.object { id = row.email or row.webhook_id }
  end
  return shown
end

local function bad_mechanism(kind, index, reason)
  return nil, errors.fail_at(("/mechanisms/%s/%d/id"):format(kind, index - 1), "invalid",
    ("mechanisms.%s[%d].id"):format(kind, index), reason)
end

local function read_email(id, index)
  local reason = alert_mail.mistake(id)
  if reason then return bad_mechanism("email", index, reason) end
  return { kind = "email", email = id }
end

local function read_webhook(id, index)
  if stamp.is_uuid(id) then return { kind = "webhook", webhook_id = id } end
  local failure = errors.fail("alert_webhook_id")
  failure[1].pointer = ("/mechanisms/webhooks/%d/id"):format(index - 1)
  return nil, failure
end

local function read_pagerduty(_, index)
  return bad_mechanism("pagerduty", index, "PagerDuty is not connected to this gateway")
end

-- In the order in which they are shown.
local KINDS = { { "email", read_email }, { "webhooks", read_webhook }, { "pagerduty", read_pagerduty } }

local function read_kind(list, given, kind, read, seen)
  if given == nil or given == json.null then return true end
  if check.kind(given) ~= "array" then
    return nil, errors.fail_at("/mechanisms/" .. kind, "invalid", "mechanisms." .. kind, "expected an array")
  end
  for index, element in ipairs(given) do
    local id = check.kind(element) == "object" and element.id
    if type(id) ~= "string" then return bad_mechanism(kind, index, "expected a string") end
    local mechanism, failure = read(id, index)
    if not mechanism then return nil, failure end
    if not seen[kind .. id] then list[#list + 1] = mechanism end
    seen[kind .. id] = true
  end
  return true
end

-- The mechanisms of a body; at least one.
local function read_mechanisms(given)
  local list, seen = {}, {}
  for _, kind in ipairs(KINDS) do
    local ok, failure = read_kind(list, given[kind[1]], kind[1], kind[2], seen)
    if not ok then return nil, failure end
  end
  if not list[1] then return nil, errors.fail("alert_no_mechanism") end
  if #list > MECHANISMS_MAX then
    return nil, errors.fail_at("/mechanisms", "invalid", "mechanisms", ("at most %d"):format(MECHANISMS_MAX))
  end
  return list
end

local function set_mechanisms(tx, policy_id, list)
  assert(tx:run("DELETE FROM alert_mechanisms WHERE policy_id = ?", policy_id))
  for position, mechanism in ipairs(list) do
    local made = tx:run("INSERT INTO alert_mechanisms (policy_id, position, kind, email, webhook_id) "
      .. "VALUES (?, ?, ?, ?, ?)", policy_id, position, mechanism.kind, mechanism.email, mechanism.webhook_id)
    -- A webhook of another account is as one that is not there.
    if not made then return nil, errors.fail("alert_webhook_id") end
  end
  return true
end

-- ---- policies ----

local function show(row, context)
  return json.object {
    id = row.id, name = row.name, description = row.description, alert_type = row.alert_type,
    alert_interval = row.alert_interval, enabled = row.enabled == 1, filters = json.object(json.decode(row.filters)),
    mechanisms = show_mechanisms(context.tx, row.id), created = row.created_on, modified = row.modified_on,
  }
end

local RESOURCE = {
  table = "alert_policies",
  columns = "id, name, description, alert_type, alert_interval, enabled, filters, created_on, modified_on",
  scope = "account_id = ?",
  scope_of = function(context) return context.account.id end,
  key = "id",
  parameter = "policy_id",
  is_id = stamp.is_uuid,
  unknown = "alert_policy_unknown",
  show = show,
  order = "created_on DESC, id",
  paging = { style = "single", size = 100, min = 1, max = 1000 },
}

local function read_filters(given)
  for name, list in pairs(given) do
    if check.kind(list) ~= "array" then
      return nil, errors.fail_at("/filters/" .. name, "invalid", "filters." .. name, "expected an array of strings")
    end
    for _, value in ipairs(list) do
      if type(value) ~= "string" then
        return nil, errors.fail_at("/filters/" .. name, "invalid", "filters." .. name, "expected an array of strings")
      end
    end
  end
  return json.encode(given, { sorted = true })
end

-- Puts what was given into `row`, and gives the mechanisms, if there are any in the body.
local function read(context, row)
  local values = context.values
  for _, name in ipairs { "name", "description", "alert_type", "alert_interval" } do
    if values[name] ~= nil then row[name] = values[name] end
  end
  if values.enabled ~= nil then row.enabled = values.enabled and 1 or 0 end
  if values.alert_type and not alert_types.by_type[values.alert_type] then
    return nil, errors.fail_at("/alert_type", "alert_type_unknown", values.alert_type)
  end
  local failure
  if values.filters then
    row.filters, failure = read_filters(values.filters)
    if not row.filters then return nil, failure end
  end
  if not values.mechanisms then return {} end
  return read_mechanisms(values.mechanisms)
end

local function create(context)
  local now = stamp.seconds(context.now)
  local row = { id = stamp.uuid(context.control.random), description = "", enabled = 1, filters = "{}" }
  if not context.values.mechanisms then return nil, errors.fail("alert_no_mechanism") end
  local mechanisms, failure = read(context, row)
  if not mechanisms then return nil, failure end
  local made, refusal = context.tx:run("INSERT INTO alert_policies (id, account_id, name, description, alert_type, "
    .. "alert_interval, enabled, filters, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id,
    context.account.id, row.name, row.description, row.alert_type, row.alert_interval, row.enabled, row.filters, now,
    now)
  if not made then
    if refusal.kind == "quota" then return nil, errors.fail("alert_policy_quota") end
    error("alert_policies: " .. refusal.kind .. " " .. refusal.name)
  end
  local ok
  ok, failure = set_mechanisms(context.tx, row.id, mechanisms)
  if not ok then return nil, failure end
  return { result = json.object { id = row.id } }
end

local function update(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  local mechanisms
  mechanisms, failure = read(context, row)
  if not mechanisms then return nil, failure end
  assert(context.tx:run("UPDATE alert_policies SET name = ?, description = ?, alert_type = ?, alert_interval = ?, "
    .. "enabled = ?, filters = ?, modified_on = ? WHERE id = ?", row.name, row.description, row.alert_type,
    row.alert_interval, row.enabled, row.filters, stamp.seconds(context.now), row.id))
  local ok = true
  if mechanisms[1] then ok, failure = set_mechanisms(context.tx, row.id, mechanisms) end
  if not ok then return nil, failure end
  return { result = json.object { id = row.id } }
end

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)

local function fields(required)
  return {
    { name = "name", type = "string", required = required, max = 255 },
    { name = "alert_type", type = "string", required = required },
    { name = "mechanisms", type = "object" },
    { name = "enabled", type = "boolean" },
    { name = "description", type = "string", max = 1000, empty_is_value = true },
    { name = "alert_interval", type = "string", max = 32 },
    { name = "filters", type = "object" },
  }
end

M.routes = {
  { method = "GET", path = BASE, permission = READ, run = resource.list(RESOURCE) },
  { method = "POST", path = BASE, permission = WRITE, fields = fields(true), run = create },
  { method = "GET", path = BASE .. "/{policy_id}", permission = READ, run = resource.get(RESOURCE) },
  { method = "PUT", path = BASE .. "/{policy_id}", permission = WRITE, fields = fields(false), run = update },
  { method = "DELETE", path = BASE .. "/{policy_id}", permission = WRITE,
    run = resource.delete(RESOURCE, function(refusal) error("alert_policies: " .. refusal.name) end,
      function(row) return json.object { id = row.id } end) },
}

return M
