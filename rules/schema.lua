-- moongate.rules.schema: what a host lets expressions speak about: fields, functions, regular expressions, lists.
--
-- Built once by the host, then only read. A field that the host cannot compute may carry a constant, or be declared as
-- missing; it folds away when rules are compiled. Mistakes in a declaration are the host programmer's and raise an
-- error. Holds no values of any request.

local functions_host = require "moongate.rules.functions_host"
local regex = require "moongate.rules.regex"
local sha256 = require "moongate.rules.sha256"
local types = require "moongate.rules.types"

local M = {}

---@class moongate.rules.Field
---@field name string
---@field type moongate.rules.Type
---@field access (fun(): any)|nil  the value for the current request; takes nothing, answers nil only where may_miss is set
---@field constant any             the value, when it is the same for every request
---@field may_miss boolean|nil     whether a request can be without it; comparisons with it are false then
---@field missing boolean|nil      whether every request is: the field is known by name and type only
---@field source any               the host's own note, handed through

---@class moongate.rules.Schema
---@field fields table<string, moongate.rules.Field>
---@field functions table<string, table>
---@field regex table|nil   { compile, compile_captures }, as regex.lua has them; nil when there are none
---@field lists table|nil   { find = fun(name, type_name): (fun(value): boolean)|nil }

local NAME = "^[A-Za-z0-9_]+$"

local function is_name(name)
  if type(name) ~= "string" or name == "" then
    return false
  end
  for segment in (name .. "."):gmatch("([^.]*)%.") do
    if not segment:find(NAME) then
      return false
    end
  end
  return true
end

local function add_field(fields, declared)
  local name = declared.name
  if not is_name(name) then
    error(("%q is no field name"):format(tostring(name)), 0)
  end
  if fields[name] then
    error(("field %q is declared twice"):format(name), 0)
  end
  local kind, err = types.parse(declared.type)
  if not kind then
    error(("field %q: %s"):format(name, err), 0)
  end
  fields[name] = {
    name = name,
    type = kind,
    access = declared.access,
    constant = declared.constant,
    may_miss = declared.may_miss or declared.missing or nil,
    missing = declared.missing,
    source = declared.source,
  }
end

--- Builds a schema.
---@param spec { fields: table[], functions: table[]|nil, regex: table|false|nil, lists: table|nil, crypto: table|nil }
---  regex: another engine, or false for none; rules/regex.lua without it
---  crypto: { sha256 = fun(message): 32 bytes, hmac_sha256 = fun(key, message): 32 bytes }; plain Lua without it
---@return moongate.rules.Schema
function M.new(spec)
  local fields = {}
  for _, declared in ipairs(spec.fields) do
    add_field(fields, declared)
  end
  for _, name in ipairs { "true", "false" } do -- so that the whole expression `true` means every request
    if not fields[name] then
      add_field(fields, { name = name, type = "Boolean", constant = name == "true" })
    end
  end

  local regex_engine = spec.regex
  if regex_engine == nil then
    regex_engine = regex
  end
  local crypto = spec.crypto or { sha256 = sha256.digest, hmac_sha256 = sha256.hmac }
  local known = functions_host.builtin(crypto, regex_engine or nil)
  for _, def in ipairs(spec.functions or {}) do
    if not is_name(def.name) then
      error(("%q is no function name"):format(tostring(def.name)), 0)
    end
    known[def.name] = def
  end
  for name in pairs(known) do
    if fields[name] then
      error(("%q is both a field and a function"):format(name), 0)
    end
  end
  return { fields = fields, functions = known, regex = regex_engine or nil, lists = spec.lists }
end

return M
