local certs = require "spec.support.certs"
local support = require "spec.support.admin"

local UNKNOWN = "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f"

describe("moongate.admin.resources.hostname_associations", function()
  local gate, zone, path, root, other, ca

  setup(function() root, other = certs.ca "Root", certs.ca "Other" end)

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    path = "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations"
    ca = gate:upload_ca(root.pem)
  end)
  after_each(function() gate:close() end)

  local function put(hostnames, id, options)
    return gate:call("PUT", path, { hostnames = hostnames, mtls_certificate_id = id or ca.id }, options)
  end
  local function get(id) return gate:call("GET", path .. "?mtls_certificate_id=" .. (id or ca.id)).body.result.hostnames end
  local function host(name)
    for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
      if entry.name == name then return entry end
    end
  end

  describe("PUT", function()
    it("answers with the hostnames and nothing else, in the order of the request", function()
      local answer = put { "pay.heron.test", "api.heron.test" }
      assert.equal(200, answer.status)
      assert.same({ hostnames = { "pay.heron.test", "api.heron.test" } }, answer.body.result)
      assert.same({ "pay.heron.test", "api.heron.test" }, get())
    end)

    it("normalises names and drops repeated ones, the first stays", function()
      local answer = put { "API.Heron.test", "b.heron.test.", "api.heron.test", "heron.test" }
      assert.same({ "api.heron.test", "b.heron.test", "heron.test" }, answer.body.result.hostnames)
    end)

    it("serves the CA for exactly these hostnames", function()
      put { "api.heron.test" }
      assert.same({ root.pem }, host("api.heron.test").trust)
      assert.is_nil(host "x.api.heron.test")
      put { "b.heron.test" }
      assert.is_nil(host "api.heron.test")
      assert.same({ root.pem }, host("b.heron.test").trust)
    end)

    it("replaces the list of the named CA only", function()
      local second = gate:upload_ca(other.pem)
      put { "a.heron.test", "b.heron.test" }
      put({ "b.heron.test", "c.heron.test" }, second.id)
      put { "a.heron.test" }
      assert.same({ "a.heron.test" }, get())
      assert.same({ "b.heron.test", "c.heron.test" }, get(second.id))
    end)

    it("lets a hostname have several CAs, the most recent first", function()
      gate.control.clock = gate.control.clock + 1
      local second = gate:upload_ca(other.pem)
      put { "a.heron.test" }
      put({ "a.heron.test" }, second.id)
      assert.same({ other.pem, root.pem }, host("a.heron.test").trust)
    end)

    it("keeps zones apart", function()
      local second = gate:zone "stork.test"
      put { "a.heron.test" }
      gate:call("PUT", "/zones/" .. second.id .. "/certificate_authorities/hostname_associations",
        { hostnames = { "a.stork.test" }, mtls_certificate_id = ca.id })
      assert.same({ "a.heron.test" }, get())
    end)

    for _, case in ipairs { { "[]", '"hostnames":[],' }, { "null", '"hostnames":null,' }, { "nothing", "" } } do
      it("clears with " .. case[1], function()
        put { "a.heron.test" }
        local answer = gate:call("PUT", path, ('{%s"mtls_certificate_id":"%s"}'):format(case[2], ca.id))
        assert.equal(200, answer.status)
        assert.truthy(answer.raw:find('"hostnames":[]', 1, true))
        assert.same({}, get())
      end)
    end

    for _, case in ipairs {
      { "another domain", "api.stork.test", "it is not in the zone heron.test" },
      { "a name that only ends alike", "xheron.test", "it is not in the zone heron.test" },
      { "a wildcard", "*.heron.test", "only letters" },
      { "an empty name", "", "it is empty" },
      { "two trailing dots", "a.heron.test..", "empty label" },
      { "a leading dot", ".heron.test", "empty label" },
      { "a port", "a.heron.test:443", "only letters" },
      { "a blank", "a b.heron.test", "only letters" },
      { "an international name", "bücher.heron.test", "xn--" },
      { "a label of 64 letters", ("a"):rep(64) .. ".heron.test", "63" },
      { "254 characters", ("a."):rep(122) .. "heron.test", "253" },
    } do
      it(("refuses %s with 1407"):format(case[1]), function()
        local answer = put { "ok.heron.test", case[2] }
        assert.equal(400, answer.status)
        assert.equal(1407, answer.body.errors[1].code)
        assert.equal("/hostnames/1", answer.body.errors[1].source.pointer)
        assert.truthy(answer.body.errors[1].message:find("^Invalid hostname: "))
        assert.truthy(answer.body.errors[1].message:find(case[3], 1, true))
        assert.same({}, get())
      end)
    end

    for _, case in ipairs { { "text", '"a.heron.test"' }, { "numbers", "[1]" }, { "an object", "{}" } } do
      it("refuses hostnames as " .. case[1] .. " with 1400", function()
        local answer = gate:call("PUT", path, ('{"hostnames":%s,"mtls_certificate_id":"%s"}'):format(case[2], ca.id))
        assert.equal(400, answer.status)
        assert.equal(1400, answer.body.errors[1].code)
      end)
    end

    for _, id in ipairs { UNKNOWN, "x" } do
      it("answers 404 with 1472 to the certificate " .. id, function()
        local answer = put({ "a.heron.test" }, id)
        assert.equal(404, answer.status)
        assert.equal(1472, answer.body.errors[1].code)
      end)
    end

    it("refuses a leaf certificate with 1411", function()
      local leaf = certs.leaf(root, { cn = "leaf" })
      local made = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id),
        { ca = false, certificates = leaf.pem, private_key = leaf.key }).body.result
      local answer = put({ "a.heron.test" }, made.id)
      assert.equal(400, answer.status)
      assert.equal(1411, answer.body.errors[1].code)
    end)

    it("treats a CA of another account as unknown", function()
      local foreign = gate:account "other"
      local made = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(foreign), { ca = true, certificates = other.pem })
      local answer = put({ "a.heron.test" }, made.body.result.id)
      assert.equal(404, answer.status)
      assert.equal(1472, answer.body.errors[1].code)
    end)

    it("refuses a hostname that belongs to a closer zone", function()
      gate:zone "sub.heron.test"
      local answer = put { "a.sub.heron.test" }
      assert.equal(1407, answer.body.errors[1].code)
      assert.truthy(answer.body.errors[1].message:find("it belongs to the zone sub.heron.test", 1, true))
    end)

    it("is not a change when the list is the same", function()
      put { "a.heron.test" }
      local sections = gate.control.sections
      put { "a.heron.test" }
      assert.equal(sections, gate.control.sections)
    end)
  end)

  describe("the managed CA", function()
    local function managed()
      return gate.app.store:read(function(tx) return tx:one("SELECT * FROM managed_cas") or {} end)
    end
    local function trust_of(name)
      for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
        if entry.name == name then return entry.trust end
      end
    end

    for _, id in ipairs { '"mtls_certificate_id":null', '"mtls_certificate_id":""', '"x":1' } do
      it("is meant, and made, by " .. id, function()
        local answer = gate:call("PUT", path, '{"hostnames":["a.heron.test"],' .. id .. "}")
        assert.equal(200, answer.status)
        assert.same({ hostnames = { "a.heron.test" } }, answer.body.result)
        assert.same({ managed().certificate }, trust_of "a.heron.test")
        for _, query in ipairs { "", "?mtls_certificate_id=" } do
          assert.same({ hostnames = { "a.heron.test" } }, gate:call("GET", path .. query).body.result)
        end
      end)
    end

    it("is the same for all zones of an account, and another for another account", function()
      gate:call("PUT", path, { hostnames = { "a.heron.test" } })
      local stork = gate:zone "stork.test"
      gate:call("PUT", "/zones/" .. stork.id .. "/certificate_authorities/hostname_associations", { hostnames = { "stork.test" } })
      assert.equal(trust_of "a.heron.test" [1], gate.control.served["stork.test"].hosts[1].trust[1])
      local account = { id = gate:account "other" }
      local crane = gate:call("POST", "/zones", { name = "crane.test", account = account }).body.result
      gate:call("PUT", "/zones/" .. crane.id .. "/certificate_authorities/hostname_associations", { hostnames = { "crane.test" } })
      assert.not_equal(trust_of "a.heron.test" [1], gate.control.served["crane.test"].hosts[1].trust[1])
    end)

    it("stands beside uploaded CAs, the one deployed last in front", function()
      put { "a.heron.test" }
      gate.control.clock = gate.control.clock + 1
      gate:call("PUT", path, { hostnames = { "a.heron.test" } })
      assert.same({ managed().certificate, ca.certificates }, trust_of "a.heron.test")
      put {}
      assert.same({ managed().certificate }, trust_of "a.heron.test")
    end)

    it("has an empty list until it is asked for, and is not made for nothing", function()
      assert.same({ hostnames = {} }, gate:call("GET", path).body.result)
      assert.same({ hostnames = {} }, gate:call("GET", path .. "?mtls_certificate_id=").body.result)
      assert.equal(200, gate:call("PUT", path, { hostnames = {} }).status)
      assert.same({}, managed())
    end)

    it("is not reached by its id, nor listed or deleted among the uploaded ones", function()
      gate:call("PUT", path, { hostnames = { "a.heron.test" } })
      assert.equal(404, gate:call("GET", path .. "?mtls_certificate_id=" .. managed().id).status)
      local uploaded = ("/accounts/%s/mtls_certificates"):format(gate.account_id)
      assert.equal(1, gate:call("GET", uploaded).body.result_info.total_count)
      assert.equal(404, gate:call("DELETE", uploaded .. "/" .. managed().id).status)
    end)

    it("says so when it cannot be made, and nothing is stored", function()
      gate.control.make_ca = function() return nil, { where = "ca", text = "no entropy" } end
      assert.equal(500, gate:call("PUT", path, { hostnames = { "a.heron.test" } }).status)
      assert.is_true(gate:logged "no entropy")
      assert.same({}, managed())
    end)
  end)

  describe("GET", function()
    it("gives an empty list for a known CA without hostnames", function()
      local answer = gate:call("GET", path .. "?mtls_certificate_id=" .. ca.id)
      assert.equal(200, answer.status)
      assert.truthy(answer.raw:find('"hostnames":[]', 1, true))
    end)

    it("answers 404 with 1472 for an unknown CA", function()
      local answer = gate:call("GET", path .. "?mtls_certificate_id=" .. UNKNOWN)
      assert.equal(404, answer.status)
      assert.equal(1472, answer.body.errors[1].code)
    end)
  end)

  describe("the notice about a missing rule", function()
    local function rule(expression, enabled)
      local answer = gate:call("PUT", "/zones/" .. zone.id .. "/rulesets/phases/http_request_firewall_custom/entrypoint",
        { rules = { { action = "block", expression = expression, enabled = enabled } } })
      assert.equal(200, answer.status)
    end

    it("comes with hostnames that no rule guards", function()
      local answer = put { "a.heron.test" }
      assert.equal(21100, answer.body.messages[1].code)
      assert.truthy(answer.body.messages[1].message:find("no rule enforces it", 1, true))
    end)

    it("comes when the only rule is switched off or speaks of something else", function()
      rule("not cf.tls_client_auth.cert_verified", false)
      assert.equal(1, #put({ "a.heron.test" }).body.messages)
      rule 'http.host eq "a.heron.test"'
      assert.equal(1, #put({ "a.heron.test" }).body.messages)
    end)

    it("stays away when a rule speaks of client certificates, and when nothing is associated", function()
      assert.equal(0, #put({}).body.messages)
      rule "not cf.tls_client_auth.cert_verified"
      assert.equal(0, #put({ "a.heron.test" }).body.messages)
    end)
  end)
end)
