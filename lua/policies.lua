-- moongate.policies: policy files as everybody else sees them: the fields and functions that they declare, and whether
-- they load.
--
-- The files run in states of their own (policy_state.lua); what they declare comes here as JSON and goes into the table
-- of fields, in the control state (names and types) and in each worker's state of rules (with a function that asks).
-- check() is for the command line. Runs no policy itself.

local fields = require "moongate.fields"
local json = require "moongate.json"
local types = require "moongate.rules.types"

local M = {}

local function field_of(index, declared, ask)
  return {
    name = declared.name, type = declared.type, help = declared.help,
    access = ask and function() return ask(index) end or nil,
  }
end

local function function_of(index, declared, ask)
  local params = {}
  for i, name in ipairs(declared.params) do params[i] = { types = { (types.parse(name)) } } end
  return {
    name = declared.name, help = declared.help, params = params, returns = (types.parse(declared.returns)),
    call = ask and function(...) return ask(-index, ...) end or function() end,
  }
end

--- Adds what the policies of this thread declare to the fields and functions of rules.
---@param text string  JSON of policy_state.lua; nothing happens when it is empty
---@param ask (fun(index: integer, ...): any)|nil  for values; nil where no request comes by
function M.declare(text, ask)
  if text == "" then return end
  local declared = assert(json.decode(text))
  local added_fields, added_functions = {}, {}
  for i, field in ipairs(declared.fields) do added_fields[i] = field_of(i, field, ask) end
  for i, func in ipairs(declared.functions) do added_functions[i] = function_of(i, func, ask) end
  fields.extend("policies", added_fields, added_functions)
end

--- Loads policy files as a worker would, and forgets them.
---@param config { policies: string[], policy_budget_ms: integer, policy_jit: boolean }
---@return true|nil
---@return string|nil message  "FILE:LINE: …"
function M.check(config)
  local paths = config.policies
  if not paths[1] then return true end
  local bridge = require "moongate.ffi"
  local ffi = bridge.ffi
  local list = ffi.new("struct moon_str[?]", #paths)
  for i, path in ipairs(paths) do
    list[i - 1].data, list[i - 1].len = ffi.cast("const char *", path), #path
  end
  local diag = ffi.new("struct moon_diag[1]")
  local rc = bridge.C.moon_ffi_policy_check(list, #paths, config.policy_budget_ms, config.policy_jit, diag)
  if rc ~= 0 then return nil, ffi.string(diag[0].text) end
  return true
end

return M
