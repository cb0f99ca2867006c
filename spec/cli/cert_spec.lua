local certs = require "spec.support.certs"
local cli = require "spec.support.cli"

describe("moongate cert", function()
  local line, zone
  local root = certs.ca "Cert root"
  local server = certs.leaf(root, { cn = "heron.test", eku = "serverAuth", san = "DNS:a.heron.test" })
  local renewed = certs.leaf(root, { cn = "heron.test", eku = "serverAuth", san = "DNS:a.heron.test" })

  before_each(function()
    line = cli.start()
    line.gate.control.clock = os.time() + 0.25
    zone = { "--zone", "heron.test" }
    line.gate:zone "heron.test"
  end)
  after_each(function() line:close() end)

  local function with(...)
    local words = { "cert", ... }
    for _, word in ipairs(zone) do words[#words + 1] = word end
    return words
  end

  it("uploads, replaces, lists and deletes server certificates", function()
    local made = line:json(with("upload", server.path, server.key_path))
    assert.same({ "a.heron.test" }, { unpack(made.hosts) })
    local again = line:json(with("upload", renewed.path, renewed.key_path, "--replace", made.id))
    assert.equal(made.id, again.id)
    local list = line:json(with "list")
    assert.equal(1, #list)
    assert.truthy(line:ok(with "list"):find(made.id .. "  a.heron.test  active", 1, true))
    line:ok(with("delete", made.id, "--yes"))
    assert.equal(0, #line:json(with "list"))
  end)

  it("says for which names a certificate is served", function()
    assert.truthy(line:ok(with("upload", server.path, server.key_path)):find("for a.heron.test, which expires on", 1, true))
  end)

  it("does not print a key", function()
    local result = line:run(with("upload", server.path, renewed.key_path))
    assert.equal(1, result.code)
    assert.truthy(result.err:find("does not match", 1, true))
    assert.is_nil((result.out .. result.err):find("PRIVATE KEY", 1, true))
  end)

  it("has client certificates signed, and prints the certificate alone", function()
    local request = certs.request { subject = "/CN=me" }
    local out, err = line:ok(with("issue", "--csr", request.path, "--days", "30"))
    assert.truthy(out:find("^%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n.*\n%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n$"))
    assert.truthy(err:find("issued ", 1, true))
    local issued = line:json(with "issued")
    assert.equal(30, issued[1].validity_days)
    assert.truthy(line:ok(with "issued"):find("  me    active", 1, true))
    line:ok(with("revoke", issued[1].id, "--yes"))
    assert.equal(0, #line:json(with("issued", "--status", "active")))
    line:ok(with("restore", issued[1].id))
    assert.equal(1, #line:json(with("issued", "--status", "active")))
  end)

  it("does not send a private key with a signing request", function()
    local request = certs.request { subject = "/CN=me" }
    local result = line:run(with("issue", "--csr", line:file("both", request.pem .. request.key)))
    assert.equal(1, result.code)
    assert.equal(0, #line.requests)
  end)

  for _, case in ipairs {
    { "an id that nothing has", { "delete", "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f", "-y" }, 1, "not found" },
    { "a number of days that is none", { "issue", "--csr", "x", "--days", "soon" }, 2, "--days" },
    { "no signing request", { "issue" }, 2, "--csr" },
    { "a file that is not there", { "upload", "/nowhere", "/nowhere" }, 1, "/nowhere: No such file" },
  } do
    it("fails for " .. case[1], function()
      local result = line:run(with(unpack(case[2])))
      assert.equal(case[3], result.code)
      assert.truthy(result.err:find(case[4], 1, true), result.err)
    end)
  end
end)
