local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.origins", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/moongate/origins"
  end)
  after_each(function() gate:close() end)

  local function put(hostname, body) return gate:call("PUT", base .. "/" .. hostname, body) end
  local function first(answer) return answer.body.errors[1] end
  local function host(name)
    for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
      if entry.name == name then return entry end
    end
  end

  describe("PUT", function()
    it("answers with the origin and its defaults", function()
      local answer = put("api.heron.test", '{"url":"http://127.0.0.1:9000","host_header":null,"sni":null,"verify":true,'
        .. '"ca":null,"client_certificate_id":null}')
      assert.equal(200, answer.status)
      local json = require "moongate.json"
      local result = answer.body.result
      assert.equal("api.heron.test", result.hostname)
      assert.equal("http://127.0.0.1:9000", result.url)
      assert.is_true(result.verify)
      for _, name in ipairs { "host_header", "sni", "ca", "client_certificate_id" } do assert.equal(json.null, result[name]) end
      assert.same(result, gate:call("GET", base .. "/api.heron.test").body.result)
    end)

    it("serves every field", function()
      local ca = certs.ca("Inside").pem
      put("api.heron.test", { url = "HTTPS://Origin.Internal:8443/", host_header = "Inner.test:81", sni = "SNI.test.", verify = false, ca = ca })
      assert.same({ url = "https://origin.internal:8443", host_header = "inner.test:81", sni = "sni.test", verify = false, ca = ca },
        host("api.heron.test").origin)
    end)

    it("keeps created_on when it replaces", function()
      local before = put("*", { url = "http://127.0.0.1:9000" }).body.result
      gate.control.clock = gate.control.clock + 5
      local after = put("*", { url = "http://127.0.0.1:9001" }).body.result
      assert.equal(before.created_on, after.created_on)
      assert.is_true(after.modified_on > before.modified_on)
    end)

    for text, stored in pairs {
      ["http://127.0.0.1"] = "http://127.0.0.1", ["http://[::1]:80"] = "http://[::1]:80", ["https://[2001:DB8::1]/"] = "https://[2001:db8::1]",
      ["http://origin.test."] = "http://origin.test", ["http://10.0.0.1:65535"] = "http://10.0.0.1:65535",
    } do
      it("accepts the url " .. text, function()
        local answer = put("*", { url = text })
        assert.equal(200, answer.status)
        assert.equal(stored, answer.body.result.url)
      end)
    end

    for _, url in ipairs {
      "127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://a.test:0", "http://a.test:65536", "http://a.test:x", "http://a.test/path",
      "http://a.test?x=1", "http://a.test#x", "http://user@a.test", "http://a b.test", "http://a.test\\b", "http://[::1", "http://[zz]",
      "http://169.254.169.254", "http://[fe80::1]", "http://0.0.0.0", "http://224.0.0.1", "http://[::]", "http://[::ffff:169.254.169.254]",
      "http://256.1.1.1", "http://" .. ("a"):rep(64) .. ".test", "http://a\r\nb.test", "http://bücher.test", "http://1.2.3", "http://0x7f.1",
    } do
      it(("refuses the url %q"):format(url):gsub("[\r\n]", "."), function()
        local answer = put("*", { url = url })
        assert.equal(400, answer.status)
        assert.equal(21021, first(answer).code)
        assert.equal("/url", first(answer).source.pointer)
        assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      end)
    end

    for _, case in ipairs {
      { "host_header", "a b" }, { "host_header", "a.test:x" }, { "host_header", "a.test\r\nx: y" }, { "sni", "a..b" }, { "sni", "*.a.test" },
      { "ca", "no pem" }, { "client_certificate_id", "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f" }, { "verify", "yes" }, { "url", 7 },
    } do
      it(("refuses %s = %q"):format(case[1], tostring(case[2])):gsub("[\r\n]", "."), function()
        local body = { url = "http://127.0.0.1:9000" }
        body[case[1]] = case[2]
        local answer = put("*", body)
        assert.equal(400, answer.status)
        assert.equal("/" .. case[1], first(answer).source.pointer)
      end)
    end

    describe("client_certificate_id", function()
      local issuer, leaf = certs.ca "Edge", nil

      before_each(function() leaf = leaf or certs.leaf(issuer, { cn = "edge" }) end)

      it("is shown, and the certificate goes into the document with its key sealed", function()
        local made = gate:upload_leaf(leaf)
        local answer = put("api.heron.test", { url = "https://a.test", client_certificate_id = made.id })
        assert.equal(200, answer.status)
        assert.equal(made.id, answer.body.result.client_certificate_id)
        assert.equal(made.id, gate:call("GET", base .. "/api.heron.test").body.result.client_certificate_id)
        local client = host("api.heron.test").origin.client_certificate
        assert.equal(leaf.chain, client.certificates)
        assert.equal("mtls_certificates:private_key:" .. made.id, client.context)
        assert.equal(leaf.key, gate.control.open(client.private_key, client.context))
        for _, text in ipairs { answer.raw, gate:call("GET", base).raw } do assert.is_nil(text:find("private_key", 1, true)) end
      end)

      it("goes away with the next PUT", function()
        put("*", { url = "https://a.test", client_certificate_id = gate:upload_leaf(leaf).id })
        put("*", { url = "https://a.test", client_certificate_id = "" })
        assert.is_nil(host("*").origin.client_certificate)
      end)

      it("keeps its certificate from being deleted", function()
        local made = gate:upload_leaf(leaf)
        local one = ("/accounts/%s/mtls_certificates/%s"):format(gate.account_id, made.id)
        put("*", { url = "https://a.test", client_certificate_id = made.id })
        local answer = gate:call("DELETE", one)
        assert.equal(400, answer.status)
        assert.equal(1485, first(answer).code)
        gate:call("DELETE", base .. "/*")
        assert.equal(200, gate:call("DELETE", one).status)
      end)

      for title, case in pairs {
        ["a CA"] = { "this is a CA", function() return gate:upload_ca(issuer.pem).id end },
        ["another account's certificate"] = { "no such certificate", function()
          return gate:upload_leaf(leaf, gate:account "other").id
        end },
        ["a certificate from before keys were kept"] = { "not stored", function()
          local id = gate:upload_leaf(leaf).id
          gate.app.store:write(function(tx) return tx:run("UPDATE mtls_certificates SET private_key = NULL WHERE id = ?", id) end)
          return id
        end },
        ["a plain origin"] = { "only an https:// origin", function() return gate:upload_leaf(leaf).id end, "http://a.test" },
      } do
        it("refuses " .. title, function()
          local answer = put("*", { url = case[3] or "https://a.test", client_certificate_id = case[2]() })
          assert.equal(400, answer.status)
          assert.equal(21021, first(answer).code)
          assert.equal("/client_certificate_id", first(answer).source.pointer)
          assert.truthy(first(answer).message:find(case[1], 1, true))
        end)
      end
    end)

    it("refuses a leaf certificate as its CA", function()
      local answer = put("*", { url = "https://a.test", ca = certs.leaf(nil, { cn = "leaf" }).pem })
      assert.truthy(first(answer).message:find("only CA certificates", 1, true))
    end)

    it("needs a url", function() assert.equal("/url", first(put("*", "{}")).source.pointer) end)

    for _, hostname in ipairs { "api.stork.test", "*.stork.test", "%2A.%2A.heron.test", "**", "a_b%20.heron.test", "a..heron.test" } do
      it("refuses the hostname " .. hostname, function()
        local answer = put(hostname, { url = "http://127.0.0.1:9000" })
        assert.equal(400, answer.status)
        assert.equal(21021, first(answer).code)
      end)
    end

    it("takes wildcards raw and encoded", function()
      assert.equal("*.heron.test", put("*.heron.test", { url = "http://127.0.0.1:9000" }).body.result.hostname)
      assert.equal("*.heron.test", put("%2A.HERON.test", { url = "http://127.0.0.1:9001" }).body.result.hostname)
      assert.equal("*", put("%2a", { url = "http://127.0.0.1:9000" }).body.result.hostname)
      assert.equal(2, gate:call("GET", base).body.result_info.total_count)
    end)
  end)

  describe("what is served for an associated hostname", function()
    local function url(name) return host(name).origin and host(name).origin.url end

    before_each(function()
      local ca = gate:upload_ca(certs.ca("Root").pem)
      gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
        { hostnames = { "a.sub.heron.test", "x.a.sub.heron.test", "heron.test" }, mtls_certificate_id = ca.id })
    end)

    it("is no origin when there is none", function()
      assert.is_nil(url "a.sub.heron.test")
      assert.is_table(host("a.sub.heron.test").trust)
    end)

    it("is the zone's, then the wildcard's one label above, then its own", function()
      put("*", { url = "http://zone.test" })
      assert.equal("http://zone.test", url "a.sub.heron.test")
      assert.equal("http://zone.test", url "heron.test")
      put("*.sub.heron.test", { url = "http://wild.test" })
      assert.equal("http://wild.test", url "a.sub.heron.test")
      assert.equal("http://zone.test", url "x.a.sub.heron.test")
      assert.equal("http://zone.test", url "heron.test")
      put("a.sub.heron.test", { url = "http://own.test" })
      assert.equal("http://own.test", url "a.sub.heron.test")
    end)

    it("leaves wildcards and `*` without a CA", function()
      put("*", { url = "http://zone.test" })
      assert.is_nil(host("*").trust)
    end)
  end)

  describe("GET and DELETE", function()
    it("list in order of hostnames, page style", function()
      for _, name in ipairs { "b.heron.test", "*", "a.heron.test" } do put(name, { url = "http://127.0.0.1:9000" }) end
      local answer = gate:call("GET", base)
      local names = {}
      for index, origin in ipairs(answer.body.result) do names[index] = origin.hostname end
      assert.same({ "*", "a.heron.test", "b.heron.test" }, names)
      assert.equal(3, answer.body.result_info.total_count)
    end)

    it("delete one, which is no longer served, and answer 404 afterwards", function()
      put("a.heron.test", { url = "http://127.0.0.1:9000" })
      local answer = gate:call("DELETE", base .. "/A.heron.test")
      assert.equal(200, answer.status)
      assert.equal("a.heron.test", answer.body.result.hostname)
      assert.is_nil(host "a.heron.test")
      for _, method in ipairs { "GET", "DELETE" } do
        local gone = gate:call(method, base .. "/a.heron.test")
        assert.equal(404, gone.status)
        assert.equal(21020, first(gone).code)
      end
    end)
  end)
end)
