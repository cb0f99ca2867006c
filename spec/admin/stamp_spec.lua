describe("moongate.admin.stamp", function()
  local stamp = require "moongate.admin.stamp"

  local function bytes(value) return function(count) return string.char(value):rep(count) end end

  it("writes times in UTC with microseconds, and with whole seconds", function()
    assert.equal("2026-02-03T04:05:06.250000Z", stamp.micros(1770091506.25))
    assert.equal("2026-02-03T04:05:06.000000Z", stamp.micros(1770091506))
    assert.equal("2026-02-03T04:05:06Z", stamp.seconds(1770091506.999))
    assert.equal("1970-01-01T00:00:00.000000Z", stamp.micros(0))
  end)

  it("makes 32 hex digits", function()
    assert.equal(("ab"):rep(16), stamp.hex_id(bytes(0xab)))
  end)

  it("makes version 4 UUIDs of the right variant, whatever the random bytes", function()
    for value = 0, 255 do
      local uuid = stamp.uuid(bytes(value))
      assert.truthy(uuid:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"))
      assert.is_true(stamp.is_uuid(uuid))
    end
  end)

  it("knows identifiers by their form", function()
    assert.is_true(stamp.is_hex_id(("0"):rep(32)))
    for _, text in ipairs { "", ("0"):rep(31), ("0"):rep(33), ("A"):rep(32), ("g"):rep(32) } do assert.is_false(stamp.is_hex_id(text)) end
    for _, text in ipairs { "", ("0"):rep(36), "5D1C0F0A-77A3-4A53-9C3F-0A9B1C2D3E4F" } do assert.is_false(stamp.is_uuid(text)) end
    assert.is_false(stamp.is_uuid(nil))
  end)
end)
