--- moongate.admin.resources.accounts — accounts: who owns zones and certificates.
--
-- The first account, `default`, is made by `ensure_default` at the first start or by the command line, whichever is
-- earlier; further ones by whoever may do everything. Accounts know nothing of each other: what belongs to one is, to a
-- credential of another, as if it were not there.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local PAGING = { style = "page", size = 20, min = 5, max = 50 }

--- For SELECT: what `show` needs.
M.COLUMNS = "id, name, type, enforce_twofactor, abuse_contact_email, created_on"

--- An account as the API shows it.
---@param row table
---@return table
function M.show(row)
  return json.object {
    id = row.id,
    name = row.name,
    type = row.type,
    settings = json.object {
      enforce_twofactor = row.enforce_twofactor == 1,
      abuse_contact_email = row.abuse_contact_email or json.null,
    },
    created_on = row.created_on,
  }
end

local function zone_ids(tx, account_id)
  local ids = {}
  for _, row in ipairs(tx:all("SELECT id FROM zones WHERE account_id = ?", account_id)) do ids[row.id] = true end
  return ids
end

--- The accounts that an identity can see, by name.
---@param context table
---@param direction string|nil `asc` or `desc`
---@return table[] rows
function M.visible(context, direction)
  local rows = {}
  local order = direction == "desc" and "DESC" or "ASC"
  local sql = ("SELECT %s FROM accounts ORDER BY name %s, id"):format(M.COLUMNS, order)
  for _, row in ipairs(context.tx:all(sql)) do
    if context.identity.everything and not context.identity.account_id
      or permissions.sees_account(context.identity, row.id, zone_ids(context.tx, row.id)) then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function list(context)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local direction = context.query:get("direction")
  if direction and direction ~= "asc" and direction ~= "desc" then return nil, errors.fail("bad_query", "direction") end
  local name, seen = context.query:get("name"), {}
  for _, row in ipairs(M.visible(context, direction)) do
    if not name or row.name == name then seen[#seen + 1] = row end
  end
  local result = resource.array()
  for index = slice.offset + 1, math.min(slice.offset + slice.limit, #seen) do
    result[#result + 1] = M.show(seen[index])
  end
  return { result = result, result_info = query.result_info(slice, #result, #seen) }
end

local function get(context)
  return { result = M.show(context.account) }
end

local function read(tx, id)
  return tx:one(("SELECT %s FROM accounts WHERE id = ?"):format(M.COLUMNS), id)
end

local function create(context)
  local values, id = context.values, stamp.hex_id(context.control.random)
  assert(context.tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, ?, ?, ?)", id, values.name,
    values.type or "enterprise", context.stamp))
  return { result = M.show(read(context.tx, id)) }
end

local SETTINGS = {
  { name = "enforce_twofactor", type = "boolean" },
  { name = "abuse_contact_email", type = "string", max = 254 },
}

local function replace(context)
  local values, account = context.values, context.account
  if values.id and values.id ~= account.id then
    return nil, errors.fail_at("/id", "invalid", "id", "it is not the account of the path")
  end
  local settings, mistakes = check.object(values.settings or json.object {}, SETTINGS)
  if not settings then
    return nil, errors.fail_at("/settings" .. mistakes[1].pointer, "invalid", mistakes[1].field, mistakes[1].text)
  end
  local enforce, contact = settings.enforce_twofactor, settings.abuse_contact_email
  if enforce == nil then enforce = account.enforce_twofactor == 1 end
  if not contact and not (values.settings and values.settings.abuse_contact_email == json.null) then
    contact = account.abuse_contact_email
  end
  assert(context.tx:run("UPDATE accounts SET name = ?, type = ?, enforce_twofactor = ?, abuse_contact_email = ? "
    .. "WHERE id = ?", values.name, values.type or account.type, enforce and 1 or 0, contact, account.id))
  return { result = M.show(read(context.tx, account.id)) }
end

--- Makes the account `default` when there is no account at all.
---@param tx table a writing transaction
---@param control table
function M.ensure_default(tx, control)
  if tx:one("SELECT 1 AS one FROM accounts LIMIT 1") then return end
  tx:generation()
  assert(tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, 'default', 'enterprise', ?)",
    stamp.hex_id(control.random), stamp.micros(control.now())))
end

local NAME = { name = "name", type = "string", required = true, max = 100 }
local TYPE = { name = "type", type = "string", one_of = { "standard", "enterprise" } }

M.routes = {
  { method = "GET", path = "/accounts", permission = permissions.any(), run = list },
  {
    method = "POST", path = "/accounts", permission = permissions.unrestricted(), run = create, fields = { NAME, TYPE },
  },
  {
    method = "GET", path = "/accounts/{account_id}", permission = permissions.need("read", "Account Settings"),
    run = get,
  },
  {
    method = "PUT", path = "/accounts/{account_id}", permission = permissions.need("write", "Account Settings"),
    run = replace,
    fields = { { name = "id", type = "string" }, NAME, TYPE, { name = "settings", type = "object" } },
  },
}

return M
