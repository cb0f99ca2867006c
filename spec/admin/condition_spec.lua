describe("moongate.admin.condition", function()
  local condition = require "moongate.admin.condition"
  local json = require "moongate.json"

  local function read(text) return condition.read(assert(json.decode(text))) end

  describe("read()", function()
    for _, name in ipairs { "request.ip", "request_ip" } do
      it("reads " .. name, function()
        assert.same({ ["in"] = { "192.0.2.0/24" }, not_in = { "192.0.2.7" } },
          read('{"' .. name .. '":{"in":["192.0.2.0/24"],"not_in":["192.0.2.7"]}}'))
      end)
    end

    it("takes both names when they say the same", function()
      assert.same({ ["in"] = { "::1" } }, read '{"request.ip":{"in":["::1"]},"request_ip":{"in":["::1"]}}')
    end)

    for _, text in ipairs { "{}", '{"request_ip":null}', '{"request_ip":{}}', '{"request_ip":{"in":null}}' } do
      it("finds no condition in " .. text, function() assert.is_false((read(text))) end)
    end

    for _, case in ipairs {
      { '[]', "" },
      { '"192.0.2.1"', "" },
      { '{"request_country":{"in":["NL"]}}', "" },
      { '{"request.ip":{"in":["192.0.2.1"]},"request_ip":{"in":["192.0.2.2"]}}', "" },
      { '{"request_ip":["192.0.2.1"]}', "/request_ip" },
      { '{"request_ip":{"notin":["192.0.2.1"]}}', "/request_ip" },
      { '{"request_ip":{"in":"192.0.2.1"}}', "/request_ip/in" },
      { '{"request_ip":{"in":["192.0.2.1","x"]}}', "/request_ip/in/1" },
      { '{"request_ip":{"in":[7]}}', "/request_ip/in/0" },
      { '{"request.ip":{"not_in":["192.0.2.1/33"]}}', "/request.ip/not_in/0" },
      { '{"request_ip":{"in":["192.0.2.1/24"]}}', "/request_ip/in/0" },
      { '{"request_ip":{"in":["192.0.2.1..192.0.2.9"]}}', "/request_ip/in/0" },
      { '{"request_ip":{"in":["2001:db8::/129"]}}', "/request_ip/in/0" },
      { '{"request_ip":{"in":["' .. ("1"):rep(100) .. '"]}}', "/request_ip/in/0" },
    } do
      it("refuses " .. case[1]:sub(1, 80), function()
        local found, complaint = read(case[1])
        assert.is_nil(found)
        assert.equal(case[2], complaint.pointer)
      end)
    end

    it("refuses more blocks than it has room for", function()
      local list = {}
      for index = 1, 201 do list[index] = '"192.0.2.1"' end
      assert.is_nil((read('{"request_ip":{"in":[' .. table.concat(list, ",") .. "]}}")))
    end)
  end)

  describe("show()", function()
    it("writes both names, and the lists that are there as they came", function()
      local shown = json.encode(condition.show { ["in"] = { "10/8" } }, { sorted = true })
      assert.equal('{"request.ip":{"in":["10/8"]},"request_ip":{"in":["10/8"]}}', shown)
    end)

    it("writes an empty list as a list", function()
      assert.truthy(json.encode(condition.show { ["in"] = {} }):find('"in":[]', 1, true))
    end)
  end)

  describe("admits()", function()
    local V4, V6 = { "192.0.2.0/24", "198.51.100.7" }, { "2001:db8::/32" }
    for _, case in ipairs {
      { "no condition", nil, "192.0.2.1", true },
      { "an address inside", { ["in"] = V4 }, "192.0.2.255", true },
      { "a single address", { ["in"] = V4 }, "198.51.100.7", true },
      { "an address outside", { ["in"] = V4 }, "192.0.3.0", false },
      { "an IPv6 address inside", { ["in"] = V6 }, "2001:db8:ffff::1", true },
      { "an IPv6 address outside", { ["in"] = V6 }, "2001:db9::", false },
      { "the other family", { ["in"] = V6 }, "192.0.2.1", false },
      { "an IPv4 address in IPv6 clothes", { ["in"] = V4 }, "::ffff:192.0.2.1", true },
      { "an IPv4 address in IPv6 clothes that is excluded", { not_in = V4 }, "::ffff:192.0.2.1", false },
      { "a block in IPv6 clothes that excludes", { not_in = { "::ffff:192.0.2.0/120" } }, "192.0.2.1", false },
      { "an excluded address", { not_in = V4 }, "192.0.2.1", false },
      { "an address that is not excluded", { not_in = V4 }, "203.0.113.1", true },
      { "an exclusion within", { ["in"] = V4, not_in = { "192.0.2.9" } }, "192.0.2.9", false },
      { "an empty list", { ["in"] = {} }, "203.0.113.1", true },
      { "a link-local address with its zone", { ["in"] = { "fe80::/10" } }, "fe80::1%eth0", true },
      { "an address that cannot be read", { not_in = V4 }, "unix", false },
      { "no address", { not_in = V4 }, "", false },
    } do
      it(("says %s to %s"):format(tostring(case[4]), case[1]), function()
        assert.equal(case[4], condition.admits(case[2], case[3]))
      end)
    end
  end)
end)
