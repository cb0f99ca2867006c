local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.client_certificates", function()
  local gate, zone, base, associations
  local request = certs.request { subject = "/C=NO/L=Oslo/O=Heron Ltd/CN=pump-17" }

  before_each(function()
    gate = assert(support.start())
    gate.control.clock = os.time() + 0.5
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/client_certificates"
    associations = "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations"
  end)
  after_each(function() gate:close() end)

  local function post(body) return gate:call("POST", base, body) end
  local function sign(csr, days)
    local answer = post { csr = csr or request.pem, validity_days = days or 30 }
    assert(answer.status == 200, answer.raw)
    return answer.body.result
  end
  local function get(id) return gate:call("GET", base .. "/" .. id) end
  local function revoke(id) return gate:call("DELETE", base .. "/" .. id) end
  local function restore(id) return gate:call("PATCH", base .. "/" .. id, { reactivate = true }) end
  local function first(answer) return answer.body.errors[1] end
  local function denials(name)
    local options = gate.control.served[name or "heron.test"].trust_options
    local serials = {}
    for index, denial in ipairs(options and options.denials or {}) do serials[index] = denial.serial end
    return serials
  end

  describe("POST", function()
    it("answers with the object as documented, active at once", function()
      local answer = post { csr = request.pem, validity_days = 365 }
      assert.equal(200, answer.status)
      local result = answer.body.result
      assert.equal(36, #result.id)
      assert.equal("active", result.status)
      assert.equal(request.pem, result.csr)
      assert.equal(365, result.validity_days)
      assert.same({ "pump-17", "NO", "", "Oslo", "Heron Ltd", "" }, { result.common_name, result.country, result.state,
        result.location, result.organization, result.organizational_unit })
      assert.equal("Managed CA for account " .. gate.account_id, result.certificate_authority.name)
      assert.equal(36, #result.certificate_authority.id)
      assert.equal("ECDSAWithSHA256", result.signature)
      assert.truthy(result.serial_number:find("^%x+$") and not result.serial_number:find("%u"))
      assert.equal(40, #result.ski)
      assert.equal(64, #result.fingerprint_sha256)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(gate.control.clock)), result.issued_on)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(gate.control.clock) + 365 * 86400), result.expires_on)
      assert.truthy(result.certificate:find("^%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n.*\n%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n$"))
      assert.is_nil(answer.raw:find("private_key", 1, true))
      assert.same(result, get(result.id).body.result)
    end)

    it("signs a request as often as it comes, each time anew", function()
      local one, two = sign(), sign()
      assert.not_equal(one.id, two.id)
      assert.not_equal(one.serial_number, two.serial_number)
      assert.same(one.certificate_authority, two.certificate_authority)
    end)

    it("keeps the request byte for byte", function()
      local csr = "hello\r\n" .. request.pem:gsub("\n", "\r\n")
      assert.equal(csr, get(sign(csr).id).body.result.csr)
    end)

    it("keeps the CA's key sealed", function()
      sign()
      local row = gate.app.store:read(function(tx) return tx:one("SELECT id, private_key FROM managed_cas") end)
      assert.truthy(gate.control.open(row.private_key, "managed_cas:private_key:" .. row.id):find("BEGIN PRIVATE KEY", 1, true))
      local pipe = io.popen("grep -c -a -F 'PRIVATE KEY' " .. gate.directory .. "/data/*")
      assert.is_nil(pipe:read("*a"):find(":[1-9]"))
      pipe:close()
    end)

    for title, case in pairs {
      ["no request"] = { 1400, '{"validity_days":1}' }, ["no validity"] = { 1400, '{"csr":"x"}' },
      ["an empty request"] = { 1400, '{"csr":"","validity_days":1}' }, ["a request that is none"] = { 1430, '{"csr":"x","validity_days":1}' },
      ["no days"] = { 1400, '{"csr":"x","validity_days":0}' }, ["too many days"] = { 1400, '{"csr":"x","validity_days":5476}' },
      ["negative days"] = { 1400, '{"csr":"x","validity_days":-1}' }, ["half a day"] = { 1400, '{"csr":"x","validity_days":0.5}' },
      ["days as text"] = { 1400, '{"csr":"x","validity_days":"30"}' }, ["a request as a list"] = { 1400, '{"csr":[],"validity_days":1}' },
      ["malformed JSON"] = { 1400, "{" },
    } do
      it(("refuses %s with %d"):format(title, case[1]), function()
        local answer = post(case[2])
        assert.equal(400, answer.status)
        assert.equal(case[1], first(answer).code)
        assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      end)
    end

    it("says why a request is refused", function()
      local answer = post { csr = certs.request { key = "RSA 1024" }.pem, validity_days = 1 }
      assert.equal("Unable to parse CSR", first(answer).message)
      assert.equal("/csr", first(answer).source.pointer)
      assert.truthy(first(answer).error_chain[1].message:find("RSA from 2048", 1, true))
    end)

    for kind, quota in pairs { enterprise = "client_certificates_enterprise", standard = "client_certificates" } do
      it(("refuses one too many active ones in a zone of an account of type %s, and counts no revoked ones"):format(kind), function()
        gate.app.store:write(function(tx)
          assert(tx:run("UPDATE quotas SET value = 2 WHERE name = ?", quota))
          return tx:run("UPDATE accounts SET type = ?", kind)
        end)
        local one = sign()
        sign()
        local answer = post { csr = request.pem, validity_days = 1 }
        assert.equal(400, answer.status)
        assert.equal(1445, first(answer).code)
        assert.equal("Hit maximum certificate allocation: 2 certificates per zone are allowed", first(answer).message)
        local stork = gate:zone "stork.test"
        assert.equal(200, gate:call("POST", "/zones/" .. stork.id .. "/client_certificates", { csr = request.pem, validity_days = 1 }).status)
        revoke(one.id)
        sign()
        assert.equal(1445, first(restore(one.id)).code)
        assert.equal("revoked", get(one.id).body.result.status)
      end)
    end

    it("says so when the CA cannot sign, without its words", function()
      sign()
      gate.control.issue = function() return nil, { where = "ca", text = "it has expired" } end
      local answer = post { csr = request.pem, validity_days = 1 }
      assert.equal(500, answer.status)
      assert.is_nil(answer.raw:find("expired", 1, true))
      assert.is_true(gate:logged "it has expired")
    end)
  end)

  describe("GET", function()
    local function names(query)
      local list = {}
      for index, one in ipairs(gate:call("GET", base .. query).body.result) do list[index] = one.common_name end
      return list
    end

    before_each(function()
      for index = 1, 7 do
        gate.control.clock = gate.control.clock + 1
        local made = sign(certs.request { subject = "/CN=" .. index }.pem)
        if index % 3 == 0 then revoke(made.id) end
      end
    end)

    for query, expected in pairs {
      [""] = "7 6 5 4 3 2 1", ["?status=all"] = "7 6 5 4 3 2 1", ["?status=active"] = "7 5 4 2 1", ["?status=revoked"] = "6 3",
      ["?status=pending_revocation"] = "", ["?status=pending_reactivation"] = "", ["?per_page=5"] = "7 6 5 4 3",
      ["?per_page=5&page=2"] = "2 1", ["?per_page=1"] = "7 6 5 4 3", ["?page=9"] = "", ["?limit=2&offset=1"] = "6 5",
    } do
      it("lists, the newest first: " .. query, function() assert.equal(expected, table.concat(names(query), " ")) end)
    end

    for _, query in ipairs { "status=x", "page=0" } do
      it("refuses ?" .. query, function() assert.equal(10002, first(gate:call("GET", base .. "?" .. query)).code) end)
    end

    for _, id in ipairs { "x", ("0"):rep(32), "0b6c3a52-90f5-4d8e-8a7c-3f1f5b7f2a10" } do
      it("answers 404 with 1415 to " .. id, function()
        for _, answer in ipairs { get(id), revoke(id), restore(id) } do
          assert.equal(404, answer.status)
          assert.equal(1415, first(answer).code)
        end
      end)
    end

    it("does not reach into another zone", function()
      local id = gate:call("GET", base).body.result[1].id
      local stork = "/zones/" .. gate:zone("stork.test").id .. "/client_certificates"
      assert.equal(404, gate:call("GET", stork .. "/" .. id).status)
      assert.equal(404, gate:call("DELETE", stork .. "/" .. id).status)
      assert.equal(0, gate:call("GET", stork).body.result_info.total_count)
    end)
  end)

  describe("revoking and restoring", function()
    local made

    before_each(function()
      gate:call("PUT", associations, { hostnames = { "a.heron.test" } })
      made = sign()
    end)

    it("shows the pending state in the answer and the final one afterwards", function()
      local answer = revoke(made.id)
      assert.equal(200, answer.status)
      assert.equal("pending_revocation", answer.body.result.status)
      assert.equal(made.certificate, answer.body.result.certificate)
      assert.equal("revoked", get(made.id).body.result.status)
      answer = restore(made.id)
      assert.equal(200, answer.status)
      assert.equal("pending_reactivation", answer.body.result.status)
      assert.equal("active", get(made.id).body.result.status)
    end)

    it("goes into the document of the zone and out of it again", function()
      assert.is_nil(gate.control.served["heron.test"].trust_options)
      revoke(made.id)
      assert.same({ "0x" .. made.serial_number }, denials())
      local ca = gate.control.certificates(gate.control.served["heron.test"].hosts[1].trust[1])[1]
      assert.equal(ca.sha256, gate.control.served["heron.test"].trust_options.denials[1].ca)
      restore(made.id)
      assert.is_nil(gate.control.served["heron.test"].trust_options)
    end)

    it("reaches all zones of the account that trust the CA, and no others", function()
      local stork, crane = gate:zone "stork.test", gate:zone "crane.test"
      gate:call("PUT", "/zones/" .. stork.id .. "/certificate_authorities/hostname_associations", { hostnames = { "stork.test" } })
      local sections = gate.control.sections
      revoke(made.id)
      assert.equal(sections + 2, gate.control.sections)
      assert.same({ "0x" .. made.serial_number }, denials "stork.test")
      assert.same({}, denials "crane.test")
      assert.truthy(crane)
    end)

    it("reaches a zone that is associated later", function()
      revoke(made.id)
      local stork = gate:zone "stork.test"
      gate:call("PUT", "/zones/" .. stork.id .. "/certificate_authorities/hostname_associations", { hostnames = { "stork.test" } })
      assert.same({ "0x" .. made.serial_number }, denials "stork.test")
    end)

    it("outlives the zone that a certificate was issued through, and what was active there is revoked", function()
      local stork = gate:zone "stork.test"
      gate:call("PUT", "/zones/" .. stork.id .. "/certificate_authorities/hostname_associations", { hostnames = { "stork.test" } })
      local other = sign()
      revoke(made.id)
      assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
      local expected = { "0x" .. made.serial_number, "0x" .. other.serial_number }
      table.sort(expected)
      assert.same(expected, denials "stork.test")
    end)

    it("is there again after a restart", function()
      revoke(made.id)
      gate.app:stop()
      local again = assert(support.start { directory = gate.directory })
      assert.same({ "0x" .. made.serial_number }, { again.control.served["heron.test"].trust_options.denials[1].serial })
      again.app:stop()
      gate.app.store = nil
    end)

    it("refuses to revoke twice with 1407", function()
      revoke(made.id)
      local answer = revoke(made.id)
      assert.equal(400, answer.status)
      assert.equal(1407, first(answer).code)
      assert.equal("Certificate is already deleted", first(answer).message)
    end)

    for _, body in ipairs { "{}", '{"reactivate":false}', '{"reactivate":null}', '{"validity_days":9}' } do
      it("changes nothing with " .. body, function()
        revoke(made.id)
        local answer = gate:call("PATCH", base .. "/" .. made.id, body)
        assert.equal(200, answer.status)
        assert.equal("revoked", answer.body.result.status)
      end)
    end

    it("leaves an active one as it is", function()
      local answer = restore(made.id)
      assert.equal(200, answer.status)
      assert.equal("active", answer.body.result.status)
    end)

    it("refuses what is neither true nor false", function()
      assert.equal(1400, first(gate:call("PATCH", base .. "/" .. made.id, { reactivate = "yes" })).code)
    end)
  end)
end)
