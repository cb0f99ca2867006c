-- moongate.phases: the few functions that C calls (core/script/phases.c and plane.c). Nothing else in Lua is called from C.
--
-- A worker's state uses open(), whose results C keeps: per request it calls the function of the request's host, with nothing
-- passed and nothing returned. The control state uses attach(), start(), serve(), completed(), tick() and stop(). What comes back
-- from Lua's side is checked here, before C sees it.

local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
local log = require "moongate.log"

local C, ffi = bridge.C, bridge.ffi

local M = {}

-- ---- workers ----

-- Many hosts with rules of their own are many small traces; LuaJIT's defaults (1000 traces, 512 KiB of code) are for
-- programs with a few hot loops.
local function tune()
  local ok, options = pcall(require, "jit.opt")
  if ok then
    options.start("maxtrace=8000", "maxmcode=16384")
  end
end

-- One line a second at most: a rule that fails does so at every request.
local function error_teller()
  local told, suppressed = -1, 0
  return function(rule_id, failure)
    local now = os.time()
    if now == told then
      suppressed = suppressed + 1
      return
    end
    local detail = ("rule %s: %s"):format(rule_id, tostring(failure))
    if suppressed > 0 then
      detail = ("%s (and %d more)"):format(detail, suppressed)
    end
    told, suppressed = now, 0
    log.line("error", "rules", "a rule failed and was taken by its action", detail)
  end
end

local function address(pointer)
  return tonumber(ffi.cast("uintptr_t", pointer))
end

local function text(view)
  return ffi.string(view.data, view.len)
end

--- Prepares a worker's state.
---@param facts_at userdata    struct moon_facts *
---@param verdict_at userdata  struct moon_verdict *
---@param channel_at userdata  struct moon_log_channel *
---@param declared string|nil    what the policy files of this thread declare, as JSON
---@param ask function|nil       gives the values of it
---@param geo_at userdata|nil    const struct moon_geo *
---@param embedder_at userdata|nil  const struct moon_embedder *
---@return table<integer, fun()> functions  by host id
---@return fun() prepare   decides for facts whose host has no function yet, and makes one
---@return fun() guarded   decides rule by rule
---@return fun(snapshot_at: userdata) adopt  raises an error for a snapshot that cannot be served
function M.open(facts_at, verdict_at, channel_at, declared, ask, geo_at, embedder_at)
  local facts = ffi.cast("const struct moon_facts *", facts_at)
  local verdict = ffi.cast("struct moon_verdict *", verdict_at)
  local view = ffi.new("struct moon_str[1]") -- scratch: one per state, never escapes this function
  tune()
  log.attach(bridge, ffi.cast("struct moon_log_channel *", channel_at))
  if declared then require("moongate.policies").declare(declared, ask) end
  if embedder_at then require("moongate.embedder").declare(ffi.cast("const struct moon_embedder *", embedder_at), facts) end

  local set = require("moongate.ruleset").new {
    schema = require("moongate.fields").bind(facts, geo_at and ffi.cast("const struct moon_geo *", geo_at)),
    facts = facts,
    verdict = verdict,
    on_error = error_teller(),
  }

  local function prepare()
    local host = facts.host
    if host == nil then
      error("the request has no host", 0)
    end
    C.moon_ffi_host_name(host, view)
    return set:prepare(facts.host_id, address(C.moon_ffi_host_section(host)), text(view[0]))()
  end

  local function guarded()
    set:guarded(facts.host_id)
  end

  local function adopt(snapshot_at)
    local snapshot = ffi.cast("const struct moon_snapshot *", snapshot_at)
    set:begin()
    local index = 0
    while true do
      local section = C.moon_ffi_snapshot_section(snapshot, index)
      if section == nil then break end
      local key = address(section)
      if not set:keep(key) then
        C.moon_ffi_section_rules(section, view)
        local ok, message = set:add(key, text(view[0]))
        if not ok then
          C.moon_ffi_section_domain(section, view)
          error(("%s: %s"):format(text(view[0]), message), 0)
        end
      end
      index = index + 1
    end
    set:commit()
  end

  return set.functions, prepare, guarded, adopt
end

-- ---- the control plane of the program ----

local app -- what moongate.admin.boot gave

--- Gives the control state's modules what they work with.
---@param control_at userdata  struct moon_control *
function M.attach(control_at)
  local control = ffi.cast("struct moon_control *", control_at)
  log.attach(bridge, C.moon_ffi_control_log(control))
  local declared = ffi.new("struct moon_str[1]")
  C.moon_ffi_control_declared(control, declared)
  require("moongate.policies").declare(text(declared[0]))
  errands.attach(control)
  require("moongate.control").attach(control)
end

--- Starts the admin API.
---@param config table
---@param boot table  moongate.admin.boot, handed in by C because nothing in lua/ reaches into admin/
---@return boolean started
---@return string|nil where
---@return string|nil message
function M.start(config, boot)
  local started, err = boot.start {
    config = config,
    control = require "moongate.control",
    log = log.writer("admin"),
  }
  if not started then
    if type(err) ~= "table" then err = { text = tostring(err) } end
    return false, err.where or "", err.text or err.message or "no reason given"
  end
  app = started
  return true
end

local FIELDS_MAX = 64 -- FIELDS_CEILING of core/script/plane.c

local function check_text(value, what)
  if type(value) ~= "string" then
    error(("the handler's %s is a %s, not a string"):format(what, type(value)), 0)
  end
  return value
end

local function checked(status, headers, body)
  if type(status) ~= "number" or status < 200 or status > 599 or status % 1 ~= 0 then
    error(("the handler's status is %s"):format(tostring(status)), 0)
  end
  headers = headers or {}
  if #headers > FIELDS_MAX then
    error(("the handler gave %d header fields"):format(#headers), 0)
  end
  local fields = {}
  for i, header in ipairs(headers) do
    fields[2 * i - 1] = check_text(header[1] or header.name, "field name")
    fields[2 * i] = check_text(header[2] or header.value, "field value")
  end
  return status, fields, check_text(body or "", "body")
end

local tickets = setmetatable({}, { __mode = "k" }) -- coroutine of a request that waits for an errand → its number

-- One step of a request's coroutine. Raises what it raises, with its traceback.
local function step(task, ...)
  local ok, status, headers, body = coroutine.resume(task, ...)
  if not ok then
    local message = type(status) == "string" and status or ("the error value is a %s"):format(type(status))
    error(debug.traceback(task, message), 0)
  end
  if coroutine.status(task) == "suspended" then return false end
  return checked(status, headers, body)
end

--- Answers one request of the admin listener, or puts the answer off. Raises what the handler raises, and an error for an
--- answer that is none.
---@param request table  `ticket`: the number by which completed() will name it
---@return integer|false status  false: it waits for an errand
---@return string[]|nil fields  name, value, name, value, …
---@return string|nil body
function M.serve(request)
  local task = coroutine.create(function() return app:handle(request) end)
  local status, fields, body = step(task)
  if not status then tickets[task] = request.ticket end
  return status, fields, body
end

--- Goes on with the task whose errand is done.
---@param id integer
---@return integer|nil ticket  of a request that can be answered now
---@return integer|false|nil status  false: it failed
---@return string[]|nil fields
---@return string|nil body
function M.completed(id)
  local task, answer, failure = errands.take(id)
  if not task then return nil end
  local ticket = tickets[task]
  if not ticket then return errands.go_on(task, answer, failure) end
  local ok, status, fields, body = pcall(step, task, answer, failure)
  if not ok then
    log.line("error", "admin", "a request failed", status)
    return ticket, false
  end
  if status then return ticket, status, fields, body end
end

--- Once a second.
function M.tick()
  require("moongate.control").tick()
  app:tick()
end

--- At the end of the process.
function M.stop()
  app:stop()
end

-- ---- the control plane of a gateway inside another program (core/script/publisher.c) ----

local embedded -- what moongate.admin.embedded made

--- Prepares publishing.
---@param module table  moongate.admin.embedded, handed in by C
function M.embed(module)
  embedded = module.new(require "moongate.control")
end

--- Settings of a gateway: limits, timeouts, what policies may take.
---@param settings string  JSON; empty: the defaults
---@return table|nil settings  as the program's configuration has them
---@return string|nil message
function M.settings(settings)
  local given = {}
  if settings ~= "" then
    local json = require "moongate.json"
    local decoded, err = json.decode(settings, { unique_keys = true })
    if err then return nil, ("line %d, column %d: %s"):format(err.line, err.column, err.message) end
    if not json.is_object(decoded) then return nil, "expected an object" end
    given = decoded
  end
  return require("moongate.config").embedded(given)
end

--- Takes what the program's policy files declare into the rules language.
---@param declared string  JSON
function M.declare_policies(declared)
  require("moongate.policies").declare(declared)
end

--- Whether the program may add a field of this name.
---@param name string
---@return true|nil
---@return string|nil reason
function M.check_field(name)
  return require("moongate.embedder").check(name)
end

--- Takes the fields that the program has added so far into the rules language.
---@param embedder_at userdata  const struct moon_embedder *
function M.declare_fields(embedder_at)
  require("moongate.embedder").declare(ffi.cast("const struct moon_embedder *", embedder_at))
end

--- Publishes a configuration.
---@param configuration string  JSON
---@return boolean published
---@return string|nil where
---@return string|nil message
---@return integer|nil code  of the core's, when that is what refused
function M.publish(configuration)
  local ok, err = embedded:publish(configuration)
  if ok then return true end
  return false, err.where, err.text, err.code
end

return M
