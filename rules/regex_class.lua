-- moongate.rules.regex_class: bracket classes and escapes of regular expressions, as the Rust regex family reads them.
--
-- Half of the parser in regex_syntax.lua: everything that stands for a set of bytes (or of characters, after `(?u)`).
-- A reader takes the state `s` = { text, pos, flags } and moves s.pos. Mistakes are raised with s.fail(message).

local codeset = require "moongate.rules.codeset"
local unicode = require "moongate.rules.unicode"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local tonumber = tonumber

local M = {}

local MAX_DEPTH = 100 -- classes within classes

local DIGIT = { { 48, 57 } }
local WORD = { { 48, 57 }, { 65, 90 }, { 95, 95 }, { 97, 122 } }
local SPACE = { { 9, 13 }, { 32, 32 } }
local PERL = { d = DIGIT, w = WORD, s = SPACE }

--- The bytes of words, which \b and its kin look at.
M.WORD = WORD

local POSIX = {
  alnum = { { 48, 57 }, { 65, 90 }, { 97, 122 } },
  alpha = { { 65, 90 }, { 97, 122 } },
  ascii = { { 0, 127 } },
  blank = { { 9, 9 }, { 32, 32 } },
  cntrl = { { 0, 31 }, { 127, 127 } },
  digit = DIGIT,
  graph = { { 33, 126 } },
  lower = { { 97, 122 } },
  print = { { 32, 126 } },
  punct = { { 33, 47 }, { 58, 64 }, { 91, 96 }, { 123, 126 } },
  space = SPACE,
  upper = { { 65, 90 } },
  word = WORD,
  xdigit = { { 48, 57 }, { 65, 70 }, { 97, 102 } },
}

local ESCAPED = { a = 7, f = 12, t = 9, n = 10, r = 13, v = 11 }

--- The highest code of the mode: a byte, or a code point after `(?u)`.
---@param s table
---@return integer
function M.highest(s)
  return s.flags.u and 0x10FFFF or 255
end

--- The character at s.pos; moves behind it.
---@param s table
---@return integer|nil code  nil at the end
function M.character(s)
  local b = byte(s.text, s.pos)
  if not b then
    return nil
  elseif b < 128 then
    s.pos = s.pos + 1
    return b
  end
  local length = b >= 240 and 4 or b >= 224 and 3 or 2
  local code = b % (length == 2 and 32 or length == 3 and 16 or 8)
  for i = 1, length - 1 do
    code = code * 64 + byte(s.text, s.pos + i) % 64
  end
  s.pos = s.pos + length
  return code
end

--- In verbose mode, moves over whitespace and comments.
---@param s table
function M.skip(s)
  if s.flags.x then
    local pos = s.pos
    while true do
      pos = match(s.text, "^[ \t\n\v\f\r]+()", pos) or match(s.text, "^#[^\n]*()", pos) or pos
      if pos == s.pos then
        return
      end
      s.pos = pos
    end
  end
end

local function scalar(s, digits)
  local code = #digits <= 8 and tonumber(digits, 16)
  if not code or code > 0x10FFFF or code >= 0xD800 and code <= 0xDFFF then
    s.fail("hexadecimal literal is not a Unicode scalar value")
  end
  return code
end

-- \x41 \x{41} \u0041 \u{41} \U00000041; s.pos stands behind the letter. The second result: a byte rather than a
-- character.
local function hexadecimal(s, letter)
  local braced, after = match(s.text, "^{([0-9A-Fa-f]+)}()", s.pos)
  if braced then
    s.pos = after
    return scalar(s, braced), false
  end
  local width = letter == "x" and 2 or letter == "u" and 4 or 8
  local digits = match(s.text, "^[0-9A-Fa-f]+", s.pos)
  if not digits or #digits < width then
    s.fail("invalid hexadecimal digits")
  end
  s.pos = s.pos + width
  local code = scalar(s, sub(digits, 1, width))
  return code, letter == "x" and not s.flags.u
end

local function perl_class(s, letter)
  local plain = letter:lower()
  local set = s.flags.u and unicode.class(plain) or PERL[plain]
  return letter ~= plain and codeset.negate(set, M.highest(s)) or set
end

-- \pL \p{Greek} \P{^Lu}; s.pos stands behind the letter.
local function property(s, letter)
  if not s.flags.u then
    s.fail("Unicode not allowed here")
  end
  local name, after = match(s.text, "^{([^}]*)}()", s.pos)
  if not name then
    name, after = match(s.text, "^([A-Za-z])()", s.pos)
    if not name then
      s.fail("invalid Unicode character class")
    end
  end
  local is_negated = letter == "P"
  if byte(name) == 94 then
    is_negated, name = not is_negated, sub(name, 2)
  end
  local set = unicode.property(name)
  if not set then
    s.fail("Unicode property not found")
  end
  s.pos = after
  return is_negated and codeset.negate(set, 0x10FFFF) or set
end

--- What a backslash introduces, as far as it stands for a character or a class; s.pos stands on the backslash.
---@param s table
---@return string|nil kind  "literal" (code, is_byte), "class" (set); nil for an escape that is neither, s.pos unmoved
---@return any value
---@return boolean|nil is_byte
function M.escape(s)
  local start = s.pos
  local c = sub(s.text, start + 1, start + 1)
  if c == "" then
    s.fail("incomplete escape sequence, reached end of pattern prematurely")
  elseif find(c, "[0-9]") then
    s.fail("backreferences are not supported")
  end
  s.pos = start + 2
  if c == "x" or c == "u" or c == "U" then
    return "literal", hexadecimal(s, c)
  elseif find(c, "[dDsSwW]") then
    return "class", perl_class(s, c)
  elseif c == "p" or c == "P" then
    return "class", property(s, c)
  elseif ESCAPED[c] then
    return "literal", ESCAPED[c], false
  elseif find(c, "[%p ]") and c ~= "<" and c ~= ">" or find(c, "^[%z\1-\31\127]") then
    return "literal", byte(c), false
  end
  s.pos = start
  return nil
end

-- One item of a class: a set, and its code when it is a single character.
local function class_item(s)
  if byte(s.text, s.pos) == 92 then
    local kind, value, is_byte = M.escape(s)
    if kind == "class" then
      return value, nil
    elseif not kind then
      s.fail("invalid escape sequence found in character class")
    end
    if not is_byte and not s.flags.u and value > 127 then
      s.fail("Unicode not allowed here")
    end
    return { { value, value } }, value
  end
  local code = M.character(s)
  if not s.flags.u and code > 127 then
    s.fail("Unicode not allowed here")
  end
  return { { code, code } }, code
end

local function unclosed(s)
  s.pos = s.class_start
  s.fail("unclosed character class")
end

local function class_range(s)
  local set, first = class_item(s)
  M.skip(s)
  if s.pos > #s.text then
    unclosed(s)
  end
  -- A dash is a range unless a bracket follows (then it is itself) or another dash (then it is a difference).
  if byte(s.text, s.pos) ~= 45 then
    return set
  end
  local dash = s.pos
  s.pos = s.pos + 1
  M.skip(s)
  local following = byte(s.text, s.pos)
  if following == 93 or following == 45 then
    s.pos = dash
    return set
  end
  if not following then
    unclosed(s)
  end
  local _, last = class_item(s)
  if not first or not last then
    s.fail("invalid range boundary, must be a literal")
  elseif first > last then
    s.fail("invalid character class range, the start must be <= the end")
  end
  return { { first, last } }
end

-- [:alpha:] and [:^alpha:] within a class; anything else in this shape is a nested class.
local function posix(s)
  local caret, name, after = match(s.text, "^%[:(%^?)(%a+):%]()", s.pos)
  local set = name and POSIX[name]
  if not set then
    return nil
  end
  s.pos = after
  return caret == "^" and codeset.negate(set, M.highest(s)) or set
end

local OPERATORS = { ["&&"] = codeset.intersect, ["--"] = codeset.subtract, ["~~"] = codeset.differ }

local function fold(s, set)
  return s.flags.i and s.fold_set(set) or set
end

--- A bracket class; s.pos stands on the bracket.
---@param s table
---@param depth integer|nil
---@return integer[][] set
function M.class(s, depth)
  depth = (depth or 0) + 1
  if depth == 1 then
    s.class_start = s.pos
  elseif depth > MAX_DEPTH then
    s.fail("character classes are nested too deeply")
  end
  s.pos = s.pos + 1
  M.skip(s)
  local is_negated = byte(s.text, s.pos) == 94
  if is_negated then
    s.pos = s.pos + 1
    M.skip(s)
  end
  local union, left, operator = {}, nil, nil
  local is_empty = true
  local function add(set)
    for _, range in ipairs(set) do
      union[#union + 1] = range
    end
    is_empty = false
  end
  local function settle() -- the operand that ends here, combined with what stands to its left
    local set = fold(s, codeset.new(union))
    if operator then
      set = operator(left, set, M.highest(s))
    end
    union = {}
    return set
  end
  while byte(s.text, s.pos) == 45 do -- dashes at the beginning are themselves
    s.pos = s.pos + 1
    M.skip(s)
    add { { 45, 45 } }
  end
  if is_empty and byte(s.text, s.pos) == 93 then
    s.pos = s.pos + 1
    add { { 93, 93 } }
  end
  while true do
    M.skip(s)
    local b = byte(s.text, s.pos)
    if not b then
      unclosed(s)
    end
    local pair = sub(s.text, s.pos, s.pos + 1)
    if b == 93 then
      s.pos = s.pos + 1
      local set = settle()
      return is_negated and codeset.negate(set, M.highest(s)) or set
    elseif b == 91 then
      add(posix(s) or M.class(s, depth))
    elseif OPERATORS[pair] then
      left = settle()
      operator = OPERATORS[pair]
      s.pos = s.pos + 2
    else
      add(class_range(s))
    end
  end
end

return M
