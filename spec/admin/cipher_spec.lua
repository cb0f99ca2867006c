local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.cipher", function()
  local cipher = require "moongate.admin.cipher"

  it("knows the cipher suites that the core knows, save those of TLS 1.3", function()
    local file = assert(io.open "core/tls/ciphers.c")
    local count = 0
    for name in file:read("*a"):gmatch('{"([%w-]+)", ') do
      count = count + 1
      local reason = cipher.mistake(name)
      if name:find("^AEAD") then assert.truthy(reason:find("TLS 1.3")) else assert.is_nil(reason, name) end
    end
    file:close()
    assert.equal(23, count)
  end)

  for title, case in pairs {
    ["suites for ECDSA"] = { { "ECDHE-ECDSA-AES128-SHA" }, true, false },
    ["suites for RSA"] = { { "ECDHE-RSA-AES128-SHA" }, false, true },
    ["suites of RSA key exchange"] = { { "AES128-SHA" }, false, true },
    ["suites for both"] = { { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA" }, true, true },
    ["a suite that is no more"] = { { "DES-CBC3-SHA" }, false, false },
  } do
    it(("says with which keys %s work"):format(title), function()
      assert.equal(case[2], cipher.fits(case[1], "EC"))
      assert.equal(case[3], cipher.fits(case[1], "RSA"))
    end)
  end

  describe("beside uploaded certificates", function()
    local gate, zone, json
    local ca = certs.ca "Servers"

    setup(function()
      gate = assert(support.start())
      json = require "moongate.json"
      zone = gate:zone "heron.test"
      local function upload(names, key)
        local leaf = certs.leaf(ca, { cn = "server", eku = "serverAuth", san = names, key = key })
        local answer = gate:call("POST", "/zones/" .. zone.id .. "/custom_certificates",
          { certificate = leaf.pem, private_key = leaf.key, bundle_method = "force" })
        assert.equal(200, answer.status, answer.raw)
      end
      upload "DNS:ec.heron.test,DNS:both.heron.test"
      upload("DNS:both.heron.test", "RSA 2048")
    end)
    teardown(function() gate:close() end)

    -- The name that the answer to a change of ciphers speaks of.
    local function told(path, method, ...)
      local answer = gate:call(method, "/zones/" .. zone.id .. path, { value = json.array { ... } })
      assert.equal(200, answer.status, answer.raw)
      local first = answer.body.messages[1]
      return first and first.message:match("certificate of (%S+):")
    end

    it("tells of a name that is left nothing but TLS 1.3, of the zone or the hostname", function()
      assert.equal("ec.heron.test", told("/settings/ciphers", "PATCH", "AES128-SHA"))
      assert.equal("both.heron.test", told("/hostnames/settings/ciphers/both.heron.test", "PUT", "DES-CBC3-SHA"))
    end)

    it("tells nothing where one certificate of a name fits", function()
      assert.is_nil(told("/settings/ciphers", "PATCH", "ECDHE-ECDSA-AES128-SHA"))
      assert.is_nil(told("/settings/ciphers", "PATCH"))
      assert.is_nil(told("/hostnames/settings/ciphers/both.heron.test", "PUT", "AES128-SHA"))
      assert.is_nil(told("/hostnames/settings/ciphers/local.heron.test", "PUT", "AES128-SHA"))
    end)
  end)
end)
