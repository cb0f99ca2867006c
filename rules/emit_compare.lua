-- moongate.rules.emit_compare: one comparison as a Lua expression.
--
-- The common forms are written out, so that the JIT compiler sees a plain test; every other comparison calls its
-- predicate (operators.lua), which travels as a constant. Both must mean the same. Called by emit.lua with its writer
-- as `self`.

local ip = require "moongate.rules.ip"
local operators = require "moongate.rules.operators"

local concat, format = table.concat, string.format

local MAX_RANGES = 4 -- items of a set asked one by one

local M = {}

-- starts_with and ends_with a literal, and their kin among the wildcards: as cheap as an equality once it is compiled.
function M.begins(self, x, prefix)
  if prefix == "" then
    return "true"
  end
  return format("%s(%s, 1, %d) == %s", self:helper("sub"), x, #prefix, self:constant(prefix))
end

function M.ends(self, x, suffix)
  if suffix == "" then
    return "true"
  end
  return format("%s(%s, -%d) == %s", self:helper("sub"), x, #suffix, self:constant(suffix))
end

local ORDER = {
  String = { lt = "less", le = "less_equal", gt = "less", ge = "less_equal" },
  Integer = { lt = "integer_less", le = "integer_less_equal", gt = "integer_less", ge = "integer_less_equal" },
}

local SIGN = { lt = "<", le = "<=", gt = ">", ge = ">=" }

-- The few forms worth writing out, each (writer, node, x, number); nil sends the comparison to its predicate. The
-- second result tells that the form is false for nil by itself.
local INLINE = {}

function INLINE.eq(self, node, x)
  return format("%s == %s", x, self:constant(node.right)), true
end

function INLINE.ne(self, node, x)
  return format("%s ~= %s", x, self:constant(node.right))
end

local function write_order(self, node, x, number)
  if number then
    return format("%s %s %s", number, SIGN[node.op], self:constant(node.right))
  end
  local names = ORDER[node.left.type.kind]
  if not names then
    return nil
  end
  local helper, right = self:helper(names[node.op]), self:constant(node.right)
  if node.op == "gt" or node.op == "ge" then
    return format("%s(%s, %s)", helper, right, x)
  end
  return format("%s(%s, %s)", helper, x, right)
end

INLINE.lt, INLINE.le, INLINE.gt, INLINE.ge = write_order, write_order, write_order, write_order

-- A handful of items is asked one by one; more are left to the binary search.
local function write_ranges(self, node, x, number)
  local items, kind = node.right.items, node.left.type.kind
  if not number or #items > MAX_RANGES then
    return nil
  end
  local parts = {}
  for i, item in ipairs(items) do
    local first, last = item[1], item[2]
    if not last or last == first then
      parts[i] = format("%s == %s", x, self:constant(first))
    elseif kind == "IP" and #first == 16 then
      local below = self:helper "less_equal"
      parts[i] = format("#%s == 16 and %s(%s, %s) and %s(%s, %s)", x, below, self:constant(first), x, below, x,
        self:constant(last))
    else
      if kind == "IP" then
        first, last = ip.v4_number(first), ip.v4_number(last)
      end
      parts[i] = format("%s >= %s and %s <= %s", number, self:constant(first), number, self:constant(last))
    end
  end
  return "(" .. concat(parts, " or ") .. ")"
end

INLINE["in"] = function(self, node, x, number)
  local set = node.right
  if set.list then
    return format("%s(%s) == true", self:constant(set.contains, "in $" .. set.list), x)
  elseif set.in_range then
    return write_ranges(self, node, x, number)
  elseif set.count == 0 then
    return "false", true
  elseif set.count == 1 then
    return format("%s == %s", x, self:constant((next(set.members)))), true
  end
  return format("%s[%s] ~= nil", self:constant(set.members, format("a set of %d", set.count)), x), false
end

function INLINE.contains(self, node, x)
  return format("%s(%s, %s, 1, true) ~= nil", self:helper("find"), x, self:constant(node.right))
end

local function is_number(value)
  return value == nil or type(value) == "number"
end

--- Whether a comparison is cheaper with its left-hand side as a plain number (integer.as_number, ip.v4_number).
---@param node table  kind "compare"
---@return boolean
function M.wants_number(node)
  local kind, right = node.left.type.kind, node.right
  if kind == "Integer" and SIGN[node.op] then
    return is_number(right)
  elseif node.op ~= "in" or not right.in_range or #right.items > MAX_RANGES then
    return false
  end
  for _, item in ipairs(right.items) do
    if kind == "Integer" and not (is_number(item[1]) and is_number(item[2])) then
      return false
    end
  end
  return true
end

INLINE["strict wildcard"] = function(self, node, x)
  local pieces = node.right.pieces
  local head, tail = pieces[1], pieces[#pieces]
  if #pieces == 1 then
    return format("%s == %s", x, self:constant(head)), true
  elseif #pieces == 2 and (head == "" or tail == "") then
    return head == "" and M.ends(self, x, tail) or M.begins(self, x, head)
  elseif #pieces == 2 then
    return format("#%s >= %d and %s and %s", x, #head + #tail, M.begins(self, x, head), M.ends(self, x, tail))
  elseif #pieces == 3 and head == "" and tail == "" then
    return format("%s(%s, %s, 1, true) ~= nil", self:helper("find"), x, self:constant(pieces[2]))
  end
  return nil
end

--- One comparison as an expression that is true or false.
---@param self table  the writer
---@param node table  kind "compare"
---@param x string    the left-hand side, a name
---@param may_miss boolean
---@param op string|nil  asked in place of the node's own
---@param number string|nil  the left-hand side as a number, a name; where wants_number() said so
function M.compare(self, node, x, may_miss, op, number)
  local inline = INLINE[op or node.op]
  local expression, takes_nil
  if inline then
    expression, takes_nil = inline(self, node, x, number)
  end
  if not expression then
    local right = node.right
    if type(right) ~= "table" then
      right = node
    end
    -- One predicate per right-hand side, so that specialisations of one document share it.
    local slot = op and "folded_predicate" or "predicate"
    right[slot] = right[slot] or operators.predicate(node, op)
    expression = format("%s(%s)", self:constant(right[slot], op or node.op), x)
  end
  if may_miss and not takes_nil then
    return format("(%s ~= nil and %s)", x, expression)
  end
  return expression
end

return M
