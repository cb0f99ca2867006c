describe("moongate.admin.limiter", function()
  local limiter = require "moongate.admin.limiter"

  describe("failed()", function()
    it("gives the rest of the window for one too many", function()
      local one = limiter.new { window = 60, per_address = 2 }
      assert.is_nil(one:failed("a", 100))
      assert.is_nil(one:failed("a", 110))
      assert.equal(40, one:failed("a", 120))
      assert.is_nil(one:failed("a", 160))
    end)

    it("counts all addresses together as well", function()
      local one = limiter.new { window = 60, per_address = 10, in_all = 3 }
      for index = 1, 3 do assert.is_nil(one:failed("a" .. index, 0)) end
      assert.equal(60, one:failed("a4", 0))
    end)

    it("holds no more addresses than it has room for", function()
      local one = limiter.new { addresses = 8, in_all = 1e9 }
      for index = 1, 1000 do one:failed("a" .. index, index / 1000) end
      local count = 0
      for _ in pairs(one.entries) do count = count + 1 end
      assert.equal(8, count)
      assert.equal(8, one.size)
    end)

    it("starts anew when the clock goes back", function()
      local one = limiter.new { per_address = 1 }
      one:failed("a", 1000)
      assert.is_nil(one:failed("a", 10))
    end)
  end)
end)
