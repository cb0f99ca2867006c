local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.custom_hostnames", function()
  local json = require "moongate.json"
  local gate, zone, base
  local root = certs.ca("Root", { subject = "/O=Heron, Ltd/CN=Root" })
  local function server(names, options)
    options = options or {}
    options.eku, options.san = "serverAuth", names
    return certs.leaf(root, options)
  end
  local shop = server "DNS:shop.customer.test"

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/custom_hostnames"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function post(body) return gate:call("POST", base, body) end
  local function make(hostname, more)
    local body = { hostname = hostname, ssl = { method = "http", type = "dv" } }
    for name, value in pairs(more or {}) do body[name] = value end
    local answer = post(body)
    assert(answer.status == 201, answer.raw)
    return answer.body.result
  end
  local function patch(id, body) return gate:call("PATCH", base .. "/" .. id, body) end
  local function get(id) return gate:call("GET", base .. "/" .. id).body.result end
  local function served(name, of)
    for _, host in ipairs(gate.control.served[of or "heron.test"].hosts) do
      if host.name == name then return host end
    end
  end
  local function record(name)
    local answer = gate:call("POST", "/zones/" .. zone.id .. "/dns_records",
      { type = "A", name = name, content = "192.0.2.1", proxied = true })
    assert(answer.status == 200, answer.raw)
  end

  describe("POST", function()
    it("answers 201 with the object as documented, and serves it", function()
      local answer = post { hostname = "Shop.Customer.test.", ssl = { method = "http", type = "dv", settings = { min_tls_version = "1.2" } },
        custom_metadata = { plan = "gold" } }
      assert.equal(201, answer.status, answer.raw)
      local result = answer.body.result
      assert.truthy(result.id:find("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$"))
      assert.equal("shop.customer.test", result.hostname)
      assert.equal("active", result.status)
      assert.truthy(result.created_at:find("%.%d%d%d%d%d%dZ$"))
      assert.same({ plan = "gold" }, result.custom_metadata)
      for _, name in ipairs { "custom_origin_server", "custom_origin_sni", "verification_errors", "ownership_verification" } do
        assert.is_nil(result[name])
      end
      local ssl = result.ssl
      assert.truthy(ssl.id:find("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$"))
      assert.not_equal(result.id, ssl.id)
      assert.same({ "dv", "http", "active", "ubiquitous", "google" },
        { ssl.type, ssl.method, ssl.status, ssl.bundle_method, ssl.certificate_authority })
      assert.same({ "shop.customer.test" }, ssl.hosts)
      assert.same({ min_tls_version = "1.2" }, ssl.settings)
      assert.is_false(ssl.wildcard)
      assert.is_nil(ssl.expires_on)
      assert.same(result, get(result.id))
      assert.is_true(served("shop.customer.test").guest)
      assert.same({ min_version = "1.2" }, served("shop.customer.test").tls)
      assert.equal(21103, answer.body.messages[1].code)
    end)

    it("takes a hostname without ssl", function()
      local answer = post { hostname = "shop.customer.test" }
      assert.equal(json.null, answer.body.result.ssl)
      assert.truthy(served "shop.customer.test")
      assert.same({}, answer.body.messages)
    end)

    it("takes an empty ssl object with the defaults", function()
      local ssl = post('{"hostname":"shop.customer.test","ssl":{}}').body.result.ssl
      assert.same({ "http", "dv", "ubiquitous" }, { ssl.method, ssl.type, ssl.bundle_method })
      assert.same({}, ssl.settings)
    end)

    it("shows both names of a wildcard", function()
      local result = make("shop.customer.test", { ssl = { method = "txt", type = "dv", wildcard = true, settings = { tls_1_3 = "off" } } })
      assert.same({ "shop.customer.test", "*.shop.customer.test" }, result.ssl.hosts)
      assert.same({ tls_1_3 = "off" }, served("shop.customer.test").tls)
      assert.is_nil(served("*.shop.customer.test").tls)
      assert.is_true(served("*.shop.customer.test").guest)
    end)

    for _, case in ipairs {
      { '{"hostname":"bücher.test"}', 1408 }, { '{"hostname":"192.0.2.1"}', 1407 }, { '{"hostname":"a b.test"}', 1407 },
      { '{"hostname":"*.customer.test"}', 1407 }, { '{"hostname":"customer"}', 1410 }, { '{"hostname":"www.heron.test"}', 1407 },
      { '{"hostname":"heron.test"}', 1407 }, { '{"hostname":"a..test"}', 1407 }, { "{}", 1407 }, { '{"hostname":7}', 1407 },
      { "{", 1400 }, { '{"hostname":"a.test","ssl":7}', 1434 }, { '{"hostname":"a.test","custom_metadata":{"a":1}}', 1401 },
      { '{"hostname":"' .. ("a."):rep(130) .. 'test"}', 1407 }, { '{"hostname":"a.test","custom_metadata":"b"}', 1401 },
      { '{"hostname":"a.test","custom_metadata":["b"]}', 1401 }, { '{"hostname":"a.test","custom_origin_server":7}', 1415 },
      { '{"hostname":"a.test","custom_origin_sni":7}', 1415 },
      { '{"hostname":"a.test","custom_metadata":{"a":"' .. ("x"):rep(5000) .. '"}}', 1401 },
      { '{"hostname":"a.test","custom_metadata":{"a":"b"},"ssl":{"wildcard":true}}', 1412 },
    } do
      it(("answers %d to %s"):format(case[2], case[1]:sub(1, 60)), function()
        local answer = post(case[1])
        assert.equal(400, answer.status)
        assert.equal(case[2], first(answer).code)
      end)
    end

    for _, case in ipairs {
      { { method = "dns", type = "dv" }, 1432 }, { { method = "http", type = "ev" }, 1433 }, { { method = "http" }, 1440 }, { { type = "dv" }, 1440 },
      { { bundle_method = "best" }, 1449 }, { { certificate_authority = "nobody" }, 1434 }, { { wildcard = "yes" }, 1434 },
      { { settings = { http2 = "yes" } }, 1422 }, { { settings = { tls_1_3 = "zrt" } }, 1424 }, { { settings = { min_tls_version = 1.2 } }, 1425 },
      { { settings = { min_tls_version = "1.4" } }, 1425 }, { { settings = { early_hints = 1 } }, 1434 }, { { settings = { ciphers = { "NULL" } } }, 1442 },
      { { settings = { ciphers = "x" } }, 1442 }, { { settings = { ciphers = { "AES128-SHA" }, min_tls_version = "1.3" } }, 1443 },
      { { settings = { tls_1_3 = "off", min_tls_version = "1.3" } }, 1425 }, { { custom_certificate = "", custom_key = "x" }, 1427 },
      { { custom_certificate = "x", custom_key = "x" }, 1426 }, { { custom_certificate = shop.pem }, 1428 },
      { { custom_certificate = shop.pem, custom_key = "x" }, 1428 }, { { custom_certificate = 7, custom_key = "x" }, 1426 },
      { { custom_csr_id = "x" }, 1430 }, { { custom_csr_id = "0e4f3c2b-5a69-4d1e-8f70-91a2b3c4d5e6" }, 1431, 404 },
      { { custom_cert_bundle = { { custom_certificate = "" } } }, 1427 }, { { custom_cert_bundle = {} }, 201 },
    } do
      it(("answers %d to ssl %s"):format(case[2], json.encode(case[1], { sorted = true }):sub(1, 80)), function()
        local answer = post { hostname = "shop.customer.test", ssl = case[1] }
        if case[2] == 201 then return assert.equal(201, answer.status, answer.raw) end
        assert.equal(case[3] or 400, answer.status, answer.raw)
        assert.equal(case[2], first(answer).code)
        assert.equal("/ssl", first(answer).source.pointer:sub(1, 4))
        assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      end)
    end

    it("refuses a certificate for another hostname, another's key, two leaves, and a CA alone", function()
      local other = server "DNS:other.test"
      for code, pair in pairs {
        [1446] = { other.pem, other.key }, [1429] = { shop.pem, other.key }, [1444] = { shop.pem .. other.pem, shop.key }, [1445] = { root.pem, root.key },
      } do
        local answer = post { hostname = "shop.customer.test", ssl = { custom_certificate = pair[1], custom_key = pair[2] } }
        assert.equal(code, first(answer).code)
      end
    end)

    it("refuses an expired certificate", function()
      local old = server("DNS:shop.customer.test", { not_before = os.time() - 9e6, not_after = os.time() - 86400 })
      gate.control.clock = os.time()
      assert.equal(1441, first(post { hostname = "shop.customer.test", ssl = { custom_certificate = old.pem, custom_key = old.key } }).code)
    end)

    it("answers 409 to the hostname that the zone has already", function()
      make "shop.customer.test"
      local answer = post { hostname = "SHOP.customer.test" }
      assert.equal(409, answer.status)
      assert.equal(1406, first(answer).code)
    end)

    it("answers 403 when the quota is used up, and when there is none", function()
      local function allow(count)
        gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = ? WHERE name = 'custom_hostnames'", count) end)
      end
      allow(1)
      make "shop.customer.test"
      local answer = post { hostname = "b.test" }
      assert.equal(403, answer.status)
      assert.equal(1405, first(answer).code)
      assert.same({ allocated = 1, used = 1, exceeded = false, hard_cap = 1 }, gate:call("GET", base .. "/quota").body.result)
      allow(0)
      assert.equal(1404, first(post { hostname = "b.test" }).code)
    end)
  end)

  describe("a custom certificate", function()
    local function upload(leaf, more)
      local ssl = { custom_certificate = leaf.pem, custom_key = leaf.key }
      for name, value in pairs(more or {}) do ssl[name] = value end
      local answer = post { hostname = "shop.customer.test", ssl = ssl }
      assert(answer.status == 201, answer.raw)
      return answer.body.result, answer
    end

    it("is described, echoed and served, and its key is sealed", function()
      local result, answer = upload(shop)
      assert.equal(shop.pem, result.ssl.custom_certificate)
      assert.equal("Heron, Ltd", result.ssl.issuer)
      assert.equal("ECDSAWithSHA256", result.ssl.signature)
      assert.truthy(#result.ssl.serial_number > 0)
      assert.truthy(result.ssl.uploaded_on:find("%.%d%d%d%d%d%dZ$"))
      assert.truthy(result.ssl.expires_on:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
      assert.same({}, answer.body.messages)
      local identity = served("shop.customer.test").tls.identities[1]
      assert.equal(shop.key, gate.control.open(identity.private_key, identity.context))
      for _, text in ipairs { answer.raw, gate:call("GET", base).raw } do
        assert.is_nil(text:find("PRIVATE", 1, true))
        assert.is_nil(text:find("custom_key", 1, true))
      end
    end)

    it("comes in a bundle of one RSA and one ECDSA certificate", function()
      local rsa = server("DNS:*.customer.test", { key = "RSA 2048" })
      local bundle = { { custom_certificate = shop.pem, custom_key = shop.key }, { custom_certificate = rsa.pem, custom_key = rsa.key } }
      local result = make("shop.customer.test", { ssl = { custom_cert_bundle = bundle } })
      assert.equal(shop.pem, result.ssl.custom_certificate)
      assert.equal(2, #served("shop.customer.test").tls.identities)
      bundle[1] = bundle[2]
      assert.equal(1434, first(post { hostname = "b.customer.test", ssl = { custom_cert_bundle = bundle } }).code)
    end)

    describe("of two", function()
      local rsa, made, pack

      before_each(function()
        rsa = rsa or server("DNS:*.customer.test", { key = "RSA 2048" })
        made = make("shop.customer.test", { ssl = { custom_cert_bundle = {
          { custom_certificate = shop.pem, custom_key = shop.key }, { custom_certificate = rsa.pem, custom_key = rsa.key } } } })
        pack = ("%s/%s/certificate_pack/%s/certificates/"):format(base, made.id, made.ssl.id)
      end)

      local function id_of(index) return get(made.id).ssl.certificates[index].id end

      it("is replaced, and keeps its id and its place", function()
        local fresh, id = server "DNS:shop.customer.test", id_of(1)
        local answer = gate:call("PUT", pack .. id, { custom_certificate = fresh.pem, custom_key = fresh.key })
        assert.equal(200, answer.status, answer.raw)
        assert.equal(fresh.pem, answer.body.result.ssl.custom_certificate)
        assert.equal(id, id_of(1))
        local identities = served("shop.customer.test").tls.identities
        assert.equal(2, #identities)
        assert.equal(fresh.key, gate.control.open(identities[1].private_key, identities[1].context))
      end)

      it("is taken away, and the other one goes on", function()
        local id = id_of(1)
        local gone = gate:call("DELETE", pack .. id).body
        assert.same({ id = id }, gone.result)
        assert.equal(id, gone.id)
        assert.equal(1, #served("shop.customer.test").tls.identities)
        assert.equal(rsa.pem, get(made.id).ssl.custom_certificate)
        local answer = gate:call("DELETE", pack .. id_of(1))
        assert.equal(400, answer.status)
        assert.equal(1434, first(answer).code)
      end)

      it("is not replaced by one of the other's kind, another hostname's, or without its key", function()
        local other = server "DNS:other.test"
        for code, body in pairs {
          [1434] = { custom_certificate = rsa.pem, custom_key = rsa.key }, [1446] = { custom_certificate = other.pem, custom_key = other.key },
          [1428] = { custom_certificate = shop.pem }, [1427] = { custom_key = shop.key }, [1426] = { custom_certificate = 7, custom_key = 7 },
        } do
          local answer = gate:call("PUT", pack .. id_of(1), body)
          assert.equal(400, answer.status)
          assert.equal(code, first(answer).code)
        end
      end)

      it("is unknown under another pack or id", function()
        local nobody = "0e4f3c2b-5a69-4d1e-8f70-91a2b3c4d5e6"
        for _, path in ipairs { pack .. nobody, ("%s/%s/certificate_pack/%s/certificates/%s"):format(base, made.id, nobody, id_of(1)) } do
          assert.equal(404, gate:call("DELETE", path).status)
          assert.equal(404, gate:call("PUT", path, { custom_certificate = shop.pem, custom_key = shop.key }).status)
        end
      end)
    end)

    it("is served below a wildcard when it covers those names, too", function()
      local both = server "DNS:shop.customer.test,DNS:*.shop.customer.test"
      upload(both, { wildcard = true })
      assert.equal(1, #served("*.shop.customer.test").tls.identities)
    end)

    it("is not served below a wildcard that it does not cover", function()
      upload(shop, { wildcard = true })
      assert.is_nil(served("*.shop.customer.test").tls)
    end)

    it("is replaced by a PATCH, together with settings", function()
      local id, fresh = upload(shop).id, server "DNS:shop.customer.test"
      local answer = patch(id, { ssl = { custom_certificate = fresh.pem, custom_key = fresh.key, settings = { min_tls_version = "1.3" } } })
      assert.equal(202, answer.status, answer.raw)
      assert.equal(fresh.pem, answer.body.result.ssl.custom_certificate)
      local tls = served("shop.customer.test").tls
      assert.same({ "1.3", 1 }, { tls.min_version, #tls.identities })
      assert.equal(fresh.key, gate.control.open(tls.identities[1].private_key, tls.identities[1].context))
    end)

    it("has to come along with settings", function()
      local id = upload(shop).id
      assert.equal(1434, first(patch(id, { ssl = { method = "http", type = "dv", settings = { http2 = "on" } } })).code)
      assert.same({}, get(id).ssl.settings)
    end)

    it("has to come along with another bundle method", function()
      local id = upload(shop).id
      assert.equal(1434, first(patch(id, { ssl = { bundle_method = "force" } })).code)
      assert.equal(202, patch(id, { ssl = { bundle_method = "ubiquitous" } }).status)
      local answer = patch(id, { ssl = { bundle_method = "force", custom_certificate = shop.pem, custom_key = shop.key } })
      assert.equal("force", answer.body.result.ssl.bundle_method)
      assert.equal(shop.pem, served("shop.customer.test").tls.identities[1].certificates)
    end)

    it("shows, and is found, as expired when its time has passed", function()
      local brief = server("DNS:shop.customer.test", { not_before = 1770000000 - 86400, not_after = 1770000000 + 86400 })
      local id = upload(brief).id
      gate.control.clock = gate.control.clock + 2 * 86400
      assert.equal("expired", get(id).ssl.status)
      assert.equal("active", get(id).status)
      for status, count in pairs { expired = 1, active = 0 } do
        assert.equal(count, gate:call("GET", base .. "?ssl_status=" .. status).body.result_info.total_count)
      end
    end)

    it("goes with the hostname", function()
      gate:call("DELETE", base .. "/" .. upload(shop).id)
      gate.app.store:read(function(tx)
        assert.equal(0, tx:one("SELECT count(*) AS n FROM custom_hostname_certificates").n)
        return true
      end)
    end)
  end)

  describe("PATCH", function()
    for _, case in ipairs {
      { { settings = { min_tls_version = "1.2" } }, 1434 }, { { method = "http" }, 1440 }, { { type = "dv", settings = { http2 = "on" } }, 1440 },
    } do
      it(("answers %d to ssl %s"):format(case[2], json.encode(case[1], { sorted = true })), function()
        local before = make "shop.customer.test"
        local answer = patch(before.id, { ssl = case[1] })
        assert.equal(400, answer.status)
        assert.equal(case[2], first(answer).code)
        assert.same(before, get(before.id))
      end)
    end

    it("answers 202, replaces the settings and leaves the rest", function()
      local before = make("shop.customer.test", { custom_metadata = { a = "b" },
        ssl = { method = "http", type = "dv", settings = { http2 = "off", min_tls_version = "1.2" } } })
      local answer = patch(before.id, { hostname = "other.test", ssl = { method = "txt", type = "dv", settings = { min_tls_version = "1.3" } } })
      assert.equal(202, answer.status)
      local result = answer.body.result
      assert.equal("shop.customer.test", result.hostname)
      assert.same({ min_tls_version = "1.3" }, result.ssl.settings)
      assert.equal("txt", result.ssl.method)
      assert.equal(before.ssl.id, result.ssl.id)
      assert.same({ a = "b" }, result.custom_metadata)
      assert.equal("1.3", served("shop.customer.test").tls.min_version)
    end)

    it("takes settings back with an empty object", function()
      local id = make("shop.customer.test", { ssl = { method = "http", type = "dv", settings = { min_tls_version = "1.3" } } }).id
      local answer = patch(id, '{"ssl":{"method":"http","type":"dv","settings":{}}}')
      assert.same({}, answer.body.result.ssl.settings)
      assert.is_nil(served("shop.customer.test").tls)
    end)

    it("orders ssl for a hostname without, and clears metadata", function()
      local id = post { hostname = "shop.customer.test", custom_metadata = { a = "b" } }.body.result.id
      local result = patch(id, '{"ssl":{"method":"http","type":"dv"},"custom_metadata":{}}').body.result
      assert.equal("active", result.ssl.status)
      assert.is_nil(result.custom_metadata)
    end)

    it("switches the wildcard on and off", function()
      local id = make("shop.customer.test").id
      patch(id, { ssl = { wildcard = true } })
      assert.truthy(served "*.shop.customer.test")
      patch(id, { ssl = { wildcard = false } })
      assert.is_nil(served "*.shop.customer.test")
    end)

    it("is refused where settings and the zone's leave no version", function()
      gate:call("PATCH", "/zones/" .. zone.id .. "/settings/tls_1_3", { value = "off" })
      local id = make("shop.customer.test").id
      assert.equal(1425, first(patch(id, { ssl = { method = "http", type = "dv", settings = { min_tls_version = "1.3" } } })).code)
      assert.equal(202, patch(id, { ssl = { method = "http", type = "dv", settings = { min_tls_version = "1.3", tls_1_3 = "on" } } }).status)
    end)
  end)

  describe("a custom origin", function()
    before_each(function() record "origin" end)

    it("is kept, shown and served, with its name for TLS", function()
      local id = make("shop.customer.test", { custom_origin_server = "Origin.heron.test" }).id
      assert.equal("origin.heron.test", get(id).custom_origin_server)
      local origin = served("shop.customer.test").origin
      assert.same({ "https://192.0.2.1", "origin.heron.test" }, { origin.url, origin.sni })
      assert.is_nil(origin.request_name)
    end)

    for _, case in ipairs {
      { "custom_origin_server", "192.0.2.1", 1415 }, { "custom_origin_server", "bücher.heron.test", 1416 }, { "custom_origin_server", "a..heron.test", 1418 },
      { "custom_origin_server", "*.heron.test", 1420 }, { "custom_origin_server", "nothing.heron.test", 1421 }, { "custom_origin_server", "stork.test", 1421 },
      { "custom_origin_sni", "stork.test", 1415 }, { "custom_origin_sni", "a b", 1418 },
    } do
      it(("answers %d to %s %s"):format(case[3], case[1], case[2]), function()
        local answer = post { hostname = "shop.customer.test", [case[1]] = case[2] }
        assert.equal(case[3], first(answer).code)
        assert.equal("/" .. case[1], first(answer).source.pointer)
      end)
    end

    it("is not a record that is not proxied", function()
      gate:call("POST", "/zones/" .. zone.id .. "/dns_records", { type = "A", name = "grey", content = "192.0.2.1" })
      assert.equal(1421, first(post { hostname = "shop.customer.test", custom_origin_server = "grey.heron.test" }).code)
    end)

    it("may be a name with an origin of the operator, which says itself how it is spoken to", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/inner.heron.test", { url = "https://127.0.0.1:9000", sni = "inner.test" })
      local id = make("shop.customer.test", { custom_origin_server = "inner.heron.test" }).id
      assert.equal("inner.test", served("shop.customer.test").origin.sni)
      patch(id, { custom_origin_sni = "inner.heron.test" })
      assert.equal("inner.heron.test", served("shop.customer.test").origin.sni)
    end)

    it("goes by the SNI that is set, and by the hostname of the request where that is asked for", function()
      local id = make("shop.customer.test", { custom_origin_server = "origin.heron.test", custom_origin_sni = "sni.heron.test" }).id
      assert.equal("sni.heron.test", served("shop.customer.test").origin.sni)
      local result = patch(id, { custom_origin_sni = ":request_host_header:" }).body.result
      assert.equal(":request_host_header:", result.custom_origin_sni)
      local origin = served("shop.customer.test").origin
      assert.is_true(origin.request_name)
      assert.is_nil(origin.sni)
    end)

    it("goes by its own name below a wildcard, whatever the SNI", function()
      make("shop.customer.test", { custom_origin_server = "origin.heron.test", custom_origin_sni = "sni.heron.test",
        ssl = { method = "http", type = "dv", wildcard = true } })
      assert.equal("origin.heron.test", served("*.shop.customer.test").origin.sni)
    end)

    it("is taken away by null", function()
      local id = make("shop.customer.test", { custom_origin_server = "origin.heron.test" }).id
      local result = patch(id, '{"custom_origin_server":null}').body.result
      assert.is_nil(result.custom_origin_server)
      assert.is_nil(served("shop.customer.test").origin)
    end)
  end)

  describe("the fallback origin", function()
    local path
    before_each(function() path = base .. "/fallback_origin" end)

    it("is that of hostnames without their own, under the name of each request", function()
      record "fallback"
      make "shop.customer.test"
      assert.is_nil(served("shop.customer.test").origin)
      local answer = gate:call("PUT", path, { origin = "fallback.heron.test" })
      assert.equal(200, answer.status, answer.raw)
      assert.equal("active", answer.body.result.status)
      assert.same({}, answer.body.result.errors)
      local origin = served("shop.customer.test").origin
      assert.same({ "https://192.0.2.1", true }, { origin.url, origin.request_name })
      assert.same(answer.body.result, gate:call("GET", path).body.result)
    end)

    it("keeps created_at when it changes", function()
      record "one"
      record "two"
      local before = gate:call("PUT", path, { origin = "one.heron.test" }).body.result
      gate.control.clock = gate.control.clock + 5
      local after = gate:call("PUT", path, { origin = "two.heron.test" }).body.result
      assert.equal(before.created_at, after.created_at)
      assert.is_true(after.updated_at > before.updated_at)
    end)

    it("is deleted as pending_deletion, and no longer served", function()
      record "fallback"
      gate:call("PUT", path, { origin = "fallback.heron.test" })
      make "shop.customer.test"
      assert.equal("pending_deletion", gate:call("DELETE", path).body.result.status)
      assert.is_nil(served("shop.customer.test").origin)
      for _, method in ipairs { "GET", "DELETE" } do assert.equal(404, gate:call(method, path).status) end
    end)

    for _, case in ipairs { { "nothing.heron.test", 1421 }, { "192.0.2.1", 1415 }, { "*.heron.test", 1420 }, { "stork.test", 1421 },
      { 7, 1415 } } do
      it(("answers %d to %s"):format(case[2], case[1]), function()
        local answer = gate:call("PUT", path, { origin = case[1] })
        assert.equal(400, answer.status)
        assert.equal(case[2], first(answer).code)
      end)
    end

    it("is none of the whole zone's origin", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
      make "shop.customer.test"
      assert.is_nil(served("shop.customer.test").origin)
    end)
  end)

  describe("GET", function()
    before_each(function()
      record "origin"
      make("b.customer.test", { custom_origin_server = "origin.heron.test" })
      gate.control.clock = gate.control.clock + 1
      make("a.customer.test", { ssl = { method = "txt", type = "dv", wildcard = true, certificate_authority = "lets_encrypt" } })
      gate.control.clock = gate.control.clock + 1
      post { hostname = "c.other.test" }
    end)

    local function names(query)
      local answer = gate:call("GET", base .. "?" .. query)
      assert.equal(200, answer.status, answer.raw)
      local list = {}
      for index, one in ipairs(answer.body.result) do list[index] = one.hostname:sub(1, 1) end
      return table.concat(list)
    end

    for query, expected in pairs {
      [""] = "bac", ["direction=desc"] = "cab", ["hostname=customer"] = "ba", ["hostname=A.customer.test"] = "a", ["hostname.exact=a.customer"] = "",
      ["hostname.exact=c.other.test"] = "c", ["hostname.contain=OTHER"] = "c", ["hostname.startsWith=b."] = "b", ["ssl=1"] = "ba", ["ssl=0"] = "c",
      ["ssl_status=active"] = "ba", ["ssl_status=expired"] = "", ["hostname_status=active"] = "bac", ["hostname_status=pending"] = "",
      ["certificate_authority=lets_encrypt"] = "a", ["custom_origin_server=origin.heron.test"] = "b", ["wildcard=true"] = "a", ["wildcard=false"] = "bc",
      ["order=ssl"] = "bac", ["order=ssl&direction=desc"] = "cba", ["hostname=customer&wildcard=true"] = "a", ["page=2"] = "",
    } do
      it("lists " .. (query == "" and "everything, oldest first" or query), function() assert.equal(expected, names(query)) end)
    end

    for _, query in ipairs { "ssl=2", "wildcard=x", "order=name", "direction=up", "page=0" } do
      it("refuses " .. query, function()
        local answer = gate:call("GET", base .. "?" .. query)
        assert.equal(400, answer.status)
        assert.equal(10002, first(answer).code)
      end)
    end

    it("finds one by id, which goes with no other filter", function()
      local id = gate:call("GET", base .. "?hostname=a.customer.test").body.result[1].id
      assert.equal("a", names("id=" .. id))
      assert.equal(1438, first(gate:call("GET", base .. "?hostname=a&id=" .. id)).code)
      assert.equal(1437, first(gate:call("GET", base .. "?hostname.contain=" .. ("a"):rep(256))).code)
    end)
  end)

  it("DELETE answers with the id inside and beside the result, and serves it no longer", function()
    local id = make("shop.customer.test").id
    local answer = gate:call("DELETE", base .. "/" .. id)
    assert.equal(200, answer.status)
    assert.equal(id, answer.body.id)
    assert.equal(id, answer.body.result.id)
    assert.is_true(answer.body.success)
    assert.is_nil(served "shop.customer.test")
    for _, method in ipairs { "GET", "DELETE", "PATCH" } do
      local gone = gate:call(method, base .. "/" .. id, method == "PATCH" and "{}" or nil)
      assert.equal(404, gone.status)
      assert.equal(1436, first(gone).code)
    end
  end)

  it("an id that is none is refused, and another zone's is unknown", function()
    assert.equal(1435, first(gate:call("GET", base .. "/xyz")).code)
    local id = make("shop.customer.test").id
    local other = "/zones/" .. gate:zone("stork.test").id .. "/custom_hostnames/" .. id
    for _, method in ipairs { "GET", "DELETE" } do assert.equal(404, gate:call(method, other).status) end
  end)
end)
