--- moongate.cli.world — what a gateway has, for export and import: its places, and which id belongs to which key.
--
-- A place is the account or one of its zones. Kinds (moongate.cli.kind) remember here what they read or made, so that
-- things of a document can refer to each other by keys that mean the same on every gateway.

local api = require "moongate.cli.api"

local M = {}

local World = { escape = api.escape }
World.__index = World

local ZONE_TYPES = "full,partial,secondary,internal"

---@class moongate.cli.place
---@field level string `account` or `zone`
---@field name string
---@field path string|nil below which its things are; nil for a zone that is still to be made
---@field account table of an account: as the API shows it
---@field zone table|nil of a zone: as the API shows it

---@param session table moongate.cli.session
---@return table|nil world
---@return table|nil failure
function M.open(session)
  local account, failure = session:account()
  if not account then return nil, failure end
  local self = setmetatable({ api = session.api, zones = {}, zone_of = {}, ids = {} }, World)
  self.account_place = { level = "account", name = account.name, path = "/accounts/" .. account.id, account = account }
  local zones
  zones, failure = self.api:list("/zones", { ["account.id"] = account.id, type = ZONE_TYPES })
  if not zones then return nil, failure end
  for _, zone in ipairs(zones) do self:open_zone(zone) end
  return self
end

--- A zone that the gateway has, or has now.
---@param zone table as the API shows it
---@return moongate.cli.place
function World:open_zone(zone)
  local place = self:zone(zone.name)
  place.path, place.zone = "/zones/" .. zone.id, zone
  table.insert(self.zones, place)
  return place
end

--- A zone that the gateway has no longer.
---@param place moongate.cli.place
function World:close_zone(place)
  for index, zone in ipairs(self.zones) do
    if zone == place then table.remove(self.zones, index) end
  end
  self.zone_of[place.name] = nil
end

--- The place of a zone, which may be still to be made.
---@param name string
---@return moongate.cli.place
function World:zone(name)
  self.zone_of[name] = self.zone_of[name] or { level = "zone", name = name }
  return self.zone_of[name]
end

local function entries(self, name, place)
  self.ids[name] = self.ids[name] or {}
  self.ids[name][place] = self.ids[name][place] or { keys = {}, id_of = {}, key_of = {} }
  return self.ids[name][place]
end

---@param name string of a kind
---@param place moongate.cli.place
---@param key string
---@param id string
function World:remember(name, place, key, id)
  local known = entries(self, name, place)
  if not known.id_of[key] then table.insert(known.keys, key) end
  known.id_of[key], known.key_of[id] = id, key
end

---@return string|nil id
function World:id(name, place, key) return entries(self, name, place).id_of[key] end

---@return string|nil key
function World:key(name, place, id) return entries(self, name, place).key_of[id] end

---@return string[] keys in the order in which they were met
function World:keys(name, place) return entries(self, name, place).keys end

return M
