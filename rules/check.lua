-- moongate.rules.check: the type rules. Every mistake of typing is found here, so none is left for run time.
--
-- parse.lua calls these functions while it builds the tree (what may follow an operator depends on the type before
-- it); each returns a typed node or raises a mistake through lex.fail. Keeps no state.
--
-- Nodes of values:     field, index, key, each, call, literal        .type is the type of one element when .mapped > 0
-- Nodes of conditions: and, or, xor, not, any, all, test, compare    .type is Boolean or Array<Boolean>
-- A value's .key is equal for equal values, which lets the generator compute each of them once.

local integer = require "moongate.rules.integer"
local lex = require "moongate.rules.lex"
local types = require "moongate.rules.types"

local fail = lex.fail
local boolean, booleans = types.boolean, types.booleans

local M = {}

local serial = 0

-- A key that no other value has, for values that are not worth comparing.
local function unique_key()
  serial = serial + 1
  return "#" .. serial
end

--- The type of a node as a whole: what `[*]` spreads out counts as an array.
---@param node table
---@return moongate.rules.Type
function M.full_type(node)
  if (node.mapped or 0) > 0 then
    return types.array(node.type)
  end
  return node.type
end

local full_type = M.full_type

--- The value of a field.
---@param field moongate.rules.Field
---@param pos integer
---@param stop integer  first byte after it
---@return table
function M.field(field, pos, stop)
  return {
    kind = "field", field = field, type = field.type, key = field.name, mapped = 0, may_miss = field.may_miss, pos = pos,
    stop = stop,
  }
end

--- A literal value.
---@param kind moongate.rules.Type
---@param value any
---@param pos integer
---@param stop integer
---@return table
function M.literal(kind, value, pos, stop)
  local key = kind == types.integer and "'" .. integer.to_decimal(value) or kind.label .. #value .. ":" .. value
  return { kind = "literal", value = value, type = kind, key = key, mapped = 0, pos = pos, stop = stop }
end

--- `of[position]`, `of["key"]` or `of[*]`.
---@param text string
---@param of table
---@param what string  "index", "key" or "each"
---@param value number|string|nil
---@param pos integer  the opening bracket
---@param stop integer  first byte after the closing one
---@return table
function M.access(text, of, what, value, pos, stop)
  local kind = of.type.kind
  local fits = what == "index" and kind == "Array" or what == "key" and kind == "Map"
    or what == "each" and (kind == "Array" or kind == "Map")
  if not fits then
    local shown = what == "index" and integer.to_decimal(value) or what == "key" and ("%q"):format(value) or "*"
    fail(text, pos, stop - pos, ("cannot access index %s for type %s"):format(shown, of.type.label))
  end
  local node = {
    kind = what, of = of, type = of.type.of, mapped = of.mapped, may_miss = true, pos = of.pos, stop = stop,
  }
  if what == "index" then
    node.position = value
    node.key = of.key .. "[" .. integer.to_decimal(value) .. "]"
  elseif what == "key" then
    node.name = value
    node.key = of.key .. "[" .. #value .. ":" .. value .. "]"
  else
    node.mapped = of.mapped + 1
    node.key = of.key .. "[*]"
    node.may_miss = false
  end
  return node
end

local function names_of(param)
  local out = {}
  for i, kind in ipairs(param.types) do
    out[i] = kind.label
  end
  if param.arrays then
    out[#out + 1] = "Array<_>"
  end
  if param.maps then
    out[#out + 1] = "Map<_>"
  end
  return table.concat(out, " or ")
end

local function accepts(param, kind)
  for _, allowed in ipairs(param.types) do
    if allowed == kind then
      return true
    end
  end
  return param.arrays and kind.kind == "Array" or param.maps and kind.kind == "Map" or false
end

--- The parameter that takes argument number `i`.
---@param def table
---@param i integer  from 1
---@return table|nil
local function param_for(def, i)
  local params = def.params
  local param = params[i]
  if not param and params[#params] and params[#params].repeats then
    param = params[#params]
  end
  return param
end

--- Checks one argument as soon as it is read, so that the first mistake in the text is the one reported.
---@param text string
---@param def table  the function
---@param args table[]  the arguments so far, the new one last
function M.argument(text, def, args)
  local i = #args
  local node = args[i]
  local length = node.stop - node.pos
  local param = param_for(def, i)
  if not param then
    fail(text, node.pos, length, "invalid number of arguments")
  end
  local is_literal = node.kind == "literal"
  if param.kind == "field" and is_literal then
    fail(text, node.pos, length,
      ("invalid kind of argument #%d: expected argument of kind Field, but got Literal"):format(i - 1))
  elseif param.kind == "literal" and not is_literal then
    fail(text, node.pos, length,
      ("invalid kind of argument #%d: expected argument of kind Literal, but got Field"):format(i - 1))
  end
  if i > 1 and (node.mapped or 0) > 0 then
    fail(text, node.pos, length, "invalid use of map each access operator")
  end
  if not accepts(param, node.type) then
    fail(text, node.pos, length, ("invalid type of argument #%d: expected value of type %s, but got %s"):format(i - 1,
      names_of(param), full_type(node).label))
  end
  local message
  if is_literal and param.check then
    message = param.check(node.value)
  end
  if not message and param.check_node then
    message = param.check_node(node, args)
  end
  if message then
    fail(text, node.pos, length, ("invalid value of argument #%d: %s"):format(i - 1, message))
  end
end

--- Checks the number of arguments and builds the call.
---@param text string
---@param def table
---@param args table[]  each already checked by argument()
---@param pos integer   the function's name
---@param closing integer  the closing parenthesis
---@return table
function M.call(text, def, args, pos, closing)
  local first_absent = param_for(def, #args + 1)
  if first_absent and not first_absent.optional then
    fail(text, closing, 1, "invalid number of arguments")
  end
  local result, call = def.returns, def.call
  if def.resolve then
    local kinds = {}
    for i, node in ipairs(args) do
      kinds[i] = node.type
    end
    result, call = def.resolve(kinds, args)
  end
  -- A lenient function passes over missing arguments; its result is missing when all of them are.
  local keys, missable = {}, 0
  for i, node in ipairs(args) do
    keys[i] = node.key or unique_key()
    missable = missable + (node.may_miss and 1 or 0)
  end
  local may_miss = def.may_miss or missable > 0 and (not def.lenient or missable == #args) or false
  local is_mapped = args[1] ~= nil and (args[1].mapped or 0) > 0
  return {
    kind = "call",
    def = def,
    call = call,
    args = args,
    is_mapped = is_mapped,
    type = is_mapped and types.array(result) or result,
    mapped = 0,
    -- Elements without a result are left out of a mapped call's array, which itself is always there.
    may_miss = may_miss and not is_mapped,
    key = def.name .. "(" .. table.concat(keys, ",") .. ")",
    pos = pos,
    stop = closing + 1,
  }
end

local VALUE_KINDS = { field = true, index = true, key = true, each = true, call = true, literal = true }

--- Whether a node is a value rather than a condition.
---@param node table
---@return boolean
function M.is_value(node)
  return VALUE_KINDS[node.kind] == true
end

--- Whether a value stands for itself as a condition: a Boolean or an array of them.
---@param value table
---@return boolean
function M.is_condition(value)
  local kind = full_type(value)
  return kind == boolean or kind == booleans
end

--- The condition that a Boolean value is true.
---@param value table
---@return table
function M.test(value)
  return { kind = "test", value = value, type = full_type(value), pos = value.pos, stop = value.stop }
end

--- The type of a comparison with this left-hand side.
---@param left table
---@return moongate.rules.Type
function M.comparison_type(left)
  return left.mapped > 0 and booleans or boolean
end

--- Joins operands of one logical operator.
---@param text string
---@param kind string  "and", "or" or "xor"
---@param operands table[]  at least two; becomes the node
---@param after integer  first byte after the newest operand
---@return table
function M.join(text, kind, operands, after)
  local expected, got = operands[1].type, operands[#operands].type
  if got ~= expected then
    fail(text, after, 1, ("expected value of type %s, but got %s"):format(expected.label, got.label))
  end
  operands.kind, operands.type = kind, expected
  operands.pos, operands.stop = operands[1].pos, operands[#operands].stop
  return operands
end

return M
