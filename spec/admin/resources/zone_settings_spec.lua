local support = require "spec.support.admin"

describe("moongate.admin.resources.zone_settings", function()
  local gate, zone, base, json

  before_each(function()
    gate = assert(support.start())
    json = require "moongate.json"
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/settings"
  end)
  after_each(function() gate:close() end)

  local function patch(id, value) return gate:call("PATCH", base .. "/" .. id, { value = value }) end
  local function get(id) return gate:call("GET", base .. "/" .. id).body.result end
  local function ciphers(...) return json.array { ... } end
  local function refused(answer, code, status)
    assert.equal(status or 400, answer.status, answer.raw)
    assert.equal(code, answer.body.errors[1].code)
    return answer.body.errors[1]
  end
  local function notices(answer)
    local texts = {}
    for index, one in ipairs(answer.body.messages) do texts[index] = one.message end
    return table.concat(texts, "\n")
  end

  local DEFAULTS = {
    min_tls_version = "1.0", tls_1_3 = "on", http2 = "on", http3 = "off", tls_client_auth = "off", ssl = "full",
    always_use_https = "off", ["0rtt"] = "off", ipv6 = "on", websockets = "on", pq_keyex = "off", ech = "off",
    automatic_https_rewrites = "off", opportunistic_encryption = "off",
  }

  it("have their defaults until they are changed", function()
    local answer = gate:call("GET", base)
    assert.equal(200, answer.status)
    local seen = 0
    for _, one in ipairs(answer.body.result) do
      seen = seen + 1
      assert.equal(json.null, one.modified_on)
      assert.equal(one.id ~= "http3", one.editable)
      if one.id == "ciphers" then
        assert.is_true(json.is_array(one.value))
        assert.equal(0, #one.value)
      else
        assert.equal(DEFAULTS[one.id], one.value, one.id)
      end
      assert.same(one, get(one.id))
    end
    assert.equal(15, seen)
  end)

  for id, values in pairs {
    min_tls_version = { "1.0", "1.1", "1.2", "1.3" }, tls_1_3 = { "on", "off", "zrt" },
    ssl = { "off", "flexible", "full", "strict", "origin_pull" }, http2 = { "on", "off" },
    tls_client_auth = { "on", "off" }, always_use_https = { "on", "off" }, ["0rtt"] = { "on", "off" },
    ipv6 = { "on", "off" }, websockets = { "on", "off" }, pq_keyex = { "on", "off" }, ech = { "on", "off" },
    automatic_https_rewrites = { "on", "off" }, opportunistic_encryption = { "on", "off" },
  } do
    for _, value in ipairs(values) do
      it(("take %s for %s"):format(value, id), function()
        local answer = patch(id, value)
        assert.equal(200, answer.status, answer.raw)
        local result = answer.body.result
        assert.equal(id, result.id)
        assert.equal(value, result.value)
        assert.is_true(result.editable)
        if value == DEFAULTS[id] then
          assert.equal(json.null, result.modified_on)
        else
          assert.truthy(result.modified_on:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%dZ$"))
        end
        assert.same(result, get(id))
      end)
    end
  end

  it("are as if never changed once they have their default again", function()
    patch("min_tls_version", "1.2")
    assert.equal(json.null, patch("min_tls_version", "1.0").body.result.modified_on)
    patch("ciphers", ciphers "ECDHE-RSA-AES128-GCM-SHA256")
    local result = patch("ciphers", ciphers()).body.result
    assert.equal(json.null, result.modified_on)
    assert.is_true(json.is_array(result.value))
  end)

  it("keep the ciphers in the order in which they were given", function()
    local given = { "ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256" }
    assert.same(given, patch("ciphers", ciphers(unpack(given))).body.result.value)
    assert.same(given, get("ciphers").value)
  end)

  it("take enabled for what is on or off", function()
    local answer = gate:call("PATCH", base .. "/always_use_https", { enabled = true })
    assert.equal("on", answer.body.result.value)
    answer = gate:call("PATCH", base .. "/always_use_https", { enabled = false })
    assert.equal("off", answer.body.result.value)
    refused(gate:call("PATCH", base .. "/ssl", { enabled = true }), 1007)
  end)

  describe("refuse", function()
    it("an unknown name with 1006", function()
      refused(gate:call("GET", base .. "/rocket_science"), 1006)
      local one = refused(patch("rocket_science", "on"), 1006)
      assert.equal("Unrecognized zone setting name", one.message)
    end)

    for title, case in pairs {
      ["a number for a version"] = { "min_tls_version", 1.2 },
      ["an unknown version"] = { "min_tls_version", "2.0" },
      ["an unknown mode"] = { "ssl", "best" },
      ["a suite of TLS 1.3"] = { "ciphers", { "AEAD-AES128-GCM-SHA256" } },
      ["no array of ciphers"] = { "ciphers", "AES128-SHA" },
      ["an empty value"] = { "websockets", "" },
    } do
      it(title .. " with 1007, and change nothing", function()
        local value = type(case[2]) == "table" and json.array(case[2]) or case[2]
        local one = refused(patch(case[1], value), 1007)
        assert.equal("/value", one.source.pointer)
        assert.truthy(one.message:find("^Invalid value for zone setting " .. case[1] .. ": "))
        assert.equal(json.null, get(case[1]).modified_on)
      end)
    end

    it("a body without a value with 1007", function()
      refused(gate:call("PATCH", base .. "/ssl", json.object {}), 1007)
      refused(patch("ssl", json.null), 1007)
    end)

    it("every change of what is read only with 1015", function()
      for _, value in ipairs { "on", "off" } do refused(patch("http3", value), 1015) end
    end)

    it("malformed JSON and a body that is no object", function()
      refused(gate:call("PATCH", base .. "/ssl", "{"), 6007)
      refused(gate:call("PATCH", base .. "/ssl", "[]"), 6007)
    end)

    it("TLS 1.3 as the minimum where it is off, whichever comes last", function()
      patch("min_tls_version", "1.3")
      assert.truthy(refused(patch("tls_1_3", "off"), 1007).message:find("no client could connect", 1, true))
      assert.equal("on", get("tls_1_3").value)
      patch("min_tls_version", "1.2")
      patch("tls_1_3", "off")
      refused(patch("min_tls_version", "1.3"), 1007)
      assert.equal("1.2", get("min_tls_version").value)
    end)

    it("a zone that does not exist, and another method", function()
      refused(gate:call("GET", "/zones/" .. ("0"):rep(32) .. "/settings"), 7003, 404)
      refused(gate:call("DELETE", base .. "/ssl"), 7001, 405)
    end)
  end)

  describe("in one PATCH of several", function()
    local function patch_all(...) return gate:call("PATCH", base, { items = json.array { ... } }) end

    it("are changed together and answered in their order", function()
      local answer = patch_all({ id = "tls_1_3", value = "off" }, { id = "min_tls_version", value = "1.2" },
        { id = "websockets", enabled = false })
      assert.equal(200, answer.status, answer.raw)
      local ids = {}
      for index, one in ipairs(answer.body.result) do ids[index] = one.id .. "=" .. one.value end
      assert.same({ "tls_1_3=off", "min_tls_version=1.2", "websockets=off" }, ids)
      assert.equal("off", get("websockets").value)
    end)

    it("may contradict each other on the way, not at the end", function()
      patch("min_tls_version", "1.3")
      assert.equal(200, patch_all({ id = "tls_1_3", value = "off" }, { id = "min_tls_version", value = "1.2" }).status)
      refused(patch_all({ id = "min_tls_version", value = "1.3" }, { id = "ssl", value = "strict" }), 1007)
      assert.equal("full", get("ssl").value)
    end)

    for title, case in pairs {
      ["an unknown name"] = { 1006, "/items/1/id", { id = "rocket_science", value = "on" } },
      ["a bad value"] = { 1007, "/items/1/value", { id = "http2", value = "maybe" } },
      ["what is read only"] = { 1015, "/items/1/id", { id = "http3", value = "off" } },
      ["an item without a name"] = { 10002, "/items/1/id", { value = "on" } },
    } do
      it(("change nothing at all with %s among them"):format(title), function()
        local one = refused(patch_all({ id = "ssl", value = "strict" }, case[3]), case[1])
        assert.equal(case[2], one.source.pointer)
        assert.equal("full", get("ssl").value)
      end)
    end

    it("need at least one item, and a list", function()
      refused(patch_all(), 10002)
      refused(gate:call("PATCH", base, json.object {}), 10002)
      refused(gate:call("PATCH", base, { items = { id = "ssl", value = "full" } }), 10002)
    end)
  end)

  describe("say in messages what is not served as it was asked", function()
    for _, case in ipairs {
      { "min_tls_version", "1.1", "TLS 1.2" }, { "tls_1_3", "zrt", "0%-RTT" }, { "http2", "on", "HTTP/1.1" },
      { "0rtt", "on", "early data" }, { "ssl", "off", "flexible" }, { "ipv6", "off", "listened" },
    } do
      it(case[1] .. " " .. case[2], function()
        local text = notices(patch(case[1], case[2]))
        assert.truthy(text:find(case[1], 1, true) and text:find(case[3]), text)
      end)
    end

    it("and nothing about what is", function()
      for id, value in pairs { min_tls_version = "1.2", tls_1_3 = "off", ssl = "strict", http2 = "off", ["0rtt"] = "off" } do
        assert.equal("", notices(patch(id, value)))
      end
    end)
  end)

  it("never change how an origin with a URL of its own is spoken to", function()
    local origin = "/zones/" .. zone.id .. "/moongate/origins/*"
    assert.equal(200, gate:call("PUT", origin, { url = "https://origin.test" }).status)
    for _, mode in ipairs { "off", "flexible", "full", "strict", "origin_pull" } do
      patch("ssl", mode)
      local served = gate.control.served["heron.test"].hosts[1].origin
      assert.equal("https://origin.test", served.url)
      assert.is_true(served.verify)
    end
  end)

  it("are a zone's own, and go with it", function()
    patch("ssl", "strict")
    local stork = gate:zone "stork.test"
    assert.equal("full", gate:call("GET", "/zones/" .. stork.id .. "/settings/ssl").body.result.value)
    gate:call("DELETE", "/zones/" .. zone.id)
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/settings"
    assert.equal("full", get("ssl").value)
  end)
end)
