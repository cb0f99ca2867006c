-- moongate.given: what somebody gives as JSON in place of a request: fields and their types, their values, named lists.
--
-- For the commands that answer without a gateway (eval.lua, explain.lua) and for tests that bring their own cases. A schema made
-- here reads its values from a table, with the very engine and the matcher that serve requests. Reads the files it is given
-- and nothing else; a mistake is a message for people.

local fields_module_name = "moongate.fields"
local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local json = require "moongate.json"
local rules = require "moongate.rules"
local types = require "moongate.rules.types"

local M = {}

-- The built-in fields, when the module that declares them for the gateway is not there (a library without the gateway).
local BASIC_FIELDS = {
  { name = "http.host", type = "String" },
  { name = "http.request.uri.path", type = "String" },
  { name = "http.request.method", type = "String" },
  { name = "http.user_agent", type = "String" },
  { name = "ip.src", type = "IP" },
  { name = "ssl", type = "Boolean" },
  { name = "cf.tls_client_auth.cert_presented", type = "Boolean" },
  { name = "cf.tls_client_auth.cert_verified", type = "Boolean" },
  { name = "cf.tls_client_auth.cert_revoked", type = "Boolean" },
  { name = "cf.tls_client_auth.cert_issuer_ski", type = "String" },
  { name = "cf.tls_client_auth.cert_fingerprint_sha256", type = "String" },
  { name = "cf.tls_client_auth.cert_subject_dn", type = "String" },
}

--- The fields that the gateway declares.
---@return table[]  each with name and type
function M.builtin_fields()
  local ok, module = pcall(require, fields_module_name)
  return ok and module.list or BASIC_FIELDS
end

-- The matcher of the gateway; the engine's own where there is no C core.
local function gateway_regex()
  local ok, module = pcall(require, "moongate.regex")
  return ok and module or nil
end

local function read_file(path)
  local file, err = io.open(path, "rb")
  if not file then
    return nil, err
  end
  local text
  text, err = file:read("*a") -- of a directory: nil and the reason
  file:close()
  return text, err
end

--- Reads a JSON file; integers beyond 2^53 keep their digits.
---@param path string  "-" is standard input
---@param stdin table
---@return any value  nil only on failure
---@return string|nil err
function M.read_json(path, stdin)
  local text, err
  if path == "-" then
    text = stdin:read("*a")
  else
    text, err = read_file(path)
    if not text then
      return nil, err
    end
  end
  local value, mistake = json.decode(text, { exact_integers = true })
  if mistake then
    return nil, ("%s:%d:%d: %s"):format(path, mistake.line, mistake.column, mistake.message)
  end
  return value
end

--- Fields declared by a file: an object name → type.
---@param path string
---@param stdin table
---@return table[]|nil
---@return string|nil err
function M.scheme_fields(path, stdin)
  local value, err = M.read_json(path, stdin)
  if err then
    return nil, err
  end
  if json.is_object(value) and json.is_object(value.fields) then
    value = value.fields
  end
  if not json.is_object(value) then
    return nil, path .. ": expected an object of field names and types"
  end
  local list = {}
  for name, kind in pairs(value) do
    local _, bad = types.parse(kind)
    if bad then
      return nil, ("%s: field %q: %s"):format(path, name, bad)
    end
    list[#list + 1] = { name = name, type = kind }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local DEFAULT = { Boolean = false, Integer = 0, String = "", IP = "\0\0\0\0" }

--- The value of a field that nobody gave and that is not always the same: false, 0, "", 0.0.0.0, empty.
---@param kind moongate.rules.Type
---@return any
function M.default_of(kind)
  if kind.kind == "Array" then
    return { n = 0 }
  elseif kind.kind == "Map" then
    return {}
  end
  return DEFAULT[kind.kind]
end

local convert

local CONVERT = {}

function CONVERT.Boolean(value)
  if type(value) == "boolean" then
    return value
  end
end

function CONVERT.String(value)
  if type(value) == "string" then
    return value
  end
end

function CONVERT.Integer(value)
  if type(value) == "number" then
    return integer.is_integer(value) and value + 0 or nil
  elseif json.is_exact_integer(value) then
    return integer.from_decimal(value.digits)
  end
end

function CONVERT.IP(value)
  return type(value) == "string" and ip.parse(value) or nil
end

function CONVERT.Array(value, kind)
  if not json.is_array(value) then
    return nil
  end
  local out = { n = #value }
  for i = 1, #value do
    out[i] = convert(value[i], kind.of)
    if out[i] == nil then
      return nil
    end
  end
  return out
end

function CONVERT.Map(value, kind)
  if not json.is_object(value) then
    return nil
  end
  local out = {}
  for k, v in pairs(value) do
    out[k] = convert(v, kind.of)
    if out[k] == nil then
      return nil
    end
  end
  return out
end

function convert(value, kind)
  return CONVERT[kind.kind](value, kind)
end

--- A decoded JSON value as a value of the language.
---@param value any  from json.decode with exact_integers
---@param kind moongate.rules.Type
---@return any value  nil when it does not fit the type
M.convert = convert

--- A schema whose accessors read the table `request.values`, which is filled anew for each evaluation.
---@param list table[]  fields, each with name and type
---@param request { values: table<string, any> }  what has no value has the default of its type
---@return moongate.rules.Schema
function M.new_schema(list, request)
  local declared = {}
  for i, field in ipairs(list) do
    local name = field.name
    local default
    if not field.absent then
      default = field.constant
      if default == nil then
        default = M.default_of(types.parse(field.type))
      end
    end
    declared[i] = {
      name = name,
      type = field.type,
      may_miss = field.absent,
      access = function()
        local value = request.values[name]
        if value == nil then
          return default
        end
        return value
      end,
    }
  end
  return rules.new_schema { fields = declared, regex = gateway_regex() }
end

--- Values of fields from a decoded JSON object.
---@param schema moongate.rules.Schema
---@param given any
---@return table<string, any>|nil
---@return string|nil err
function M.values(schema, given)
  if not json.is_object(given) then
    return nil, "fields: expected an object"
  end
  local out = {}
  for name, value in pairs(given) do
    local field = schema.fields[name]
    if not field then
      return nil, ("fields: unknown field %q"):format(name)
    end
    local converted = convert(value, field.type)
    if converted == nil then
      return nil, ("fields: %q is no %s"):format(name, field.type.name)
    end
    out[name] = converted
  end
  return out
end

--- Named lists as the engine asks for them: each item is read as the type that the rule compares. A list that is not
--- given is empty.
---@param given table|nil  name → array of strings or integers
---@return fun(name: string, type_name: string): fun(value: any): boolean
function M.list_finder(given)
  return function(name, type_name)
    local kind = types.parse(type_name)
    local items = given and given[name]
    local singles, networks = {}, {}
    for _, item in ipairs(json.is_array(items) and items or {}) do
      if kind == types.ip and type(item) == "string" then
        local first, last = ip.parse_item(item)
        if first then
          networks[#networks + 1] = { first, last }
        end
      else
        if kind == types.integer and type(item) == "string" then
          item = integer.from_decimal(item)
        else
          item = convert(item, kind)
        end
        if item ~= nil then
          singles[item] = true
        end
      end
    end
    return function(value)
      for _, network in ipairs(networks) do
        local same_family = #network[1] == #value
        if same_family and ip.compare(network[1], value) <= 0 and ip.compare(value, network[2]) <= 0 then
          return true
        end
      end
      return singles[value] == true
    end
  end
end

--- Values of fields from a file: an object field → value, or one whose member "fields" is that.
---@param schema moongate.rules.Schema
---@param path string  "-" is standard input
---@param stdin table
---@return table<string, any>|nil
---@return string|nil err
function M.read_values(schema, path, stdin)
  local given, err = M.read_json(path, stdin)
  if err then
    return nil, err
  end
  if json.is_object(given) and json.is_object(given.fields) then
    given = given.fields
  end
  local values, bad = M.values(schema, given)
  if not values then
    return nil, path .. ": " .. bad
  end
  return values
end

return M
