-- For specs of the rules engine: schemas over a table of values, and the two ways to an answer: compiled code, and
-- folding with every field known beforehand.

local eval = require "moongate.eval"
local json = require "moongate.json"
local rules = require "moongate.rules"
local types = require "moongate.rules.types"

local M = {}

local CASES = "spec/rules/cases/"

--- The files of the corpus.
function M.corpus()
  local list = {}
  local pipe = assert(io.popen("ls " .. CASES .. "*.jsonl"))
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  assert(#list > 0, "no corpus")
  return list
end

function M.decode(line)
  local value, err = json.decode(line, { exact_integers = true })
  assert(not err, err and err.message)
  return value
end

local DEFAULTS = { Boolean = false, Integer = 0, String = "", IP = "\0\0\0\0" }

--- The value of a field that a case does not give.
function M.default_of(kind)
  if kind.kind == "Array" then
    return { n = 0 }
  elseif kind.kind == "Map" then
    return {}
  end
  return DEFAULTS[kind.kind]
end

--- A schema whose accessors read request.values.
---@param declared table<string, string>  name → type
function M.schema(declared, request)
  local list = {}
  for name, kind in pairs(declared) do
    list[#list + 1] = { name = name, type = kind, access = function() return request.values[name] end }
  end
  return rules.new_schema { fields = list }
end

local file = assert(io.open(CASES .. "scheme.json", "rb"))
M.scheme = M.decode(file:read("*a")).fields
file:close()

local request = { values = {} }
local schema = M.schema(M.scheme, request)

local function run(expression, options)
  local ruleset, diag = rules.compile(schema, { { expression = expression, action = "block" } }, options)
  if not ruleset then
    return nil, diag
  end
  return ruleset.run() == 1, nil, ruleset
end

--- Answers one case both ways.
---@return { compiled: boolean, folded: boolean }|nil
---@return table|nil diagnostic
function M.check(case)
  local values = {}
  for name, kind in pairs(M.scheme) do
    local given = case.fields and case.fields[name]
    if given == nil then
      values[name] = M.default_of(types.parse(kind))
    else
      values[name] = eval.convert(given, types.parse(kind))
      assert(values[name] ~= nil, "the case gives no " .. kind .. " for " .. name)
    end
  end
  request.values = values
  local find_list = eval.list_finder(case.lists)
  local compiled, diag = run(case.expr, { find_list = find_list })
  if diag then
    return nil, diag
  end
  return { compiled = compiled, folded = (run(case.expr, { find_list = find_list, constants = values })) }
end

return M
