--- moongate.admin.rule — one rule of a ruleset: read from a body, checked, and told apart from its earlier version.
--
-- Called by admin/resources/rulesets.lua for each element of `rules`. What a rule may say is declared here: fields,
-- actions and their parameters. The expression is parsed with the same schema that the workers compile with. No
-- store, no I/O.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local rules = require "moongate.rules"

local M = {}

local EXPRESSION_MAX = 4096

local FIELDS = {
  { name = "id", type = "string" },
  { name = "ref", type = "string", max = 256 },
  { name = "action", type = "string", max = 64 },
  { name = "action_parameters", type = "object" },
  { name = "expression", type = "string", default = "" },
  { name = "description", type = "string", max = 4096, default = "" },
  { name = "enabled", type = "boolean", default = true },
  { name = "logging", type = "object" },
  { name = "exposed_credential_check", type = "object" },
  { name = "ratelimit", type = "object" },
}

-- Actions of the phase that this gateway does not perform yet. Any other word is none of the phase's actions.
local UNAVAILABLE = { skip = true, execute = true, challenge = true, js_challenge = true, managed_challenge = true,
  rewrite = true }

local RESPONSE = {
  { name = "status_code", type = "integer", min = 400, max = 499, required = true },
  { name = "content", type = "string", min = 1, max = 2048, required = true },
  { name = "content_type", type = "string", required = true,
    one_of = { "text/html", "text/plain", "application/json", "text/xml" } },
}

local function add(list, pointer, key, ...)
  local one = errors.new(key, ...)
  one.pointer = pointer
  list[#list + 1] = one
end

-- Keys that are not known are refused here, and only here: a misspelt parameter would silently change what a rule does.
local function refuse_unknown(object, known, pointer, list)
  for key, value in pairs(object) do
    if value ~= json.null and not known[key] then
      add(list, pointer, "ruleset_json", ("unknown field \"%s\""):format(tostring(key):sub(1, 64):gsub("[%c\"]", "?")))
    end
  end
end

local function check_response(response, pointer, list)
  if response == json.null or next(response) == nil then return nil end
  refuse_unknown(response, { status_code = true, content = true, content_type = true }, pointer, list)
  local values, mistakes = check.object(response, RESPONSE)
  if values then return json.object(values) end
  for _, mistake in ipairs(mistakes) do
    add(list, pointer .. mistake.pointer, "rule_value", "response." .. mistake.field, mistake.text)
  end
end

-- action → what to do with its parameters: gives those that are kept, or adds to the list of errors.
local PARAMETERS = {}

function PARAMETERS.block(parameters, pointer, list)
  refuse_unknown(parameters, { response = true }, pointer, list)
  local kept = json.object {}
  local response = parameters.response
  if response ~= nil and response ~= json.null then
    if check.kind(response) ~= "object" then
      add(list, pointer .. "/response", "rule_value", "response", "expected an object")
    else
      kept.response = check_response(response, pointer .. "/response", list)
    end
  end
  return kept
end

function PARAMETERS.log(parameters, pointer, list)
  refuse_unknown(parameters, {}, pointer, list)
  return json.object {}
end

local function check_action(values, pointer, list)
  local action = values.action
  if not action then
    add(list, pointer .. "/action", values.action_parameters and "rule_parameters_alone" or "rule_action_missing")
  elseif UNAVAILABLE[action] then
    add(list, pointer .. "/action", "rule_action_unavailable", action)
  elseif not PARAMETERS[action] then
    add(list, pointer .. "/action", "rule_action", (action:gsub("[%c\127-\255]", "?")))
  elseif values.action_parameters then
    values.action_parameters = PARAMETERS[action](values.action_parameters, pointer .. "/action_parameters", list)
  end
  if values.logging then add(list, pointer .. "/logging", "rule_logging") end
  for _, name in ipairs { "exposed_credential_check", "ratelimit" } do
    if values[name] then add(list, pointer .. "/" .. name, "rule_unsupported", name) end
  end
end

local function check_expression(values, schema, pointer, list)
  local text = values.expression
  pointer = pointer .. "/expression"
  if not text:find("%S") then return add(list, pointer, "rule_blank_expression") end
  local _, characters = text:gsub("[^\128-\191]", "")
  if characters > EXPRESSION_MAX then return add(list, pointer, "rule_long_expression", EXPRESSION_MAX) end
  local tree, diag = rules.parse(schema, text)
  if not tree then add(list, pointer, "rule_expression", text, diag:render()) end
end

--- Reads one rule of a body.
---@param body any
---@param schema table a schema of moongate.rules
---@param pointer string where the rule stands, such as `/rules/0`
---@return table|nil values id, ref, action, action_parameters, expression, description, enabled
---@return moongate.admin.error[]|nil
function M.read(body, schema, pointer)
  local list = {}
  local values, mistakes = check.object(body, FIELDS)
  if not values then
    for _, mistake in ipairs(mistakes) do
      add(list, pointer .. mistake.pointer, "rule_value", mistake.field, mistake.text)
    end
    return nil, list
  end
  check_action(values, pointer, list)
  check_expression(values, schema, pointer, list)
  if list[1] then return nil, list end
  return values
end

-- What makes a rule another version of itself; its place in the list does not.
local function definition(rule)
  return json.encode({
    rule.ref, rule.action, rule.expression, rule.description, rule.enabled,
    rule.action_parameters or json.null,
  }, { sorted = true })
end

--- The rule as it is stored and shown, given what it was before.
---@param values table from read()
---@param previous table|nil the stored rule with the same identity
---@param id string for a rule that has no earlier version
---@param now string
---@return table
function M.revise(values, previous, id, now)
  local rule = json.object {
    id = previous and previous.id or id,
    version = "1",
    action = values.action,
    action_parameters = values.action_parameters,
    expression = values.expression,
    description = values.description,
    enabled = values.enabled,
    last_updated = now,
  }
  rule.ref = values.ref or (previous and previous.ref) or rule.id
  if previous then
    if definition(previous) == definition(rule) then
      rule.version, rule.last_updated = previous.version, previous.last_updated
    else
      rule.version = ("%d"):format(tonumber(previous.version) + 1)
    end
  end
  return rule
end

return M
