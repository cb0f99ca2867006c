describe("moongate.admin.policy", function()
  local permissions = require "moongate.admin.permissions"
  local policy = require "moongate.admin.policy"
  local A, B, Y, Z, U = ("a"):rep(32), ("b"):rep(32), ("d"):rep(32), ("c"):rep(32), ("e"):rep(32)
  local ACCOUNT, ZONE, USER =
    "com.cloudflare.api.account.", "com.cloudflare.api.account.zone.", "com.cloudflare.api.user."

  local function rule(effect, group, resources)
    return { effect = effect, permission_groups = { { id = permissions.by_name[group].id } }, resources = resources }
  end
  local function identity(...) return { id = "t", policies = { ... } } end

  describe("read_key()", function()
    for _, case in ipairs {
      { ACCOUNT .. A, "account", A },
      { ACCOUNT .. "*", "account", "*" },
      { ZONE .. Z, "zone", Z },
      { ZONE .. "*", "zone", "*" },
      { USER .. U, "user", U },
      { USER .. "*", "user", "*" },
      { "com.cloudflare.api.account" },
      { ACCOUNT },
      { ACCOUNT .. A:upper() },
      { ACCOUNT .. A .. "0" },
      { ACCOUNT .. "**" },
      { ZONE .. "heron.test" },
      { "com.cloudflare.edge.bucket." .. A },
      { "x" .. ACCOUNT .. A },
      { "*" },
      { "" },
    } do
      it(("takes %q for %s"):format(case[1], case[2] or "nothing"), function()
        local scope, id = policy.read_key(case[1])
        assert.equal(case[2], scope)
        assert.equal(case[3], id)
      end)
    end

    it("reads what key() writes", function()
      for scope in pairs(policy.SCOPES) do
        assert.same({ scope, "*" }, { policy.read_key(policy.key(scope)) })
        assert.same({ scope, A }, { policy.read_key(policy.key(scope, A)) })
      end
    end)
  end)

  describe("allows()", function()
    local user_read, user_write = permissions.need("read", "User Details"), permissions.need("write", "User Details")
    local zone_read = permissions.need("read", "Zone WAF")
    local me = { user_id = U }

    for _, case in ipairs {
      { "the user", user_read, identity(rule("allow", "User Details Read", { [USER .. U] = "*" })), me, true },
      { "every user", user_read, identity(rule("allow", "User Details Read", { [USER .. "*"] = "*" })), me, true },
      { "another user", user_read, identity(rule("allow", "User Details Read", { [USER .. A] = "*" })), me, false },
      { "a user's group on accounts", user_read,
        identity(rule("allow", "User Details Read", { [ACCOUNT .. "*"] = "*" })), me, false },
      { "an account's group on the user", user_read,
        identity(rule("allow", "Account Settings Read", { [USER .. U] = "*" })), me, false },
      { "Read of the user where Write is needed", user_write,
        identity(rule("allow", "User Details Read", { [USER .. U] = "*" })), me, false },
      { "Write of the user where Read is needed", user_read,
        identity(rule("allow", "User Details Write", { [USER .. U] = "*" })), me, true },
      { "a token of an account, about its user", user_read, { everything = true, account_id = A }, me, false },
      { "one zone inside its account", zone_read,
        identity(rule("allow", "Zone WAF Read", { [ACCOUNT .. A] = { [ZONE .. Z] = "*" } })),
        { account_id = A, zone_id = Z }, true },
      { "another zone inside the account", zone_read,
        identity(rule("allow", "Zone WAF Read", { [ACCOUNT .. A] = { [ZONE .. Y] = "*" } })),
        { account_id = A, zone_id = Z }, false },
      { "the zone inside an account that is not its own", zone_read,
        identity(rule("allow", "Zone WAF Read", { [ACCOUNT .. B] = { [ZONE .. Z] = "*" } })),
        { account_id = A, zone_id = Z }, false },
      { "a denied account's zones beside all zones", zone_read,
        identity(rule("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" }),
          rule("deny", "Zone WAF Read", { [ACCOUNT .. A] = { [ZONE .. "*"] = "*" } })),
        { account_id = A, zone_id = Z }, false },
      { "a denied group on an account, which says nothing of zones", zone_read,
        identity(rule("allow", "Zone WAF Read", { [ZONE .. "*"] = "*" }),
          rule("deny", "Zone WAF Read", { [ACCOUNT .. A] = "*" })),
        { account_id = A, zone_id = Z }, true },
      { "an effect that nobody knows", zone_read, identity(rule("permit", "Zone WAF Read", { [ZONE .. "*"] = "*" })),
        { account_id = A, zone_id = Z }, false },
      { "a value that is not a star", zone_read, identity(rule("allow", "Zone WAF Read", { [ZONE .. Z] = "read" })),
        { account_id = A, zone_id = Z }, false },
      { "a credential without limits, where that is needed", permissions.unrestricted(), { everything = true }, {},
        true },
      { "an account's token without limits, where that is needed", permissions.unrestricted(),
        { everything = true, account_id = A }, {}, false },
      { "every group on everything, where no limits are needed", permissions.unrestricted(),
        { policies = policy.everywhere(permissions.list) }, {}, false },
    } do
      it(("says %s to %s"):format(tostring(case[5]), case[1]), function()
        assert.equal(case[5], policy.allows(case[3], case[2], case[4]))
      end)
    end
  end)

  describe("sees_account()", function()
    for _, case in ipairs {
      { "the account", { [ACCOUNT .. A] = "*" }, true },
      { "all accounts", { [ACCOUNT .. "*"] = "*" }, true },
      { "another account", { [ACCOUNT .. B] = "*" }, false },
      { "all zones", { [ZONE .. "*"] = "*" }, true },
      { "a zone of it", { [ZONE .. Z] = "*" }, true },
      { "a zone of another account", { [ZONE .. Y] = "*" }, false },
      { "all zones inside it", { [ACCOUNT .. A] = { [ZONE .. "*"] = "*" } }, true },
      { "a zone of it, inside all accounts", { [ACCOUNT .. "*"] = { [ZONE .. Z] = "*" } }, true },
      { "a zone of another account, inside all accounts", { [ACCOUNT .. "*"] = { [ZONE .. Y] = "*" } }, false },
      { "the user", { [USER .. U] = "*" }, false },
    } do
      it(("says %s to a policy over %s"):format(tostring(case[3]), case[1]), function()
        assert.equal(case[3], policy.sees_account(identity(rule("allow", "Zone Read", case[2])), A, { [Z] = true }))
      end)
    end

    it("does not count what is denied", function()
      assert.is_false(policy.sees_account(identity(rule("deny", "Zone Read", { [ACCOUNT .. A] = "*" })), A, {}))
    end)

    it("shows an account's token its own account alone", function()
      assert.is_true(policy.sees_account({ account_id = A, everything = true }, A, {}))
      assert.is_false(policy.sees_account({ account_id = B, everything = true }, A, {}))
    end)
  end)

  describe("everywhere()", function()
    it("makes one policy for each scope, over everything in it", function()
      local list = policy.everywhere { permissions.by_name["Zone Read"], permissions.by_name["User Details Read"],
        permissions.by_name["DNS Write"] }
      assert.equal(2, #list)
      assert.same({ [ZONE .. "*"] = "*" }, list[1].resources)
      assert.equal(2, #list[1].permission_groups)
      assert.same({ [USER .. "*"] = "*" }, list[2].resources)
      assert.equal("User Details Read", list[2].permission_groups[1].name)
    end)
  end)
end)
