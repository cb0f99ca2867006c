-- moongate.rules: the rules language as a library: expression text in, a function out.
--
-- Pure Lua (5.1, 5.2, LuaJIT), no I/O, no knowledge of any gateway. The host declares its fields with accessors that
-- take nothing and return the value for the current request; functions, regular expressions and lists beyond the
-- built-in ones are handed in.
--
--   local rules = require "moongate.rules"
--   local schema = rules.new_schema { fields = {
--     { name = "http.host", type = "String", access = function() return request.host end },
--     { name = "ssl", type = "Boolean", access = function() return request.is_tls end },
--   } }
--   local ruleset, diagnostic, index = rules.compile(schema, {
--     { expression = 'http.host eq "api.example.com" and not ssl', action = "block" },
--   })
--   if not ruleset then io.stderr:write(diagnostic:render()) end
--   local verdict = ruleset.run()      -- 0, or the index of the rule that ended the evaluation
--
-- run() raises what an accessor raises. The host calls it under its own pcall and, on an error, asks
-- ruleset.run_guarded(), which goes rule by rule: an error in a rule that blocks counts as a match, elsewhere as
-- none.

local document = require "moongate.rules.document"
local parse = require "moongate.rules.parse"
local schema_of = require "moongate.rules.schema"

local pcall = pcall

local M = {}

--- Declares what expressions may speak about. Raises an error for a bad declaration.
---@param spec { fields: table[], functions: table[]|nil, regex: table|nil, lists: table|nil }
---@return moongate.rules.Schema
function M.new_schema(spec)
  return schema_of.new(spec)
end

--- Parses and checks one expression.
---@param schema moongate.rules.Schema
---@param text string
---@return table|nil tree
---@return moongate.rules.Diagnostic|nil
function M.parse(schema, text)
  local ok, tree = pcall(parse.filter, schema, text)
  if not ok then
    return nil, document.diagnose(text, tree)
  end
  return tree
end

--- Parses and checks one value expression: a field, an indexed field or a call.
---@param schema moongate.rules.Schema
---@param text string
---@return table|nil tree  tree.type is its type
---@return moongate.rules.Diagnostic|nil
function M.parse_value(schema, text)
  local ok, tree = pcall(parse.value, schema, text)
  if not ok then
    return nil, document.diagnose(text, tree)
  end
  return tree
end

--- Parses and checks a list of rules, to be specialised for hostnames.
---@param schema moongate.rules.Schema
---@param list table[]  each { expression, action, enabled = true, action_parameters, … }
---@return moongate.rules.Document|nil
---@return moongate.rules.Diagnostic|nil
---@return integer|nil index  of the first bad rule
function M.document(schema, list)
  return document.new(schema, list)
end

--- document() and specialise() in one step.
---@param schema moongate.rules.Schema
---@param list table[]
---@param options table|nil  as for Document:specialise
---@return moongate.rules.Ruleset|nil
---@return moongate.rules.Diagnostic|nil
---@return integer|nil index  of the first bad rule
function M.compile(schema, list, options)
  local parsed, diag, index = document.new(schema, list)
  if not parsed then
    return nil, diag, index
  end
  return parsed:specialise(options)
end

return M
