--- moongate.admin.ruleset — rulesets of zones and accounts in the store: found, shown, made, changed version by version.
--
-- The resources rulesets, ruleset_rules and ruleset_versions are routes over this file. A list of rules is one JSON
-- text, for it is only ever read and written whole; what a single rule may say is the business of admin/rule.lua. Rules
-- keep their identity by id, then by ref. Every change makes a version, keeps the one before, writes down what the rules
-- use and touches the zones that serve them. Versions travel as strings.

local errors = require "moongate.admin.errors"
local expression = require "moongate.admin.expression"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local rule_of = require "moongate.admin.rule"
local stamp = require "moongate.admin.stamp"
local uses = require "moongate.admin.ruleset_uses"

local M = {}

M.SERVED = "http_request_firewall_custom"
local RULES_MAX, ERRORS_MAX = 1000, 10
local COLUMNS = "id, account_id, zone_id, kind, phase, name, description, version, rules, last_updated"

M.PHASES = {}
for name in ([[
  ddos_l4 ddos_l7 http_config_settings http_custom_errors http_log_custom_fields http_ratelimit
  http_request_cache_settings http_request_dynamic_redirect http_request_firewall_custom http_request_firewall_managed
  http_request_late_transform http_request_origin http_request_redirect http_request_sanitize http_request_sbfm
  http_request_transform http_response_cache_settings http_response_compression http_response_firewall_managed
  http_response_headers_transform magic_transit magic_transit_ids_managed magic_transit_managed magic_transit_ratelimit
]]):gmatch("%S+") do
  M.PHASES[name] = true
end

-- ---- routes ----

local SCOPES = {
  { level = "zone", prefix = "/zones/{zone_id}/rulesets", groups = { "Zone WAF" } },
  { level = "account", prefix = "/accounts/{account_id}/rulesets", groups = { "Account WAF", "Account Rulesets" } },
}

--- Declares routes at zone and at account level.
---@param list table[] routes whose `path` begins after `…/rulesets`; those that write take `?dry_run=`
---@param level string|nil only `zone` or only `account`
---@return moongate.admin.route[]
function M.routes(list, level)
  local routes = {}
  for _, scope in ipairs(SCOPES) do
    for _, one in ipairs(scope.level == (level or scope.level) and list or {}) do
      local route = {}
      for key, value in pairs(one) do route[key] = value end
      route.path = scope.prefix .. one.path
      route.permission = permissions.need(one.method == "GET" and "read" or "write", unpack(scope.groups))
      route.group, route.dry_run = "rulesets", one.method ~= "GET"
      routes[#routes + 1] = route
    end
  end
  return routes
end

-- ---- finding and showing ----

---@class moongate.admin.ruleset.Owner
---@field level string `zone` or `account`
---@field column string of the table rulesets
---@field id string
---@field entry string the kind of its entry points

--- Whose rulesets the path speaks of.
---@param context table
---@return moongate.admin.ruleset.Owner
function M.owner(context)
  if context.zone then return { level = "zone", column = "zone_id", id = context.zone.id, entry = "zone" } end
  return { level = "account", column = "account_id", id = context.account.id, entry = "root" }
end

--- What may be shown of a word that a client sent.
---@param text string
---@return string
function M.shown(text)
  return (text:sub(1, 64):gsub("[%c\127-\255]", "?"))
end

local function unknown_phase(phase)
  return errors.fail_at("/phase", "unknown_phase", M.shown(phase))
end

--- The ruleset that `{ruleset_id}` of the path names.
---@param context table
---@return table|nil row
---@return moongate.admin.error[]|nil
function M.find(context)
  local owner, id = M.owner(context), context.params.ruleset_id
  local row = stamp.is_hex_id(id) and context.tx:one(("SELECT %s FROM rulesets WHERE %s = ? AND id = ?")
    :format(COLUMNS, owner.column), owner.id, id)
  if not row then return nil, errors.fail("ruleset_unknown", M.shown(id)) end
  return row
end

--- The entry point of the path's `{phase}`.
---@param context table
---@return table|nil row nil and no errors when there is none
---@return moongate.admin.error[]|nil of a phase that does not exist
function M.find_entry(context)
  local owner, phase = M.owner(context), context.params.phase
  if not M.PHASES[phase] then return nil, unknown_phase(phase) end
  return (context.tx:one(("SELECT %s FROM rulesets WHERE %s = ? AND kind = ? AND phase = ?")
    :format(COLUMNS, owner.column), owner.id, owner.entry, phase))
end

--- A ruleset as the API shows it.
---@param row table
---@param without_rules boolean|nil as in lists
---@return table
function M.show(row, without_rules)
  return json.object {
    id = row.id, name = row.name, description = row.description, kind = row.kind, phase = row.phase,
    version = ("%d"):format(row.version), last_updated = row.last_updated,
    rules = not without_rules and json.decode(row.rules) or nil,
  }
end

-- ---- rules of a body ----

--- What rules of a ruleset may name, and what they may do.
---@param context table
---@param kind string of the ruleset
---@param phase string
---@return moongate.admin.rule.Place
function M.place(context, kind, phase)
  local tx, owner, account_id = context.tx, M.owner(context), context.account.id
  return {
    level = owner.level, kind = kind, has_list = expression.account_lists(tx, account_id),
    has_ruleset = function(id)
      return tx:one("SELECT id FROM rulesets WHERE id = ? AND kind = 'custom' AND phase = ? "
        .. "AND (account_id = ? OR zone_id = ?)", id, phase, account_id, owner.level == "zone" and owner.id or "") ~= nil
    end,
  }
end

--- Refuses more rules than a ruleset has room for.
---@param count integer
---@return moongate.admin.error[]|nil
function M.too_many(count)
  return count > RULES_MAX and errors.fail_at("/rules", "rule_limit") or nil
end

-- All rules of the body, or up to ten errors of all of them together.
local function read_rules(bodies, place)
  local refused = M.too_many(#bodies)
  if refused then return nil, refused end
  local list, failure = {}, {}
  for index, body in ipairs(bodies) do
    local values, mistakes = rule_of.read(body, place, ("/rules/%d"):format(index - 1))
    list[index] = values or false
    for _, mistake in ipairs(mistakes or {}) do
      if #failure < ERRORS_MAX then failure[#failure + 1] = mistake end
    end
    if #failure == ERRORS_MAX then break end
  end
  if failure[1] then return nil, failure end
  return list
end

local function index_by(list, key)
  local index = {}
  for _, rule in ipairs(list) do index[rule[key]] = rule end
  return index
end

--- Refuses two rules with one id or one ref.
---@param list table[] rules as they would be stored
---@param pointer fun(position: integer, key: string): string
---@return moongate.admin.error[]|nil
function M.twice(list, pointer)
  local seen = { id = {}, ref = {} }
  for position, rule in ipairs(list) do
    for _, key in ipairs { "id", "ref" } do
      if seen[key][rule[key]] then return errors.fail_at(pointer(position, key), "rule_ref_twice", key, rule[key]) end
      seen[key][rule[key]] = true
    end
  end
end

-- Gives each rule its identity: that of the earlier rule with its id, or else with its ref; a new one when there is
-- none.
local function revise(context, list, earlier)
  local by_id, by_ref = index_by(earlier, "id"), index_by(earlier, "ref")
  local result = json.array {}
  for position, values in ipairs(list) do
    local previous = values.id and by_id[values.id] or values.ref and by_ref[values.ref] or nil
    result[position] = rule_of.revise(values, previous, stamp.hex_id(context.control.random), context.stamp)
  end
  local refused = M.twice(result, function(position, key) return ("/rules/%d/%s"):format(position - 1, key) end)
  if refused then return nil, refused end
  return result
end

--- The rules of a body as they will be stored.
---@param context table
---@param bodies table[]|nil nil: the rules stay as they are
---@param earlier table[] the rules before
---@param place moongate.admin.rule.Place
---@return table[]|nil
---@return moongate.admin.error[]|nil
function M.rules_of(context, bodies, earlier, place)
  if not bodies then return earlier end
  local list, failure = read_rules(bodies, place)
  if not list then return nil, failure end
  return revise(context, list, earlier)
end

-- ---- writing ----

local function refusal_of(refusal, kind, phase)
  if refusal.kind ~= "unique" and refusal.kind ~= "quota" then error("rulesets: " .. refusal.name) end
  return errors.fail_at("/kind", "ruleset_kind_limit", kind, kind, phase)
end

--- Makes a ruleset.
---@param context table
---@param values { kind: string, phase: string, name: string, description: string|nil }
---@param rules table[]
---@return table|nil row
---@return moongate.admin.error[]|nil
function M.create(context, values, rules)
  local tx, owner = context.tx, M.owner(context)
  local row = {
    id = stamp.hex_id(context.control.random), kind = values.kind, phase = values.phase, name = values.name,
    description = values.description or "", version = 1, rules = json.encode(rules), last_updated = context.stamp,
  }
  row[owner.column] = owner.id
  local made, refusal = tx:run("INSERT INTO rulesets (" .. COLUMNS .. ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id,
    row.account_id, row.zone_id, row.kind, row.phase, row.name, row.description, row.version, row.rules, row.last_updated)
  if not made then return nil, refusal_of(refusal, row.kind, row.phase) end
  uses.record(tx, row.id, context.account.id, rules)
  uses.touch_ruleset(tx, row)
  return row
end

--- Makes the next version of a ruleset and keeps the one before.
---@param context table
---@param row table as it was
---@param rules table[]
---@param description string|nil nil: it stays
---@return table row
function M.replace(context, row, rules, description)
  local tx = context.tx
  assert(tx:run("INSERT INTO ruleset_versions (ruleset_id, version, description, rules, last_updated) "
    .. "VALUES (?, ?, ?, ?, ?)", row.id, row.version, row.description, row.rules, row.last_updated))
  row.description = description or row.description
  row.version, row.rules, row.last_updated = row.version + 1, json.encode(rules), context.stamp
  assert(tx:run("UPDATE rulesets SET description = ?, version = ?, rules = ?, last_updated = ? WHERE id = ?",
    row.description, row.version, row.rules, row.last_updated, row.id))
  uses.record(tx, row.id, context.account.id, rules)
  uses.touch_ruleset(tx, row)
  return row
end

--- Deletes a ruleset with all its versions, unless a rule executes it.
---@param context table
---@param row table
---@return true|nil
---@return moongate.admin.error[]|nil
function M.remove(context, row)
  uses.touch_ruleset(context.tx, row)
  local gone, refusal = context.tx:run("DELETE FROM rulesets WHERE id = ?", row.id)
  if gone then return true end
  if refusal.kind ~= "reference" then error("rulesets: " .. refusal.name) end
  return nil, errors.fail("ruleset_in_use")
end

return M
