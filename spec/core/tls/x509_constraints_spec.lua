-- What a CA may issue: basic constraints, path lengths, key usage of CAs, name constraints of every kind.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local tls = require "spec.support.cdef_tls"

local function check(cases) chains.check(it, cases) end

describe("constraints of a CA", function()
  local root, key

  setup(function()
    root = certs.ca("Bounds")
    key = certs.leaf(root, { cn = "key" }) -- its key serves all leaves
  end)

  describe("on the length of the path", function() -- X-3
    -- A root with a path length (nil: none), and a chain of intermediates with theirs.
    local function through(root_length, ...)
      local lengths, count = { ... }, select("#", ...)
      return function()
        local top = certs.ca("Top", { path_length = root_length })
        local above, presented = top, {}
        for index = 1, count do
          above = certs.ca("Level " .. index, { issuer = above, path_length = lengths[index] or nil, key = key })
          table.insert(presented, 1, above)
        end
        return tls.trust(top.pem), certs.leaf(above, { key = key }), presented
      end
    end
    check {
      { "0 at the root, and a leaf", "OK", through(0) },
      { "0 at the root, and an intermediate", "PATH_LENGTH", through(0, false) },
      { "1 at the root, and an intermediate", "OK", through(1, false) },
      { "1 at the root, and two", "PATH_LENGTH", through(1, false, false) },
      { "0 at the last of three", "OK", through(nil, 2, 1, 0) },
      { "0 at the second of three", "PATH_LENGTH", through(nil, 1, 0, 0) },
      { "more below than above allows", "PATH_LENGTH", through(nil, 0, 5) },
      { "0 at an intermediate that is the anchor", "OK", function()
        local last = certs.ca("Last", { issuer = root, path_length = 0 })
        return tls.trust(last.pem), certs.leaf(last)
      end },
      { "0 at an intermediate that is the anchor, and one more below", "PATH_LENGTH", function()
        local last = certs.ca("Last", { issuer = root, path_length = 0 })
        local below = certs.ca("Below", { issuer = last })
        return tls.trust(last.pem), certs.leaf(below), { below }
      end },
    }
  end)

  describe("on being one", function() -- X-3
    local function under(extensions)
      return function()
        local ca = certs.ca("Odd", { issuer = root, key = key, extensions = extensions })
        return tls.trust(root.pem), certs.leaf(ca, { key = key, extensions = { "authorityKeyIdentifier=none" } }), { ca }
      end
    end
    check {
      { "basic constraints that are not critical", "OK", under { "basicConstraints=CA:TRUE" } },
      { "no key usage", "OK", under { "keyUsage=" } },
      { "key usage for signatures only", "INVALID_CA", under { "keyUsage=critical,digitalSignature" } },
      { "key usage for revocation lists only", "INVALID_CA", under { "keyUsage=critical,cRLSign" } },
      { "key usage for certificates only", "OK", under { "keyUsage=critical,keyCertSign" } },
      { "neither basic constraints nor key usage", "INVALID_CA", under { "basicConstraints=", "keyUsage=" } },
      { "version 1", "INVALID_CA", under { "basicConstraints=", "keyUsage=", "subjectKeyIdentifier=", "authorityKeyIdentifier=" } },
    }
  end)

  describe("on names", function() -- X-5
    -- A CA with these constraints over a leaf with these names.
    local function under(constraints, leaf, critical)
      return function()
        local ca = certs.ca("Bound", {
          issuer = root, key = key, extensions = { "nameConstraints=" .. (critical == false and "" or "critical,") .. constraints },
        })
        return tls.trust(root.pem), certs.leaf(ca, {
          key = key, san = leaf.san, subject = leaf.subject or "/CN=device 17", extensions = leaf.extensions,
        }), { ca }
      end
    end

    describe("of hosts", function()
      check {
        { "the very name", "OK", under("permitted;DNS:acme.test", { san = "DNS:acme.test" }) },
        { "a name far below", "OK", under("permitted;DNS:acme.test", { san = "DNS:a.b.c.acme.test" }) },
        { "a name that only ends alike", "PERMITTED", under("permitted;DNS:acme.test", { san = "DNS:evilacme.test" }) },
        { "the name above", "PERMITTED", under("permitted;DNS:a.acme.test", { san = "DNS:acme.test" }) },
        { "in capitals", "OK", under("permitted;DNS:acme.test", { san = "DNS:A.ACME.TEST" }) },
        { "a wildcard below", "OK", under("permitted;DNS:acme.test", { san = "DNS:*.acme.test" }) },
        { "a wildcard elsewhere", "PERMITTED", under("permitted;DNS:acme.test", { san = "DNS:*.test" }) },
        { "one of two outside", "PERMITTED", under("permitted;DNS:acme.test", { san = "DNS:a.acme.test,DNS:a.evil.test" }) },
        { "either of two that are permitted", "OK",
          under("permitted;DNS:acme.test,permitted;DNS:zinc.test", { san = "DNS:a.zinc.test" }) },
        { "excluded below what is permitted", "EXCLUDED",
          under("permitted;DNS:acme.test,excluded;DNS:secret.acme.test", { san = "DNS:a.secret.acme.test" }) },
        { "beside what is excluded", "OK", under("excluded;DNS:secret.acme.test", { san = "DNS:a.acme.test" }) },
        { "all hosts excluded", "EXCLUDED", function()
          -- The command does not write the empty name: excluded subtrees with one of them.
          local ca = certs.ca("None", { issuer = root, extensions = { "2.5.29.30=critical,DER:3006A10430028200" } })
          return tls.trust(root.pem), certs.leaf(ca, { key = key, san = "DNS:a.test" }), { ca }
        end },
        { "not critical, and held to all the same", "PERMITTED",
          under("permitted;DNS:acme.test", { san = "DNS:a.evil.test" }, false) },
        { "a common name like a host, without alternative names", "PERMITTED",
          under("permitted;DNS:acme.test", { subject = "/CN=a.evil.test" }) },
        { "the same inside", "OK", under("permitted;DNS:acme.test", { subject = "/CN=a.acme.test" }) },
        { "a common name that is no host", "OK", under("permitted;DNS:acme.test", { subject = "/CN=pump 17" }) },
        { "a common name beside an alternative name", "OK",
          under("permitted;DNS:acme.test", { subject = "/CN=a.evil.test", san = "DNS:a.acme.test" }) },
        { "a leaf with addresses only", "OK", under("permitted;DNS:acme.test", { san = "IP:192.0.2.1" }) },
      }
    end)

    describe("of mailboxes", function()
      check {
        { "the very mailbox", "OK", under("permitted;email:a@acme.test", { san = "email:a@acme.test" }) },
        { "another mailbox of the host", "PERMITTED", under("permitted;email:a@acme.test", { san = "email:b@acme.test" }) },
        { "a mailbox of a host below", "PERMITTED", under("permitted;email:acme.test", { san = "email:a@x.acme.test" }) },
        { "a mailbox of a host below, where those are meant", "OK", under("permitted;email:.acme.test", { san = "email:a@x.acme.test" }) },
        { "a host in capitals", "OK", under("permitted;email:acme.test", { san = "email:a@ACME.test" }) },
        { "excluded", "EXCLUDED", under("excluded;email:acme.test", { san = "email:a@acme.test" }) },
        { "in the subject", "PERMITTED", under("permitted;email:acme.test", { subject = "/CN=x/emailAddress=a@evil.test" }) },
      }
    end)

    describe("of URIs", function()
      check {
        { "of a permitted host", "OK", under("permitted;URI:acme.test", { san = "URI:https://acme.test/pump/17" }) },
        { "of a host below, where those are meant", "OK", under("permitted;URI:.acme.test", { san = "URI:spiffe://x.acme.test/pump" }) },
        { "of a host outside", "PERMITTED", under("permitted;URI:acme.test", { san = "URI:https://evil.test/acme.test" }) },
        { "with a user in front", "PERMITTED", under("permitted;URI:acme.test", { san = "URI:https://acme.test@evil.test/" }) },
        { "with a port", "OK", under("permitted;URI:acme.test", { san = "URI:https://acme.test:8443/" }) },
        { "without a host", "NAME_SYNTAX", under("permitted;URI:acme.test", { san = "URI:urn:acme.test" }) },
        { "excluded", "EXCLUDED", under("excluded;URI:acme.test", { san = "URI:https://acme.test/" }) },
      }
    end)

    describe("of addresses", function()
      check {
        { "inside", "OK", under("permitted;IP:192.0.2.0/255.255.255.0", { san = "IP:192.0.2.255" }) },
        { "excluded", "EXCLUDED", under("excluded;IP:192.0.2.0/255.255.255.0", { san = "IP:192.0.2.7" }) },
        { "inside, of version 6", "OK", under("permitted;IP:2001:db8::/ffff:ffff::", { san = "IP:2001:db8::17" }) },
        { "outside, of version 6", "PERMITTED", under("permitted;IP:2001:db8::/ffff:ffff::", { san = "IP:2001:db9::17" }) },
        { "of the other version", "PERMITTED", under("permitted;IP:192.0.2.0/255.255.255.0", { san = "IP:2001:db8::17" }) },
        { "mapped into the other version", "PERMITTED",
          under("permitted;IP:192.0.2.0/255.255.255.0", { san = "IP:::ffff:192.0.2.7" }) },
      }
    end)

    describe("of subjects", function()
      local section = "dirName:bound\n[bound]\nO=Acme"
      check {
        { "below", "OK", under("permitted;" .. section, { subject = "/O=Acme/CN=pump" }) },
        { "beside", "PERMITTED", under("permitted;" .. section, { subject = "/O=Evil/CN=pump" }) },
        { "below another part", "PERMITTED", under("permitted;" .. section, { subject = "/C=PT/O=Acme/CN=pump" }) },
        { "in other letters", "OK", under("permitted;" .. section, { subject = "/O=ACME/CN=pump" }) },
        { "excluded", "EXCLUDED", under("excluded;" .. section, { subject = "/O=Acme/CN=pump" }) },
      }
    end)

    describe("of other kinds", function()
      local other = "permitted;otherName:1.2.3.4;UTF8:x"
      check {
        { "that the leaf has", "CONSTRAINT_TYPE", under(other, { san = "otherName:1.2.3.4;UTF8:x" }) },
        { "that the leaf has not", "OK", under(other, { san = "DNS:a.test" }) },
      }
    end)

    describe("at several CAs", function()
      -- Constraints of the root (nil: none) and of two CAs below it.
      local function nested(top, first, second, san)
        return function()
          local function with(constraint) return constraint and { "nameConstraints=critical," .. constraint } end
          local anchor = certs.ca("Anchor", { extensions = with(top) })
          local one = certs.ca("One", { issuer = anchor, extensions = with(first) })
          local two = certs.ca("Two", { issuer = one, extensions = with(second) })
          return tls.trust(anchor.pem), certs.leaf(two, { key = key, cn = "pump 17", san = san }), { two, one }
        end
      end
      check {
        { "the anchor's count, too", "PERMITTED", nested("permitted;DNS:acme.test", nil, nil, "DNS:a.evil.test") },
        { "inside all", "OK", nested("permitted;DNS:test", "permitted;DNS:acme.test", "permitted;DNS:a.acme.test", "DNS:x.a.acme.test") },
        { "outside the innermost", "PERMITTED", nested("permitted;DNS:test", "permitted;DNS:acme.test", "permitted;DNS:a.acme.test", "DNS:b.acme.test") },
        { "a lower CA widens nothing", "PERMITTED", nested(nil, "permitted;DNS:acme.test", "permitted;DNS:test", "DNS:a.evil.test") },
        { "an exclusion above stays", "EXCLUDED", nested("excluded;DNS:secret.test", nil, "permitted;DNS:secret.test", "DNS:a.secret.test") },
      }
    end)

    it("that are malformed make the path fail", function()
      local result = chains.verify(under("permitted;DNS:acme.test", { san = "DNS:a.acme.test" })())
      assert.equal("OK", result)
      local ca = certs.ca("Broken", { issuer = root, extensions = { "2.5.29.30=critical,DER:3003020101" } })
      assert.not_equal("OK", (chains.verify(tls.trust(root.pem), certs.leaf(ca, { san = "DNS:a.acme.test" }), { ca })))
    end)

    it("take little time, however many names and constraints there are", function()
      local names, constraints = {}, {}
      for i = 1, 700 do names[i] = "DNS." .. i .. "=h" .. i .. ".x.test" end
      for i = 1, 700 do constraints[i] = "excluded;DNS." .. i .. "=e" .. i .. ".test" end
      local ca = certs.ca("Many", { issuer = root, extensions = { "nameConstraints=critical,@bounds\n[bounds]\n" .. table.concat(constraints, "\n") } })
      local leaf = certs.leaf(ca, { extensions = { "subjectAltName=@names\n[names]\n" .. table.concat(names, "\n") } })
      local before = os.clock()
      chains.verify(tls.trust(root.pem), leaf, { ca })
      assert.is_true(os.clock() - before < 0.5)
    end)
  end)

  describe("on policies, which are not looked at", function() -- X-9
    check {
      { "a policy is required", "OK", function()
        local ca = certs.ca("Policies", { issuer = root, extensions = { "policyConstraints=critical,requireExplicitPolicy:0" } })
        return tls.trust(root.pem), certs.leaf(ca), { ca }
      end },
      { "any policy is inhibited", "OK", function()
        local ca = certs.ca("Policies", { issuer = root, extensions = { "inhibitAnyPolicy=critical,0" } })
        return tls.trust(root.pem), certs.leaf(ca), { ca }
      end },
      { "a critical policy nobody knows", "OK", function()
        return tls.trust(root.pem), certs.leaf(root, { extensions = { "certificatePolicies=critical,1.2.3.4" } })
      end },
    }
  end)
end)
