--- moongate.admin.document_rules — what the document of a zone says about rules: which lists of rules are run, which
--- rulesets they execute, which lists they ask.
--
-- Called by admin/document.lua inside a transaction. Only what the zone's rules can reach goes into its document. What
-- belongs to an account is read once for all of its zones that are built in one go, and is the same table in each.

local json = require "moongate.json"

local M = {}

local PHASE = "http_request_firewall_custom"

-- The rules of a ruleset as the workers get them.
local function decode(text)
  local rules = {}
  for index, rule in ipairs(json.decode(text)) do
    rules[index] = {
      id = rule.id, ref = rule.ref, action = rule.action, expression = rule.expression, enabled = rule.enabled,
      action_parameters = rule.action_parameters,
    }
    if rule.logging and rule.logging.enabled == false then rules[index].logging = false end
  end
  return rules
end

-- The lists that some SQL speaks of go into `into`; their items are read only when nobody has them yet.
local function add_lists(tx, memo, into, condition, id)
  for _, row in ipairs(tx:all("SELECT id, name, kind FROM lists WHERE id IN (" .. condition .. ")", id)) do
    memo[row.id] = memo[row.id]
      or { kind = row.kind, items = tx:one("SELECT served FROM lists WHERE id = ?", row.id).served }
    into[row.name] = memo[row.id]
  end
end

local LISTS_OF_RULESET = "SELECT list_id FROM ruleset_uses WHERE ruleset_id = ?"
local LISTS_OF_FIREWALL = "SELECT l.list_id FROM filter_lists l JOIN firewall_rules f ON f.filter_id = l.filter_id "
  .. "WHERE f.zone_id = ?"

-- An entry point with all that it reaches; nil when there is none.
local function entry_of(tx, memo, column, id)
  local row = tx:one(("SELECT id, rules FROM rulesets WHERE %s = ? AND kind <> 'custom' AND phase = ?"):format(column),
    id, PHASE)
  if not row then return nil end
  local entry = { rules = decode(row.rules), rulesets = {}, lists = {} }
  add_lists(tx, memo, entry.lists, LISTS_OF_RULESET, row.id)
  for _, executed in ipairs(tx:all("SELECT r.id AS id, r.rules AS rules FROM ruleset_uses u "
      .. "JOIN rulesets r ON r.id = u.executed_id WHERE u.ruleset_id = ?", row.id)) do
    entry.rulesets[executed.id] = decode(executed.rules)
    add_lists(tx, memo, entry.lists, LISTS_OF_RULESET, executed.id)
  end
  return entry
end

-- How the actions of firewall rules are performed. To allow is to leave the other firewall rules out, no more: the
-- rulesets run as they do for everybody.
local function served_action(row)
  if row.action == "allow" then return "skip", json.object { ruleset = "current" } end
  if row.action == "bypass" then
    return "skip", json.object { products = row.products and json.decode(row.products) or json.array {} }
  end
  return row.action, nil
end

-- In the order in which they are tried: numbered ones first, then by what they do.
local FIREWALL = "SELECT r.id AS id, r.action AS action, r.products AS products, r.paused AS paused, "
  .. "f.paused AS filter_paused, f.expression AS expression "
  .. "FROM firewall_rules r JOIN filters f ON f.id = r.filter_id WHERE r.zone_id = ? "
  .. "ORDER BY r.priority IS NULL, r.priority, CASE r.action WHEN 'log' THEN 1 WHEN 'bypass' THEN 2 WHEN 'allow' THEN 3 "
  .. "WHEN 'block' THEN 5 ELSE 4 END, r.number"

local function firewall_rules(tx, zone_id)
  local rules = {}
  for index, row in ipairs(tx:all(FIREWALL, zone_id)) do
    local action, parameters = served_action(row)
    rules[index] = {
      id = row.id, action = action, expression = row.expression, action_parameters = parameters,
      enabled = row.paused == 0 and row.filter_paused == 0,
    }
  end
  return rules
end

local function join(into, from)
  for key, value in pairs(from) do into[key] = value end
end

--- The rules of one zone: { rules, account_rules, firewall_rules, rulesets, lists }; all but `rules` are nil when there
--- are none.
---@param tx table
---@param zone_id string
---@param memo table what was read of accounts and lists so far, in this transaction; empty at first
---@return table
function M.build(tx, zone_id, memo)
  local account_id = tx:one("SELECT account_id FROM zones WHERE id = ?", zone_id).account_id
  if memo[account_id] == nil then memo[account_id] = entry_of(tx, memo, "account_id", account_id) or false end
  local account, zone = memo[account_id], entry_of(tx, memo, "zone_id", zone_id)
  local rulesets, lists, firewall = {}, {}, firewall_rules(tx, zone_id)
  for _, entry in ipairs { account or {}, zone or {} } do
    join(rulesets, entry.rulesets or {})
    join(lists, entry.lists or {})
  end
  if firewall[1] then add_lists(tx, memo, lists, LISTS_OF_FIREWALL, zone_id) end
  return {
    rules = zone and zone.rules or {}, account_rules = account and account.rules or nil,
    firewall_rules = firewall[1] and firewall or nil, rulesets = next(rulesets) and rulesets or nil,
    lists = next(lists) and lists or nil,
  }
end

return M
