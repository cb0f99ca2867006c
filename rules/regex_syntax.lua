-- moongate.rules.regex_syntax: the text of a regular expression → a tree of byte sets.
--
-- The dialect is that of the Rust regex family in byte mode: Unicode off, no look-around, no back-references. The
-- tree speaks of bytes only: characters beyond ASCII, and classes after `(?u)`, become sequences of bytes; case and
-- flags are resolved here. Nodes: { kind = "empty" | "set" (ranges) | "cat" | "alt" (lists) | "repeat" (of, min, max,
-- greedy) | "group" (of, index) | "look" (what: start, end, line_start, line_end, word, not_word, word_start,
-- word_end, and half forms) }. Called by regex.lua. A mistake is returned with its message; the pattern has at most
-- the length of an expression.

local class = require "moongate.rules.regex_class"
local codeset = require "moongate.rules.codeset"
local unicode = require "moongate.rules.unicode"
local utf8 = require "moongate.rules.utf8"
local utf8_ranges = require "moongate.rules.utf8_ranges"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local pcall, tonumber = pcall, tonumber

local M = {}

local MAX_DEPTH = 250
local MAX_COUNT = 4294967295

local EMPTY = { kind = "empty" }

local function set_node(ranges)
  return { kind = "set", ranges = ranges }
end

local function look(what)
  return { kind = "look", what = what }
end

local function cat(list)
  if #list == 1 then
    return list[1]
  end
  list.kind = "cat"
  return #list == 0 and EMPTY or list
end

-- Sequences of byte ranges as a node. They come in order, so those that begin alike stand together and share their
-- beginning; what ends alike becomes one set.
local function sequences_node(sequences, first, last, at)
  local choices, ends = { kind = "alt" }, {}
  local i = first
  while i <= last do
    local range = sequences[i][at]
    local stop = i
    while stop < last and sequences[stop + 1][at][1] == range[1] and sequences[stop + 1][at][2] == range[2] do
      stop = stop + 1
    end
    if #sequences[i] == at then
      ends[#ends + 1] = range
    else
      choices[#choices + 1] = { kind = "cat", set_node { range }, sequences_node(sequences, i, stop, at + 1) }
    end
    i = stop + 1
  end
  if #ends > 0 then
    table.insert(choices, 1, set_node(codeset.new(ends)))
  end
  return #choices == 1 and choices[1] or choices
end

-- A set of codes as a node: bytes as they are, characters as the byte sequences that encode them.
local function code_node(s, set)
  if not s.flags.u then
    return set_node(set)
  end
  local sequences = utf8_ranges.sequences(set)
  return #sequences == 0 and set_node {} or sequences_node(sequences, 1, #sequences, 1)
end

local function literal_node(s, code, is_byte)
  if is_byte or code < 128 then
    local set = { { code, code } }
    if s.flags.i then
      set = s.fold_set(set)
    end
    return code_node(s, set)
  end
  if s.flags.u and s.flags.i then
    return code_node(s, s.fold_set { { code, code } })
  end
  local parts = {}
  local bytes = utf8.encode(code)
  for i = 1, #bytes do
    parts[i] = set_node { { byte(bytes, i), byte(bytes, i) } }
  end
  return cat(parts)
end

local function dot_node(s)
  local excluded = {}
  if not s.flags.s then
    excluded = s.flags.R and { { 10, 10 }, { 13, 13 } } or { { 10, 10 } }
  end
  return code_node(s, codeset.negate(excluded, class.highest(s)))
end

local WORD_LOOKS = {
  ["start"] = "word_start", ["end"] = "word_end", ["start-half"] = "word_start_half", ["end-half"] = "word_end_half",
}

local LOOK_ESCAPES = { A = "start", z = "end", B = "not_word", ["<"] = "word_start", [">"] = "word_end" }

local function word_look(s, what)
  if s.flags.u then
    s.fail("word boundaries in Unicode mode are not available here")
  end
  return look(what)
end

local function parse_escape(s)
  local kind, value, is_byte = class.escape(s)
  if kind == "literal" then
    return literal_node(s, value, is_byte)
  elseif kind == "class" then
    return code_node(s, value)
  end
  local c = sub(s.text, s.pos + 1, s.pos + 1)
  if c == "b" then
    s.pos = s.pos + 2
    local name, after = match(s.text, "^{([-A-Za-z][^}]*)}()", s.pos)
    if name then
      s.pos = after
      local what = WORD_LOOKS[name]
      if not what then
        s.fail("unrecognized special word boundary assertion")
      end
      return word_look(s, what)
    elseif find(s.text, "^{[-A-Za-z]", s.pos) then
      s.fail("special word boundary assertion is either unclosed or contains an invalid character")
    end
    return word_look(s, "word")
  end
  local what = LOOK_ESCAPES[c]
  if not what then
    s.fail("unrecognized escape sequence")
  end
  s.pos = s.pos + 2
  return (what == "start" or what == "end") and look(what) or word_look(s, what)
end

local function line_look(s, edge)
  if not s.flags.m then
    return look(edge)
  end
  return look((s.flags.R and "crlf_" or "line_") .. edge)
end

local function parse_decimal(s)
  local digits, after = match(s.text, "^[ \t\n\v\f\r]*([0-9]+)[ \t\n\v\f\r]*()", s.pos)
  if not digits then
    s.fail("repetition quantifier expects a valid decimal")
  end
  local n = #digits <= 12 and tonumber(digits, 10) or MAX_COUNT + 1
  if n > MAX_COUNT then
    s.fail("decimal literal invalid")
  end
  s.pos = after
  return n
end

-- {n}, {n,} or {n,m}; s.pos stands on the brace.
local function parse_count(s)
  local start = s.pos
  s.pos = s.pos + 1
  class.skip(s)
  if s.pos > #s.text then
    s.fail("unclosed counted repetition")
  end
  local low = parse_decimal(s)
  local high = low
  if byte(s.text, s.pos) == 44 then
    s.pos = s.pos + 1
    class.skip(s)
    high = nil
    if byte(s.text, s.pos) ~= 125 then
      high = parse_decimal(s)
    end
  end
  if byte(s.text, s.pos) ~= 125 then
    s.fail("unclosed counted repetition")
  end
  s.pos = s.pos + 1
  if high and low > high then
    s.pos = start
    s.fail("invalid repetition count range, the start must be <= the end")
  end
  return low, high
end

local function parse_flags(s)
  local flags, is_off, seen = {}, false, {}
  for name, value in pairs(s.flags) do
    flags[name] = value
  end
  local count, last = 0, nil
  while true do
    local c = sub(s.text, s.pos, s.pos)
    if c == "" then
      s.fail("expected flag but got end of regex")
    elseif c == ":" or c == ")" then
      break
    elseif c == "-" then
      if is_off then
        s.fail("duplicate flag negation operator")
      end
      is_off = true
    elseif find(c, "[imsUuRx]") then
      if seen[c] then
        s.fail("duplicate flag")
      end
      seen[c], flags[c] = true, not is_off
    else
      s.fail("unrecognized flag")
    end
    count, last = count + 1, c
    s.pos = s.pos + 1
  end
  if last == "-" then
    s.fail("dangling flag negation operator")
  end
  return flags, count
end

local parse_alternation

local function parse_group_body(s, depth)
  local start = s.group_start
  local node = parse_alternation(s, depth + 1)
  if byte(s.text, s.pos) ~= 41 then
    s.pos = start
    s.fail("unclosed group")
  end
  s.pos = s.pos + 1
  return node
end

local function parse_name(s)
  local name, after = match(s.text, "^([^>]*)>()", s.pos)
  if not name then
    s.fail("unclosed capture group name")
  elseif name == "" then
    s.fail("empty capture group name")
  elseif not find(name, "^[A-Za-z_\128-\255][A-Za-z0-9_.%[%]\128-\255]*$") then
    s.fail("invalid capture group character")
  elseif s.names[name] then
    s.fail("duplicate capture group name")
  end
  s.names[name], s.pos = true, after
end

-- A group, or flags for the rest of the group around; nil for the latter. s.pos stands on the parenthesis.
local function parse_group(s, depth)
  if depth > MAX_DEPTH then
    s.fail("exceeds the nest limit")
  end
  s.group_start = s.pos
  s.pos = s.pos + 1
  class.skip(s)
  local outer = s.flags
  if byte(s.text, s.pos) == 63 then
    s.pos = s.pos + 1
    if find(s.text, "^<?[=!]", s.pos) then
      s.fail("look-around, including look-ahead and look-behind, is not supported")
    end
    local after_mark = match(s.text, "^P?<()", s.pos)
    if after_mark then
      s.pos = after_mark
      parse_name(s)
    else
      local flags, count = parse_flags(s)
      local is_scoped = byte(s.text, s.pos) == 58
      s.pos = s.pos + 1
      if not is_scoped then
        if count == 0 then
          s.fail("repetition operator missing expression")
        end
        s.flags = flags
        return nil
      end
      s.flags = flags
      local node = parse_group_body(s, depth)
      s.flags = outer
      return node
    end
  end
  s.groups = s.groups + 1
  local index = s.groups
  local node = parse_group_body(s, depth)
  s.flags = outer
  return { kind = "group", of = node, index = index }
end

local function parse_primitive(s, depth)
  local b = byte(s.text, s.pos)
  if b == 40 then
    return parse_group(s, depth)
  elseif b == 91 then
    return code_node(s, class.class(s))
  elseif b == 92 then
    return parse_escape(s)
  end
  if b == 46 or b == 94 or b == 36 then
    s.pos = s.pos + 1
    return b == 46 and dot_node(s) or line_look(s, b == 94 and "start" or "end")
  end
  return literal_node(s, class.character(s), false)
end

local function parse_repetition(s, b)
  if b ~= 123 then
    s.pos = s.pos + 1
    return b == 43 and 1 or 0, b == 63 and 1 or nil
  end
  return parse_count(s)
end

local function parse_concatenation(s, depth)
  local list = {}
  local repeatable = false -- whether a quantifier has something to stand behind
  while true do
    class.skip(s)
    local b = byte(s.text, s.pos)
    if not b or b == 41 or b == 124 then
      return cat(list)
    elseif b == 42 or b == 43 or b == 63 or b == 123 then
      if not repeatable then
        s.fail("repetition operator missing expression")
      end
      local low, high = parse_repetition(s, b)
      local greedy = true
      if byte(s.text, s.pos) == 63 then
        s.pos, greedy = s.pos + 1, false
      end
      if s.flags.U then
        greedy = not greedy
      end
      list[#list] = { kind = "repeat", of = list[#list], min = low, max = high, greedy = greedy }
    else
      local node = parse_primitive(s, depth)
      repeatable = node ~= nil
      list[#list + 1] = node
    end
  end
end

function parse_alternation(s, depth)
  local first = parse_concatenation(s, depth)
  if byte(s.text, s.pos) ~= 124 then
    return first
  end
  local node = { kind = "alt", first }
  while byte(s.text, s.pos) == 124 do
    s.pos = s.pos + 1
    node[#node + 1] = parse_concatenation(s, depth)
  end
  return node
end

local function fold_set(s, set)
  return s.flags.u and unicode.fold(set) or codeset.fold_ascii(set)
end

--- Parses a pattern.
---@param pattern string  UTF-8
---@return table|nil tree
---@return string|integer message_or_groups  on success the number of groups
function M.parse(pattern)
  if not utf8.is_valid(pattern) then
    return nil, "regex parse error: the pattern is not UTF-8"
  end
  local s = { text = pattern, pos = 1, flags = {}, groups = 0, names = {} }
  local mistake
  s.fail = function(message)
    mistake = "regex parse error: " .. message
    error(s, 0)
  end
  s.fold_set = function(set) return fold_set(s, set) end
  local ok, tree = pcall(function()
    local node = parse_alternation(s, 1)
    if s.pos <= #pattern then
      s.fail("unopened group")
    end
    return node
  end)
  if not ok then
    if tree ~= s then
      error(tree, 0) -- our bug, not the pattern's
    end
    return nil, mistake
  end
  return tree, s.groups
end

return M
