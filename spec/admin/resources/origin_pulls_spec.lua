local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.origin_pulls", function()
  local gate, zone, base, json
  local edge = certs.ca("Edge CA", { subject = "/O=Heron/CN=Edge CA" })
  local one, two, rsa = certs.leaf(edge, { cn = "one" }), certs.leaf(edge, { cn = "two" }), certs.leaf(edge, { key = "RSA 2048" })
  local NOWHERE = "3a7c5e9d-1b2f-4c3d-8e4f-506172839405"

  before_each(function()
    gate = assert(support.start())
    json = require "moongate.json"
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/origin_tls_client_auth"
    gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "https://origin.test" })
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function upload(leaf, path)
    gate.control.clock = gate.control.clock + 1
    local answer = gate:call("POST", base .. (path or ""), { certificate = leaf.pem, private_key = leaf.key })
    assert(answer.status == 200, answer.raw)
    return answer.body.result
  end
  local function upload_host(leaf) return upload(leaf, "/hostnames/certificates") end
  local function enable(value) return gate:call("PUT", base .. "/settings", { enabled = value }) end
  local function associate(...) return gate:call("PUT", base .. "/hostnames", { config = { ... } }) end
  -- The id of the certificate that the origin of a name gets.
  local function presented(name)
    for _, host in ipairs(gate.control.served["heron.test"].hosts) do
      local client = host.name == name and host.origin and host.origin.client_certificate
      if client then
        assert(gate.control.open(client.private_key, client.context))
        return client.context:match("[^:]+$")
      end
    end
  end

  describe("of the gateway itself", function()
    local function host(name)
      for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
        if entry.name == name then return entry end
      end
    end
    local function switch(value)
      assert.equal(200, gate:call("PATCH", "/zones/" .. zone.id .. "/settings/tls_client_auth", { value = value }).status)
    end

    it("are presented to origins over TLS while tls_client_auth is on and there is no other", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/plain.heron.test", { url = "http://origin.test" })
      assert.is_nil(host("*").origin.shared_client)
      switch "on"
      assert.is_true(host("*").origin.shared_client)
      assert.is_nil(host("*").origin.client_certificate)
      assert.is_nil(host("plain.heron.test").origin.shared_client)
      upload(one)
      enable(true)
      assert.is_nil(host("*").origin.shared_client)
      assert.truthy(host("*").origin.client_certificate)
      enable(false)
      assert.is_true(host("*").origin.shared_client)
      switch "off"
      assert.is_nil(host("*").origin.shared_client)
    end)
  end)

  describe("certificates", function()
    for kind, path in pairs { zone = "", hostname = "/hostnames/certificates" } do
      describe("of a " .. kind, function()
        it("are answered with as documented, and never with their key", function()
          local made = upload(one, path)
          assert.equal(36, #made.id)
          assert.equal(one.pem, made.certificate)
          assert.equal("CN=Edge CA,O=Heron", made.issuer)
          assert.equal("ECDSAWithSHA256", made.signature)
          assert.equal("active", made.status)
          assert.truthy(made.uploaded_on:find("%.%d%d%d%d%d%dZ$"))
          assert.truthy(made.expires_on:find("%d%d:%d%d:%d%dZ$"))
          if kind == "zone" then assert.is_false(made.enabled) else assert.truthy(made.serial_number:find("^%d+$")) end
          local list = gate:call("GET", base .. path)
          assert.same({ made }, list.body.result)
          assert.equal(1, list.body.result_info.total_count)
          assert.same(made, gate:call("GET", base .. path .. "/" .. made.id).body.result)
          assert.is_nil(list.raw:find("private_key", 1, true))
        end)

        it("are gone after DELETE, which shows them once more", function()
          local made = upload(one, path)
          local answer = gate:call("DELETE", base .. path .. "/" .. made.id)
          assert.equal(200, answer.status)
          assert.equal("deleted", answer.body.result.status)
          assert.equal(made.certificate, answer.body.result.certificate)
          for _, method in ipairs { "GET", "DELETE" } do
            answer = gate:call(method, base .. path .. "/" .. made.id)
            assert.equal(404, answer.status)
            assert.equal(kind == "zone" and 1551 or 1552, first(answer).code)
          end
        end)

        it("are refused twice, and free again after DELETE", function()
          local made = upload(one, path)
          local answer = gate:call("POST", base .. path, { certificate = one.pem, private_key = one.key })
          assert.equal(400, answer.status)
          assert.equal(1406, first(answer).code)
          gate:call("DELETE", base .. path .. "/" .. made.id)
          upload(one, path)
        end)

        for _, id in ipairs { "x", "3A7C5E9D-1B2F-4C3D-8E4F-506172839405", "3a7c5e9d-1b2f-4c3d-8e4f-50617283940" } do
          it("refuse the id " .. id, function()
            for _, method in ipairs { "GET", "DELETE" } do
              local answer = gate:call(method, base .. path .. "/" .. id)
              assert.equal(400, answer.status)
              assert.equal(1415, first(answer).code)
            end
          end)
        end

        it("do not know those of the other kind, nor of another zone", function()
          local other = upload(one, path == "" and "/hostnames/certificates" or "")
          assert.equal(404, gate:call("GET", base .. path .. "/" .. other.id).status)
          local made, stork = upload(two, path), gate:zone "stork.test"
          local there = "/zones/" .. stork.id .. "/origin_tls_client_auth" .. path
          assert.equal(404, gate:call("GET", there .. "/" .. made.id).status)
          assert.equal(404, gate:call("DELETE", there .. "/" .. made.id).status)
          assert.same({}, gate:call("GET", there).body.result)
        end)

        for title, case in pairs {
          ["no certificate"] = { 1415, function() return { private_key = one.key } end },
          ["no key"] = { 1415, function() return { certificate = one.pem } end },
          ["no PEM"] = { 1408, function() return { certificate = "x", private_key = one.key } end, "Unable to parse certificate" },
          ["a CA"] = { 1408, function() return { certificate = edge.pem, private_key = edge.key } end, "missing leaf certificate" },
          ["an expired one"] = { 1409, function()
            local old = certs.leaf(edge, { not_before = 1500000000, not_after = 1600000000 })
            return { certificate = old.pem, private_key = old.key }
          end },
          ["an Ed25519 key"] = { 1447, function()
            local ed = certs.leaf(edge, { key = "Ed25519" })
            return { certificate = ed.pem, private_key = ed.key }
          end },
          ["an unreadable key"] = { 2106, function() return { certificate = one.pem, private_key = "x" } end },
          ["another's key"] = { 2200, function() return { certificate = one.pem, private_key = two.key } end },
          ["malformed JSON"] = { 6007, function() return "{" end },
        } do
          it(("refuse %s with %d"):format(title, case[1]), function()
            local answer = gate:call("POST", base .. path, case[2]())
            assert.equal(400, answer.status)
            assert.equal(case[1], first(answer).code)
            if case[3] then assert.equal(case[3], first(answer).message) end
            assert.equal(0, gate:call("GET", base .. path).body.result_info.total_count)
          end)
        end
      end)
    end

    it("of hostnames are at most ten in a zone", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'origin_pull_certificates'") end)
      upload_host(one)
      local answer = gate:call("POST", base .. "/hostnames/certificates", { certificate = two.pem, private_key = two.key })
      assert.equal(400, answer.status)
      assert.equal(21061, first(answer).code)
      upload(one)
      upload(two)
    end)

    it("of hostnames are not deleted while in use", function()
      local made = upload_host(one)
      associate { hostname = "app.heron.test", cert_id = made.id, enabled = true }
      local answer = gate:call("DELETE", base .. "/hostnames/certificates/" .. made.id)
      assert.equal(400, answer.status)
      assert.equal(1433, first(answer).code)
      associate { hostname = "app.heron.test", cert_id = made.id, enabled = json.null }
      assert.equal(200, gate:call("DELETE", base .. "/hostnames/certificates/" .. made.id).status)
    end)
  end)

  describe("settings", function()
    it("are off until switched on", function()
      assert.same({ enabled = false }, gate:call("GET", base .. "/settings").body.result)
      assert.same({ enabled = true }, enable(true).body.result)
      assert.same({ enabled = true }, gate:call("GET", base .. "/settings").body.result)
      assert.is_true(upload(one).enabled)
      enable(false)
      assert.same({ enabled = false }, gate:call("GET", base .. "/settings").body.result)
    end)

    for _, body in ipairs { "{}", '{"enabled":null}', '{"enabled":"on"}' } do
      it("refuse " .. body, function()
        local answer = gate:call("PUT", base .. "/settings", body)
        assert.equal(400, answer.status)
        assert.equal(1415, first(answer).code)
      end)
    end

    for _, method in ipairs { "DELETE", "POST" } do
      it("are no certificate: " .. method .. " is not available", function()
        assert.equal(405, gate:call(method, base .. "/settings", {}).status)
      end)
    end
  end)

  describe("hostnames", function()
    it("are associated in one call, and answered with as an array", function()
      local made = upload_host(one)
      local answer = associate({ hostname = "App.Heron.test.", cert_id = made.id, enabled = true },
        { hostname = "b.heron.test", cert_id = made.id, enabled = false })
      assert.equal(200, answer.status)
      assert.equal(2, #answer.body.result)
      local app = answer.body.result[1]
      assert.same({ "app.heron.test", made.id, true, "active", "active" },
        { app.hostname, app.cert_id, app.enabled, app.status, app.cert_status })
      assert.same({ made.certificate, made.issuer, made.serial_number, made.signature, made.expires_on, made.uploaded_on },
        { app.certificate, app.issuer, app.serial_number, app.signature, app.expires_on, app.cert_uploaded_on })
      assert.equal(app.created_at, app.updated_at)
      assert.is_false(answer.body.result[2].enabled)
      assert.same(app, gate:call("GET", base .. "/hostnames/app.heron.test").body.result)
      assert.is_nil(answer.raw:find("private_key", 1, true))
    end)

    it("keep created_at when they change", function()
      local before = associate { hostname = "app.heron.test", cert_id = upload_host(one).id, enabled = true }
      local after = associate { hostname = "app.heron.test", cert_id = upload_host(two).id }
      assert.equal(before.body.result[1].created_at, after.body.result[1].created_at)
      assert.is_true(after.body.result[1].updated_at > before.body.result[1].updated_at)
      assert.is_true(after.body.result[1].enabled)
    end)

    it("are let go with null", function()
      local made = upload_host(one)
      associate { hostname = "app.heron.test", cert_id = made.id, enabled = true }
      local answer = associate { hostname = "app.heron.test", enabled = json.null }
      assert.equal(200, answer.status)
      assert.equal(json.null, answer.body.result[1].enabled)
      local gone = gate:call("GET", base .. "/hostnames/app.heron.test")
      assert.equal(404, gone.status)
      assert.equal(1553, first(gone).code)
    end)

    for title, case in pairs {
      ["no hostname"] = { 400, 1415, { cert_id = NOWHERE } }, ["a hostname outside the zone"] = { 400, 1415, { hostname = "a.test", cert_id = NOWHERE } },
      ["a wildcard"] = { 400, 1415, { hostname = "*.heron.test", cert_id = NOWHERE } },
      ["no certificate"] = { 400, 1404, { hostname = "a.heron.test" } }, ["an id that is none"] = { 400, 1415, { hostname = "a.heron.test", cert_id = "x" } },
      ["an unknown id"] = { 404, 1552, { hostname = "a.heron.test", cert_id = NOWHERE } },
      ["enabled as text"] = { 400, 1415, { hostname = "a.heron.test", cert_id = NOWHERE, enabled = "yes" } },
      ["letting go of what is not there"] = { 404, 1553, { hostname = "a.heron.test", enabled = "null" } },
    } do
      it("refuse " .. title .. ", and then nothing of the call holds", function()
        local entry = {}
        for key, value in pairs(case[3]) do entry[key] = value end
        if entry.enabled == "null" then entry.enabled = json.null end
        local answer = associate({ hostname = "good.heron.test", cert_id = upload_host(one).id, enabled = true }, entry)
        assert.equal(case[1], answer.status)
        assert.equal(case[2], first(answer).code)
        assert.equal(404, gate:call("GET", base .. "/hostnames/good.heron.test").status)
      end)
    end

    it("of a zone in between are refused", function()
      gate:zone "sub.heron.test"
      local answer = associate { hostname = "a.sub.heron.test", cert_id = upload_host(one).id, enabled = true }
      assert.equal(1415, first(answer).code)
      assert.truthy(first(answer).message:find("belongs to the zone sub.heron.test", 1, true))
    end)

    for title, body in pairs { ["no config"] = "{}", ["a config that is no list"] = '{"config":{}}', ["a config of texts"] = '{"config":["x"]}' } do
      it("refuse " .. title .. " with 1415", function()
        local answer = gate:call("PUT", base .. "/hostnames", body)
        assert.equal(400, answer.status)
        assert.equal(1415, first(answer).code)
      end)
    end

    it("do not take a zone's certificate, nor another zone's", function()
      local stork = gate:zone "stork.test"
      local foreign = gate:call("POST", "/zones/" .. stork.id .. "/origin_tls_client_auth/hostnames/certificates",
        { certificate = one.pem, private_key = one.key }).body.result
      for _, id in ipairs { upload(one).id, foreign.id } do
        local answer = associate { hostname = "a.heron.test", cert_id = id, enabled = true }
        assert.equal(404, answer.status)
        assert.equal(1552, first(answer).code)
      end
    end)

    it("are at most a hundred for one certificate", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'origin_pull_hostnames'") end)
      local made = upload_host(one)
      associate { hostname = "a.heron.test", cert_id = made.id, enabled = true }
      associate { hostname = "a.heron.test", cert_id = made.id, enabled = true }
      assert.equal(21062, first(associate { hostname = "b.heron.test", cert_id = made.id, enabled = true }).code)
    end)
  end)

  describe("what an origin gets", function()
    local origins

    before_each(function() origins = "/zones/" .. zone.id .. "/moongate/origins/" end)

    it("is the zone's certificate, while switched on; of several the one deployed last", function()
      upload(one)
      local later = upload(two)
      assert.is_nil(presented "*")
      enable(true)
      assert.equal(later.id, presented "*")
      gate:call("DELETE", base .. "/" .. later.id)
      assert.truthy(presented "*")
      enable(false)
      assert.is_nil(presented "*")
    end)

    it("is the hostname's before the zone's, for that hostname alone", function()
      upload(one)
      enable(true)
      local own = upload_host(rsa)
      associate { hostname = "app.heron.test", cert_id = own.id, enabled = true }
      assert.equal(own.id, presented "app.heron.test")
      assert.not_equal(own.id, presented "*")
      associate { hostname = "app.heron.test", cert_id = own.id, enabled = false }
      assert.is_nil(presented "app.heron.test") -- no host of its own any more: the zone's answers
      associate { hostname = "app.heron.test", cert_id = own.id, enabled = true }
      enable(false)
      assert.equal(own.id, presented "app.heron.test")
      assert.is_nil(presented "*")
    end)

    it("is the origin's own before the zone's, and the hostname's before both", function()
      local leaf, own, whole = gate:upload_leaf(certs.leaf(edge, { cn = "explicit" })), upload_host(one), upload(two)
      enable(true)
      gate:call("PUT", origins .. "api.heron.test", { url = "https://origin.test", client_certificate_id = leaf.id })
      assert.equal(leaf.id, presented "api.heron.test")
      assert.equal(whole.id, presented "*")
      associate { hostname = "api.heron.test", cert_id = own.id, enabled = true }
      assert.equal(own.id, presented "api.heron.test")
    end)

    it("is nothing without TLS", function()
      gate:call("PUT", origins .. "*", { url = "http://127.0.0.1:9000" })
      upload(one)
      enable(true)
      associate { hostname = "app.heron.test", cert_id = upload_host(one).id, enabled = true }
      assert.is_nil(presented "*")
      assert.is_nil(presented "app.heron.test")
    end)

    it("is one shared table for all hosts with the same origin and certificate", function()
      upload(one)
      enable(true)
      gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations", { hostnames = { "a.heron.test", "b.heron.test" } })
      local hosts = {}
      for _, host in ipairs(gate.control.served["heron.test"].hosts) do hosts[host.name] = host.origin end
      assert.truthy(hosts["a.heron.test"])
      assert.equal(hosts["a.heron.test"], hosts["b.heron.test"])
      assert.equal(hosts["a.heron.test"], hosts["*"])
    end)

    it("goes with the zone", function()
      associate { hostname = "app.heron.test", cert_id = upload_host(one).id, enabled = true }
      enable(true)
      assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
      gate.app.store:read(function(tx)
        for _, name in ipairs { "certificates", "hostnames", "settings" } do
          assert.equal(0, tx:one("SELECT count(*) AS n FROM origin_pull_" .. name).n)
        end
        return true
      end)
    end)
  end)
end)
