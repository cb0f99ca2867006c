-- moongate.explain_print: the findings of explain.lua as a text for people or as JSON for programs.
--
-- What stands in requests and certificates is a stranger's: in the text every byte that a terminal could take for a command is
-- escaped as the language's own literals escape it, and long values are cut. JSON carries values whole; a string that is no
-- UTF-8 is an object {"bytes": hex}. Makes strings; writes nothing.

local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local json = require "moongate.json"
local utf8 = require "moongate.rules.utf8"

local concat, format, rep = table.concat, string.format, string.rep

local M = {}

local TEXT_MAX = 160  -- bytes of a string shown
local LIST_MAX = 8    -- elements of an array or a map shown

-- ---- values ----

local ESCAPE = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function escaped(text)
  return (text:gsub('[%c"\\\127-\255]', function(c) return ESCAPE[c] or format("\\x%02x", c:byte()) end))
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local SHOW = {}

local function shown(value, kind)
  if value == nil then return "missing" end
  return SHOW[kind.kind](value, kind)
end

function SHOW.Boolean(value) return tostring(value) end
function SHOW.Integer(value) return integer.to_decimal(value) end
function SHOW.IP(value) return ip.format(value) end

function SHOW.String(value)
  if #value <= TEXT_MAX then return '"' .. escaped(value) .. '"' end
  return format('"%s…" (%d bytes)', escaped(value:sub(1, TEXT_MAX)), #value)
end

function SHOW.Array(value, kind)
  local parts = {}
  for i = 1, math.min(value.n, LIST_MAX) do parts[i] = shown(value[i], kind.of) end
  if value.n > LIST_MAX then parts[LIST_MAX + 1] = format("… %d in all", value.n) end
  return "[" .. concat(parts, ", ") .. "]"
end

function SHOW.Map(value, kind)
  local parts, keys = {}, sorted_keys(value)
  for i = 1, math.min(#keys, LIST_MAX) do
    parts[i] = format('"%s": %s', escaped(keys[i]), shown(value[keys[i]], kind.of))
  end
  if #keys > LIST_MAX then parts[LIST_MAX + 1] = format("… %d in all", #keys) end
  return "{" .. concat(parts, ", ") .. "}"
end

local TO_JSON = {}

local function to_json(value, kind)
  if value == nil then return json.null end
  return TO_JSON[kind.kind](value, kind)
end

function TO_JSON.Boolean(value) return value end
function TO_JSON.IP(value) return ip.format(value) end

function TO_JSON.Integer(value)
  return type(value) == "number" and value or json.integer(integer.to_decimal(value))
end

local function text_to_json(text)
  if utf8.is_valid(text) then return text end
  return json.object { bytes = (text:gsub(".", function(c) return format("%02x", c:byte()) end)) }
end

TO_JSON.String = text_to_json

function TO_JSON.Array(value, kind)
  local list = json.array {}
  for i = 1, value.n do list[i] = to_json(value[i], kind.of) end
  return list
end

function TO_JSON.Map(value, kind)
  local map = json.object {}
  for key, element in pairs(value) do map[key] = to_json(element, kind.of) end
  return map
end

-- The answer of a condition: a Boolean, or an array of them.
local function answer_to_json(value)
  if type(value) ~= "table" then return value == nil and json.null or value end
  local list = json.array {}
  for i = 1, value.n do list[i] = value[i] end
  return list
end

-- ---- text ----

-- A piece of an expression on one line.
local function one_line(text)
  return (text:gsub("[\r\n]+ *", " "):gsub("[%c\127]", function(c) return format("\\x%02x", c:byte()) end)
    :gsub("\194[\128-\159]", "?"))
end

local function mark(node)
  if node.error then return "error" end
  return type(node.value) == "table" and "list" or tostring(node.value)
end

local function elements(list)
  local parts = {}
  for i = 1, math.min(list.n, LIST_MAX) do parts[i] = tostring(list[i]) end
  if list.n > LIST_MAX then parts[LIST_MAX + 1] = format("… %d in all", list.n) end
  return " = [" .. concat(parts, ", ") .. "]"
end

local write_node

-- How an element was reached says something only when it is missing.
local IS_ACCESS = { index = true, key = true, each = true }

local function write_value(value, depth, out)
  local text, margin = one_line(value.text), rep("  ", depth + 6)
  if value.error then
    out[#out + 1] = format("%s%s failed: %s", margin, text, one_line(value.error))
  else
    out[#out + 1] = format("%s%s = %s", margin, text, shown(value.value, value.type))
  end
  if IS_ACCESS[value.kind] and value.value ~= nil then return end
  for _, part in ipairs(value.parts) do
    if part.type then write_value(part, depth + 1, out) else write_node(part, depth + 1, out, true) end
  end
end

function write_node(node, depth, out, is_looked_at)
  local operand = node.operand
  out[#out + 1] = format("  %-7s %s%s%s%s", mark(node), rep("  ", depth), one_line(node.text),
    type(node.value) == "table" and elements(node.value) or "", is_looked_at and not node.reached and "   (not looked at)" or "")
  -- A plain Boolean field says all with its answer.
  if operand and not (node.kind == "test" and operand.kind == "field") then write_value(operand, depth, out) end
  for _, child in ipairs(node) do write_node(child, depth + 1, out, is_looked_at and node.reached) end
end

local function standing(rule)
  if not rule.enabled then return "disabled" end
  if not rule.reached then return "not reached" end
  local effect = rule.terminates and "decides" or rule.stops and "ends the evaluation" or "is reported"
  if rule.tree.error then
    return rule.terminates and "fails, which counts as a match, and decides" or "fails, which counts as no match"
  end
  return rule.matches and "matches and " .. effect or "does not match"
end

local function title_of(rule)
  local parts = { format("rule %d", rule.index) }
  if rule.id then parts[#parts + 1] = escaped(rule.id) end
  if rule.description and rule.description ~= "" then parts[#parts + 1] = '"' .. escaped(rule.description) .. '"' end
  return format("%s: %s: %s", concat(parts, " "), escaped(rule.action), standing(rule))
end

local function outcome_text(report, outcome)
  if report.is_expression then return outcome.action == "pass" and "false" or "true" end
  local text = outcome.action
  if outcome.index then text = format("%s by rule %d", text, outcome.index) end
  if outcome.reported[1] then text = format("%s, reported: rule %s", text, concat(outcome.reported, ", ")) end
  return text
end

local function write_changes(report, out)
  if not report.reads_certificate then
    out[#out + 1] = "The client certificate plays no part in it."
  elseif not report.changes[1] then
    out[#out + 1] = "No other client certificate that was tried would turn it."
  else
    out[#out + 1] = "Another client certificate would turn it:"
    for _, change in ipairs(report.changes) do
      out[#out + 1] = format("  %s -> %s", escaped(change.label):gsub('\\"', '"'), outcome_text(report, change.outcome))
    end
  end
end

--- The findings for people.
---@param report moongate.explain.Report
---@return string
function M.text(report)
  local out = {}
  if report.certificate then
    local reason = report.certificate.reason
    out[#out + 1] = "client certificate: " .. (reason and "not verified: " .. one_line(reason) or "verified")
    out[#out + 1] = ""
  end
  for _, rule in ipairs(report.rules) do
    if not report.is_expression then out[#out + 1] = title_of(rule) end
    if rule.enabled and rule.reached then write_node(rule.tree, 0, out, true) end
    if not report.is_expression or rule.tree then out[#out + 1] = "" end
  end
  out[#out + 1] = (report.is_expression and "the expression is " or "verdict: ") .. outcome_text(report, report.outcome)
  write_changes(report, out)
  return concat(out, "\n") .. "\n"
end

-- ---- JSON ----

local node_to_json

local function value_to_json(value)
  local parts = json.array {}
  for i, part in ipairs(value.parts) do parts[i] = part.type and value_to_json(part) or node_to_json(part) end
  return json.object {
    kind = value.kind, text = text_to_json(value.text), type = value.type.name, value = to_json(value.value, value.type),
    error = value.error and text_to_json(value.error), parts = parts,
  }
end

function node_to_json(node)
  local operands = json.array {}
  for i, child in ipairs(node) do operands[i] = node_to_json(child) end
  return json.object {
    kind = node.kind, text = text_to_json(node.text), value = answer_to_json(node.value), reached = node.reached,
    error = node.error and text_to_json(node.error), operand = node.operand and value_to_json(node.operand),
    operands = operands[1] and operands or nil,
  }
end

local function outcome_to_json(report, outcome)
  if report.is_expression then return json.object { result = outcome.action ~= "pass" } end
  return json.object { action = outcome.action, rule = outcome.index, reported = json.array { unpack(outcome.reported) } }
end

local function rule_to_json(rule)
  return json.object {
    index = rule.index, id = rule.id, action = rule.action, description = rule.description, expression = text_to_json(rule.expression),
    enabled = rule.enabled, reached = rule.reached, matches = rule.matches, tree = rule.tree and node_to_json(rule.tree),
  }
end

local ORDER = {
  "result", "verdict", "index", "id", "action", "rule", "reported", "certificate", "rules", "changes", "description", "expression",
  "enabled", "kind", "text", "type", "value", "error", "reached", "matches", "tree", "operand", "operands", "parts", "label", "set",
}

--- The findings for programs: one JSON object and a line break.
---@param report moongate.explain.Report
---@return string
function M.json(report)
  local rules, changes = json.array {}, json.array {}
  for i, rule in ipairs(report.rules) do rules[i] = rule_to_json(rule) end
  for i, change in ipairs(report.changes) do
    local set = json.object {}
    for name, value in pairs(change.set) do set[name] = to_json(value, report.schema.fields[name].type) end
    changes[i] = json.object { label = text_to_json(change.label), set = set, verdict = outcome_to_json(report, change.outcome) }
  end
  local certificate = report.certificate
  return json.encode(json.object {
    verdict = outcome_to_json(report, report.outcome), rules = rules, changes = changes,
    certificate = certificate and json.object { verified = certificate.verified, reason = certificate.reason },
  }, { order = ORDER }) .. "\n"
end

return M
