describe("moongate.admin.limiter", function()
  local limiter = require "moongate.admin.limiter"

  describe("failed()", function()
    it("gives the rest of the window for one too many", function()
      local one = limiter.new { window = 60, per_address = 2 }
      assert.is_nil((one:failed("a", 100)))
      assert.is_nil((one:failed("a", 110)))
      assert.equal(40, (one:failed("a", 120)))
      assert.is_nil((one:failed("a", 160)))
    end)

    it("counts each address for itself", function()
      local one = limiter.new { per_address = 1 }
      one:failed("a", 0)
      assert.is_nil((one:failed("b", 0)))
      assert.equal(60, (one:failed("a", 0)))
    end)

    it("counts all addresses together as well", function()
      local one = limiter.new { window = 60, per_address = 10, in_all = 3 }
      for index = 1, 3 do assert.is_nil((one:failed("a" .. index, 0))) end
      assert.equal(60, (one:failed("a4", 0)))
    end)

    it("holds no more addresses than it has room for", function()
      local one = limiter.new { addresses = 8, in_all = 1e9 }
      for index = 1, 1000 do one:failed("a" .. index, index / 1000) end
      local count = 0
      for _ in pairs(one.failures.entries) do count = count + 1 end
      assert.equal(8, count)
      assert.equal(8, one.failures.size)
    end)

    it("starts anew when the clock goes back", function()
      local one = limiter.new { per_address = 1 }
      one:failed("a", 1000)
      assert.is_nil((one:failed("a", 10)))
    end)

    it("notes the first failure of an address and the one that throttles it", function()
      local one, noted = limiter.new { per_address = 3 }, {}
      for index = 1, 6 do noted[index] = select(2, one:failed("a", 0)) end
      assert.same({ true, false, false, true, false, false }, noted)
    end)

    it("notes no more failures in a window than it may", function()
      local one, noted = limiter.new { noted = 5 }, 0
      for index = 1, 100 do
        if select(2, one:failed("a" .. index, 0)) then noted = noted + 1 end
      end
      assert.equal(5, noted)
      assert.is_true((select(2, one:failed("z", 60))))
    end)
  end)

  describe("request()", function()
    it("counts down to the limit and says when the window ends", function()
      local one = limiter.new { requests = 3, requests_window = 300 }
      local wait, rate = one:request("u", "a", 1000)
      assert.is_nil(wait)
      assert.same({ limit = 3, remaining = 2, reset = 1300 }, rate)
      one:request("u", "a", 1001)
      wait, rate = one:request("u", "b", 1002)
      assert.is_nil(wait)
      assert.equal(0, rate.remaining)
    end)

    it("shuts a user out for a whole window after one request too many, whatever the address", function()
      local one = limiter.new { requests = 2, requests_window = 300 }
      one:request("u", "a", 1000)
      one:request("u", "a", 1000)
      local wait, rate = one:request("u", "b", 1290)
      assert.equal(300, wait)
      assert.same({ limit = 2, remaining = 0, reset = 1590 }, rate)
      assert.equal(1, (one:request("u", "a", 1589.5)))
      assert.is_nil((one:request("u", "a", 1590)))
    end)

    it("does not prolong the time for what comes during it", function()
      local one = limiter.new { requests = 1, requests_window = 300 }
      for index = 0, 250 do one:request("u", "a", 1000 + index) end
      assert.is_nil((one:request("u", "a", 1302)))
    end)

    it("counts each user for itself", function()
      local one = limiter.new { requests = 1 }
      one:request("u", "a", 0)
      assert.is_nil((one:request("v", "a", 0)))
      assert.equal(300, (one:request("u", "a", 0)))
    end)

    it("counts each address by the second", function()
      local one = limiter.new { requests_per_second = 2 }
      one:request("u", "a", 10)
      one:request("v", "a", 10.2)
      assert.equal(1, (one:request("w", "a", 10.4)))
      assert.is_nil((one:request("w", "b", 10.4)))
      assert.is_nil((one:request("w", "a", 11)))
    end)

    it("sets no limit for 0, and speaks of none", function()
      local one = limiter.new { requests = 0, requests_per_second = 0 }
      for _ = 1, 5000 do
        local wait, rate = one:request("u", "a", 0)
        assert.is_nil(wait)
        assert.is_nil(rate)
      end
    end)

    it("makes room by forgetting users whose window is over, not one that is shut out", function()
      local one = limiter.new { requests = 1, addresses = 2, requests_window = 300 }
      one:request("shut", "a", 0)
      one:request("shut", "a", 299)
      one:request("over", "a", 0)
      one:request("new", "a", 310)
      assert.equal(2, one.users.size)
      assert.equal(279, (one:request("shut", "a", 320)))
    end)
  end)
end)
