--- moongate.admin.resources.firewall_rules — the older firewall rules of a zone: an action over a filter.
--
-- They are tried before all rulesets: those with a priority first, the lowest number first, then the others, by what
-- they do: log, bypass, allow, challenges, block (admin/document_rules.lua has the order and says how each action is
-- performed). Bodies are one object or an array; a batch is all or nothing.

local errors = require "moongate.admin.errors"
local filter = require "moongate.admin.filter"
local filters = require "moongate.admin.resources.filters"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local COLLECTION = "/zones/{zone_id}/firewall/rules"
local ONE = COLLECTION .. "/{rule_id}"

local PRODUCTS = {}
for name in ("zoneLockdown uaBlock bic hot securityLevel rateLimit waf"):gmatch("%S+") do PRODUCTS[name] = true end

local FIELDS = {
  { name = "id", type = "string" },
  { name = "action", type = "string", required = true,
    one_of = { "allow", "block", "bypass", "challenge", "js_challenge", "managed_challenge", "log" } },
  { name = "filter", type = "object", required = true },
  { name = "priority", type = "integer", min = 1, max = 2147483647 },
  { name = "paused", type = "boolean", default = false },
  { name = "description", type = "string", default = "", max = 2000 },
  { name = "products", type = "array", of = "string" },
  { name = "ref", type = "string", default = "", max = 200 },
}

local PRIORITY = { { name = "id", type = "string" }, FIELDS[4] }

local function needs(access) return permissions.need(access, "Firewall Services", "Zone WAF") end

-- A row as the API shows it; `shown_filter` in place of its filter.
local function show(row, shown_filter)
  return json.object {
    id = row.id, paused = row.paused == 1, description = row.description, action = row.action,
    priority = row.priority or json.null, products = row.products and json.decode(row.products) or nil,
    ref = row.ref ~= "" and row.ref or nil, created_on = row.created_on, modified_on = row.modified_on,
    filter = shown_filter or filter.show {
      id = row.filter_id, expression = row.expression, paused = row.filter_paused, description = row.filter_description,
      ref = row.filter_ref,
    },
  }
end

local RESOURCE = {
  table = "firewall_rules r JOIN filters f ON f.id = r.filter_id",
  columns = "r.id AS id, r.filter_id AS filter_id, r.action AS action, r.priority AS priority, r.paused AS paused, "
    .. "r.description AS description, r.products AS products, r.ref AS ref, r.created_on AS created_on, "
    .. "r.modified_on AS modified_on, f.expression AS expression, f.paused AS filter_paused, "
    .. "f.description AS filter_description, f.ref AS filter_ref",
  scope = "r.zone_id = ?",
  scope_of = function(context) return context.zone.id end,
  key = "r.id",
  parameter = "rule_id",
  show = function(row) return show(row) end,
  unknown = "firewall_rule_unknown",
  is_id = stamp.is_hex_id,
  paging = { style = "page", size = 25, min = 5, max = 100 },
  order = "r.number",
  filters = {
    filters.equal("id", "r.id"), filters.equal("action", "r.action"), filters.part("description", "r.description"),
    filters.paused "r.paused",
  },
}

local function find(context, id)
  return context.tx:one(("SELECT %s FROM %s WHERE r.zone_id = ? AND r.id = ?"):format(RESOURCE.columns, RESOURCE.table),
    context.zone.id, id)
end

local function show_all(context, ids)
  local result = json.array {}
  for index, id in ipairs(ids) do result[index] = show(find(context, id)) end
  return { result = result }
end

-- ---- bodies ----

local function products_refused(values)
  if not values.products then return nil end
  if values.action ~= "bypass" then return "only bypass has products" end
  for index, name in ipairs(values.products) do
    if not PRODUCTS[name] then return ("element %d is none of the products"):format(index) end
  end
end

-- The filter of a rule: one that is there, or one that is to be made with it.
local function read_filter(context, given, pointer)
  local id = given.id
  if id == nil or id == json.null or id == "" then return filter.read(context, given, pointer) end
  if type(id) == "string" and filter.find(context, id) then return { known = id } end
  return nil, errors.fail_at(pointer .. "/id", "invalid", "filter", "there is no filter with this id in the zone")
end

local function read(context, value, pointer)
  local values, failure = filter.read_object(value, FIELDS, pointer, { description = 500, ref = 50 })
  if not values then return nil, failure end
  local reason = products_refused(values)
  if reason then return nil, errors.fail_at(pointer .. "/products", "invalid", "products", reason) end
  values.filter, failure = read_filter(context, values.filter, pointer .. "/filter")
  if not values.filter then return nil, failure end
  return values
end

local function read_all(context)
  return filter.read_each(context.body, function(value, pointer) return read(context, value, pointer) end)
end

-- ---- writing ----

local function filter_id_of(context, values)
  if values.filter.known then return values.filter.known end
  return filter.insert(context, values.filter)
end

local function insert(context, values)
  local filter_id, failure = filter_id_of(context, values)
  if not filter_id then return nil, failure end
  local id, now = stamp.hex_id(context.control.random), stamp.seconds(context.now)
  local made, refusal = context.tx:run("INSERT INTO firewall_rules (id, zone_id, filter_id, action, priority, paused, "
    .. "description, products, ref, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", id,
    context.zone.id, filter_id, values.action, values.priority, values.paused and 1 or 0, values.description,
    values.products and json.encode(values.products), values.ref, now, now)
  if made then return id end
  if refusal.kind ~= "quota" then error("firewall rules: " .. refusal.name) end
  return nil, errors.fail("filter_quota", "firewall rules")
end

local function replace(context, id, values)
  local filter_id, failure = filter_id_of(context, values)
  if not filter_id then return nil, failure end
  assert(context.tx:run("UPDATE firewall_rules SET filter_id = ?, action = ?, priority = ?, paused = ?, description = ?, "
    .. "products = ?, ref = ?, modified_on = ? WHERE id = ?", filter_id, values.action, values.priority,
    values.paused and 1 or 0, values.description, values.products and json.encode(values.products), values.ref,
    stamp.seconds(context.now), id))
  return id
end

local function post(context)
  local list, failure = read_all(context)
  if not list then return nil, failure end
  local ids = {}
  for index, values in ipairs(list) do
    ids[index], failure = insert(context, values)
    if not ids[index] then return nil, failure end
  end
  context.tx:touch(context.zone.id)
  return show_all(context, ids)
end

-- The id of an object of a batch, which has to be there.
local function known_id(context, id, pointer)
  if not id then return nil, errors.fail_at(pointer .. "/id", "invalid", "id", "this field is required") end
  if not find(context, id) then return nil, errors.fail_at(pointer .. "/id", "firewall_rule_unknown") end
  return id
end

local function put_all(context)
  local list, failure = read_all(context)
  if not list then return nil, failure end
  local ids = {}
  for index, values in ipairs(list) do
    ids[index], failure = known_id(context, values.id, filter.each(context.body)[index].pointer)
    if ids[index] then ids[index], failure = replace(context, ids[index], values) end
    if not ids[index] then return nil, failure end
  end
  context.tx:touch(context.zone.id)
  return show_all(context, ids)
end

local function put(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  local list
  list, failure = read_all(context)
  if not list then return nil, failure end
  if #list ~= 1 then return nil, errors.fail("invalid", "body", "expected one rule") end
  local done
  done, failure = replace(context, row.id, list[1])
  if not done then return nil, failure end
  context.tx:touch(context.zone.id)
  return { result = show(find(context, row.id)) }
end

-- Sets a priority: null takes it away, no word about it leaves it.
local function prioritise(context, id, value)
  if value.priority == nil then return end
  local priority = value.priority ~= json.null and value.priority or nil
  assert(context.tx:run("UPDATE firewall_rules SET priority = ?, modified_on = ? WHERE id = ?", priority,
    stamp.seconds(context.now), id))
  context.tx:touch(context.zone.id)
end

local function is_nothing(body)
  return body == nil or type(body) == "table" and body ~= json.null and next(body) == nil
end

local function patch_all(context)
  if is_nothing(context.body) then return { result = json.array {} } end
  local list, failure = filter.read_each(context.body, function(value, pointer)
    local values, mistakes = filter.read_object(value, PRIORITY, pointer, {})
    if not values then return nil, mistakes end
    local id, unknown = known_id(context, values.id, pointer)
    if not id then return nil, unknown end
    return { id = id, priority = value.priority }
  end)
  if not list then return nil, failure end
  local ids = {}
  for index, values in ipairs(list) do
    prioritise(context, values.id, values)
    ids[index] = values.id
  end
  return show_all(context, ids)
end

local function patch(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  if not is_nothing(context.body) then
    local values
    values, failure = filter.read_object(context.body, PRIORITY, "", {})
    if not values then return nil, failure end
    prioritise(context, row.id, context.body)
  end
  return show_all(context, { row.id })
end

-- ---- deleting ----

local function remove(context, row, with_filter)
  local tx = context.tx
  assert(tx:run("DELETE FROM firewall_rules WHERE id = ?", row.id))
  tx:touch(context.zone.id)
  if not with_filter or tx:one("SELECT id FROM firewall_rules WHERE filter_id = ? LIMIT 1", row.filter_id) then
    return show(row)
  end
  assert(tx:run("DELETE FROM filters WHERE id = ?", row.filter_id))
  return show(row, json.object { id = row.filter_id, deleted = true })
end

local function delete(context)
  local row, failure = resource.find(RESOURCE, context)
  if not row then return nil, failure end
  local with_filter = json.is_object(context.body) and context.body.delete_filter_if_unused == true
  return { result = remove(context, row, with_filter) }
end

-- Ids of the query and of the body; those that are not there do not matter.
local function delete_all(context)
  local wanted = {}
  for _, id in ipairs(context.query:list "id") do wanted[#wanted + 1] = { id = id } end
  for _, one in ipairs(is_nothing(context.body) and {} or filter.each(context.body)) do
    if not json.is_object(one.value) or type(one.value.id) ~= "string" then
      return nil, errors.fail_at(one.pointer .. "/id", "invalid", "id", "this field is required")
    end
    wanted[#wanted + 1] = { id = one.value.id, with_filter = one.value.delete_filter_if_unused == true }
  end
  local result = json.array {}
  for _, one in ipairs(wanted) do
    local row = find(context, one.id)
    if row then result[#result + 1] = remove(context, row, one.with_filter) end
  end
  return { result = result }
end

M.routes = {
  { method = "GET", path = COLLECTION, permission = needs "read", run = resource.list(RESOURCE) },
  { method = "POST", path = COLLECTION, permission = needs "write", run = post, body = "required" },
  { method = "PUT", path = COLLECTION, permission = needs "write", run = put_all, body = "required" },
  { method = "PATCH", path = COLLECTION, permission = needs "write", run = patch_all, body = "optional" },
  { method = "DELETE", path = COLLECTION, permission = needs "write", run = delete_all, body = "optional" },
  { method = "GET", path = ONE, permission = needs "read", run = resource.get(RESOURCE) },
  { method = "PUT", path = ONE, permission = needs "write", run = put, body = "required" },
  { method = "PATCH", path = ONE, permission = needs "write", run = patch, body = "optional" },
  { method = "DELETE", path = ONE, permission = needs "write", run = delete, body = "optional" },
}

return M
