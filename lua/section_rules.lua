-- moongate.section_rules: the rules of a section as the text that crosses to the workers, and back.
--
-- A section carries everything that its hosts' rules need: the firewall rules of the zone, the entry points of its account and of
-- the zone, the rulesets that these execute, and the lists that any of them name. What an account shares stands in the section of
-- each of its zones; a digest goes with every part of the text, so that a thread reads equal parts once and not once per zone.
-- encode() is the control plane's, read() everybody's: who proves rules reads them just as the workers will.
--
-- The text: one line of JSON { phases = { PHASE = [ { kind, part } ] }, rulesets = { id = part }, lists = { name = { kind, part } },
-- parts = [ { digest, length } ] }, then the bytes of the parts. A part is a JSON array of rules, or a packed list (rule_lists.lua).

local json = require "moongate.json"
local rule_lists = require "moongate.rule_lists"
local rule_part = require "moongate.rule_part"

local M = {}

local PHASE = "http_request_firewall_custom"
local SHAPE = "the rules are no text of this version: %s"

local function carried(rule)
  return json.object {
    id = rule.id, ref = rule.ref, action = rule.action, expression = rule.expression, enabled = rule.enabled ~= false,
    action_parameters = rule.action_parameters, logging = rule.logging,
  }
end

local function text_of(list)
  local array = json.array {}
  for index, rule in ipairs(list) do array[index] = carried(rule) end
  return json.encode(array)
end

-- The parts of a text in the making: equal ones are kept once.
local function parts_of(digest)
  local parts, known = { list = json.array {}, texts = {} }, {}
  function parts.add(text)
    local name = digest(text)
    if not known[name] then
      parts.list[#parts.list + 1] = json.object { digest = name, length = #text }
      parts.texts[#parts.texts + 1] = text
      known[name] = #parts.list
    end
    return known[name]
  end
  return parts
end

-- Which rules are run, in this order.
local ENTRIES = { { "firewall", "firewall_rules" }, { "account", "account_rules" }, { "zone", "rules" } }

--- Writes the rules of a zone's document.
---@param document { rules: table[], account_rules: table[]|nil, firewall_rules: table[]|nil, rulesets: table<string, table[]>|nil,
---  lists: table<string, { kind: string, items: string }>|nil }  moongate.admin.document says more
---@param digest fun(text: string): string  the same for equal texts only
---@return string|nil
---@return string|nil message  about a list that is none
function M.encode(document, digest)
  local parts = parts_of(digest)
  local entries, rulesets, lists = json.array {}, json.object {}, json.object {}
  for _, entry in ipairs(ENTRIES) do
    local list = document[entry[2]]
    if list and list[1] then
      entries[#entries + 1] = json.object { kind = entry[1], part = parts.add(text_of(list)) }
    end
  end
  for id, list in pairs(document.rulesets or {}) do rulesets[id] = parts.add(text_of(list)) end
  for name, list in pairs(document.lists or {}) do
    local packed, message = rule_lists.pack(list.kind, list.items)
    if not packed then return nil, ("list %s: %s"):format(name, message) end
    lists[name] = json.object { kind = list.kind, part = parts.add(packed) }
  end
  local head = json.object {
    phases = json.object { [PHASE] = entries }, rulesets = rulesets, lists = lists, parts = parts.list,
  }
  return json.encode(head, { sorted = true }) .. "\n" .. table.concat(parts.texts)
end

---@class moongate.section_rules.Section
---@field entries moongate.rule_part.Part[]  what is run, in order
---@field rulesets table<string, moongate.rule_part.Part>  what the entries execute
---@field lists table<string, { type: string, contains: fun(value: any): boolean }>

local Reader = {}
Reader.__index = Reader

--- A reader keeps what it read as long as some section has it, and hands it out again for an equal part.
---@param schema moongate.rules.Schema
---@param prepare (fun(part: moongate.rule_part.Part))|nil  called once for each part of rules
---@return table reader
function M.reader(schema, prepare)
  return setmetatable({ schema = schema, prepare = prepare, known = setmetatable({}, { __mode = "v" }) }, Reader)
end

local function rules_from(self, kind, text)
  local list, err = json.decode(text)
  if not json.is_array(list) then return nil, SHAPE:format(err and err.message or "a part is no array") end
  local part, message = rule_part.new(self.schema, list, kind)
  if part and self.prepare then self.prepare(part) end
  return part, message
end

local function list_from(_, kind, packed)
  return { type = rule_lists.TYPES[kind], contains = rule_lists.new(kind, packed) }
end

-- The texts of the parts by number; nil when the lengths do not add up.
local function cut(head, text, at)
  local parts = {}
  for number, part in ipairs(head.parts) do
    parts[number] = { digest = part.digest, text = text:sub(at, at + part.length - 1) }
    at = at + part.length
  end
  return at == #text + 1 and parts or nil
end

-- One part as rules or as a list, whichever `make` makes of it.
local function obtain(self, make, kind, part)
  local key = kind .. " " .. part.digest
  local found, message = self.known[key], nil
  if not found then
    found, message = make(self, kind, part.text)
    self.known[key] = found
  end
  return found, message
end

local function gather(self, head, parts)
  local section = { entries = {}, rulesets = {}, lists = {} }
  local message
  for index, entry in ipairs(head.phases[PHASE]) do
    section.entries[index], message = obtain(self, rules_from, entry.kind, parts[entry.part])
    if message then return nil, message end
  end
  for id, number in pairs(head.rulesets) do
    section.rulesets[id], message = obtain(self, rules_from, "custom", parts[number])
    if message then return nil, ("ruleset %s: %s"):format(id, message) end
  end
  for name, list in pairs(head.lists) do
    section.lists[name] = obtain(self, list_from, list.kind, parts[list.part])
  end
  return section
end

local function is_whole(section)
  for _, part in ipairs(section.entries) do
    for _, segment in ipairs(part.segments) do
      if segment.execute and not section.rulesets[segment.execute] then
        return nil, ("the ruleset %s, which is to be executed, is not there"):format(segment.execute)
      end
    end
  end
  return section
end

--- Reads what encode() wrote.
---@param text string
---@return moongate.section_rules.Section|nil
---@return string|nil message
function Reader:read(text)
  local stop = text:find("\n", 1, true)
  if not stop then return nil, SHAPE:format("the first line has no end") end
  local head, err = json.decode(text:sub(1, stop - 1))
  if not json.is_object(head) then return nil, SHAPE:format(err and err.message or "the first line is no object") end
  local parts = cut(head, text, stop + 1)
  if not parts then return nil, SHAPE:format("it is cut off") end
  local section, message = gather(self, head, parts)
  if not section then return nil, message end
  return is_whole(section)
end

--- The lists of a section as the engine asks for them.
---@param section moongate.section_rules.Section
---@return fun(name: string, type_name: string): (fun(value: any): boolean)|nil
function M.list_finder(section)
  return function(name, type_name)
    local list = section.lists[name]
    return list and list.type == type_name and list.contains or nil
  end
end

-- An accessor for every field: who proves rules has no request.
local NO_VALUES = setmetatable({}, { __index = function() return function() end end })

local function prove_part(part, find_list)
  for _, segment in ipairs(part.segments) do
    local ruleset, diagnostic, index = segment.document:specialise { access = NO_VALUES, find_list = find_list }
    if not ruleset then return nil, ("%s: %s"):format(rule_part.title(part, segment, index), diagnostic.message) end
  end
  return true
end

-- What a part's proof depends on besides the part.
local function signature_of(section)
  local names = {}
  for name, list in pairs(section.lists) do names[#names + 1] = name .. ":" .. list.type end
  table.sort(names)
  return table.concat(names, " ")
end

--- Compiles all rules of a section once, as a worker will for each host, with nothing known of the host. A part that was proven
--- with the same lists is not proven again.
---@param section moongate.section_rules.Section
---@return true|nil
---@return string|nil message
function M.prove(section)
  local signature, find_list = signature_of(section), M.list_finder(section)
  local parts = { unpack(section.entries) }
  for _, part in pairs(section.rulesets) do parts[#parts + 1] = part end
  for _, part in ipairs(parts) do
    if part.proven ~= signature then
      local ok, message = prove_part(part, find_list)
      if not ok then return nil, message end
      part.proven = signature
    end
  end
  return true
end

return M
