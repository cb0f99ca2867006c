--- moongate.admin.resources.rulesets — the custom rules of a zone: the entry point of the phase
--- http_request_firewall_custom.
--
-- A PUT replaces the list of rules as a whole and makes a new version of the ruleset; rules keep their identity by
-- id, then by ref. The list is one JSON text in the store, for it is only ever read and written whole. What a single
-- rule may say is the business of admin/rule.lua. Versions travel as strings.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local rule_of = require "moongate.admin.rule"
local stamp = require "moongate.admin.stamp"

local M = {}

local SERVED = "http_request_firewall_custom"
local RULES_MAX, ERRORS_MAX = 1000, 10
local PATH = "/zones/{zone_id}/rulesets/phases/{phase}/entrypoint"

local PHASES = {}
for name in ([[
  ddos_l4 ddos_l7 http_config_settings http_custom_errors http_log_custom_fields http_ratelimit
  http_request_cache_settings http_request_dynamic_redirect http_request_firewall_custom http_request_firewall_managed
  http_request_late_transform http_request_origin http_request_redirect http_request_sanitize http_request_sbfm
  http_request_transform http_response_cache_settings http_response_compression http_response_firewall_managed
  http_response_headers_transform magic_transit magic_transit_ids_managed magic_transit_managed magic_transit_ratelimit
]]):gmatch("%S+") do
  PHASES[name] = true
end

local function find(tx, zone_id, phase)
  return tx:one("SELECT id, kind, phase, name, description, version, rules, last_updated FROM rulesets "
    .. "WHERE zone_id = ? AND kind = 'zone' AND phase = ?", zone_id, phase)
end

local function show(row)
  return json.object {
    id = row.id, name = row.name, description = row.description, kind = row.kind, phase = row.phase,
    version = ("%d"):format(row.version), last_updated = row.last_updated, rules = json.decode(row.rules),
  }
end

local function unknown_phase(phase)
  return errors.fail_at("/phase", "unknown_phase", (phase:sub(1, 64):gsub("[%c\127-\255]", "?")))
end

local function get(context)
  local phase = context.params.phase
  if not PHASES[phase] then return nil, unknown_phase(phase) end
  local row = find(context.tx, context.zone.id, phase)
  if not row then return nil, errors.fail("no_entry_point", phase) end
  return { result = show(row) }
end

-- All rules of the body, or up to ten errors of all of them together.
local function read_rules(bodies)
  if #bodies > RULES_MAX then return nil, errors.fail_at("/rules", "rule_limit") end
  local schema = require("moongate.fields").schema()
  local list, failure = {}, {}
  for index, body in ipairs(bodies) do
    local values, mistakes = rule_of.read(body, schema, ("/rules/%d"):format(index - 1))
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

-- Gives each rule its identity: that of the earlier rule with its id, or else with its ref; a new one when there is
-- none.
local function revise(context, list, earlier)
  local by_id, by_ref = index_by(earlier, "id"), index_by(earlier, "ref")
  local result, seen = json.array {}, { id = {}, ref = {} }
  for position, values in ipairs(list) do
    local previous = values.id and by_id[values.id] or values.ref and by_ref[values.ref] or nil
    local rule = rule_of.revise(values, previous, stamp.hex_id(context.control.random), context.stamp)
    for _, key in ipairs { "id", "ref" } do
      if seen[key][rule[key]] then
        return nil, errors.fail_at(("/rules/%d/%s"):format(position - 1, key), "rule_ref_twice", key, rule[key])
      end
      seen[key][rule[key]] = true
    end
    result[position] = rule
  end
  return result
end

local function store_new(context, phase, rules)
  local row = {
    id = stamp.hex_id(context.control.random), kind = "zone", phase = phase, name = context.values.name or "default",
    description = context.values.description or "", version = 1, rules = json.encode(rules),
    last_updated = context.stamp,
  }
  assert(context.tx:run("INSERT INTO rulesets (id, zone_id, kind, phase, name, description, version, rules, "
    .. "last_updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id, context.zone.id, row.kind, row.phase, row.name, row.description,
    row.version, row.rules, row.last_updated))
  return row
end

local function store_version(context, row, rules)
  row.description = context.values.description or row.description
  row.version, row.rules, row.last_updated = row.version + 1, json.encode(rules), context.stamp
  assert(context.tx:run("UPDATE rulesets SET description = ?, version = ?, rules = ?, last_updated = ? WHERE id = ?",
    row.description, row.version, row.rules, row.last_updated, row.id))
  return row
end

local function put(context)
  local phase = context.params.phase
  if not PHASES[phase] then return nil, unknown_phase(phase) end
  if phase ~= SERVED then return nil, errors.fail("not_entitled", phase) end
  local row = find(context.tx, context.zone.id, phase)
  local rules = row and json.decode(row.rules) or json.array {}
  if context.values.rules then
    local list, failure = read_rules(context.values.rules)
    if not list then return nil, failure end
    rules, failure = revise(context, list, rules)
    if not rules then return nil, failure end
  end
  row = row and store_version(context, row, rules) or store_new(context, phase, rules)
  context.tx:touch(context.zone.id)
  return { result = show(row) }
end

M.routes = {
  { method = "GET", path = PATH, permission = permissions.need("read", "Zone WAF"), run = get },
  {
    method = "PUT", path = PATH, permission = permissions.need("write", "Zone WAF"), group = "rulesets", run = put,
    dry_run = true,
    fields = {
      { name = "name", type = "string", max = 1024 },
      { name = "description", type = "string", max = 4096, empty_is_value = true },
      { name = "rules", type = "array", of = "object" },
    },
  },
}

return M
