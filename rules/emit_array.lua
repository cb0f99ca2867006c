-- moongate.rules.emit_array: loops over what `[*]` spreads out, and any() and all() over them.
--
-- The usual question, any or all over one comparison, becomes a loop that stops at the first decisive element and
-- makes nothing; only arrays that are combined with each other are built as tables. Called by emit.lua with its
-- writer as `self`.

local types = require "moongate.rules.types"

local format = string.format

local M = {}

-- A loop over the values that a chain with `[*]` spreads out. `body(element)` writes what happens to each; `is_over`,
-- if given, is the condition on which outer loops end too (the body itself breaks the innermost).
function M.spread(self, node, body, is_over)
  local steps = {}
  local base = node
  while base.mapped > 0 do
    steps[#steps + 1] = base
    base = base.of
  end
  local name = self:value(base)
  local mark = #self.trail
  if base.may_miss then
    self:open(format("if %s ~= nil then", name))
  end
  local function step(i, value, is_inner)
    local at = steps[i]
    if not at then
      body(value)
    elseif at.kind == "each" then
      local list = value
      if at.of.type.kind == "Map" then
        list = self:fresh("m")
        self:line(format("local %s = %s(%s)", list, self:helper("sorted_values"), value))
      end
      local i_name, element = self:fresh("i"), self:fresh("e")
      self:open(format("for %s = 1, %s.n do", i_name, list))
      self:line(format("local %s = %s[%s]", element, list, i_name))
      step(i - 1, element, true)
      self:close()
      if is_over and is_inner then
        self:line(format("if %s then break end", is_over))
      end
    else
      local element = self:fresh("e")
      if at.kind == "index" then
        self:line(format("local %s", element))
        self:line(format("if %s.n > %s then %s = %s[%s] end", value, self:constant(at.position), element, value,
          self:constant(at.position + 1)))
      else
        self:line(format("local %s = %s[%s]", element, value, self:constant(at.name)))
      end
      self:open(format("if %s ~= nil then", element))
      step(i - 1, element, is_inner)
      self:close()
    end
  end
  step(#steps, name, false)
  if base.may_miss then
    self:close()
  end
  self:forget(mark)
end

local EMPTY = { n = 0 }
local PAIR = { ["and"] = "both", ["or"] = "either", ["xor"] = "differ" }

-- An array of Booleans as the name of a block-local variable or a constant.
function M.array(self, node)
  local kind = node.kind
  if PAIR[kind] then
    local list = self:array(node[1])
    for i = 2, #node do
      local name, right = self:fresh("b"), self:array(node[i])
      self:line(format("local %s = %s(%s, %s)", name, self:helper(PAIR[kind]), list, right))
      list = name
    end
    return list
  end
  if kind == "constants" then
    return self:constant(node.values)
  elseif kind == "not" then
    local of, name = self:array(node.of), self:fresh("b")
    self:line(format("local %s = %s(%s)", name, self:helper("negate"), of))
    return name
  elseif kind == "compare" or node.value.mapped > 0 then
    local name, n = self:fresh("b"), self:fresh("n")
    self:line(format("local %s, %s = {}, 0", name, n))
    self:spread(kind == "compare" and node.left or node.value, function(element)
      local result = kind == "compare" and self:compare(node, element, false) or element .. " == true"
      self:line(format("%s = %s + 1; %s[%s] = %s", n, n, name, n, result))
    end)
    self:line(format("%s.n = %s", name, n))
    return name
  end
  local value = self:value(node.value)
  if not node.value.may_miss then
    return value
  end
  local name = self:fresh("b")
  self:line(format("local %s = %s or %s", name, value, self:constant(EMPTY)))
  return name
end

-- any(c), all(c) and their negations over one chain become a loop that stops at the first decisive element.
function M.quantified(self, node, d)
  local is_any, of, negated = node.kind == "any", node.of, false
  while of.kind == "not" do
    of, negated = of.of, not negated
  end
  self:open("do")
  if of.kind == "compare" or of.kind == "test" then
    self:line(format("%s = %s", d, is_any and "false" or "true"))
    local over = is_any and d or "not " .. d
    local chain = of.left or of.value
    if chain.mapped == 0 then
      chain = { kind = "each", of = chain, mapped = 1, type = types.boolean }
    end
    self:spread(chain, function(element)
      local hit = of.kind == "compare" and self:compare(of, element, false) or element .. " == true"
      if is_any == negated then
        hit = "not (" .. hit .. ")"
      end
      self:line(format("if %s then %s = %s; break end", hit, d, is_any and "true" or "false"))
    end, over)
  else
    local mark = #self.trail
    local list = self:array(node.of)
    self:line(format("%s = %s(%s)", d, self:helper(node.kind), list))
    self:forget(mark)
  end
  self:close()
  return d, 0
end

return M
