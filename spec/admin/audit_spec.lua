local support = require "spec.support.admin"

describe("moongate.admin.audit", function()
  local gate, zone

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local function rows()
    return gate.app.store:read(function(tx) return tx:all("SELECT * FROM audit ORDER BY id") end)
  end

  local function last()
    local all = rows()
    return all[#all]
  end

  local function break_the_log()
    gate.app.store.connection:script("CREATE TRIGGER broken BEFORE INSERT ON audit "
      .. "BEGIN SELECT RAISE(ABORT, 'no'); END")
  end

  describe("a change", function()
    it("is written down with who, what, where and when", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/a.heron.test", { url = "http://127.0.0.1:9000" },
        { address = "192.0.2.7" })
      local row, user = last(), gate:call("GET", "/user").body.result
      assert.equal("2026-02-02T02:40:00.250000Z", row.at)
      assert.equal(gate.account_id, row.account_id)
      assert.equal(zone.id, row.zone_id)
      assert.equal("heron.test", row.zone_name)
      assert.equal(user.id, row.user_id)
      assert.equal("admin@localhost", row.email)
      assert.equal("spec", row.token_name)
      assert.equal(32, #row.token_id)
      assert.equal("192.0.2.7", row.address)
      assert.equal("0123456789abcdef", row.ray)
      assert.equal("API", row.interface)
      assert.equal("update", row.verb)
      assert.equal("PUT /zones/{zone_id}/moongate/origins/{hostname}", row.action)
      assert.equal("origins", row.resource_type)
      assert.equal("a.heron.test", row.resource_id)
      assert.equal(1, row.result)
      assert.is_nil(row.code)
      assert.equal(gate.control.generation, row.generation)
    end)

    for _, case in ipairs {
      { "a new zone", "zones", "create", function(call) return call("POST", "/zones", { name = "stork.test" }) end },
      { "a new account", "accounts", "create", function(call)
        return call("POST", "/accounts", { name = "other" })
      end },
      { "a changed account", "accounts", "update", function(call)
        return call("PUT", "/accounts/" .. gate.account_id, { name = "other" })
      end },
    } do
      it(("names the id of %s, in the account that it belongs to"):format(case[1]), function()
        local result = case[4](function(...) return gate:call(...).body.result end)
        local row = last()
        assert.equal(case[2], row.resource_type)
        assert.equal(case[3], row.verb)
        assert.equal(result.id, row.resource_id)
        assert.equal(result.account and result.account.id or result.id, row.account_id)
      end)
    end

    it("of the user belongs to no account", function()
      gate:call("PATCH", "/user", { first_name = "Ada" })
      local row = last()
      assert.is_nil(row.account_id)
      assert.equal("user", row.resource_type)
      assert.equal(gate:call("GET", "/user").body.result.id, row.resource_id)
    end)

    it("of a secret is called a roll and holds none", function()
      local body = { name = "t", policies = { { effect = "allow",
        permission_groups = { { id = "c8fed203ed3043cba015a93ad1616f1f" } },
        resources = { ["com.cloudflare.api.account.zone.*"] = "*" } } } }
      local made = gate:call("POST", "/user/tokens", body).body.result
      local secret = gate:call("PUT", "/user/tokens/" .. made.id .. "/value", "{}").body.result
      local row = last()
      assert.equal("roll", row.verb)
      assert.equal(made.id, row.resource_id)
      for _, each in ipairs(rows()) do
        for _, value in pairs(each) do
          assert.is_nil(tostring(value):find(secret, 1, true))
          assert.is_nil(tostring(value):find(made.value, 1, true))
        end
      end
    end)

    it("that is only tried out leaves nothing", function()
      local before = #rows()
      local answer = gate:call("PUT", "/zones/" .. zone.id
        .. "/rulesets/phases/http_request_firewall_custom/entrypoint?dry_run=true", { rules = {} })
      assert.equal(200, answer.status, answer.raw)
      assert.equal(before, #rows())
    end)

    it("is not kept when its row cannot be written", function()
      break_the_log()
      assert.truthy(gate:call("POST", "/zones", { name = "stork.test" }).status >= 500)
      gate.app.store.connection:script("DROP TRIGGER broken")
      assert.equal(1, gate:call("GET", "/zones").body.result_info.total_count)
    end)
  end)

  describe("a refusal", function()
    it("of a write that is not permitted is written down, without a new generation", function()
      local generation = gate.control.generation
      local token = gate:token { "Zone Read" }
      assert.equal(403, gate:call("DELETE", "/zones/" .. zone.id, nil, { token = token }).status)
      local row = last()
      assert.equal(0, row.result)
      assert.equal(10000, row.code)
      assert.equal("delete", row.verb)
      assert.equal(zone.id, row.resource_id)
      assert.equal(gate.account_id, row.account_id)
      assert.equal(generation, row.generation)
      assert.equal(generation, gate:call("GET", "/moongate/status").body.result.generation)
    end)

    it("of a write in another account stands in that account's log", function()
      local foreign = gate:account "other"
      local token = gate:token { account_id = foreign }
      gate:call("DELETE", "/zones/" .. zone.id, nil, { token = token })
      local row = last()
      assert.equal(gate.account_id, row.account_id)
      assert.is_nil(row.user_id)
      assert.equal(32, #row.token_id)
    end)

    it("inside the resource is written down as well", function()
      gate:call("POST", "/zones", { name = "x.test", account = { id = ("0"):rep(32) } })
      assert.equal(0, last().result)
      assert.equal(10000, last().code)
    end)

    it("of reading, or of a value, leaves nothing", function()
      local token = gate:token { "DNS Read" }
      local before = #rows()
      gate:call("GET", "/zones/" .. zone.id, nil, { token = token })
      gate:call("POST", "/zones", { name = "not a name" })
      gate:call("POST", "/zones", "not json")
      gate:call("DELETE", "/zones/" .. ("0"):rep(32))
      assert.equal(before, #rows())
    end)

    it("is answered all the same when its row cannot be written, and logged", function()
      break_the_log()
      local token = gate.owner:sub(1, 8) .. ("x"):rep(40)
      assert.equal(403, gate:call("GET", "/zones", nil, { token = token }).status)
      assert.is_true(gate:logged "the audit log: a refusal could not be written")
    end)
  end)

  describe("a failed authentication", function()
    local function guess(address)
      return gate:call("GET", "/zones", nil, { token = ("x"):rep(40), address = address })
    end

    it("is written down at first, and when the address is slowed down", function()
      local before = #rows()
      for _ = 1, 110 do guess "192.0.2.1" end
      local all = rows()
      assert.equal(before + 2, #all)
      for index, code in ipairs { 9109, 971 } do
        local row = all[before + index]
        assert.equal("authenticate", row.verb)
        assert.equal(0, row.result)
        assert.equal(code, row.code)
        assert.equal("192.0.2.1", row.address)
        assert.is_nil(row.account_id)
        assert.is_nil(row.token_id)
      end
    end)

    it("cannot fill the log from many addresses", function()
      local before = #rows()
      for index = 1, 200 do guess("192.0.2." .. index) end
      assert.equal(before + 30, #rows())
    end)

    it("of a token at a wrong address names the token", function()
      local made = gate:call("POST", "/user/tokens", { name = "bound",
        condition = { request_ip = { ["in"] = { "192.0.2.1" } } },
        policies = { { effect = "allow", permission_groups = { { id = "c8fed203ed3043cba015a93ad1616f1f" } },
          resources = { ["com.cloudflare.api.account.zone.*"] = "*" } } } }).body.result
      gate:call("GET", "/zones", nil, { token = made.value, address = "198.51.100.1" })
      local row = last()
      assert.equal(made.id, row.token_id)
      assert.equal("bound", row.token_name)
      assert.equal("admin@localhost", row.email)
    end)

    it("without credentials leaves nothing", function()
      local before = #rows()
      gate:call("GET", "/zones", nil, { token = false })
      assert.equal(before, #rows())
    end)
  end)

  describe("the operator's commands", function()
    it("are written down", function()
      local auth = require "moongate.admin.auth"
      gate.app.store:write(function(tx)
        auth.issue(tx, gate.control, { name = "made" })
        assert.equal(1, auth.revoke(tx, "made", gate.control))
        auth.issue_global_key(tx, gate.control, tx:one("SELECT id FROM users").id)
        return true
      end)
      local all, seen = rows(), {}
      for index = #all - 2, #all do
        local row = all[index]
        seen[#seen + 1] = row.verb .. " " .. row.resource_type
        assert.equal("CLI", row.interface)
        assert.equal(32, #row.resource_id)
      end
      assert.same({ "create tokens", "delete tokens", "roll user" }, seen)
      assert.equal(all[#all - 2].resource_id, all[#all - 1].resource_id)
    end)
  end)

  describe("rows", function()
    it("can be neither changed nor taken away", function()
      for _, sql in ipairs { "UPDATE audit SET result = 1", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1" } do
        local before = #rows()
        local ok = pcall(function() assert(gate.app.store:write(function(tx) return tx:run(sql) end)) end)
        assert.is_false(ok)
        assert.equal(before, #rows())
      end
    end)

    it("go when there are more than a million", function()
      local before = rows()
      gate.app.store.connection:script(("UPDATE sqlite_sequence SET seq = %d WHERE name = 'audit'")
        :format(before[1].id + 999999))
      gate:call("PATCH", "/user", { first_name = "Ada" })
      local after = rows()
      assert.equal(#before, #after)
      assert.equal(before[2].id, after[1].id)
      assert.equal(before[1].id + 1000000, after[#after].id)
    end)
  end)
end)
