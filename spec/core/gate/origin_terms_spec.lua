local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local unit = require "spec.support.unit"

local function terms(options)
  if type(options) == "string" then options = { url = options } end
  return gate.origin_terms(options)
end

describe("moon_origin_terms_new()", function()
  for _, case in ipairs {
    { "http://127.0.0.1:9000", "127.0.0.1", 9000, false },
    { "http://127.0.0.1", "127.0.0.1", 80, false },
    { "http://origin.internal:8080/", "origin.internal", 8080, false, url = "http://origin.internal:8080" },
    { "https://origin.internal", "origin.internal", 443, true },
    { "https://Origin.INTERNAL.:8443", "origin.internal", 8443, true },
    { "http://[::1]:9000", "[::1]", 9000, false },
    { "https://[2001:DB8::1]", "[2001:db8::1]", 443, true },
    { "http://a:65535", "a", 65535, false },
    { "http://a:", "a", 80, false },
  } do
    it("reads " .. case[1], function()
      local read = assert(terms(case[1]))
      assert.same({ case[2], case[3], case[4] }, { unit.text(read.host), read.port, read.tls })
      assert.equal(case.url or case[1], unit.text(read.url))
      assert.equal(case[4], read.client ~= nil)
      if case[4] then assert.equal(case[2], unit.text(read.server_name)) end
    end)
  end

  for _, case in ipairs {
    { "", "nothing" }, { "origin:80", "no scheme" }, { "ftp://a", "another scheme" }, { "HTTP://a", "a scheme in capitals" },
    { "//a", "a relative URL" }, { "http:/a", "one slash" }, { "http://", "no host" }, { "http:///", "an empty host" },
    { "http://:80", "only a port" }, { "http://a:0", "port 0" }, { "http://a:65536", "a port beyond 65535" },
    { "http://a:-1", "a signed port" }, { "http://a:8o", "letters in the port" }, { "http://a:000080", "a port of six digits" },
    { "http://a/b", "a path" }, { "http://a//", "two slashes" }, { "http://a?b", "a query" }, { "http://a#b", "a fragment" },
    { "http://user@a", "user information" }, { "http://user:pw@a", "a password" }, { "http://a b", "a space" },
    { "http://a\r\nX: y", "a line break" }, { "http://a\0b", "NUL" }, { "http://a..b", "an empty label" },
    { "http://a..", "two trailing dots" }, { "http://.a", "a leading dot" }, { "http://\228", "a byte from 0x80 up" },
    { "http://%61", "an escape" }, { "http://[::1", "an open bracket" }, { "http://[::1]x", "something behind the bracket" },
    { "http://[1.2.3.4]", "IPv4 in brackets" }, { "http://::1", "IPv6 without brackets" }, { "http://*.a", "a wildcard" },
    { "http://" .. ("a"):rep(64), "a label of 64 bytes" },
    { "http://" .. ("a."):rep(127) .. "a", "a name of 255 bytes" },
  } do
    it("refuses a URL with " .. case[2], function()
      local read, diag = terms(case[1])
      assert.is_nil(read)
      assert.equal("url", diag.where)
      assert.truthy(diag.text:find("http://host[:port]", 1, true))
    end)
  end

  it("does not repeat an endless URL in its diagnostic", function()
    local _, diag = terms("http://a/" .. ("b"):rep(5000))
    assert.is_true(#diag.text < 400)
  end)

  for _, case in ipairs {
    { "host_header", "a b" }, { "host_header", "a\r\nX: y" }, { "host_header", "a:b" }, { "host_header", "a,b" },
    { "host_header", "a:0" }, { "host_header", "a/b" },
    { "sni", "a b" }, { "sni", "[::1]" }, { "sni", "a..b" }, { "sni", ("a"):rep(64) },
    { "ca", "no PEM" },
    { "addresses", "a.test" }, { "addresses", "192.0.2.1;192.0.2.2" }, { "addresses", ("192.0.2.1,"):rep(33) },
  } do
    it(("refuses %s %q and names it"):format(case[1], case[2]), function()
      local read, diag = terms { url = "https://a", [case[1]] = case[2] }
      assert.is_nil(read)
      assert.equal(case[1], diag.where)
    end)
  end

  for _, name in ipairs { "sni", "ca" } do
    it(("refuses %s without TLS"):format(name), function()
      local read, diag = terms { url = "http://a", [name] = "b" }
      assert.is_nil(read)
      assert.equal(name, diag.where)
    end)
  end

  it("keeps host_header as it was given", function()
    assert.equal("B.test:8080", unit.text(assert(terms { url = "http://a", host_header = "B.test:8080" }).host_header))
    assert.equal(0, tonumber(assert(terms "http://a").host_header.len))
  end)

  it("keeps its addresses with the port of the URL", function()
    local read = assert(terms { url = "https://a.test:8443", addresses = "192.0.2.1,2001:db8::1" })
    assert.equal(2, read.address_count)
    assert.equal("a.test", unit.text(read.host))
    assert.equal(0, assert(terms "https://a.test").address_count)
  end)

  it("takes its name from requests over TLS only", function()
    assert.is_true(assert(terms { url = "https://a", request_name = true }).request_name)
    assert.is_false(assert(terms { url = "http://a", request_name = true }).request_name)
  end)

  it("verifies under the given name", function()
    assert.equal("b.test", unit.text(assert(terms { url = "https://127.0.0.1", sni = "B.test." }).server_name))
  end)
end)

describe("the key of terms", function()
  local ca, other_ca = certs.ca("Origin CA").pem, certs.ca("Other origin CA").pem
  local one, two = certs.leaf(nil, { cn = "one" }), certs.leaf(nil, { cn = "two" })
  local function presenting(leaf) return { url = "https://a", certificates = leaf.pem, private_key = leaf.key } end
  local function key(options) return unit.text(assert(terms(options)).key) end

  for _, case in ipairs {
    { "spelling", "https://A.test.:443/", "https://a.test" },
    { "the default port", "http://a", "http://a:80" },
    { "an SNI that repeats the host", { url = "https://a.test", sni = "a.test" }, "https://a.test" },
    { "SNI where requests name it", { url = "https://a", request_name = true, sni = "b" }, { url = "https://a", request_name = true } },
    { "verification without TLS", { url = "http://a", verify = false }, "http://a" },
  } do
    it("is equal whatever the " .. case[1], function() assert.equal(key(case[2]), key(case[3])) end)
  end

  for _, case in ipairs {
    { "scheme", "http://a:443", "https://a" },
    { "host", "http://a", "http://b" },
    { "port", "http://a:1", "http://a:2" },
    { "Host", { url = "http://a", host_header = "b" }, "http://a" },
    { "SNI", { url = "https://a", sni = "b" }, "https://a" },
    { "addresses", { url = "http://a", addresses = "192.0.2.1" }, "http://a" },
    { "order of addresses", { url = "http://a", addresses = "192.0.2.1,192.0.2.2" }, { url = "http://a", addresses = "192.0.2.2,192.0.2.1" } },
    { "name from requests", { url = "https://a", request_name = true }, "https://a" },
    { "verification", { url = "https://a", verify = false }, "https://a" },
    { "CA", { url = "https://a", ca = ca }, { url = "https://a", ca = other_ca } },
    { "CA of the system", { url = "https://a", ca = ca }, "https://a" },
    { "certificate that we present", presenting(one), presenting(two) },
    { "certificate that we present, or none", presenting(one), "https://a" },
  } do
    it("differs with another " .. case[1], function() assert.not_equal(key(case[2]), key(case[3])) end)
  end
end)

describe("a certificate that we present", function()
  local leaf, other = certs.leaf(nil, { cn = "edge" }), certs.leaf(nil, { cn = "other" })

  for _, case in ipairs {
    { "without TLS", { url = "http://a", certificates = leaf.pem, private_key = leaf.key }, "certificates" },
    { "with another's key", { url = "https://a", certificates = leaf.pem, private_key = other.key }, "private_key" },
    { "without a key", { url = "https://a", certificates = leaf.pem }, "private_key" },
    { "that is no certificate", { url = "https://a", certificates = "x", private_key = leaf.key }, "certificates" },
  } do
    it("is refused " .. case[1] .. ", without a word of the key", function()
      local read, diag = terms(case[2])
      assert.is_nil(read)
      assert.equal(case[3], diag.where)
      assert.is_nil(diag.text:find("PRIVATE", 1, true))
    end)
  end
end)
