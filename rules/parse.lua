-- moongate.rules.parse: expression text → typed tree.
--
-- Recursive descent over the grammar, one function per rule. The tree is typed while it is built (check.lua), because
-- the right of an operator is read according to the type on its left. Depth is limited here, so that no later stage
-- needs to fear its stack; chains of `and`, `or` and `xor` are lists and cost no depth. A mistake is raised as
-- {message, pos, length}; init.lua catches it. Called by init.lua and document.lua only.

local check = require "moongate.rules.check"
local ip = require "moongate.rules.ip"
local lex = require "moongate.rules.lex"
local operators = require "moongate.rules.operators"
local order = require "moongate.rules.order"
local suggest = require "moongate.rules.suggest"
local types = require "moongate.rules.types"
local utf8 = require "moongate.rules.utf8"
local wildcard = require "moongate.rules.wildcard"

local byte, find, sub = string.byte, string.find, string.sub
local fail, skip = lex.fail, lex.skip

local M = {}

M.MAX_LENGTH = 4096 -- characters of one expression
M.MAX_DEPTH = 128   -- groups, `not`, calls, any and all; each counts one
M.MAX_REGEXES = 64  -- per expression
local MAX_INDEX = 4294967295

local OPEN, CLOSE, BANG, COMMA, BRACKET, STAR, QUOTE = 40, 41, 33, 44, 91, 42, 34

local parse_argument, parse_logical, parse_term

local function deeper(p, pos)
  p.depth = p.depth + 1
  if p.depth > M.MAX_DEPTH then
    fail(p.text, pos, nil, ("maximum nesting depth exceeded (limit: %d)"):format(M.MAX_DEPTH))
  end
end

local function expect(p, pos, code)
  if byte(p.text, pos) ~= code then
    fail(p.text, pos, 1, ('expected literal "%s"'):format(string.char(code)))
  end
  return pos + 1
end

-- { "[", index, "]" } behind a value.
local function parse_accesses(p, value, pos)
  local text = p.text
  while byte(text, pos) == BRACKET do
    local at = skip(text, pos + 1)
    local what, index
    local b = byte(text, at)
    if b == STAR then
      what, at = "each", at + 1
    elseif b == QUOTE then
      what = "key"
      local start = at
      index, at = lex.quoted(text, at)
      if not utf8.is_valid(index) then -- keys are names of header fields, cookies and the like
        fail(text, start, at - start, "a map key must be valid UTF-8")
      end
    elseif b and b >= 48 and b <= 57 then
      what = "index"
      local start = at
      index, at = lex.integer(text, at)
      if type(index) ~= "number" or index > MAX_INDEX then
        fail(text, start, at - start, "number too large to fit in target type while parsing with radix 10")
      end
    else
      fail(text, at, 1, 'expected literal "expected quoted utf8 string or positive integer"')
    end
    at = expect(p, skip(text, at), 93)
    value = check.access(text, value, what, index, pos, at)
    pos = at
  end
  return value, pos
end

local function parse_call(p, def, pos, after)
  local text = p.text
  deeper(p, pos)
  local at = skip(text, expect(p, skip(text, after), OPEN))
  if def.once then -- of all functions with this mark, an expression may call one, once
    if p.used_once[def.once] then
      fail(text, pos, after - pos, ("only one call of %s or %s is allowed in an expression"):format(def.name,
        p.used_once[def.once]))
    end
    p.used_once[def.once] = def.name
  end
  local args = {}
  if byte(text, at) ~= CLOSE then
    while true do
      args[#args + 1], at = parse_argument(p, at)
      check.argument(text, def, args)
      at = skip(text, at)
      if byte(text, at) ~= COMMA then
        break
      end
      at = skip(text, at + 1)
    end
  end
  expect(p, at, CLOSE)
  p.depth = p.depth - 1
  return check.call(text, def, args, pos, at), at + 1
end

-- The name at pos as a known field or function, or nil.
local function known_name(p, pos)
  local name, after = lex.name(p.text, pos)
  if not name then
    return nil, nil, pos, nil
  end
  return p.schema.fields[name], p.schema.functions[name], after, name
end

local function parse_value(p, pos, field, def, after)
  if field then
    return parse_accesses(p, check.field(field, pos, after), after)
  end
  local value
  value, after = parse_call(p, def, pos, after)
  return parse_accesses(p, value, after)
end

-- `{ item item … }`; read_item(text, pos) → item, after.
local function parse_set(p, pos, read_item)
  local text = p.text
  local items, n = {}, 0
  pos = skip(text, pos + 1)
  while byte(text, pos) ~= 125 do
    if pos > #text then
      fail(text, pos, 1, "unrecognised input")
    end
    n = n + 1
    items[n], pos = read_item(text, pos)
    pos = skip(text, pos)
  end
  return items, pos + 1
end

local SET_ITEM = {}

function SET_ITEM.String(text, pos)
  local value, after = lex.string(text, pos)
  return { value }, after
end

function SET_ITEM.Integer(text, pos)
  local first, after = lex.integer(text, pos)
  if sub(text, after, after + 1) ~= ".." then
    return { first }, after
  end
  local last
  last, after = lex.integer(text, after + 2)
  if operators.integer_less(last, first) then
    fail(text, pos, after - pos, "incompatible range bounds")
  end
  return { first, last }, after
end

function SET_ITEM.IP(text, pos)
  local token, after = lex.address_run(text, pos)
  if not token then
    fail(text, pos, 1, "couldn't parse address in network: invalid IP address syntax")
  end
  local first, last = ip.parse_item(token)
  if not first then
    fail(text, pos, #token, last)
  end
  return { first, last }, after
end

local function parse_in(p, left, pos)
  local text = p.text
  local kind = left.type.kind
  if lex.is_list(text, pos) then
    local name, after = lex.list_name(text, pos)
    return { list = name }, after
  end
  if byte(text, pos) ~= 123 then
    fail(text, pos, 1, pos > #text and "unrecognised input" or 'expected literal "{"')
  end
  local items, after = parse_set(p, pos, SET_ITEM[kind])
  return operators.new_set(kind, items), after
end

local function parse_wildcard(p, op, pos)
  local text = p.text
  local pattern, after = lex.pattern(text, pos)
  -- Without case, both sides are compared in lower case; escapes are no letters, so the pattern may be folded as it
  -- stands.
  local pieces, message = wildcard.parse(op == "wildcard" and order.lower(pattern) or pattern)
  if not pieces then
    fail(text, pos, after - pos, message)
  end
  return { pattern = pattern, pieces = pieces }, after
end

local function parse_regex(p, op_pos, op_stop, pos)
  local text, regex = p.text, p.schema.regex
  if not regex then
    fail(text, op_pos, op_stop - op_pos, "regular expressions are not available here")
  end
  p.regexes = p.regexes + 1
  if p.regexes > M.MAX_REGEXES then
    fail(text, op_pos, op_stop - op_pos, ("too many regular expressions (limit: %d)"):format(M.MAX_REGEXES))
  end
  local pattern, after
  if byte(text, pos) == QUOTE then
    pattern, after = lex.quoted_regex(text, pos)
  else
    pattern, after = lex.pattern(text, pos)
  end
  local matcher, message = regex.compile(pattern)
  if not matcher then
    fail(text, pos, after - pos, message)
  end
  return { pattern = pattern, matcher = matcher }, after
end

local function parse_right(p, left, op, op_pos, op_stop)
  local text = p.text
  local pos = skip(text, op_stop)
  if op == "in" then
    return parse_in(p, left, pos)
  elseif op == "matches" then
    return parse_regex(p, op_pos, op_stop, pos)
  elseif op == "wildcard" or op == "strict wildcard" then
    return parse_wildcard(p, op, pos)
  end
  local kind = left.type
  if kind == types.string then
    return lex.string(text, pos)
  elseif kind == types.integer then
    return lex.integer(text, pos)
  end
  local token, after = lex.address_run(text, pos)
  local address = token and ip.parse(token)
  if not address then
    fail(text, pos, token and #token or 1, "couldn't parse address in network: invalid IP address syntax")
  end
  return address, after
end

local function parse_compare(p, left, op, op_pos, op_stop)
  local text = p.text
  if not operators.accepts(left.type.kind, op) then
    fail(text, op_pos, op_stop - op_pos, "cannot perform this operation on type " .. check.full_type(left).label)
  end
  local right, after = parse_right(p, left, op, op_pos, op_stop)
  return {
    kind = "compare",
    op = op,
    left = left,
    right = right,
    type = check.comparison_type(left),
    pos = left.pos,
    stop = after,
  }, after
end

-- value, then operator and right-hand side exactly when the value is no condition by itself.
local function parse_comparison(p, pos, field, def, after)
  local value
  value, after = parse_value(p, pos, field, def, after)
  if check.is_condition(value) then
    return check.test(value), after
  end
  local op_pos = skip(p.text, after)
  local op, op_stop = lex.operator(p.text, op_pos)
  if not op then
    fail(p.text, op_pos, nil, "expected ComparisonOp")
  end
  return parse_compare(p, value, op, op_pos, op_stop)
end

local function parse_quantified(p, kind, pos, after)
  local text = p.text
  deeper(p, pos)
  local at = skip(text, expect(p, after, OPEN))
  local argument
  argument, at = parse_argument(p, at)
  if check.full_type(argument) ~= types.booleans then
    fail(text, argument.pos, argument.stop - argument.pos,
      "expected value of type Array<Bool>, but got " .. check.full_type(argument).label)
  end
  if check.is_value(argument) then
    argument = check.test(argument)
  end
  at = skip(text, at)
  if byte(text, at) == COMMA then
    fail(text, at, 1, "invalid number of arguments")
  end
  at = expect(p, at, CLOSE)
  p.depth = p.depth - 1
  return { kind = kind, of = argument, type = types.boolean, pos = pos, stop = at }, at
end

local function parse_not(p, pos, after)
  deeper(p, pos)
  local of, stop = parse_term(p, skip(p.text, after))
  p.depth = p.depth - 1
  return { kind = "not", of = of, type = of.type, pos = pos, stop = stop }, stop
end

-- Whether `any` or `all` stands here as a quantifier: the kind, and the place of its parenthesis.
local function quantifier(p, pos, name, after)
  if name == "any" or name == "all" then
    local at = skip(p.text, after)
    if byte(p.text, at) == OPEN then
      return name, at
    end
  end
  return nil, pos
end

function parse_term(p, pos)
  local text = p.text
  local b = byte(text, pos)
  if b == OPEN then
    deeper(p, pos)
    local node, at = parse_logical(p, skip(text, pos + 1))
    at = expect(p, skip(text, at), CLOSE)
    p.depth = p.depth - 1
    return node, at
  elseif b == BANG then
    return parse_not(p, pos, pos + 1)
  end
  local field, def, after, name = known_name(p, pos)
  if field or def then
    return parse_comparison(p, pos, field, def, after)
  elseif not name then
    fail(text, pos, nil, "expected identifier character")
  end
  local kind, at = quantifier(p, pos, name, after)
  if kind then
    return parse_quantified(p, kind, pos, at)
  elseif sub(name, 1, 3) == "not" then -- no word boundary: `notssl` is `not ssl`
    return parse_not(p, pos, pos + 3)
  end
  fail(text, pos, #name, "unknown identifier", suggest.name(name, p.schema))
end

-- One level of binary operators; the operands of equal operators in a row become one node.
local function chain(kind, word, symbol, parse_operand)
  local first, word_length = byte(word), #word
  local mark = byte(symbol)
  return function(p, pos)
    local text = p.text
    local node, after = parse_operand(p, pos)
    local operands
    while true do
      local at = skip(text, after)
      local b = byte(text, at)
      if b == first and sub(text, at, at + word_length - 1) == word then
        at = at + word_length
      elseif b == mark and byte(text, at + 1) == mark then
        at = at + 2
      else
        return node, after
      end
      operands = operands or { node }
      operands[#operands + 1], after = parse_operand(p, skip(text, at))
      node = check.join(text, kind, operands, after)
    end
  end
end

local parse_and = chain("and", "and", "&&", parse_term)
local parse_xor = chain("xor", "xor", "^^", parse_and)
parse_logical = chain("or", "or", "||", parse_xor)

local function parse_literal(p, pos)
  local text = p.text
  local token = lex.address_run(text, pos)
  local address = token and ip.parse(token)
  if address then
    return check.literal(types.ip, address, pos, pos + #token), pos + #token
  end
  local b = byte(text, pos)
  if b and (b >= 48 and b <= 57 or b == 45) then
    local value, after = lex.integer(text, pos)
    return check.literal(types.integer, value, pos, after), after
  end
  local value, after = lex.bytes(text, pos)
  return check.literal(types.string, value, pos, after), after
end

-- Arguments are narrower than expressions: `and` and `or` need their own group, unless the argument itself begins
-- with a group, a `not`, `any(` or `all(`.
function parse_argument(p, pos)
  local text = p.text
  local b = byte(text, pos)
  if b == QUOTE or lex.is_raw(text, pos) then
    local value, after = lex.string(text, pos)
    return check.literal(types.string, value, pos, after), after
  elseif b == OPEN or b == BANG then
    return parse_logical(p, pos)
  end
  local field, def, after, name = known_name(p, pos)
  if field or def then
    local value
    value, after = parse_value(p, pos, field, def, after)
    if not check.is_condition(value) then
      local op_pos = skip(text, after)
      local op, op_stop = lex.operator(text, op_pos)
      if op then
        return parse_compare(p, value, op, op_pos, op_stop)
      end
    end
    return value, after
  end
  if name and (quantifier(p, pos, name, after) or sub(name, 1, 3) == "not") then
    return parse_logical(p, pos)
  end
  if find(text, "^[0-9:-]", pos) or (name and find(text, "^[0-9A-Fa-f]+[:.-]", pos)) then
    return parse_literal(p, pos)
  elseif not name then
    fail(text, pos, nil, "expected identifier character")
  end
  fail(text, pos, #name, "unknown identifier", suggest.name(name, p.schema))
end

local function prepare(schema, text)
  local first, last = lex.trim(text)
  local _, continuation = text:gsub("[\128-\191]", "")
  if #text - continuation > M.MAX_LENGTH then
    fail(text, 1, nil, ("the expression is longer than %d characters"):format(M.MAX_LENGTH))
  end
  if last < first then
    fail(text, 1, 1, "the expression cannot be blank")
  end
  local p = { text = sub(text, 1, last), schema = schema, depth = 0, regexes = 0, used_once = {} }
  return p, skip(p.text, first)
end

local function finish(p, after)
  after = skip(p.text, after)
  if after <= #p.text then
    fail(p.text, after, nil, "unrecognised input")
  end
end

--- Parses a filter: an expression that is true or false. Raises {message, pos, length} for a bad one.
---@param schema moongate.rules.Schema
---@param text string
---@return table tree
function M.filter(schema, text)
  local p, pos = prepare(schema, text)
  local tree, after = parse_logical(p, pos)
  finish(p, after)
  if tree.type ~= types.boolean then
    fail(p.text, after, 1, "expected value of type Bool, but got " .. tree.type.label)
  end
  return tree
end

--- Parses a value expression: one field, indexed field or call, of any type. Raises like filter().
---@param schema moongate.rules.Schema
---@param text string
---@return table value
function M.value(schema, text)
  local p, pos = prepare(schema, text)
  local field, def, after, name = known_name(p, pos)
  if not name then
    fail(p.text, pos, nil, "expected identifier character")
  elseif not field and not def then
    fail(p.text, pos, #name, "unknown identifier", suggest.name(name, schema))
  end
  local value
  value, after = parse_value(p, pos, field, def, after)
  finish(p, after)
  if value.mapped > 0 then
    fail(p.text, pos, nil, "invalid use of map each access operator")
  end
  return value
end

return M
