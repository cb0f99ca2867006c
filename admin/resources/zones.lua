--- moongate.admin.resources.zones — zones: a domain name and everything served below it.
--
-- Also owns the rule that keeps zones apart: no zone may lie inside or around a zone of another account, and a zone
-- may not be made around or inside names that are already associated or have an origin, for they would silently
-- change hands.

local check = require "moongate.admin.check"
local custom_hostname = require "moongate.admin.custom_hostname"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local managed_ca = require "moongate.admin.managed_ca"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local PAGING = { style = "page", size = 20, min = 5, max = 50 }
local PLAN = "b5ef0000000000000000000000000b5e"
local MAX_NAME_SERVERS = 8
local TYPES = { "full", "partial", "secondary", "internal" }
local COLUMNS = "z.id AS id, z.account_id AS account_id, z.name AS name, z.type AS type, z.paused AS paused, "
  .. "z.vanity_name_servers AS vanity_name_servers, z.created_on AS created_on, z.modified_on AS modified_on, "
  .. "a.name AS account_name"
local TABLES = "zones z JOIN accounts a ON a.id = z.account_id"

local function show(row)
  local null = json.null
  return json.object {
    id = row.id, name = row.name, status = "active", paused = row.paused == 1, type = row.type, development_mode = 0,
    name_servers = json.array { "ns1.moongate.test", "ns2.moongate.test" },
    original_name_servers = null, original_registrar = null, original_dnshost = null,
    vanity_name_servers = json.array(json.decode(row.vanity_name_servers)),
    created_on = row.created_on, modified_on = row.modified_on, activated_on = row.created_on,
    account = json.object { id = row.account_id, name = row.account_name },
    owner = json.object { id = null, type = "user", email = null },
    permissions = json.array { "#zone:read", "#zone:edit", "#ssl:read", "#ssl:edit", "#waf:read", "#waf:edit" },
    plan = json.object {
      id = PLAN, name = "Enterprise Website", price = 0, currency = "USD", frequency = "",
      is_subscribed = true, can_subscribe = false, legacy_id = "enterprise", legacy_discount = false,
      externally_managed = false,
    },
    meta = json.object {
      step = 2, custom_certificate_quota = 10, page_rule_quota = 0, phishing_detected = false, cdn_only = false,
      dns_only = false, foundation_dns = false,
    },
    tenant = json.object { id = null, name = null }, tenant_unit = json.object { id = null },
  }
end

-- operator → SQL about a column, and how often the value stands in it. No LIKE: it would give meaning to a stranger's
-- % and _.
local OPERATORS = {
  equal = { "%s = ?", 1 }, not_equal = { "%s <> ?", 1 }, contains = { "instr(%s, ?) > 0", 1 },
  starts_with = { "substr(%s, 1, length(?)) = ?", 2 }, ends_with = { "substr(%s, -length(?)) = ?", 2 },
}

local function name_condition(column, text)
  local operator, value = text:match("^([a-z_]+):(.*)$")
  if not operator then operator, value = "equal", text end
  local sensitive
  operator, sensitive = operator:gsub("_case_sensitive$", "")
  if not OPERATORS[operator] or value == "" or #value > 253 then return nil end
  if sensitive == 0 then value = value:lower() end
  -- Names of zones are stored in lower case; asking the bare column keeps the index in use.
  local subject = sensitive == 0 and column ~= "z.name" and ("lower(%s)"):format(column) or column
  local template, values = OPERATORS[operator], {}
  for index = 1, template[2] do values[index] = value end
  return template[1]:format(subject), values
end

-- Conditions of the list, each { sql, values }.
local function filters_of(context)
  local list = {}
  local function add(sql, values) list[#list + 1] = { sql, values } end
  for parameter, column in pairs { name = "z.name", ["account.name"] = "a.name" } do
    local text = context.query:get(parameter)
    if text then
      local sql, values = name_condition(column, text)
      if not sql then return nil, parameter end
      add(sql, values)
    end
  end
  local account = context.query:get("account.id")
  if account then add("z.account_id = ?", { account }) end
  local status = context.query:get("status")
  if status then add(status == "active" and "1 = 1" or "1 = 0", {}) end
  local types = context.query:list("type")
  if types[1] then
    add("z.type IN (" .. ("?, "):rep(#types - 1) .. "?)", types)
  end
  return list
end

local ORDER = { name = "z.name", status = "z.name", ["account.id"] = "z.account_id", ["account.name"] = "a.name",
  ["plan.id"] = "z.name" }

local function where_of(context)
  local filters, bad = filters_of(context)
  if not filters then return nil, bad end
  local match = context.query:get("match") or "all"
  if match ~= "all" and match ~= "any" then return nil, "match" end
  local parts, values = {}, {}
  for _, filter in ipairs(filters) do
    parts[#parts + 1] = filter[1]
    for _, value in ipairs(filter[2]) do values[#values + 1] = value end
  end
  local where = #parts > 0 and "(" .. table.concat(parts, match == "any" and " OR " or " AND ") .. ")" or "1 = 1"
  if not context.query:get("type") then where = where .. " AND z.type <> 'internal'" end
  return where, values
end

local function order_of(context)
  local column = ORDER[context.query:get("order") or "name"]
  if not column then return nil, "order" end
  local direction = context.query:get("direction") or "asc"
  if direction ~= "asc" and direction ~= "desc" then return nil, "direction" end
  return ("%s %s, z.id"):format(column, direction:upper())
end

-- For a token that may see some zones only: filtered here, since its policies are no SQL.
local function visible_page(context, where, values, order, slice)
  local ids = {}
  for _, row in ipairs(context.tx:all(("SELECT z.id AS id, z.account_id AS account_id FROM %s WHERE %s ORDER BY %s")
    :format(TABLES, where, order), unpack(values))) do
    if permissions.allows(context.identity, context.need, { zone_id = row.id, account_id = row.account_id }) then
      ids[#ids + 1] = row.id
    end
  end
  local rows = {}
  for index = slice.offset + 1, math.min(slice.offset + slice.limit, #ids) do
    rows[#rows + 1] = context.tx:one(("SELECT %s FROM %s WHERE z.id = ?"):format(COLUMNS, TABLES), ids[index])
  end
  return rows, #ids
end

local function page(context, where, values, order, slice)
  local total = context.tx:one(("SELECT count(*) AS n FROM %s WHERE %s"):format(TABLES, where), unpack(values)).n
  values[#values + 1], values[#values + 2] = slice.limit, slice.offset
  return context.tx:all(("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT ? OFFSET ?")
    :format(COLUMNS, TABLES, where, order), unpack(values)), total
end

local function list(context)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local where, values = where_of(context)
  if not where then return nil, errors.fail("bad_query", values) end
  local order, bad_order = order_of(context)
  if not order then return nil, errors.fail("bad_query", bad_order) end
  local everywhere = permissions.allows_everywhere(context.identity, context.need)
  local rows, total = (everywhere and page or visible_page)(context, where, values, order, slice)
  local result = resource.array()
  for index, row in ipairs(rows) do result[index] = show(row) end
  return { result = result, result_info = query.result_info(slice, #result, total) }
end

local function read(tx, id)
  return tx:one(("SELECT %s FROM %s WHERE z.id = ?"):format(COLUMNS, TABLES), id)
end

local function get(context)
  return { result = show(read(context.tx, context.zone.id)) }
end

-- The account that a new zone goes to: the named one, else the only one in which the token may make zones.
local function account_for(context)
  local account = context.values.account
  local wanted = account and account.id
  if wanted == json.null or wanted == "" then wanted = nil end
  if wanted ~= nil and not stamp.is_hex_id(wanted) then
    return nil, errors.fail_at("/account/id", "invalid", "account.id", "expected the 32 hexadecimal digits of an account")
  end
  for _, row in ipairs(context.tx:all("SELECT id FROM accounts ORDER BY created_on, id")) do
    if (not wanted or row.id == wanted)
      and permissions.allows(context.identity, context.need, { account_id = row.id }) then
      return row.id
    end
  end
  return nil, errors.fail("forbidden")
end

local function ancestors(name)
  local above = {}
  local rest = name:match("^[^.]+%.(.+)$")
  while rest do
    above[#above + 1] = rest
    rest = rest:match("^[^.]+%.(.+)$")
  end
  return above
end

-- Tables with names that a zone has something for.
local NAMED = { "hostname_associations", "origins", "origin_pull_hostnames", "access_hostnames", "access_settings",
  "hostname_options", "dns_records", "hostname_settings" }

local function names_below(tx, zone_id, name)
  local length = #name + 1
  for _, source in ipairs(NAMED) do
    local row = tx:one(("SELECT hostname FROM %s WHERE zone_id = ? AND (hostname = ? OR substr(hostname, ?) = ?) "
      .. "LIMIT 1"):format(source), zone_id, name, -length, "." .. name)
    if row then return row.hostname end
  end
end

-- Why the name cannot become a zone; nil when it can.
local function obstacle(tx, account_id, name)
  for _, ancestor in ipairs(ancestors(name)) do
    local zone = tx:one("SELECT id, account_id FROM zones WHERE name = ?", ancestor)
    if zone and zone.account_id ~= account_id then return "it lies below a zone of another account" end
    local hostname = zone and names_below(tx, zone.id, name)
    if hostname then return ("%s is in use in the zone %s"):format(hostname, ancestor) end
  end
  local reversed = check.reversed(name)
  -- "/" follows "." in ASCII: everything between begins with `reversed`, and the index finds it.
  if tx:one("SELECT 1 AS one FROM zones WHERE reversed > ? AND reversed < ? AND account_id <> ? LIMIT 1", reversed,
      reversed:sub(1, -2) .. "/", account_id) then
    return "a zone of another account lies below it"
  end
end

local function create(context)
  local name, reason = check.hostname(context.values.name)
  if name and not name:find(".", 1, true) then name, reason = nil, "it has one label only" end
  if not name then return nil, errors.fail_at("/name", "not_a_domain", context.values.name:sub(1, 253), reason) end
  local account_id, failure = account_for(context)
  if not account_id then return nil, failure end
  local tx = context.tx
  if not tx:one("SELECT 1 AS one FROM zones WHERE name = ?", name) then
    reason = obstacle(tx, account_id, name)
    if reason then return nil, errors.fail_at("/name", "zone_in_the_way", name, reason) end
  end
  local id = stamp.hex_id(context.control.random)
  local made, refusal = tx:run("INSERT INTO zones (id, account_id, name, reversed, type, generation, created_on, "
    .. "modified_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", id, account_id, name, check.reversed(name), context.values.type,
    tx:generation(), context.stamp, context.stamp)
  if not made then
    if refusal.kind == "unique" then return nil, errors.fail_at("/name", "zone_exists", name) end
    error("zones: " .. refusal.name)
  end
  tx:touch(id)
  custom_hostname.leave_to_zone(tx, name)
  return { result = show(read(tx, id)) }
end

-- ---- changes ----

-- Property → reads what the body says of it: the value for its column (nil: none is changed), or nil and errors.
local CHANGES = {}

function CHANGES.paused(paused, context)
  if paused then
    context.messages[1] = {
      code = 21102, message = "paused: stored, but requests of the zone go on being served, with all its rules",
    }
  end
  return paused and 1 or 0
end

function CHANGES.type(kind) return kind end

function CHANGES.plan(plan)
  if plan.id == PLAN or plan.legacy_id == "enterprise" then return nil end
  return nil, errors.fail_at("/plan/id", "invalid", "plan.id", "there is one plan, " .. PLAN)
end

function CHANGES.vanity_name_servers(names)
  local servers = json.array {}
  for index, text in ipairs(names) do
    local name, reason = check.hostname(text)
    if not name then
      return nil, errors.fail_at(("/vanity_name_servers/%d"):format(index - 1), "invalid", "vanity_name_servers", reason)
    end
    servers[index] = name
  end
  return json.encode(servers)
end

local function patch(context)
  local property, tx = nil, context.tx
  for name in pairs(CHANGES) do
    if context.values[name] ~= nil then
      if property then return nil, errors.fail("zone_many_changes") end
      property = name
    end
  end
  if not property then return nil, errors.fail("zone_no_change") end
  local value, failure = CHANGES[property](context.values[property], context)
  if failure then return nil, failure end
  if value ~= nil then
    assert(tx:run(("UPDATE zones SET %s = ?, modified_on = ? WHERE id = ?"):format(property), value, context.stamp,
      context.zone.id))
  end
  return { result = show(read(tx, context.zone.id)) }
end

local function delete(context)
  assert(context.tx:run("DELETE FROM zones WHERE id = ?", context.zone.id))
  -- The client certificates that were issued through it are revoked now, which concerns the account's other zones.
  local ca = managed_ca.find(context.tx, context.account.id)
  if ca then managed_ca.touch_zones(context.tx, ca.id) end
  context.tx:forget(context.zone.id)
  return { result = json.object { id = context.zone.id } }
end

M.routes = {
  { method = "GET", path = "/zones", permission = permissions.need("read", "Zone"), run = list },
  {
    method = "POST", path = "/zones", permission = permissions.need("write", "Zone"), run = create,
    fields = {
      { name = "name", type = "string", required = true, max = 1024 },
      { name = "account", type = "object" },
      { name = "type", type = "string", one_of = TYPES, default = "full" },
    },
  },
  { method = "GET", path = "/zones/{zone_id}", permission = permissions.need("read", "Zone"), run = get },
  {
    method = "PATCH", path = "/zones/{zone_id}", permission = permissions.need("write", "Zone"), run = patch,
    fields = {
      { name = "paused", type = "boolean" },
      { name = "plan", type = "object" },
      { name = "type", type = "string", one_of = TYPES },
      { name = "vanity_name_servers", type = "array", of = "string", max = MAX_NAME_SERVERS },
    },
  },
  { method = "DELETE", path = "/zones/{zone_id}", permission = permissions.need("write", "Zone"), run = delete },
}

return M
