--- moongate.admin.check — small validators for bodies and queries, driven by declarations.
--
-- Resources declare their fields as a list of { name, type, … }; `object` reads a decoded body by it and collects all
-- mistakes, each with a JSON Pointer. Names, addresses and other values have functions of their own. Pure: no store,
-- no I/O.
--
-- A field's keys: name; type (`string`, `boolean`, `integer`, `array`, `object`, `any`); of (element type of an array);
-- required; default; min, max (bytes, elements or value); one_of; empty_is_value (by rule, `""` means absent).

local json = require "moongate.json"

local M = {}

local NAMES = { string = "a string", boolean = "true or false", integer = "a whole number", array = "an array",
  object = "an object" }

--- The kind of a decoded JSON value, in the words of the declarations. A number with a fraction is `number`.
---@param value any
---@return string
function M.kind(value)
  if value == json.null then return "null" end
  local kind = type(value)
  if kind == "table" then return json.is_array(value) and "array" or "object" end
  if kind == "number" then
    if value == math.floor(value) and value > -2 ^ 53 and value < 2 ^ 53 then return "integer" end
    return "number"
  end
  return kind
end

local function bounds(field, value, kind)
  local size = kind == "integer" and value or #value
  local unit = kind == "string" and " bytes" or kind == "array" and " elements" or ""
  if field.min and size < field.min then return ("at least %d%s, not %d"):format(field.min, unit, size) end
  if field.max and size > field.max then return ("at most %d%s, not %d"):format(field.max, unit, size) end
end

local function mistake(field, value)
  local kind = M.kind(value)
  if field.type == "any" then return nil end
  if kind ~= field.type then return ("expected %s"):format(NAMES[field.type]) end
  if kind == "string" or kind == "array" or kind == "integer" then
    local text = bounds(field, value, kind)
    if text then return text end
  end
  if field.one_of then
    for _, allowed in ipairs(field.one_of) do
      if allowed == value then return nil end
    end
    return "expected one of " .. table.concat(field.one_of, ", ")
  end
  if field.of then
    for index, element in ipairs(value) do
      if M.kind(element) ~= field.of then return ("element %d: expected %s"):format(index, NAMES[field.of]) end
    end
  end
end

---@class moongate.admin.mistake
---@field pointer string
---@field field string
---@field text string

--- Reads `body` by the declarations. Unknown keys are ignored, as clients expect; null and "" count as absent.
---@param body any a decoded JSON value
---@param fields table[]
---@return table|nil values
---@return moongate.admin.mistake[]|nil mistakes
function M.object(body, fields)
  if M.kind(body) ~= "object" then
    return nil, { { pointer = "", field = "body", text = "expected an object" } }
  end
  local values, mistakes = {}, {}
  for _, field in ipairs(fields) do
    local value = body[field.name]
    if value == json.null or (value == "" and not field.empty_is_value) then value = nil end
    local text
    if value ~= nil then
      text = mistake(field, value)
    elseif field.required then
      text = "this field is required"
    else
      value = field.default
    end
    if text then
      mistakes[#mistakes + 1] = { pointer = "/" .. field.name, field = field.name, text = text }
    else
      values[field.name] = value
    end
  end
  if mistakes[1] then return nil, mistakes end
  return values
end

--- Does a NUL stand in any string of a decoded value? The depth is what the decoder allowed.
---@param value any
---@return boolean
function M.has_nul(value)
  if type(value) == "string" then return value:find("\0", 1, true) ~= nil end
  if type(value) ~= "table" or value == json.null then return false end
  for key, element in pairs(value) do
    if M.has_nul(key) or M.has_nul(element) then return true end
  end
  return false
end

local function label_mistake(label)
  if label == "" then return "it has an empty label" end
  if #label > 63 then return "a label has more than 63 characters" end
  if label:find("[^a-z0-9_%-]") then return "only letters, digits, hyphens and underscores may stand in a label" end
  if label:sub(1, 1) == "-" or label:sub(-1) == "-" then return "a label begins or ends with a hyphen" end
end

--- Brings a DNS name to the one form that is stored and compared: lower case, without the trailing dot, A-labels.
---@param text string
---@return string|nil name
---@return string|nil reason
function M.hostname(text)
  if text:find("[\128-\255]") then return nil, "write international names in their xn-- form" end
  local name = text:lower():gsub("%.$", "")
  if name == "" then return nil, "it is empty" end
  if #name > 253 then return nil, "it has more than 253 characters" end
  for label in (name .. "."):gmatch("([^.]*)%.") do
    local reason = label_mistake(label)
    if reason then return nil, reason end
  end
  if name:match("[^.]+$"):find("^%d+$") then return nil, "the last label is a number, as in an address" end
  return name
end

--- True when `name` is `zone` or ends in `.zone`. Both in stored form.
---@param name string
---@param zone string
---@return boolean
function M.is_within(name, zone)
  return name == zone or name:sub(-#zone - 1) == "." .. zone
end

--- `a.example.com` → `com.example.a.`: names below a name have it as their prefix, which an index can search.
---@param name string
---@return string
function M.reversed(name)
  local labels = {}
  for label in name:gmatch("[^.]+") do table.insert(labels, 1, label) end
  return table.concat(labels, ".") .. "."
end

--- A query parameter that must be `true` or `false`.
---@return boolean|nil value nil when absent
---@return boolean bad
function M.flag(text)
  if text == nil or text == "" then return nil, false end
  if text == "true" then return true, false end
  if text == "false" then return false, false end
  return nil, true
end

return M
