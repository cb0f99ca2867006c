--- moongate.admin.rule — one rule of a ruleset: read from a body, checked, and told apart from its earlier version.
--
-- Called by admin/ruleset.lua for each element of `rules`, and for a rule that is sent alone. What a rule may say is
-- declared here: fields, actions and their parameters. What it may name (lists, rulesets to be executed) it is told
-- about by its place. No store, no I/O.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local expression = require "moongate.admin.expression"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local M = {}

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

-- Actions of the phase that this gateway does not perform. Any other word is none of the phase's actions.
local UNAVAILABLE = { rewrite = true }

-- Actions that are nothing without parameters.
local NEEDS_PARAMETERS = { skip = true, execute = true }

local RESPONSE = {
  { name = "status_code", type = "integer", min = 400, max = 499, required = true },
  { name = "content", type = "string", min = 1, max = 2048, required = true },
  { name = "content_type", type = "string", required = true,
    one_of = { "text/html", "text/plain", "application/json", "text/xml" } },
}

local PHASES = { "http_ratelimit", "http_request_sbfm", "http_request_firewall_managed" }
local PRODUCTS = { "bic", "hot", "rateLimit", "securityLevel", "uaBlock", "waf", "zoneLockdown" }

---@class moongate.admin.rule.Place
---@field level string `zone` or `account`
---@field kind string `zone`, `root` or `custom`
---@field has_list fun(name: string, type_name: string): boolean
---@field has_ruleset fun(id: string): boolean is it one that a rule here may execute?

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

local function no_parameters(parameters, pointer, list)
  refuse_unknown(parameters, {}, pointer, list)
  return json.object {}
end

for _, action in ipairs { "log", "challenge", "js_challenge", "managed_challenge" } do
  PARAMETERS[action] = no_parameters
end

local function one_of(words)
  local known = {}
  for _, word in ipairs(words) do known[word] = true end
  return function(value) return known[value] end, "expected one of " .. table.concat(words, ", ")
end

-- A list of which every element is fine; at least one.
local function check_list(value, is_fine, expected)
  if check.kind(value) ~= "array" or not value[1] then return "expected a list that is not empty" end
  for index, element in ipairs(value) do
    if not is_fine(element) then return ("element %d: %s"):format(index, expected) end
  end
end

local function check_managed_rules(value)
  if check.kind(value) ~= "object" or next(value) == nil then return "expected an object that is not empty" end
  for id, ids in pairs(value) do
    if not stamp.is_hex_id(id) then return "its keys are identifiers of rulesets" end
    local reason = check_list(ids, stamp.is_hex_id, "expected an identifier")
    if reason then return reason end
  end
end

local function check_current(value)
  if value ~= "current" then return "expected \"current\"" end
end

-- parameter of skip → what is wrong with its value, or nil
local SKIPS = {
  ruleset = check_current,
  phase = function(value, place)
    if place.level ~= "zone" then return "only rules of a zone can skip the rest of the phase" end
    return check_current(value)
  end,
  phases = function(value) return check_list(value, one_of(PHASES)) end,
  products = function(value) return check_list(value, one_of(PRODUCTS)) end,
  rulesets = function(value) return check_list(value, stamp.is_hex_id, "expected an identifier") end,
  rules = check_managed_rules,
}
local EXCLUDES = { { "ruleset", "rulesets" }, { "phases", "rulesets" }, { "phases", "rules" } }

function PARAMETERS.skip(parameters, pointer, list, place)
  refuse_unknown(parameters, SKIPS, pointer, list)
  local kept = json.object {}
  for name, mistake in pairs(SKIPS) do
    local value = parameters[name]
    if value ~= nil and value ~= json.null then
      kept[name] = value
      local reason = mistake(value, place)
      if reason then add(list, pointer .. "/" .. name, "rule_value", name, reason) end
    end
  end
  for _, pair in ipairs(EXCLUDES) do
    if kept[pair[1]] ~= nil and kept[pair[2]] ~= nil then
      add(list, pointer .. "/" .. pair[2], "rule_value", pair[2], "it cannot stand beside " .. pair[1])
    end
  end
  if next(kept) == nil then add(list, pointer, "rule_parameters_missing", "skip") end
  return kept
end

function PARAMETERS.execute(parameters, pointer, list, place)
  refuse_unknown(parameters, { id = true, overrides = true }, pointer, list)
  local id, overrides = parameters.id, parameters.overrides
  if overrides ~= nil and overrides ~= json.null and not (check.kind(overrides) == "object" and next(overrides) == nil) then
    add(list, pointer .. "/overrides", "rule_unsupported", "overrides")
  end
  if place.kind == "custom" then
    add(list, (pointer:gsub("action_parameters$", "action")), "rule_execute_nested")
  elseif not stamp.is_hex_id(id) then
    add(list, pointer .. "/id", "rule_value", "id", "expected the identifier of a custom ruleset")
  elseif not place.has_ruleset(id) then
    add(list, pointer .. "/id", "rule_execute_unknown", id)
  end
  return json.object { id = id }
end

local function check_parameters(values, place, pointer, list)
  local action, parameters = values.action, values.action_parameters
  if NEEDS_PARAMETERS[action] and (not parameters or next(parameters) == nil) then
    return add(list, pointer, "rule_parameters_missing", action)
  end
  if parameters then values.action_parameters = PARAMETERS[action](parameters, pointer, list, place) end
end

-- Only skip says whether it is recorded, and it always says so.
local function check_logging(values, pointer, list)
  local logging = values.logging
  if values.action ~= "skip" then
    if logging then add(list, pointer, "rule_logging") end
    return
  end
  local enabled = logging and logging.enabled
  if enabled == nil or enabled == json.null then enabled = true end
  if type(enabled) ~= "boolean" then
    add(list, pointer .. "/enabled", "rule_value", "logging.enabled", "expected true or false")
  end
  values.logging = json.object { enabled = enabled }
end

local function check_action(values, place, pointer, list)
  local action = values.action
  if not action then
    add(list, pointer .. "/action", values.action_parameters and "rule_parameters_alone" or "rule_action_missing")
  elseif UNAVAILABLE[action] then
    add(list, pointer .. "/action", "rule_action_unavailable", action)
  elseif not PARAMETERS[action] then
    add(list, pointer .. "/action", "rule_action", (action:gsub("[%c\127-\255]", "?")))
  else
    check_parameters(values, place, pointer .. "/action_parameters", list)
  end
  if action then check_logging(values, pointer .. "/logging", list) end
  for _, name in ipairs { "exposed_credential_check", "ratelimit" } do
    if values[name] then add(list, pointer .. "/" .. name, "rule_unsupported", name) end
  end
end

local function check_expression(values, place, pointer, list)
  local text = values.expression
  pointer = pointer .. "/expression"
  local fine, why, diagnostic = expression.check(text, place.has_list)
  if fine then return end
  if why == "blank" then return add(list, pointer, "rule_blank_expression") end
  if why == "long" then return add(list, pointer, "rule_long_expression", expression.MAX) end
  add(list, pointer, "rule_expression", text, diagnostic:advise())
end

--- Reads one rule of a body.
---@param body any
---@param place moongate.admin.rule.Place
---@param pointer string where the rule stands, such as `/rules/0`; empty for a rule alone
---@return table|nil values id, ref, action, action_parameters, expression, description, enabled, logging
---@return moongate.admin.error[]|nil
function M.read(body, place, pointer)
  local list = {}
  local values, mistakes = check.object(body, FIELDS)
  if not values then
    for _, mistake in ipairs(mistakes) do
      add(list, pointer .. mistake.pointer, "rule_value", mistake.field, mistake.text)
    end
    return nil, list
  end
  check_expression(values, place, pointer, list)
  check_action(values, place, pointer, list)
  if list[1] then return nil, list end
  return values
end

-- What makes a rule another version of itself; its place in the list does not.
local function definition(rule)
  return json.encode({
    rule.ref, rule.action, rule.expression, rule.description, rule.enabled,
    rule.action_parameters or json.null, rule.logging or json.null,
  }, { sorted = true })
end

--- Does a body say what a rule is? Otherwise it says at most where the rule stands.
---@param body table
---@return boolean
function M.is_definition(body)
  for _, field in ipairs(FIELDS) do
    local value = body[field.name]
    if field.name ~= "id" and value ~= nil and value ~= json.null then return true end
  end
  return false
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
    logging = values.logging,
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
