--- moongate.cli.kind — what export and import know of one kind of thing, and the parts that most kinds share.
--
-- The kinds themselves are declared in moongate.cli.kinds_account, kinds_rules and kinds_zone. A kind says how things are
-- read from the API in portable form (no ids, no times; other things named by their keys), what tells them apart, and
-- which calls make, change and remove one. Comparing and ordering is moongate.cli.plan's.

local json = require "moongate.json"
local sha256 = require "moongate.rules.sha256"

local M = {}

---@class moongate.cli.kind
---@field name string member of the document that holds the things
---@field singular string for people
---@field level string `account` or `zone`
---@field single boolean|nil there is always exactly one, the member is an object
---@field members table<string, string> what may be said, and the type that it must have
---@field required string[]|nil members without which a thing is none
---@field key fun(value: table): string tells the things of a place apart, for people too
---@field read fun(world: table, place: table): table[]|nil, table|nil portable values; ids are remembered in the world
---@field create (fun(world: table, place: table, value: table): any, table|nil)|nil
---@field change (fun(world: table, place: table, value: table, before: table): any, table|nil)|nil
---@field delete (fun(world: table, place: table, value: table): any, table|nil)|nil
---@field must_renew (fun(value: table, before: table): boolean)|nil true: no change will do, it has to be made anew
---@field renew (fun(world: table, place: table, value: table, before: table): any, table|nil)|nil
---@field needs (fun(value: table): string, string[])|nil name of a kind of the account, and keys that must be there
---@field missing string|nil why a thing that is not there cannot be made; such kinds have no create
---@field free boolean|nil any member may stand there, with any value
---@field complete (fun(value: table, before: table): table)|nil a value with what the API would add to what it says
---@field repeatable boolean|nil a second one of the same key adds nothing
---@field hidden boolean|nil never in a document
---@field referred boolean|nil others refer to it, so it is read even where a document does not speak of it
---@field batch (fun(world: table, place: table, operations: table[]): any, table|nil)|nil all operations of a place at once

--- What a member says; nil for null.
---@param value any
---@return any
function M.given(value)
  if value ~= json.null then return value end
end

--- A portable value: these members of what the API shows, all of them. A document may leave some out, which then stay as
--- they are.
---@param raw table
---@param members table<string, any>
---@return table
function M.pick(raw, members)
  local value = json.object {}
  for name in pairs(members) do
    value[name] = raw[name]
    if value[name] == nil then value[name] = json.null end
  end
  return value
end

--- The same without nulls, for what stands inside a value.
---@param raw table
---@param members table<string, any>
---@return table
function M.trim(raw, members)
  local value = json.object {}
  for name in pairs(members) do value[name] = M.given(raw[name]) end
  return value
end

--- A value as a document means it: what it leaves out is as it was before.
---@param value table
---@param before table|nil
---@return table
function M.merge(value, before)
  local merged = json.object {}
  for name, member in pairs(before or {}) do merged[name] = member end
  for name, member in pairs(value) do merged[name] = member end
  return merged
end

--- What a value comes to over what is there: completed as the API would, and what it does not speak of as it was.
---@param kind moongate.cli.kind
---@param value table
---@param before table
---@return table
function M.settle(kind, value, before)
  return M.merge(kind.complete and kind.complete(value, before) or value, before)
end

--- A copy of a value whose member, an object, speaks of some things only.
---@param value table
---@param before table where the rest is
---@param name string of the member
---@return table
function M.fill(value, before, name)
  local copy = M.merge(value)
  if json.is_object(value[name]) and json.is_object(before[name]) then copy[name] = M.merge(value[name], before[name]) end
  return copy
end

--- A text that is the same for equal values.
---@param value any
---@return string
function M.canonical(value)
  return json.encode(value, { sorted = true })
end

--- What stands for a certificate without a name.
---@param pem string
---@return string
function M.fingerprint(pem)
  local digest = sha256.digest((pem:gsub("%s+", "")))
  return "sha256:" .. (digest:gsub(".", function(char) return ("%02x"):format(char:byte()) end)):sub(1, 32)
end

--- Things below a path of their own that is a name: PUT makes and replaces, DELETE removes.
---@param kind moongate.cli.kind with `collection` (path below the place), `path_of` (the rest of it), perhaps `portable`
--- (raw → value) and `body` (value → body)
---@return moongate.cli.kind
function M.named(kind)
  local function path(world, place, value)
    return ("%s%s/%s"):format(place.path, kind.collection, kind.path_of(world, value))
  end
  local function put(world, place, value)
    local body = kind.body and kind.body(world, place, value) or value
    return world.api:ask("PUT", path(world, place, value), body)
  end
  kind.read = kind.read or function(world, place)
    local list, failure = world.api:list(place.path .. kind.collection)
    if not list then return nil, failure end
    local values = {}
    for index, raw in ipairs(list) do
      values[index] = kind.portable and kind.portable(world, raw) or M.pick(raw, kind.members)
    end
    return values
  end
  kind.create, kind.change = put, put
  kind.delete = function(world, place, value) return world.api:ask("DELETE", path(world, place, value)) end
  return kind
end

return M
