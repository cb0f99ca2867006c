-- Finding a way from what a client presented to an anchor: order, noise, forgeries, names and key identifiers that agree or
-- do not. Cross-signed CAs and twins stand in trust_spec.lua.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local tls = require "spec.support.cdef_tls"

local function check(cases) chains.check(it, cases) end

describe("a path to an anchor", function()
  local root, sub, deep, leaf, stranger, strange_leaf

  setup(function()
    root = certs.ca("Paths")
    sub = certs.ca("Paths 1", { issuer = root })
    deep = certs.ca("Paths 2", { issuer = sub })
    leaf = certs.leaf(deep, { cn = "leaf" })
    stranger = certs.ca("Stranger")
    strange_leaf = certs.leaf(stranger, { cn = "leaf" })
  end)

  describe("through what was presented", function()
    check {
      { "in the order of the path", "OK", function() return tls.trust(root.pem), leaf, { deep, sub } end },
      { "in the other order", "OK", function() return tls.trust(root.pem), leaf, { sub, deep } end },
      { "with the leaf once more at the end", "OK", function() return tls.trust(root.pem), leaf, { deep, sub, leaf } end },
      { "with each intermediate three times", "OK", function()
        return tls.trust(root.pem), leaf, { deep, deep, deep, sub, sub, sub }
      end },
      { "with strangers between", "OK", function()
        return tls.trust(root.pem), leaf, { stranger, deep, strange_leaf, sub }
      end },
      { "with the root at the end", "OK", function() return tls.trust(root.pem), leaf, { deep, sub, root } end },
      { "without the first intermediate", "UNTRUSTED", function() return tls.trust(root.pem), leaf, { sub } end },
      { "without the second intermediate", "UNTRUSTED", function() return tls.trust(root.pem), leaf, { deep } end },
      { "to the second intermediate as the anchor", "OK", function() return tls.trust(sub.pem), leaf, { deep } end },
      { "to the first intermediate as the anchor", "OK", function() return tls.trust(deep.pem), leaf end },
      { "with an anchor at each level", "OK", function() return tls.trust(root.pem, sub.pem, deep.pem), leaf end },
      { "with the anchors in one text, the root last", "OK", function()
        return tls.trust(deep.pem .. sub.pem .. root.pem), leaf
      end },
      { "with the anchor of another branch", "UNTRUSTED", function()
        return tls.trust(certs.ca("Paths 1", { issuer = root }).pem), leaf, { deep }
      end },
      { "on a host of another CA", "SELF_SIGNED_IN_CHAIN", function()
        return tls.trust(stranger.pem), leaf, { deep, sub, root }
      end },
    }
  end)

  describe("that is not the client's", function() -- M-14
    check {
      { "a self-signed leaf before a genuine chain", "SELF_SIGNED", function()
        return tls.trust(root.pem), certs.leaf(nil, { cn = "leaf" }), { leaf, deep, sub }
      end },
      { "another CA's leaf before a genuine chain", "UNTRUSTED", function()
        return tls.trust(root.pem), strange_leaf, { leaf, deep, sub }
      end },
      { "a leaf under a forged copy of the intermediate", "BAD_SIGNATURE", function()
        local forged = certs.ca("Paths 1", { extensions = { "subjectKeyIdentifier=none" } })
        return tls.trust(sub.pem), certs.leaf(forged, { extensions = { "authorityKeyIdentifier=none" } })
      end },
      { "a forged copy of the root, presented", "BAD_SIGNATURE", function()
        local forged = certs.ca("Paths", { extensions = { "subjectKeyIdentifier=none" } })
        return tls.trust(root.pem), certs.leaf(forged, { extensions = { "authorityKeyIdentifier=none" } }), { forged }
      end },
      { "a leaf that claims the anchor's key identifier", "BAD_SIGNATURE", function()
        local id = certs.openssl("x509 -noout -ext subjectKeyIdentifier -in " .. root.path):match("\n%s*([%x:]+)"):gsub(":", "")
        local liar = certs.ca("Paths", { extensions = { "subjectKeyIdentifier=" .. id } })
        return tls.trust(root.pem), certs.leaf(liar)
      end },
    }
  end)

  describe("by key identifiers", function()
    local silent, named, renewed

    setup(function()
      silent = certs.ca("Identified", { issuer = root, extensions = { "subjectKeyIdentifier=none" } })
      named = certs.ca("Identified", { issuer = root, key = silent, extensions = { "subjectKeyIdentifier=0102030405" } })
      renewed = certs.ca("Identified", { issuer = root, key = silent, extensions = { "subjectKeyIdentifier=0A0B0C0D0E" } })
    end)

    check {
      { "none in the leaf, one in the CA", "OK", function()
        return tls.trust(root.pem), certs.leaf(named, { extensions = { "authorityKeyIdentifier=none" } }), { named }
      end },
      { "none in either", "OK", function()
        return tls.trust(root.pem), certs.leaf(silent, { extensions = { "authorityKeyIdentifier=none" } }), { silent }
      end },
      { "one in the leaf, none in the CA", "OK", function() return tls.trust(root.pem), certs.leaf(named), { silent } end },
      { "that agree", "OK", function() return tls.trust(root.pem), certs.leaf(named), { named } end },
      { "that do not agree", "UNTRUSTED", function() return tls.trust(root.pem), certs.leaf(named), { renewed } end },
      { "that agree with the second one presented", "OK", function()
        return tls.trust(root.pem), certs.leaf(named), { renewed, named }
      end },
      { "with the issuer's name and serial number", "OK", function()
        return tls.trust(root.pem), certs.leaf(named, { extensions = { "authorityKeyIdentifier=keyid,issuer:always" } }), { named }
      end },
      { "with another serial number of the issuer", "UNTRUSTED", function()
        local twin = certs.ca("Identified", { issuer = root, key = silent, extensions = { "subjectKeyIdentifier=0102030405" } })
        return tls.trust(root.pem), certs.leaf(named, { extensions = { "authorityKeyIdentifier=keyid,issuer:always" } }), { twin }
      end },
    }
  end)

  describe("by names", function()
    -- The CA as the leaf spells it, and as it is uploaded: one key.
    local function spelled(issuer, anchor)
      return function()
        local one = certs.ca("x", { subject = issuer })
        return tls.trust(certs.ca("x", { subject = anchor, key = one }).pem), certs.leaf(one)
      end
    end
    check {
      { "in other letters", "OK", spelled("/O=Acme/CN=Root", "/O=ACME/CN=root") },
      { "with other spaces", "OK", spelled("/CN=Acme Root", "/CN=Acme  Root ") },
      { "with other letters beyond ASCII", "UNTRUSTED", spelled("/CN=Zoë", "/CN=ZoË") },
      { "in another order", "UNTRUSTED", spelled("/O=Acme/CN=Root", "/CN=Root/O=Acme") },
      { "with one part more", "UNTRUSTED", spelled("/CN=Root", "/O=Acme/CN=Root") },
      { "with another attribute", "UNTRUSTED", spelled("/O=Root", "/CN=Root") },
      { "with the same start", "UNTRUSTED", spelled("/CN=Root", "/CN=Root 2") },
    }
  end)

  describe("through self-issued certificates", function()
    local old, new_by_old

    setup(function()
      old = certs.ca("Rolling", { path_length = 0 })
      new_by_old = certs.ca("Rolling", { issuer = old }) -- the new key, signed with the old one
    end)

    check {
      { "the new key under the old anchor, not counted for the path length", "OK", function()
        return tls.trust(old.pem), certs.leaf(new_by_old), { new_by_old }
      end },
      { "the new key alone", "BAD_SIGNATURE", function()
        return tls.trust(old.pem), certs.leaf(new_by_old, { extensions = { "authorityKeyIdentifier=none" } })
      end },
      { "the new key as the anchor", "OK", function() return tls.trust(new_by_old.pem), certs.leaf(new_by_old) end },
    }
  end)

  describe("that goes in circles", function()
    local a, b, a_by_b, b_by_a

    setup(function()
      a, b = certs.ca("Circle A"), certs.ca("Circle B")
      a_by_b, b_by_a = certs.ca("Circle A", { key = a, issuer = b }), certs.ca("Circle B", { key = b, issuer = a })
    end)

    for title, make in pairs {
      ["two CAs that signed each other"] = function() return certs.leaf(a), { a_by_b, b_by_a } end,
      ["the same four times"] = function()
        return certs.leaf(a), { a_by_b, b_by_a, a_by_b, b_by_a, a_by_b, b_by_a, a_by_b, b_by_a }
      end,
    } do
      it("ends, and leads nowhere: " .. title, function()
        local client, presented = make()
        local before = os.clock()
        assert.not_equal("OK", (chains.verify(tls.trust(root.pem), client, presented)))
        assert.is_true(os.clock() - before < 1)
      end)
    end

    check {
      { "with a way out at one of them", "OK", function()
        return tls.trust(b.pem), certs.leaf(a), { a_by_b, b_by_a }
      end },
    }
  end)

  describe("from a CA that is a client itself", function()
    check {
      { "an intermediate with a key usage for signatures", "OK", function()
        local free = certs.ca("Free", { issuer = root, extensions = { "keyUsage=critical,keyCertSign,digitalSignature" } })
        return tls.trust(root.pem), free
      end },
      { "an intermediate that may only issue", "PURPOSE", function() return tls.trust(root.pem), sub end },
    }
  end)
end)
