describe("moongate.admin.errors", function()
  local errors = require "moongate.admin.errors"

  it("has a status that clients understand for every error, and a text", function()
    local known = { [400] = true, [401] = true, [403] = true, [404] = true, [405] = true, [409] = true, [413] = true, [422] = true, [429] = true, [500] = true,
      [503] = true, [507] = true }
    for key, entry in pairs(errors.catalogue) do
      assert.is_true(known[entry[1]] or false, key)
      assert.is_true(entry[2] == false or entry[2] >= 400, key)
      assert.is_true(#entry[3] > 0, key)
    end
  end)

  it("never answers a permanent conflict with 409, which clients send again, unless that is documented", function()
    local documented = { access_in_use = true, custom_hostname_exists = true }
    for key, entry in pairs(errors.catalogue) do assert.is_true(entry[1] ~= 409 or documented[key] or false, key) end
  end)

  describe("new()", function()
    it("fills the text, and takes percent signs in it as they are", function()
      assert.equal("100%s already exists", errors.new("zone_exists", "100%s").message)
    end)

    it("raises for an error that nobody declared", function()
      assert.has_error(function() errors.new "nothing" end)
    end)
  end)

  it("names only errors that exist in its groups", function()
    for _, group in pairs(errors.groups) do
      assert.is_table(errors.catalogue[group.json])
      assert.is_table(errors.catalogue[group.value])
    end
  end)
end)
