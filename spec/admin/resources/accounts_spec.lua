local support = require "spec.support.admin"

describe("moongate.admin.resources.accounts", function()
  local gate

  before_each(function() gate = assert(support.start()) end)
  after_each(function() gate:close() end)

  local function names(query, options)
    local list = {}
    for index, account in ipairs(gate:call("GET", "/accounts" .. query, nil, options).body.result) do list[index] = account.name end
    return list
  end

  it("is one account, default and enterprise, on first start", function()
    local answer = gate:call("GET", "/accounts")
    assert.equal(1, #answer.body.result)
    local account = answer.body.result[1]
    assert.equal("default", account.name)
    assert.equal("enterprise", account.type)
    assert.is_false(account.settings.enforce_twofactor)
    assert.truthy(account.id:find("^%x+$"))
    assert.same({ page = 1, per_page = 20, count = 1, total_count = 1, total_pages = 1 }, answer.body.result_info)
    assert.same(account, gate:call("GET", "/accounts/" .. account.id).body.result)
  end)

  it("is listed by name, up or down, filtered and paged", function()
    for _, name in ipairs { "a", "b", "z1", "z2", "z3" } do gate:account(name) end
    assert.same({ "a", "b", "default", "z1", "z2", "z3" }, names "")
    assert.equal("z3", names("?direction=desc")[1])
    assert.same({ "b" }, names "?name=b")
    assert.same({ "z3" }, names "?per_page=5&page=2")
    assert.same({}, names "?per_page=5&page=3")
    assert.equal(400, gate:call("GET", "/accounts?direction=up").status)
    assert.equal(400, gate:call("GET", "/accounts?page=0").status)
  end)

  it("is listed to a token that can see it, by the account or by a zone in it", function()
    gate:account "other"
    local zone = gate:zone "heron.test"
    local group = { { id = "c8fed203ed3043cba015a93ad1616f1f" } }
    local function seen(key)
      return names("", { token = gate:token { policies = { { effect = "allow", permission_groups = group, resources = { [key] = "*" } } } } })
    end
    assert.same({ "default" }, seen("com.cloudflare.api.account." .. gate.account_id))
    assert.same({ "default" }, seen("com.cloudflare.api.account.zone." .. zone.id))
    assert.same({ "default", "other" }, seen "com.cloudflare.api.account.*")
    assert.same({}, seen("com.cloudflare.api.account.zone." .. ("0"):rep(32)))
  end)

  describe("create", function()
    it("answers with an account of its own, which can be used at once", function()
      local answer = gate:call("POST", "/accounts", { name = "Heron", type = "standard" })
      assert.equal(200, answer.status)
      local account = answer.body.result
      assert.truthy(account.id:find("^%x+$") and #account.id == 32)
      assert.equal("Heron", account.name)
      assert.equal("standard", account.type)
      assert.same(account, gate:call("GET", "/accounts/" .. account.id).body.result)
      local zone = gate:call("POST", "/zones", { name = "heron.test", account = { id = account.id } }).body.result
      assert.same({ id = account.id, name = "Heron" }, zone.account)
    end)

    it("makes an enterprise when nothing is said", function()
      assert.equal("enterprise", gate:call("POST", "/accounts", { name = "Heron" }).body.result.type)
    end)

    for _, case in ipairs {
      { "no name", {}, "/name" },
      { "an empty name", { name = "" }, "/name" },
      { "a long name", { name = ("x"):rep(101) }, "/name" },
      { "an unknown type", { name = "x", type = "free" }, "/type" },
    } do
      it("refuses " .. case[1], function()
        local answer = gate:call("POST", "/accounts", case[2][1] == nil and next(case[2]) and case[2] or "{}")
        assert.equal(400, answer.status)
        assert.equal(case[3], answer.body.errors[1].source.pointer)
        assert.equal(1, gate:call("GET", "/accounts").body.result_info.total_count)
      end)
    end
  end)

  describe("replace", function()
    local function put(body, id) return gate:call("PUT", "/accounts/" .. (id or gate.account_id), body) end

    it("changes name, type and settings", function()
      local answer = put { id = gate.account_id, name = "Heron", type = "standard",
        settings = { enforce_twofactor = true, abuse_contact_email = "a@b.test" } }
      assert.equal(200, answer.status)
      local account = answer.body.result
      assert.equal("Heron", account.name)
      assert.equal("standard", account.type)
      assert.is_true(account.settings.enforce_twofactor)
      assert.equal("a@b.test", account.settings.abuse_contact_email)
      assert.same(account, gate:call("GET", "/accounts/" .. gate.account_id).body.result)
    end)

    it("keeps what is not said, and takes the contact away with null", function()
      put { name = "Heron", settings = { enforce_twofactor = true, abuse_contact_email = "a@b.test" } }
      local kept = put({ name = "Stork" }).body.result
      assert.is_true(kept.settings.enforce_twofactor)
      assert.equal("a@b.test", kept.settings.abuse_contact_email)
      assert.equal("enterprise", kept.type)
      local json = require "moongate.json"
      local without = put('{"name":"Stork","settings":{"abuse_contact_email":null}}').body.result
      assert.equal(json.null, without.settings.abuse_contact_email)
      assert.is_true(without.settings.enforce_twofactor)
    end)

    for _, case in ipairs {
      { "no name", '{"type":"standard"}', "/name" },
      { "an unknown type", '{"name":"x","type":"free"}', "/type" },
      { "settings that are a text", '{"name":"x","settings":"x"}', "/settings" },
      { "a setting of the wrong kind", '{"name":"x","settings":{"enforce_twofactor":1}}', "/settings/enforce_twofactor" },
      { "the id of another account", '{"name":"x","id":"' .. ("0"):rep(32) .. '"}', "/id" },
    } do
      it("refuses " .. case[1], function()
        local answer = put(case[2])
        assert.equal(400, answer.status)
        assert.equal(case[3], answer.body.errors[1].source.pointer)
        assert.equal("default", gate:call("GET", "/accounts/" .. gate.account_id).body.result.name)
      end)
    end
  end)
end)
