--- moongate.cli.plan — what has to be done so that a gateway has what a document says, and in which order.
--
-- Things are told apart by their keys. What both have is compared member by member; what only the document has is made,
-- what only the gateway has is deleted if that is asked for. Reads through the kinds, changes nothing itself. Called by
-- moongate.cli.import.

local json = require "moongate.json"
local kind_of = require "moongate.cli.kind"
local kinds = require "moongate.cli.kinds"

local M = {}

local SHOWN, LINES = 100, 20 -- characters of a value, lines of one operation

---@class moongate.cli.operation
---@field verb string `create`, `change`, `renew` or `delete`
---@field kind moongate.cli.kind
---@field place moongate.cli.place
---@field key string
---@field value table as it is to be
---@field before table|nil as it is; nil for what is new, and for the only one of a zone that is still to be made

-- ---- differences ----

local function shown(value)
  local text = type(value) == "string" and value or kind_of.canonical(value)
  text = text:gsub("%s+", " ")
  if #text > SHOWN then text = text:sub(1, SHOWN) .. "…" end
  return text
end

local function counted(list)
  local counts = {}
  for _, element in ipairs(list) do
    local text = kind_of.canonical(element)
    counts[text] = (counts[text] or 0) + 1
  end
  return counts
end

-- Elements of one list that the other one lacks.
local function lacking(list, other, sign, lines)
  local counts = counted(other)
  for _, element in ipairs(list) do
    local text = kind_of.canonical(element)
    if (counts[text] or 0) > 0 then
      counts[text] = counts[text] - 1
    else
      lines[#lines + 1] = sign .. " " .. shown(element)
    end
  end
end

local function differences_of(name, value, before, lines)
  if json.is_array(value) and json.is_array(before) then
    local count = #lines
    lacking(before, value, name .. " -", lines)
    lacking(value, before, name .. " +", lines)
    if #lines == count then lines[#lines + 1] = name .. ": in another order" end
  else
    lines[#lines + 1] = ("%s: %s → %s"):format(name, shown(before), shown(value))
  end
end

--- What a value says otherwise than the one before, a line each; empty when it says nothing else.
---@param value table
---@param before table
---@return string[]
function M.differences(value, before)
  local names, lines = {}, {}
  for name, member in pairs(value) do
    local was = before[name]
    if was == nil then was = json.null end
    if kind_of.canonical(member) ~= kind_of.canonical(was) then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local was = before[name]
    differences_of(name, value[name], was == nil and json.null or was, lines)
  end
  if #lines > LINES then
    local more = #lines - LINES
    for index = #lines, LINES + 1, -1 do lines[index] = nil end
    lines[LINES + 1] = ("… and %d more"):format(more)
  end
  return lines
end

-- ---- planning ----

local Plan = {}
Plan.__index = Plan

-- What people call a thing.
local function title(kind, place, key)
  local text = kind.singular
  if key ~= "" then text = ("%s %s"):format(text, shown(key)) end
  return place.level == "zone" and ("%s in the zone %s"):format(text, place.name) or text
end

local function add(self, verb, kind, place, key, value, before)
  local list = verb == "delete" and not kind.batch and self.deletions or self.changes
  list[#list + 1] = { verb = verb, kind = kind, place = place, key = key, value = value, before = before }
end

function Plan:refuse(kind, place, key, reason)
  self.reasons[#self.reasons + 1] = ("%s: %s"):format(title(kind, place, key), reason)
end

-- Is what a thing refers to there, or will it be?
local function check_needs(self, kind, place, value)
  if not kind.needs then return end
  local name, keys = kind.needs(value)
  local needed, known = kinds.of_account[name], self.wanted_keys[name]
  local goes = known and self.prune and self.scope == "account" -- what the document does not name
  for _, key in ipairs(keys) do
    local is_there = not goes and self.world:id(name, self.world.account_place, key)
    if not is_there and not (known and known[key]) then
      self:refuse(kind, place, kind.key(value), ("there is no %s \"%s\"%s"):format(needed.singular, tostring(key),
        needed.missing and "; " .. needed.missing or ""))
    end
  end
end

-- A document of a zone speaks of the account's things only for the zone to be whole.
local function is_beside(self, kind)
  return self.scope == "zone" and kind.level == "account"
end

local function plan_known(self, kind, place, key, value, before)
  local merged = kind_of.settle(kind, value, before)
  if not M.differences(merged, before)[1] then return end
  if is_beside(self, kind) and kind ~= kinds.zones then
    return self:refuse(kind, place, key, "the account has another one of that name; take it out of the document, or "
      .. "import a whole account")
  end
  local renew = kind.must_renew and kind.must_renew(merged, before)
  add(self, renew and "renew" or "change", kind, place, key, merged, before)
end

local function plan_wanted(self, kind, place, value, current)
  local key = kind.key(value)
  check_needs(self, kind, place, value)
  if current[key] then return plan_known(self, kind, place, key, value, current[key]) end
  if not kind.create and not kind.batch then return self:refuse(kind, place, key, kind.missing) end
  add(self, "create", kind, place, key, value)
end

local function plan_unwanted(self, kind, place, key, value)
  if is_beside(self, kind) then return end
  if self.prune and (kind.delete or kind.batch) then
    add(self, "delete", kind, place, key, value, value)
  else
    self.unnamed = self.unnamed + 1
  end
end

-- Compares what a place has of a kind with what is wanted of it; `current` in the order in which the API lists them.
local function plan_list(self, kind, place, wanted, list)
  local current, named = {}, {}
  for _, value in ipairs(list) do current[kind.key(value)] = value end
  for _, value in ipairs(wanted) do
    named[kind.key(value)] = true
    plan_wanted(self, kind, place, value, current)
  end
  for _, value in ipairs(list) do
    local key = kind.key(value)
    if not named[key] then
      named[key] = true
      plan_unwanted(self, kind, place, key, value)
    end
  end
end

local function plan_kind(self, kind, place, wanted)
  if not wanted and not kind.referred then return true end
  local list = {}
  if place.path then
    local read, failure = kind.read(self.world, place)
    if not read then return nil, failure end
    list = read
  end
  if not wanted then return true end -- read for what refers to it
  if not kind.single then
    plan_list(self, kind, place, wanted, list)
  elseif list[1] then
    plan_known(self, kind, place, "", wanted, list[1])
  elseif next(wanted) ~= nil then
    add(self, "change", kind, place, "", wanted)
  end
  return true
end

-- The zones themselves, without what they have.
local function plan_zones(self, document)
  local wanted, list = {}, {}
  for index, zone in ipairs(document.zones or {}) do
    wanted[index] = json.object {}
    for name in pairs(kinds.zones.members) do wanted[index][name] = zone[name] end
  end
  for index, place in ipairs(self.world.zones) do list[index] = kind_of.pick(place.zone, kinds.zones.members) end
  plan_list(self, kinds.zones, self.world.account_place, wanted, list)
end

-- Keys of what the document has of the account's kinds; nil for kinds that it does not speak of.
local function wanted_keys(document)
  local known = {}
  for name, kind in pairs(kinds.of "account") do
    local list = (document.account or {})[name]
    if list and not kind.single then
      known[name] = {}
      for _, value in ipairs(list) do known[name][kind.key(value)] = true end
    end
  end
  return known
end

local function plan_level(self, kind, document)
  if kind.level == "account" then
    return plan_kind(self, kind, self.world.account_place, (document.account or {})[kind.name])
  end
  for _, zone in ipairs(document.zones or {}) do
    local done, failure = plan_kind(self, kind, self.world:zone(zone.name), zone[kind.name])
    if not done then return nil, failure end
  end
  return true
end

--- Compares a gateway with a document.
---@param world table moongate.cli.world
---@param document table from moongate.cli.export_document
---@param prune boolean delete what the document does not name
---@return { operations: moongate.cli.operation[], unnamed: integer }|nil unnamed: things that only the gateway has
---@return table|nil failure
function M.make(world, document, prune)
  local self = setmetatable({
    world = world, prune = prune, scope = document.scope, wanted_keys = wanted_keys(document), unnamed = 0, reasons = {},
    changes = {}, deletions = {},
  }, Plan)
  for _, kind in ipairs(kinds.list) do
    if kind == kinds.zones then
      if document.zones then plan_zones(self, document) end
    else
      local done, failure = plan_level(self, kind, document)
      if not done then return nil, failure end
    end
  end
  if self.reasons[1] then
    return nil, { text = "the document does not fit this gateway; nothing was changed:\n  "
      .. table.concat(self.reasons, "\n  ") }
  end
  for index = #self.deletions, 1, -1 do self.changes[#self.changes + 1] = self.deletions[index] end
  return { operations = self.changes, unnamed = self.unnamed }
end

local SIGNS = { create = "+", change = "~", renew = "~", delete = "-" }
local WORDS = { create = "create", change = "change", renew = "replace", delete = "delete" }

--- An operation for people.
---@param operation moongate.cli.operation
---@param with_details boolean
---@return string one or more lines, each with its end
function M.text(operation, with_details)
  local lines = { ("%s %s %s"):format(SIGNS[operation.verb], WORDS[operation.verb],
    title(operation.kind, operation.place, operation.key)) }
  if with_details and operation.before and operation.verb ~= "delete" then
    for _, line in ipairs(M.differences(operation.value, operation.before)) do lines[#lines + 1] = "    " .. line end
  end
  return (table.concat(lines, "\n"):gsub("[%z\1-\9\11-\31\127]", "?")) .. "\n"
end

return M
