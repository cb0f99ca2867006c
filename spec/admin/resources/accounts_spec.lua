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
end)
