local diagnostic = require "moongate.rules.diagnostic"

describe("moongate.rules.diagnostic", function()
  for _, case in ipairs {
    { "ssl and x", 9, 1, 1, 9, 1 }, { "ssl and\n  nope(1)", 11, 4, 2, 3, 4 }, { "a\nb\nc", 5, 1, 3, 1, 1 }, { "ab", 3, 1, 1, 3, 1 },
    { "abc\ndef", 2, 100, 1, 2, 2 }, { "abc\ndef", 4, 5, 1, 4, 1 }, { "", 1, 0, 1, 1, 1 }, { "abc", 1, 0, 1, 1, 1 },
  } do
    it(("places byte %d, %d long, of %q"):format(case[2], case[3], case[1]), function()
      local d = diagnostic.new(case[1], "m", case[2], case[3])
      assert.same({ case[4], case[5], case[6] }, { d.line, d.column, d.length })
    end)
  end

  it("renders the line with carets under the span", function()
    local d = diagnostic.new("ssl and\n  nope eq 1", "unknown identifier", 11, 4)
    assert.equal("Filter parsing error (2:3):\n  nope eq 1\n  ^^^^ unknown identifier\n", d:render())
    assert.equal(d:render(), tostring(d))
  end)

  it("keeps the caret under its character behind tabs and characters of several bytes", function()
    assert.equal("Filter parsing error (1:5):\n\té x\n\t  ^ m\n", diagnostic.new("\té x", "m", 5, 1):render())
    assert.equal("Filter parsing error (1:1):\néé\n^^ m\n", diagnostic.new("éé", "m", 1, 4):render())
  end)

  it("shows at least one caret at the end of the text", function()
    assert.equal("Filter parsing error (1:4):\nabc\n   ^ m\n", diagnostic.new("abc", "m", 4, 1):render())
  end)

  it("advises with the hint on a line of its own, if there is one", function()
    assert.equal("Filter parsing error (1:1):\nab\n^ m\ndid you mean abc?\n", diagnostic.new("ab", "m", 1, 1, "did you mean abc?"):advise())
    assert.equal("Filter parsing error (1:1):\nab\n^ m\n", diagnostic.new("ab", "m", 1, 1):advise())
  end)
end)
