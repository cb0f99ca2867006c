describe("moongate.admin.document", function()
  local document = require "moongate.admin.document"

  describe("origin_for()", function()
    local own, wild, zone = { url = "own" }, { url = "wild" }, { url = "zone" }

    it("goes from the exact name to the wildcard one label above to the whole zone", function()
      local origins = { ["a.b.test"] = own, ["*.b.test"] = wild, ["*"] = zone }
      assert.equal(own, document.origin_for(origins, "a.b.test"))
      assert.equal(wild, document.origin_for(origins, "x.b.test"))
      assert.equal(zone, document.origin_for(origins, "x.y.b.test"))
      assert.equal(zone, document.origin_for(origins, "b.test"))
      assert.is_nil(document.origin_for({ ["*.b.test"] = wild }, "b.test"))
    end)
  end)
end)
