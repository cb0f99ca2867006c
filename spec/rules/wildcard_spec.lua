local wildcard = require "moongate.rules.wildcard"

describe("moongate.rules.wildcard", function()
  describe("parse()", function()
    for _, case in ipairs {
      { "", { "" } }, { "abc", { "abc" } }, { "*", { "", "" } }, { "a*b*", { "a", "b", "" } }, { "\\*\\\\", { "*\\" } },
      { "\\**", { "*", "" } }, { "a\\*b*c", { "a*b", "c" } }, { "?[x].", { "?[x]." } },
    } do
      it(("cuts %q"):format(case[1]), function() assert.same(case[2], (wildcard.parse(case[1]))) end)
    end

    for _, case in ipairs { { "**", "double star" }, { "a**b", "double star" }, { "\\", "at the end" }, { "a\\b", "may follow" }, { "*\\", "at the end" } } do
      it(("refuses %q"):format(case[1]), function()
        local pieces, message = wildcard.parse(case[1])
        assert.is_nil(pieces)
        assert.matches(case[2], message)
      end)
    end
  end)

  describe("matcher()", function()
    -- What the pattern means, by trying everything: slow, and right by its looks.
    local function means(pattern, value)
      if pattern == "" then
        return value == ""
      elseif pattern:sub(1, 1) == "*" then
        for skip = 0, #value do
          if means(pattern:sub(2), value:sub(skip + 1)) then
            return true
          end
        end
        return false
      end
      return value ~= "" and pattern:sub(1, 1) == value:sub(1, 1) and means(pattern:sub(2), value:sub(2))
    end

    it("agrees with trying everything", function()
      math.randomseed(13)
      local function random_text(letters, length)
        local out = {}
        for i = 1, math.random(0, length) do
          local at = math.random(#letters)
          out[i] = letters:sub(at, at)
        end
        return table.concat(out)
      end
      for _ = 1, 3000 do
        local pattern, value = random_text("ab*", 7):gsub("%*+", "*"), random_text("ab", 9)
        assert.equal(means(pattern, value), wildcard.matcher(wildcard.parse(pattern))(value), pattern .. " on " .. value)
      end
    end)

    it("takes time in proportion to the value, whatever the stars", function()
      local matches = wildcard.matcher(wildcard.parse(("*a"):rep(200) .. "*b"))
      local start = os.clock()
      assert.is_false(matches(("a"):rep(200000)))
      assert.is_true(os.clock() - start < 1)
    end)
  end)
end)
