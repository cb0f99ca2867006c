--- moongate.admin — the control API as one handler: authenticate, route, permission, body, semantics, envelope.
--
-- boot.lua makes one application and hands requests to it; it runs on the control thread only, where waiting for a disk is
-- fine. The order of the checks is the same for every route (path and method, credentials, form of ids, permission,
-- existence, body, and only then the resource's own verb), so it stands here and in no resource. A write runs in one
-- transaction with its rehearsal and its audit row, and answers after every worker serves it.

local json = require "moongate.json"
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
  "accounts", "zones", "tokens", "mtls_certificates", "hostname_associations", "rulesets", "origins", "status",
}

--- All routes, in the order of the resources: the API at a glance, for specs and documents too.
---@return moongate.admin.route[]
function M.routes()
  local list = {}
  for _, name in ipairs(RESOURCES) do
    for _, route in ipairs(require("moongate.admin.resources." .. name).routes) do list[#list + 1] = route end
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

---@param host { store: table|nil, control: table, publisher: table, log: fun(level: string, text: string) } no store: every
--- request is answered with 503 while the last good snapshot is served
---@return table app
function M.new(host)
  return setmetatable({
    store = host.store,
    control = host.control,
    publisher = host.publisher,
    log = host.log,
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

local function check_ids(request, params)
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

-- Finds what the path names and asks whether the identity may. Refuses before it says whether the thing exists.
local function check_access(tx, request, route, params, context)
  local zone = params.zone_id and tx:one("SELECT id, account_id, name, type, paused, generation, created_on, modified_on "
    .. "FROM zones WHERE id = ?", params.zone_id)
  local target = { zone_id = params.zone_id, account_id = params.account_id or (zone and zone.account_id) }
  local named = target.zone_id or target.account_id
  if named and not permissions.allows(context.identity, route.permission, target) then return errors.fail("forbidden") end
  if not named and route.method ~= "GET" and not allowed_in_some_account(tx, context.identity, route.permission) then
    return errors.fail("forbidden")
  end
  if params.zone_id and not zone then
    if route.path == "/zones/{zone_id}" then return errors.fail("unknown_zone") end
    return errors.fail("bad_identifier", shown_path(request.path))
  end
  if target.account_id then
    context.account = tx:one("SELECT id, name, type, enforce_twofactor, abuse_contact_email, created_on FROM accounts "
      .. "WHERE id = ?", target.account_id)
    if not context.account then return errors.fail("bad_identifier", shown_path(request.path)) end
  end
  context.zone = zone
end

-- Reading: everything up to the point where a body matters.
local function admit(self, request, route, params)
  local context
  local ok, failure = self.store:read(function(tx)
    local identity, refused = auth.authenticate(tx, request, self, route.verifies)
    if not identity then return nil, refused end
    local bad = check_ids(request, params)
    if bad then return nil, bad end
    context = {
      app = self, control = self.control, request = request, params = params, identity = identity,
      query = query.parse(request.query), need = route.permission, messages = {}, now = self.control.now(),
    }
    context.stamp = stamp.micros(context.now)
    bad = check_access(tx, request, route, params, context)
    if bad then return nil, bad end
    return true
  end)
  if ok then return context end
  return nil, failure
end

local function read_body(request, route, context)
  if not route.fields then return nil end
  local group = errors.groups[route.group or "general"]
  if #request.body > BODY_BYTES then return errors.fail("too_large") end
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
  local values, mistakes = check.object(body, route.fields)
  if not values then
    local failure = {}
    for index, mistake in ipairs(mistakes) do
      failure[index] = errors.new(group.value, mistake.field, mistake.text)
      failure[index].pointer = mistake.pointer ~= "" and mistake.pointer or nil
    end
    return failure
  end
  context.body, context.values = body, values
end

local function read_dry_run(route, context)
  if not route.dry_run then return nil end
  local value, bad = check.flag(context.query:get("dry_run"))
  if bad then return errors.fail("bad_dry_run") end
  context.dry_run = value or false
end

local function audit(tx, request, route, context)
  assert(tx:run("INSERT INTO audit (at, token_id, address, ray, action, object, generation) VALUES (?, ?, ?, ?, ?, ?, ?)",
    context.stamp, context.identity.id, request.address, request.ray or "", route.method .. " " .. route.path,
    shown_path(request.path), tx:generation()))
end

local function run_writing(self, request, route, context)
  local dry
  local answer, second = self.store:write(function(tx)
    context.tx = tx
    local answer, failure = route.run(context)
    if not answer then return nil, failure end
    audit(tx, request, route, context)
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
  local context, failure = admit(self, request, route, params)
  if not context then return nil, failure end
  failure = read_body(request, route, context) or read_dry_run(route, context)
  if failure then return nil, failure, context end
  local answer
  if route.method == "GET" then
    answer, failure = run_reading(self, route, context)
  else
    answer, failure = run_writing(self, request, route, context)
  end
  if not answer then return nil, failure, context end
  if context.messages[1] then answer.messages = answer.messages or context.messages end
  return answer, nil, context
end

local function note_use(self, context)
  if not (context and context.identity.use_is_old) then return end
  self.store:write(function(tx)
    auth.note_use(tx, context.identity, context.now)
    return true
  end)
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
  if answer then
    if request.method ~= "GET" then
      self.log("info", ("%s %s done (token=%s, address=%s, ray=%s)"):format(request.method,
        shown_path(request.path), context.identity.id, request.address, tostring(request.ray)))
    end
    return envelope.success(answer)
  end
  self.log(failure[1].status >= 500 and "error" or "info", ("%s %s refused (status=%d, code=%s, address=%s, ray=%s)")
    :format(shown_path(request.method), shown_path(request.path), failure[1].status, tostring(failure[1].code),
      request.address, tostring(request.ray)))
  return envelope.failure(failure)
end

return M
