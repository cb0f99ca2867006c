--- moongate.admin.policy — effect, permission groups and resources of a token's policies: may it, or may it not?
--
-- Asked for every request, through moongate.admin.permissions, before anything else about it is looked at; the
-- resources that list things ask too. Explicit deny beats explicit allow, and what nobody allows is denied. A group
-- counts only on resources of its own scope, and a token that an account owns is nothing outside that account. What
-- this file cannot read grants nothing. Pure: policies come in as decoded JSON; who wrote them was checked by
-- moongate.admin.token.

local M = {}

local ACCOUNT, ZONE, USER = "com.cloudflare.api.account", "com.cloudflare.api.account.zone", "com.cloudflare.api.user"

--- The `scopes` of a permission group, by the word that this program uses for it.
M.SCOPES = { account = ACCOUNT, zone = ZONE, user = USER }

--- What a key of `resources` names.
---@param key string
---@return string|nil scope `account`, `zone` or `user`; nil for a key that names nothing
---@return string|nil id `*` or what stands in its place
function M.read_key(key)
  for _, scope in ipairs { "zone", "account", "user" } do -- `zone` first: its keys begin like those of accounts
    local prefix = M.SCOPES[scope] .. "."
    if key:sub(1, #prefix) == prefix then
      local id = key:sub(#prefix + 1)
      if id == "*" or (#id == 32 and not id:find("[^0-9a-f]")) then return scope, id end
      return nil
    end
  end
end

---@param scope string `account`, `zone` or `user`
---@param id string|nil everything of that scope when absent
---@return string key
function M.key(scope, id)
  return M.SCOPES[scope] .. "." .. (id or "*")
end

local function names(resources, scope, id)
  return resources[M.key(scope)] == "*" or (id ~= nil and resources[M.key(scope, id)] == "*")
end

-- Does a policy's `resources` speak of the target? Zones may also stand inside an entry of their account.
local function covers(resources, level, target)
  if level == "account" then return names(resources, "account", target.account_id) end
  if level == "user" then return names(resources, "user", target.user_id) end
  if names(resources, "zone", target.zone_id) then return true end
  for _, key in ipairs { M.key "account", target.account_id and M.key("account", target.account_id) } do
    local nested = resources[key]
    if type(nested) == "table" and names(nested, "zone", target.zone_id) then return true end
  end
  return false
end

local function names_group(policy, wanted)
  for _, group in ipairs(policy.permission_groups) do
    if wanted[group.id] then return true end
  end
  return false
end

---@class moongate.admin.identity
---@field id string|nil of the token; nil for a user's global key
---@field name string|nil of the token
---@field user_id string|nil the user whom the token or key belongs to
---@field email string|nil of that user
---@field account_id string|nil set for tokens that an account owns: nothing outside it is theirs
---@field everything boolean|nil
---@field policies table[]|nil present unless `everything`

---@class moongate.admin.target
---@field account_id string|nil that of the zone when there is one
---@field zone_id string|nil
---@field user_id string|nil

--- May this identity do what needs `need` to the target?
---@param identity moongate.admin.identity
---@param need moongate.admin.need
---@param target moongate.admin.target
---@return boolean
function M.allows(identity, need, target)
  if need.level == "any" then return true end
  if need.level == "unrestricted" then return identity.everything == true and not identity.account_id end
  if identity.account_id and identity.account_id ~= target.account_id then return false end
  if identity.everything then return true end
  local allowed = false
  for _, policy in ipairs(identity.policies) do
    if covers(policy.resources, need.level, target) then
      if policy.effect == "deny" and names_group(policy, need.deny) then return false end
      if policy.effect == "allow" and names_group(policy, need.allow) then allowed = true end
    end
  end
  return allowed
end

--- True when `allows` would say yes for whatever account or zone there is: lists need no filter then.
---@param identity moongate.admin.identity
---@param need moongate.admin.need
---@return boolean
function M.allows_everywhere(identity, need)
  if identity.account_id then return false end
  if identity.everything or need.level == "any" then return true end
  for _, policy in ipairs(identity.policies) do
    if policy.effect == "deny" then return false end
  end
  return M.allows(identity, need, {})
end

local function names_a_zone(resources, zone_ids)
  for key in pairs(resources) do
    local scope, id = M.read_key(key)
    if scope == "zone" and (id == "*" or zone_ids[id]) then return true end
  end
  return false
end

--- May the identity see the account at all: is it, or a zone that may be in it, named by an allowing policy?
---@param identity moongate.admin.identity
---@param account_id string
---@param zone_ids table<string, boolean> zones of the account
---@return boolean
function M.sees_account(identity, account_id, zone_ids)
  if identity.account_id then return identity.account_id == account_id end
  if identity.everything then return true end
  for _, policy in ipairs(identity.policies) do
    if policy.effect == "allow" then
      if names_a_zone(policy.resources, zone_ids) then return true end
      for _, key in ipairs { M.key "account", M.key("account", account_id) } do
        local value = policy.resources[key]
        if value == "*" then return true end
        if type(value) == "table" then
          -- All zones of the account: it is named even while it has none.
          if value[M.key "zone"] == "*" or names_a_zone(value, zone_ids) then return true end
        end
      end
    end
  end
  return false
end

--- Policies that allow these groups on everything there is, one for each scope that occurs.
---@param groups moongate.admin.group[]
---@return table[] policies without ids, `permission_groups` with names
function M.everywhere(groups)
  local policies = {}
  for _, scope in ipairs { "account", "zone", "user" } do
    local list = {}
    for _, group in ipairs(groups) do
      if group.scope == scope then list[#list + 1] = { id = group.id, name = group.name } end
    end
    if list[1] then
      policies[#policies + 1] = { effect = "allow", permission_groups = list, resources = { [M.key(scope)] = "*" } }
    end
  end
  return policies
end

return M
