-- moongate.rules.specialise: a typed tree and what is known beforehand → a smaller tree.
--
-- Known are the constants given for a hostname (http.host above all), the constants of fields that the host cannot
-- compute, and literals. Comparisons and calls over known values are answered here, once; a condition that comes out
-- as one answer becomes a node of kind "constant", an array of answers one of kind "constants". Trees are never
-- changed in place: the parsed document is shared by all its specialisations. Called by document.lua; the result goes
-- to generate.lua.

local operators = require "moongate.rules.operators"
local runtime = require "moongate.rules.runtime"
local types = require "moongate.rules.types"

local unpack = unpack or rawget(table, "unpack")

local M = {}

local TRUE = { kind = "constant", value = true, type = types.boolean }
local FALSE = { kind = "constant", value = false, type = types.boolean }

local function answer(value)
  return value and TRUE or FALSE
end

local function answers(list)
  return { kind = "constants", values = list, type = types.booleans }
end

local function copy(node)
  local out = {}
  for k, v in pairs(node) do
    out[k] = v
  end
  return out
end

local function known(node, value)
  return { kind = "literal", value = value, type = node.type, key = node.key, mapped = 0, may_miss = value == nil }
end

local fold, fold_value

-- The values that a chain with `[*]` spreads out, when its base is known; nil otherwise.
local function spread(node, base)
  local of = node.of
  local source
  if of.mapped > 0 then
    source = spread(of, base)
  else
    source = { n = base.value ~= nil and 1 or 0, base.value }
  end
  local out, n = {}, 0
  for i = 1, source.n do
    local value = source[i]
    if node.kind == "each" then
      local list = of.type.kind == "Map" and runtime.sorted_values(value) or value
      for k = 1, list.n do
        n = n + 1
        out[n] = list[k]
      end
    else
      local element
      if node.kind == "key" then
        element = value[node.name]
      elseif node.position < value.n then
        element = value[node.position + 1]
      end
      if element ~= nil then
        n = n + 1
        out[n] = element
      end
    end
  end
  out.n = n
  return out
end

local function base_of(node)
  while node.mapped > 0 do
    node = node.of
  end
  return node
end

-- A mapped chain over another base.
local function rebase(node, base)
  if node.mapped == 0 then
    return base
  end
  local out = copy(node)
  out.of = rebase(node.of, base)
  return out
end

-- The result of a call whose arguments are known, the first one being `first`.
local function call_with(node, args, first)
  local values = { first }
  for i = 2, #args do
    values[i] = args[i].value
  end
  if not node.def.lenient then
    for i = 1, #args do
      if values[i] == nil then
        return nil
      end
    end
  end
  return node.call(unpack(values, 1, #args))
end

local function map_call(node, args, elements)
  local out, n = {}, 0
  for i = 1, elements.n do
    local result = call_with(node, args, elements[i])
    if result ~= nil then
      n = n + 1
      out[n] = result
    end
  end
  out.n = n
  return out
end

local function others_are_known(args)
  for i = 2, #args do
    if args[i].kind ~= "literal" then
      return false
    end
  end
  return true
end

local function fold_call(node, env)
  local args, changed, all_known = {}, false, true
  for i, arg in ipairs(node.args) do
    local folded
    if arg.key then
      folded = fold_value(arg, env)
    else
      folded = fold(arg, env)
      if folded.kind == "constant" then
        folded = { kind = "literal", value = folded.value, type = types.boolean, key = "", mapped = 0 }
      elseif folded.kind == "constants" then
        folded = { kind = "literal", value = folded.values, type = types.booleans, key = "", mapped = 0 }
      end
    end
    args[i] = folded
    changed = changed or folded ~= arg
    all_known = all_known and folded.kind == "literal"
  end
  if node.is_mapped then
    local base = base_of(args[1])
    if base.kind == "literal" and base.value == nil then -- `[*]` on a missing value is an empty array
      return known(node, { n = 0 })
    elseif base.kind == "literal" and others_are_known(args) then
      return known(node, map_call(node, args, spread(args[1], base)))
    end
  elseif all_known then
    return known(node, call_with(node, args, args[1] and args[1].value))
  end
  if not changed then
    return node
  end
  local out = copy(node)
  out.args = args
  return out
end

--- The value with everything known put in its place; a node of kind "literal" when it is known altogether.
function fold_value(node, env)
  local kind = node.kind
  if kind == "field" then
    local value = env.constants[node.field.name]
    if value == nil then
      value = node.field.constant
    end
    if value == nil and not node.field.missing and not env.is_complete then
      return node
    end
    return known(node, value)
  elseif kind == "literal" then
    return node
  elseif kind == "call" then
    return fold_call(node, env)
  elseif node.mapped > 0 then
    local base = base_of(node)
    local folded = fold_value(base, env)
    if folded == base then
      return node
    end
    return rebase(node, folded)
  end
  local of = fold_value(node.of, env)
  if of == node.of then
    return node
  end
  if of.kind ~= "literal" then
    local out = copy(node)
    out.of = of
    return out
  end
  local value = of.value
  if value ~= nil then
    if kind == "key" then
      value = value[node.name]
    elseif node.position < value.n then
      value = value[node.position + 1]
    else
      value = nil
    end
  end
  return known(node, value)
end

local function fold_compare(node, env)
  local left = fold_value(node.left, env)
  local list = node.right and type(node.right) == "table" and node.right.list
  if list then -- lists belong to the host and may change under a compiled ruleset, so they are asked at run time
    local base = base_of(left)
    if base.kind == "literal" and base.value == nil then -- nothing to ask about
      return left.mapped > 0 and answers({ n = 0 }) or answer(false)
    end
    local out = copy(node)
    out.left = left
    out.right = { list = list, contains = env.find_list(list, node.left.type.name, node) }
    return out
  end
  if left.mapped > 0 then
    local base = base_of(left)
    if base.kind ~= "literal" then
      if left == node.left then
        return node
      end
    else
      local predicate, list_of = operators.predicate(node), spread(left, base)
      local out = { n = list_of.n }
      for i = 1, list_of.n do
        out[i] = predicate(list_of[i])
      end
      return answers(out)
    end
  elseif left.kind == "literal" then
    return answer(left.value ~= nil and operators.predicate(node)(left.value))
  elseif left == node.left then
    return node
  end
  local out = copy(node)
  out.left = left
  return out
end

local function fold_test(node, env)
  local value = fold_value(node.value, env)
  if value.mapped > 0 then
    local base = base_of(value)
    if base.kind == "literal" then
      return answers(spread(value, base))
    end
  elseif value.kind == "literal" then
    if node.type == types.boolean then
      return answer(value.value == true)
    end
    return answers(value.value or { n = 0 })
  end
  if value == node.value then
    return node
  end
  local out = copy(node)
  out.value = value
  return out
end

local PAIR = { ["and"] = runtime.both, ["or"] = runtime.either, ["xor"] = runtime.differ }

local function fold_arrays(node, operands, changed)
  local all_known = true
  for i = 1, #operands do
    all_known = all_known and operands[i].kind == "constants"
  end
  if all_known then
    local list = operands[1].values
    for i = 2, #operands do
      list = PAIR[node.kind](list, operands[i].values)
    end
    return answers(list)
  elseif not changed then
    return node
  end
  operands.kind, operands.type = node.kind, node.type
  return operands
end

local function fold_chain(node, env)
  local kind = node.kind
  if node.type == types.booleans then
    local operands, changed = {}, false
    for i = 1, #node do
      operands[i] = fold(node[i], env)
      changed = changed or operands[i] ~= node[i]
    end
    return fold_arrays(node, operands, changed)
  end
  local operands, n, changed, flip = {}, 0, false, false
  for i = 1, #node do
    local operand = fold(node[i], env)
    if operand.kind ~= "constant" then
      changed = changed or operand ~= node[i]
      n = n + 1
      operands[n] = operand
    else
      changed = true
      if kind == "and" and not operand.value then
        return FALSE
      elseif kind == "or" and operand.value then
        return TRUE
      elseif kind == "xor" and operand.value then
        flip = not flip
      end
    end
  end
  local out
  if not changed then
    out = node
  elseif n == 0 then
    out = answer(kind == "and")
  elseif n == 1 then
    out = operands[1]
  else
    operands.kind, operands.type = kind, node.type
    out = operands
  end
  if flip then
    if out.kind == "constant" then
      return answer(not out.value)
    end
    return { kind = "not", of = out, type = out.type }
  end
  return out
end

local FOLD = {
  ["and"] = fold_chain, ["or"] = fold_chain, ["xor"] = fold_chain, compare = fold_compare, test = fold_test,
}

FOLD["not"] = function(node, env)
  local of = fold(node.of, env)
  if of.kind == "constant" then
    return answer(not of.value)
  elseif of.kind == "constants" then
    return answers(runtime.negate(of.values))
  elseif of == node.of then
    return node
  end
  return { kind = "not", of = of, type = node.type }
end

local function fold_quantified(node, env)
  local of = fold(node.of, env)
  if of.kind == "constants" then
    return answer(runtime[node.kind](of.values))
  elseif of == node.of then
    return node
  end
  return { kind = node.kind, of = of, type = node.type }
end

FOLD.any, FOLD.all = fold_quantified, fold_quantified

function FOLD.constant(node)
  return node
end

function FOLD.constants(node)
  return node
end

function fold(node, env)
  return FOLD[node.kind](node, env)
end

--- Specialises a condition.
---@param tree table  from parse.filter; not changed
---@param env { constants: table<string, any>, is_complete: boolean|nil, find_list: function }
---  is_complete: a field that is no constant is missing; find_list(name, type_name, node) → fun(value): boolean, raises
---  a mistake for a list that does not exist
---@return table tree  kind "constant" when its answer is known
function M.filter(tree, env)
  return fold(tree, env)
end

--- The elements that a value with `[*]` stands for, once everything under it is known.
---@param value table  from the tree, with .mapped > 0
---@param env table  as for filter()
---@return table|nil array  nil when they are not known
function M.elements(value, env)
  local folded = fold_value(value, env)
  local base = base_of(folded)
  if base.kind ~= "literal" then
    return nil
  end
  return spread(folded, base)
end

--- Specialises a value expression.
---@param value table  from parse.value; not changed
---@param env table  as for filter()
---@return table value  kind "literal" when it is known
function M.value(value, env)
  return fold_value(value, env)
end

return M
