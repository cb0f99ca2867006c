local replace = require "moongate.rules.replace"
local wildcard = require "moongate.rules.wildcard"

describe("moongate.rules.replace", function()
  describe("parse() and fill()", function()
    for _, case in ipairs { { "a${1}b", "a<x>b" }, { "${2}${1}", "<y><x>" }, { "$$${1}", "$<x>" }, { "", "" }, { "${0}", "<all>" }, { "${3}", "" }, { "{1}", "{1}" } } do
      it("fill " .. case[1], function()
        assert.equal(case[2], replace.fill(assert(replace.parse(case[1], 3)), { [0] = "<all>", "<x>", "<y>" }))
      end)
    end

    for _, case in ipairs { { "$", "neither" }, { "$1", "neither" }, { "${", "neither" }, { "${a}", "neither" }, { "${4}", "beyond" }, { "${99}", "beyond" },
      { ("${1}"):rep(9), "more than 8" } } do
      it("refuse " .. case[1], function()
        local parts, message = replace.parse(case[1], 3)
        assert.is_nil(parts)
        assert.matches(case[2], message)
      end)
    end
  end)

  describe("captures()", function()
    for _, case in ipairs {
      { "a*", "abc", { [0] = "abc", "bc" } }, { "*/*", "x/y/z", { [0] = "x/y/z", "x", "y/z" } }, { "*", "", { [0] = "", "" } },
      { "a", "a", { [0] = "a" } }, { "a", "b", nil }, { "a*b", "ab", { [0] = "ab", "" } }, { "*ab*b", "aabbb", { [0] = "aabbb", "a", "b" } },
      { "a*a", "a", nil },
    } do
      it(("of %s on %q"):format(case[1], case[2]), function()
        assert.same(case[3], replace.captures(wildcard.parse(case[1]), case[2], case[2]))
      end)
    end

    it("are cut from the original, not from what was compared", function()
      assert.equal("BC", replace.captures(wildcard.parse "a*", "abc", "ABC")[1])
    end)
  end)
end)
