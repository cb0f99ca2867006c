--- moongate.admin.token — a token as bodies write it and as answers show it.
--
-- Called by the two resources that manage tokens (tokens.lua, account_tokens.lua). Reads policies strictly: every
-- group must be known, and every resource must be one that the token's owner has: an account's token may name that
-- account and its zones, a user's token whatever there is. Ids of others are refused without saying whether they
-- exist. What clients compare (order, blocks of a condition, `meta`) comes back as it came. Stores nothing itself.

local condition = require "moongate.admin.condition"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local policy = require "moongate.admin.policy"
local stamp = require "moongate.admin.stamp"

local M = {}

local POLICIES, GROUPS, RESOURCES, META = 64, 256, 1000, 8 -- at most

--- The declaration of the body.
M.FIELDS = {
  { name = "name", type = "string" },
  { name = "policies", type = "array", of = "object", max = POLICIES },
  { name = "condition", type = "object" },
  { name = "not_before", type = "string" },
  { name = "expires_on", type = "string" },
  { name = "status", type = "string", one_of = { "active", "disabled", "expired" } },
}

---@class moongate.admin.token_owner whose tokens are managed
---@field account_id string|nil the account; nil: the user
---@field user_id string|nil

local function wrong(pointer, name, text)
  return nil, errors.fail_at(pointer, "token_value", name, text)
end

-- A group's `meta` means nothing here, but clients want it back.
local function read_meta(meta, pointer)
  if meta == nil or meta == json.null then return nil end
  local count = 0
  for name, value in pairs(json.is_object(meta) and meta or { 0 }) do
    count = count + 1
    if type(name) ~= "string" or type(value) ~= "string" or #name + #value > 256 or count > META then
      return wrong(pointer, "meta", "expected an object of a few short strings")
    end
  end
  return meta
end

local function read_group(group, pointer, owner)
  local id = json.is_object(group) and group.id
  if type(id) ~= "string" then return wrong(pointer .. "/id", "id", "expected the id of a permission group") end
  local known = permissions.by_id[id]
  if not known or (owner.account_id and known.scope == "user") then
    return nil, errors.fail_at(pointer .. "/id", "token_group", (id:sub(1, 64):gsub("[^%w]", "?")))
  end
  local meta, failure = read_meta(group.meta, pointer .. "/meta")
  if failure then return nil, failure end
  return json.object { id = id, meta = meta }
end

local function read_groups(list, pointer, owner)
  if not json.is_array(list) or not list[1] then return wrong(pointer, "permission_groups", "at least one group") end
  if #list > GROUPS then return wrong(pointer, "permission_groups", ("at most %d groups"):format(GROUPS)) end
  local groups = json.array {}
  for index, group in ipairs(list) do
    local read, failure = read_group(group, ("%s/%d"):format(pointer, index - 1), owner)
    if not read then return nil, failure end
    groups[index] = read
  end
  return groups
end

-- Does the owner have the thing? An account that is no one's, a zone that is elsewhere and a star that reaches beyond
-- are all the same answer.
local OWNS = {
  account = function(tx, owner, id)
    if owner.account_id then return id == owner.account_id end
    return id == "*" or tx:one("SELECT 1 AS one FROM accounts WHERE id = ?", id) ~= nil
  end,
  zone = function(tx, owner, id, inside)
    if id == "*" then return true end
    local zone = tx:one("SELECT account_id FROM zones WHERE id = ?", id)
    if not zone or (owner.account_id and zone.account_id ~= owner.account_id) then return false end
    return not inside or inside == "*" or zone.account_id == inside
  end,
  user = function(_, owner, id)
    return owner.account_id == nil and (id == "*" or id == owner.user_id)
  end,
}

local function escaped(key)
  return (key:sub(1, 128):gsub("~", "~0"):gsub("/", "~1"):gsub("[^\33-\126]", "?")) -- RFC 6901 section 3
end

local function read_key(tx, owner, key, pointer, inside)
  local scope, id = policy.read_key(key)
  if not scope or (inside and scope ~= "zone") then
    return wrong(pointer, "resources", inside and "only zones may stand inside an account"
      or "expected com.cloudflare.api.account.<id>, …account.zone.<id> or …user.<id>, with an id or a star")
  end
  if not OWNS[scope](tx, owner, id, inside) then return nil, errors.fail_at(pointer, "unauthorized") end
  return scope, id
end

-- Counts the keys as it goes: `seen` is shared by all levels of one policy.
local function read_resources(tx, owner, value, pointer, seen, inside)
  if not json.is_object(value) or not next(value) then
    return wrong(pointer, "resources", "expected an object with at least one resource")
  end
  local resources, keys = json.object {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys) -- so that of several mistakes the same one is always told
  for _, key in ipairs(keys) do
    local below = pointer .. "/" .. escaped(key)
    seen.count = seen.count + 1
    if seen.count > RESOURCES then return wrong(pointer, "resources", ("at most %d resources"):format(RESOURCES)) end
    local scope, id = read_key(tx, owner, key, below, inside)
    if not scope then return nil, id end
    if value[key] == "*" then
      resources[key] = "*"
    elseif scope == "account" and json.is_object(value[key]) then
      local nested, failure = read_resources(tx, owner, value[key], below, seen, id)
      if not nested then return nil, failure end
      resources[key] = nested
    else
      return wrong(below, "resources", "expected \"*\"" .. (scope == "account" and " or an object of zones" or ""))
    end
  end
  return resources
end

local function read_policy(tx, owner, given, pointer)
  if given.effect ~= "allow" and given.effect ~= "deny" then
    return wrong(pointer .. "/effect", "effect", "expected one of allow, deny")
  end
  local groups, resources, failure
  groups, failure = read_groups(given.permission_groups, pointer .. "/permission_groups", owner)
  if not groups then return nil, failure end
  resources, failure = read_resources(tx, owner, given.resources, pointer .. "/resources", { count = 0 })
  if not resources then return nil, failure end
  return json.object { effect = given.effect, permission_groups = groups, resources = resources }
end

-- A policy keeps its id as long as it is the same policy, by its id or by what it says.
local function number_policies(context, list, before)
  local known, used = {}, {}
  for _, old in ipairs(before or {}) do
    if old.id then known[old.id] = true end
  end
  local function content(one)
    return json.encode({ one.effect, one.permission_groups, one.resources }, { sorted = true })
  end
  for index, one in ipairs(list) do
    local id = context.values.policies[index].id
    one.id = type(id) == "string" and known[id] and not used[id] and id or nil
    if one.id then used[one.id] = true end
  end
  for _, one in ipairs(list) do
    for _, old in ipairs(one.id and {} or before or {}) do
      if old.id and not used[old.id] and content(old) == content(one) then
        one.id, used[old.id] = old.id, true
        break
      end
    end
    one.id = one.id or stamp.hex_id(context.control.random)
  end
end

local function read_policies(context, owner, before)
  local given = context.values.policies
  if not given or not given[1] then return wrong("/policies", "policies", "at least one policy") end
  local list = json.array {}
  for index, one in ipairs(given) do
    local read, failure = read_policy(context.tx, owner, one, ("/policies/%d"):format(index - 1))
    if not read then return nil, failure end
    list[index] = read
  end
  number_policies(context, list, before)
  return list
end

local function read_times(values)
  local times = {}
  for _, name in ipairs { "not_before", "expires_on" } do
    if values[name] then
      local moment = stamp.read(values[name])
      if not moment then return wrong("/" .. name, name, "expected a time such as 2027-01-31T12:00:00Z") end
      times[name] = stamp.seconds(moment)
    end
  end
  if times.not_before and times.expires_on and times.not_before >= times.expires_on then
    return wrong("/expires_on", "expires_on", "it is not after not_before")
  end
  return times
end

local function read_condition(value)
  if not value then return false end
  local read, complaint = condition.read(value)
  if read == nil then return wrong("/condition" .. complaint.pointer, "condition", complaint.text) end
  return read
end

---@class moongate.admin.token_values
---@field name string
---@field policies string JSON
---@field condition string|nil JSON
---@field not_before string|nil
---@field expires_on string|nil
---@field status string

--- Reads the body of a request that makes or replaces a token.
---@param context table with the values that FIELDS declares
---@param owner moongate.admin.token_owner
---@param before table[]|nil the policies that are replaced
---@return moongate.admin.token_values|nil
---@return moongate.admin.error[]|nil
function M.read(context, owner, before)
  local values = context.values
  if not values.name or #values.name > 120 then return nil, errors.fail_at("/name", "token_name") end
  local policies, times, limits, failure
  policies, failure = read_policies(context, owner, before)
  if not policies then return nil, failure end
  limits, failure = read_condition(values.condition)
  if limits == nil then return nil, failure end
  times, failure = read_times(values)
  if not times then return nil, failure end
  return {
    name = values.name, policies = json.encode(policies), condition = limits and json.encode(limits) or nil,
    not_before = times.not_before, expires_on = times.expires_on, status = values.status or "active",
  }
end

-- Policies from the command line have no ids of their own; they get some that stay.
local function shown_policies(context, row)
  local list = row.policies and json.decode(row.policies)
  if not row.policies then list = policy.everywhere(permissions.list) end
  local shown = json.array {}
  for index, one in ipairs(type(list) == "table" and list or {}) do
    local groups = json.array {}
    for position, group in ipairs(one.permission_groups) do
      local known = permissions.by_id[group.id]
      groups[position] = json.object { id = group.id, name = known and known.name or group.name, meta = group.meta }
    end
    local id = one.id or stamp.hex(context.control.sha256(("policy %s %d"):format(row.id, index))):sub(1, 32)
    shown[index] = json.object {
      id = id, effect = one.effect, permission_groups = groups, resources = json.object(one.resources),
    }
  end
  return shown
end

--- What a token's status is at a moment.
---@param row { status: string, expires_on: string|nil }
---@param now number
---@return string
function M.status(row, now)
  if row.status == "active" and row.expires_on and stamp.seconds(now) >= row.expires_on then return "expired" end
  return row.status
end

--- A token as the API shows it, without its secret.
---@param context table
---@param row table a row of the table `tokens`
---@return table
function M.show(context, row)
  local limits = row.condition and json.decode(row.condition)
  return json.object {
    id = row.id, name = row.name, status = M.status(row, context.now), policies = shown_policies(context, row),
    condition = type(limits) == "table" and condition.show(limits) or nil,
    not_before = row.not_before, expires_on = row.expires_on,
    issued_on = row.issued_on, modified_on = row.modified_on, last_used_on = row.last_used_on or json.null,
  }
end

return M
