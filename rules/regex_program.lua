-- moongate.rules.regex_program: the tree of a regular expression → a small program for an automaton.
--
-- Instructions stand in parallel arrays: `op` says what, `x` and `y` with what or where next. "set": the byte must be
-- in set x, then y. "split": try x before y. "look": the place must satisfy x, then y. "save": note the place as x,
-- then y. "match". Counted repetitions are written out, so the size is limited. Called by regex.lua and
-- regex_captures.lua.

local M = {}

M.MAX_SIZE = 8192 -- instructions

local SET, SPLIT, LOOK, SAVE, MATCH = 1, 2, 3, 4, 5
M.SET, M.SPLIT, M.LOOK, M.SAVE, M.MATCH = SET, SPLIT, LOOK, SAVE, MATCH

local TOO_LARGE = {}

local function add(program, op, x, y)
  local n = program.size + 1
  if n > M.MAX_SIZE then
    error(TOO_LARGE, 0)
  end
  program.size = n
  program.op[n], program.x[n], program.y[n] = op, x, y
  return n
end

local emit -- (program, node, after) → where the node begins; what follows it is at `after`

local EMIT = {}

function EMIT.empty(_, _, after)
  return after
end

-- Sets with the same members share one table, which keeps the classes of bytes few.
function EMIT.set(program, node, after)
  local parts = {}
  for i, range in ipairs(node.ranges) do
    parts[i] = range[1] .. "-" .. range[2]
  end
  local key = table.concat(parts, ",")
  local set = program.set_of[key]
  if not set then
    set = {}
    for _, range in ipairs(node.ranges) do
      for code = range[1], range[2] do
        set[code] = true
      end
    end
    program.set_of[key] = set
    program.sets[#program.sets + 1] = set
  end
  return add(program, SET, set, after)
end

function EMIT.cat(program, node, after)
  for i = #node, 1, -1 do
    after = emit(program, node[i], after)
  end
  return after
end

function EMIT.alt(program, node, after)
  local entry = emit(program, node[#node], after)
  for i = #node - 1, 1, -1 do
    entry = add(program, SPLIT, emit(program, node[i], after), entry)
  end
  return entry
end

local function split(program, node, into, past)
  if node.greedy then
    return add(program, SPLIT, into, past)
  end
  return add(program, SPLIT, past, into)
end

-- x+: the body, then the choice to go round again. Having the choice behind the body lets a body that matched nothing
-- go on.
local function emit_plus(program, node, after)
  local loop = add(program, SPLIT, after, after)
  local body = emit(program, node.of, loop)
  program.x[loop] = node.greedy and body or after
  program.y[loop] = node.greedy and after or body
  return body
end

EMIT["repeat"] = function(program, node, after)
  local entry, copies = after, node.min
  if node.max then
    for _ = 1, node.max - node.min do
      local body = emit(program, node.of, entry)
      if body == entry then -- repeats nothing
        break
      end
      entry = split(program, node, body, after)
    end
  else
    entry = emit_plus(program, node, after)
    if copies == 0 then
      return split(program, node, entry, after)
    end
    copies = copies - 1
  end
  for _ = 1, copies do
    local body = emit(program, node.of, entry)
    if body == entry then
      break
    end
    entry = body
  end
  return entry
end

function EMIT.group(program, node, after)
  if not program.with_saves then
    return emit(program, node.of, after)
  end
  local close = add(program, SAVE, node.index * 2 + 1, after)
  return add(program, SAVE, node.index * 2, emit(program, node.of, close))
end

function EMIT.look(program, node, after)
  program.looks = true
  return add(program, LOOK, node.what, after)
end

function emit(program, node, after)
  return EMIT[node.kind](program, node, after)
end

--- Compiles a tree.
---@param tree table  from regex_syntax.parse
---@param with_saves boolean  whether groups note their places
---@return table|nil program  { op, x, y, size, start, sets, looks }
---@return string|nil message
function M.new(tree, with_saves)
  local program = {
    op = {}, x = {}, y = {}, size = 0, sets = {}, set_of = {}, looks = false, with_saves = with_saves,
  }
  local ok, err = pcall(function()
    program.start = emit(program, tree, add(program, MATCH))
  end)
  if not ok then
    if err ~= TOO_LARGE then
      error(err, 0)
    end
    return nil, ("regular expression too large (limit: %d instructions)"):format(M.MAX_SIZE)
  end
  return program
end

-- The bytes of words; a place outside the value is none.
local WORDS = {}
for code = 0, 255 do
  WORDS[code] = code >= 48 and code <= 57 or code >= 65 and code <= 90 or code == 95 or code >= 97 and code <= 122
end

local function is_word(code)
  return code ~= nil and WORDS[code]
end

-- Each takes the bytes before and after the place; nil at the ends of the value.
local HOLDS = {
  start = function(before) return before == nil end,
  ["end"] = function(_, after) return after == nil end,
  line_start = function(before) return before == nil or before == 10 end,
  line_end = function(_, after) return after == nil or after == 10 end,
  crlf_start = function(before, after) return before == nil or before == 10 or before == 13 and after ~= 10 end,
  crlf_end = function(before, after) return after == nil or after == 13 or after == 10 and before ~= 13 end,
  word = function(before, after) return is_word(before) ~= is_word(after) end,
  not_word = function(before, after) return is_word(before) == is_word(after) end,
  word_start = function(before, after) return not is_word(before) and is_word(after) end,
  word_end = function(before, after) return is_word(before) and not is_word(after) end,
  word_start_half = function(before) return not is_word(before) end,
  word_end_half = function(_, after) return not is_word(after) end,
}

--- Whether a place satisfies a look.
---@param what string
---@param before integer|nil  the byte before it; nil at the beginning
---@param after integer|nil   the byte after it; nil at the end
---@return boolean
function M.holds(what, before, after)
  return HOLDS[what](before, after)
end

return M
