-- Who serves a custom hostname, and when: one zone at a time, none while a zone of its own has it, and where the operator
-- wants it, only once ownership is proven.

local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.custom_hostname", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id
  end)
  after_each(function() gate:close() end)

  local function make(hostname, of)
    local answer = gate:call("POST", ("/zones/%s/custom_hostnames"):format(of or zone.id),
      { hostname = hostname, ssl = { method = "http", type = "dv" } })
    assert(answer.status == 201, answer.raw)
    return answer.body.result
  end
  local function get(one, of) return gate:call("GET", ("/zones/%s/custom_hostnames/%s"):format(of or zone.id, one.id)).body.result end
  local function again(one, of)
    local answer = gate:call("PATCH", ("/zones/%s/custom_hostnames/%s"):format(of or zone.id, one.id), { ssl = { method = "http", type = "dv" } })
    assert(answer.status == 202, answer.raw)
    return answer.body.result
  end
  local function is_served(name, of)
    for _, host in ipairs(gate.control.served[of or "heron.test"].hosts) do
      if host.name == name then return true end
    end
    return false
  end
  local function say(one, body) return gate:call("PUT", ("%s/moongate/custom_hostnames/%s/status"):format(base, one.id), body) end

  describe("of two zones", function()
    local other

    before_each(function() other = gate:zone "stork.test" end)

    it("is served by the one that came first; the other waits and says why", function()
      make "shop.test"
      local second = make("shop.test", other.id)
      assert.equal("pending", second.status)
      assert.equal("pending_validation", second.ssl.status)
      assert.truthy(second.verification_errors[1]:find("Another zone", 1, true))
      assert.is_true(is_served "shop.test")
      assert.is_false(is_served("shop.test", "stork.test"))
    end)

    it("goes over once the first lets go and the second asks again", function()
      local one, two = make "shop.test", make("shop.test", other.id)
      assert.equal("pending", again(two, other.id).status)
      gate:call("DELETE", ("%s/custom_hostnames/%s"):format(base, one.id))
      assert.equal("pending", get(two, other.id).status)
      assert.equal("active", again(two, other.id).status)
      assert.is_true(is_served("shop.test", "stork.test"))
    end)
  end)

  describe("with a zone of its own", function()
    it("waits when the zone is there already", function()
      gate:zone "customer.test"
      local one = make "shop.customer.test"
      assert.equal("pending", one.status)
      assert.truthy(one.verification_errors[1]:find("lies in a zone", 1, true))
      assert.is_false(is_served "shop.customer.test")
    end)

    it("is moved when the zone is made, and comes back when it goes and is asked for", function()
      local one, beside = make "shop.customer.test", make "notcustomer.test"
      local own = gate:zone "customer.test"
      assert.equal("moved", get(one).status)
      assert.is_false(is_served "shop.customer.test")
      assert.equal("active", get(beside).status)
      assert.equal("pending", again(one).status)
      gate:call("DELETE", "/zones/" .. own.id)
      assert.equal("active", again(one).status)
      assert.is_true(is_served "shop.customer.test")
    end)

    it("of another account, too", function()
      local one = make "customer.test"
      gate:call("POST", "/zones", { name = "customer.test", account = { id = gate:account "other" } })
      assert.equal("moved", get(one).status)
    end)
  end)

  describe("where ownership is to be proven", function()
    before_each(function()
      assert.same({ ownership_checks = false }, gate:call("GET", base .. "/moongate/custom_hostnames").body.result)
      assert.equal(200, gate:call("PUT", base .. "/moongate/custom_hostnames", { ownership_checks = true }).status)
      assert.same({ ownership_checks = true }, gate:call("GET", base .. "/moongate/custom_hostnames").body.result)
    end)

    it("waits, shows what to prove it with, and asks for nothing else", function()
      local one = make "shop.test"
      assert.equal("pending", one.status)
      assert.truthy(one.verification_errors[1]:find("not been verified", 1, true))
      assert.same({ "txt", "_cf-custom-hostname.shop.test" }, { one.ownership_verification.type, one.ownership_verification.name })
      assert.equal("http://shop.test/.well-known/cf-custom-hostname-challenge/" .. one.id, one.ownership_verification_http.http_url)
      assert.equal(one.ownership_verification.value, one.ownership_verification_http.http_body)
      assert.truthy(one.ssl.validation_records[1].http_url:find("^http://shop.test/"))
      assert.truthy(one.ssl.validation_errors[1].message:find("no certificate authority", 1, true))
      assert.is_false(is_served "shop.test")
      assert.equal("pending", again(one).status)
    end)

    for method, member in pairs { txt = "txt_name", email = "emails", http = "http_body" } do
      it(("shows a record of the method %s"):format(method), function()
        local one = gate:call("POST", base .. "/custom_hostnames", { hostname = "shop.test", ssl = { method = method, type = "dv" } }).body.result
        assert.truthy(one.ssl.validation_records[1][member])
      end)
    end

    it("is served when the operator says that it is active, and stays so", function()
      local one = make "shop.test"
      local answer = say(one, { status = "active", ssl_status = "active" })
      assert.equal(200, answer.status, answer.raw)
      assert.same({ "active", "active" }, { answer.body.result.status, answer.body.result.ssl.status })
      assert.is_nil(answer.body.result.ownership_verification)
      assert.is_true(is_served "shop.test")
      assert.equal("active", again(one).status)
    end)

    it("leaves those that are served as they are", function()
      gate:call("PUT", base .. "/moongate/custom_hostnames", { ownership_checks = false })
      local one = make "shop.test"
      gate:call("PUT", base .. "/moongate/custom_hostnames", { ownership_checks = true })
      assert.equal("active", get(one).status)
      assert.is_true(is_served "shop.test")
    end)
  end)

  describe("whose status the operator sets", function()
    it("is not served while it is blocked, and no PATCH changes that", function()
      local one = make "shop.test"
      say(one, { status = "blocked" })
      assert.is_false(is_served "shop.test")
      assert.equal("blocked", again(one).status)
      assert.equal("blocked", get(one).status)
    end)

    it("cannot be active while another zone or a zone of its own has it", function()
      gate:zone "customer.test"
      for _, name in ipairs { "shop.customer.test" } do
        local one = make(name)
        local answer = say(one, { status = "active" })
        assert.equal(400, answer.status)
        assert.equal(21075, answer.body.errors[1].code)
        assert.equal("pending", get(one).status)
      end
    end)

    for _, body in ipairs { '{"status":"fine"}', '{"ssl_status":"fine"}', '{"status":7}' } do
      it("is none of " .. body, function()
        local answer = say(make "shop.test", body)
        assert.equal(400, answer.status)
        assert.equal(1434, answer.body.errors[1].code)
      end)
    end

    it("is known by its id", function()
      assert.equal(404, say({ id = "0e4f3c2b-5a69-4d1e-8f70-91a2b3c4d5e6" }, { status = "active" }).status)
    end)
  end)

  describe("and CAs of Access", function()
    local ca = certs.ca "Clients"
    local path

    before_each(function() path = base .. "/access/certificates" end)

    local function upload(hostnames)
      return gate:call("POST", path, { name = "clients", certificate = ca.pem, associated_hostnames = hostnames })
    end
    local function host(name)
      for _, entry in ipairs(gate.control.served["heron.test"].hosts) do
        if entry.name == name then return entry end
      end
    end

    it("go together: the hostname trusts the CA, and its origin may be told", function()
      make "shop.test"
      assert.equal(201, upload({ "shop.test" }).status)
      assert.same({ ca.pem }, host("shop.test").trust)
      local answer = gate:call("PUT", path .. "/settings", { settings = { { hostname = "shop.test", client_certificate_forwarding = true } } })
      assert.equal(202, answer.status, answer.raw)
      assert.is_true(host("shop.test").forward.cloudflare)
    end)

    it("go apart with the hostname: no trust is left for one that is made later", function()
      local one = make "shop.test"
      upload { "shop.test" }
      gate:call("DELETE", ("%s/custom_hostnames/%s"):format(base, one.id))
      make "shop.test"
      assert.is_nil(host("shop.test").trust)
    end)

    it("wait while the hostname is not served", function()
      local one = make "shop.customer.test"
      upload { "shop.customer.test" }
      local own = gate:zone "customer.test"
      assert.is_nil(host "shop.customer.test")
      gate:call("DELETE", "/zones/" .. own.id)
      again(one)
      assert.same({ ca.pem }, host("shop.customer.test").trust)
    end)

    it("do not know hostnames of other zones, or that nobody serves", function()
      make("shop.test", gate:zone("stork.test").id)
      assert.equal(12131, upload({ "shop.test" }).body.errors[1].code)
      assert.equal(12131, upload({ "nobody.test" }).body.errors[1].code)
      gate:call("PUT", base .. "/moongate/custom_hostnames", { ownership_checks = true })
      make "waits.test"
      assert.equal(12131, upload({ "waits.test" }).body.errors[1].code)
    end)

    it("stay the only ones: hostname associations are for names of the zone", function()
      make "shop.test"
      local uploaded = gate:upload_ca(ca.pem)
      local answer = gate:call("PUT", base .. "/certificate_authorities/hostname_associations",
        { hostnames = { "shop.test" }, mtls_certificate_id = uploaded.id })
      assert.equal(400, answer.status)
      assert.equal(1407, answer.body.errors[1].code)
    end)
  end)

  it("goes with its zone", function()
    make "shop.test"
    local other = gate:zone "stork.test"
    local waiting = make("shop.test", other.id)
    gate:call("DELETE", base)
    assert.equal("active", again(waiting, other.id).status)
  end)
end)
