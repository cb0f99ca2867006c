--- moongate.cli.export_document — the document that export writes and import reads: its shape, and its mistakes.
--
-- One JSON object: what the account has under `account`, and a list of zones, each with what it has. The members are the
-- kinds of moongate.cli.kinds. A member that is not there is not spoken of; an empty list says that there is nothing.

local config_file = require "moongate.config"
local json = require "moongate.json"
local kinds = require "moongate.cli.kinds"

local M = {}

M.VERSION = 1

local TOP = { moongate_export = true, scope = true, account = true, zones = true, left_out = true }
local ORDER = { "moongate_export", "scope", "account", "zones", "left_out", "name", "hostname", "type" }
local DEPTH = 24

--- The text of a document, the same for the same content.
---@param document table
---@return string
function M.encode(document)
  return json.encode(document, { sorted = true, order = ORDER, indent = true }) .. "\n"
end

local function type_of(value)
  if value == json.null then return "null" end
  if json.is_array(value) then return "array" end
  if json.is_object(value) then return "object" end
  if json.is_exact_integer(value) then return "number" end
  return type(value)
end

local function unknown(where, name, known)
  local names = {}
  for one in pairs(known) do names[#names + 1] = one end
  table.sort(names)
  local near = config_file.nearest(name, names)
  return ("%s: unknown member \"%s\"%s"):format(where, name, near and ("; did you mean \"%s\"?"):format(near) or "")
end

-- Each check gives the reason why the document is wrong, or nil.

local function check_value(kind, value, where)
  if type_of(value) ~= "object" then return where .. ": expected an object" end
  for name, member in pairs(value) do
    local wanted = kind.free and "any" or kind.members[name]
    if not wanted then return unknown(where, name, kind.members) end
    local found = type_of(member)
    if found ~= wanted and found ~= "null" and wanted ~= "any" then
      return ("%s.%s: expected %s, not %s"):format(where, name, wanted, found)
    end
  end
  for _, name in ipairs(kind.required or {}) do
    if value[name] == nil or value[name] == json.null then return ("%s: \"%s\" is missing"):format(where, name) end
  end
end

local function check_list(kind, list, where)
  if type_of(list) ~= "array" then return where .. ": expected an array" end
  local seen = {}
  for index, value in ipairs(list) do
    local at = ("%s[%d]"):format(where, index - 1)
    local reason = check_value(kind, value, at)
    if reason then return reason end
    local key = kind.key(value)
    if seen[key] then return ("%s: \"%s\" is there twice"):format(at, key) end
    seen[key] = true
  end
end

-- What a level has; `own` is the kind of which the object is a value itself.
local function check_level(level, object, where, own)
  if type_of(object) ~= "object" then return where .. ": expected an object" end
  local known, itself = kinds.of(level), {}
  for name, member in pairs(object) do
    local kind = known[name]
    if own and own.members[name] then
      itself[name] = member
    elseif not kind then
      for one in pairs(own and own.members or {}) do known[one] = true end
      return unknown(where, name, known)
    else
      local reason = (kind.single and check_value or check_list)(kind, member, where .. "." .. name)
      if reason then return reason end
    end
  end
  return own and check_value(own, json.object(itself), where)
end

local function check_zones(zones)
  if type_of(zones) ~= "array" then return "zones: expected an array" end
  local seen = {}
  for index, zone in ipairs(zones) do
    local where = ("zones[%d]"):format(index - 1)
    local reason = check_level("zone", zone, where, kinds.zones)
    if reason then return reason end
    if seen[zone.name] then return ("%s: \"%s\" is there twice"):format(where, zone.name) end
    seen[zone.name] = true
  end
end

local function mistake(document)
  if type_of(document) ~= "object" or document.moongate_export == nil then
    return "this is no export: \"moongate_export\" is missing"
  end
  if document.moongate_export ~= M.VERSION then
    return ("moongate_export: version %s cannot be read, only %d"):format(tostring(document.moongate_export), M.VERSION)
  end
  for name in pairs(document) do
    if not TOP[name] then return unknown("document", name, TOP) end
  end
  if document.scope ~= "account" and document.scope ~= "zone" then return "scope: expected \"account\" or \"zone\"" end
  if document.account ~= nil then
    local reason = check_level("account", document.account, "account")
    if reason then return reason end
  end
  return document.zones ~= nil and check_zones(document.zones) or nil
end

--- Reads a document.
---@param text string
---@return table|nil document
---@return string|nil reason
function M.read(text)
  local document, diag = json.decode(text, { max_depth = DEPTH, unique_keys = true, exact_integers = true })
  if document == nil then return nil, ("line %d, column %d: %s"):format(diag.line, diag.column, diag.message) end
  local reason = mistake(document)
  if reason then return nil, reason end
  return document
end

return M
