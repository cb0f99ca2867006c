--- moongate.admin.resources.zone_settings — the settings of a zone (section 6 of the API): all of them, several, one.
--
-- What settings there are and what may stand in them is moongate.admin.setting's. A change of several holds as a whole
-- or not at all. A setting that was set back to its default is as if it had never been changed.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local setting = require "moongate.admin.setting"

local M = {}

local MAX_ITEMS = 100

local function show(one, row)
  return json.object {
    id = one.id, value = row and setting.decode(row.value) or setting.default_of(one), editable = not one.fixed,
    modified_on = row and row.modified_on or json.null,
  }
end

local function find(context, one)
  return context.tx:one("SELECT value, modified_on FROM zone_settings WHERE zone_id = ? AND id = ?", context.zone.id,
    one.id)
end

local function list(context)
  local rows, result = {}, json.array {}
  for _, row in ipairs(context.tx:all("SELECT id, value, modified_on FROM zone_settings WHERE zone_id = ?",
      context.zone.id)) do
    rows[row.id] = row
  end
  for index, one in ipairs(setting.list) do result[index] = show(one, rows[one.id]) end
  return { result = result }
end

local function get(context)
  local one = setting.by_id[context.params.setting_id]
  if not one then return nil, errors.fail("setting_unknown") end
  return { result = show(one, find(context, one)) }
end

-- ---- changes ----

-- The value that a body means. Clients of one kind say `enabled` of what is on or off.
local function value_of(body)
  if body.value ~= nil and body.value ~= json.null then return body.value end
  if body.enabled == true then return "on" end
  if body.enabled == false then return "off" end
end

local function store(context, one, value)
  local zone_id = context.zone.id
  assert(context.tx:run("DELETE FROM zone_settings WHERE zone_id = ? AND id = ?", zone_id, one.id))
  if not setting.is_default(one, value) then
    assert(context.tx:run("INSERT INTO zone_settings (zone_id, id, value, modified_on) VALUES (?, ?, ?, ?)", zone_id,
      one.id, setting.encode(value), context.stamp))
  end
  context.messages[#context.messages + 1] = setting.notice(one, value, context)
end

-- One setting, which `at` (a JSON Pointer) of the body is about. Returns it, or nil and errors.
local function change(context, id, body, at)
  local one = setting.by_id[id]
  if not one then return nil, errors.fail_at(at .. "/id", "setting_unknown") end
  if one.fixed then return nil, errors.fail_at(at .. "/id", "setting_fixed", one.id) end
  local value = value_of(body)
  local reason = setting.mistake(one, value)
  if reason then return nil, errors.fail_at(at .. "/value", "setting_value", one.id, reason) end
  store(context, one, value)
  return one
end

-- Why the zone's settings cannot hold together, with those of its hostnames.
local function contradiction(context)
  local values = setting.of_zone(context.tx, context.zone.id)
  if values.tls_1_3 ~= "off" then return nil end
  if values.min_tls_version == "1.3" then
    return errors.fail("setting_value", "tls_1_3", "it is off, and min_tls_version is 1.3: no client could connect")
  end
  local row = context.tx:one("SELECT hostname FROM hostname_settings WHERE zone_id = ? AND setting = 'min_tls_version' "
    .. "AND value = ? ORDER BY hostname LIMIT 1", context.zone.id, setting.encode("1.3"))
  return row and errors.fail("setting_value", "tls_1_3", "it is off, and the min_tls_version of the hostname "
    .. row.hostname .. " is 1.3: no client could connect there") or nil
end

local function patch(context)
  local one, failure = change(context, context.params.setting_id, context.values, "")
  if one then failure = contradiction(context) end
  if failure then
    for _, err in ipairs(failure) do
      if err.pointer == "/id" then err.pointer = nil end -- it stands in the path
    end
    return nil, failure
  end
  context.tx:touch(context.zone.id)
  return { result = show(one, find(context, one)) }
end

local function patch_all(context)
  local changed = {}
  for index, item in ipairs(context.values.items) do
    local at = ("/items/%d"):format(index - 1)
    if check.kind(item.id) ~= "string" then
      return nil, errors.fail_at(at .. "/id", "invalid", ("items[%d].id"):format(index - 1), "expected a string")
    end
    local one, failure = change(context, item.id, item, at)
    if not one then return nil, failure end
    changed[index] = one
  end
  local failure = contradiction(context)
  if failure then return nil, failure end
  context.tx:touch(context.zone.id)
  local result = json.array {}
  for index, one in ipairs(changed) do result[index] = show(one, find(context, one)) end
  return { result = result }
end

local ALL = "/zones/{zone_id}/settings"
local ONE = ALL .. "/{setting_id}"
local READ, WRITE = permissions.need("read", "Zone Settings"), permissions.need("write", "Zone Settings")

M.routes = {
  { method = "GET", path = ALL, permission = READ, run = list },
  {
    method = "PATCH", path = ALL, permission = WRITE, run = patch_all,
    fields = { { name = "items", type = "array", of = "object", required = true, min = 1, max = MAX_ITEMS } },
  },
  { method = "GET", path = ONE, permission = READ, run = get },
  {
    method = "PATCH", path = ONE, permission = WRITE, run = patch,
    fields = { { name = "value", type = "any" }, { name = "enabled", type = "boolean" } },
  },
}

return M
