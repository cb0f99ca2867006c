--- moongate.admin.resources.tokens — API tokens of the user: is mine valid, and managing them all.
--
-- The verbs are made for an owner by `routes`, so that account_tokens.lua has the same ones. A secret is in the answer
-- that makes or rolls it and nowhere else. Tokens that the operator made on the machine are listed too; those without
-- policies, which may do everything, can be changed only by credentials that may do everything. Quotas are the store's.

local auth = require "moongate.admin.auth"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local query = require "moongate.admin.query"
local resource = require "moongate.admin.resource"
local stamp = require "moongate.admin.stamp"
local token = require "moongate.admin.token"

local M = {}

local PAGING = { style = "page", size = 20, min = 5, max = 50 }
local COLUMNS = "id, name, policies, condition, status, not_before, expires_on, issued_on, modified_on, last_used_on"
local OWNED = "COALESCE(account_id, '') = ?" -- the index has the same expression

local function verify(context, owned_by_account)
  local identity = context.identity
  local fits = identity.id and (identity.account_id ~= nil) == owned_by_account
  if owned_by_account then fits = fits and identity.account_id == context.params.account_id end
  -- Clients take exactly this code as "a token of the other kind".
  if not fits then return nil, errors.fail("token_not_valid") end
  return {
    result = json.object {
      id = identity.id, status = "active", expires_on = identity.expires_on, not_before = identity.not_before,
    },
    messages = { { code = 10000, message = "This API Token is valid and active", type = json.null } },
  }
end

--- The verb of the verification endpoints. That the request came this far is most of the answer; what is wrong with a
--- token is said by admin/auth.lua, in the codes that clients of these paths look for.
---@param owned_by_account boolean
---@return fun(context: table): table|nil, table|nil
function M.verify(owned_by_account)
  return function(context) return verify(context, owned_by_account) end
end

local function find(context, owner)
  local id = context.params.token_id
  local row = stamp.is_hex_id(id)
    and context.tx:one(("SELECT %s FROM tokens WHERE id = ? AND %s"):format(COLUMNS, OWNED), id, owner.account_id or "")
  if not row then return nil, errors.fail("token_unknown") end
  return row
end

-- For a change: who has limits may not get hold of a token that has none.
local function find_changeable(context, owner)
  local row, failure = find(context, owner)
  if not row then return nil, failure end
  if not row.policies and not context.identity.everything then return nil, errors.fail("token_managed_elsewhere") end
  return row
end

local function list(context, owner)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local direction = context.query:get("direction") or "desc"
  if direction ~= "asc" and direction ~= "desc" then return nil, errors.fail("bad_query", "direction") end
  local with_expired = context.query:get("include_expired") or "false"
  if with_expired ~= "true" and with_expired ~= "false" then return nil, errors.fail("bad_query", "include_expired") end
  local where, values = OWNED, { owner.account_id or "" }
  if with_expired == "false" then
    where = where .. " AND status <> 'expired' AND (expires_on IS NULL OR expires_on > ?)"
    values[2] = stamp.seconds(context.now)
  end
  local total = context.tx:one("SELECT count(*) AS n FROM tokens WHERE " .. where, unpack(values)).n
  values[#values + 1], values[#values + 2] = slice.limit, slice.offset
  local result, order = resource.array(), direction:upper()
  local sql = ("SELECT %s FROM tokens WHERE %s ORDER BY issued_on %s, id %s LIMIT ? OFFSET ?")
    :format(COLUMNS, where, order, order)
  for index, row in ipairs(context.tx:all(sql, unpack(values))) do result[index] = token.show(context, row) end
  return { result = result, result_info = query.result_info(slice, #result, total) }
end

local function get(context, owner)
  local row, failure = find(context, owner)
  if not row then return nil, failure end
  return { result = token.show(context, row) }
end

local function refused(context, refusal)
  if refusal.kind ~= "quota" then error("tokens: " .. refusal.kind .. " " .. refusal.name) end
  return errors.fail("token_quota", context.tx:one("SELECT value FROM quotas WHERE name = ?", refusal.name).value)
end

local function create(context, owner)
  local values, failure = token.read(context, owner)
  if not values then return nil, failure end
  if values.expires_on and values.expires_on <= stamp.seconds(context.now) then
    return nil, errors.fail_at("/expires_on", "token_value", "expires_on", "it is in the past")
  end
  local text, prefix, hash = auth.mint(context.control)
  local id, now = stamp.hex_id(context.control.random), stamp.seconds(context.now)
  local made, refusal = context.tx:run("INSERT INTO tokens (id, account_id, name, prefix, hash, policies, condition, "
    .. "status, not_before, expires_on, issued_on, modified_on, made_by) "
    .. "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'api')", id, owner.account_id, values.name, prefix, hash,
    values.policies, values.condition, values.status, values.not_before, values.expires_on, now, now)
  if not made then return nil, refused(context, refusal) end
  context.params.token_id = id
  local result = token.show(context, (find(context, owner)))
  result.value = text
  return { result = result }
end

local function replace(context, owner)
  local row, failure = find_changeable(context, owner)
  if not row then return nil, failure end
  local values
  values, failure = token.read(context, owner, row.policies and json.decode(row.policies))
  if not values then return nil, failure end
  assert(context.tx:run("UPDATE tokens SET name = ?, policies = ?, condition = ?, status = ?, not_before = ?, "
    .. "expires_on = ?, modified_on = ? WHERE id = ?", values.name, values.policies, values.condition, values.status,
    values.not_before, values.expires_on, stamp.seconds(context.now), row.id))
  return get(context, owner)
end

local function delete(context, owner)
  local row, failure = find_changeable(context, owner)
  if not row then return nil, failure end
  assert(context.tx:run("DELETE FROM tokens WHERE id = ?", row.id))
  return { result = json.object { id = row.id } }
end

local function roll(context, owner)
  local row, failure = find_changeable(context, owner)
  if not row then return nil, failure end
  local text, prefix, hash = auth.mint(context.control)
  assert(context.tx:run("UPDATE tokens SET prefix = ?, hash = ?, modified_on = ? WHERE id = ?", prefix, hash,
    stamp.seconds(context.now), row.id))
  return { result = text }
end

--- The routes that manage the tokens of one kind of owner.
---@param path string of the collection
---@param group string permission group
---@param owner_of fun(context: table): moongate.admin.token_owner
---@return moongate.admin.route[]
function M.routes_for(path, group, owner_of)
  local one = path .. "/{token_id}"
  local reads, writes = permissions.need("read", group), permissions.need("write", group)
  local function run(verb)
    return function(context) return verb(context, owner_of(context)) end
  end
  return {
    { method = "GET", path = path, permission = reads, run = run(list) },
    { method = "POST", path = path, permission = writes, run = run(create), group = "tokens", fields = token.FIELDS },
    { method = "GET", path = one, permission = reads, run = run(get) },
    { method = "PUT", path = one, permission = writes, run = run(replace), group = "tokens", fields = token.FIELDS },
    { method = "DELETE", path = one, permission = writes, run = run(delete) },
    {
      method = "PUT", path = one .. "/value", permission = writes, run = run(roll), group = "tokens",
      body = "optional", verb = "roll", -- some clients send {}, some nothing
    },
  }
end

M.routes = M.routes_for("/user/tokens", "API Tokens", function(context)
  return { user_id = context.identity.user_id }
end)
M.routes[#M.routes + 1] = {
  method = "GET", path = "/user/tokens/verify", permission = permissions.any(), verifies = "user",
  run = M.verify(false),
}

return M
