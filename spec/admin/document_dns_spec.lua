local support = require "spec.support.admin"

describe("moongate.admin.document_dns", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id
  end)
  after_each(function() gate:close() end)

  local function make(kind, name, content, proxied)
    local answer = gate:call("POST", base .. "/dns_records",
      { type = kind, name = name, content = content, proxied = proxied ~= false })
    assert(answer.status == 200, answer.raw)
    return answer.body.result
  end
  local function host(name)
    for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
      if entry.name == name then return entry end
    end
  end
  local function origin(name)
    local entry = host(name)
    return entry and entry.origin
  end

  it("gives a proxied hostname its origin, which takes the request's name over TLS", function()
    make("A", "www", "192.0.2.1")
    assert.same({ url = "https://192.0.2.1", verify = false, request_name = true }, origin "www.heron.test")
  end)

  it("gives nothing to records that are not proxied", function()
    make("A", "www", "192.0.2.1", false)
    make("TXT", "www", "text", false)
    assert.is_nil(host "www.heron.test")
  end)

  it("takes the change, the switch and the deletion of a record at once", function()
    local record = make("A", "www", "192.0.2.1")
    local one = base .. "/dns_records/" .. record.id
    gate:call("PATCH", one, { content = "192.0.2.2" })
    assert.equal("https://192.0.2.2", origin("www.heron.test").url)
    gate:call("PATCH", one, { proxied = false })
    assert.is_nil(host "www.heron.test")
    gate:call("PATCH", one, { proxied = true })
    gate:call("DELETE", one)
    assert.is_nil(host "www.heron.test")
  end)

  it("makes one origin of several addresses, in the order in which they came", function()
    make("A", "www", "192.0.2.2")
    gate.control.clock = gate.control.clock + 1
    make("A", "www", "192.0.2.1")
    gate.control.clock = gate.control.clock + 1
    make("AAAA", "www", "2001:db8::1", false)
    assert.same({ "192.0.2.2", "192.0.2.1", "2001:db8::1" }, origin("www.heron.test").addresses)
    assert.equal("https://192.0.2.2", origin("www.heron.test").url)
  end)

  it("refuses the thirty-third address of a name", function()
    for number = 1, 32 do make("A", "www", "192.0.2." .. number) end
    for _, body in ipairs { { type = "A", name = "www", content = "192.0.2.33" }, { type = "AAAA", name = "www", content = "2001:db8::1" } } do
      assert.equal(81045, gate:call("POST", base .. "/dns_records", body).body.errors[1].code)
    end
    local other = make("A", "other", "192.0.2.1")
    assert.equal(81045, gate:call("PATCH", base .. "/dns_records/" .. other.id, { name = "www", content = "192.0.2.40" })
      .body.errors[1].code)
  end)

  for mode, expected in pairs {
    off = { url = "http://192.0.2.1", verify = false }, flexible = { url = "http://192.0.2.1", verify = false },
    full = { url = "https://192.0.2.1", verify = false, request_name = true },
    strict = { url = "https://192.0.2.1", verify = true, request_name = true },
  } do
    it(("follows the zone's setting ssl: %s"):format(mode), function()
      make("A", "www", "192.0.2.1")
      assert.equal(200, gate:call("PATCH", base .. "/settings/ssl", { value = mode }).status)
      assert.same(expected, origin "www.heron.test")
    end)
  end

  it("writes IPv6 addresses in brackets", function()
    make("AAAA", "www", "2001:db8::1")
    assert.equal("https://[2001:db8::1]", origin("www.heron.test").url)
  end)

  it("keeps wildcards", function()
    make("A", "*", "192.0.2.1")
    assert.equal("https://192.0.2.1", origin("*.heron.test").url)
  end)

  describe("of a CNAME", function()
    it("is a name that the workers look up when it lies outside of the records", function()
      make("CNAME", "www", "target.stork.test")
      assert.equal("https://target.stork.test", origin("www.heron.test").url)
      assert.is_nil(origin("www.heron.test").addresses)
    end)

    it("is what the zone's own records say of its target, proxied or not", function()
      make("A", "@", "192.0.2.1", false)
      make("CNAME", "www", "heron.test")
      make("CNAME", "shop", "www.heron.test")
      assert.equal("https://192.0.2.1", origin("shop.heron.test").url)
      assert.is_nil(host "heron.test")
    end)

    it("is what a wildcard record says of its target", function()
      make("A", "*.pool", "192.0.2.1", false)
      make("CNAME", "www", "a.pool.heron.test")
      assert.equal("https://192.0.2.1", origin("www.heron.test").url)
    end)

    it("is none when it leads in a circle", function()
      make("CNAME", "a", "b.heron.test")
      make("CNAME", "b", "a.heron.test")
      assert.is_nil(host "a.heron.test")
    end)
  end)

  describe("beside origins of the operator", function()
    local function put(name, url)
      local answer = gate:call("PUT", base .. "/moongate/origins/" .. name, { url = url })
      assert(answer.status == 200, answer.raw)
    end

    it("is passed over for a name that has one", function()
      make("A", "www", "192.0.2.1")
      put("www.heron.test", "http://127.0.0.1:9000")
      assert.equal("http://127.0.0.1:9000", origin("www.heron.test").url)
      gate:call("DELETE", base .. "/moongate/origins/www.heron.test")
      assert.equal("https://192.0.2.1", origin("www.heron.test").url)
    end)

    it("goes before that of a wildcard or of the whole zone", function()
      make("A", "www", "192.0.2.1")
      put("*.heron.test", "http://127.0.0.1:9000")
      put("*", "http://127.0.0.1:9001")
      assert.equal("https://192.0.2.1", origin("www.heron.test").url)
    end)
  end)

  it("shares one origin among names with equal records", function()
    make("A", "a", "192.0.2.1")
    make("A", "b", "192.0.2.1")
    assert.equal(origin "a.heron.test", origin "b.heron.test")
  end)
end)
