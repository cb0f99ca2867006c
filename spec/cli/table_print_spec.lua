local json = require "moongate.json"
local table_print = require "moongate.cli.table_print"

describe("moongate.cli.table_print", function()
  it("aligns columns by their widest cell, without blanks at the end of a line", function()
    assert.equal("NAME    ID\na       1\nlonger  22\n", table_print.rows({ "NAME", "ID" }, { { "a", 1 }, { "longer", 22 } }))
  end)

  it("counts characters, not bytes", function()
    assert.equal("N     X\nmünz  1\n", table_print.rows({ "N", "X" }, { { "münz", 1 } }))
  end)

  it("makes the heading bold when it may", function()
    assert.equal("\27[1mN\27[0m\na\n", table_print.rows({ "N" }, { { "a" } }, { colour = true }))
  end)

  it("shows members of one object, one a line", function()
    assert.equal("id      7\npaused  no\n", table_print.members { { "id", 7 }, { "paused", false } })
  end)

  for _, case in ipairs {
    { "nothing", nil, "-" }, { "null", json.null, "-" }, { "an empty text", "", "-" }, { "true", true, "yes" },
    { "an array", json.array { "a", 2 }, "a, 2" }, { "an empty array", json.array {}, "-" },
    { "an object", json.object { b = 1, a = "x" }, '{"a":"x","b":1}' }, { "a large integer", json.integer "9007199254740993", "9007199254740993" },
    { "several lines", "a\r\nb", "a b" }, { "an escape sequence", "a\27[31mb\7\0", "a?[31mb??" },
  } do
    it(("shows %s as %s"):format(case[1], case[3]), function() assert.equal(case[3], table_print.cell(case[2])) end)
  end
end)
