--- moongate.admin.resources.dns_records — DNS records of a zone (section 12 of the API).
--
-- The gateway answers no DNS queries: a proxied A, AAAA or CNAME record says where the requests for its hostname go
-- (moongate.admin.document_dns), every other record is kept and shown, no more. A batch is done whole or not at all.

local dns_record = require "moongate.admin.dns_record"
local errors = require "moongate.admin.errors"
local filters = require "moongate.admin.dns_filters"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local stamp = require "moongate.admin.stamp"

local M = {}

local BATCH = 1000 -- steps
local PAGING = { style = "page", size = 100, min = 1, max = 5000000 }
local COLUMNS = { "id", "zone_id", "type", "hostname", "content", "ttl", "proxied", "comment", "settings", "created_on",
  "modified_on", "comment_modified_on", "tags_modified_on" }
local SELECT = "SELECT " .. table.concat(COLUMNS, ", ") .. " FROM dns_records WHERE zone_id = ?"

local function show(tx, row)
  local tags = json.array {}
  for index, tag in ipairs(tx:all("SELECT name, value FROM dns_record_tags WHERE record_id = ? ORDER BY position",
      row.id)) do
    tags[index] = tag.name .. ":" .. tag.value
  end
  return json.object {
    id = row.id, name = row.hostname, type = row.type, content = row.content, proxied = row.proxied == 1,
    proxiable = dns_record.is_proxiable(row.type), ttl = row.ttl, settings = json.object(json.decode(row.settings)), meta = json.object {},
    comment = row.comment or json.null, tags = tags, created_on = row.created_on, modified_on = row.modified_on,
    comment_modified_on = row.comment_modified_on, tags_modified_on = row.tags_modified_on,
  }
end

-- ---- one record ----

local function find(context, id)
  local row = stamp.is_hex_id(id) and context.tx:one(SELECT .. " AND id = ?", context.zone.id, id)
  if not row then return nil, errors.fail("dns_unknown") end
  return row
end

local function refused(refusal)
  if refusal.name == "dns_addresses" then return errors.fail("dns_addresses") end
  if refusal.kind == "quota" then return errors.fail("dns_quota") end
  if refusal.kind == "unique" and refusal.name == "dns_records_alone" then return errors.fail("dns_host_exists") end
  if refusal.kind == "unique" then return errors.fail("dns_identical") end
  error("dns_records: " .. refusal.kind .. " " .. refusal.name)
end

local function values_of(row)
  local values = {}
  for index, column in ipairs(COLUMNS) do values[index] = row[column] end
  return values
end

local function store_tags(context, row)
  if not row.tags then return end
  assert(context.tx:run("DELETE FROM dns_record_tags WHERE record_id = ?", row.id))
  for position, tag in ipairs(row.tags) do
    assert(context.tx:run("INSERT INTO dns_record_tags (record_id, position, name, value) VALUES (?, ?, ?, ?)", row.id,
      position, tag.name, tag.value))
  end
end

local INSERT = ("INSERT INTO dns_records (%s) VALUES (%s?)"):format(table.concat(COLUMNS, ", "),
  ("?, "):rep(#COLUMNS - 1))
local UPDATE = ("UPDATE dns_records SET %s = ? WHERE id = ?"):format(table.concat(COLUMNS, " = ?, "))

local function insert(context, body)
  local row, failure = dns_record.read(context, body)
  if not row then return nil, failure end
  row.id, row.zone_id = stamp.hex_id(context.control.random), context.zone.id
  row.created_on, row.modified_on = context.stamp, context.stamp
  local made, refusal = context.tx:run(INSERT, unpack(values_of(row), 1, #COLUMNS))
  if not made then return nil, refused(refusal) end
  store_tags(context, row)
  return row
end

-- `before` is what the body does not say: the row itself for a PATCH, nil for a PUT.
local function update(context, found, body, before)
  local fixed = { id = found.id, created_on = found.created_on }
  local row, failure = dns_record.read(context, body, before)
  if not row then return nil, failure end
  row.id, row.zone_id, row.created_on, row.modified_on = fixed.id, context.zone.id, fixed.created_on, context.stamp
  if not before then row.tags = row.tags or {} end
  local values = values_of(row)
  values[#COLUMNS + 1] = row.id
  local changed, refusal = context.tx:run(UPDATE, unpack(values, 1, #COLUMNS + 1))
  if not changed then return nil, refused(refusal) end
  store_tags(context, row)
  return row
end

-- The id in a path; one that cannot be an id has no route.
local function id_of(context)
  local id = context.params.record_id
  if stamp.is_hex_id(id) then return id end
  return nil, errors.fail("bad_identifier", (context.request.path:sub(1, 256):gsub("[^\33-\126]", "?")))
end

-- Each step of a batch, and the verb of a single record: body → row.
local STEPS = {
  deletes = function(context, body)
    local row, failure = find(context, body.id)
    if not row then return nil, failure end
    row.shown = show(context.tx, row)
    assert(context.tx:run("DELETE FROM dns_records WHERE id = ?", row.id))
    return row
  end,
  patches = function(context, body)
    local row, failure = find(context, body.id)
    if not row then return nil, failure end
    return update(context, row, body, row)
  end,
  puts = function(context, body)
    local row, failure = find(context, body.id)
    if not row then return nil, failure end
    return update(context, row, body)
  end,
  posts = insert,
}

-- The verb of one record.
local function single(step)
  return function(context)
    local body = context.body or json.object {}
    if not json.is_object(body) then return nil, errors.fail("bad_json", "expected an object") end
    local row, failure
    if step ~= "posts" then
      body.id, failure = id_of(context)
      if not body.id then return nil, failure end
    end
    row, failure = STEPS[step](context, body)
    if not row then return nil, failure end
    context.tx:touch(context.zone.id)
    return { result = step == "deletes" and json.object { id = row.id } or show(context.tx, row) }
  end
end

local function get(context)
  local id, row, failure
  id, failure = id_of(context)
  if not id then return nil, failure end
  row, failure = find(context, id)
  if not row then return nil, failure end
  return { result = show(context.tx, row) }
end

-- ---- many records ----

local function list(context)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local where, values = filters.conditions(context.query)
  if not where then return nil, errors.fail("bad_query", values) end
  local order, bad_order = filters.order(context.query)
  if not order then return nil, errors.fail("bad_query", bad_order) end
  table.insert(values, 1, context.zone.id)
  local total = context.tx:one("SELECT count(*) AS n FROM dns_records WHERE zone_id = ? AND " .. where,
    unpack(values)).n
  values[#values + 1], values[#values + 2] = slice.limit, slice.offset
  local result = json.array {}
  for index, row in ipairs(context.tx:all(("%s AND %s ORDER BY %s LIMIT ? OFFSET ?"):format(SELECT, where, order),
      unpack(values))) do
    result[index] = show(context.tx, row)
  end
  return { result = result, result_info = query.result_info(slice, #result, total) }
end

local ORDER = { "deletes", "patches", "puts", "posts" }

local function pointing(failure, name, index)
  for _, one in ipairs(failure) do one.pointer = ("/%s/%d%s"):format(name, index - 1, one.pointer or "") end
  return failure
end

local function count_of(values)
  local count = 0
  for _, name in ipairs(ORDER) do count = count + #values[name] end
  return count
end

local function batch(context)
  if count_of(context.values) > BATCH then return nil, errors.fail("dns_batch", BATCH) end
  local result = json.object {}
  for _, name in ipairs(ORDER) do
    result[name] = json.array {}
    for index, body in ipairs(context.values[name]) do
      local row, failure = STEPS[name](context, body)
      if not row then return nil, pointing(failure, name, index) end
      result[name][index] = row.shown or show(context.tx, row)
    end
  end
  context.tx:touch(context.zone.id)
  return { result = result }
end

-- ---- routes ----

local COLLECTION = "/zones/{zone_id}/dns_records"
local ONE = COLLECTION .. "/{record_id}"
local READ, WRITE = permissions.need("read", "DNS"), permissions.need("write", "DNS")

local steps = {}
for index, name in ipairs(ORDER) do steps[index] = { name = name, type = "array", of = "object", default = {} } end

M.routes = {
  { method = "GET", path = COLLECTION, permission = READ, run = list },
  { method = "POST", path = COLLECTION, permission = WRITE, body = "required", run = single "posts" },
  { method = "POST", path = COLLECTION .. "/batch", permission = WRITE, group = "dns", run = batch, fields = steps },
  { method = "GET", path = ONE, permission = READ, run = get },
  { method = "PUT", path = ONE, permission = WRITE, body = "required", run = single "puts" },
  { method = "PATCH", path = ONE, permission = WRITE, body = "required", run = single "patches" },
  { method = "DELETE", path = ONE, permission = WRITE, run = single "deletes" },
}

return M
