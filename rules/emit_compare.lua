-- moongate.rules.emit_compare: one comparison as a Lua expression.
--
-- The common forms are written out, so that the JIT compiler sees a plain test; every other comparison calls its
-- predicate (operators.lua), which travels as a constant. Both must mean the same. Called by emit.lua with its writer
-- as `self`.

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

-- The few forms worth writing out; nil sends the comparison to its predicate.
local INLINE = {}

function INLINE.eq(self, node, x)
  return format("%s == %s", x, self:constant(node.right)), true
end

function INLINE.ne(self, node, x)
  return format("%s ~= %s", x, self:constant(node.right))
end

local function write_order(self, node, x)
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

-- A handful of ranges is asked one by one; more are left to the binary search.
local function write_ranges(self, node, x)
  local items, kind = node.right.items, node.left.type.kind
  if #items > MAX_RANGES then
    return nil
  end
  local below = self:helper(kind == "Integer" and "integer_less_equal" or "less_equal")
  local parts = {}
  for i, item in ipairs(items) do
    local first, last = item[1], item[2]
    if not last or last == first then
      parts[i] = format("%s == %s", x, self:constant(first))
    else
      local family = kind == "IP" and format("#%s == %d and ", x, #first) or ""
      parts[i] = format("%s%s(%s, %s) and %s(%s, %s)", family, below, self:constant(first), x, below, x,
        self:constant(last))
    end
  end
  return "(" .. concat(parts, " or ") .. ")"
end

INLINE["in"] = function(self, node, x)
  local set = node.right
  if set.list then
    return format("%s(%s) == true", self:constant(set.contains), x)
  elseif set.in_range then
    return write_ranges(self, node, x)
  elseif set.count == 0 then
    return "false", true
  elseif set.count == 1 then
    return format("%s == %s", x, self:constant((next(set.members)))), true
  end
  return format("%s[%s] ~= nil", self:constant(set.members), x), false
end

function INLINE.contains(self, node, x)
  return format("%s(%s, %s, 1, true) ~= nil", self:helper("find"), x, self:constant(node.right))
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
function M.compare(self, node, x, may_miss, op)
  local inline = INLINE[op or node.op]
  local expression, takes_nil
  if inline then
    expression, takes_nil = inline(self, node, x)
  end
  if not expression then
    local right = node.right
    if type(right) ~= "table" then
      right = node
    end
    -- One predicate per right-hand side, so that specialisations of one document share it.
    local slot = op and "folded_predicate" or "predicate"
    right[slot] = right[slot] or operators.predicate(node, op)
    expression = format("%s(%s)", self:constant(right[slot]), x)
  end
  if may_miss and not takes_nil then
    return format("(%s ~= nil and %s)", x, expression)
  end
  return expression
end

return M
