-- moongate.eval: `moongate eval`: one expression, or JSON lines of them, against fields given as JSON.
--
-- For people who write rules and for tests that bring their own cases: it compiles with the very engine that serves
-- requests, only the fields come from JSON. run() takes its streams as arguments and returns the exit code (0 fine, 1
-- failed, 2 usage). Called by the command line. Reads the files it is given and nothing else.

local fields_module_name = "moongate.fields"
local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local json = require "moongate.json"
local rules = require "moongate.rules"
local types = require "moongate.rules.types"

local M = {}

local MAX_LINE = 1048576 -- bytes of one line of a batch

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

local function builtin_fields()
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
  local text = file:read("*a")
  file:close()
  return text
end

local function read_json(path, stdin)
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

local function scheme_fields(path, stdin)
  local value, err = read_json(path, stdin)
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

local function default_of(kind)
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

-- A schema whose accessors read the table `request.values`, which is filled anew for each evaluation.
local function new_schema(list, request)
  local declared = {}
  for i, field in ipairs(list) do
    local name = field.name
    local default = default_of(types.parse(field.type))
    declared[i] = {
      name = name,
      type = field.type,
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

local function convert_fields(schema, given)
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

local function compile(schema, expression, lists)
  return rules.compile(schema, { { expression = expression, action = "block" } }, { find_list = M.list_finder(lists) })
end

local function mistake_of(diag)
  return json.object {
    error = json.object { message = diag.message, line = diag.line, column = diag.column, length = diag.length },
  }
end

local function failure(message)
  return json.object { error = json.object { message = message, line = 1, column = 1, length = 1 } }
end

local ORDER = { "error", "message", "line", "column", "length" }

-- One line of a batch → the object to print.
local function answer(schema, request, line)
  local case, err = json.decode(line, { exact_integers = true })
  if err then
    return failure(("not JSON: %s (column %d)"):format(err.message, err.column))
  elseif not json.is_object(case) or type(case.expr) ~= "string" then
    return failure 'expected an object with the member "expr"'
  end
  local lists = json.is_object(case.lists) and case.lists or nil
  local ruleset, diag = compile(schema, case.expr, lists)
  if not ruleset then
    return mistake_of(diag)
  elseif case.fields == nil then
    return json.object { ok = true }
  end
  local values, bad = convert_fields(schema, case.fields)
  if not values then
    return failure(bad)
  end
  request.values = values
  return json.object { result = ruleset.run() == 1 }
end

local function run_batch(options, schema, request)
  local stdin, stdout = options.stdin or io.stdin, options.stdout or io.stdout
  for line in stdin:lines() do
    if line:find("%S") then
      local result = #line > MAX_LINE and failure "the line is longer than a mebibyte" or answer(schema, request, line)
      stdout:write(json.encode(result, { order = ORDER }), "\n")
    end
  end
  return 0
end

local function run_one(options, schema, request)
  local stdout, stderr = options.stdout or io.stdout, options.stderr or io.stderr
  local ruleset, diag = compile(schema, options.expression)
  if not ruleset then
    stderr:write(diag:render())
    if diag.hint then
      stderr:write(diag.hint, "\n")
    end
    return 1
  end
  if options.request then
    local given, err = read_json(options.request, options.stdin or io.stdin)
    if err then
      stderr:write("moongate eval: ", err, "\n")
      return 1
    end
    if json.is_object(given) and json.is_object(given.fields) then
      given = given.fields
    end
    local values, bad = convert_fields(schema, given)
    if not values then
      stderr:write("moongate eval: ", options.request, ": ", bad, "\n")
      return 1
    end
    request.values = values
  end
  if options.show_code then
    stdout:write(ruleset:code())
  end
  stdout:write(ruleset.run() == 1 and "true" or "false", "\n")
  return 0
end

--- Runs `moongate eval`.
---@param options { expression: string|nil, batch: boolean|nil, scheme: string|nil, request: string|nil,
---  show_code: boolean|nil, stdin: table|nil, stdout: table|nil, stderr: table|nil }
---  scheme and request are paths; "-" reads from stdin. Absent fields have their default: false, 0, "", 0.0.0.0, empty.
---@return integer exit  0 fine, 1 failed, 2 usage
function M.run(options)
  local stderr = options.stderr or io.stderr
  if (options.expression == nil) == not options.batch then
    stderr:write("moongate eval: expected either an expression or --batch\n")
    return 2
  end
  local list = builtin_fields()
  if options.scheme then
    local err
    list, err = scheme_fields(options.scheme, options.stdin or io.stdin)
    if not list then
      stderr:write("moongate eval: ", err, "\n")
      return 1
    end
  end
  local request = { values = {} }
  local ok, schema = pcall(new_schema, list, request)
  if not ok then
    stderr:write("moongate eval: ", tostring(schema), "\n")
    return 1
  end
  if options.batch then
    return run_batch(options, schema, request)
  end
  return run_one(options, schema, request)
end

return M
