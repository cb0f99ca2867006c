describe("moongate.admin.query", function()
  local query = require "moongate.admin.query"

  describe("parse()", function()
    it("decodes names and values, plus signs and escapes", function()
      local one = query.parse "a%20b=c+d%2B&x=&y"
      assert.equal("c d+", one:get "a b")
      assert.is_nil(one:get "x")
      assert.is_nil(one:get "y")
    end)

    it("is empty for nothing", function()
      assert.is_nil(query.parse(nil):get "a")
      assert.is_nil(query.parse(""):get "a")
    end)

    it("drops what cannot be decoded", function()
      assert.is_nil(query.parse("a=%zz"):get "a")
      assert.is_nil(query.parse("a=%00"):get "a")
    end)

    it("reads arrays as repeated keys and as comma lists", function()
      assert.same({ "a", "b", "c" }, query.parse("t=a&t=b,c"):list "t")
      assert.same({}, query.parse("x=1"):list "t")
    end)
  end)

  describe("slice()", function()
    local page = { style = "page", size = 20, min = 5, max = 50 }
    local single = { style = "single", size = 50, min = 1, max = 1000 }

    for _, case in ipairs {
      { "", page, 20, 0, 1 }, { "page=3", page, 20, 40, 3 }, { "per_page=1", page, 5, 0, 1 }, { "per_page=99&page=2", page, 50, 50, 2 },
      { "", single, -1, 0, 1 }, { "page=2", single, 50, 50, 2 }, { "limit=10&offset=30", single, 10, 30, 4 }, { "limit=0", single, 1, 0, 1 },
      { "per_page=0", page, 5, 0, 1 }, { "per_page=-1", page, 5, 0, 1 }, { "per_page=99999999999", page, 50, 0, 1 },
      { "page=99999999999&per_page=5", page, 5, 4999999995, 1e9 }, { "limit=-1", single, 1, 0, 1 },
    } do
      it(("gives limit %d, offset %d for %q (%s)"):format(case[3], case[4], case[1], case[2].style), function()
        local slice = query.parse(case[1]):slice(case[2])
        assert.equal(case[3], slice.limit)
        assert.equal(case[4], slice.offset)
        assert.equal(case[5], slice.page)
      end)
    end

    for _, case in ipairs { { "page=0", "page" }, { "page=-1", "page" }, { "page=1.5", "page" }, { "per_page=x", "per_page" },
      { "limit=x", "limit" }, { "offset=x", "offset" }, { "offset=-1", "offset" }, { "per_page=1.5", "per_page" } } do
      it("refuses " .. case[1], function()
        local slice, bad = query.parse(case[1]):slice(page)
        assert.is_nil(slice)
        assert.equal(case[2], bad)
      end)
    end
  end)

  describe("result_info()", function()
    it("never promises a second page when everything was sent", function()
      local slice = query.parse(""):slice { style = "single", size = 50, min = 1, max = 1000 }
      local info = query.result_info(slice, 120, 120)
      assert.is_true(info.page * info.per_page >= info.total_count)
      assert.equal(1, info.total_pages)
    end)
  end)
end)
