-- What a certificate is for: extended key usage at every place of the path, key usage of the leaf, the old Netscape types, and
-- the three demands that a host may make.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local tls = require "spec.support.cdef_tls"

local function check(cases) chains.check(it, cases) end

describe("the use of a certificate", function() -- X-2
  local root, key

  setup(function()
    root = certs.ca("Uses")
    key = certs.leaf(root, { cn = "key" }) -- its key serves all leaves
  end)

  local function leaf_with(options)
    return function()
      options.key = key
      return tls.trust(root.pem), certs.leaf(root, options)
    end
  end

  describe("in the extended key usage of the leaf", function()
    check {
      { "clientAuth, critical", "OK", leaf_with { eku = "critical,clientAuth" } },
      { "clientAuth and a usage nobody knows, critical", "OK", leaf_with { eku = "critical,clientAuth,1.2.3.4" } },
      { "clientAuth and mail", "OK", leaf_with { eku = "clientAuth,emailProtection" } },
      { "clientAuth and a smart card's", "OK", leaf_with { eku = "clientAuth,msSmartcardLogin" } },
      { "clientAuth and any", "OK", leaf_with { eku = "clientAuth,anyExtendedKeyUsage" } },
      { "a smart card's alone", "PURPOSE", leaf_with { eku = "msSmartcardLogin" } },
      { "mail", "PURPOSE", leaf_with { eku = "emailProtection" } },
      { "code", "PURPOSE", leaf_with { eku = "codeSigning" } },
      { "time stamps", "PURPOSE", leaf_with { eku = "critical,timeStamping" } },
      { "OCSP answers", "PURPOSE", leaf_with { eku = "OCSPSigning" } },
      { "servers and mail", "PURPOSE", leaf_with { eku = "serverAuth,emailProtection" } },
      { "a number like clientAuth's and one more", "PURPOSE", leaf_with { eku = "1.3.6.1.5.5.7.3.2.1" } },
    }
  end)

  describe("in the extended key usage of an intermediate", function()
    local function under(usage, leaf_usage)
      return function()
        local ca = certs.ca("Purposeful", { issuer = root, extensions = { "extendedKeyUsage=" .. usage } })
        return tls.trust(root.pem), certs.leaf(ca, { key = key, eku = leaf_usage }), { ca }
      end
    end
    check {
      { "clientAuth", "OK", under("clientAuth") },
      { "clientAuth and serverAuth", "OK", under("clientAuth,serverAuth") },
      { "clientAuth over a leaf without any", "OK", under("clientAuth", false) },
      { "mail", "PURPOSE", under("emailProtection") },
      { "servers over a leaf without any", "PURPOSE", under("serverAuth", false) },
    }
  end)

  describe("in the extended key usage of the anchor", function()
    local function below(usage)
      return function()
        local ca = certs.ca("Purposeful", { extensions = { "extendedKeyUsage=" .. usage } })
        return tls.trust(ca.pem), certs.leaf(ca, { key = key })
      end
    end
    check {
      { "clientAuth", "OK", below("clientAuth") },
      { "serverAuth and clientAuth", "OK", below("serverAuth,clientAuth") },
      { "servers", "PURPOSE", below("serverAuth") },
      { "servers, of an intermediate that is the anchor", "PURPOSE", function()
        local ca = certs.ca("Purposeful", { issuer = root, extensions = { "extendedKeyUsage=serverAuth" } })
        return tls.trust(ca.pem), certs.leaf(ca, { key = key })
      end },
    }
  end)

  describe("in the key usage of the leaf", function()
    local function with(usage) return leaf_with { extensions = { "keyUsage=critical," .. usage } } end
    check {
      { "signatures and encipherment", "OK", with("digitalSignature,keyEncipherment") },
      { "signatures and certificates", "OK", with("digitalSignature,keyCertSign") },
      { "agreement, encipher only", "OK", with("keyAgreement,encipherOnly") },
      { "non-repudiation only", "PURPOSE", with("nonRepudiation") },
      { "data encipherment only", "PURPOSE", with("dataEncipherment") },
      { "revocation lists only", "PURPOSE", with("cRLSign") },
      { "not critical, encipherment only", "PURPOSE", leaf_with { extensions = { "keyUsage=keyEncipherment" } } },
    }
  end)

  describe("in a Netscape type", function()
    check {
      { "client", "OK", leaf_with { extensions = { "nsCertType=client" } } },
      { "client and mail", "OK", leaf_with { extensions = { "nsCertType=client,email" } } },
      { "server", "PURPOSE", leaf_with { extensions = { "nsCertType=server" } } },
    }
  end)

  describe("on a host with another demand", function()
    -- Whether a certificate verifies with each demand: require, warn, ignore.
    local function verdicts(make)
      local ca, certificate, presented = make()
      local told = {}
      for index, usage in ipairs { "require", "warn", "ignore" } do
        local result, _, _, out = chains.verify(tls.trust_with { pems = { ca.pem }, usage = usage }, certificate, presented)
        told[index] = result .. (out.lacks_usage and ", not for clients" or "")
      end
      return told
    end

    for title, case in pairs {
      ["mail"] = { { "PURPOSE", "OK, not for clients", "OK" }, function()
        return root, certs.leaf(root, { key = key, eku = "emailProtection" })
      end },
      ["a smart card's alone"] = { { "PURPOSE", "OK, not for clients", "OK" }, function()
        return root, certs.leaf(root, { key = key, eku = "msSmartcardLogin" })
      end },
      ["an intermediate for servers"] = { { "PURPOSE", "OK, not for clients", "OK" }, function()
        local ca = certs.ca("Servers", { issuer = root, extensions = { "extendedKeyUsage=serverAuth" } })
        return root, certs.leaf(ca, { key = key }), { ca }
      end },
      ["servers, and signed by a leaf"] = { { "PURPOSE", "INVALID_CA", "INVALID_CA" }, function()
        local between = certs.leaf(root, { cn = "between" })
        return root, certs.leaf(between, { key = key, eku = "serverAuth" }), { between }
      end },
      ["servers, and ended"] = { { "PURPOSE", "EXPIRED", "EXPIRED" }, function()
        return root, certs.leaf(root, { key = key, eku = "serverAuth", not_before = os.time() - 900, not_after = os.time() - 90 })
      end },
      ["servers, under another CA"] = { { "UNTRUSTED", "UNTRUSTED", "UNTRUSTED" }, function()
        return root, certs.leaf(certs.ca "Elsewhere", { key = key, eku = "serverAuth" })
      end },
      ["a CA's own certificate"] = { { "PURPOSE", "PURPOSE", "PURPOSE" }, function() return root, root end },
    } do
      it(title .. ": " .. table.concat(case[1], "; "), function() assert.same(case[1], verdicts(case[2])) end)
    end
  end)

  it("follows from the extension as a whole: a malformed one is none", function()
    for _, extension in ipairs { "2.5.29.37=DER:3003020101", "2.5.29.15=DER:0403", "2.5.29.19=DER:0402FFFF" } do
      local odd = certs.leaf(root, { key = key, eku = false, extensions = { "keyUsage=", "basicConstraints=", extension } })
      assert.not_equal("OK", (chains.verify(tls.trust(root.pem), odd)), extension)
    end
  end)
end)
