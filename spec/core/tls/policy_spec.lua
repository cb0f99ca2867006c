-- Server terms: which are refused when they are built. What they do in a handshake stands in session_spec.

local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local loop = require "spec.support.tls_loop"

describe("tls.policy", function()
  local root, sub, leaf

  setup(function()
    root = certs.ca("Root")
    sub = certs.ca("Issuing", { issuer = root })
    leaf = certs.leaf(sub, { eku = "serverAuth", san = "DNS:a.test" })
  end)

  describe("new()", function()
    for _, version in ipairs { 0, 0x0300, 0x0301, 0x0302, 0x0305, 0xFEFD } do
      it(("refuses version 0x%04x"):format(version), function()
        local policy, where, text = tls.policy(leaf, version)
        assert.is_nil(policy)
        assert.equal("min_version", where)
        assert.matches(("0x%04x"):format(version), text)
      end)
    end

    for _, case in ipairs {
      { "no certificate", function() return { chain = "", key = leaf.key } end, "certificates", "no CERTIFICATE block" },
      { "no key", function() return { chain = leaf.chain, key = "" } end, "private_key", "no readable" },
      { "a key of another certificate", function() return { chain = leaf.chain, key = sub.key } end, "private_key",
        "does not belong" },
      { "the chain in the wrong order", function() return { chain = sub.pem .. leaf.pem, key = leaf.key } end, "private_key",
        "does not belong" },
      { "an RSA key of 1024 bits", function() return certs.leaf(root, { key = "RSA 1024" }) end, "certificates",
        "block 1 .*key too small" },
      { "a SHA-1 certificate", function()
        local weak = certs.leaf(root, { digest = "sha1" })
        return { chain = weak.pem, key = weak.key }
      end, "certificates", "block 1 .*md too weak" },
      { "a SHA-1 intermediate", function()
        local weak = certs.ca("Weak", { issuer = root, digest = "sha1" })
        local below = certs.leaf(weak)
        return { chain = below.pem .. weak.pem, key = below.key }
      end, "certificates", "block 2 .*md too weak" },
      { "a key in the certificates", function() return { chain = leaf.pem .. leaf.key, key = leaf.key } end, "certificates",
        "block 2 is a PRIVATE KEY" },
    } do
      it("refuses " .. case[1], function()
        local policy, where, text = tls.policy(case[2]())
        assert.is_nil(policy)
        assert.equal(case[3], where)
        assert.matches(case[4], text)
      end)
    end
  end)

  it("sends the given chain and nothing else", function()
    for expected, chain in pairs { [1] = leaf.pem, [2] = leaf.pem .. sub.pem, [3] = leaf.chain } do
      local server = loop.server { { policy = tls.policy { chain = chain, key = leaf.key } } }
      local client = loop.openssl { version = 0x0303 }
      client:feed("")
      server:feed(client:output())
      -- in TLS 1.2 the Certificate message is in the clear; each certificate names its issuer and itself
      local flight = server:output()
      local _, found = flight:gsub("\48\130..\48\130..\160\3\2\1\2", "")
      assert.equal(expected, found)
    end
  end)

  it("is kept by the sessions that use it", function()
    local server, client = loop.server { { policy = tls.policy(leaf) } }, loop.openssl {}
    client:feed("")
    server:feed(client:output())
    server.terms, server.index[0].count = nil, 0
    collectgarbage()
    collectgarbage()
    client:feed(server:output())
    server:feed(client:output())
    assert.is_true(server:established())
    client:write("x")
    server:feed(client:output())
    assert.equal("x", server.received)
  end)
end)
