--- moongate.admin.permissions — permission groups, and what a route needs of them.
--
-- The groups' ids are those that stored configurations of API clients name. A route declares what it needs with
-- `need`, `any` or `unrestricted`; admin/init.lua asks `allows` before anything else is looked at. Write includes
-- Read. The decision itself is moongate.admin.policy's and is handed on from here. Pure.

local policy = require "moongate.admin.policy"

local M = {}

-- name, id of … Read, id of … Write, scope
local GROUPS = {
  { "SSL and Certificates", "7b7216b327b04b8fbc8f524e1f9b7531", "c03055bc037c4ea9afb9a9f104b7b721", "zone" },
  { "Account: SSL and Certificates",
    "a7a233f9604845c787d4c8c39ac09c21", "db37e5f1cb1a4e1aabaef8deaea43575", "account" },
  { "Zone WAF", "dbc512b354774852af2b5a5f4ba3d470", "fb6778dc191143babbfaa57993f1d275", "zone" },
  { "Account WAF", "56b2af4817c84ad99187911dc3986c23", "cde8c82463b6414ca06e46b9633f52a6", "account" },
  { "Account Rulesets", "fb39996ee9044d2a8725921e02744b39", "56907406c3d548ed902070ec4df0e328", "account" },
  { "Account Rule Lists", "4f1071168de8466e9808de86febfc516", "2edbf20661fd4661b0fe10e9e12f485c", "account" },
  { "Firewall Services", "4ec32dfcb35641c5bb32d5ef1ab963b4", "43137f8d07884d3198dc0ee77ca6e79b", "zone" },
  { "Zone Transform Rules", "211a4c0feb3e43b3a2d41f1443a433e7", "0ac90a90249747bca6b047d97f0803e9", "zone" },
  { "Managed headers", "319f5059d33a410da0fac4d35a716157", "0fd9d56bc2da43ad8ea22d610dd8cab1", "zone" },
  { "Origin", "7b32a91ece3140d4b3c2c56f23fc8e35", "a4308c6855c84eb2873e01b6cc85cbb3", "zone" },
  { "Zone", "c8fed203ed3043cba015a93ad1616f1f", "e6d2666161e84845a636613608cee8d5", "zone" },
  { "Zone Settings", "517b21aee92c4d89936c976ba6e4be55", "3030687196b94b638145a3953da2b699", "zone" },
  { "DNS", "82e64a83756745bbbb1c9c2701bf816b", "4755a26eedb94da69e1066d98aa820be", "zone" },
  { "Access: Mutual TLS Certificates",
    "4f3196a5c95747b6ad82e34e1d0a694f", "29d3afbfd4054af9accdd1118815ed05", "account" },
  { "Notifications", "ce18edbdcebf465e9d6d1d2fc80ffd42", "c3c847c5802d4ce3ba00e3e97b3c8555", "account" },
  { "Account Settings", "c1fde68c7bcc44588cbb6ddbc16d6480", "1af1fa2adc104452b74a9a3364202f20", "account" },
  { "Account API Tokens", "eb56a6953c034b9d97dd838155666f06", "5bc3f8b21c554832afc660159ab75fa4", "account" },
  { "User Details", "8acbe5bb0d54464ab867149d7f7cf8ac", "55a5e17cc99e4a3fa1f3432d262f2e55", "user" },
  { "Memberships", "3518d0f75557482e952c6762d3e64903", "9201bc6f42d440968aaab0c6f17ebb1d", "user" },
  { "API Tokens", "0cc3a61731504c89b99ec1be78b77aa0", "686d18d5ac6c441c867cbf6771e58a0a", "user" },
}

---@class moongate.admin.group
---@field id string
---@field name string full name, `Zone WAF Read`
---@field scope string `account`, `zone` or `user`

---@type moongate.admin.group[] in the order of the table above, Read before Write
M.list = {}
M.by_id, M.by_name = {}, {}
local ids = {} -- group name → { read = id, write = id, scope = … }

for _, group in ipairs(GROUPS) do
  ids[group[1]] = { read = group[2], write = group[3], scope = group[4] }
  for column, access in ipairs { "Read", "Write" } do
    local entry = { id = group[column + 1], name = group[1] .. " " .. access, scope = group[4] }
    M.list[#M.list + 1] = entry
    M.by_id[entry.id], M.by_name[entry.name] = entry, entry
  end
end

---@class moongate.admin.need
---@field level string `account`, `zone`, `user`, `any` or `unrestricted`
---@field allow table<string, boolean> group ids one of which is enough
---@field deny table<string, boolean> group ids that refuse when a policy denies them

--- What a route needs: `access` through one of the groups, whose scope decides what it is asked about.
---@param access string `read` or `write`
---@param ... string group names
---@return moongate.admin.need
function M.need(access, ...)
  local need = { allow = {}, deny = {} }
  for _, name in ipairs { ... } do
    local group = ids[name] or error("no permission group is called " .. name, 2)
    if need.level and need.level ~= group.scope then error("groups of different scopes in one need", 2) end
    need.level = group.scope
    need.allow[group.write] = true
    if access == "read" then need.allow[group.read] = true else need.deny[group.write] = true end
    need.deny[group.read] = true
  end
  return need
end

--- For what every valid credential may do.
---@return moongate.admin.need
function M.any()
  return { level = "any", allow = {}, deny = {} }
end

--- For what only a credential without limits may do: what belongs to no account, zone or user.
---@return moongate.admin.need
function M.unrestricted()
  return { level = "unrestricted", allow = {}, deny = {} }
end

-- Whoever has a need in hand asks about it here.
M.allows, M.allows_everywhere, M.sees_account = policy.allows, policy.allows_everywhere, policy.sees_account

return M
