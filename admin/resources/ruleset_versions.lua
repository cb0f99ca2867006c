--- moongate.admin.resources.ruleset_versions — the versions of rulesets: listed, read, deleted.
--
-- The latest version is the ruleset itself and cannot be deleted alone. Of the earlier ones the last hundred are kept.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local ruleset = require "moongate.admin.ruleset"

local M = {}

-- An earlier version as a row of the ruleset; `{version}` of the path, or nil.
local function row_of(context, row)
  local text = context.params.version
  local number = #text <= 9 and text:find("^[1-9]%d*$") and tonumber(text)
  if number == row.version then return row end
  local found = number and context.tx:one("SELECT version, description, rules, last_updated FROM ruleset_versions "
    .. "WHERE ruleset_id = ? AND version = ?", row.id, number)
  if not found then return nil, errors.fail("ruleset_version_unknown", ruleset.shown(text), row.id) end
  for _, key in ipairs { "id", "kind", "phase", "name" } do found[key] = row[key] end
  return found
end

local function list_of(context, row)
  local result = json.array {}
  for index, version in ipairs(context.tx:all("SELECT version, description, last_updated FROM ruleset_versions "
      .. "WHERE ruleset_id = ? ORDER BY version", row.id)) do
    for _, key in ipairs { "id", "kind", "phase", "name" } do version[key] = row[key] end
    result[index] = ruleset.show(version, true)
  end
  result[#result + 1] = ruleset.show(row, true)
  return { result = result }
end

local function list(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  return list_of(context, row)
end

local function list_entry(context)
  local row, failure = ruleset.find_entry(context)
  if failure then return nil, failure end
  if not row then return { result = json.array {} } end
  return list_of(context, row)
end

local function show(context, row)
  local found, failure = row_of(context, row)
  if not found then return nil, failure end
  return { result = ruleset.show(found) }
end

local function get(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  return show(context, row)
end

local function get_entry(context)
  local row, failure = ruleset.find_entry(context)
  if failure then return nil, failure end
  if not row then return nil, errors.fail("no_entry_point", context.params.phase) end
  return show(context, row)
end

-- Tags are what managed rules have; ours have none.
local function get_by_tag(context)
  local answer, failure = get(context)
  if not answer then return nil, failure end
  answer.result.rules = json.array {}
  return answer
end

local function delete(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  local found
  found, failure = row_of(context, row)
  if not found then return nil, failure end
  if found == row then return nil, errors.fail("ruleset_version_latest") end
  assert(context.tx:run("DELETE FROM ruleset_versions WHERE ruleset_id = ? AND version = ?", row.id, found.version))
  return { status = 204 }
end

local OF_ENTRY, OF_RULESET = "/phases/{phase}/entrypoint/versions", "/{ruleset_id}/versions"

M.routes = ruleset.routes {
  { method = "GET", path = OF_ENTRY, run = list_entry },
  { method = "GET", path = OF_ENTRY .. "/{version}", run = get_entry },
  { method = "GET", path = OF_RULESET, run = list },
  { method = "GET", path = OF_RULESET .. "/{version}", run = get },
  { method = "DELETE", path = OF_RULESET .. "/{version}", run = delete },
}
for _, route in ipairs(ruleset.routes({ { method = "GET", path = OF_RULESET .. "/{version}/by_tag/{tag}",
  run = get_by_tag } }, "account")) do
  M.routes[#M.routes + 1] = route
end

return M
