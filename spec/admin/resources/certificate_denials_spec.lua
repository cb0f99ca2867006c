local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.certificate_denials", function()
  local gate, zone, ca, base
  local root = certs.ca("Root")
  local issuing = certs.ca("Issuing", { issuer = root })
  local NOWHERE = "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f"
  local DIGEST = ("0a"):rep(32)

  before_each(function()
    gate = assert(support.start())
    gate.control.clock = os.time() + 0.25
    zone = gate:zone "heron.test"
    ca = gate:upload_ca(issuing.pem .. root.pem)
    base = ("/accounts/%s/mtls_certificates/%s/moongate/denials"):format(gate.account_id, ca.id)
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function deny(body) return gate:call("POST", base, body) end
  local function denials(zone_name)
    local options = gate.control.served[zone_name or "heron.test"].trust_options
    return options and options.denials
  end
  local function sha256(certificate)
    return certs.openssl("x509 -noout -fingerprint -sha256 -in " .. certificate.path):match("=(%S+)"):gsub(":", ""):lower()
  end
  local function associate(id, zone_id, hostname)
    return gate:call("PUT", "/zones/" .. (zone_id or zone.id) .. "/certificate_authorities/hostname_associations",
      { hostnames = { hostname or "a.heron.test" }, mtls_certificate_id = id })
  end

  describe("POST", function()
    for title, case in pairs {
      ["a decimal serial number"] = { { serial = "2571" }, "0xa0b" },
      ["a hexadecimal serial number"] = { { serial = "0x00A0B" }, "0xa0b" },
    } do
      it("takes " .. title, function()
        local answer = deny(case[1])
        assert.equal(200, answer.status)
        assert.equal(case[2], answer.body.result.serial)
        assert.equal(require("moongate.json").null, answer.body.result.sha256)
        assert.same(answer.body.result, gate:call("GET", base .. "/" .. answer.body.result.id).body.result)
      end)
    end

    it("takes a fingerprint, with colons or without, and a comment", function()
      local answer = deny { sha256 = ("0A:"):rep(31) .. "0A", comment = "lost in Porto" }
      assert.equal(DIGEST, answer.body.result.sha256)
      assert.equal("lost in Porto", answer.body.result.comment)
      assert.equal(require("moongate.json").null, answer.body.result.serial)
    end)

    for title, case in pairs {
      ["neither"] = { "/serial", "{}" }, ["both"] = { "/serial", { serial = "1", sha256 = DIGEST } },
      ["hex digits without 0x"] = { "/serial", { serial = "0a0b" } }, ["a negative number"] = { "/serial", { serial = "-1" } },
      ["a number"] = { "/serial", { serial = 7 } }, ["a short fingerprint"] = { "/sha256", { sha256 = "0a0b" } },
      ["other digits"] = { "/sha256", { sha256 = ("zz"):rep(32) } },
      ["a long comment"] = { "/comment", { serial = "1", comment = ("x"):rep(501) } },
    } do
      it("refuses " .. title .. " and changes nothing", function()
        local answer = deny(case[2])
        assert.equal(400, answer.status)
        assert.equal(21083, first(answer).code)
        assert.equal(case[1], first(answer).source.pointer)
        assert.same({}, gate:call("GET", base).body.result)
      end)
    end

    it("refuses the same certificate twice, in whatever form", function()
      deny { serial = "0xA0B" }
      assert.equal(21084, first(deny { serial = "2571" }).code)
    end)

    it("refuses one too many", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'certificate_denials'") end)
      deny { serial = "1" }
      local answer = deny { serial = "2" }
      assert.equal(400, answer.status)
      assert.equal(21085, first(answer).code)
    end)
  end)

  describe("what is served", function()
    it("are the denials of associated CAs: a serial number under each certificate of the bundle", function()
      deny { serial = "0x10" }
      deny { sha256 = DIGEST }
      assert.is_nil(denials())
      associate(ca.id)
      local expected = { { ca = sha256(root), serial = "0x10" }, { ca = sha256(issuing), serial = "0x10" } }
      table.sort(expected, function(a, b) return a.ca < b.ca end)
      expected[3] = { sha256 = DIGEST }
      assert.same(expected, denials())
    end)

    it("changes with each denial, in all zones of the account with the CA and in no other", function()
      local stork, crane = gate:zone "stork.test", gate:zone "crane.test"
      associate(ca.id)
      associate(ca.id, stork.id, "a.stork.test")
      associate(gate:upload_ca(certs.ca("Other").pem).id, crane.id, "a.crane.test")
      local made = deny({ sha256 = DIGEST }).body.result
      for _, name in ipairs { "heron.test", "stork.test" } do assert.same({ { sha256 = DIGEST } }, denials(name)) end
      assert.is_nil(denials "crane.test")
      assert.equal(DIGEST, gate:call("DELETE", base .. "/" .. made.id).body.result.sha256)
      assert.is_nil(denials())
      assert.is_nil(denials "stork.test")
    end)

    it("stands in the last good snapshot", function()
      associate(ca.id)
      deny { serial = "0x10" }
      local before = denials()
      gate.app:stop()
      os.execute(("rm %s/data/moongate.db* && mkdir %s/data/moongate.db"):format(gate.directory, gate.directory))
      local again = assert(support.start { directory = gate.directory, config = { serve_without_store = true } })
      assert.same(before, again.control.served["heron.test"].trust_options.denials)
    end)
  end)

  it("GET lists the newest first, page style", function()
    for index = 1, 6 do
      gate.control.clock = gate.control.clock + 1
      deny { serial = tostring(index) }
    end
    local answer = gate:call("GET", base .. "?per_page=5")
    assert.equal("0x6", answer.body.result[1].serial)
    assert.equal(5, #answer.body.result)
    assert.equal(6, answer.body.result_info.total_count)
  end)

  it("are gone after DELETE", function()
    local made = deny({ serial = "1" }).body.result
    assert.equal(200, gate:call("DELETE", base .. "/" .. made.id).status)
    for _, method in ipairs { "GET", "DELETE" } do
      local answer = gate:call(method, base .. "/" .. made.id)
      assert.equal(404, answer.status)
      assert.equal(21082, first(answer).code)
    end
  end)

  it("go with their CA", function()
    deny { serial = "1" }
    assert.equal(200, gate:call("DELETE", ("/accounts/%s/mtls_certificates/%s"):format(gate.account_id, ca.id)).status)
    gate.app.store:read(function(tx)
      for _, name in ipairs { "certificate_denials", "certificate_denial_issuers" } do
        assert.equal(0, tx:one("SELECT count(*) AS n FROM " .. name).n)
      end
      return true
    end)
  end)

  it("need a CA of the very account", function()
    local leaf = gate:upload_leaf(certs.leaf(root, { cn = "x" }))
    local made = deny({ serial = "1" }).body.result
    for title, case in pairs {
      ["a leaf"] = { gate.account_id, leaf.id, 400, 1411 }, ["nothing"] = { gate.account_id, NOWHERE, 404, 1472 },
      ["another account's"] = { gate:account "other", ca.id, 404, 1472 },
    } do
      local there = ("/accounts/%s/mtls_certificates/%s/moongate/denials"):format(case[1], case[2])
      for target, method in pairs { [there] = "POST", [there .. "?"] = "GET", [there .. "/" .. made.id] = "DELETE" } do
        local answer = gate:call(method, target, method == "POST" and { serial = "2" } or nil)
        assert.equal(case[3], answer.status, title)
        assert.equal(case[4], first(answer).code, title)
      end
    end
    assert.equal(1, #gate:call("GET", base).body.result)
  end)
end)
