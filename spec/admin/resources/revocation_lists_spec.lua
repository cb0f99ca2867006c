local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.revocation_lists", function()
  local gate, zone, ca, base
  local root = certs.ca("Root")
  local issuing = certs.ca("Issuing", { issuer = root })
  local gone = certs.leaf(issuing, { cn = "gone" })
  local json
  local NOWHERE = "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f"
  local now = os.time()

  local function list(options)
    local given = { this_update = now - 100, next_update = now + 1000 }
    for key, value in pairs(options or {}) do given[key] = value end
    return certs.crl(given.ca or issuing, given)
  end
  local plain, plain_path = list { revoked = { gone, "0A0B" } }
  local plain_der = certs.openssl("crl -outform DER -in " .. plain_path)
  local plain_digest = certs.openssl("dgst -sha256 -r " .. certs.write(plain_der)):match("^%x+")
  local plain_base64 = plain:match("CRL%-%-%-%-%-(.-)%-%-%-%-%-END"):gsub("%s", "")

  before_each(function()
    json = require "moongate.json"
    gate = assert(support.start())
    gate.control.clock = now + 0.25
    zone = gate:zone "heron.test"
    ca = gate:upload_ca(issuing.pem .. root.pem)
    base = ("/accounts/%s/mtls_certificates/%s/moongate/crl"):format(gate.account_id, ca.id)
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function put(body) return gate:call("PUT", base, body) end
  local function iso(seconds) return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds) end
  local function served(zone_name)
    local options = gate.control.served[zone_name or "heron.test"].trust_options
    return options and options.crls
  end
  local function associate(id, zone_id, hostname)
    return gate:call("PUT", "/zones/" .. (zone_id or zone.id) .. "/certificate_authorities/hostname_associations",
      { hostnames = { hostname or "a.heron.test" }, mtls_certificate_id = id })
  end

  describe("PUT", function()
    it("answers with what the list says, and never with the list", function()
      local answer = put { crl = plain }
      assert.equal(200, answer.status)
      local made = answer.body.result
      assert.equal("upload", made.source)
      assert.equal("CN=Issuing", made.issuer)
      assert.equal(iso(now - 100), made.this_update)
      assert.equal(iso(now + 1000), made.next_update)
      assert.equal(2, made.entries)
      assert.is_false(made.stale)
      assert.is_false(made.soft)
      for _, name in ipairs { "url", "refresh_minutes", "last_refresh", "last_error" } do assert.equal(json.null, made[name]) end
      assert.is_nil(answer.raw:find(plain_base64:sub(1, 40), 1, true))
      assert.same(made, gate:call("GET", base).body.result)
    end)

    for title, text in pairs {
      ["PEM"] = plain, ["PEM with text around it"] = "our list\r\n" .. plain:gsub("\n", "\r\n") .. "the end\n",
      ["base64"] = plain_base64, ["base64 in lines"] = plain_base64:gsub(("."):rep(64), "%0\n"),
    } do
      it("takes " .. title .. " and serves the same list", function()
        assert.equal(200, put({ crl = text, soft = true }).status)
        associate(ca.id)
        assert.same({ { ca = issuing.pem .. root.pem, text = plain_base64, digest = plain_digest, soft = true } }, served())
      end)
    end

    it("takes what stands between the lines of the block, not what only looks like it", function()
      associate(ca.id)
      assert.equal(200, put({ crl = "see -----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL----- below\n" .. plain }).status)
      assert.equal(plain_base64, served()[1].text)
    end)

    it("knows which CA of a bundle issued the list", function()
      assert.equal("CN=Root", put({ crl = list { ca = root } }).body.result.issuer)
    end)

    for title, case in pairs {
      ["no list"] = { "either crl or url", "{}" }, ["a list as object"] = { "expected a string", { crl = { "x" } } },
      ["something else"] = { "nor is it base64", { crl = "!" } },
      ["a certificate"] = { "not an X509 CRL", { crl = root.pem } },
      ["another CA's list"] = { "another name", { crl = list { ca = certs.ca "Other" } } },
      ["a list of a CA with the same name"] = { "signature is not the CA's", { crl = list { ca = certs.ca "Issuing" } } },
      ["a SHA-1 signature"] = { "weak digest", { crl = list { digest = "sha1" } } },
      ["a delta list"] = { "delta", { crl = list { extensions = { "2.5.29.27=critical,ASN1:INTEGER:1" } } } },
      ["more than 10 MiB"] = { "10 MiB", { crl = ("M"):rep(15 * 1024 * 1024) } },
      ["a list that has ended"] = { "it ended at", { crl = list { this_update = now - 500, next_update = now - 100 } } },
      ["a list of tomorrow"] = { "it begins at", { crl = list { this_update = now + 500 } } },
      ["a flag as text"] = { "true or false", { crl = plain, soft = "yes" } },
    } do
      it("refuses " .. title .. " and changes nothing", function()
        put { crl = plain }
        local answer = put(case[2])
        assert.equal(400, answer.status)
        assert.equal(21087, first(answer).code)
        assert.truthy(first(answer).message:find(case[1], 1, true), first(answer).message)
        assert.equal(2, gate:call("GET", base).body.result.entries)
      end)
    end

    it("refuses more than 16 MiB of body with 413", function()
      assert.equal(413, put(('{"crl":"%s"}'):format(("M"):rep(16 * 1024 * 1024))).status)
    end)

    it("takes a list that has ended when it is soft, and says that it is stale", function()
      local answer = put { crl = list { this_update = now - 500, next_update = now - 100 }, soft = true }
      assert.equal(200, answer.status)
      assert.is_true(answer.body.result.stale)
    end)

    it("refuses an older list of the same CA, takes an equal one and one of the bundle's other CA", function()
      put { crl = plain }
      local answer = put { crl = list { this_update = now - 200 } }
      assert.equal(400, answer.status)
      assert.equal(21088, first(answer).code)
      assert.equal(200, put({ crl = plain, soft = true }).status)
      assert.equal(200, put({ crl = list { this_update = now - 100 } }).status)
      assert.equal(200, put({ crl = list { ca = root, this_update = now - 300 } }).status)
    end)

    it("keeps the time of creation", function()
      local before = put({ crl = plain }).body.result
      gate.control.clock = gate.control.clock + 1
      local after = put({ crl = plain }).body.result
      assert.equal(before.created_on, after.created_on)
      assert.not_equal(before.modified_on, after.modified_on)
    end)
  end)

  describe("what is served", function()
    it("are the lists of associated CAs, in all zones of the account that have them and in no other", function()
      local stork, crane = gate:zone "stork.test", gate:zone "crane.test"
      associate(ca.id)
      associate(ca.id, stork.id, "a.stork.test")
      associate(gate:upload_ca(certs.ca("Other").pem).id, crane.id, "a.crane.test")
      put { crl = plain }
      for _, name in ipairs { "heron.test", "stork.test" } do
        assert.same({ { ca = issuing.pem .. root.pem, text = plain_base64, digest = plain_digest, soft = false } }, served(name))
      end
      assert.is_nil(served "crane.test")
      assert.equal(200, gate:call("DELETE", base).status)
      assert.is_nil(served())
      assert.is_nil(served "stork.test")
    end)

    it("stands beside denials, and in the last good snapshot once", function()
      associate(ca.id)
      associate(ca.id, gate:zone("stork.test").id, "a.stork.test")
      put { crl = plain }
      gate:call("POST", (base:gsub("crl$", "denials")), { sha256 = ("0a"):rep(32) })
      local before = gate.control.served["heron.test"].trust_options
      assert.equal(1, #before.denials)
      gate.app:stop()
      local path = gate.directory .. "/data/last-good.json"
      assert.equal(1, select(2, gate.control.files[path]:gsub(plain_base64:gsub("%p", "%%%0"), "")))
      os.execute(("rm %s/data/moongate.db* && mkdir %s/data/moongate.db"):format(gate.directory, gate.directory))
      local again = assert(support.start { directory = gate.directory, config = { serve_without_store = true } })
      assert.same(before, again.control.served["heron.test"].trust_options)
      assert.same(before, again.control.served["stork.test"].trust_options)
    end)
  end)

  it("says that a list is stale once it has ended", function()
    put { crl = plain }
    gate.control.clock = now + 1000
    assert.is_true(gate:call("GET", base).body.result.stale)
  end)

  it("answers 404 where there is none, and after DELETE", function()
    for _ = 1, 2 do
      for _, method in ipairs { "GET", "DELETE" } do
        local answer = gate:call(method, base)
        assert.equal(404, answer.status)
        assert.equal(21086, first(answer).code)
      end
      put { crl = plain }
      assert.equal(2, gate:call("DELETE", base).body.result.entries)
    end
  end)

  it("goes with its CA", function()
    put { crl = plain }
    assert.equal(200, gate:call("DELETE", ("/accounts/%s/mtls_certificates/%s"):format(gate.account_id, ca.id)).status)
    gate.app.store:read(function(tx)
      assert.equal(0, tx:one("SELECT count(*) AS n FROM revocation_lists").n)
      return true
    end)
  end)

  it("needs a CA of the very account", function()
    put { crl = plain }
    local leaf = gate:upload_leaf(certs.leaf(root, { cn = "x" }))
    for title, case in pairs {
      ["a leaf"] = { gate.account_id, leaf.id, 400, 1411 }, ["nothing"] = { gate.account_id, NOWHERE, 404, 1472 },
      ["another account's"] = { gate:account "other", ca.id, 404, 1472 },
    } do
      local there = ("/accounts/%s/mtls_certificates/%s/moongate/crl"):format(case[1], case[2])
      for method, body in pairs { PUT = { crl = plain }, GET = "", DELETE = "" } do
        local answer = gate:call(method, there, body)
        assert.equal(case[3], answer.status, title)
        assert.equal(case[4], first(answer).code, title)
      end
    end
    assert.equal(200, gate:call("GET", base).status)
  end)

  it("reads DER as it comes from elsewhere", function()
    local read = require("moongate.admin.revocation_list").read(gate.control, issuing.pem, plain_der)
    assert.equal(plain_base64, read.list)
    assert.equal(2, read.entries)
  end)
end)
