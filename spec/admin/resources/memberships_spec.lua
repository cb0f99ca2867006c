local support = require "spec.support.admin"

describe("moongate.admin.resources.memberships", function()
  local json = require "moongate.json"
  local gate

  setup(function()
    gate = assert(support.start())
    for _, name in ipairs { "a", "b", "z1", "z2", "z3" } do gate:account(name) end
  end)
  teardown(function() gate:close() end)

  local function names(query)
    local list = {}
    for index, entry in ipairs(gate:call("GET", "/memberships" .. query).body.result) do
      list[index] = entry.account.name
    end
    return list
  end

  it("has an entry for every account, in the documented form", function()
    local answer = gate:call("GET", "/memberships?page=1")
    assert.equal(200, answer.status)
    assert.same({ page = 1, per_page = 20, count = 6, total_count = 6, total_pages = 1 }, answer.body.result_info)
    local entry = answer.body.result[3]
    assert.equal(gate.account_id, entry.account.id)
    assert.equal("default", entry.account.name)
    assert.equal("enterprise", entry.account.type)
    assert.is_false(entry.account.settings.enforce_twofactor)
    assert.truthy(entry.id:find("^%x+$") and #entry.id == 32)
    assert.equal("accepted", entry.status)
    assert.same({ "Administrator" }, entry.roles)
    assert.equal(json.null, entry.api_access_enabled)
    for _, subject in ipairs { "analytics", "billing", "cache_purge", "dns", "dns_records", "lb", "logs",
      "organization", "ssl", "waf", "zone_settings", "zones" } do
      assert.same({ read = true, write = true }, entry.permissions[subject])
    end
  end)

  it("shows one entry by its id, which stays", function()
    local entry = gate:call("GET", "/memberships").body.result[1]
    local answer = gate:call("GET", "/memberships/" .. entry.id)
    assert.equal(200, answer.status)
    assert.same(entry, answer.body.result)
  end)

  it("answers 404 to an id that is none", function()
    assert.equal(404, gate:call("GET", "/memberships/" .. ("0"):rep(32)).status)
    assert.equal(404, gate:call("GET", "/memberships/" .. gate.account_id).status)
  end)

  for _, case in ipairs {
    { "", { "a", "b", "default", "z1", "z2", "z3" } },
    { "?direction=desc", { "z3", "z2", "z1", "default", "b", "a" } },
    { "?order=account.name", { "a", "b", "default", "z1", "z2", "z3" } },
    { "?order=status", { "a", "b", "default", "z1", "z2", "z3" } },
    { "?account.name=b", { "b" } },
    { "?name=b", { "b" } },
    { "?name=b&account.name=a", {} },
    { "?status=accepted&name=z3", { "z3" } },
    { "?status=pending", {} },
    { "?status=rejected", {} },
    { "?per_page=5&page=2", { "z3" } },
    { "?per_page=5&page=3", {} },
  } do
    it(("lists %s for %q"):format(table.concat(case[2], " "), case[1]), function()
      assert.same(case[2], names(case[1]))
    end)
  end

  it("puts entries in the order of their ids", function()
    local ids = {}
    for index, entry in ipairs(gate:call("GET", "/memberships?order=id").body.result) do ids[index] = entry.id end
    local sorted = { unpack(ids) }
    table.sort(sorted)
    assert.same(sorted, ids)
    assert.equal(6, #ids)
  end)

  for _, query in ipairs { "order=age", "direction=up", "status=maybe", "page=0" } do
    it("refuses " .. query, function()
      local answer = gate:call("GET", "/memberships?" .. query)
      assert.equal(400, answer.status)
      assert.equal(10002, answer.body.errors[1].code)
    end)
  end

  it("refuses tokens of an account with a code that clients take as a reason to ask for accounts", function()
    local answer = gate:call("GET", "/memberships", nil, { token = gate:token { account_id = gate.account_id } })
    assert.equal(403, answer.status)
    assert.equal(9109, answer.body.errors[1].code)
  end)
end)
