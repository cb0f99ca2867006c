-- Which certificate answers for a name; and that equal choices are one thing.

local certs = require "spec.support.certs"
local script = require "spec.support.script"

local chosen = require "moongate.server_certificates"

local NOW, SOON, BEFORE = "2026-05-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-04-30T23:59:59Z"

local function certificate(name, hosts, kind, expires_on)
  return { name = name, hosts = hosts, kind = kind or "EC", expires_on = expires_on or SOON }
end

describe("moongate.server_certificates", function()
  describe("choose()", function()
    local exact, wild = certificate("exact", { "a.x.test" }), certificate("wild", { "*.x.test" })
    local exact_rsa, wild_rsa = certificate("exact rsa", { "a.x.test" }, "RSA"), certificate("wild rsa", { "*.x.test" }, "RSA")
    local old, old_wild = certificate("old", { "a.x.test" }, "EC", BEFORE), certificate("old wild", { "*.x.test" }, "EC", NOW)
    local twin = certificate("twin", { "a.x.test" })

    for _, case in ipairs {
      { "nothing", {}, "a.x.test", "" },
      { "the one for the very name", { exact }, "a.x.test", "exact" },
      { "a wildcard one label above", { wild }, "a.x.test", "wild" },
      { "no wildcard for the name below it", { wild }, "x.test", "" },
      { "no wildcard two labels above", { wild }, "a.b.x.test", "" },
      { "the wildcard for the wildcard", { exact, wild }, "*.x.test", "wild" },
      { "no exact one for a wildcard", { exact }, "*.x.test", "" },
      { "nothing for the rest of a zone", { exact, wild }, "*", "" },
      { "the exact one before a wildcard that is preferred", { wild, exact }, "a.x.test", "exact" },
      { "the preferred of two", { twin, exact }, "a.x.test", "twin" },
      { "both kinds of key", { exact, exact_rsa }, "a.x.test", "exact+exact rsa" },
      { "both kinds of key, the preferred first", { exact_rsa, exact }, "a.x.test", "exact rsa+exact" },
      { "the other kind from a wildcard", { wild_rsa, exact }, "a.x.test", "exact+wild rsa" },
      { "the best of the other kind", { exact, wild_rsa, exact_rsa }, "a.x.test", "exact+exact rsa" },
      { "a valid wildcard before an expired exact one", { old, wild }, "a.x.test", "wild" },
      { "an expired one when there is no other", { old, old_wild }, "a.x.test", "old" },
      { "no expired one beside a valid one", { exact_rsa, old }, "a.x.test", "exact rsa" },
      { "one that ends this very second as expired", { old_wild, wild }, "b.x.test", "wild" },
    } do
      it("gives " .. case[1], function()
        local names = {}
        for index, one in ipairs(chosen.choose(chosen.index(case[2]), case[3], NOW)) do names[index] = one.name end
        assert.equal(case[4], table.concat(names, "+"))
      end)
    end
  end)

  describe("of_zone()", function()
    local control, struct = script.control()
    local ca = certs.ca("Server CA")
    local pair = certs.leaf(ca, { eku = "serverAuth", san = "DNS:*.example.com,DNS:example.com" })
    local rsa = certs.leaf(ca, { eku = "serverAuth", key = "RSA 2048", san = "DNS:*.example.com" })

    local function uploaded(leaf, hosts, kind, context)
      assert(control.open_secrets(certs.directory() .. "/server-secrets.key", true))
      return {
        hosts = hosts, kind = kind or "EC", expires_on = "2999-01-01T00:00:00Z", certificates = leaf.chain,
        private_key = assert(control.seal(leaf.key, "c")), context = context or "c",
      }
    end
    local function zone(names, certificates)
      local hosts = {}
      for index, name in ipairs(names) do hosts[index] = { name = name } end
      return { name = "example.com", hosts = hosts, certificates = certificates }
    end

    it("gives one policy to all names with one choice, and the local CA's to the others", function()
      local one = uploaded(pair, { "*.example.com", "example.com" })
      local made = chosen.of_zone(struct, zone({ "example.com", "a.example.com", "b.example.com", "x.b.example.com", "*" },
        { one }))
      local of_host = made.of_host
      assert.equal(of_host["example.com"], of_host["a.example.com"])
      assert.equal(of_host["a.example.com"], of_host["b.example.com"])
      assert.equal(of_host["*"], made.zone)
      assert.not_equal(made.zone, of_host["a.example.com"])
      assert.not_equal(made.zone, of_host["x.b.example.com"])
      assert.not_equal(of_host["a.example.com"], of_host["x.b.example.com"])
      local again = chosen.of_zone(struct, zone({ "c.example.com" }, { one }))
      assert.equal(of_host["a.example.com"], again.of_host["c.example.com"])
    end)

    it("puts both kinds into one policy", function()
      local made = assert(chosen.of_zone(struct, zone({ "a.example.com" },
        { uploaded(pair, { "*.example.com" }), uploaded(rsa, { "*.example.com" }, "RSA") })))
      assert.truthy(made.of_host["a.example.com"].handle)
    end)

    it("keeps hosts apart whose terms differ, and takes a host's own certificates", function()
      local one, own = uploaded(pair, { "*.example.com" }), uploaded(rsa, {}, "RSA")
      local document = zone({ "a.example.com", "b.example.com", "c.example.com" }, { one })
      document.hosts[2].tls = { min_version = "1.3" }
      document.hosts[3].tls = { identities = { own } }
      local of_host = assert(chosen.of_zone(struct, document)).of_host
      assert.not_equal(of_host["a.example.com"], of_host["b.example.com"])
      assert.not_equal(of_host["a.example.com"], of_host["c.example.com"])
    end)

    it("builds a whole section", function()
      local document = zone({ "a.example.com" }, { uploaded(pair, { "*.example.com" }) })
      document.id, document.version, document.rules = "z", 1, {}
      assert(control.section(document))
    end)

    for title, case in pairs {
      ["another's key"] = { function() return uploaded({ chain = pair.chain, key = rsa.key }, { "*.example.com" }) end,
        "certificate of a.example.com: private_key" },
      ["a seal of another row"] = { function() return uploaded(pair, { "*.example.com" }, "EC", "other") end,
        "certificate of a.example.com: secrets" },
    } do
      it("refuses " .. title .. ", and says which name", function()
        local policies, err = chosen.of_zone(struct, zone({ "a.example.com" }, { case[1]() }))
        assert.is_nil(policies)
        assert.equal(case[2], err.where)
      end)
    end
  end)
end)
