-- Named lists as tests: addresses, hostnames, numbers; packed as the control plane does and asked as the workers do.

local ip = require "moongate.rules.ip"
local rule_lists = require "moongate.rule_lists"

local function hex(bytes) return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end)) end
local function address(text) return assert(ip.parse(text)) end

-- Addresses and networks as words.
local function words(text)
  return (text:gsub("%S+", function(item)
    local first, last = ip.parse_item(item)
    return hex(first) .. hex(last)
  end))
end

local function list(kind, text) return rule_lists.new(kind, assert(rule_lists.pack(kind, text))) end

describe("moongate.rule_lists", function()
  for _, case in ipairs {
    { "an address", "192.0.2.7", { "192.0.2.7" }, { "192.0.2.6", "192.0.2.8", "2001:db8::7", "0.0.0.0", "255.255.255.255" } },
    { "networks inside others", "10.0.0.0/8 10.1.0.0/16 192.0.2.0/30", { "10.0.0.0", "10.255.255.255", "10.1.2.3", "192.0.2.3" },
      { "9.255.255.255", "11.0.0.0", "192.0.2.4", "192.0.1.255" } },
    { "items in disorder", "192.0.2.0/30 10.1.0.0/16 2001:db8::/32 10.0.0.0/8", { "10.200.0.1", "10.1.2.3", "192.0.2.3", "2001:db8::" },
      { "9.255.255.255", "11.0.0.0" } },
    { "networks with one beginning", "10.0.0.0/16 10.0.0.0/8 10.0.0.0", { "10.0.0.0", "10.255.0.0" }, { "11.0.0.0" } },
    { "IPv6", "::1 2001:db8::/32", { "2001:db8:ffff::1", "::1", "2001:db8::" }, { "2001:db9::", "::2", "::", "0.0.0.1", "2001:db7:ffff::" } },
    { "both families", "10.0.0.0/8 2001:db8::/32", { "10.1.1.1", "2001:db8::1" }, { "32.1.13.184", "::a00:1" } },
    { "an IPv4-mapped address", "192.0.2.0/24", {}, { "::ffff:192.0.2.1" } },
    { "nothing", "", {}, { "192.0.2.1", "::" } },
    { "everything", "0.0.0.0/0 ::/0", { "0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" }, {} },
  } do
    it(("answers for %s"):format(case[1]), function()
      local contains = list("ip", words(case[2]))
      for _, text in ipairs(case[3]) do assert.is_true(contains(address(text)), text) end
      for _, text in ipairs(case[4]) do assert.is_false(contains(address(text)), text) end
    end)
  end

  for _, case in ipairs {
    { "names", "a.test b.test example.com", { "a.test", "b.test", "example.com" }, { "c.test", "", "a", "a.tes", "a.test.", "aa.test", "z", "a.test b.test" } },
    { "one name", "a.test", { "a.test" }, { "b.test", "0.test", "" } },
    { "names below a name", "*.example.org example.com", { "example.com", "a.example.org", "a.b.example.org" },
      { "a.example.com", "example.org", "xexample.org", "", "org", ".org", "*.example.org!" } },
    { "names below a name and itself", "*.a.test! *.b.test a.test.example", { "a.test", "x.a.test", "x.b.test", "a.test.example" },
      { "b.test", "test", "a.test!", "x.a.test.example" } },
    { "names in disorder", "z.test *.b.test *.a.test! a.test.example", { "a.test", "x.a.test", "x.b.test", "z.test" }, { "b.test", "y.test" } },
    { "nothing", "", {}, { "a.test", "" } },
  } do
    it(("answers for %s"):format(case[1]), function()
      local contains = list("hostname", case[2])
      for _, name in ipairs(case[3]) do assert.is_true(contains(name), name) end
      for _, name in ipairs(case[4]) do assert.is_false(contains(name), name) end
    end)
  end

  it("answers for numbers", function()
    local contains = list("asn", "0000000000000000 0000341700003417 ffffffffffffffff")
    for _, number in ipairs { 0, 13335, 4294967295 } do assert.is_true(contains(number)) end
    for _, number in ipairs { 1, 13334, 13336, -1, 4294967296, 2 ^ 53 } do assert.is_false(contains(number)) end
    assert.is_false(contains(("\255"):rep(8))) -- an integer beyond 2^53
  end)

  for _, case in ipairs { { "ip", words "192.0.2.1" .. " nonsense", "nonsense" }, { "asn", "1234", "1234" }, { "ip", ("g"):rep(16), "ggg" },
    { "redirect", "", "redirect" } } do
    it(("does not pack %q of the kind %s"):format(case[2], case[1]), function()
      local packed, message = rule_lists.pack(case[1], case[2])
      assert.is_nil(packed)
      assert.truthy(message:find(case[3], 1, true))
    end)
  end

  it("agrees with a look at every item", function()
    local items, seed = {}, 7
    local function random(n)
      seed = (seed * 16807) % 2147483647
      return seed % n
    end
    for i = 1, 300 do items[i] = ("10.%d.%d.0/%d"):format(random(4), random(256), 24 + random(3)) end
    local contains, ranges = list("ip", words(table.concat(items, " "))), {}
    for i, item in ipairs(items) do ranges[i] = { ip.parse_item(item) } end
    for _ = 1, 3000 do
      local text = ("10.%d.%d.%d"):format(random(5), random(256), random(256))
      local expected, asked = false, address(text)
      for _, range in ipairs(ranges) do expected = expected or range[1] <= asked and asked <= range[2] end
      assert.equal(expected, contains(asked), text)
    end
    local names = {}
    for i = 1, 300 do names[i] = (random(3) == 0 and "*." or "") .. ("h%d.d%d.test"):format(random(500), random(3)) end
    local has = list("hostname", table.concat(names, " "))
    for _ = 1, 3000 do
      local name = ("h%d.d%d.test"):format(random(500), random(3))
      if random(2) == 0 then name = "x." .. name end
      local expected = false
      for _, item in ipairs(names) do
        expected = expected or item == name or item:sub(1, 2) == "*." and name:sub(-#item + 1) == item:sub(2)
      end
      assert.equal(expected, has(name), name)
    end
  end)

  it("keeps its bytes, however often the collector runs", function()
    local tests = {}
    for i = 1, 200 do tests[i] = list("ip", words(("10.0.%d.0/24"):format(i))) end
    collectgarbage()
    collectgarbage()
    for i = 1, 200 do
      assert.is_true(tests[i](address(("10.0.%d.9"):format(i))))
      assert.is_false(tests[i](address(("10.1.%d.9"):format(i))))
    end
  end)
end)
