-- moongate.rules.regex: regular expressions in linear time, in plain Lua: a deterministic automaton built while it
-- runs.
--
-- A state is what the program could be doing at one place of the value; from state and byte follows the next state,
-- computed when first needed and kept. Nothing is ever tried twice, so no pattern and no value can make it slow
-- beyond their sizes. The kept states are bounded; when there are too many they are dropped and the walk goes on.
-- This is the engine that a schema uses unless its host hands in another (schema.lua). A matcher belongs to one Lua
-- state.

local captures = require "moongate.rules.regex_captures"
local program_of = require "moongate.rules.regex_program"
local syntax = require "moongate.rules.regex_syntax"

local byte, char, find = string.byte, string.char, string.find
local concat, sort = table.concat, table.sort

local M = {}

local MAX_ENTRIES = 16384 -- transitions kept per pattern
local MATCHED, DEAD = -1, -2

local SET, SPLIT, LOOK, MATCH = program_of.SET, program_of.SPLIT, program_of.LOOK, program_of.MATCH
local holds = program_of.holds

-- What looks can tell apart about a byte, and one byte for each kind.
local NONE, NEWLINE, RETURN, WORD, OTHER = 1, 2, 3, 4, 5
local SAMPLE = { nil, 10, 13, 97, 0 }

local function kind_of(code)
  if code == 10 then
    return NEWLINE
  elseif code == 13 then
    return RETURN
  elseif find(char(code), "^[0-9A-Za-z_]") then
    return WORD
  end
  return OTHER
end

-- Bytes that no set and no look of the program tells apart share a class.
local function byte_classes(program)
  local class, sample, count, by_signature = {}, {}, 0, {}
  for code = 0, 255 do
    local bits = {}
    for i, set in ipairs(program.sets) do
      bits[i] = set[code] and "1" or "0"
    end
    if program.looks then
      bits[#bits + 1] = kind_of(code)
    end
    local signature = concat(bits)
    local found = by_signature[signature]
    if not found then
      found = count
      count = count + 1
      by_signature[signature], sample[found] = found, code
    end
    class[code] = found
  end
  return class, sample, count
end

-- The set instructions reachable from `seeds` at a place between two bytes, in `out`; true when the match is reachable.
local function closure(program, seeds, before, after, out)
  local op, x, y = program.op, program.x, program.y
  local seen, stack, top, n = {}, {}, 0, 0
  for i = 1, #seeds do
    top = top + 1
    stack[top] = seeds[i]
  end
  while top > 0 do
    local pc = stack[top]
    top = top - 1
    if not seen[pc] then
      seen[pc] = true
      local what = op[pc]
      if what == SET then
        n = n + 1
        out[n] = pc
      elseif what == SPLIT then
        stack[top + 1], stack[top + 2] = x[pc], y[pc]
        top = top + 2
      elseif what == MATCH then
        return true
      elseif what == LOOK then
        if holds(x[pc], before, after) then
          top = top + 1
          stack[top] = y[pc]
        end
      end
    end
  end
  return false
end

-- Whether every way from the start first asks for the beginning of the value.
local function is_anchored(program)
  local op, x, y = program.op, program.x, program.y
  local seen, stack = {}, { program.start }
  while #stack > 0 do
    local pc = table.remove(stack)
    if not seen[pc] then
      seen[pc] = true
      if op[pc] == SET or op[pc] == MATCH then
        return false
      elseif op[pc] == SPLIT then
        stack[#stack + 1], stack[#stack + 2] = x[pc], y[pc]
      elseif x[pc] ~= "start" then
        stack[#stack + 1] = y[pc]
      end
    end
  end
  return true
end

local Machine = {}
Machine.__index = Machine

function Machine:reset()
  self.transitions, self.states, self.ids, self.count = {}, {}, {}, 0
  self:state({}, NONE)
end

-- The number of a state, times the stride; the start has 0.
function Machine:state(kernel, before)
  sort(kernel)
  local key = concat(kernel, ",") .. ":" .. before
  local id = self.ids[key]
  if not id then
    if (self.count + 1) * self.stride > MAX_ENTRIES and self.count > 0 then
      self:reset()
    end
    id = self.count * self.stride
    self.count = self.count + 1
    self.ids[key], self.states[id] = id, { kernel = kernel, before = before }
  end
  return id
end

-- The state after `id` when a byte of this class follows (the class after the last one: the end of the value).
function Machine:step(id, class)
  local program, state = self.program, self.states[id]
  local code = self.sample[class]
  local seeds = {}
  for i, pc in ipairs(state.kernel) do
    seeds[i] = pc
  end
  if not self.anchored or state.before == NONE then
    seeds[#seeds + 1] = program.start
  end
  local ready = {}
  local next_id
  if closure(program, seeds, SAMPLE[state.before], code, ready) then
    next_id = MATCHED
  elseif not code then
    next_id = DEAD
  else
    local kernel, seen = {}, {}
    for _, pc in ipairs(ready) do
      local target = program.y[pc]
      if program.x[pc][code] and not seen[target] then
        seen[target] = true
        kernel[#kernel + 1] = target
      end
    end
    if #kernel == 0 and self.anchored then
      next_id = DEAD
    else
      local transitions = self.transitions
      next_id = self:state(kernel, program.looks and kind_of(code) or OTHER)
      if transitions ~= self.transitions then -- everything was dropped, `id` with it
        return next_id
      end
    end
  end
  self.transitions[id + class] = next_id
  return next_id
end

local function automaton(program)
  local class, sample, count = byte_classes(program)
  local machine = setmetatable({
    program = program, sample = sample, stride = count + 1, anchored = is_anchored(program),
  }, Machine)
  machine:reset()
  return function(value)
    local transitions, state = machine.transitions, 0
    for i = 1, #value do
      local c = class[byte(value, i)]
      local following = transitions[state + c]
      if not following then
        following = machine:step(state, c)
        transitions = machine.transitions
      end
      if following < 0 then
        return following == MATCHED
      end
      state = following
    end
    return (transitions[state + count] or machine:step(state, count)) == MATCHED
  end
end

-- The bytes of a pattern that is nothing but text.
local function plain_text(tree)
  local parts = {}
  for i, node in ipairs(tree.kind == "cat" and tree or { tree }) do
    if node.kind ~= "set" or #node.ranges ~= 1 or node.ranges[1][1] ~= node.ranges[1][2] then
      return nil
    end
    parts[i] = char(node.ranges[1][1])
  end
  return concat(parts)
end

--- Compiles a pattern.
---@param pattern string  the dialect of regex_syntax.lua
---@return (fun(value: string): boolean)|nil matcher  true when some part of the value matches
---@return string|nil message
function M.compile(pattern)
  local tree, message = syntax.parse(pattern)
  if not tree then
    return nil, message
  end
  local text = plain_text(tree)
  if text then
    return function(value) return find(value, text, 1, true) ~= nil end
  end
  local program
  program, message = program_of.new(tree, false)
  if not program then
    return nil, message
  end
  return automaton(program)
end

--- Compiles a pattern for its groups.
---@param pattern string
---@return (fun(value: string): table|nil, integer|nil, integer|nil)|nil find_captures
---  the groups of the leftmost match ([0] is the match itself) and its first and last byte; nil when there is none
---@return integer|string groups_or_message  how many groups the pattern has
function M.compile_captures(pattern)
  local tree, groups = syntax.parse(pattern)
  if not tree then
    return nil, groups
  end
  local program, message = program_of.new(tree, true)
  if not program then
    return nil, message
  end
  return captures.finder(program), groups
end

return M
