-- The matcher against the meaning of regular expressions, tried out by going back and forth: slow, and right by its
-- looks. What the dialect accepts and refuses stands in cases/10-regex.jsonl.

local regex = require "moongate.rules.regex"
local syntax = require "moongate.rules.regex_syntax"
local program = require "moongate.rules.regex_program"

-- All places where a match of `node` that begins at `at` can end, best first, each once.
local function ends(node, value, at, captures)
  local out, seen = {}, {}
  local function add(place)
    if not seen[place] then
      seen[place] = true
      out[#out + 1] = place
    end
  end
  local kind = node.kind
  if kind == "empty" then
    add(at)
  elseif kind == "set" then
    local b = value:byte(at)
    for _, range in ipairs(node.ranges) do
      if b and b >= range[1] and b <= range[2] then
        add(at + 1)
      end
    end
  elseif kind == "look" then
    if program.holds(node.what, at > 1 and value:byte(at - 1) or nil, value:byte(at)) then
      add(at)
    end
  elseif kind == "cat" then
    local function follow(i, place)
      if not node[i] then
        return add(place)
      end
      for _, e in ipairs(ends(node[i], value, place, captures)) do
        follow(i + 1, e)
      end
    end
    follow(1, at)
  elseif kind == "alt" then
    for _, choice in ipairs(node) do
      for _, e in ipairs(ends(choice, value, at, captures)) do
        add(e)
      end
    end
  elseif kind == "group" then
    return ends(node.of, value, at, captures)
  else
    local function round(count, place, been)
      local function go_on()
        if not node.max or count < node.max then
          for _, e in ipairs(ends(node.of, value, place, captures)) do
            if e ~= place or count < node.min then
              local key = e .. ":" .. math.min(count + 1, node.min)
              if not been[key] or node.max then
                been[key] = true
                round(count + 1, e, been)
              end
            end
          end
        end
      end
      if node.greedy then
        go_on()
      end
      if count >= node.min then
        add(place)
      end
      if not node.greedy then
        go_on()
      end
    end
    round(0, at, {})
  end
  return out
end

local function means(tree, value)
  for at = 1, #value + 1 do
    if #ends(tree, value, at) > 0 then
      return true
    end
  end
  return false
end

local function random_pattern(depth)
  local atoms = { "a", "b", "\\n", "-", ".", "[ab]", "[^a]", "\\w", "\\W", "\\d", "(?m:^)", "(?m:$)", "\\b", "\\B", "^", "$", "\\<", "\\>", "(?i:B)", "(?s:.)",
    "\\b{start-half}", "\\b{end-half}" }
  local parts = {}
  for i = 1, math.random(1, 4) do
    local atom
    if depth > 0 and math.random() < 0.35 then
      atom = (math.random() < 0.5 and "(" or "(?:") .. random_pattern(depth - 1) .. ")"
    else
      atom = atoms[math.random(#atoms)]
    end
    if math.random() < 0.35 then
      local counts = { "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}" }
      atom = atom .. counts[math.random(#counts)]
    end
    parts[i] = atom
  end
  local text = table.concat(parts)
  if math.random() < 0.2 then
    return text .. "|" .. random_pattern(0)
  end
  return text
end

local function random_value()
  local letters, out = { "a", "b", "B", "-", "\n", "1", " " }, {}
  for i = 1, math.random(0, 7) do
    out[i] = letters[math.random(#letters)]
  end
  return table.concat(out)
end

describe("moongate.rules.regex", function()
  it("matches what a pattern means", function()
    math.randomseed(17)
    for _ = 1, 800 do
      local pattern = random_pattern(2)
      local tree, matcher = assert(syntax.parse(pattern)), assert(regex.compile(pattern))
      local find_captures = assert(regex.compile_captures(pattern))
      for _ = 1, 4 do
        local value = random_value()
        local expected = means(tree, value)
        local title = ("%q on %q"):format(pattern, value)
        assert.equal(expected, matcher(value), title)
        assert.equal(expected, matcher(value), title .. ", again")
        assert.equal(expected, find_captures(value) ~= nil, title .. ", with groups")
      end
    end
  end)

  it("treats values as bytes", function()
    local matcher = regex.compile "^[^a]..$"
    assert.is_true(matcher "\0\255\128")
    assert.is_false(matcher "é\nb")
  end)

  it("takes time in proportion to the value for patterns that ruin a backtracking matcher", function()
    local start = os.clock()
    for _, pattern in ipairs { "(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$" } do
      regex.compile(pattern)(("a"):rep(20000) .. "!")
    end
    assert.is_true(os.clock() - start < 5)
  end)

  it("stays right when it drops its states", function()
    local matcher = regex.compile "[ab]*a[ab]{11}c" -- needs thousands of states
    math.randomseed(18)
    local text = {}
    for i = 1, 20000 do
      text[i] = math.random() < 0.5 and "a" or "b"
    end
    text = table.concat(text)
    assert.is_false(matcher(text))
    assert.is_true(matcher(text .. "a" .. ("b"):rep(11) .. "c"))
    assert.is_false(matcher(text .. "b" .. ("b"):rep(11) .. "c"))
  end)

  it("refuses what would not fit, quickly", function()
    local start = os.clock()
    for _, pattern in ipairs { "(?:a{1000}){1000}", "a{4294967295}", "((a{100}){100}){100}", "(?:(?:a|b){50}){500}" } do
      local matcher, message = regex.compile(pattern)
      assert.is_nil(matcher)
      assert.matches("too large", message)
    end
    assert.is_function(regex.compile "(?:(?:){4294967295}){4294967295}")
    assert.is_function(regex.compile "a{1000}")
    assert.is_true(os.clock() - start < 1)
  end)
end)

describe("moongate.rules.regex_captures", function()
  for _, case in ipairs {
    { "(a)(b)?", "xac", { [0] = "a", "a" }, 2, 2 }, { "a|ab", "ab", { [0] = "a" }, 1, 1 }, { "(a|ab)(c|bcd)(d*)", "abcd", { [0] = "abcd", "a", "bcd", "" }, 1, 4 },
    { "(a*)(a*)", "aaa", { [0] = "aaa", "aaa", "" }, 1, 3 }, { "(a*?)(a*)", "aaa", { [0] = "aaa", "", "aaa" }, 1, 3 }, { "(a)|b", "b", { [0] = "b" }, 1, 1 },
    { "(?:(a)|(b))*", "ab", { [0] = "ab", "a", "b" }, 1, 2 }, { "b*", "abb", { [0] = "" }, 1, 0 }, { "(x)?$", "ab", { [0] = "" }, 3, 2 }, { "c", "ab", nil },
    { "((a)(b))", "zab", { [0] = "ab", "ab", "a", "b" }, 2, 3 },
  } do
    it(("finds the groups of %s in %q"):format(case[1], case[2]), function()
      local captures, first, last = regex.compile_captures(case[1])(case[2])
      assert.same({ case[3], case[4], case[5] }, { captures, first, last })
    end)
  end

  it("counts the groups", function()
    assert.equal(3, select(2, regex.compile_captures "(a)(?:b)((?P<n>c))"))
  end)
end)
