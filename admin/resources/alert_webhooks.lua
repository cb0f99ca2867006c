--- moongate.admin.resources.alert_webhooks — webhooks that notifications go to (section 11 of the API).
--
-- A webhook is stored only after it has taken a test message, which is sent before the transaction while others are
-- served. Its secret is sealed from the moment that it has come in (moongate.admin.secrets), goes out as a header, and
-- is never shown; an update without one keeps it.

local alert_webhook = require "moongate.admin.alert_webhook"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local secrets = require "moongate.admin.secrets"
local stamp = require "moongate.admin.stamp"

local M = {}

local BASE = "/accounts/{account_id}/alerting/v3/destinations/webhooks"
local GROUP = "Notifications"
local TEST = "Hello World! This is a test message of the gateway. If you can see it, the webhook works."
local BUSY_SECONDS = 5

local function show(row)
  return json.object {
    id = row.id, name = row.name, url = row.url, type = row.type, created_at = row.created_on,
    last_success = row.last_success or json.null, last_failure = row.last_failure or json.null,
  }
end

local RESOURCE = {
  table = alert_webhook.TABLE,
  columns = "id, name, url, type, secret, created_on, last_success, last_failure",
  scope = "account_id = ?",
  scope_of = function(context) return context.account.id end,
  key = "id",
  parameter = "webhook_id",
  unknown = "alert_webhook_unknown",
  show = show,
  order = "created_on DESC, id",
  paging = { style = "single", size = 100, min = 1, max = 1000 },
}

local function find(context)
  local id = context.params.webhook_id
  if not stamp.is_uuid(id) and not stamp.is_hex_id(id) then return nil, errors.fail("alert_webhook_id") end
  return resource.find(RESOURCE, context)
end

local function get(context)
  local row, failure = find(context)
  if not row then return nil, failure end
  return { result = show(row) }
end

-- ---- the test before anything is stored ----

local function test(context, webhook)
  local ok, failure = alert_webhook.send(context.control, alert_webhook.request(webhook, { text = TEST }))
  if ok then return true end
  if failure.where == "url" then return nil, errors.fail_at("/url", "invalid", "url", failure.text) end
  if failure.where == "errands" then
    local one = errors.new("alert_busy")
    one.retry_after = BUSY_SECONDS
    return nil, { one }
  end
  local one = errors.new("alert_webhook_test")
  one.chain = { { code = one.code, message = failure.text } }
  return nil, { one }
end

-- What the webhook will be, proven to work: `id` and `secret` of the one that is there, if there is one.
local function prepare_with(context, id, secret)
  local values = context.values
  local kind, reason = alert_webhook.type_of(values.url)
  if not kind then return nil, errors.fail_at("/url", "invalid", "url", reason) end
  local failure
  if values.secret then
    if values.secret:find("[^\32-\126]") then
      return nil, errors.fail_at("/secret", "invalid", "secret", "only visible ASCII characters may stand in it")
    end
    secret, failure = secrets.seal(context, alert_webhook.TABLE, id, values.secret, "secret")
    if not secret then return nil, failure end
  end
  context.webhook = { id = id, name = values.name, url = values.url, type = kind, secret = secret }
  return test(context, context.webhook)
end

local function prepare_create(context)
  return prepare_with(context, stamp.uuid(context.control.random), nil)
end

local function prepare_update(context)
  local row, failure = context.app.store:read(function(tx)
    context.tx = tx
    return find(context)
  end)
  if not row then return nil, failure end
  return prepare_with(context, row.id, row.secret)
end

-- ---- the verbs ----

local function create(context)
  local webhook = context.webhook
  local made, refusal = context.tx:run("INSERT INTO alert_webhooks (id, account_id, name, url, type, secret, "
    .. "created_on) VALUES (?, ?, ?, ?, ?, ?, ?)", webhook.id, context.account.id, webhook.name, webhook.url, webhook.type,
    webhook.secret, stamp.seconds(context.now))
  if not made then
    if refusal.kind == "quota" then return nil, errors.fail("alert_webhook_quota") end
    error("alert_webhooks: " .. refusal.kind .. " " .. refusal.name)
  end
  return { status = 201, result = json.object { id = webhook.id } }
end

local function update(context)
  local row, failure = find(context)
  if not row then return nil, failure end
  local webhook = context.webhook
  assert(context.tx:run("UPDATE alert_webhooks SET name = ?, url = ?, type = ?, secret = ? WHERE id = ?", webhook.name,
    webhook.url, webhook.type, webhook.secret, row.id))
  return { result = json.object { id = row.id } }
end

local remove_found = resource.delete(RESOURCE, function() return errors.fail("alert_webhook_in_use") end,
  function(row) return json.object { id = row.id } end)

local function remove(context)
  local row, failure = find(context)
  if not row then return nil, failure end
  return remove_found(context)
end

local READ, WRITE = permissions.need("read", GROUP), permissions.need("write", GROUP)
local FIELDS = {
  { name = "name", type = "string", required = true, max = 255 },
  { name = "url", type = "string", required = true },
  { name = "secret", type = "string", max = 1024 },
}

M.routes = {
  { method = "GET", path = BASE, permission = READ, run = resource.list(RESOURCE) },
  { method = "POST", path = BASE, permission = WRITE, fields = FIELDS, prepare = prepare_create, run = create },
  { method = "GET", path = BASE .. "/{webhook_id}", permission = READ, run = get },
  { method = "PUT", path = BASE .. "/{webhook_id}", permission = WRITE, fields = FIELDS, prepare = prepare_update,
    run = update },
  { method = "DELETE", path = BASE .. "/{webhook_id}", permission = WRITE, run = remove },
}

return M
