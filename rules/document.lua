-- moongate.rules.document: a list of rules, parsed and checked once, specialised for each hostname.
--
-- Rules that can only match for certain values of a field (`http.host eq "a"`, `http.host in {…}` among the terms of
-- an `and`) are indexed by those values, so that specialising for one of ten thousand hosts touches that host's rules
-- and the general ones only. The parsed document never changes; the rulesets made from it live on without it.

local compile = require "moongate.rules.compile"
local diagnostic = require "moongate.rules.diagnostic"
local parse = require "moongate.rules.parse"
local specialise = require "moongate.rules.specialise"

local pcall, type = pcall, type

local M = {}

-- What a match of each action does to the evaluation. "verdict": ends it, and the rule is the answer. "report": told
-- to the host, which acts on it, and the next rule follows.
local EFFECT = {
  block = "verdict",
  managed_challenge = "verdict",
  js_challenge = "verdict",
  challenge = "verdict",
  log = "report",
  skip = "report",
  execute = "report",
  rewrite = "report",
}

--- Turns a raised mistake into a Diagnostic; anything else that is raised is our bug and goes on.
---@param text string
---@param err any
---@return moongate.rules.Diagnostic
function M.diagnose(text, err)
  if type(err) ~= "table" or not err.pos then
    error(err, 0)
  end
  return diagnostic.new(text, err.message, err.pos, err.length, err.hint)
end

---@class moongate.rules.Document
---@field schema moongate.rules.Schema
---@field rules table[]  { tree, index, terminates, stops, text }; disabled rules are left out
local Document = {}
Document.__index = Document

-- The values of a field for which a condition can be true at all: a set, or nil when it may be any value.
local function values_of(node, name)
  local kind = node.kind
  if kind == "compare" then
    local left = node.left
    if left.kind ~= "field" or left.field.name ~= name then
      return nil
    elseif node.op == "eq" then
      return { [node.right] = true }, 1
    elseif node.op == "in" and node.right.members and not node.right.in_range then
      return node.right.members, node.right.count
    end
    return nil
  elseif kind == "and" then -- any operand's set will do: take the smallest
    local best, best_count
    for i = 1, #node do
      local set, count = values_of(node[i], name)
      if set and (not best or count < best_count) then
        best, best_count = set, count
      end
    end
    return best, best_count
  elseif kind == "or" then
    local union, count = {}, 0
    for i = 1, #node do
      local set = values_of(node[i], name)
      if not set then
        return nil
      end
      for value in pairs(set) do
        if not union[value] then
          union[value], count = true, count + 1
        end
      end
    end
    return union, count
  end
  return nil
end

local function build_index(rules, name)
  local by_value, general = {}, {}
  for i, rule in ipairs(rules) do
    local set = values_of(rule.tree, name)
    if not set then
      general[#general + 1] = i
    else
      for value in pairs(set) do
        local list = by_value[value]
        if not list then
          list = {}
          by_value[value] = list
        end
        list[#list + 1] = i
      end
    end
  end
  return { by_value = by_value, general = general }
end

-- Two increasing lists as one.
local function merge(a, b)
  if #a == 0 then
    return b
  elseif #b == 0 then
    return a
  end
  local out, i, j = {}, 1, 1
  while a[i] or b[j] do
    if not b[j] or a[i] and a[i] < b[j] then
      out[#out + 1], i = a[i], i + 1
    else
      out[#out + 1], j = b[j], j + 1
    end
  end
  return out
end

local NONE = {}

-- The places of the rules that may match under these constants, in order; nil means all.
function Document:candidates(constants)
  for name, value in pairs(constants) do
    local field = self.schema.fields[name]
    if field and field.type.kind == "String" then
      local index = self.indexes[name]
      if not index then
        index = build_index(self.rules, name)
        self.indexes[name] = index
      end
      return merge(index.by_value[value] or NONE, index.general)
    end
  end
  return nil
end

local function list_finder(schema, options)
  local find = options.find_list or schema.lists and schema.lists.find
  return function(name, type_name, node)
    local contains = find and find(name, type_name)
    if not contains then
      error({ message = ("list %q does not exist"):format(name), pos = node.pos, length = node.stop - node.pos }, 0)
    end
    return contains
  end
end

-- What a condition's code costs, in comparisons. Ranges bring numbers with them, of which a trace may have 500.
local function weight_of(node)
  if node.of then
    return weight_of(node.of)
  elseif node.kind == "compare" then
    local items = node.op == "in" and node.right.in_range and node.right.items
    return items and 1 + 3 * #items or 1
  elseif #node == 0 then
    return 1
  end
  local sum = 0
  for i = 1, #node do
    sum = sum + weight_of(node[i])
  end
  return sum
end

local function plan_rules(self, options)
  local constants = options.constants or NONE
  local env = { constants = constants, find_list = list_finder(self.schema, options) }
  local places = self:candidates(constants)
  local plans, n = {}, 0
  for at = 1, places and #places or #self.rules do
    local rule = self.rules[places and places[at] or at]
    self.current = rule
    local tree = specialise.filter(rule.tree, env)
    if tree.kind ~= "constant" or tree.value then
      n = n + 1
      plans[n] = {
        tree = tree,
        index = rule.index,
        ordinal = n,
        terminates = rule.terminates,
        stops = rule.stops,
        weight = weight_of(tree),
      }
      if tree.kind == "constant" and (rule.terminates or rule.stops) then
        break -- always matches: nothing after it is ever reached
      end
    end
  end
  return plans
end

--- Compiles the rules for the constants of one hostname.
---@param options { constants: table<string, any>|nil, on_log: fun(index: integer)|nil,
---  on_error: fun(index: integer, err: any)|nil, access: table<string, fun(): any>|nil,
---  find_list: fun(name: string, type_name: string): (fun(value: any): boolean)|nil } | nil
---@return moongate.rules.Ruleset|nil
---@return moongate.rules.Diagnostic|nil
---@return integer|nil index  of the rule that names a list which does not exist
function Document:specialise(options)
  options = options or NONE
  local ok, plans = pcall(plan_rules, self, options)
  if not ok then
    return nil, M.diagnose(self.current.text, plans), self.current.index
  end
  return compile.ruleset(plans, options)
end

--- The fields that the rules name, whatever is known beforehand.
---@return table<string, boolean>
function Document:field_names()
  local out = {}
  local function visit(node)
    if node.kind == "field" then
      out[node.field.name] = true
    end
    for _, key in ipairs { "of", "left", "value" } do
      if type(node[key]) == "table" then
        visit(node[key])
      end
    end
    for _, child in ipairs(node.args or node) do
      visit(child)
    end
  end
  for _, rule in ipairs(self.rules) do
    visit(rule.tree)
  end
  return out
end

local function stops_here(rule)
  local parameters = rule.action_parameters
  return rule.action == "skip" and parameters ~= nil
    and (parameters.ruleset == "current" or parameters.phase == "current")
end

--- Parses and checks a list of rules. Disabled rules are checked too, then left out.
---@param schema moongate.rules.Schema
---@param list table[]  each { expression, action, enabled, action_parameters, … }
---@return moongate.rules.Document|nil
---@return moongate.rules.Diagnostic|nil
---@return integer|nil index  of the first bad rule
function M.new(schema, list)
  local rules = {}
  for index, rule in ipairs(list) do
    local effect = EFFECT[rule.action]
    if not effect then
      error(("rule %d: unknown action %q"):format(index, tostring(rule.action)), 0)
    end
    local text = rule.expression
    local ok, tree = pcall(parse.filter, schema, text)
    if not ok then
      return nil, M.diagnose(text, tree), index
    end
    if rule.enabled ~= false then
      rules[#rules + 1] = {
        tree = tree,
        index = index,
        terminates = effect == "verdict",
        stops = stops_here(rule),
        text = text,
      }
    end
  end
  return setmetatable({ schema = schema, rules = rules, indexes = {} }, Document)
end

return M
