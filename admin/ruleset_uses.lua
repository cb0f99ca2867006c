--- moongate.admin.ruleset_uses — who uses whom: the lists that rules and filters name, the rulesets that rules execute.
--
-- Written with every version of a ruleset and every filter, so that the store's own constraints keep what is used, and
-- so that a change touches the zones that it reaches and no other. Called by admin/ruleset.lua and by the resources of
-- lists, filters and firewall rules.

local expression = require "moongate.admin.expression"

local M = {}

local function list_id(tx, account_id, name)
  local row = tx:one("SELECT id FROM lists WHERE account_id = ? AND name = ?", account_id, name)
  return row and row.id
end

local function add(counts, key)
  if key then counts[key] = (counts[key] or 0) + 1 end
end

--- Writes down what the rules of a ruleset use, in place of what they used before.
---@param tx table
---@param ruleset_id string
---@param account_id string whose lists they name
---@param rules table[] as they are stored
function M.record(tx, ruleset_id, account_id, rules)
  local lists, executed = {}, {}
  for _, rule in ipairs(rules) do
    for name in pairs(expression.lists_in(rule.expression)) do add(lists, list_id(tx, account_id, name)) end
    if rule.action == "execute" then add(executed, rule.action_parameters.id) end
  end
  assert(tx:run("DELETE FROM ruleset_uses WHERE ruleset_id = ?", ruleset_id))
  for id, count in pairs(lists) do
    assert(tx:run("INSERT INTO ruleset_uses (ruleset_id, list_id, rules) VALUES (?, ?, ?)", ruleset_id, id, count))
  end
  for id, count in pairs(executed) do
    assert(tx:run("INSERT INTO ruleset_uses (ruleset_id, executed_id, rules) VALUES (?, ?, ?)", ruleset_id, id, count))
  end
end

--- The same for a filter.
---@param tx table
---@param filter_id string
---@param account_id string
---@param text string its expression
function M.record_filter(tx, filter_id, account_id, text)
  assert(tx:run("DELETE FROM filter_lists WHERE filter_id = ?", filter_id))
  for name in pairs(expression.lists_in(text)) do
    local id = list_id(tx, account_id, name)
    if id then assert(tx:run("INSERT INTO filter_lists (filter_id, list_id) VALUES (?, ?)", filter_id, id)) end
  end
end

--- Marks every zone of an account as changed.
---@param tx table
---@param account_id string
function M.touch_account(tx, account_id)
  for _, zone in ipairs(tx:all("SELECT id FROM zones WHERE account_id = ?", account_id)) do tx:touch(zone.id) end
end

--- Marks the zones that serve a ruleset as changed. One that nobody executes is served nowhere.
---@param tx table
---@param row { id: string, kind: string, zone_id: string|nil, account_id: string|nil }
function M.touch_ruleset(tx, row)
  if row.kind == "zone" then return tx:touch(row.zone_id) end
  if row.kind == "root" then return M.touch_account(tx, row.account_id) end
  for _, user in ipairs(tx:all("SELECT r.id AS id, r.kind AS kind, r.zone_id AS zone_id, r.account_id AS account_id "
      .. "FROM ruleset_uses u JOIN rulesets r ON r.id = u.ruleset_id WHERE u.executed_id = ?", row.id)) do
    M.touch_ruleset(tx, user) -- entry points: only they execute
  end
end

--- Marks the zones whose rules ask a list as changed.
---@param tx table
---@param id string
function M.touch_list(tx, id)
  for _, user in ipairs(tx:all("SELECT r.id AS id, r.kind AS kind, r.zone_id AS zone_id, r.account_id AS account_id "
      .. "FROM ruleset_uses u JOIN rulesets r ON r.id = u.ruleset_id WHERE u.list_id = ?", id)) do
    M.touch_ruleset(tx, user)
  end
  for _, zone in ipairs(tx:all("SELECT DISTINCT f.zone_id AS id FROM filter_lists l JOIN filters f ON f.id = l.filter_id "
      .. "WHERE l.list_id = ?", id)) do
    tx:touch(zone.id)
  end
end

return M
