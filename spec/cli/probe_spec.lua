-- Certificates of a proof, read again by OpenSSL's own program; connections are in spec/flow/prove_spec.lua.

local probe = require "moongate.cli.probe"
local shell = require "spec.support.shell"

describe("moongate.cli.probe.specimen()", function()
  local directory
  local NOW = os.time()

  setup(function() directory = shell.directory "probe" end)
  teardown(function() shell.remove_directory(directory) end)

  local function write(name, text)
    local file = assert(io.open(directory .. "/" .. name, "wb"))
    file:write(text)
    file:close()
    return directory .. "/" .. name
  end
  local function text_of(specimen)
    return shell.run({ "openssl", "x509", "-noout", "-text", "-in", write("one.pem", specimen.certificate) }).stdout
  end

  it("makes a CA under which a leaf verifies", function()
    local ca = probe.specimen { name = "Root", is_ca = true, from = NOW - 60, to = NOW + 60 }
    local leaf = probe.specimen { name = "Leaf", issuer = ca, usage = "clientAuth", from = NOW - 60, to = NOW + 60 }
    local result = shell.run { "openssl", "verify", "-purpose", "sslclient", "-x509_strict", "-CAfile", write("ca.pem", ca.certificate),
      write("leaf.pem", leaf.certificate) }
    assert.equal(0, result.status, result.stderr)
    assert.equal(0, shell.run({ "openssl", "pkey", "-noout", "-check", "-in", write("leaf.key", leaf.key) }).status)
  end)

  for _, case in ipairs {
    { "the name", { name = "Somebody" }, "Subject: CN = Somebody" },
    { "the use", { usage = "serverAuth" }, "TLS Web Server Authentication" },
    { "the key identifier", { identifier = "00112233" }, "00:11:22:33" },
    { "the time", { from = 1767225600 }, "Not Before: Jan  1 00:00:00 2026 GMT" },
    { "a CA", { is_ca = true }, "CA:TRUE" },
    { "no CA", {}, "CA:FALSE" },
    { "SHA-1", { with_sha1 = true }, "ecdsa-with-SHA1" },
  } do
    it("does as it is told about " .. case[1], function()
      local wanted = { name = "One", from = NOW - 60, to = NOW + 60 }
      for key, value in pairs(case[2]) do wanted[key] = value end
      local text = text_of(probe.specimen(wanted))
      assert.truthy(text:find(case[3], 1, true), text)
    end)
  end

  it("fails with the reason when the issuer is none", function()
    local ok, reason = pcall(probe.specimen, { name = "One", issuer = { certificate = "x", key = "y" }, from = NOW, to = NOW })
    assert.is_false(ok)
    assert.truthy(tostring(reason):find("issuer", 1, true), tostring(reason))
  end)
end)
