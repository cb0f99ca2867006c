describe("moongate.admin.document_origins", function()
  local document = require "moongate.admin.document_origins"

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

    it("goes from a wildcard to the whole zone", function()
      assert.equal(wild, document.origin_for({ ["*.b.test"] = wild, ["*"] = zone }, "*.b.test"))
      assert.equal(zone, document.origin_for({ ["*.a.b.test"] = wild, ["*"] = zone }, "*.b.test"))
      assert.equal(zone, document.origin_for({ ["*"] = zone }, "*"))
      assert.is_nil(document.origin_for({ ["a.b.test"] = own }, "*.b.test"))
    end)
  end)
end)
