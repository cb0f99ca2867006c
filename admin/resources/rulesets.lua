--- moongate.admin.resources.rulesets — rulesets of zones and accounts: entry points of phases, and custom rulesets that
--- entry points execute.
--
-- A PUT replaces the list of rules as a whole and makes a new version; admin/ruleset.lua does both. One phase is
-- served; the others can be asked for and have nothing, and cannot be written.

local cursor = require "moongate.admin.cursor"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local ruleset = require "moongate.admin.ruleset"

local M = {}

local PAGING = { size = 50, max = 100 }
local ENTRY_POINT = "/phases/{phase}/entrypoint"

local FIELDS = {
  { name = "name", type = "string", max = 1024 },
  { name = "description", type = "string", max = 4096, empty_is_value = true },
  { name = "rules", type = "array", of = "object" },
}

local FIELDS_OF_NEW = {
  { name = "name", type = "string", max = 1024, required = true },
  { name = "kind", type = "string", max = 64, required = true },
  { name = "phase", type = "string", max = 64, required = true },
  FIELDS[2], FIELDS[3],
}

local function list(context)
  local slice, bad = cursor.slice(context.query, PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local owner = ruleset.owner(context)
  local rows = context.tx:all(("SELECT id, kind, phase, name, description, version, last_updated FROM rulesets "
    .. "WHERE %s = ? AND id > ? ORDER BY id LIMIT ?"):format(owner.column), owner.id, slice.after, slice.limit + 1)
  local next_cursor = cursor.finish(slice, rows, "id")
  local result = json.array {}
  for index, row in ipairs(rows) do result[index] = ruleset.show(row, true) end
  return { result = result, result_info = next_cursor and { cursor = next_cursor } or nil }
end

local function get(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  return { result = ruleset.show(row) }
end

local function get_entry(context)
  local row, failure = ruleset.find_entry(context)
  if failure then return nil, failure end
  if not row then return nil, errors.fail("no_entry_point", context.params.phase) end
  return { result = ruleset.show(row) }
end

local LEVELS = { zone = "zone", root = "account" }

-- Why a ruleset of this kind cannot be made here.
local function kind_refused(kind, owner)
  if kind == "managed" then return "managed rulesets are read-only" end
  if kind == "custom" or kind == owner.entry then return nil end
  if LEVELS[kind] then return ("it belongs to the level of the %s"):format(LEVELS[kind]) end
  return "expected zone, root or custom"
end

local function check_new(context)
  local values = context.values
  if not ruleset.PHASES[values.phase] then
    return errors.fail_at("/phase", "unknown_phase", ruleset.shown(values.phase))
  end
  local reason = kind_refused(values.kind, ruleset.owner(context))
  if reason then return errors.fail_at("/kind", "ruleset_kind", ruleset.shown(values.kind), reason) end
  if values.phase ~= ruleset.SERVED then return errors.fail_at("/phase", "not_entitled", values.phase) end
end

-- Makes a ruleset from the body's rules.
local function create(context, values)
  local place = ruleset.place(context, values.kind, values.phase)
  local rules, failure = ruleset.rules_of(context, context.values.rules or {}, {}, place)
  if not rules then return nil, failure end
  local row
  row, failure = ruleset.create(context, values, rules)
  if not row then return nil, failure end
  return { result = ruleset.show(row) }
end

local function post(context)
  local refused = check_new(context)
  if refused then return nil, refused end
  return create(context, context.values)
end

local function replace(context, row)
  local place = ruleset.place(context, row.kind, row.phase)
  local rules, failure = ruleset.rules_of(context, context.values.rules, json.decode(row.rules), place)
  if not rules then return nil, failure end
  return { result = ruleset.show(ruleset.replace(context, row, rules, context.values.description)) }
end

local function put(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  return replace(context, row)
end

local function put_entry(context)
  local row, failure = ruleset.find_entry(context)
  if failure then return nil, failure end
  local phase, values = context.params.phase, context.values
  if phase ~= ruleset.SERVED then return nil, errors.fail("not_entitled", phase) end
  if row then return replace(context, row) end
  return create(context, {
    kind = ruleset.owner(context).entry, phase = phase, name = values.name or "default", description = values.description,
  })
end

local function delete(context)
  local row, failure = ruleset.find(context)
  if not row then return nil, failure end
  local gone
  gone, failure = ruleset.remove(context, row)
  if not gone then return nil, failure end
  return { status = 204 }
end

M.routes = ruleset.routes {
  { method = "GET", path = "", run = list },
  { method = "POST", path = "", run = post, fields = FIELDS_OF_NEW },
  { method = "GET", path = "/{ruleset_id}", run = get },
  { method = "PUT", path = "/{ruleset_id}", run = put, fields = FIELDS },
  { method = "DELETE", path = "/{ruleset_id}", run = delete },
  { method = "GET", path = ENTRY_POINT, run = get_entry },
  { method = "PUT", path = ENTRY_POINT, run = put_entry, fields = FIELDS },
}

return M
