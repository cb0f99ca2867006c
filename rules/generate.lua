-- moongate.rules.generate: specialised rules → Lua source, in functions of about a hundred rules.
--
-- A hundred rules are enough to make entering a function cheap and few enough for one trace of the JIT compiler. The
-- source of a chunk returns its function when called with (K, A, C, O, L, R): constants, accessors, shared cells, the
-- caller's indices, the report for matches that do not end the evaluation, and helpers. Sources depend on the shape
-- of rules alone, not on their literals, so that rulesets of one shape share compiled code. Called by compile.lua.

local emit = require "moongate.rules.emit"

local concat, format = table.concat, string.format

local M = {}

local MAX_RULES = 100     -- per function
local MAX_WEIGHT = 300    -- comparisons per function: keeps jumps and traces within their limits

---@class moongate.rules.Plan
---@field tree table        specialised condition
---@field ordinal integer   place in this ruleset; what the generated code answers with
---@field terminates boolean  a match ends the evaluation and is the verdict
---@field stops boolean       a match ends the evaluation without a verdict (skip the rest)
---@field weight integer      comparisons in the condition

---@class moongate.rules.Chunk
---@field source string
---@field constants any[]   K
---@field labels table<integer, string>  of constants that do not say what they are
---@field fields table[]    what A is made from, in order

local function write_rule(writer, rule)
  local n = rule.ordinal
  local temps = writer.temps_in_use
  local expression = writer:condition(rule.tree, writer:temp())
  writer.temps_in_use = temps
  if rule.terminates then
    writer:line(format("if %s then return O[%d] end", expression, n))
  elseif rule.stops then
    writer:line(format("if %s then L(%d) return 0, O[%d] end", expression, n, n))
  else
    writer:line(format("if %s then L(%d) end", expression, n))
  end
end

-- What the first function of a ruleset does before anything else: forget the values and the reports of the last
-- request.
local function write_beginning(writer, rules, cells)
  if cells.share_all then
    writer:line("for i = 1, C.n do C[i] = nil end")
  end
  for _, rule in ipairs(rules) do
    if not rule.terminates then
      return writer:line("L(0)")
    end
  end
end

local function names(prefix, count)
  local out = {}
  for i = 1, count do
    out[i] = prefix .. i
  end
  return concat(out, ", ")
end

local MAX_UPVALUES = emit.MAX_UPVALUES

local function assemble(chunk, body)
  local parts = { "local K, A, C, O, L, R = ...\n" }
  if #chunk.helpers > 0 then
    local from = {}
    for i, name in ipairs(chunk.helpers) do
      from[i] = "R." .. name
    end
    parts[#parts + 1] = format("local %s = %s\n", concat(chunk.helpers, ", "), concat(from, ", "))
  end
  local held = math.min(#chunk.accessors, MAX_UPVALUES)
  if held > 0 then
    local from = {}
    for i = 1, held do
      from[i] = "A[" .. i .. "]"
    end
    parts[#parts + 1] = format("local %s = %s\n", names("A", held), concat(from, ", "))
  end
  if #chunk.functions > 0 then
    parts[#parts + 1] = "local F = {}\n"
  end
  for _, split in ipairs(chunk.functions) do
    parts[#parts + 1] = split .. "\n"
  end
  parts[#parts + 1] = "return function()\n"
  parts[#parts + 1] = body
  parts[#parts + 1] = "end\n"
  return concat(parts)
end

local function write_chunk(rules, first, last, cells)
  local chunk = emit.new_chunk(cells)
  local writer = emit.new(chunk)
  if first == 1 then
    write_beginning(writer, rules, cells)
  end
  for i = first, last do
    write_rule(writer, rules[i])
  end
  writer:line("return 0")
  return {
    source = assemble(chunk, writer:body()),
    constants = chunk.constants,
    labels = chunk.labels,
    fields = chunk.accessors,
    was_split = chunk.was_split,
  }
end

-- Where one function ends and the next begins.
local function bounds(rules)
  local out, first, weight = {}, 1, 0
  for i, rule in ipairs(rules) do
    weight = weight + rule.weight
    if i > first and (i - first >= MAX_RULES or weight > MAX_WEIGHT) then
      out[#out + 1] = { first, i - 1 }
      first, weight = i, rule.weight
    end
  end
  if #rules > 0 then
    out[#out + 1] = { first, #rules }
  end
  return out
end

--- Writes the functions for a list of rules.
---@param rules moongate.rules.Plan[]
---@return moongate.rules.Chunk[] chunks
---@return integer cells  how many places of C they use
function M.rules(rules)
  local parts = bounds(rules)
  -- Values go through C only where several functions could each ask an accessor for the same field, or where one has
  -- more values than locals; that shows while writing.
  local share_all = #parts > 1
  while true do
    local cells = { at = {}, count = 0, share_all = share_all }
    local chunks, was_split = {}, false
    for i, part in ipairs(parts) do
      chunks[i] = write_chunk(rules, part[1], part[2], cells)
      was_split = was_split or chunks[i].was_split
    end
    if share_all or not was_split and cells.count == 0 then
      return chunks, cells.count
    end
    share_all = true
  end
end

return M
