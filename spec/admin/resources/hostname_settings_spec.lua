local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.hostname_settings", function()
  local gate, zone, json
  local HOST = "pay.heron.test"

  before_each(function()
    gate = assert(support.start())
    json = require "moongate.json"
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local function path(id, hostname)
    return ("/zones/%s/hostnames/settings/%s%s"):format(zone.id, id, hostname and "/" .. hostname or "")
  end
  local function put(id, value, hostname) return gate:call("PUT", path(id, hostname or HOST), { value = value }) end
  local function ciphers(...) return json.array { ... } end
  local function refused(answer, code, status)
    assert.equal(status or 400, answer.status, answer.raw)
    assert.equal(code, answer.body.errors[1].code)
    return answer.body.errors[1]
  end

  it("are answered as documented, and kept", function()
    for id, value in pairs { min_tls_version = "1.3", http2 = "off", ciphers = { "AES128-SHA", "AES256-SHA" } } do
      if type(value) == "table" then value = json.array(value) end
      local answer = put(id, value)
      assert.equal(200, answer.status, answer.raw)
      local entry = answer.body.result
      assert.equal(HOST, entry.hostname)
      assert.same(value, entry.value)
      assert.equal("active", entry.status)
      assert.truthy(entry.created_at:find("%.%d%d%d%d%d%dZ$"))
      assert.equal(entry.created_at, entry.updated_at)
      assert.same(entry, gate:call("GET", path(id, HOST)).body.result)
      assert.same({ entry }, gate:call("GET", path(id)).body.result)
    end
  end)

  it("are replaced by the next PUT, which keeps the time at which they were made", function()
    local first = put("min_tls_version", "1.2").body.result
    gate.control.clock = gate.control.clock + 60
    local second = put("min_tls_version", "1.3", "PAY.heron.test.").body.result
    assert.equal("1.3", second.value)
    assert.equal(HOST, second.hostname)
    assert.equal(first.created_at, second.created_at)
    assert.is_true(second.updated_at > first.updated_at)
    assert.equal(1, gate:call("GET", path "min_tls_version").body.result_info.total_count)
  end)

  it("are listed as an array, also when there is none", function()
    local answer = gate:call("GET", path "min_tls_version")
    assert.is_true(json.is_array(answer.body.result))
    assert.equal(50, answer.body.result_info.per_page)
    assert.equal(0, answer.body.result_info.total_count)
  end)

  it("are listed in slices and by hostname", function()
    for index = 1, 5 do put("http2", "off", ("h%d.heron.test"):format(index)) end
    local function names(query)
      local list = {}
      for index, entry in ipairs(gate:call("GET", path "http2" .. "?" .. query).body.result) do
        list[index] = entry.hostname:match("^%w+")
      end
      return table.concat(list, " ")
    end
    assert.equal("h1 h2 h3 h4 h5", names "")
    assert.equal("h3 h4", names "limit=2&offset=2")
    assert.equal("", names "limit=2&offset=8")
    assert.equal("h4", names "hostname=H4.heron.test")
    assert.equal("h2 h4", names "hostname=h4.heron.test&hostname=h2.heron.test")
    assert.equal("", names "hostname=nobody.heron.test")
    refused(gate:call("GET", path "http2" .. "?page=0"), 10002)
  end)

  it("are apart from each other by setting and by zone", function()
    put("min_tls_version", "1.3")
    assert.same({}, gate:call("GET", path "ciphers").body.result)
    refused(gate:call("GET", path("ciphers", HOST)), 21090, 404)
    zone = gate:zone "stork.test"
    assert.same({}, gate:call("GET", path "min_tls_version").body.result)
    refused(gate:call("GET", path("min_tls_version", HOST)), 21090, 404)
  end)

  it("are gone after DELETE, which answers an entry with an empty value", function()
    local made = put("ciphers", ciphers "AES128-SHA").body.result
    local answer = gate:call("DELETE", path("ciphers", HOST))
    assert.equal(200, answer.status)
    assert.equal("", answer.body.result.value)
    assert.equal(HOST, answer.body.result.hostname)
    assert.equal("pending_deletion", answer.body.result.status)
    assert.equal(made.created_at, answer.body.result.created_at)
    refused(gate:call("DELETE", path("ciphers", HOST)), 21090, 404)
    refused(gate:call("GET", path("ciphers", HOST)), 21090, 404)
    assert.is_nil(gate.control.served["heron.test"].hosts[1])
  end)

  describe("refuse", function()
    it("an unknown setting with 404 and 7003, whatever the method", function()
      for method, hostname in pairs { GET = HOST, PUT = HOST, DELETE = HOST } do
        refused(gate:call(method, path("tls_1_3", hostname), { value = "on" }), 7003, 404)
      end
      refused(gate:call("GET", path "tls_1_3"), 7003, 404)
    end)

    for title, case in pairs {
      ["a number for a version"] = { "min_tls_version", 1.2 },
      ["an unknown version"] = { "min_tls_version", "1.5" },
      ["a string of ciphers"] = { "ciphers", "AES128-SHA" },
      ["a suite of TLS 1.3"] = { "ciphers", { "AEAD-AES256-GCM-SHA384" } },
      ["an unknown suite"] = { "ciphers", { "NULL-MD5" } },
      ["another word than on or off"] = { "http2", "zrt" },
      ["an empty value"] = { "http2", "" },
    } do
      it(title .. ", and keep nothing", function()
        local value = type(case[2]) == "table" and json.array(case[2]) or case[2]
        local one = refused(put(case[1], value), 10002)
        assert.equal("/value", one.source.pointer)
        assert.truthy(one.message:find(case[1], 1, true))
        refused(gate:call("GET", path(case[1], HOST)), 21090, 404)
      end)
    end

    it("a body without a value, malformed JSON, and a body that is no object", function()
      refused(gate:call("PUT", path("http2", HOST), json.object {}), 10002)
      refused(gate:call("PUT", path("http2", HOST), "{"), 6007)
      refused(gate:call("PUT", path("http2", HOST), "[]"), 6007)
    end)

    for title, hostname in pairs {
      ["a name outside of the zone"] = "pay.stork.test", ["a name that only ends like the zone"] = "xheron.test",
      ["a wildcard"] = "*.heron.test", ["what is no name"] = "a_b-.-x.heron.test",
    } do
      it(title .. " with 1407", function()
        refused(put("http2", "off", hostname), 1407)
        refused(gate:call("GET", path("http2", hostname)), 21090, 404)
        refused(gate:call("DELETE", path("http2", hostname)), 21090, 404)
      end)
    end

    it("a name of a closer zone, and keep a zone from being made around a name that has one", function()
      put("http2", "off", "a.eu.heron.test")
      refused(gate:call("POST", "/zones", { name = "eu.heron.test" }), 1116)
      gate:call("DELETE", path("http2", "a.eu.heron.test"))
      gate:zone "eu.heron.test"
      assert.truthy(refused(put("http2", "off", "a.eu.heron.test"), 1407).message:find("eu.heron.test", 1, true))
    end)

    it("TLS 1.3 as the minimum where the zone has it off, and the other way round", function()
      local settings = "/zones/" .. zone.id .. "/settings/tls_1_3"
      assert.equal(200, gate:call("PATCH", settings, { value = "off" }).status)
      assert.truthy(refused(put("min_tls_version", "1.3"), 10002).message:find("off in the zone", 1, true))
      gate:call("PATCH", settings, { value = "on" })
      put("min_tls_version", "1.3")
      assert.truthy(refused(gate:call("PATCH", settings, { value = "off" }), 1007).message:find(HOST, 1, true))
    end)
  end)

  describe("for ciphers", function()
    local ca = certs.ca "Servers"

    local function upload(names)
      local leaf = certs.leaf(ca, { cn = "server", eku = "serverAuth", san = names })
      local answer = gate:call("POST", "/zones/" .. zone.id .. "/custom_certificates",
        { certificate = leaf.pem, private_key = leaf.key, bundle_method = "force" })
      assert.equal(200, answer.status, answer.raw)
    end

    it("ask for a certificate that names the hostname, once there is one that covers it by a wildcard", function()
      upload "DNS:*.heron.test"
      refused(put("ciphers", ciphers "ECDHE-ECDSA-AES128-GCM-SHA256"), 21091)
      assert.equal(200, put("ciphers", ciphers()).status)
      assert.equal(200, put("min_tls_version", "1.2").status)
      upload "DNS:pay.heron.test"
      assert.equal(200, put("ciphers", ciphers "ECDHE-ECDSA-AES128-GCM-SHA256").status)
    end)

    it("are free where the local CA makes the certificate", function()
      upload "DNS:*.eu.heron.test"
      assert.equal(200, put("ciphers", ciphers "ECDHE-ECDSA-AES128-GCM-SHA256").status)
    end)
  end)

  it("say in messages what is not served as it was asked", function()
    assert.truthy(put("min_tls_version", "1.0").body.messages[1].message:find("TLS 1.2", 1, true))
    assert.truthy(put("http2", "on").body.messages[1].message:find("HTTP/1.1", 1, true))
    assert.same({}, put("min_tls_version", "1.2").body.messages)
  end)

  describe("in the document of the zone", function()
    local function document() return gate.control.served["heron.test"] end
    local function host(name)
      for _, one in ipairs(document().hosts) do
        if one.name == name then return one end
      end
    end
    local function patch(id, value)
      local answer = gate:call("PATCH", "/zones/" .. zone.id .. "/settings/" .. id, { value = value })
      assert.equal(200, answer.status, answer.raw)
    end

    it("are nothing while everything has its default", function()
      assert.is_nil(document().tls)
      assert.same({}, document().hosts)
      patch("min_tls_version", "1.2")
      patch("min_tls_version", "1.0")
      assert.is_nil(document().tls)
    end)

    it("are terms of the zone and terms of its hostnames, which become hosts", function()
      patch("min_tls_version", "1.1")
      patch("tls_1_3", "off")
      patch("ciphers", ciphers "ECDHE-ECDSA-AES128-SHA256")
      assert.same({ min_version = "1.1", tls_1_3 = "off", ciphers = { "ECDHE-ECDSA-AES128-SHA256" } }, document().tls)
      put("min_tls_version", "1.0")
      put("ciphers", ciphers())
      assert.same({ min_version = "1.0", ciphers = {} }, host(HOST).tls)
      put("http2", "off", "h2.heron.test")
      assert.is_nil(host "h2.heron.test")
    end)

    it("keep origin and trust of the hostname as they were", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "http://origin.test" })
      put("min_tls_version", "1.2")
      assert.equal("http://origin.test", host(HOST).origin.url)
    end)

    it("are one table for equal terms", function()
      for _, name in ipairs { "a.heron.test", "b.heron.test" } do
        put("min_tls_version", "1.3", name)
        put("ciphers", ciphers "AES128-SHA", name)
      end
      assert.equal(host("a.heron.test").tls, host("b.heron.test").tls)
    end)

    it("are flags of every name, also of those without an entry", function()
      put("min_tls_version", "1.2")
      patch("always_use_https", "on")
      patch("websockets", "off")
      for _, name in ipairs { HOST, "*" } do
        assert.is_true(host(name).https_only)
        assert.is_false(host(name).websockets)
      end
      patch("always_use_https", "off")
      patch("websockets", "on")
      assert.is_nil(host "*")
      assert.is_nil(host(HOST).https_only)
      assert.is_nil(host(HOST).websockets)
    end)
  end)
end)
