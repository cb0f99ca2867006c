-- moongate.rules.emit: writes the body of one generated function: statements for values, expressions for conditions.
--
-- Nothing of an expression's text reaches the source: strings, sets, matchers and functions travel in the constants
-- table K, and only integers that we print ourselves stand in the text. Each value (a field, an indexed field, a
-- call) has a slot, a local variable that is filled when the value is first reached; what is surely filled is not
-- asked again. Called by generate.lua.
--
-- Bounds of Lua functions that shape this file: 200 locals, 60 upvalues, 250 values in hand, about 200 nested blocks.

local emit_array = require "moongate.rules.emit_array"
local emit_compare = require "moongate.rules.emit_compare"
local functions = require "moongate.rules.functions"
local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local types = require "moongate.rules.types"

local concat, format, rep = table.concat, string.format, string.rep

local MAX_LOCALS = 120    -- slots beyond live in the table C
local MAX_NEST = 40       -- open blocks; a deeper condition moves to a function of its own
local MAX_VALUE_NEST = 20 -- open blocks beyond which parts of a value are filled first
local MAX_INLINE = 12     -- parentheses within one expression
local MAX_ARGUMENTS = 40  -- written out; more are handed over in a table

local Emitter = {}
Emitter.__index = Emitter

Emitter.compare = emit_compare.compare
Emitter.spread, Emitter.array = emit_array.spread, emit_array.array

local M = {}

-- Accessors held as upvalues of the function; more are taken from the table A.
M.MAX_UPVALUES = 24

--- What the functions of one chunk share: constants, accessors, helpers, functions split off.
---@param cells table  { at = { value key → place in C }, count, share_all }, one for all chunks of a ruleset
---@return table
function M.new_chunk(cells)
  return {
    cells = cells,
    constants = {},    -- K
    constant_at = {},  -- value → place in K
    labels = {},       -- place in K → what a function or a set there is, for people
    accessors = {},    -- A: the fields
    accessor_at = {},  -- field name → place in A
    helpers = {},      -- names used from the runtime table, in order of use
    functions = {},    -- sources of functions split off for depth
    was_split = false,
  }
end

--- A writer for one function of a chunk.
---@param chunk table
---@return table
function M.new(chunk)
  return setmetatable({
    chunk = chunk,
    out = {},
    slots = {},
    slot_count = 0,
    trail = {},     -- slots surely filled here, in order, so that leaving a block forgets what it filled
    nest = 1,
    temps = 0,      -- most intermediate Booleans in use at once
    temps_in_use = 0,
    names = 0,
  }, Emitter)
end

function Emitter:line(text)
  local out = self.out
  out[#out + 1] = rep("  ", self.nest) .. text
end

function Emitter:open(text)
  self:line(text)
  self.nest = self.nest + 1
end

function Emitter:close(text)
  self.nest = self.nest - 1
  self:line(text or "end")
end

-- A name for a block-local variable.
function Emitter:fresh(letter)
  self.names = self.names + 1
  return letter .. self.names
end

function Emitter:helper(name)
  local helpers = self.chunk.helpers
  if not helpers[name] then
    helpers[name] = true
    helpers[#helpers + 1] = name
  end
  return name
end

--- A constant as it is written in the source.
---@param value any
---@param label string|nil  what it is, where the value itself does not say
---@return string
function Emitter:constant(value, label)
  local kind = type(value)
  if kind == "number" then
    return value < 0 and "(" .. integer.to_decimal(value) .. ")" or integer.to_decimal(value)
  elseif kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local chunk = self.chunk
  local at = chunk.constant_at[value]
  if not at then
    at = #chunk.constants + 1
    chunk.constants[at] = value
    chunk.constant_at[value] = at
    chunk.labels[at] = label
  end
  return "K[" .. at .. "]"
end

function Emitter:accessor(field)
  local chunk = self.chunk
  local at = chunk.accessor_at[field.name]
  if not at then
    at = #chunk.accessors + 1
    chunk.accessors[at] = field
    chunk.accessor_at[field.name] = at
  end
  return at <= M.MAX_UPVALUES and "A" .. at or "A[" .. at .. "]"
end

-- Runs `write` with the output going to a list of its own, and forgets afterwards which slots it filled.
function Emitter:capture(write, ...)
  local out, mark = self.out, #self.trail
  local captured = {}
  self.out = captured
  self.nest = self.nest + 1
  local a, b = write(self, ...)
  self.nest = self.nest - 1
  self.out = out
  self:forget(mark)
  return captured, a, b
end

function Emitter:paste(lines)
  local out = self.out
  for i = 1, #lines do
    out[#out + 1] = lines[i]
  end
end

function Emitter:forget(mark)
  local trail = self.trail
  for i = #trail, mark + 1, -1 do
    trail[i].is_filled = false
    trail[i] = nil
  end
end

function Emitter:slot(key)
  local slot = self.slots[key]
  if not slot then
    local cells = self.chunk.cells
    slot = { cell = cells.at[key] }
    self.slot_count = self.slot_count + 1
    slot.is_cell = self.slot_count > MAX_LOCALS
    if not slot.cell and (slot.is_cell or cells.share_all) then
      cells.count = cells.count + 1
      slot.cell = cells.count
      if cells.share_all then
        cells.at[key] = slot.cell
      end
    end
    slot.name = slot.is_cell and "C[" .. slot.cell .. "]" or "v" .. self.slot_count
    self.slots[key] = slot
  end
  return slot
end

local WRITE_VALUE = {}

function WRITE_VALUE.field(self, node, name)
  self:line(format("%s = %s()", name, self:accessor(node.field)))
end

local function present(base, may_miss)
  return may_miss and base .. " ~= nil and " or ""
end

function WRITE_VALUE.index(self, node, name)
  local base = self:value(node.of)
  self:line(format("if %s%s.n > %s then %s = %s[%s] end", present(base, node.of.may_miss), base,
    self:constant(node.position), name, base, self:constant(node.position + 1)))
end

function WRITE_VALUE.key(self, node, name)
  local base = self:value(node.of)
  local key = self:constant(node.name)
  if node.of.may_miss then
    self:line(format("if %s ~= nil then %s = %s[%s] end", base, name, base, key))
  else
    self:line(format("%s = %s[%s]", name, base, key))
  end
end

-- The arguments from number `from` on as expressions, and the conditions under which the call may be made.
function Emitter:arguments(node, from)
  local args, guards = {}, {}
  for i = from, #node.args do
    local arg = node.args[i]
    if arg.key then
      args[#args + 1] = self:value(arg)
      if arg.may_miss and not node.def.lenient then
        guards[#guards + 1] = args[#args] .. " ~= nil"
      end
    elseif arg.type == types.booleans then
      args[#args + 1] = self:array(arg)
    else
      local name = self:temp()
      local expression = self:condition(arg, name)
      if expression ~= name then
        self:line(format("%s = %s", name, expression))
      end
      args[#args + 1] = name
    end
  end
  return args, guards
end

-- Calls that are written out when their second argument is a literal; named by the function's `inline`.
local INLINE_CALL = { begins = emit_compare.begins, ends = emit_compare.ends }

-- The call itself, its arguments being expressions.
function Emitter:call(node, args)
  local inline, second = INLINE_CALL[node.def.inline], node.args[2]
  if inline and second.kind == "literal" and second.value then
    return inline(self, args[1], second.value)
  end
  if #args > MAX_ARGUMENTS then
    return format("%s(%s, %d, {%s})", self:helper("apply"), self:constant(node.call, node.def.name), #args, concat(args, ", "))
  end
  return format("%s(%s)", self:constant(node.call, node.def.name), concat(args, ", "))
end

function WRITE_VALUE.call(self, node, name)
  local temps = self.temps_in_use
  if not node.is_mapped then
    local args, guards = self:arguments(node, 1)
    if #guards > 0 then
      self:line(format("if %s then %s = %s end", concat(guards, " and "), name, self:call(node, args)))
    else
      self:line(format("%s = %s", name, self:call(node, args)))
    end
  else
    self:open("do")
    local args, guards = self:arguments(node, 2)
    local list, n = self:fresh("l"), self:fresh("n")
    self:line(format("local %s, %s = {}, 0", list, n))
    if #guards > 0 then
      self:open(format("if %s then", concat(guards, " and ")))
    end
    self:spread(node.args[1], function(element)
      local result = self:fresh("r")
      table.insert(args, 1, element)
      self:line(format("local %s = %s", result, self:call(node, args)))
      self:line(format("if %s ~= nil then %s = %s + 1; %s[%s] = %s end", result, n, n, list, n, result))
    end)
    if #guards > 0 then
      self:close()
    end
    self:line(format("%s.n = %s", list, n))
    self:line(format("%s = %s", name, list))
    self:close()
  end
  self.temps_in_use = temps
end

-- Fills what a value is made of before its own blocks are opened, so that calls within calls do not become blocks
-- within blocks.
function Emitter:fill_parts(node)
  for _, part in ipairs(node.args or { node.of }) do
    if part.key and part.mapped == 0 then
      self:value(part)
    end
  end
end

--- The value as an expression without side effects; writes the statements that fill its slot unless it is surely
--- filled.
function Emitter:value(node)
  if node.kind == "literal" then
    return self:constant(node.value)
  end
  local slot = self:slot(node.key)
  if slot.is_filled then
    return slot.name
  end
  local write = WRITE_VALUE[node.kind]
  if slot.was_touched or slot.cell then
    if self.nest > MAX_VALUE_NEST then
      self:fill_parts(node)
    end
    -- Perhaps filled: on another path, or by another function.
    self:open(format("if %s == nil then", slot.name))
    local mark = #self.trail
    if slot.cell and not slot.is_cell then
      local cell = "C[" .. slot.cell .. "]"
      self:line(format("%s = %s", slot.name, cell))
      self:open(format("if %s == nil then", slot.name))
      write(self, node, slot.name)
      self:line(format("%s = %s", cell, slot.name))
      self:close()
    else
      write(self, node, slot.name)
    end
    self:forget(mark)
    self:close()
  else
    write(self, node, slot.name)
  end
  slot.was_touched, slot.is_filled = true, true
  self.trail[#self.trail + 1] = slot
  return slot.name
end

-- A variable for an intermediate Boolean.
function Emitter:temp()
  self.temps_in_use = self.temps_in_use + 1
  if self.temps_in_use > self.temps then
    self.temps = self.temps_in_use
  end
  return "t" .. self.temps_in_use
end

-- Values made of other values for the generator's own use; being values, they are computed once for all rules.
local LOWER = functions.lower
local NUMBER = {
  Integer = { name = "number", call = integer.as_number },
  IP = { name = "number", call = ip.v4_number },
}

local function derived(def, value)
  return {
    kind = "call", def = def, call = def.call, args = { value }, type = value.type, mapped = 0,
    may_miss = value.may_miss, key = def.name .. "(" .. value.key .. ")",
  }
end

local WRITE_CONDITION = {}

function WRITE_CONDITION.constant(_, node)
  return tostring(node.value), 0
end

function WRITE_CONDITION.test(self, node)
  return self:value(node.value) .. " == true", 0
end

function WRITE_CONDITION.compare(self, node)
  local left = node.left
  if node.op == "wildcard" then
    node.folded = node.folded or derived(LOWER, left)
    return self:compare(node, self:value(node.folded), left.may_miss, "strict wildcard"), 0
  end
  local name = self:value(left)
  if emit_compare.wants_number(node) then
    node.number = node.number or derived(NUMBER[left.type.kind], left)
    return self:compare(node, name, left.may_miss, nil, self:value(node.number)), 0
  end
  return self:compare(node, name, left.may_miss), 0
end

WRITE_CONDITION["not"] = function(self, node, d)
  local of, depth = self:condition(node.of, d)
  return "not (" .. of .. ")", depth + 1
end

WRITE_CONDITION.any, WRITE_CONDITION.all = emit_array.quantified, emit_array.quantified

-- `and` and `or`: operands that are plain expressions are joined; one that needs statements first runs in a block
-- that is only entered while the answer is open.
local function write_chain(self, node, d)
  local is_and = node.kind == "and"
  local word = is_and and " and " or " or "
  local expression, depth = self:condition(node[1], d)
  local parts = { "(" .. expression .. ")" }
  if expression == d then
    parts[1] = d
  end
  for i = 2, #node do
    local lines, right, right_depth = self:capture(self.condition, node[i], d)
    if #lines == 0 then
      parts[#parts + 1] = "(" .. right .. ")"
      depth = right_depth > depth and right_depth or depth
    else
      local so_far = concat(parts, word)
      if so_far ~= d then
        self:line(format("%s = %s", d, so_far))
      end
      self:open(format(is_and and "if %s then" or "if not %s then", d))
      self:paste(lines)
      if right ~= d then
        self:line(format("%s = %s", d, right))
      end
      self:close()
      parts, depth = { d }, 0
    end
  end
  return concat(parts, word), depth + 1
end

WRITE_CONDITION["and"], WRITE_CONDITION["or"] = write_chain, write_chain

function WRITE_CONDITION.xor(self, node, d)
  local expression = self:condition(node[1], d)
  if expression ~= d then
    self:line(format("%s = %s", d, expression))
  end
  local temps = self.temps_in_use
  local other = self:temp()
  for i = 2, #node do
    local right = self:condition(node[i], other)
    self:line(format("%s = %s ~= (%s)", d, d, right))
  end
  self.temps_in_use = temps
  return d, 0
end

-- A condition too deep for one function becomes a function of the chunk, which reads its values for itself.
local function split_off(self, node)
  local chunk = self.chunk
  chunk.was_split = true
  local inner = M.new(chunk)
  local body = inner:finish(node)
  -- In a table, since a function may have 200 locals and 60 upvalues only.
  local name = "F[" .. (#chunk.functions + 1) .. "]"
  chunk.functions[#chunk.functions + 1] = format("%s = function()\n%send", name, body)
  return name .. "()", 0
end

--- The condition as an expression that is true or false; writes the statements that it needs first.
---@param node table
---@param d string  a variable that these statements, and the expression, may use
---@return string expression
---@return integer depth  parentheses within it
function Emitter:condition(node, d)
  if self.nest > MAX_NEST then
    return split_off(self, node)
  end
  local expression, depth = WRITE_CONDITION[node.kind](self, node, d)
  if depth > MAX_INLINE then
    self:line(format("%s = %s", d, expression))
    return d, 0
  end
  return expression, depth
end

--- Declares the variables used and returns the whole body.
function Emitter:body()
  local head = {}
  local function declare(letter, count)
    local names = {}
    for i = 1, count do
      names[i] = letter .. i
    end
    if count > 0 then
      head[#head + 1] = "  local " .. concat(names, ", ")
    end
  end
  declare("v", self.slot_count < MAX_LOCALS and self.slot_count or MAX_LOCALS)
  declare("t", self.temps)
  head[#head + 1] = concat(self.out, "\n")
  return concat(head, "\n") .. "\n"
end

--- A body that returns one condition.
function Emitter:finish(node)
  local d = self:temp()
  self:line("return " .. self:condition(node, d))
  return self:body()
end

return M
