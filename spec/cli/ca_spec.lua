local certs = require "spec.support.certs"
local cli = require "spec.support.cli"

describe("moongate ca", function()
  local line
  local root = certs.ca "Partner root"

  before_each(function() line = cli.start() end)
  after_each(function() line:close() end)

  it("uploads, lists, shows and deletes a CA by its name", function()
    local said = line:ok { "ca", "upload", root.path, "--name", "partners" }
    assert.truthy(said:find("^uploaded partners %("))
    local list = line:json { "ca", "list" }
    assert.equal("partners", list[1].name)
    assert.equal(root.pem, list[1].certificates)
    assert.truthy(line:ok({ "ca", "list" }):find("partners  " .. list[1].id, 1, true))
    assert.truthy(line:ok({ "ca", "show", "partners" }):find(root.pem, 1, true))
    assert.same(list[1], line:json { "ca", "show", list[1].id })
    line:ok { "ca", "delete", "partners", "-y" }
    assert.equal(0, #line:json { "ca", "list" })
  end)

  it("reads the certificates from standard input", function()
    line.stdin = root.pem
    assert.equal("Partner root", line:json({ "ca", "upload", "-" }).issuer:match("CN=([^,]+)"))
  end)

  it("does not show leaf certificates among the CAs", function()
    line.gate:upload_leaf(certs.leaf(root))
    assert.equal(0, #line:json { "ca", "list" })
  end)

  it("does not send a private key", function()
    local result = line:run { "ca", "upload", line:file("both.pem", root.pem .. root.key) }
    assert.equal(1, result.code)
    assert.truthy(result.err:find("private key", 1, true))
    assert.equal(0, #line.requests)
  end)

  it("takes the token and the certificates from standard input, but not both", function()
    line.stdin = root.pem
    local result = line:run { "ca", "upload", "-", "--token-file", "-" }
    assert.not_equal(0, result.code)
    assert.equal(0, #line.requests)
  end)

  it("gives the reason of a refusal", function()
    local result = line:run { "ca", "upload", line:file("bad.pem", "no certificate") }
    assert.equal(1, result.code)
    assert.truthy(result.err:find("Unable to parse certificate (1408) at /certificates", 1, true), result.err)
  end)

  for _, case in ipairs {
    { "a name that nothing has", { "ca", "delete", "none", "-y" }, 'there is no CA "none"' },
    { "an id that nothing has", { "ca", "show", "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f" }, "Certificate not found" },
    { "a file that is not there", { "ca", "upload", "/nowhere/ca.pem" }, "/nowhere/ca.pem: No such file" },
  } do
    it("fails for " .. case[1], function()
      local result = line:run(case[2])
      assert.equal(1, result.code)
      assert.truthy(result.err:find(case[3], 1, true), result.err)
    end)
  end
end)
