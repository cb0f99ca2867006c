local cursor = require "moongate.admin.cursor"
local query = require "moongate.admin.query"

local PAGING = { size = 25, max = 500 }

describe("moongate.admin.cursor", function()
  for _, case in ipairs {
    { "", 25 }, { "per_page=1", 1 }, { "per_page=500", 500 }, { "per_page=501", 500 }, { "per_page=0", 1 }, { "per_page=-1", 1 },
    { "per_page=99999999999", 500 }, { "per_page=&cursor=", 25 },
  } do
    it(("gives a piece of %d for %q"):format(case[2], case[1]), function()
      assert.same({ limit = case[2], after = "" }, cursor.slice(query.parse(case[1]), PAGING))
    end)
  end

  for _, case in ipairs { { "per_page=x", "per_page" }, { "per_page=1.5", "per_page" }, { "cursor=x", "cursor" }, { "cursor=616", "cursor" },
    { "cursor=00", "cursor" }, { "cursor=6A", "cursor" } } do
    it(("refuses %q"):format(case[1]), function()
      local slice, bad = cursor.slice(query.parse(case[1]), PAGING)
      assert.is_nil(slice)
      assert.equal(case[2], bad)
    end)
  end

  it("begins the next piece after the last element of this one", function()
    local slice = cursor.slice(query.parse "per_page=2", PAGING)
    local rows = { { key = "a" }, { key = "b/é" }, { key = "c" } }
    local word = cursor.finish(slice, rows, "key")
    assert.equal(2, #rows)
    assert.equal("b/é", cursor.slice(query.parse("cursor=" .. word), PAGING).after)
  end)

  it("ends with the last piece", function()
    local slice = cursor.slice(query.parse "per_page=2", PAGING)
    assert.is_nil(cursor.finish(slice, { { key = "a" }, { key = "b" } }, "key"))
    assert.is_nil(cursor.finish(slice, {}, "key"))
  end)
end)
