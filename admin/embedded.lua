--- moongate.admin.embedded — the control plane of a gateway that is part of another program: a whole configuration comes
--- as one JSON text, is built, proven and published. No store, no API, nothing on disk.
---
--- The control thread calls `publish` through moongate.phases, which gets this module handed in by C. Zones that say
--- the same as in the configuration that is served keep their sections. What is refused changes nothing.

local embedded_document = require "moongate.admin.embedded_document"
local json = require "moongate.json"

local M = {}

local MAX_DEPTH = 32

local Embedded = {}
Embedded.__index = Embedded

---@param control table moongate.control
---@return table embedded
function M.new(control)
  return setmetatable({ control = control, generation = 0, sections = {} }, Embedded)
end

-- Appends what a decoded value says, in one order whatever order it was written in; no two values say the same.
local function spell(value, parts)
  local n = #parts
  if type(value) == "string" then
    parts[n + 1], parts[n + 2], parts[n + 3] = #value, ":", value
  elseif type(value) ~= "table" or value == json.null then
    parts[n + 1], parts[n + 2] = tostring(value), ";"
  elseif json.is_array(value) then
    parts[n + 1] = "["
    for _, element in ipairs(value) do spell(element, parts) end
    parts[#parts + 1] = "]"
  else
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    parts[n + 1] = "{"
    for _, key in ipairs(keys) do
      spell(key, parts)
      spell(value[key], parts)
    end
    parts[#parts + 1] = "}"
  end
  return parts
end

local function where_in(index, where)
  return ("zones[%d]%s"):format(index - 1, where ~= "" and ": " .. where or "")
end

-- The section of one zone with its name, and a digest of what it says: the one that is served, when it says the same.
local function section_of(self, value, index)
  local digest = self.control.sha256(table.concat(spell(value, {})))
  local kept = self.sections[digest]
  if kept then return kept, digest end
  local document, mistake = embedded_document.zone(self.control, value, index)
  if not document then return nil, mistake end
  local section, diag = self.control.section(document)
  if not section then return nil, { where = where_in(index, diag.where), text = diag.text } end
  return { name = document.name, section = section }, digest
end

local function sections_of(self, zones)
  local list, by_digest, names = {}, {}, {}
  for index, value in ipairs(zones) do
    local entry, digest = section_of(self, value, index)
    if not entry then return nil, digest end
    if names[entry.name] then
      return nil, { where = where_in(index, "name"), text = ("the zone %s stands twice"):format(entry.name) }
    end
    names[entry.name], by_digest[digest], list[index] = true, entry, entry.section
  end
  return list, by_digest
end

--- Replaces what is served.
---@param text string JSON
---@return true|nil
---@return { where: string, text: string, code: integer|nil }|nil code: why it is not served everywhere
function Embedded:publish(text)
  local decoded, err = json.decode(text, { max_depth = MAX_DEPTH, unique_keys = true })
  if err then return nil, { where = ("line %d, column %d"):format(err.line, err.column), text = err.message } end
  local given, mistake = embedded_document.read(decoded)
  if not given then return nil, mistake end
  local generation = given.generation or self.generation + 1
  if generation < self.generation then
    return nil, { where = "generation", text = ("generation %d is served already"):format(self.generation) }
  end
  local list, by_digest = sections_of(self, given.zones)
  if not list then return nil, by_digest end
  local snapshot, diag = self.control.snapshot(generation, list, { strict_sni = given.strict_sni })
  if not snapshot then return nil, diag end
  self.sections, self.generation = by_digest, generation
  local ok
  ok, diag = self.control.publish(snapshot)
  self.control.tick()
  if not ok then return nil, diag end
  return true
end

return M
