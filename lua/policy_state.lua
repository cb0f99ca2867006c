-- moongate.policy_state: the few functions that core/script/policy.c and task.c call in a state of policies. Nothing
-- else in it is called from C.
--
-- open() loads the policy files and closes the registry; C keeps what it returns. Requests, answers and their ends go
-- to task.lua; value() is how the rules of this thread, which run in another state, ask for a policy's field or
-- function.

local bridge = require "moongate.ffi"
local json = require "moongate.json"
local kv = require "moongate.kv"
local log = require "moongate.log"
local policy = require "moongate.policy"
local registry = require "moongate.registry"
local request = require "moongate.request"
local sandbox = require "moongate.sandbox"
local task = require "moongate.task"
local turn = require "moongate.turn"
local values = require "moongate.values"

local C, ffi = bridge.C, bridge.ffi

local error, unpack = error, unpack

local M = {}

local function declared_fields()
  local list = {}
  for i, field in ipairs(registry.fields) do
    list[i] = json.object { name = field.name, type = field.type.name, help = field.help }
  end
  return json.array(list)
end

local function declared_functions()
  local list = {}
  for i, func in ipairs(registry.functions) do
    local params = {}
    for k, kind in ipairs(func.params) do params[k] = kind.name end
    list[i] = json.object {
      name = func.name, params = json.array(params), returns = func.returns.name, help = func.help,
    }
  end
  return json.array(list)
end

local function field_value(index)
  local field = registry.fields[index]
  return values.to_rules(field.type, task.current()[field.name])
end

local function function_value(index, ...)
  local func = registry.functions[index]
  local arguments = { ... }
  for i, kind in ipairs(func.params) do arguments[i] = values.from_rules(kind, arguments[i]) end
  local value, message = values.to_rules(func.returns, func.call(unpack(arguments, 1, #func.params)))
  if message then error(("%s: the function %s: %s"):format(func.at, func.name, message), 0) end
  return value
end

--- A value for the rules: of field `index`, or, when it is negative, of function `-index` with these arguments.
---@param serial number  of the request
---@param index integer
---@return any
function M.value(serial, index, ...)
  if turn.serial ~= serial then
    turn.serial, turn.method, turn.host, turn.path = serial, nil, nil, nil
  end
  if index > 0 then return (field_value(index)) end
  return function_value(-index, ...)
end

--- Prepares the state and loads the files.
---@param policy_at userdata   struct moon_policy *
---@param call_at userdata     struct moon_policy_call *
---@param channel_at userdata  struct moon_log_channel *, or NULL
---@param paths string[]
---@return function request, function resume, function response, function gone, function value
---@return string declared  fields and functions for rules, as JSON
---@return boolean has_requests
---@return boolean has_responses
function M.open(policy_at, call_at, channel_at, paths)
  local call = ffi.cast("struct moon_policy_call *", call_at)
  local struct = ffi.cast("struct moon_policy *", policy_at)
  local channel = ffi.cast("struct moon_log_channel *", channel_at)
  if channel ~= nil then log.attach(bridge, channel) end
  sandbox.attach(call)
  kv.attach(C.moon_ffi_policy_kv(struct))
  task.attach(struct, call)
  sandbox.guard_strings()
  for _, path in ipairs(paths) do policy.load(path) end
  registry.close()
  request.attach(call, { current = task.current, evaluate = task.evaluate })
  local declared = json.encode(json.object { fields = declared_fields(), functions = declared_functions() })
  local asks = registry.on_request[1] ~= nil or registry.on_response[1] ~= nil or registry.handlers[1] ~= nil
  return task.request, task.resume, task.response, task.gone, M.value, declared, asks, registry.on_response[1] ~= nil
end

return M
