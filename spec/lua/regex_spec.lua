-- RE2 and the engine's own matcher read one tree; they have to agree on every value.

require("spec.support.unit").load()
local own = require "moongate.rules.regex"
local regex = require "moongate.regex"

local PATTERNS = {
  "abc", "^/api/v[0-9]+/", "^..$", "a|b|", "(a|ab)(c|bcd)(d*)", "(?i)Grüße", "[^\\x00-\\x7f]", "\\bword\\b", "\\Bx\\B",
  "(?m)^line$", "(?s)a.b", "a.b", "x{2,4}", "x{0,2}?y", "(x*)*y", "[[:alpha:]]+[0-9&&[^5]]", "\\d{3}-\\d{4}$", "", "$", "^$",
  "(?:a+)+b", "\\x{e9}", "(?u)é.", "a{3}", "[\\[\\]]", "\\w+@\\w+\\.com", "(?mR)^a$", "\\b{start}ab",
  "(?:x{40}){0,40}y$", "(?u)\\w+",
}
local VALUES = {
  "", "abc", "xabcx", "/api/v12/users", "ab", "é", "é!", "abcd", "GRüßE", "grÜße", "a word here", "swordx", "axb", "one\nline\ntwo",
  "a\nb", "xxxx", "xxy", "y", "Abc7", "Abc5", "555-1234", "555-1234\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "\xe9", "αβγ",
  "me@here.com", "[", "a\r\nb", "\r\na\r\n", "cab abd", "\0", "\255\254",
}

describe("moongate.regex", function()
  describe("compile()", function()
    for _, pattern in ipairs(PATTERNS) do
      it(("gives for %q the verdicts of the engine's own matcher"):format(pattern), function()
        local ours, reference = assert(regex.compile(pattern)), assert(own.compile(pattern))
        for _, value in ipairs(VALUES) do
          assert.equal(reference(value), ours(value), ("%q"):format(value))
        end
      end)
    end

    it("refuses what the dialect refuses, with the same words", function()
      for _, pattern in ipairs { "(?=a)", "\\1", "a{", "[z-a]", "(", "\\pL", "\\Z" } do
        local _, expected = own.compile(pattern)
        local matcher, message = regex.compile(pattern)
        assert.is_nil(matcher)
        assert.equal(expected, message)
      end
    end)

    it("refuses a program that would be too large", function()
      local matcher, message = regex.compile("((a{1000}){1000}){1000}")
      assert.is_nil(matcher)
      assert.is_string(message)
    end)

    it("stays linear where a backtracking matcher would not come back", function()
      local matcher = assert(regex.compile("(x+x+)+y"))
      local started = os.clock()
      assert.is_false(matcher(("x"):rep(100000)))
      assert.is_true(os.clock() - started < 5)
    end)
  end)

  describe("compile_captures()", function()
    for _, case in ipairs {
      { "(a|ab)(c|bcd)(d*)", "abcd" }, { "^/(\\w+)/(\\w+)?", "/one/" }, { "(x)|(y)", "zy" }, { "b", "abc" }, { "q", "abc" },
    } do
      it(("finds in %q the groups of %s"):format(case[2], case[1]), function()
        local ours, count = regex.compile_captures(case[1])
        local reference, expected = own.compile_captures(case[1])
        assert.equal(expected, count)
        assert.same({ reference(case[2]) }, { ours(case[2]) })
      end)
    end
  end)
end)
