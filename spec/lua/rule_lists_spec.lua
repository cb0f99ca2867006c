-- Named lists as tests: addresses, hostnames, numbers.

local ip = require "moongate.rules.ip"
local rule_lists = require "moongate.rule_lists"

describe("moongate.rule_lists", function()
  local function address(text) return assert(ip.parse(text)) end

  for _, case in ipairs {
    { "an address", "ip", "192.0.2.7", { "192.0.2.7" }, { "192.0.2.8", "2001:db8::7" } },
    { "networks that overlap", "ip", "10.0.0.0/8 10.1.0.0/16 192.0.2.0/30", { "10.255.255.255", "10.1.2.3", "192.0.2.3" },
      { "9.255.255.255", "11.0.0.0", "192.0.2.4" } },
    { "IPv6", "ip", "2001:db8::/32 ::1", { "2001:db8:ffff::1", "::1" }, { "2001:db9::", "::2", "0.0.0.1" } },
    { "an IPv4-mapped address", "ip", "192.0.2.0/24", {}, { "::ffff:192.0.2.1" } },
    { "nothing", "ip", "", {}, { "192.0.2.1", "::" } },
  } do
    it(("answers for %s"):format(case[1]), function()
      local contains = assert(rule_lists.new(case[2], case[3]))
      for _, text in ipairs(case[4]) do assert.is_true(contains(address(text)), text) end
      for _, text in ipairs(case[5]) do assert.is_false(contains(address(text)), text) end
    end)
  end

  for _, case in ipairs {
    { "hostname", "example.com *.example.org", { "example.com", "a.example.org", "a.b.example.org" },
      { "a.example.com", "example.org", "xexample.org", "", "org", ".org" } },
    { "asn", "13335 4294967295 0", { 13335, 4294967295, 0 }, { 1, -1 } },
  } do
    it(("answers for a list of the kind %s"):format(case[1]), function()
      local contains = assert(rule_lists.new(case[1], case[2]))
      for _, value in ipairs(case[3]) do assert.is_true(contains(value), tostring(value)) end
      for _, value in ipairs(case[4]) do assert.is_false(contains(value), tostring(value)) end
    end)
  end

  for _, case in ipairs { { "ip", "192.0.2.1 nonsense", "nonsense" }, { "asn", "12 x1", "x1" }, { "redirect", "", "redirect" } } do
    it(("refuses %q in a list of the kind %s"):format(case[2], case[1]), function()
      local contains, message = rule_lists.new(case[1], case[2])
      assert.is_nil(contains)
      assert.truthy(message:find(case[3], 1, true))
    end)
  end

  it("answers among many", function()
    local items = {}
    for i = 0, 9999 do items[i + 1] = ("10.%d.%d.0/25"):format(math.floor(i / 256), i % 256) end
    local contains = assert(rule_lists.new("ip", table.concat(items, " ")))
    assert.is_true(contains(address "10.39.15.127"))
    assert.is_false(contains(address "10.39.15.128"))
    assert.is_false(contains(address "10.39.16.1"))
  end)
end)
