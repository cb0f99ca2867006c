local certs = require "spec.support.certs"
local cli = require "spec.support.cli"
local json = require "moongate.json"

describe("moongate host", function()
  local line, zone
  local root = certs.ca "Host root"
  local other = certs.ca "Host other"

  before_each(function()
    line = cli.start()
    zone = line.gate:zone "heron.test"
    line.gate:upload_ca(root.pem, "partners")
  end)
  after_each(function() line:close() end)

  local function hostnames(query)
    return line.gate:call("GET", ("/zones/%s/certificate_authorities/hostname_associations%s"):format(zone.id, query or "")).body.result.hostnames
  end
  local function partners() return "?mtls_certificate_id=" .. line:json({ "ca", "show", "partners" }).id end

  it("adds hostnames to those of a CA, and finds the zone by itself", function()
    line:ok { "host", "add", "a.heron.test", "--ca", "partners" }
    local out, err = line:ok { "host", "add", "B.heron.test", "a.heron.test", "--ca", "partners" }
    assert.equal("B.heron.test, a.heron.test now asks for certificates of partners\n", out)
    assert.truthy(err:find("no rule enforces it", 1, true))
    assert.same({ "a.heron.test", "b.heron.test" }, { unpack(hostnames(partners())) })
    assert.same({}, { unpack(hostnames()) })
  end)

  it("means the managed CA when no CA is named", function()
    line:ok { "host", "add", "a.heron.test" }
    assert.same({ "a.heron.test" }, { unpack(hostnames()) })
  end)

  it("removes hostnames and leaves the others", function()
    line:ok { "host", "add", "a.heron.test", "b.heron.test", "--ca", "partners" }
    line:ok { "host", "remove", "a.heron.test", "--ca", "partners", "--yes" }
    assert.same({ "b.heron.test" }, { unpack(hostnames(partners())) })
    local result = line:run { "host", "remove", "a.heron.test", "--ca", "partners", "--yes" }
    assert.equal(1, result.code)
    assert.truthy(result.err:find("a.heron.test is not associated with this CA", 1, true))
  end)

  it("removes nothing unasked", function()
    line:ok { "host", "add", "a.heron.test" }
    assert.equal(2, line:run({ "host", "remove", "a.heron.test" }).code)
    assert.same({ "a.heron.test" }, { unpack(hostnames()) })
  end)

  it("lists hostnames with their CAs", function()
    local id = line.gate:upload_ca(other.pem).id
    line:ok { "host", "add", "b.heron.test", "--ca", "partners" }
    line:ok { "host", "add", "a.heron.test", "b.heron.test", "--ca", id }
    line:ok { "host", "add", "b.heron.test" }
    local out = line:ok { "host", "list", "--zone", "heron.test" }
    assert.truthy(out:find("\na.heron.test  " .. id .. "\n", 1, true), out)
    assert.truthy(out:find("\nb%.heron%.test  %(managed%), "))
    local list = line:json { "host", "list", "--zone", "heron.test" }
    assert.equal(3, #list)
    assert.equal(json.null, list[1].mtls_certificate_id)
  end)

  it("chooses the closest zone", function()
    local inner = line.gate:zone "in.heron.test"
    line:ok { "host", "origin", "set", "*.in.heron.test", "http://127.0.0.1:9000" }
    assert.equal(1, #line.gate:call("GET", ("/zones/%s/moongate/origins"):format(inner.id)).body.result)
    line:ok { "host", "origin", "set", "x.heron.test", "http://127.0.0.1:9000" }
    assert.equal(1, #line.gate:call("GET", ("/zones/%s/moongate/origins"):format(zone.id)).body.result)
  end)

  describe("origin", function()
    it("sets, lists and unsets", function()
      line.gate:upload_leaf(certs.leaf(root))
      local leaf = line.gate:call("GET", ("/accounts/%s/mtls_certificates?ca=false"):format(line.gate.account_id)).body.result[1].id
      line:ok { "host", "origin", "set", "*", "https://127.0.0.1:9000", "--zone", "heron.test", "--host-header", "h.test", "--sni", "s.test",
        "--ca-file", root.path, "--client-certificate", leaf, "--no-verify" }
      local origin = line:json({ "host", "origin", "list", "-z", "heron.test" })[1]
      assert.equal("h.test", origin.host_header)
      assert.equal("s.test", origin.sni)
      assert.equal(root.pem, origin.ca)
      assert.equal(leaf, origin.client_certificate_id)
      assert.is_false(origin.verify)
      line:ok { "host", "origin", "set", "*", "https://127.0.0.1:9000", "--zone", "heron.test" }
      assert.is_true(line:json({ "host", "origin", "list", "-z", "heron.test" })[1].verify)
      assert.truthy(line:ok({ "host", "origin", "list", "-z", "heron.test" }):find("\n*         https://127.0.0.1:9000  yes", 1, true))
      line:ok { "host", "origin", "unset", "*", "-z", "heron.test", "-y" }
      assert.equal(0, #line:json { "host", "origin", "list", "-z", "heron.test" })
    end)
  end)

  for _, case in ipairs {
    { "a hostname in no zone", { "host", "add", "a.stork.test" }, 1, "lies in no zone" },
    { "a CA that is not there", { "host", "add", "a.heron.test", "--ca", "none" }, 1, 'there is no CA "none"' },
    { "a star without a zone", { "host", "origin", "set", "*", "http://127.0.0.1:1" }, 2, "--zone" },
    { "an address that is none", { "host", "origin", "set", "a.heron.test", "127.0.0.1" }, 1, "/url" },
    { "no zone to list", { "host", "list" }, 2, "missing option" },
    { "a hostname of another zone", { "host", "add", "a.heron.test", "b.stork.test" }, 1, "it is not in the zone heron.test" },
  } do
    it("fails for " .. case[1], function()
      local result = line:run(case[2])
      assert.equal(case[3], result.code)
      assert.truthy(result.err:find(case[4], 1, true), result.err)
    end)
  end
end)
