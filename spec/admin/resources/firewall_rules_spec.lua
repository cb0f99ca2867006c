local support = require "spec.support.admin"
local json = require "moongate.json"

describe("moongate.admin.resources.firewall_rules", function()
  local gate, zone, base, filters

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base, filters = "/zones/" .. zone.id .. "/firewall/rules", "/zones/" .. zone.id .. "/filters"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function rule(action, path, more)
    local values = { action = action, filter = { expression = ('http.request.uri.path eq "%s"'):format(path or "/x") } }
    for key, value in pairs(more or {}) do values[key] = value end
    return json.object(values)
  end
  local function post(...) return gate:call("POST", base, json.array { ... }) end
  local function make(...) return post(rule(...)).body.result[1] end
  local function served() return gate.control.served["heron.test"].firewall_rules end
  local function order()
    local list = {}
    for index, one in ipairs(served()) do list[index] = one.expression:match '"/(.-)"' end
    return table.concat(list)
  end

  it("are made with their filters and answered in an array", function()
    local answer = post(rule("block", "/admin", { description = "no admin", priority = 10, ref = "r" }))
    assert.equal(200, answer.status)
    local made = answer.body.result[1]
    assert.same({ id = made.id, action = "block", priority = 10, paused = false, description = "no admin", ref = "r",
      created_on = "2026-02-02T02:40:00Z", modified_on = "2026-02-02T02:40:00Z",
      filter = { id = made.filter.id, expression = 'http.request.uri.path eq "/admin"', paused = false } }, made)
    assert.same(made, gate:call("GET", base .. "/" .. made.id).body.result)
    assert.equal(made.filter.id, gate:call("GET", filters .. "/" .. made.filter.id).body.result.id)
    assert.same({ { id = made.id, action = "block", expression = 'http.request.uri.path eq "/admin"', enabled = true } }, served())
  end)

  it("take a filter that is there, and one object for a body", function()
    local filter = gate:call("POST", filters, { expression = "ssl" }).body.result[1]
    local answer = gate:call("POST", base, { action = "log", filter = { id = filter.id } })
    assert.same(filter, answer.body.result[1].filter)
    assert.is_true(answer.body.result[1].priority == json.null)
  end)

  for _, case in ipairs {
    { "without an action", { filter = { expression = "ssl" } }, "/0/action" }, { "with another action", { action = "skip", filter = { expression = "ssl" } }, "/0/action" },
    { "without a filter", { action = "log" }, "/0/filter" }, { "with an unknown filter", { action = "log", filter = { id = ("0"):rep(32) } }, "/0/filter/id" },
    { "with a filter that is wrong", { action = "log", filter = { expression = "x" } }, "/0/filter/expression" },
    { "with priority 0", { action = "log", filter = { expression = "ssl" }, priority = 0 }, "/0/priority" },
    { "with a priority too high", { action = "log", filter = { expression = "ssl" }, priority = 2147483648 }, "/0/priority" },
    { "with products of a block", { action = "block", filter = { expression = "ssl" }, products = { "waf" } }, "/0/products" },
    { "with an unknown product", { action = "bypass", filter = { expression = "ssl" }, products = { "WAF" } }, "/0/products" },
    { "with a long description", { action = "log", filter = { expression = "ssl" }, description = ("d"):rep(501) }, "/0/description" },
  } do
    it(("are refused %s, and nothing of the batch is made"):format(case[1]), function()
      local answer = post(json.object(case[2]), rule("log"))
      assert.equal(400, answer.status)
      assert.equal(case[3], first(answer).source.pointer)
      assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      assert.equal(0, gate:call("GET", filters).body.result_info.total_count)
      assert.is_nil(served())
    end)
  end

  it("are tried by priority, then by what they do", function()
    post(rule("block", "/g"), rule("challenge", "/e"), rule("allow", "/d"), rule("bypass", "/c", { products = { "waf" } }), rule("log", "/b"),
      rule("js_challenge", "/f"), rule("block", "/a", { priority = 7 }), rule("allow", "/A", { priority = 2147483647 }))
    assert.equal("aAbcdefg", order())
  end)

  it("are served as what their actions mean", function()
    post(rule("allow", "/a"), rule("bypass", "/b", { products = { "waf", "bic" } }), rule("managed_challenge", "/m"))
    local by_path = {}
    for _, one in ipairs(served()) do by_path[one.expression:match '"/(.-)"'] = one end
    assert.equal("skip", by_path.a.action)
    assert.same({ ruleset = "current" }, by_path.a.action_parameters)
    assert.equal("skip", by_path.b.action)
    assert.same({ products = { "waf", "bic" } }, by_path.b.action_parameters)
    assert.equal("managed_challenge", by_path.m.action)
  end)

  it("are not served while they or their filters are paused", function()
    local one = make("block", "/a", { paused = true })
    assert.is_false(served()[1].enabled)
    gate:call("PUT", base .. "/" .. one.id, { action = "block", filter = { id = one.filter.id } })
    assert.is_true(served()[1].enabled)
    gate:call("PUT", filters .. "/" .. one.filter.id, { expression = "ssl", paused = true })
    assert.is_false(served()[1].enabled)
    assert.equal("ssl", served()[1].expression)
  end)

  it("are replaced one by one and many at once", function()
    local one, two = make("block", "/a", { priority = 1, description = "d" }), make("block", "/b")
    gate.control.clock = gate.control.clock + 60
    local after = gate:call("PUT", base .. "/" .. one.id, { id = one.id, action = "log", filter = { id = one.filter.id } }).body.result
    assert.same({ "log", "", "2026-02-02T02:40:00Z", "2026-02-02T02:41:00Z" }, { after.action, after.description, after.created_on, after.modified_on })
    assert.is_true(after.priority == json.null)
    local answer = gate:call("PUT", base, json.array { { id = one.id, action = "block", filter = { id = two.filter.id } },
      { id = two.id, action = "log", filter = { expression = "ssl" } } })
    assert.equal(two.filter.id, answer.body.result[1].filter.id)
    assert.equal("ssl", answer.body.result[2].filter.expression)
    for status, list in pairs { [404] = { { id = ("0"):rep(32), action = "log", filter = { id = two.filter.id } } },
      [400] = { { action = "log", filter = { id = two.filter.id } } } } do
      assert.equal(status, gate:call("PUT", base, json.array(list)).status)
    end
  end)

  it("change their priority, alone and together, and nothing else", function()
    local one, two = make("block", "/a"), make("log", "/b")
    assert.equal("ba", order())
    local answer = gate:call("PATCH", base .. "/" .. one.id, { id = one.id, priority = 5 })
    assert.is_true(json.is_array(answer.body.result))
    assert.equal(5, answer.body.result[1].priority)
    assert.equal("ab", order())
    answer = gate:call("PATCH", base, json.array { { id = one.id, priority = json.null }, { id = two.id, priority = 9 } })
    assert.is_true(answer.body.result[1].priority == json.null)
    assert.equal("ba", order())
    for _, body in ipairs { "", "{}" } do
      assert.equal("block", gate:call("PATCH", base .. "/" .. one.id, body).body.result[1].action)
      assert.equal(0, #gate:call("PATCH", base, body).body.result)
    end
    assert.equal(400, gate:call("PATCH", base .. "/" .. one.id, { priority = 0 }).status)
    assert.equal(404, gate:call("PATCH", base, json.array { { id = ("0"):rep(32), priority = 1 } }).status)
  end)

  describe("DELETE", function()
    it("answers with the rule, and keeps the filter", function()
      local one = make "block"
      assert.same(one, gate:call("DELETE", base .. "/" .. one.id).body.result)
      assert.equal(200, gate:call("GET", filters .. "/" .. one.filter.id).status)
      assert.is_nil(served())
      assert.equal(404, gate:call("DELETE", base .. "/" .. one.id).status)
      assert.equal(10001, first(gate:call("GET", base .. "/" .. one.id)).code)
    end)

    it("deletes the filter with the last rule that uses it, when asked to", function()
      local one = make "block"
      local two = post({ action = "log", filter = { id = one.filter.id } }).body.result[1]
      local gone = gate:call("DELETE", base .. "/" .. one.id, { delete_filter_if_unused = true }).body.result
      assert.equal(one.filter.expression, gone.filter.expression)
      gone = gate:call("DELETE", base .. "/" .. two.id, { delete_filter_if_unused = true }).body.result
      assert.same({ id = one.filter.id, deleted = true }, gone.filter)
      assert.equal(404, gate:call("GET", filters .. "/" .. one.filter.id).status)
    end)

    it("takes many, from the query and from the body", function()
      local ids = {}
      for index = 1, 5 do ids[index] = make("block", "/" .. index).id end
      local answer = gate:call("DELETE", base .. ("?id=%s&id=%s"):format(ids[1], ("0"):rep(32)))
      assert.equal(ids[1], answer.body.result[1].id)
      assert.equal(1, #answer.body.result)
      answer = gate:call("DELETE", base, json.array { { id = ids[2] }, { id = ids[3] } })
      assert.equal(2, #answer.body.result)
      assert.equal(1, #gate:call("DELETE", base, { id = ids[4] }).body.result)
      for _, body in ipairs { "", "{}", "[]" } do
        assert.truthy(gate:call("DELETE", base, body).raw:find('"result":[]', 1, true))
      end
      assert.equal("5", order())
    end)
  end)

  it("are listed in pages and searched", function()
    local one = make("block", "/a", { description = "No Admin", paused = true })
    make("log", "/b")
    local function found(query) return gate:call("GET", base .. query).body.result_info.total_count end
    assert.equal(2, found "")
    for _, query in ipairs { "?id=" .. one.id, "?action=block", "?description=admin", "?paused=true" } do
      assert.equal(1, found(query), query)
      assert.equal(one.id, gate:call("GET", base .. query).body.result[1].id)
    end
    assert.equal(25, gate:call("GET", base).body.result_info.per_page)
  end)

  it("of another zone are unknown", function()
    local one, other = make "block", gate:zone "stork.test"
    local path = "/zones/" .. other.id .. "/firewall/rules"
    for _, method in ipairs { "GET", "DELETE", "PATCH" } do assert.equal(404, gate:call(method, path .. "/" .. one.id).status) end
    assert.equal(404, gate:call("PUT", path .. "/" .. one.id, rule "log").status)
    assert.equal(0, #gate:call("DELETE", path .. "?id=" .. one.id).body.result)
    local answer = gate:call("POST", path, { action = "log", filter = { id = one.filter.id } })
    assert.equal(400, answer.status)
    assert.equal("/filter/id", first(answer).source.pointer)
    assert.equal(1, #served())
  end)

  it("are at most a thousand in a zone, with no filter left of the one too many", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'firewall_rules'") end)
    make "block"
    assert.equal(21052, first(post(rule "log")).code)
    assert.equal(1, gate:call("GET", filters).body.result_info.total_count)
  end)

  it("bring their lists into the document and follow them", function()
    local lists = "/accounts/" .. gate.account_id .. "/rules/lists"
    local list = gate:call("POST", lists, { name = "office", kind = "ip" }).body.result.id
    post { action = "block", filter = { expression = "ip.src in $office" } }
    gate:call("PUT", lists .. "/" .. list .. "/items", json.array { { ip = "192.0.2.1" } })
    assert.equal("c0000201c0000201", gate.control.served["heron.test"].lists.office.items)
  end)

  it("go with their zone", function()
    make "block"
    assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
  end)
end)
