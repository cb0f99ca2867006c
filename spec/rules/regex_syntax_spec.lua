local syntax = require "moongate.rules.regex_syntax"

-- A tree as text.
local function show(node)
  local kind = node.kind
  if kind == "set" then
    local parts = {}
    for i, range in ipairs(node.ranges) do
      local function letter(code)
        return code > 32 and code < 127 and string.char(code) or ("%02x"):format(code)
      end
      parts[i] = range[1] == range[2] and letter(range[1]) or letter(range[1]) .. "-" .. letter(range[2])
    end
    return "[" .. table.concat(parts, " ") .. "]"
  elseif kind == "cat" or kind == "alt" then
    local parts = {}
    for i, part in ipairs(node) do
      parts[i] = show(part)
    end
    return "(" .. table.concat(parts, kind == "cat" and " " or " | ") .. ")"
  elseif kind == "repeat" then
    return ("%s{%d,%s}%s"):format(show(node.of), node.min, node.max or "", node.greedy and "" or "?")
  elseif kind == "group" then
    return ("<%d %s>"):format(node.index, show(node.of))
  elseif kind == "look" then
    return "look:" .. node.what
  end
  return kind
end

describe("moongate.rules.regex_syntax", function()
  for _, case in ipairs {
    { "", "empty" }, { "a", "[a]" }, { "ab|c", "(([a] [b]) | [c])" }, { "a|", "([a] | empty)" }, { "a*?", "[a]{0,}?" }, { "(?U)a*", "[a]{0,}?" },
    { "(?U)a*?", "[a]{0,}" }, { "a{2,3}", "[a]{2,3}" }, { "a{ 2 , 3 }", "[a]{2,3}" }, { "(a)(?:b)(?P<n>c)", "(<1 [a]> [b] <2 [c]>)" },
    { ".", "[00-09 0b-ff]" }, { "(?s).", "[00-ff]" }, { "(?R).", "[00-09 0b-0c 0e-ff]" }, { "(?i)a1", "([A a] [1])" },
    { "a(?i)b(?-i:c)d", "([a] [B b] [c] [D d])" }, { "(a(?i)b)c", "(<1 ([a] [B b])> [c])" }, { "^$", "(look:start look:end)" },
    { "(?m)^$", "(look:line_start look:line_end)" }, { "(?mR)^$", "(look:crlf_start look:crlf_end)" }, { "\\b\\B\\<\\>", "(look:word look:not_word look:word_start look:word_end)" },
    { "\\b{start-half}", "look:word_start_half" }, { "\\b{2}", "look:word{2,2}" }, { "é", "([c3] [a9])" }, { "é*", "([c3] [a9]){0,}" }, { "\\xe9", "[e9]" },
    { "\\x{e9}", "([c3] [a9])" }, { "[\\xe9]", "[e9]" }, { "[^a-y]", "[00-` z-ff]" }, { "[a-f&&d-z--e]", "[d f]" }, { "[a-c~~b-d]", "[a d]" },
    { "[[a-c]&&[^b]]", "[a c]" }, { "[a&&b]", "[]" }, { "[]-a]", "[- ] a]" }, { "[--a]", "[- a]" }, { "[a--]", "[a]" }, { "[\\d_]", "[0-9 _]" },
    { "(?i)[^k]", "[00-J L-j l-ff]" }, { "(?i)[a-z&&[K]]", "[K k]" }, { "(?x) a b # c\n d", "([a] [b] [d])" }, { "(?x)[a b]", "[a-b]" },
    { "(?u)[à-ú]", "([c3] [a0-ba])" }, { "(?u)[a-é]", "([a-7f] | ([c2] [80-bf]) | ([c3] [80-a9]))" }, { "(?u:é)é", "(([c3] [a9]) ([c3] [a9]))" }, { "(?iu)k", "([K k] | ([e2] ([84] [aa])))" }, { "]}", "([]] [}])" },
  } do
    it("reads " .. case[1], function()
      local tree, message = syntax.parse(case[1])
      assert.equal(case[2], tree and show(tree) or message)
    end)
  end

  for _, case in ipairs {
    { "(", "unclosed group" }, { ")", "unopened group" }, { "[a", "unclosed character class" }, { "*", "missing expression" }, { "(?i)*", "missing expression" },
    { "a{1", "unclosed counted" }, { "a{,2}", "valid decimal" }, { "a{2, }", "valid decimal" }, { "a{2,1}", "start must be" }, { "(?=a)", "look%-around" }, { "\\1", "backreferences" },
    { "\\Z", "unrecognized escape" }, { "\\", "incomplete escape" }, { "(?q)", "unrecognized flag" }, { "(?ii)", "duplicate flag" }, { "(?i-)", "dangling" },
    { "(?P<a>)(?P<a>)", "duplicate capture" }, { "[z-a]", "start must be" }, { "[\\d-z]", "must be a literal" }, { "[é]", "Unicode not allowed" }, { "\\pL", "Unicode not allowed" }, { "(?u)\\p{Klingon}", "property not found" }, { "(?u)\\p1", "invalid Unicode" },
    { "\\xz", "hexadecimal" }, { "\\x{110000}", "scalar value" }, { "\\b{x}", "word boundary" }, { "\255", "UTF%-8" },
    { ("("):rep(300), "nest limit" }, { ("["):rep(300), "nested too deeply" },
  } do
    it("refuses " .. case[1]:sub(1, 20), function()
      local tree, message = syntax.parse(case[1])
      assert.is_nil(tree)
      assert.matches(case[2], message)
    end)
  end

  it("raises nothing, whatever the pattern", function()
    math.randomseed(19)
    local pieces = { "a", "(", ")", "[", "]", "^", "-", "&&", "--", "~~", "\\", "\\d", "\\x", "{", "}", "1", ",", "(?", "i", "u", ":", "P<", "n", ">", "|", "*", "?", "é", "\255",
      "[:alpha:]", "\\b", "#", " " }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(1, 10) do
        text[i] = pieces[math.random(#pieces)]
      end
      local tree, message = syntax.parse(table.concat(text))
      assert.is_true(tree ~= nil or type(message) == "string")
    end
  end)
end)
