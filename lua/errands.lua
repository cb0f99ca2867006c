-- moongate.errands: tasks of the control thread that wait for something outside, while the thread serves others.
--
-- A task is a coroutine: a periodic duty, or an admin request that has to ask somebody before it can answer. What it
-- waits for is an errand below (core/script/errand.h), known by its number; when it is done, C calls
-- moongate.phases, which goes on with the task. On the control thread only. Deadlines, ceilings and the number of
-- errands under way are kept in C; a task that was not gone on with when the process ends is dropped.

local bridge = require "moongate.ffi"
local log = require "moongate.log"
local reach = require "moongate.reach"
local secrets = require "moongate.secrets"

local C, ffi = bridge.C, bridge.ffi
local diag, refused, view, views = reach.diag, reach.refused, reach.view, reach.views

local M = {}

local TIMEOUT_MS, BODY_BYTES = 10000, 1024 * 1024

local control -- struct moon_control *, once attached
local terms = { allow_local = false } -- of every request, as configured
local tasks = {} -- number of an errand → { the coroutine that waits for it, the function that says what came of it }

--- Gives this module the core's side. Once per state.
---@param pointer ffi.cdata*  struct moon_control *
function M.attach(pointer)
  control = pointer
end

--- What every request is held to from now on.
---@param given { allow_local: boolean, ca: string|nil, dns: string|nil } dns: the resolver that is asked for TXT records
function M.configure(given)
  terms = given
end

local function text(part)
  return ffi.string(part.data, part.len)
end

local function wait(id, outcome_of)
  local task = coroutine.running()
  tasks[tonumber(id)] = { task, outcome_of }
  return coroutine.yield()
end

local function must_be_task()
  if not coroutine.running() then error("only a task can wait", 3) end
end

-- What came of a request that is done.
local function answer_of(outcome)
  if outcome.status == 0 then return reach.refusal("", text(outcome.failure)) end
  return { status = tonumber(outcome.status), body = text(outcome.body) }
end

---@class moongate.errands.Request
---@field url string  http or https; no user, no password
---@field method string|nil  GET, or POST with a body
---@field headers table<string, string>|nil
---@field secret { prefix: string, sealed: string, context: string }|nil  one header more: "Name: " (perhaps with the
--- beginning of its value) and a sealed secret, which is opened in C
---@field body string|nil
---@field timeout_ms integer|nil  for all of it; 10 seconds
---@field max_bytes integer|nil   of the answer's body; 1 MiB
---@field ca string|nil           PEM: trusted in place of those that are configured, or the system's

--- Asks somebody outside and waits for the whole answer. No redirect is followed. Only from a task (M.start, or an
--- admin route's `prepare`).
---@param request moongate.errands.Request
---@return { status: integer, body: string }|nil
---@return moongate.control.Diagnostic|nil  where: the part of the request that is wrong, "errands" (too many), or ""
--- (no answer)
function M.request(request)
  must_be_task()
  local lines = {}
  for name, value in pairs(request.headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  local given, headers = ffi.new("struct moon_ffi_request"), views(lines)
  local method, body, ca = request.method or "", request.body or "", request.ca or terms.ca or ""
  given.method, given.url, given.body, given.ca = view(method), view(request.url), view(body), view(ca)
  given.headers, given.header_count = headers, #lines
  local secret = request.secret
  if secret then
    given.secret_prefix, given.sealed, given.context = view(secret.prefix), view(secret.sealed), view(secret.context)
  end
  given.timeout_ms, given.max_bytes = request.timeout_ms or TIMEOUT_MS, request.max_bytes or BODY_BYTES
  given.allow_local = terms.allow_local
  local id = C.moon_ffi_errand_request(control, given, secrets.ring(), diag)
  if id == 0 then return refused() end
  return wait(id, answer_of)
end

-- What came of a lookup that is done.
local function texts_of(outcome)
  if outcome.status == 0 then return reach.refusal("", text(outcome.failure)) end
  local lines = {}
  for line in text(outcome.body):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

--- Asks the resolver for the TXT records of a name, and waits. Only from a task.
---@param name string
---@return string[]|nil records none: an empty list
---@return moongate.control.Diagnostic|nil
function M.texts(name)
  must_be_task()
  local server = terms.dns or ""
  local id = C.moon_ffi_errand_text(control, view(name), view(server), diag)
  if id == 0 then return refused() end
  return wait(id, texts_of)
end

local function crl_of(_, id)
  local out = ffi.new("struct moon_crl *[1]")
  if C.moon_ffi_errand_crl_take(control, id, out, diag) ~= 0 then return refused() end
  return ffi.gc(out[0], C.moon_ffi_crl_free)
end

--- Has a revocation list read and checked on another thread, and waits for it. Only from a task.
---@param crl string PEM, DER or its base64
---@param issuer string PEM; one of its certificates issued it
---@return ffi.cdata*|nil handle
---@return moongate.control.Diagnostic|nil
function M.read_crl(crl, issuer)
  must_be_task()
  local id = C.moon_ffi_errand_crl(control, view(crl), view(issuer), diag)
  if id == 0 then return refused() end
  return wait(id, crl_of)
end

local function ended_well(outcome)
  if outcome.status == 0 then return reach.refusal("", text(outcome.failure)) end
  return true
end

--- Runs a program that the operator has configured and waits for its end. Only from a task.
---@param words string[]  its path and its arguments; no shell reads them
---@param input string    what it reads
---@param timeout_ms integer  then it is killed
---@return true|nil  it ended with exit status 0
---@return moongate.control.Diagnostic|nil
function M.command(words, input, timeout_ms)
  must_be_task()
  local id = C.moon_ffi_errand_command(control, views(words), #words, view(input), timeout_ms, diag)
  if id == 0 then return refused() end
  return wait(id, ended_well)
end

local function saved(_, id)
  if C.moon_ffi_errand_save_result(control, id, diag) ~= 0 then return refused() end
  return true
end

--- Replaces a file by the pieces and, on a line of its own, the SHA-256 of them all in hex; or leaves it as it was. Written on
--- another thread and waited for. Mode 0600. Only from a task.
---@param path string
---@param pieces string[]
---@return true|nil
---@return moongate.control.Diagnostic|nil
function M.save_with_digest(path, pieces)
  must_be_task()
  local texts, kept = views(pieces)
  local id = C.moon_ffi_errand_save(control, path, texts, #kept, diag)
  if id == 0 then return refused() end
  return wait(id, saved)
end

--- Waits, here and now, until nothing is being written any more. For the end.
function M.await_saves()
  C.moon_ffi_errand_await_saves(control)
end

--- Lets everybody else who is waiting for the thread go first. Only from a task. Returns at once when too much is under
--- way.
function M.give_way()
  must_be_task()
  local id = C.moon_ffi_errand_turn(control, diag)
  if id ~= 0 then wait(id, ended_well) end
end

--- Takes the task that waits for an errand. Called by moongate.phases, which goes on with it.
---@param id integer
---@return thread|nil task  nil: nobody waits any more
---@return any answer   what the task is resumed with
---@return any failure
function M.take(id)
  local outcome, waiting = ffi.new("struct moon_ffi_outcome"), tasks[id]
  tasks[id] = nil
  if not C.moon_ffi_errand_outcome(control, id, outcome) then error("an errand that is not done came back", 0) end
  local task, answer, failure
  if waiting then
    task = waiting[1]
    answer, failure = waiting[2](outcome, id)
  end
  C.moon_ffi_errand_end(control, id)
  return task, answer, failure
end

local function tell(task, message)
  log.line("error", "admin", "a task failed", debug.traceback(task, tostring(message)))
end

--- Goes on with a task that answers nobody; a failure is told to the log.
---@param task thread
function M.go_on(task, ...)
  local ok, message = coroutine.resume(task, ...)
  if not ok then tell(task, message) end
end

--- Runs `work` as a task, up to its end or its first errand.
---@param work fun()
function M.start(work)
  M.go_on(coroutine.create(work))
end

return M
