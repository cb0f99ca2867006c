local http = require "spec.support.http"

local function read(target, host, options)
  options = options or {}
  local lines = host and ("Host: " .. host .. "\r\n") or ""
  return http.target(("%s %s HTTP/1.%d\r\n%s\r\n"):format(options.method or "GET", target, options.version or 1, lines),
    options.tls)
end

describe("moon_http_read_target()", function()
  for _, case in ipairs {
    { "/", "/", nil },
    { "/a/b", "/a/b", nil },
    { "/a?b=c&d", "/a", "b=c&d" },
    { "/a?", "/a", "" },
    { "/a?b?c", "/a", "b?c" },
    { "//other.example/x", "//other.example/x", nil },
    { "/a/../b/./c//d", "/a/../b/./c//d", nil },
    { "/%2e%2e/%2F%zz", "/%2e%2e/%2F%zz", nil },
    { "/http://b/", "/http://b/", nil },
    { "/a;b,c:d@e[f]!$&'()*+=~", "/a;b,c:d@e[f]!$&'()*+=~", nil },
  } do
    it("hands on " .. case[1] .. " as it was sent", function()
      local status, target = read(case[1], "a.example")
      assert.equal(0, status)
      assert.equal(case[1], target.uri)
      assert.equal(case[2], target.path)
      assert.equal(case[3], target.query)
      assert.equal(case[3] ~= nil, target.has_query)
    end)
  end

  describe("the Host field", function()
    for _, case in ipairs {
      { "a.example", "a.example", 0 },
      { "A.EXAMPLE", "a.example", 0 },
      { "a.example.", "a.example", 0 },
      { "a.example:443", "a.example", 443 },
      { "a.example.:8443", "a.example", 8443 },
      { "a.example:", "a.example", 0 },
      { "xn--bcher-kva.example", "xn--bcher-kva.example", 0 },
      { "under_score.example", "under_score.example", 0 },
      { "192.0.2.1:80", "192.0.2.1", 80 },
      { "[2001:DB8::1]", "[2001:db8::1]", 0 },
      { "[2001:db8:0:0::1]:8080", "[2001:db8::1]", 8080 },
      { ("a"):rep(63) .. ".example", ("a"):rep(63) .. ".example", 0 },
    } do
      it(("says %s for %s"):format(case[2], case[1]), function()
        local status, target = read("/", case[1])
        assert.equal(0, status)
        assert.same({ case[2], case[3] }, { target.host, target.port })
      end)
    end

    for _, host in ipairs { "a.example..", ".a.example", "a..example", ".", "a.example:99999", "a.example:0",
      "a.example:x", "a.example:-1", "a.example:443:443", "x@a.example", "x:y@a.example", "%61.example",
      "a.example, b.example", "a b",
      "a.example/x", "a.example\\b", "a\194\173.example", "\239\189\129.example", "b\195\188cher.example",
      "*.example", "*", "[::1", "::1", "[::1]x", "[::1%25eth0]", "[v1.x]", "[]", ":80", "a;b", "a'b", '"a"', "a=b",
      ("a"):rep(64) .. ".example", ("a."):rep(127) .. "a" } do
      it(("is refused with 400 when it is %s"):format(#host < 60 and host or (#host .. " bytes long")), function()
        assert.equal(400, (read("/", host)))
        assert.equal(400, (read("*", host, { method = "OPTIONS" })))
        assert.equal(400, (read("http://a.example/", host)))
      end)
    end

    it("may be absent in HTTP/1.0, and then there is no host", function()
      local status, target = read("/", nil, { version = 0 })
      assert.equal(0, status)
      assert.same({ "", 0 }, { target.host, target.port })
    end)
  end)

  describe("absolute-form", function()
    for _, case in ipairs {
      { "http://a.example/p?q", "a.example", false, "a.example", 0, "/p?q" },
      { "HTTP://A.example./p", "a.example", false, "a.example", 0, "/p" },
      { "http://a.example:8080/", "a.example:8080", false, "a.example", 8080, "/" },
      { "http://a.example:80/", "a.example", false, "a.example", 80, "/" },
      { "http://a.example/", "a.example:80", false, "a.example", 0, "/" },
      { "http://a.example", "a.example", false, "a.example", 0, "/" },
      { "https://a.example/p", "A.EXAMPLE", true, "a.example", 0, "/p" },
      { "https://a.example:443/p", "a.example", true, "a.example", 443, "/p" },
      { "http://[::1]:80/p", "[0::1]", false, "[::1]", 80, "/p" },
      { "http://a.example/x@y:z", "a.example", false, "a.example", 0, "/x@y:z" },
    } do
      it(("takes host and path from %s with Host %s"):format(case[1], case[2]), function()
        local status, target = read(case[1], case[2], { tls = case[3] })
        assert.equal(0, status)
        assert.same({ case[4], case[5], case[6] }, { target.host, target.port, target.uri })
      end)
    end

    it("is the effective host of an HTTP/1.0 request without Host", function()
      local status, target = read("http://b.example/", nil, { version = 0 })
      assert.equal(0, status)
      assert.equal("b.example", target.host)
    end)

    it("without a path is * for OPTIONS", function()
      local status, target = read("http://a.example", "a.example", { method = "OPTIONS" })
      assert.equal(0, status)
      assert.same({ "*", "*" }, { target.uri, target.path })
    end)

    for _, case in ipairs {
      { "another host", "http://a.example/", "b.example" },
      { "another port", "http://a.example:81/", "a.example" },
      { "another port in the field", "http://a.example/", "a.example:81" },
      { "the other scheme", "https://a.example/", "a.example" },
      { "an unknown scheme", "ftp://a.example/", "a.example" },
      { "userinfo", "http://x@a.example/", "a.example" },
      { "userinfo with a password", "http://x:1@a.example/", "a.example" },
      { "an empty host", "http:///p", "a.example" },
      { "nothing behind the scheme", "http://", "a.example" },
      { "a port alone", "http://:80/", "a.example" },
      { "a bad port", "http://a.example:99999/", "a.example" },
      { "a percent-encoded host", "http://%61.example/", "a.example" },
      { "two trailing dots", "http://a.example../", "a.example" },
      { "a query without a path", "http://a.example?q", "a.example" },
      { "one slash", "http:/a.example/", "a.example" },
      { "no slash", "http:a.example", "a.example" },
    } do
      it("is refused with 400 when it has " .. case[1], function() assert.equal(400, (read(case[2], case[3]))) end)
    end

    it("must have the scheme of a TLS connection", function()
      assert.equal(400, (read("http://a.example/", "a.example", { tls = true })))
    end)
  end)

  describe("other forms", function()
    it("takes * for OPTIONS only", function()
      local status, target = read("*", "a.example", { method = "OPTIONS" })
      assert.equal(0, status)
      assert.same({ "*", "*", false }, { target.uri, target.path, target.has_query })
      assert.equal(400, (read("*", "a.example")))
      assert.equal(400, (read("*x", "a.example", { method = "OPTIONS" })))
    end)

    for _, target in ipairs { "a", "a.example:443", "?q", "../x", "x/y", "a.example" } do
      it("refuses " .. target .. " with 400", function() assert.equal(400, (read(target, "a.example"))) end)
    end
  end)

  it("refuses CONNECT with 405 and a target that no codec checked with 400", function()
    local ffi = require "ffi"
    local unit = require "spec.support.unit"
    local head, target = ffi.new("struct moon_http_head[1]"), ffi.new("struct moon_http_target[1]")
    local reason = ffi.new("const char *[1]")
    local function answer(method, text)
      head[0].method, head[0].target = unit.str(method), unit.str(text)
      return http.C.moon_http_read_target(target, head, true, reason)
    end
    assert.equal(405, answer("CONNECT", "a:443"))
    assert.equal(400, answer("GET", "/a#b"))
    assert.equal(400, answer("GET", ""))
    assert.equal(0, answer("GET", "/a"))
  end)
end)
