local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.access_certificates", function()
  local gate, zone
  local root = certs.ca("Partner root")
  local issuing = certs.ca("Partner issuing", { issuer = root })
  local NOWHERE = "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f"

  before_each(function()
    gate = assert(support.start())
    gate.control.clock = os.time() + 0.25
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function trust_of(name, zone_name)
    for _, host in ipairs(gate.control.served[zone_name or "heron.test"].hosts) do
      if host.name == name then return host.trust end
    end
  end
  local function forwards(name)
    for _, host in ipairs(gate.control.served["heron.test"].hosts) do
      if host.name == name then return host.forward and host.forward.cloudflare end
    end
  end

  for level, path_of in pairs {
    account = function() return "/accounts/" .. gate.account_id .. "/access/certificates" end,
    zone = function() return "/zones/" .. zone.id .. "/access/certificates" end,
  } do
    describe("of the " .. level, function()
      local base

      before_each(function() base = path_of() end)

      local function post(body) return gate:call("POST", base, body) end
      local function make(...)
        local answer = post { name = "Partner root", certificate = root.pem, associated_hostnames = { ... } }
        assert(answer.status == 201, answer.raw)
        return answer.body.result
      end

      it("POST answers 201 with the object as documented, without the PEM", function()
        local answer = post { name = "Partner root", certificate = root.pem, associated_hostnames = { "Partner.heron.test.", "b.heron.test", "b.heron.test" } }
        assert.equal(201, answer.status)
        local made = answer.body.result
        assert.equal(36, #made.id)
        assert.equal("Partner root", made.name)
        assert.equal("MD5 Fingerprint=" .. certs.openssl("x509 -noout -fingerprint -md5 -in " .. root.path):match("=(%S+)"), made.fingerprint)
        assert.same({ "partner.heron.test", "b.heron.test" }, made.associated_hostnames)
        for _, name in ipairs { "created_at", "updated_at", "expires_on" } do
          assert.truthy(made[name]:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"), name)
        end
        assert.is_nil(answer.raw:find("BEGIN", 1, true))
        assert.same(made, gate:call("GET", base .. "/" .. made.id).body.result)
        assert.same({ made }, gate:call("GET", base).body.result)
      end)

      it("becomes trust of its hostnames, all certificates of the chain", function()
        post { name = "x", certificate = issuing.pem .. root.pem, associated_hostnames = { "a.heron.test" } }
        assert.same({ issuing.pem .. root.pem }, trust_of "a.heron.test")
        assert.is_nil(trust_of "b.heron.test")
      end)

      it("stands beside uploaded CAs and is no quota of theirs", function()
        local uploaded = gate:upload_ca(issuing.pem)
        gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
          { hostnames = { "a.heron.test" }, mtls_certificate_id = uploaded.id })
        gate.control.clock = gate.control.clock + 1
        gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'mtls_certificates'") end)
        make "a.heron.test"
        assert.same({ root.pem, issuing.pem }, trust_of "a.heron.test")
      end)

      it("has no hostnames unless some are given", function()
        local answer = post { name = "x", certificate = root.pem }
        assert.truthy(answer.raw:find('"associated_hostnames":[]', 1, true))
      end)

      it("refuses one too many with 12130", function()
        gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'access_certificates'") end)
        make()
        local answer = post { name = "y", certificate = issuing.pem }
        assert.equal(400, answer.status)
        assert.equal(12130, first(answer).code)
      end)

      for title, case in pairs {
        ["no name"] = { 12131, { certificate = root.pem } }, ["no certificate"] = { 12131, { name = "x" } },
        ["no PEM"] = { 12131, { name = "x", certificate = "x" } },
        ["a leaf"] = { 12131, { name = "x", certificate = certs.leaf(root, { cn = "leaf" }).pem } },
        ["a leaf behind a CA"] = { 12131, { name = "x", certificate = root.pem .. certs.leaf(root, { cn = "leaf" }).pem } },
        ["an expired CA"] = { 12131, { name = "x", certificate = certs.ca("old", { not_before = 1500000000, not_after = 1600000000 }).pem } },
        ["a weak CA"] = { 12131, { name = "x", certificate = certs.ca("weak", { key = "RSA 1024" }).pem } },
        ["a hostname of no zone"] = { 12131, { name = "x", certificate = root.pem, associated_hostnames = { "a.test" } } },
        ["a wildcard"] = { 12131, { name = "x", certificate = root.pem, associated_hostnames = { "*.heron.test" } } },
        ["hostnames that are no list"] = { 12131, { name = "x", certificate = root.pem, associated_hostnames = "a.heron.test" } },
        ["malformed JSON"] = { 6007, "{" },
      } do
        it(("refuses %s with %d"):format(title, case[1]), function()
          local answer = post(case[2])
          assert.equal(400, answer.status)
          assert.equal(case[1], first(answer).code)
          assert.equal(0, gate:call("GET", base).body.result_info.total_count)
        end)
      end

      it("PUT replaces the hostnames in the order given, and the name", function()
        local made = make("a.heron.test", "b.heron.test")
        gate.control.clock = gate.control.clock + 5
        local answer = gate:call("PUT", base .. "/" .. made.id, { name = "New", associated_hostnames = { "c.heron.test", "a.heron.test" } })
        assert.equal(200, answer.status)
        assert.same({ "c.heron.test", "a.heron.test" }, answer.body.result.associated_hostnames)
        assert.equal("New", answer.body.result.name)
        assert.equal(made.created_at, answer.body.result.created_at)
        assert.is_true(answer.body.result.updated_at > made.updated_at)
        assert.is_nil(trust_of "b.heron.test")
        assert.same({ root.pem }, trust_of "c.heron.test")
      end)

      for _, body in ipairs { "{}", '{"associated_hostnames":[]}', '{"associated_hostnames":null}' } do
        it("PUT " .. body .. " clears the hostnames, so that DELETE is possible", function()
          local made = make "a.heron.test"
          local refused = gate:call("DELETE", base .. "/" .. made.id)
          assert.equal(409, refused.status)
          assert.equal(12132, first(refused).code)
          local answer = gate:call("PUT", base .. "/" .. made.id, body)
          assert.equal(200, answer.status)
          assert.truthy(answer.raw:find('"associated_hostnames":[]', 1, true))
          assert.equal("Partner root", answer.body.result.name)
          assert.is_nil(trust_of "a.heron.test")
          answer = gate:call("DELETE", base .. "/" .. made.id)
          assert.equal(200, answer.status)
          assert.same({ id = made.id }, answer.body.result)
          assert.equal(404, gate:call("GET", base .. "/" .. made.id).status)
        end)
      end

      it("refuses a PUT with a bad hostname and changes nothing", function()
        local made = make "a.heron.test"
        local answer = gate:call("PUT", base .. "/" .. made.id, { associated_hostnames = { "b.heron.test", "a b" } })
        assert.equal(12131, first(answer).code)
        assert.equal("/associated_hostnames/1", first(answer).source.pointer)
        assert.same({ "a.heron.test" }, gate:call("GET", base .. "/" .. made.id).body.result.associated_hostnames)
      end)

      for _, id in ipairs { "x", NOWHERE } do
        it("answers 404 with 12135 to " .. id, function()
          for method, body in pairs { GET = "", PUT = "{}", DELETE = "" } do
            local answer = gate:call(method, base .. "/" .. id, body)
            assert.equal(404, answer.status)
            assert.equal(12135, first(answer).code)
          end
        end)
      end

      it("settings answer 202 with an array, and name what was set", function()
        local answer = gate:call("PUT", base .. "/settings", { settings = {
          { hostname = "Partner.heron.test", client_certificate_forwarding = true, china_network = false },
          { hostname = "b.heron.test", client_certificate_forwarding = false },
        } })
        assert.equal(202, answer.status)
        local expected = {
          { hostname = "partner.heron.test", china_network = false, client_certificate_forwarding = true },
          { hostname = "b.heron.test", china_network = false, client_certificate_forwarding = false },
        }
        assert.same(expected, answer.body.result)
        assert.same({ expected[2], expected[1] }, gate:call("GET", base .. "/settings").body.result)
        assert.is_true(forwards "partner.heron.test")
        assert.is_nil(forwards "b.heron.test")
      end)

      it("settings of hostnames that are not named stay", function()
        gate:call("PUT", base .. "/settings", { settings = { { hostname = "a.heron.test", client_certificate_forwarding = true } } })
        gate:call("PUT", base .. "/settings", { settings = { { hostname = "b.heron.test", china_network = true } } })
        gate:call("PUT", base .. "/settings", { settings = { { hostname = "b.heron.test", client_certificate_forwarding = true } } })
        assert.is_true(forwards "a.heron.test")
        assert.is_true(gate:call("GET", base .. "/settings").body.result[2].china_network)
        gate:call("PUT", base .. "/settings", { settings = { { hostname = "a.heron.test", client_certificate_forwarding = false } } })
        assert.is_nil(forwards "a.heron.test")
      end)

      for title, body in pairs {
        ["no list"] = "{}", ["a list of texts"] = '{"settings":["x"]}', ["no hostname"] = '{"settings":[{"china_network":true}]}',
        ["a hostname elsewhere"] = '{"settings":[{"hostname":"good.heron.test","client_certificate_forwarding":true},{"hostname":"a.test"}]}',
        ["a flag as text"] = '{"settings":[{"hostname":"a.heron.test","client_certificate_forwarding":"yes"}]}',
      } do
        it("settings refuse " .. title .. " and change nothing", function()
          local answer = gate:call("PUT", base .. "/settings", body)
          assert.equal(400, answer.status)
          assert.equal(12131, first(answer).code)
          assert.same({}, gate:call("GET", base .. "/settings").body.result)
        end)
      end
    end)
  end

  it("of an account reach several zones, each its own hostnames", function()
    gate:zone "stork.test"
    local answer = gate:call("POST", "/accounts/" .. gate.account_id .. "/access/certificates",
      { name = "x", certificate = root.pem, associated_hostnames = { "a.heron.test", "stork.test" } })
    assert.equal(201, answer.status)
    assert.same({ root.pem }, trust_of "a.heron.test")
    assert.same({ root.pem }, trust_of("stork.test", "stork.test"))
    assert.is_nil(trust_of("stork.test", "heron.test"))
  end)

  it("of one zone take no hostname of another, and are not those of the account", function()
    gate:zone "stork.test"
    local base = "/zones/" .. zone.id .. "/access/certificates"
    assert.equal(12131, first(gate:call("POST", base, { name = "x", certificate = root.pem, associated_hostnames = { "stork.test" } })).code)
    local made = gate:call("POST", base, { name = "x", certificate = root.pem }).body.result
    local account = "/accounts/" .. gate.account_id .. "/access/certificates"
    assert.equal(404, gate:call("GET", account .. "/" .. made.id).status)
    assert.same({}, gate:call("GET", account).body.result)
  end)

  it("take no hostname of another account, nor are seen from there", function()
    local other = gate:account "other"
    local theirs = "/accounts/" .. other .. "/access/certificates"
    assert.equal(12131, first(gate:call("POST", theirs, { name = "x", certificate = root.pem, associated_hostnames = { "a.heron.test" } })).code)
    assert.equal(12131, first(gate:call("PUT", theirs .. "/settings", { settings = { { hostname = "a.heron.test" } } })).code)
    local made = gate:call("POST", "/accounts/" .. gate.account_id .. "/access/certificates", { name = "x", certificate = root.pem }).body.result
    for method, body in pairs { GET = "", PUT = "{}", DELETE = "" } do
      assert.equal(404, gate:call(method, theirs .. "/" .. made.id, body).status)
    end
  end)

  it("go with their zone, hostnames and settings too", function()
    local base = "/zones/" .. zone.id .. "/access/certificates"
    gate:call("POST", base, { name = "x", certificate = root.pem, associated_hostnames = { "a.heron.test" } })
    gate:call("PUT", base .. "/settings", { settings = { { hostname = "a.heron.test", client_certificate_forwarding = true } } })
    assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
    gate.app.store:read(function(tx)
      for _, name in ipairs { "certificates", "hostnames", "settings" } do
        assert.equal(0, tx:one("SELECT count(*) AS n FROM access_" .. name).n)
      end
      return true
    end)
  end)

  it("are served from the last good snapshot, forwarding too", function()
    gate:call("POST", "/zones/" .. zone.id .. "/access/certificates", { name = "x", certificate = root.pem, associated_hostnames = { "a.heron.test" } })
    gate:call("PUT", "/zones/" .. zone.id .. "/access/certificates/settings",
      { settings = { { hostname = "a.heron.test", client_certificate_forwarding = true } } })
    gate.app:stop()
    os.execute(("rm %s/data/moongate.db* && mkdir %s/data/moongate.db"):format(gate.directory, gate.directory))
    local again = assert(support.start { directory = gate.directory, config = { serve_without_store = true } })
    local host = again.control.served["heron.test"].hosts[1]
    assert.same({ root.pem }, host.trust)
    assert.same({ cloudflare = true }, host.forward)
  end)
end)
