local ip = require "moongate.rules.ip"

local function hex(bytes)
  return bytes and bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
end

describe("moongate.rules.ip", function()
  describe("parse()", function()
    for _, case in ipairs {
      { "192.0.2.1", "c0000201" }, { "0.0.0.0", "00000000" }, { "255.255.255.255", "ffffffff" },
      { "::", ("0"):rep(32) }, { "::1", ("0"):rep(31) .. "1" }, { "1::", "0001" .. ("0"):rep(28) },
      { "2001:DB8::a", "20010db8" .. ("0"):rep(23) .. "a" },
      { "1:2:3:4:5:6:7:8", "00010002000300040005000600070008" },
      { "1:2:3:4:5:6:7::", "00010002000300040005000600070000" },
      { "::ffff:192.0.2.1", ("0"):rep(20) .. "ffffc0000201" },
      { "1:2:3:4:5:6:1.2.3.4", "00010002000300040005000601020304" },
    } do
      it("reads " .. case[1], function() assert.equal(case[2], hex(ip.parse(case[1]))) end)
    end

    for _, text in ipairs {
      "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.0.0.1", "1.2.3.4 ", "1..2.3", ":", ":1", "1:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
      "1::2::3", ":::", "12345::", "g::", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "[::1]", "fe80::1%eth0", "1:2:3:4:5:6:7:8::",
      "1:2:3:4:5:6:7:1.2.3.4", ("1"):rep(100),
    } do
      it(("refuses %q"):format(text), function() assert.is_nil(ip.parse(text)) end)
    end
  end)

  describe("parse_item()", function()
    for _, case in ipairs {
      { "192.0.2.1", "c0000201", "c0000201" },
      { "192.0.2.0/24", "c0000200", "c00002ff" }, { "192.0.2.128/25", "c0000280", "c00002ff" },
      { "0.0.0.0/0", "00000000", "ffffffff" }, { "10/8", "0a000000", "0affffff" }, { "192.168/16", "c0a80000", "c0a8ffff" },
      { "192.0.2.5..192.0.2.9", "c0000205", "c0000209" },
      { "2001:db8::/33", "20010db8" .. ("0"):rep(24), "20010db87fff" .. ("f"):rep(20) },
      { "::..::2", ("0"):rep(32), ("0"):rep(31) .. "2" },
    } do
      it("reads " .. case[1], function()
        local first, last = ip.parse_item(case[1])
        assert.same({ case[2], case[3] }, { hex(first), hex(last) })
      end)
    end

    for _, case in ipairs {
      { "10.0.0.1/8", "host part" }, { "192.0.2.0/33", "too long" }, { "::/129", "too long" }, { "192.0.2.0/", "length" },
      { "192.0.2.0/255.255.255.0", "length" }, { "192.0.2.9..192.0.2.5", "range bounds" }, { "1.2.3.4..::1", "range bounds" },
      { "1.2.3.4..", "syntax" }, { "..1.2.3.4", "syntax" }, { "1.2.3.4..1.2.3.5..1.2.3.6", "syntax" }, { "10", "syntax" },
      { "1.2.3.0/24..1.2.4.0", "syntax" }, { "010.0.0.0/8", "syntax" },
    } do
      it("refuses " .. case[1], function()
        local first, message = ip.parse_item(case[1])
        assert.is_nil(first)
        assert.matches(case[2], message)
      end)
    end
  end)

  describe("format()", function()
    for _, text in ipairs {
      "192.0.2.1", "::", "::1", "1::", "2001:db8::1:0:0:1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "2001:db8:0:1:1:1:1:1", "1:0:0:2::",
    } do
      it("writes " .. text, function() assert.equal(text, ip.format(ip.parse(text))) end)
    end
  end)

  describe("network()", function()
    it("clears the host bits", function()
      assert.equal("192.0.2.64", ip.format(ip.network(ip.parse("192.0.2.77"), 27)))
      assert.equal("::", ip.format(ip.network(ip.parse("2001:db8::1"), 0)))
      assert.equal("2001:db8::1", ip.format(ip.network(ip.parse("2001:db8::1"), 128)))
    end)
  end)
end)
