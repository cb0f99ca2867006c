--- moongate.admin.resources.accounts — accounts: who owns zones and certificates. Listing and reading.
--
-- The first account, `default`, is made by `ensure_default` at the first start or by the command line, whichever is earlier.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local PAGING = { style = "page", size = 20, min = 5, max = 50 }

local function show(row)
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
  local sql = "SELECT id, name, type, enforce_twofactor, abuse_contact_email, created_on FROM accounts ORDER BY name "
    .. (direction == "desc" and "DESC" or "ASC") .. ", id"
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
  for index = slice.offset + 1, math.min(slice.offset + slice.limit, #seen) do result[#result + 1] = show(seen[index]) end
  return { result = result, result_info = query.result_info(slice, #result, #seen) }
end

local function get(context)
  return { result = show(context.account) }
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

M.routes = {
  { method = "GET", path = "/accounts", permission = permissions.any(), run = list },
  { method = "GET", path = "/accounts/{account_id}", permission = permissions.need("read", "Account Settings"), run = get },
}

return M
