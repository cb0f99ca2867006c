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

  it("puts the hyphens into a UUID that comes without, and nowhere else", function()
    assert.equal("5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f", stamp.as_uuid "5d1c0f0a77a34a539c3f0a9b1c2d3e4f")
    for _, text in ipairs { "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f", "5D1C0F0A77A34A539C3F0A9B1C2D3E4F", "abc", "" } do
      assert.equal(text, stamp.as_uuid(text))
    end
  end)

  it("writes the dates of HTTP headers", function()
    assert.equal("Tue, 03 Feb 2026 04:05:06 GMT", stamp.http_date(1770091506.75))
  end)

  describe("read()", function()
    for _, case in ipairs {
      { "1970-01-01T00:00:00Z", 0 },
      { "2026-02-03T04:05:06Z", 1770091506 },
      { "2026-02-03t04:05:06z", 1770091506 },
      { "2026-02-03 04:05:06Z", 1770091506 },
      { "2026-02-03T04:05:06.25Z", 1770091506.25 },
      { "2026-02-03T05:35:06+01:30", 1770091506 },
      { "2026-02-02T23:05:06-05:00", 1770091506 },
      { "2026-02-03", 1770076800 },
      { "2000-02-29T12:00:00Z", 951825600 },
      { "2024-12-31T23:59:60Z", 1735689600 },
      { "2100-03-01T00:00:00Z", 4107542400 },
      { "9999-12-31T23:59:59Z", 253402300799 },
    } do
      it("reads " .. case[1], function() assert.equal(case[2], stamp.read(case[1])) end)
    end

    for _, text in ipairs {
      "", "now", "2026", "2026-02", "2026-2-3", "2026-13-01", "2026-00-01", "2026-04-31", "2026-02-29", "2100-02-29",
      "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "2026-02-03T04:05Z", "2026-02-03T04:05:06",
      "2026-02-03T24:00:00Z", "2026-02-03T04:60:00Z", "2026-02-03T04:05:61Z", "2026-02-03T04:05:06.Z",
      "2026-02-03T04:05:06.1.2Z", "2026-02-03T04:05:061Z", "2026-02-03T04:05:06+1:00", "2026-02-03T04:05:06+25:00",
      "2026-02-03T04:05:06Zx", " 2026-02-03", "2026-02-03T04:05:06." .. ("1"):rep(60) .. "Z",
    } do
      it(("refuses %q"):format(text), function() assert.is_nil(stamp.read(text)) end)
    end

    it("refuses what is no text", function() assert.is_nil(stamp.read(20260203)) end)

    it("reads back what seconds() writes, on any day", function()
      for day = 0, 90000, 7 do
        local moment = day * 86400 + day % 86400
        assert.equal(moment, stamp.read(stamp.seconds(moment)))
      end
    end)
  end)

  it("knows identifiers by their form", function()
    assert.is_true(stamp.is_hex_id(("0"):rep(32)))
    for _, text in ipairs { "", ("0"):rep(31), ("0"):rep(33), ("A"):rep(32), ("g"):rep(32) } do assert.is_false(stamp.is_hex_id(text)) end
    for _, text in ipairs { "", ("0"):rep(36), "5D1C0F0A-77A3-4A53-9C3F-0A9B1C2D3E4F" } do assert.is_false(stamp.is_uuid(text)) end
    assert.is_false(stamp.is_uuid(nil))
  end)
end)
