describe("moongate.admin.permissions", function()
  local permissions = require "moongate.admin.permissions"
  local A, B, Z, Y = ("a"):rep(32), ("b"):rep(32), ("c"):rep(32), ("d"):rep(32)
  local ACCOUNT, ZONE = "com.cloudflare.api.account.", "com.cloudflare.api.account.zone."

  local function policy(effect, group, resources)
    return { effect = effect, permission_groups = { { id = permissions.by_name[group].id } }, resources = resources }
  end
  local function identity(...) return { id = "t", policies = { ... } } end

  it("has unique ids and names", function()
    local seen = {}
    for _, group in ipairs(permissions.list) do
      assert.is_nil(seen[group.id])
      assert.is_nil(seen[group.name])
      seen[group.id], seen[group.name] = true, true
      assert.truthy(group.id:find("^%x+$"))
      assert.equal(32, #group.id)
    end
    assert.equal("c03055bc037c4ea9afb9a9f104b7b721", permissions.by_name["SSL and Certificates Write"].id)
    assert.equal("db37e5f1cb1a4e1aabaef8deaea43575", permissions.by_name["Account: SSL and Certificates Write"].id)
  end)

  describe("need()", function()
    it("refuses unknown groups and mixed scopes", function()
      assert.has_error(function() permissions.need("read", "Nothing") end)
      assert.has_error(function() permissions.need("read", "Zone", "Account WAF") end)
    end)
  end)

  describe("allows()", function()
    local zone_read, zone_write = permissions.need("read", "Zone WAF"), permissions.need("write", "Zone WAF")
    local account_read = permissions.need("read", "Account WAF")
    local here = { account_id = A, zone_id = Z }

    for _, case in ipairs {
      { "one zone", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. Z] = "*" })), here, true },
      { "another zone", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. Y] = "*" })), here, false },
      { "all zones", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" })), here, true },
      { "all zones of the account", zone_read, identity(policy("allow", "Zone WAF Read", { [ACCOUNT .. A] = { [ZONE .. "*"] = "*" } })), here, true },
      { "all zones of another account", zone_read, identity(policy("allow", "Zone WAF Read", { [ACCOUNT .. B] = { [ZONE .. "*"] = "*" } })), here, false },
      { "all zones of all accounts", zone_read, identity(policy("allow", "Zone WAF Read", { [ACCOUNT .. "*"] = { [ZONE .. "*"] = "*" } })), here, true },
      { "the account, for a zone's group", zone_read, identity(policy("allow", "Zone WAF Read", { [ACCOUNT .. A] = "*" })), here, false },
      { "the account", account_read, identity(policy("allow", "Account WAF Read", { [ACCOUNT .. A] = "*" })), { account_id = A }, true },
      { "all accounts", account_read, identity(policy("allow", "Account WAF Read", { [ACCOUNT .. "*"] = "*" })), { account_id = A }, true },
      { "another account", account_read, identity(policy("allow", "Account WAF Read", { [ACCOUNT .. B] = "*" })), { account_id = A }, false },
      { "Write where Read is needed", zone_read, identity(policy("allow", "Zone WAF Write", { [ZONE .. Z] = "*" })), here, true },
      { "Read where Write is needed", zone_write, identity(policy("allow", "Zone WAF Read", { [ZONE .. Z] = "*" })), here, false },
      { "another group", zone_read, identity(policy("allow", "DNS Read", { [ZONE .. Z] = "*" })), here, false },
      { "no policy", zone_read, identity(), here, false },
      { "a deny beside an allow", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" }),
        policy("deny", "Zone WAF Read", { [ZONE .. Z] = "*" })), here, false },
      { "a deny before an allow", zone_read, identity(policy("deny", "Zone WAF Read", { [ZONE .. Z] = "*" }),
        policy("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" })), here, false },
      { "a deny elsewhere", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" }),
        policy("deny", "Zone WAF Read", { [ZONE .. Y] = "*" })), here, true },
      { "a denied Write, reading", zone_read, identity(policy("allow", "Zone WAF Write", { [ZONE .. Z] = "*" }),
        policy("deny", "Zone WAF Write", { [ZONE .. Z] = "*" })), here, true },
      { "a denied Read, writing", zone_write, identity(policy("allow", "Zone WAF Write", { [ZONE .. Z] = "*" }),
        policy("deny", "Zone WAF Read", { [ZONE .. Z] = "*" })), here, false },
      { "everything", zone_write, { everything = true }, here, true },
      { "everything of its account", zone_write, { everything = true, account_id = A }, here, true },
      { "everything of another account", zone_write, { everything = true, account_id = B }, here, false },
      { "a zone that does not exist, all zones", zone_read, identity(policy("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" })), { zone_id = Z }, true },
      { "a zone that does not exist, one account", zone_read,
        identity(policy("allow", "Zone WAF Read", { [ACCOUNT .. A] = { [ZONE .. "*"] = "*" } })), { zone_id = Z }, false },
    } do
      it(("says %s to %s"):format(tostring(case[5]), case[1]), function()
        assert.equal(case[5], permissions.allows(case[3], case[2], case[4]))
      end)
    end
  end)

  describe("allows_everywhere()", function()
    local need = permissions.need("read", "Zone")

    it("is true for all zones and false as soon as something is left out", function()
      assert.is_true(permissions.allows_everywhere({ everything = true }, need))
      assert.is_true(permissions.allows_everywhere(identity(policy("allow", "Zone Read", { [ZONE .. "*"] = "*" })), need))
      assert.is_false(permissions.allows_everywhere({ everything = true, account_id = A }, need))
      assert.is_false(permissions.allows_everywhere(identity(policy("allow", "Zone Read", { [ZONE .. Z] = "*" })), need))
      assert.is_false(permissions.allows_everywhere(identity(policy("allow", "Zone Read", { [ZONE .. "*"] = "*" }),
        policy("deny", "DNS Read", { [ZONE .. Z] = "*" })), need))
    end)
  end)
end)
