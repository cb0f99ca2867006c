--- moongate.cli.kinds_rules — the kinds of things that decide about requests: rules, custom rulesets, firewall rules.
--
-- Declarations for export and import (moongate.cli.kind). The rules of an entry point are one value, for their order
-- means something; so are those of a custom ruleset. Rules that execute a ruleset name it, and rules without a ref of
-- their own keep their id while nothing about them changes.

local json = require "moongate.json"
local kind = require "moongate.cli.kind"

local M = {}

local STRING, BOOLEAN, ARRAY, INTEGER, OBJECT = "string", "boolean", "array", "number", "object"
local PHASE = "http_request_firewall_custom"
local ENTRY_POINT = "/rulesets/phases/" .. PHASE .. "/entrypoint"
local NO_ENTRY_POINT = 10003
local RULE = { ref = true, action = true, action_parameters = true, expression = true, description = true,
  enabled = true, logging = true }

-- ---- rules ----

local function executes(rule)
  return rule.action == "execute" and json.is_object(rule.action_parameters)
end

local function with_parameters(rule, parameters)
  local copy = kind.merge(rule)
  copy.action_parameters = json.object(parameters)
  return copy
end

-- Member of a portable rule → the place whose custom ruleset it names.
local function places_of(world, place)
  return { ruleset = place, account_ruleset = world.account_place }
end

-- A rule that executes a ruleset names it in a document, and says its id to the API.
local function to_portable(world, place, rule)
  if not executes(rule) then return rule end
  for member, owner in pairs(places_of(world, place)) do
    local name = world:key("custom_rulesets", owner, rule.action_parameters.id)
    if name and (owner == place) == (member == "ruleset") then return with_parameters(rule, { [member] = name }) end
  end
  return rule
end

local function to_body(world, place, rule)
  if not executes(rule) then return rule end
  for member, owner in pairs(places_of(world, place)) do
    local name = kind.given(rule.action_parameters[member])
    if name then
      local id = world:id("custom_rulesets", owner, name)
      if not id then return nil, ("there is no custom ruleset \"%s\" to execute"):format(tostring(name)) end
      return with_parameters(rule, { id = id })
    end
  end
  return rule
end

local function portable_rules(world, place, raw)
  local rules = json.array {}
  for index, one in ipairs(raw or {}) do
    local rule = kind.trim(one, RULE)
    if one.ref == one.id then rule.ref = nil end -- it has none of its own
    rules[index] = to_portable(world, place, rule)
  end
  return rules
end

-- The rules of a body. Those without a ref get the id of an equal rule that is there now.
local function rules_of_body(world, place, rules, raw)
  local ids, body = {}, json.array {}
  for _, one in ipairs(raw or {}) do
    local text = kind.canonical(portable_rules(world, place, { one }))
    ids[text] = ids[text] or {}
    table.insert(ids[text], one.id)
  end
  for index, rule in ipairs(rules) do
    local same = ids[kind.canonical(json.array { rule })]
    local sent, reason = to_body(world, place, rule)
    if not sent then return nil, { text = ("rule %d: %s"):format(index, reason) } end
    sent = kind.merge(sent)
    if same and not sent.ref then sent.id = table.remove(same, 1) end
    body[index] = sent
  end
  return body
end

-- Rules with what the API says of those that leave it out.
local function complete_rules(value)
  if not json.is_array(value.rules) then return value end
  local copy = kind.merge(value)
  copy.rules = json.array {}
  for index, rule in ipairs(value.rules) do
    local full = json.is_object(rule) and kind.trim(rule, RULE) or rule
    if json.is_object(rule) then
      if full.enabled == nil then full.enabled = true end
      full.description = full.description or ""
      if full.action == "skip" and not full.logging then full.logging = json.object { enabled = true } end
      for name, member in pairs(rule) do
        if not RULE[name] then full[name] = member end -- for the API to refuse
      end
    end
    copy.rules[index] = full
  end
  return copy
end

-- ---- entry points and custom rulesets ----

local function entry_point(world, place)
  local raw, failure = world.api:ask("GET", place.path .. ENTRY_POINT)
  if raw then return raw end
  if failure.status ~= 404 or failure.code ~= NO_ENTRY_POINT then return nil, failure end
  return json.object { rules = json.array {}, description = "" }
end

--- The rules of an account or of a zone.
---@param level string
---@return moongate.cli.kind
function M.rules(level)
  local one = {
    name = "rules", singular = "rules", level = level, single = true, members = { description = STRING, rules = ARRAY },
    key = function() return "" end, complete = complete_rules,
  }
  function one.read(world, place)
    local raw, failure = entry_point(world, place)
    if not raw then return nil, failure end
    return { json.object { description = raw.description, rules = portable_rules(world, place, raw.rules) } }
  end
  function one.change(world, place, value)
    local raw, failure = entry_point(world, place)
    if not raw then return nil, failure end
    local rules
    rules, failure = rules_of_body(world, place, value.rules, raw.rules)
    if not rules then return nil, failure end
    return world.api:ask("PUT", place.path .. ENTRY_POINT, { description = value.description, rules = rules })
  end
  return one
end

--- The custom rulesets of an account or of a zone.
---@param level string
---@return moongate.cli.kind
function M.custom_rulesets(level)
  local one = {
    name = "custom_rulesets", singular = "custom ruleset", level = level, required = { "name" }, referred = true,
    members = { name = STRING, description = STRING, rules = ARRAY },
    key = function(value) return value.name end, complete = complete_rules,
  }
  local function path(world, place, value)
    return ("%s/rulesets/%s"):format(place.path, world:id(one.name, place, value.name))
  end
  function one.read(world, place)
    local list, failure = world.api:list(place.path .. "/rulesets")
    if not list then return nil, failure end
    local values = {}
    for _, short in ipairs(list) do
      if short.kind == "custom" then
        world:remember(one.name, place, short.name, short.id)
        local raw
        raw, failure = world.api:ask("GET", ("%s/rulesets/%s"):format(place.path, short.id))
        if not raw then return nil, failure end
        values[#values + 1] = json.object {
          name = raw.name, description = raw.description, rules = portable_rules(world, place, raw.rules),
        }
      end
    end
    return values
  end
  function one.create(world, place, value)
    local rules, failure = rules_of_body(world, place, kind.given(value.rules) or {})
    if not rules then return nil, failure end
    local made
    made, failure = world.api:ask("POST", place.path .. "/rulesets", {
      name = value.name, kind = "custom", phase = PHASE, description = value.description, rules = rules,
    })
    if not made then return nil, failure end
    world:remember(one.name, place, value.name, made.id)
    return true
  end
  function one.change(world, place, value)
    local raw, failure = world.api:ask("GET", path(world, place, value))
    if not raw then return nil, failure end
    local rules
    rules, failure = rules_of_body(world, place, value.rules, raw.rules)
    if not rules then return nil, failure end
    return world.api:ask("PUT", path(world, place, value), { description = value.description, rules = rules })
  end
  function one.delete(world, place, value) return world.api:call("DELETE", path(world, place, value)) end
  return one
end

-- ---- firewall rules ----

local FILTER = { expression = true, paused = true, description = true, ref = true }

M.firewall_rules = {
  name = "firewall_rules", singular = "firewall rule", level = "zone", required = { "action", "filter" },
  repeatable = true, complete = function(value, before) return kind.fill(value, before, "filter") end,
  members = { action = STRING, priority = INTEGER, paused = BOOLEAN, description = STRING, products = ARRAY,
    ref = STRING, filter = OBJECT },
  key = function(value)
    local filter = json.is_object(value.filter) and value.filter or {}
    if kind.given(value.ref) then return value.ref end
    return ("%s if %s%s%s"):format(tostring(value.action), tostring(filter.expression),
      kind.given(value.priority) and (" (priority %s)"):format(tostring(value.priority)) or "",
      value.paused == true and " (paused)" or "")
  end,
}

function M.firewall_rules.read(world, place)
  local list, failure = world.api:list(place.path .. "/firewall/rules")
  if not list then return nil, failure end
  local values = {}
  for index, raw in ipairs(list) do
    local value = kind.pick(raw, M.firewall_rules.members)
    value.filter = kind.trim(raw.filter, FILTER)
    values[index] = value
    world:remember("firewall_rules", place, M.firewall_rules.key(value), raw.id)
  end
  return values
end

function M.firewall_rules.create(world, place, value)
  return world.api:ask("POST", place.path .. "/firewall/rules", json.array { value })
end

-- With a filter of its own from now on: the one before may be other rules' too.
function M.firewall_rules.change(world, place, value)
  local id = world:id("firewall_rules", place, M.firewall_rules.key(value))
  local path = ("%s/firewall/rules/%s"):format(place.path, id)
  local before, failure = world.api:ask("GET", path)
  if not before then return nil, failure end
  local done
  done, failure = world.api:ask("PUT", path, value)
  if not done then return nil, failure end
  local gone
  gone, failure = world.api:ask("DELETE", ("%s/filters/%s"):format(place.path, before.filter.id))
  if not gone and failure.status ~= 400 then return nil, failure end -- 400: another rule uses it
  return true
end

function M.firewall_rules.delete(world, place, value)
  local id = world:id("firewall_rules", place, M.firewall_rules.key(value))
  return world.api:ask("DELETE", ("%s/firewall/rules/%s"):format(place.path, id), { delete_filter_if_unused = true })
end

return M
