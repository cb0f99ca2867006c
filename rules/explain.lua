-- moongate.rules.explain: a condition and the values of one request → the same tree with an answer at every branch.
--
-- The answers come from the specialiser, given every field as a constant: the code that decides requests when values are known
-- beforehand, not a third reading of the language. Operands that the generated code never looks at, since the answer is
-- open no longer, are marked. What a function of the host raises is the error of the branches above it. Pure; called by hosts
-- that show rules to people. Slow, and meant to be.

local runtime = require "moongate.rules.runtime"
local specialise = require "moongate.rules.specialise"
local types = require "moongate.rules.types"

local ipairs, pairs, pcall, tostring, type = ipairs, pairs, pcall, tostring, type
local sub = string.sub

local M = {}

---@class moongate.rules.ExplainedValue
---@field kind string   field, index, key, each or call
---@field text string   as it is written
---@field type moongate.rules.Type  of `value`; what `[*]` spreads out is an array
---@field value any     nil when it is missing, and after an error
---@field error string|nil
---@field parts table[] the values (and conditions) that it is made of; literals are left out

---@class moongate.rules.Explained
---@field kind string   and, or, xor, not, any, all, compare or test; operands at 1…n
---@field text string   a comparison as it is written; the word of any other kind
---@field value boolean|table|nil  an array { n = …, … } of Booleans under any() and all(); nil after an error
---@field error string|nil
---@field reached boolean  false when the answer was settled before
---@field operand moongate.rules.ExplainedValue|nil  the left-hand side of a comparison

-- A list of the host as a literal set, so that it folds like one.
local function list_as_set(find_list, node)
  local contains = find_list(node.right.list, node.left.type.name)
  return {
    items = {}, members = {}, count = 0,
    in_range = function(value) return contains ~= nil and contains(value) == true end,
  }
end

-- The tree with its lists bound; nodes without one stay the very same.
local function bind_lists(node, find_list)
  local changed
  local function set(key, value)
    if not changed then
      changed = {}
      for k, v in pairs(node) do
        changed[k] = v
      end
    end
    changed[key] = value
  end
  if node.kind == "compare" and type(node.right) == "table" and node.right.list then
    set("right", list_as_set(find_list, node))
  end
  for _, key in ipairs { "of", "left", "value" } do
    local child = node[key]
    if type(child) == "table" and child.kind then
      local bound = bind_lists(child, find_list)
      if bound ~= child then
        set(key, bound)
      end
    end
  end
  for i, child in ipairs(node.args or node) do
    local bound = bind_lists(child, find_list)
    if bound ~= child and node.args then
      local args = {}
      for k, arg in ipairs((changed or node).args) do
        args[k] = arg
      end
      args[i] = bound
      set("args", args)
    elseif bound ~= child then
      set(i, bound)
    end
  end
  return changed or node
end

local explain

local function explain_value(node, context)
  local out = {
    kind = node.kind, text = sub(context.text, node.pos, node.stop - 1), type = node.type, parts = {},
  }
  local ok, folded
  if node.mapped > 0 then
    out.type = types.array(node.type)
    ok, folded = pcall(specialise.elements, node, context)
    out.value = ok and folded or nil
  else
    ok, folded = pcall(specialise.value, node, context)
    if ok then
      out.value = folded.value
    end
  end
  if not ok then
    out.error = tostring(folded)
  end
  for _, part in ipairs(node.args or { node.of }) do
    if part.kind ~= "literal" then
      out.parts[#out.parts + 1] = part.key and explain_value(part, context) or explain(part, context, true)
    end
  end
  return out
end

-- A comparison or a Boolean value.
local function explain_leaf(node, context, out)
  out.text = sub(context.text, node.pos, node.stop - 1)
  out.operand = explain_value(node.left or node.value, context)
  local ok, folded = pcall(specialise.filter, node, context)
  if not ok then
    out.error = tostring(folded)
  elseif folded.kind == "constant" then
    out.value = folded.value
  else
    out.value = folded.values
  end
end

local PAIR = { ["and"] = runtime.both, ["or"] = runtime.either, ["xor"] = runtime.differ }

local function explain_arrays(node, context, out)
  for i, operand in ipairs(node) do
    out[i] = explain(operand, context, out.reached)
    out.error = out.error or out[i].error
    if not out.error then
      out.value = i == 1 and out[i].value or PAIR[node.kind](out.value, out[i].value)
    end
  end
end

-- `and` and `or` look at their operands from left to right, until one settles the answer.
local function explain_chain(node, context, out)
  if node.type == types.booleans then
    return explain_arrays(node, context, out)
  end
  local is_open, value = true, node.kind == "and"
  for i, operand in ipairs(node) do
    local part = explain(operand, context, out.reached and is_open)
    out[i] = part
    if is_open then
      out.error = part.error
      if part.error then
        is_open, value = false, nil
      elseif node.kind == "xor" then
        value = value ~= part.value
      else
        value = part.value
        is_open = value == (node.kind == "and")
      end
    end
  end
  out.value = value
end

local EXPLAIN = {
  compare = explain_leaf, test = explain_leaf, ["and"] = explain_chain, ["or"] = explain_chain, xor = explain_chain,
}

EXPLAIN["not"] = function(node, context, out)
  local of = explain(node.of, context, out.reached)
  out[1], out.error = of, of.error
  if not of.error then
    if node.type == types.booleans then
      out.value = runtime.negate(of.value)
    else
      out.value = not of.value
    end
  end
end

local function explain_quantified(node, context, out)
  local of = explain(node.of, context, out.reached)
  out[1], out.error = of, of.error
  if not of.error then
    out.value = runtime[node.kind](of.value)
  end
end

EXPLAIN.any, EXPLAIN.all = explain_quantified, explain_quantified

function explain(node, context, reached)
  local out = { kind = node.kind, text = node.kind, reached = reached }
  EXPLAIN[node.kind](node, context, out)
  return out
end

--- Explains a condition for one request.
---@param text string  the expression
---@param tree table   what parse() made of it
---@param values table<string, any>  of the fields; one without a value is missing
---@param find_list fun(name: string, type_name: string): (fun(value: any): boolean)|nil  a list that is not there is empty
---@return moongate.rules.Explained
function M.condition(text, tree, values, find_list)
  return explain(bind_lists(tree, find_list), { text = text, constants = values, is_complete = true }, true)
end

return M
