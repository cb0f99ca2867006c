--- moongate.admin — the control API as one handler: authenticate, route, permission, body, semantics, envelope.
--
-- boot.lua makes one application and hands requests to it; it runs on the control thread only, where waiting for a disk is
-- fine. The order of the checks is the same for every route (path and method, credentials, form of ids, permission,
-- existence, body, and only then the resource's own verb), so it stands here and in no resource. A write runs in one
-- transaction with its rehearsal and its audit row, and answers after every worker serves it.

local json = require "moongate.json"
local audit = require "moongate.admin.audit"
local auth = require "moongate.admin.auth"
local check = require "moongate.admin.check"
local envelope = require "moongate.admin.envelope"
local errors = require "moongate.admin.errors"
local limiter = require "moongate.admin.limiter"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local router = require "moongate.admin.router"
local stamp = require "moongate.admin.stamp"
local store = require "moongate.admin.store"

local M = {}

M.BASE = "/client/v4"
local BODY_BYTES, BODY_DEPTH = 1024 * 1024, 32

local RESOURCES = {
  "accounts", "account_tokens", "audit_logs", "memberships", "permission_groups", "tokens", "user", "zones",
  "zone_settings", "hostname_settings", "managed_headers",
  "mtls_certificates", "hostname_associations", "rulesets", "ruleset_rules",
  "ruleset_versions", "lists", "list_items",
  "filters", "firewall_rules", "origins", "status",
  "custom_certificates", "client_certificates",
  "origin_pulls", "access_certificates", "hostname_options",
  "dns_records",
  "custom_hostnames", "custom_hostname_certificates", "custom_hostname_fallback", "custom_hostname_checks",
  "certificate_denials", "revocation_lists",
  "alert_policies", "alert_webhooks", "alert_history",
}

--- All routes, in the order of the resources: the API at a glance, for specs and documents too.
---@return moongate.admin.route[]
function M.routes()
  local list = {}
  for _, name in ipairs(RESOURCES) do
    for _, route in ipairs(require("moongate.admin.resources." .. name).routes) do
      route.resource = name
      list[#list + 1] = route
    end
  end
  return list
end

local App = {}
App.__index = App

---@class moongate.admin.request
---@field method string
---@field path string raw
---@field query string|nil raw
---@field headers table<string, string> lower-case names
---@field body string
---@field address string of the client
---@field ray string

---@param host { store: table|nil, control: table, publisher: table, log: fun(level: string, text: string),
--- sends_mail: boolean|nil } no store: every request is answered with 503 while the last good snapshot is served
---@return table app
function M.new(host)
  return setmetatable({
    store = host.store,
    control = host.control,
    publisher = host.publisher,
    log = host.log,
    sends_mail = host.sends_mail or false,
    limiter = limiter.new(host.limits),
    router = router.new(M.routes()),
  }, App)
end

-- What may be shown of a path that a stranger sent.
local function shown_path(path)
  return (path:sub(1, 256):gsub("[^\33-\126]", "?"))
end

local function find_route(self, request)
  local path = request.path
  if path:sub(1, #M.BASE + 1) ~= M.BASE .. "/" then return nil, errors.fail("no_route") end
  local route, params, allow = self.router:find(request.method, path:sub(#M.BASE + 1))
  if route then return route, params end
  if params == "path" then return nil, errors.fail("no_route") end
  local failure = errors.fail("bad_method", shown_path(request.method))
  failure[1].allow = allow
  return nil, failure
end

-- Ids of certificates are UUIDs; schemas of clients declare 32 characters for them, so they may come without hyphens.
local function check_ids(request, params)
  if params.certificate_id then params.certificate_id = stamp.as_uuid(params.certificate_id) end
  for _, name in ipairs { "account_id", "zone_id" } do
    if params[name] and not stamp.is_hex_id(params[name]) then
      return errors.fail("bad_identifier", shown_path(request.path))
    end
  end
end

-- A write that names its account in the body: refused here when the identity may do it in no account at all.
local function allowed_in_some_account(tx, identity, need)
  for _, account in ipairs(tx:all("SELECT id FROM accounts")) do
    if permissions.allows(identity, need, { account_id = account.id }) then return true end
  end
  return false
end

-- Refuses before anything is said about whether the thing exists. `context` has what exists of what the path names.
local function check_permission(tx, route, params, context)
  local identity, need = context.identity, route.permission
  if need.level == "user" then
    local mine = permissions.allows(identity, need, { user_id = identity.user_id })
    return not mine and errors.fail("unauthorized") or nil
  end
  local target = {
    zone_id = params.zone_id, account_id = params.account_id or (context.zone and context.zone.account_id),
  }
  if target.zone_id or target.account_id or need.level == "unrestricted" then
    if not permissions.allows(identity, need, target) then return errors.fail("forbidden") end
  elseif route.method ~= "GET" and not allowed_in_some_account(tx, identity, need) then
    return errors.fail("forbidden")
  end
end

local function check_existence(request, route, params, context)
  if params.zone_id and not context.zone then
    if route.path == "/zones/{zone_id}" then return errors.fail("unknown_zone") end
    return errors.fail("bad_identifier", shown_path(request.path))
  end
  if params.account_id and not context.account then
    -- Every token may ask whether it is valid, none whether an account exists.
    if route.verifies then return errors.fail("token_not_valid") end
    return errors.fail("bad_identifier", shown_path(request.path))
  end
end

-- Finds what the path names and asks whether the identity may.
local function check_access(tx, request, route, params, context)
  context.zone = params.zone_id and tx:one("SELECT id, account_id, name, type, paused, generation, created_on, "
    .. "modified_on FROM zones WHERE id = ?", params.zone_id) or nil
  local account_id = params.account_id or (context.zone and context.zone.account_id)
  context.account = account_id and tx:one("SELECT id, name, type, enforce_twofactor, abuse_contact_email, created_on "
    .. "FROM accounts WHERE id = ?", account_id) or nil
  return check_permission(tx, route, params, context) or check_existence(request, route, params, context)
end

-- Reading: everything up to the point where a body matters. The context comes with a failure too, as far as it got.
local function admit(self, request, route, params)
  local context = {
    app = self, control = self.control, request = request, params = params, query = query.parse(request.query),
    need = route.permission, messages = {}, now = self.control.now(), route = route,
  }
  context.stamp = stamp.micros(context.now)
  local ok, failure = self.store:read(function(tx)
    local refused
    context.identity, refused, context.rate = auth.authenticate(tx, request, self, route.verifies)
    if not context.identity then return nil, refused end
    local bad = check_ids(request, params) or check_access(tx, request, route, params, context)
    if bad then return nil, bad end
    return true
  end)
  if ok then return context end
  return nil, failure, context
end

local function read_body(request, route, context)
  if not route.fields and not (route.body == "required" or route.body == "optional" and request.body ~= "") then
    return nil
  end
  local group = errors.groups[route.group or "general"]
  if #request.body > (route.body_bytes or BODY_BYTES) then return errors.fail("too_large") end
  local kind = (request.headers["content-type"] or ""):lower()
  if kind:find("^multipart/form%-data") or kind:find("^application/x%-www%-form%-urlencoded") then
    local one = errors.new("bad_headers")
    one.chain = { { code = 6105, message = "Invalid Content-Type header" } }
    return { one }
  end
  local body, diag = json.decode(request.body, { max_depth = BODY_DEPTH, unique_keys = true })
  if body == nil then
    return errors.fail(group.json, ("%s (line %d, column %d)"):format(diag.message, diag.line, diag.column))
  end
  if check.has_nul(body) then return errors.fail(group.json, "a NUL character in a string") end
  if body == json.null and route.body == "optional" then return nil end -- some clients say so that they send nothing
  if not (json.is_object(body) or json.is_array(body) and route.body) then
    return errors.fail(group.json, route.body and "expected an object or an array" or "expected an object")
  end
  context.body = body
  if not route.fields then return nil end
  local values, mistakes = check.object(body, route.fields)
  if not values then
    local failure = {}
    for index, mistake in ipairs(mistakes) do
      failure[index] = errors.new(group.value, mistake.field, mistake.text)
      failure[index].pointer = mistake.pointer ~= "" and mistake.pointer or nil
    end
    return failure
  end
  context.values = values
end

local function read_dry_run(route, context)
  if not route.dry_run then return nil end
  local value, bad = check.flag(context.query:get("dry_run"))
  if bad then return errors.fail("bad_dry_run") end
  context.dry_run = value or false
end

-- Waits for what the route has to know first. Others were served meanwhile: the time is another, and what the path names may
-- have gone, or the permission (see run_writing).
local function prepare(self, route, context)
  if not route.prepare then return true end
  local ready, failure = route.prepare(context)
  if not ready then return nil, failure end
  if not self.store then return nil, errors.of_store { store = "io" } end
  context.now = self.control.now()
  context.stamp = stamp.micros(context.now)
  return true
end

local function run_writing(self, route, context)
  local dry
  local answer, second = self.store:write(function(tx)
    context.tx = tx
    local gone = route.prepare and check_access(tx, context.request, route, context.params, context)
    if gone then return nil, gone end
    local answer, failure = route.run(context)
    if not answer then return nil, failure end
    audit.change(tx, route, context, answer)
    local pending, refused = self.publisher:rehearse(tx)
    if not pending then return nil, refused end
    if context.dry_run then
      dry = { status = answer.status == 204 and 204 or nil }
      return nil, {}
    end
    return answer, pending
  end)
  if dry then return dry end
  if not answer then return nil, second end
  local ok, failure = self.publisher:release(second)
  if not ok then return nil, failure end
  return answer
end

local function run_reading(self, route, context)
  local answer, failure = self.store:read(function(tx)
    context.tx = tx
    local answer, failure = route.run(context)
    return answer or nil, failure
  end)
  return answer, failure
end

local function respond(self, request)
  local route, params = find_route(self, request)
  if not route then return nil, params end
  if not self.store then return nil, errors.of_store { store = "io" } end
  local context, failure, refused_context = admit(self, request, route, params)
  if not context then return nil, failure, refused_context end
  failure = read_body(request, route, context) or read_dry_run(route, context)
  if failure then return nil, failure, context end
  local answer
  answer, failure = prepare(self, route, context)
  if not answer then return nil, failure, context end
  if route.method == "GET" or route.reads then
    answer, failure = run_reading(self, route, context)
  else
    answer, failure = run_writing(self, route, context)
  end
  if not answer then return nil, failure, context end
  if context.messages[1] then answer.messages = answer.messages or context.messages end
  return answer, nil, context
end

local function note_use(self, context)
  if not (context and context.identity and context.identity.use_is_old) then return end
  self.store:write(function(tx)
    auth.note_use(tx, context.identity, context.now)
    return true
  end)
end

-- A refusal has undone its transaction, if it ever had one: its row gets one of its own.
local function note_refusal(self, context, failure)
  if not (context and failure and audit.is_noteworthy(context.route, context, failure)) then return end
  local ok, trouble = self.store:write(function(tx)
    audit.refusal(tx, context.route, context, failure)
    return true
  end)
  if not ok then self.log("error", "the audit log: a refusal could not be written: " .. tostring(trouble.text)) end
end

local function name_of(identity)
  return identity.id and "token=" .. identity.id or "user=" .. tostring(identity.user_id)
end

-- What is left of an identity's requests goes with every answer to it.
local function rate_headers(context)
  local rate = context and context.rate
  if not rate then return nil end
  return {
    { "X-RateLimit-Limit", ("%d"):format(rate.limit) },
    { "X-RateLimit-Remaining", ("%d"):format(rate.remaining) },
    { "X-RateLimit-Reset", stamp.http_date(rate.reset) },
  }
end

--- Answers one request.
---@param request moongate.admin.request
---@return integer status
---@return table[] headers list of { name, value }
---@return string body
function App:handle(request)
  local ok, answer, failure, context = xpcall(function() return respond(self, request) end, function(err)
    return debug.traceback(tostring(err), 2)
  end)
  if not ok then
    self.log("error", ("%s %s failed (ray=%s): %s"):format(request.method, shown_path(request.path),
      tostring(request.ray), answer))
    return envelope.failure(errors.fail("internal"))
  end
  if store.is_failure(failure) then
    self.log("error", ("the store failed (kind=%s, ray=%s): %s"):format(failure.store, tostring(request.ray),
      failure.text))
    failure = errors.of_store(failure)
  end
  note_use(self, context)
  note_refusal(self, context, failure)
  if answer then
    if request.method ~= "GET" then
      self.log("info", ("%s %s done (%s, address=%s, ray=%s)"):format(request.method,
        shown_path(request.path), name_of(context.identity), request.address, tostring(request.ray)))
    end
    return envelope.success(answer, rate_headers(context))
  end
  self.log(failure[1].status >= 500 and "error" or "info", ("%s %s refused (status=%d, code=%s, address=%s, ray=%s)")
    :format(shown_path(request.method), shown_path(request.path), failure[1].status, tostring(failure[1].code),
      request.address, tostring(request.ray)))
  return envelope.failure(failure, rate_headers(context))
end

return M
