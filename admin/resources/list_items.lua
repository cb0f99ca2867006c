--- moongate.admin.resources.list_items — the items of a list: added, replaced, removed in bulk; and the operations that
--- did it.
--
-- A change of many items is one transaction and is done when it is answered, so an operation is complete the first time
-- that somebody asks about it. After each change the list's text for the workers is put together anew, and the zones
-- whose rules ask the list are touched.

local cursor = require "moongate.admin.cursor"
local errors = require "moongate.admin.errors"
local item_of = require "moongate.admin.list_item"
local json = require "moongate.json"
local lists = require "moongate.admin.resources.lists"
local permissions = require "moongate.admin.permissions"
local stamp = require "moongate.admin.stamp"
local uses = require "moongate.admin.ruleset_uses"

local M = {}

local BASE = "/accounts/{account_id}/rules/lists"
local ITEMS = BASE .. "/{list_id}/items"
local GROUP = "Account Rule Lists"
local BODY_BYTES = 20 * 1024 * 1024
local ERRORS_MAX = 10
local PAGING = { size = 25, max = 500 }
local COLUMNS = "id, sorts_as, value, comment, created_on, modified_on"

-- ---- reading ----

-- kind → what `search` means: a condition and its value
local SEARCH = {
  ip = function(text) return "substr(value, 2, length(?)) = ?", { text:lower(), text:lower() } end, -- behind its quote
  asn = function(text) return "value = ?", { text } end,
  hostname = function(text) return "instr(sorts_as, ?) > 0", { text:lower() } end,
  redirect = function(text) return "instr(sorts_as, ?) > 0", { text } end,
}

local function list(context)
  local row, failure = lists.find(context)
  if not row then return nil, failure end
  local slice, bad = cursor.slice(context.query, PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local condition, values, search = "", { row.id, slice.after }, context.query:get("search")
  if search then
    local text, more = SEARCH[row.kind](search)
    condition = " AND " .. text
    for _, value in ipairs(more) do values[#values + 1] = value end
  end
  values[#values + 1] = slice.limit + 1
  local rows = context.tx:all("SELECT " .. COLUMNS .. " FROM list_items WHERE list_id = ? AND sorts_as > ?" .. condition
    .. " ORDER BY sorts_as LIMIT ?", unpack(values))
  local after, result = cursor.finish(slice, rows, "sorts_as"), json.array {}
  for index, item in ipairs(rows) do result[index] = item_of.show(row.kind, item) end
  return { result = result, result_info = after and { cursors = json.object { after = after } } or nil }
end

local function get(context)
  local row, failure = lists.find(context)
  if not row then return nil, failure end
  local item = context.tx:one("SELECT " .. COLUMNS .. " FROM list_items WHERE list_id = ? AND id = ?", row.id,
    context.params.item_id)
  if not item then return nil, errors.fail("list_item_unknown") end
  return { result = item_of.show(row.kind, item) }
end

local function get_operation(context)
  local row = context.tx:one("SELECT id, completed FROM bulk_operations WHERE account_id = ? AND id = ?",
    context.account.id, context.params.operation_id)
  if not row then return nil, errors.fail("operation_unknown") end
  return { result = json.object { id = row.id, status = "completed", completed = row.completed } }
end

-- ---- writing ----

-- The items of a body, or up to ten errors.
local function read_items(context, kind)
  if not json.is_array(context.body) then
    return nil, errors.fail("bad_json", "expected an array of items")
  end
  local items, failure = {}, {}
  for index, body in ipairs(context.body) do
    local item, reason = item_of.read(kind, body)
    items[index] = item or false
    if not item then
      local one = errors.new("list_item", index - 1, reason)
      one.pointer = ("/%d"):format(index - 1)
      failure[#failure + 1] = one
      if #failure == ERRORS_MAX then break end
    end
  end
  if failure[1] then return nil, failure end
  return items
end

local INSERT = "INSERT INTO list_items (id, list_id, sorts_as, value, served, comment, created_on, modified_on) "
  .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
local UPDATE = "UPDATE list_items SET value = ?, served = ?, comment = ?, modified_on = ? WHERE id = ?"

-- Adds an item, or writes over the one of the same value, which keeps its id.
local function write(context, row, item, known, now)
  local value = json.encode(item.value, { sorted = true })
  if not known then
    local id = stamp.hex_id(context.control.random)
    assert(context.tx:run(INSERT, id, row.id, item.sorts_as, value, item.served, item.comment, now, now))
  elseif known.value ~= value or known.comment ~= item.comment then
    assert(context.tx:run(UPDATE, value, item.served, item.comment, now, known.id))
  end
end

-- What every change ends with.
local function finish(context, row)
  local tx, now = context.tx, stamp.seconds(context.now)
  local served = row.kind == "redirect" and "''" or "COALESCE((SELECT group_concat(served, ' ') FROM "
    .. "(SELECT served FROM list_items WHERE list_id = lists.id ORDER BY sorts_as)), '')"
  local done, refusal = tx:run("UPDATE lists SET modified_on = ?, served = " .. served .. ", num_items = "
    .. "(SELECT count(*) FROM list_items WHERE list_id = lists.id) WHERE id = ?", now, row.id)
  if not done then
    if refusal.kind ~= "check" then error("list items: " .. refusal.name) end
    return nil, errors.fail("list_full")
  end
  uses.touch_list(tx, row.id)
  local id = stamp.hex_id(context.control.random)
  assert(tx:run("INSERT INTO bulk_operations (id, account_id, completed) VALUES (?, ?, ?)", id, context.account.id, now))
  return { result = json.object { operation_id = id } }
end

-- The list of the path and the items of the body.
local function read(context)
  local row, failure = lists.find(context)
  if not row then return nil, failure end
  local items
  items, failure = read_items(context, row.kind)
  if not items then return nil, failure end
  return row, items
end

local function post(context)
  local row, items = read(context)
  if not row then return nil, items end
  local now = stamp.seconds(context.now)
  for _, item in ipairs(items) do
    local known = context.tx:one("SELECT id, value, comment FROM list_items WHERE list_id = ? AND sorts_as = ?", row.id,
      item.sorts_as)
    write(context, row, item, known, now)
  end
  return finish(context, row)
end

local function put(context)
  local row, items = read(context)
  if not row then return nil, items end
  local now, wanted = stamp.seconds(context.now), {}
  for _, item in ipairs(items) do wanted[item.sorts_as] = item end
  for _, known in ipairs(context.tx:all("SELECT id, sorts_as, value, comment FROM list_items WHERE list_id = ?", row.id)) do
    local item = wanted[known.sorts_as]
    if item then
      write(context, row, item, known, now)
      wanted[known.sorts_as] = nil
    else
      assert(context.tx:run("DELETE FROM list_items WHERE id = ?", known.id))
    end
  end
  for _, item in pairs(wanted) do write(context, row, item, nil, now) end
  return finish(context, row)
end

-- An item that is gone already is as good as deleted.
local function delete(context)
  local row, failure = lists.find(context)
  if not row then return nil, failure end
  for index, item in ipairs(context.values.items) do
    if type(item.id) ~= "string" then
      return nil, errors.fail_at(("/items/%d/id"):format(index - 1), "invalid", "id", "expected a string")
    end
    assert(context.tx:run("DELETE FROM list_items WHERE list_id = ? AND id = ?", row.id, item.id))
  end
  return finish(context, row)
end

M.routes = {
  {
    method = "GET", path = BASE .. "/bulk_operations/{operation_id}", permission = permissions.need("read", GROUP),
    run = get_operation,
  },
  { method = "GET", path = ITEMS, permission = permissions.need("read", GROUP), run = list },
  {
    method = "POST", path = ITEMS, permission = permissions.need("write", GROUP), run = post, body = "required",
    body_bytes = BODY_BYTES,
  },
  {
    method = "PUT", path = ITEMS, permission = permissions.need("write", GROUP), run = put, body = "required",
    body_bytes = BODY_BYTES,
  },
  {
    method = "DELETE", path = ITEMS, permission = permissions.need("write", GROUP), run = delete, body_bytes = BODY_BYTES,
    fields = { { name = "items", type = "array", of = "object", required = true, min = 1 } },
  },
  { method = "GET", path = ITEMS .. "/{item_id}", permission = permissions.need("read", GROUP), run = get },
}

return M
