local item = require "moongate.admin.list_item"
local json = require "moongate.json"

describe("moongate.admin.list_item", function()
  local function read(kind, value, comment) return item.read(kind, json.object { [kind] = value, comment = comment }) end

  for _, case in ipairs {
    { "192.0.2.7", "192.0.2.7" }, { "192.0.2.7/32", "192.0.2.7" }, { "10.0.0.0/8", "10.0.0.0/8" }, { "64.0.0.0/2", "64.0.0.0/2" },
    { "2001:DB8:0::/32", "2001:db8::/32" }, { "2001:db8::1/128", "2001:db8::1" }, { "2001:db8:0:0::/64", "2001:db8::/64" }, { "::1", "::1" },
  } do
    it(("brings %s to its one form"):format(case[1]), function()
      local one = assert(read("ip", case[1]))
      assert.equal(case[2], one.value)
    end)
  end

  for text, served in pairs { ["192.0.2.7"] = "c0000207c0000207", ["10.0.0.0/8"] = "0a0000000affffff",
    ["2001:db8::/32"] = "20010db8" .. ("0"):rep(24) .. "20010db8" .. ("f"):rep(24) } do
    it(("serves %s as its first and its last address"):format(text), function() assert.equal(served, read("ip", text).served) end)
  end

  for _, bad in ipairs { "192.0.2.1/24", "0.0.0.0/0", "0.0.0.0/1", "192.0.2.0/33", "2001:db8::/3", "2001:db8::/65", "2001:db8::1/64", "::/129",
    "x", "192.0.2.1/", "/24", "192.0.2.1/24/24", "192.0.2.1 ", "192.0.2.1..192.0.2.2", "10/8", "::1%eth0", 7, true } do
    it(("refuses the address %s"):format(tostring(bad)), function()
      local one, reason = read("ip", bad)
      assert.is_nil(one)
      assert.equal("ip: ", reason:sub(1, 4))
    end)
  end

  it("says which network was meant", function()
    assert.truthy(select(2, read("ip", "192.0.2.1/24")):find("192.0.2.0/24", 1, true))
  end)

  it("orders addresses by value, IPv4 first, networks after their first address's bigger ones", function()
    local texts = { "9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0", "100.0.0.0/8", "::1", "2001:db8::/32" }
    for index = 2, #texts do
      assert.is_true(read("ip", texts[index - 1]).sorts_as < read("ip", texts[index]).sorts_as, texts[index])
    end
  end)

  for _, case in ipairs { { 0, "00000000" }, { 13335, "00003417" }, { 4294967295, "ffffffff" } } do
    it(("takes the number %s"):format(case[2]), function()
      local one = assert(read("asn", case[1]))
      assert.equal(case[1], one.value)
      assert.equal(case[2] .. case[2], one.served)
      assert.equal(case[2], one.sorts_as)
    end)
  end

  for _, bad in ipairs { -1, 4294967296, 1.5, "13335" } do
    it(("refuses the number %s"):format(tostring(bad)), function() assert.is_nil((read("asn", bad))) end)
  end

  for _, case in ipairs {
    { { url_hostname = "API.Example.com." }, "api.example.com" }, { { url_hostname = "*.example.com" }, "*.example.com" },
    { { url_hostname = "*.example.com", exclude_exact_hostname = true }, "*.example.com" },
    { { url_hostname = "*.example.com", exclude_exact_hostname = false }, "*.example.com!" },
    { { url_hostname = "example.com", exclude_exact_hostname = false }, "example.com" },
  } do
    it(("serves %s as %q"):format(json.encode(json.object(case[1]), { sorted = true }), case[2]), function()
      assert.equal(case[2], read("hostname", json.object(case[1])).served)
    end)
  end

  for _, bad in ipairs { { url_hostname = "a b" }, { url_hostname = "*.*.test" }, { url_hostname = "a.*.test" }, {}, { url_hostname = 1 },
    { url_hostname = "a.test", exclude_exact_hostname = 1 } } do
    it(("refuses %s"):format(json.encode(json.object(bad))), function() assert.is_nil((read("hostname", json.object(bad)))) end)
  end

  it("fills in what a redirect leaves out", function()
    local one = assert(read("redirect", json.object { source_url = "example.com/a", target_url = "https://example.org" }))
    assert.same({ source_url = "example.com/a", target_url = "https://example.org", status_code = 301, include_subdomains = false,
      subpath_matching = false, preserve_query_string = false, preserve_path_suffix = false }, one.value)
    assert.equal("", one.served)
  end)

  for _, bad in ipairs { { source_url = "a" }, { target_url = "https://b" }, { source_url = "a", target_url = "b" },
    { source_url = "a", target_url = "https://b", status_code = 200 } } do
    it(("refuses the redirect %s"):format(json.encode(json.object(bad))), function() assert.is_nil((read("redirect", json.object(bad)))) end)
  end

  it("takes a comment of 500 characters and no longer one", function()
    assert.equal(("é"):rep(500), read("ip", "::1", ("é"):rep(500)).comment)
    assert.is_nil((read("ip", "::1", ("x"):rep(501))))
    assert.is_nil((read("ip", "::1", 7)))
    assert.is_nil(read("ip", "::1", "").comment)
  end)

  it("refuses what is no item of the kind", function()
    assert.truthy(select(2, item.read("ip", json.object { asn = 1 })):find("required", 1, true))
    assert.is_nil((item.read("ip", "192.0.2.1")))
    assert.is_nil((item.read("ip", json.object { ip = json.null })))
  end)
end)
