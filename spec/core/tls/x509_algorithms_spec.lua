-- Keys and signatures: which are strong enough, at every place of the path, and which kinds are understood.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local tls = require "spec.support.cdef_tls"

local function check(cases) chains.check(it, cases) end

describe("keys and signatures", function() -- X-8
  local root, rsa

  setup(function()
    root, rsa = certs.ca("Strong"), certs.ca("Strong RSA", { key = "RSA 2048" })
  end)

  describe("the leaf's key", function()
    local function of(kind)
      return function() return tls.trust(root.pem), certs.leaf(root, { key = kind }) end
    end
    check {
      { "P-256", "OK", of "P-256" },
      { "P-384", "OK", of "P-384" },
      { "P-521", "OK", of "P-521" },
      { "P-224", "OK", of "P-224" },
      { "secp256k1", "OK", of "secp256k1" },
      { "brainpoolP256r1", "OK", of "brainpoolP256r1" },
      { "Ed448", "OK", of "Ed448" },
      { "RSA of 2048 bits", "OK", of "RSA 2048" },
      { "RSA of 2048 bits with the exponent 3", "OK", of "RSA 2048, exponent 3" },
      { "RSA of 3072 bits", "OK", of "RSA 3072" },
      { "RSA of 1536 bits", "LEAF_KEY", of "RSA 1536" },
      { "RSA for PSS only", "OK", of "RSA-PSS 2048" },
    }

    for bits, expected in pairs { [1920] = "LEAF_KEY", [2040] = "LEAF_KEY", [4096] = "OK", [8192] = "OK", [8200] = "REJECTED" } do
      it(("RSA of %d bits: %s"):format(bits, expected), function() -- X-9
        local leaf = certs.leaf(root, { public_key_path = certs.rsa_public_key(bits) })
        assert.equal(expected, (chains.verify(tls.trust(root.pem), leaf)))
      end)
    end
  end)

  describe("an intermediate's key", function()
    local function of(kind, options)
      return function()
        local ca = certs.ca("Between", { issuer = root, key = kind })
        return tls.trust(root.pem), certs.leaf(ca, options), { ca }
      end
    end
    check {
      { "P-384", "OK", of "P-384" },
      { "Ed25519", "OK", of("Ed25519", { digest = "default" }) },
      { "RSA of 2048 bits", "OK", of "RSA 2048" },
      { "RSA of 1024 bits", "CA_KEY", of "RSA 1024" },
      { "P-192", "CA_KEY", of "P-192" },
      { "P-256 with explicit parameters", "EXPLICIT_CURVE", of "P-256 explicit" },
    }
  end)

  describe("the anchor's key", function()
    check {
      { "Ed25519", "OK", function()
        local ca = certs.ca("Edwards", { key = "Ed25519", digest = "default" })
        return tls.trust(ca.pem), certs.leaf(ca, { digest = "default" })
      end },
      { "P-192", "CA_KEY", function()
        local ca = certs.ca("Short", { key = "P-192" })
        return tls.trust(ca.pem), certs.leaf(ca)
      end },
      { "P-192 at a root that is not reached", "OK", function()
        local top = certs.ca("Short", { key = "P-192" })
        local ca = certs.ca("Long", { issuer = top })
        return tls.trust(ca.pem), certs.leaf(ca)
      end },
    }
  end)

  describe("the leaf's signature", function()
    local function signed(ca_of, options)
      return function()
        local ca = ca_of()
        return tls.trust(ca.pem), certs.leaf(ca, options)
      end
    end
    local function ec() return root end
    local function by_rsa() return rsa end
    check {
      { "ECDSA with SHA-224", "OK", signed(ec, { digest = "sha224" }) },
      { "ECDSA with SHA-384", "OK", signed(ec, { digest = "sha384" }) },
      { "ECDSA with SHA-512", "OK", signed(ec, { digest = "sha512" }) },
      { "RSA with SHA-256", "OK", signed(by_rsa, { digest = "sha256" }) },
      { "RSA with SHA-512", "OK", signed(by_rsa, { digest = "sha512" }) },
      { "RSA with SHA-1", "WEAK_DIGEST", signed(by_rsa, { digest = "sha1" }) },
      { "RSA with RIPEMD-160", "WEAK_DIGEST", signed(by_rsa, { digest = "ripemd160" }) },
      { "RSA-PSS with SHA-256", "OK", signed(by_rsa, { signing = "-sigopt rsa_padding_mode:pss" }) },
      { "RSA-PSS with SHA-512", "OK", signed(by_rsa, { digest = "sha512", signing = "-sigopt rsa_padding_mode:pss" }) },
      { "RSA-PSS with SHA-1", "WEAK_DIGEST", signed(by_rsa, { digest = "sha1", signing = "-sigopt rsa_padding_mode:pss" }) },
    }

    it("is wrong when one bit of the certificate is another", function()
      local leaf = certs.leaf(root, { cn = "genuine" })
      local der = certs.openssl("x509 -outform DER -in " .. leaf.path)
      local forged = certs.write((der:gsub("genuine", "Genuine")), ".der")
      local pem = certs.openssl("x509 -inform DER -in " .. forged)
      assert.equal("BAD_SIGNATURE", (chains.verify(tls.trust(root.pem), { pem = pem })))
    end)

    it("is wrong when it is cut off or another's", function()
      local one, two = certs.leaf(root, { cn = "one" }), certs.leaf(root, { cn = "two" })
      local function der(leaf) return certs.openssl("x509 -outform DER -in " .. leaf.path) end
      local a, b = der(one), der(two)
      -- The signature is the last part: its bytes of one behind the rest of the other.
      local mixed = a:sub(1, -61) .. b:sub(-60)
      local pem = certs.openssl("x509 -inform DER -in " .. certs.write(mixed, ".der"))
      assert.not_equal("OK", (chains.verify(tls.trust(root.pem), { pem = pem })))
    end)
  end)

  describe("through several kinds", function()
    check {
      { "EC, RSA, Ed25519, EC", "OK", function()
        local one = certs.ca("One", { issuer = root, key = "RSA 2048" })
        local two = certs.ca("Two", { issuer = one, key = "Ed25519" })
        return tls.trust(root.pem), certs.leaf(two, { digest = "default" }), { two, one }
      end },
      { "one with SHA-1 between strong ones", "WEAK_DIGEST", function()
        local one = certs.ca("One", { issuer = root })
        local two = certs.ca("Two", { issuer = one, digest = "sha1" })
        return tls.trust(root.pem), certs.leaf(two), { two, one }
      end },
      { "one with SHA-1 above the anchor", "OK", function()
        local one = certs.ca("One", { issuer = root, digest = "sha1" })
        local two = certs.ca("Two", { issuer = one })
        return tls.trust(two.pem), certs.leaf(two)
      end },
    }
  end)
end)
