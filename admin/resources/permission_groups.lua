--- moongate.admin.resources.permission_groups — what the policies of tokens may name: a fixed list.
--
-- The same list for everyone who may read tokens; at the path of an account it leaves out what concerns users.

local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local policy = require "moongate.admin.policy"
local query = require "moongate.admin.query"
local errors = require "moongate.admin.errors"
local resource = require "moongate.admin.resource"

local M = {}

local PAGING = { style = "single", size = 500, min = 1, max = 500 }

local function show(group)
  return json.object {
    id = group.id, name = group.name, scopes = json.array { policy.SCOPES[group.scope] }, is_selectable = true,
  }
end

local function list(context, with_user)
  local slice, bad = context.query:slice(PAGING)
  if not slice then return nil, errors.fail("bad_query", bad) end
  local name, scope = context.query:get("name"), context.query:get("scope")
  local found = {}
  for _, group in ipairs(permissions.list) do
    if (with_user or group.scope ~= "user") and (not name or group.name == name)
      and (not scope or policy.SCOPES[group.scope] == scope) then
      found[#found + 1] = group
    end
  end
  local last = slice.limit == -1 and #found or math.min(slice.offset + slice.limit, #found)
  local result = resource.array()
  for index = slice.offset + 1, last do result[#result + 1] = show(found[index]) end
  return { result = result, result_info = query.result_info(slice, #result, #found) }
end

M.routes = {
  {
    method = "GET", path = "/user/tokens/permission_groups", permission = permissions.need("read", "API Tokens"),
    run = function(context) return list(context, true) end,
  },
  {
    method = "GET", path = "/accounts/{account_id}/tokens/permission_groups",
    permission = permissions.need("read", "Account API Tokens"),
    run = function(context) return list(context, false) end,
  },
}

return M
