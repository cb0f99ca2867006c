--- moongate.admin.dns_filters — which DNS records a list asks for: its query parameters as conditions of SQL.
--
-- Called by resources/dns_records.lua. Texts are compared without regard to case; no LIKE, which would give meaning
-- to a stranger's % and _. All SQL text comes from the tables below, all values travel as parameters. Pure.

local check = require "moongate.admin.check"
local dns_record = require "moongate.admin.dns_record"

local M = {}

-- operator → SQL about a text, and how often the value stands in it
local OPERATORS = {
  exact = { "%s = ?", 1 }, contains = { "instr(%s, ?) > 0", 1 },
  startswith = { "substr(%s, 1, length(?)) = ?", 2 }, endswith = { "substr(%s, -length(?)) = ?", 2 },
}

local TEXTS = { name = "hostname", content = "lower(content)", comment = "lower(comment)" }

local function compare(operator, subject, text)
  local template, values = OPERATORS[operator], {}
  for index = 1, template[2] do values[index] = text:lower() end
  return template[1]:format(subject), values
end

-- ---- what one parameter means: SQL and its values; nil for a value that makes no sense ----

local TAG = "EXISTS (SELECT 1 FROM dns_record_tags t WHERE t.record_id = dns_records.id AND %s)"

local function has_tag(operator, text)
  if operator == "present" then return TAG:format("lower(t.name) = ?"), { text:lower() } end
  if operator == "absent" then return "NOT " .. TAG:format("lower(t.name) = ?"), { text:lower() } end
  local name, value = text:match("^([^:]+):(.*)$")
  if not name then return nil end
  local sql, values = compare(operator, "lower(t.value)", value)
  table.insert(values, 1, name:lower())
  return TAG:format("lower(t.name) = ? AND " .. sql), values
end

local function has_type(text)
  for _, kind in ipairs(dns_record.TYPES) do
    if kind == text:upper() then return "type = ?", { kind } end
  end
  return "1 = 0", {}
end

local function is_proxied(text)
  local flag, bad = check.flag(text)
  if bad then return nil end
  return "proxied = ?", { flag and 1 or 0 }
end

local SEARCHED = { "hostname", "lower(content)", "lower(COALESCE(comment, ''))" }

local function search(text)
  local parts, values = {}, {}
  for index, subject in ipairs(SEARCHED) do
    parts[index] = ("instr(%s, ?) > 0"):format(subject)
    values[index] = text:lower()
  end
  parts[#parts + 1] = TAG:format("instr(lower(t.name || ':' || t.value), ?) > 0")
  values[#values + 1] = text:lower()
  return "(" .. table.concat(parts, " OR ") .. ")", values
end

-- parameter → function(value) of everything but tags
local PARAMETERS = { type = has_type, proxied = is_proxied, search = search,
  ["comment.present"] = function() return "comment IS NOT NULL", {} end,
  ["comment.absent"] = function() return "comment IS NULL", {} end }
for member, subject in pairs(TEXTS) do
  PARAMETERS[member] = function(text) return compare("exact", subject, text) end
  for operator in pairs(OPERATORS) do
    PARAMETERS[member .. "." .. operator] = function(text) return compare(operator, subject, text) end
  end
end

local TAGS = { tag = function(text) return has_tag(text:find(":", 1, true) and "exact" or "present", text) end }
for _, operator in ipairs { "present", "absent", "exact", "contains", "startswith", "endswith" } do
  TAGS["tag." .. operator] = function(text) return has_tag(operator, text) end
end

-- ---- all of them ----

-- One condition of all the parameters that are given; nil when none is.
local function joined(query, parameters, word)
  local names, parts, values = {}, {}, {}
  for name in pairs(parameters) do names[#names + 1] = name end
  table.sort(names) -- so that equal questions are one statement
  for _, name in ipairs(names) do
    local text = query:get(name)
    -- These two need no value.
    if not text and (name == "comment.present" or name == "comment.absent") and query.values[name] then text = "" end
    if text then
      local sql, list = parameters[name](text)
      if not sql then return nil, name end
      parts[#parts + 1] = sql
      for _, value in ipairs(list) do values[#values + 1] = value end
    end
  end
  if not parts[1] then return false end
  return "(" .. table.concat(parts, word) .. ")", values
end

local WORDS = { all = " AND ", any = " OR " }

--- The condition of a list.
---@param query table
---@return string|nil sql with `?`s
---@return any[]|string values; on failure the name of the parameter that makes no sense
function M.conditions(query)
  local word, tag_word = WORDS[query:get("match") or "all"], WORDS[query:get("tag_match") or "all"]
  if not word then return nil, "match" end
  if not tag_word then return nil, "tag_match" end
  local parts, values = {}, {}
  for _, group in ipairs { { PARAMETERS, word }, { TAGS, tag_word } } do
    local sql, list = joined(query, group[1], group[2])
    if sql == nil then return nil, list end
    if sql then
      parts[#parts + 1] = sql
      for _, value in ipairs(list) do values[#values + 1] = value end
    end
  end
  if not parts[1] then return "1 = 1", {} end
  return "(" .. table.concat(parts, word) .. ")", values
end

local ORDER = { type = "type", name = "hostname", content = "content", ttl = "ttl", proxied = "proxied" }
local DIRECTIONS = { asc = "ASC", desc = "DESC" }

--- The order of a list.
---@param query table
---@return string|nil sql for ORDER BY
---@return string|nil name of the parameter that makes no sense
function M.order(query)
  local direction = DIRECTIONS[query:get("direction") or "asc"]
  if not direction then return nil, "direction" end
  local column = ORDER[query:get("order") or "type"]
  if not column then return nil, "order" end
  return ("%s %s, hostname, content, id"):format(column, direction)
end

return M
