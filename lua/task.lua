-- moongate.task: how a request goes through the policy files, and how their functions wait without holding the worker.
--
-- All callbacks of on("request") and the handler of a request run in one coroutine. When one of them waits (sleep,
-- fetch, body), C has armed what wakes it (core/script/task.c), the coroutine yields, and resume() goes on with it
-- later, in the request's own turn. Coroutines that came to their end are used again. Called by policy_state.lua only;
-- raises what a policy raises.

local blame = require "moongate.blame"
local bridge = require "moongate.ffi"
local headers = require "moongate.headers"
local registry = require "moongate.registry"
local request = require "moongate.request"
local response = require "moongate.response"
local turn = require "moongate.turn"

local C, ffi, raise = bridge.C, bridge.ffi, blame.raise

local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local traceback = debug.traceback
local error, pcall, tostring, type = error, pcall, tostring, type

local M = {}

-- What C is told; `enum outcome` of core/script/task.c.
local ON, ANSWER, BLOCK, WAIT, FAIL = 0, 1, 2, 3, 4

local BODY_MAX = 1024 * 1024
local FETCH_SECONDS = 10
local SPARES = 64

local policy  -- struct moon_policy *
local call    -- struct moon_policy_call *
local diag = ffi.new("struct moon_diag[1]")

---@class moongate.task.Record  one request under way in a coroutine
---@field serial number
---@field method string
---@field host string
---@field path string
---@field co thread
---@field req moongate.Request
---@field res moongate.Response
---@field at string  where the function that runs begins: "FILE:LINE"
---@field handler moongate.registry.Handler|nil  once it is the handler's turn

local present, present_serial -- the request object of a turn
local running           -- the record whose coroutine runs; nil where nothing may wait
local parked = {}       -- serial → record
local under_way = {}    -- serial → record, until its origin has answered
local spares, spare_count = {}, 0

-- ---- the present request ----

--- The request object of the present turn.
---@return moongate.Request
function M.current()
  if present_serial ~= turn.serial then
    present, present_serial = request.new(), turn.serial
  end
  return present
end

--- Runs a policy's function where nothing may wait.
---@param f function
---@param argument any
---@return any
function M.evaluate(f, argument)
  local saved = running
  running = nil
  local ok, value = pcall(f, argument)
  running = saved
  if not ok then error(value, 0) end
  return value
end

local function text(view)
  return ffi.string(view.data, view.len)
end

-- ---- the way of a request ----

local function is_meant(where)
  return not where or registry.matches(where, turn.method, turn.host, turn.path)
end

local function handler_of(name)
  local handler = registry.named[name]
  if not handler then error(("on(\"request\") names the handler %q, which there is not"):format(tostring(name)), 0) end
  return handler
end

-- The handler that a callback names, or the first whose pattern fits; nil: the origin.
local function ask_callbacks(record)
  for _, callback in ipairs(registry.on_request) do
    if is_meant(callback.where) then
      record.at = callback.at
      local name = callback.run(record.req, record.res)
      if response.outcome(record.res) then return nil end
      if name ~= nil then return handler_of(name) end
    end
  end
  for _, handler in ipairs(registry.handlers) do
    if handler.where and is_meant(handler.where) then return handler end
  end
end

local function decide(record)
  local handler = ask_callbacks(record)
  if not handler then return end
  record.handler, record.at = handler, handler.at
  handler.run(record.req, record.res)
  if not response.outcome(record.res) then
    error(("the handler %q gave no answer"):format(handler.name), 0)
  end
end

local function work(record)
  while true do
    decide(record)
    record = yield(true)
  end
end

local function call_back(req, res)
  for _, callback in ipairs(registry.on_response) do
    if is_meant(callback.where) then
      local ok, err = pcall(callback.run, req, res)
      if not ok then error(blame.located(err, callback.at), 0) end
    end
  end
end

local function conclude(record)
  local outcome = response.outcome(record.res)
  if outcome == "blocked" then return BLOCK end
  if outcome == "sent" then
    call_back(record.req, record.res)
    return ANSWER, response.answer(record.res)
  end
  local removed, added = request.changes(record.req)
  request.freeze(record.req)
  if registry.on_response[1] then under_way[record.serial] = record end
  return ON, removed, added
end

local function step(record, ...)
  running = record
  local ok, is_done = resume(record.co, ...)
  running = nil
  if not ok then return FAIL, traceback(record.co, blame.located(is_done, record.at)) end
  if not is_done then
    parked[record.serial] = record
    return WAIT
  end
  if spare_count < SPARES then
    spare_count = spare_count + 1
    spares[spare_count] = record.co
  end
  return conclude(record)
end

-- It is a record's turn.
local function begin(record)
  turn.serial, turn.method, turn.host, turn.path = record.serial, record.method, record.host, record.path
end

--- A request that the rules let pass.
---@param serial number
---@param method string
---@param host string
---@param path string
---@return integer outcome
---@return any, any, any  what goes with it
function M.request(serial, method, host, path)
  local co = spares[spare_count]
  if co then
    spares[spare_count], spare_count = nil, spare_count - 1
  else
    co = create(work)
  end
  local record = { serial = serial, method = method, host = host, path = path, co = co }
  running = nil
  begin(record)
  record.req, record.res = M.current(), response.new()
  return step(record, record)
end

--- What a parked request waited for has come, or has failed.
---@param serial number
---@param late boolean  all waiting of this request is over
---@param failure string|nil
---@return integer outcome, as for request()
function M.resume(serial, late, failure)
  local record = parked[serial]
  parked[serial] = nil
  begin(record)
  present, present_serial = record.req, serial
  return step(record, late, failure)
end

local function answer_fields()
  return call.fields, tonumber(call.field_count)
end

--- The head of an origin's answer.
---@param serial number
---@return integer status
---@return string[]|nil removed
---@return string[]|nil added
function M.response(serial)
  local record = under_way[serial]
  running = nil
  begin(record)
  present, present_serial = record.req, serial
  local res = response.of_origin(call.status, answer_fields)
  call_back(present, res)
  return response.changes(res)
end

--- A request has ended, whatever it was doing.
---@param serial number
function M.gone(serial)
  parked[serial], under_way[serial] = nil, nil
end

-- ---- waiting ----

-- The record that is about to wait.
local function waiter(what)
  if not running then
    raise(("%s waits, and only handlers and on(\"request\") may wait"):format(what))
  end
  if response.outcome(running.res) then raise("the request has been answered: nothing may wait any more") end
  return running
end

local function check_begun(rc)
  if rc < 0 then raise(ffi.string(diag[0].text)) end
end

-- Gives the worker back until C resumes. Nil, or why there is nothing.
local function wait()
  local record = running
  local late, failure = yield(false)
  running = record
  if late then raise(failure) end
  return failure
end

--- Waits.
---@param seconds number
function M.sleep(seconds)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    raise("moongate.sleep expects a number of seconds")
  end
  waiter("moongate.sleep")
  check_begun(C.moon_ffi_task_sleep(policy, seconds, diag))
  wait()
end

local function read_body(limit)
  limit = limit or BODY_MAX
  if type(limit) ~= "number" or not (limit >= 0 and limit <= BODY_MAX) then
    raise(("the limit must be a number of bytes up to %d"):format(BODY_MAX))
  end
  if not waiter("req:body").handler then raise("the body can be read by handlers only") end
  local rc = C.moon_ffi_task_body(policy, limit, diag)
  check_begun(rc)
  if rc == 0 then wait() end
  return text(call.body)
end

-- ---- fetching ----

local FETCH = {
  url = "string", method = "string", headers = "table", body = "string", timeout = "number", ca = "string",
}
local OURS = headers.TO_ORIGIN

local function check_options(options)
  if type(options) ~= "table" then raise("moongate.fetch expects a table") end
  for key, value in pairs(options) do
    local kind = FETCH[key]
    if not kind then raise(("moongate.fetch: unknown member %q"):format(tostring(key))) end
    if type(value) ~= kind then raise(("moongate.fetch: %s must be a %s, not a %s"):format(key, kind, type(value))) end
  end
  if not options.url then raise("moongate.fetch: url is missing") end
  if options.body and #options.body > BODY_MAX then
    raise(("moongate.fetch: the body is longer than %d bytes"):format(BODY_MAX))
  end
  if options.timeout and options.timeout <= 0 then raise("moongate.fetch: timeout must be more than 0 seconds") end
end

local function split(url)
  local base, target = url:match("^(https?://[^/?#%s]+)([^#%s]*)$")
  if not base then
    raise(("moongate.fetch: %q is no URL: http://host[:port]/path or https://… is expected"):format(url))
  end
  if target:sub(1, 1) ~= "/" then target = "/" .. target end
  return base, target
end

-- All fields as one list name, value, name, value, …
local function flat_fields(given)
  local list = {}
  for name, value in pairs(given or {}) do
    if type(name) ~= "string" then raise("moongate.fetch: the names of headers are texts") end
    local shown = name:lower()
    if OURS[shown] then raise(("moongate.fetch: the header %q is written by the gateway itself"):format(name)) end
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      one = type(one) == "number" and tostring(one) or one
      if type(one) ~= "string" then raise(("moongate.fetch: the header %q must be a text"):format(name)) end
      if C.moon_ffi_field_fault(name, #name, one, #one) ~= 0 then
        raise(("moongate.fetch: the header %q has a byte that must not be in it"):format(name))
      end
      list[#list + 1], list[#list + 2] = name, one
    end
  end
  return list
end

local function put(view, value)
  view.data, view.len = ffi.cast("const char *", value), #value
end

-- What C reads, and the strings that it points into.
local function order_of(options)
  local kept = { options.method or "GET", options.ca or "", options.body or "", split(options.url) }
  local list = flat_fields(options.headers)
  local fields = ffi.new("struct moon_http_field[?]", #list / 2 + 1)
  for i = 1, #list, 2 do
    put(fields[(i - 1) / 2].name, list[i])
    put(fields[(i - 1) / 2].value, list[i + 1])
  end
  local order = ffi.new("struct moon_ffi_fetch")
  put(order.method, kept[1])
  put(order.ca, kept[2])
  put(order.body, kept[3])
  put(order.base, kept[4])
  put(order.target, kept[5])
  order.fields, order.field_count = fields, #list / 2
  order.has_body = options.body ~= nil or kept[1] == "POST" or kept[1] == "PUT" or kept[1] == "PATCH"
  order.seconds = options.timeout or FETCH_SECONDS
  kept.fields, kept.list = fields, list
  return order, kept
end

local ROUTE = { host_header = "string", sni = "string", ca = "string" }

local function route(url, options)
  if not running or running.handler then raise("req:route() is for on(\"request\")") end
  if type(url) ~= "string" then raise("req:route() expects the URL of an origin") end
  for key, value in pairs(options or {}) do
    if type(value) ~= ROUTE[key] then
      local why = ROUTE[key] and "req:route(): %s must be a text" or "req:route(): unknown member %s"
      raise(why:format(tostring(key)))
    end
  end
  options = options or {}
  local kept = { url, options.host_header or "", options.sni or "", options.ca or "" }
  local order = ffi.new("struct moon_ffi_route")
  put(order.url, kept[1])
  put(order.host_header, kept[2])
  put(order.sni, kept[3])
  put(order.ca, kept[4])
  check_begun(C.moon_ffi_task_route(policy, order, diag))
end

local NOTHING = {}

--- Asks another server and waits for its whole answer.
---@param options moongate.FetchOptions  docs/moongate.meta.lua
---@return { status: integer, headers: moongate.Headers, body: string }|nil
---@return string|nil why there is no answer
function M.fetch(options)
  check_options(options)
  waiter("moongate.fetch")
  local order, kept = order_of(options)
  check_begun(C.moon_ffi_task_fetch(policy, order, diag))
  kept.order = order -- until C has copied it: now
  local failure = wait()
  if failure then return nil, failure end
  local view = headers.new(answer_fields, NOTHING, nil, "an answer that was fetched cannot be changed")
  headers.load(view)
  return { status = call.status, headers = view, body = text(call.body) }
end

--- Tells where policy and call are; once per state.
---@param policy_at ffi.cdata*
---@param call_at ffi.cdata*
function M.attach(policy_at, call_at)
  policy, call = policy_at, call_at
  request.serve_with(read_body, route)
end

return M
