--- moongate.admin.resources.memberships — the user is a member of every account: one entry for each.
--
-- Nothing is stored: an entry's id follows from the user's and the account's. API clients read these lists to choose an
-- account, and take the refusal that tokens of an account get (403, 9109) as a reason to ask for accounts instead.

local accounts = require "moongate.admin.resources.accounts"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"

local M = {}

local PAGING = { style = "page", size = 20, min = 5, max = 50 }
local STATUSES = { accepted = true, pending = true, rejected = true }
local SUBJECTS = {
  "analytics", "billing", "cache_purge", "dns", "dns_records", "lb", "logs", "organization", "ssl", "waf",
  "zone_settings", "zones",
}

local function id_of(context, account)
  return stamp.hex(context.control.sha256("membership " .. context.identity.user_id .. " " .. account.id)):sub(1, 32)
end

local function show(context, account)
  local may = json.object {}
  for _, subject in ipairs(SUBJECTS) do may[subject] = json.object { read = true, write = true } end
  return json.object {
    id = id_of(context, account), status = "accepted", roles = json.array { "Administrator" },
    api_access_enabled = json.null, account = accounts.show(account), permissions = may,
  }
end

local function all_accounts(context)
  return context.tx:all(("SELECT %s FROM accounts ORDER BY name, id"):format(accounts.COLUMNS))
end

-- What entries are put in order by. All have the same status, so that order is the one of names.
local ORDERS = {
  id = function(context, account) return id_of(context, account) end,
  ["account.name"] = function(_, account) return account.name end,
  status = function(_, account) return account.name end,
}

local function in_order(context, list)
  local key_of = ORDERS[context.query:get("order") or "account.name"]
  if not key_of then return "order" end
  local direction = context.query:get("direction") or "asc"
  if direction ~= "asc" and direction ~= "desc" then return "direction" end
  local keys = {}
  for _, account in ipairs(list) do keys[account] = key_of(context, account) end
  table.sort(list, function(a, b)
    if keys[a] == keys[b] then return a.id < b.id end
    if direction == "desc" then return keys[a] > keys[b] end
    return keys[a] < keys[b]
  end)
end

local function list(context)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local status = context.query:get("status")
  if status and not STATUSES[status] then return nil, errors.fail("bad_query", "status") end
  local wanted = { context.query:get("name"), context.query:get("account.name") }
  local found = {}
  for _, account in ipairs(all_accounts(context)) do
    local fits = not status or status == "accepted"
    for _, name in pairs(wanted) do fits = fits and account.name == name end
    if fits then found[#found + 1] = account end
  end
  bad = in_order(context, found)
  if bad then return nil, errors.fail("bad_query", bad) end
  local result = resource.array()
  for index = slice.offset + 1, math.min(slice.offset + slice.limit, #found) do
    result[#result + 1] = show(context, found[index])
  end
  return { result = result, result_info = query.result_info(slice, #result, #found) }
end

local function get(context)
  for _, account in ipairs(all_accounts(context)) do
    if id_of(context, account) == context.params.membership_id then return { result = show(context, account) } end
  end
  return nil, errors.fail("membership_unknown")
end

M.routes = {
  { method = "GET", path = "/memberships", permission = permissions.need("read", "Memberships"), run = list },
  {
    method = "GET", path = "/memberships/{membership_id}", permission = permissions.need("read", "Memberships"),
    run = get,
  },
}

return M
