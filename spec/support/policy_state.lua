-- The modules of policy files without a gateway: a call struct whose request a spec makes up, and fresh modules for each spec.
--
--   local state = policy_state.new()
--   state:turn { host = "a.test", path = "/x", fields = { { "X-A", "1" } } }
--   local req = state.task.current()

local bridge = require "moongate.ffi"

local ffi = bridge.ffi

local M = {}
local State = {}
State.__index = State

local MODULES = { "blame", "turn", "proxy", "headers", "kv", "registry", "request", "response", "sandbox", "task", "values" }

local function set(kept, view, text)
  kept[#kept + 1] = text
  view.data, view.len = ffi.cast("const char *", text), #text
end

--- Fresh modules around a fresh call. declare: called with the registry before it is closed.
---@param declare fun(registry: table)|nil
---@return table state
function M.new(declare)
  local self = setmetatable({ serial = 0, call = ffi.new("struct moon_policy_call") }, State)
  for _, name in ipairs(MODULES) do package.loaded["moongate." .. name] = nil end
  for _, name in ipairs(MODULES) do
    local module = require("moongate." .. name)
    if not State[name] then self[name] = module end
  end
  self.call.steps = 1000000
  self.sandbox.attach(self.call)
  self.task.attach(nil, self.call)
  if declare then declare(self.registry) end
  self.registry.close()
  self.request.attach(self.call, { current = self.task.current, evaluate = self.task.evaluate })
  return self
end

local DEFAULTS = { method = "GET", path = "/", uri = "/", query = "", user_agent = "spec", ray = "0123456789abcdef-MGT" }

--- It is the turn of another request.
---@param request table host, members of struct moon_facts, fields = { { name, value }, … }
function State:turn(request)
  local facts, kept = self.call.facts, {}
  self.serial = self.serial + 1
  self.turns = self.turns or require "moongate.turn"
  self.turns.serial, self.turns.method, self.turns.host, self.turns.path = request.serial or self.serial, nil, nil, nil
  facts.serial = self.serial
  set(kept, facts.http_host, request.host or "a.test")
  for name, default in pairs(DEFAULTS) do set(kept, facts[name], request[name] or default) end
  local fields = request.fields or {}
  local list = ffi.new("struct moon_http_field[?]", #fields + 1)
  for i, field in ipairs(fields) do
    set(kept, list[i - 1].name, field[1])
    set(kept, list[i - 1].value, field[2])
  end
  facts.fields, facts.field_count = list, #fields
  ffi.copy(facts.ip, "\192\0\2\1", 4)
  facts.ip_len = 4
  facts.ssl = request.ssl or false
  facts.minor_version = 1
  facts.certificate.verified = request.verified or false
  self.kept, self.list = kept, list
end

return M
