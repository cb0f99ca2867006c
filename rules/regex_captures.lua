-- moongate.rules.regex_captures: where the groups of a regular expression matched, for regex_replace.
--
-- All possible threads of the program walk the value in step, in the order of their preference (leftmost first, then
-- as the pattern prefers); a thread carries the places it noted. Linear in the value times the program. Called by
-- regex.lua.

local program_of = require "moongate.rules.regex_program"

local byte, sub = string.byte, string.sub

local M = {}

local SET, SPLIT, LOOK, SAVE = program_of.SET, program_of.SPLIT, program_of.LOOK, program_of.SAVE
local holds = program_of.holds

local function with(saves, slot, place)
  local out = {}
  for k, v in pairs(saves) do
    out[k] = v
  end
  out[slot] = place
  return out
end

-- Adds to `list` the threads that `pc` leads to without reading a byte, best first. Works on a stack of its own,
-- since the program may be long.
local function follow(program, list, seen, pc, saves, place, before, after)
  local op, x, y = program.op, program.x, program.y
  local pcs, kept, top = { pc }, { saves }, 1
  while top > 0 do
    pc, saves = pcs[top], kept[top]
    top = top - 1
    if not seen[pc] then
      seen[pc] = true
      local what = op[pc]
      if what == SPLIT then
        pcs[top + 1], kept[top + 1] = y[pc], saves
        pcs[top + 2], kept[top + 2] = x[pc], saves
        top = top + 2
      elseif what == LOOK then
        if holds(x[pc], before, after) then
          top = top + 1
          pcs[top], kept[top] = y[pc], saves
        end
      elseif what == SAVE then
        top = top + 1
        pcs[top], kept[top] = y[pc], with(saves, x[pc], place)
      else -- reads a byte, or is the match
        list[#list + 1] = { pc = pc, saves = saves }
      end
    end
  end
end

local function groups_of(value, saves, first, last)
  local out = { [0] = sub(value, first, last) }
  for slot, place in pairs(saves) do
    if slot % 2 == 0 and saves[slot + 1] then
      out[slot / 2] = sub(value, place, saves[slot + 1] - 1)
    end
  end
  return out
end

--- The finder for a program with saves.
---@param program table
---@return fun(value: string): table|nil, integer|nil, integer|nil
function M.finder(program)
  local op, x, y = program.op, program.x, program.y
  return function(value)
    local threads, best, best_last = {}, nil, nil
    local before
    for place = 1, #value + 1 do
      local after = byte(value, place)
      local list, seen = {}, {}
      for _, thread in ipairs(threads) do
        follow(program, list, seen, thread.pc, thread.saves, place, before, after)
      end
      if not best then
        follow(program, list, seen, program.start, { first = place }, place, before, after)
      end
      threads = {}
      for _, thread in ipairs(list) do
        if op[thread.pc] ~= SET then -- the match: threads that are preferred to it have gone on already
          best, best_last = thread.saves, place - 1
          break
        elseif after and x[thread.pc][after] then
          threads[#threads + 1] = { pc = y[thread.pc], saves = thread.saves }
        end
      end
      if best and #threads == 0 then
        break
      end
      before = after
    end
    if not best then
      return nil
    end
    local first = best.first
    best.first = nil
    return groups_of(value, best, first, best_last), first, best_last
  end
end

return M
