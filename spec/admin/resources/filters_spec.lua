local support = require "spec.support.admin"
local json = require "moongate.json"

describe("moongate.admin.resources.filters", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/filters"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function post(list) return gate:call("POST", base, list) end
  local function make(expression) return post({ json.object { expression = expression or "ssl" } }).body.result[1].id end
  local function count() return gate:call("GET", base).body.result_info.total_count end

  it("are made many at once, and the answer is an array", function()
    local answer = post(json.array { { expression = "ssl", description = "d", ref = "r", paused = true }, { expression = "not ssl" } })
    assert.equal(200, answer.status)
    local result = answer.body.result
    assert.same({ id = result[1].id, expression = "ssl", paused = true, description = "d", ref = "r" }, result[1])
    assert.same({ id = result[2].id, expression = "not ssl", paused = false }, result[2])
    assert.equal(32, #result[1].id)
  end)

  it("are made from a single object too, with an array for an answer", function()
    local answer = post { expression = "ssl" }
    assert.is_true(json.is_array(answer.body.result))
    assert.equal("ssl", answer.body.result[1].expression)
  end)

  it("are all made or none", function()
    local answer = post(json.array { { expression = "ssl" }, { expression = 'http.hst eq "a"' } })
    assert.equal(400, answer.status)
    assert.equal("/1/expression", first(answer).source.pointer)
    assert.equal(0, count())
  end)

  it("are refused with the expression in backquotes and carets below", function()
    local answer = post { expression = 'http.hst eq "a"' }
    assert.equal(400, answer.status)
    assert.is_nil(first(answer).code)
    assert.equal("Filter parsing error:\n`http.hst eq \"a\"`\n ^^^^^^^^ unknown identifier\n", first(answer).message)
  end)

  it("count characters, not bytes, and lines of their own", function()
    assert.equal('Filter parsing error:\n`http.host eq "é" and x`\n                      ^ unknown identifier\n',
      first(post { expression = 'http.host eq "é" and x' }).message)
    assert.equal("Filter parsing error:\n`ssl and\nx`\n^ unknown identifier\n", first(post { expression = "ssl and\nx" }).message)
  end)

  for _, case in ipairs {
    { "without an expression", {}, "/expression" }, { "with a blank one", { expression = " \n" }, "/expression" },
    { "with a long one", { expression = 'http.host eq "' .. ("x"):rep(4096) .. '"' }, "/expression" },
    { "with a list that is not there", { expression = "ip.src in $office" }, "/expression" },
    { "with a long description", { expression = "ssl", description = ("d"):rep(501) }, "/description" },
    { "with a long ref", { expression = "ssl", ref = ("r"):rep(51) }, "/ref" }, { "with paused as text", { expression = "ssl", paused = "no" }, "/paused" },
  } do
    it(("are refused %s"):format(case[1]), function()
      local answer = post(json.object(case[2]))
      assert.equal(400, answer.status)
      assert.equal(case[3], first(answer).source.pointer)
    end)
  end

  it("need a body that is one", function()
    for _, body in ipairs { "", "null", "7", "[7]", "{" } do assert.equal(400, post(body).status, body) end
  end)

  it("are read, replaced and deleted one by one", function()
    local id = make()
    local path = base .. "/" .. id
    assert.equal("ssl", gate:call("GET", path).body.result.expression)
    local after = gate:call("PUT", path, { id = id, expression = "not ssl", ref = "r" })
    assert.same({ id = id, expression = "not ssl", paused = false, ref = "r" }, after.body.result)
    assert.same({ id = id }, gate:call("DELETE", path).body.result)
    for _, method in ipairs { "GET", "DELETE" } do assert.equal(404, gate:call(method, path).status) end
    assert.equal(404, gate:call("PUT", path, { expression = "ssl" }).status)
  end)

  it("are replaced many at once, by id, all or none", function()
    local one, two = make(), make()
    local answer = gate:call("PUT", base, json.array { { id = one, expression = "not ssl" }, { id = two, expression = "ssl", paused = true } })
    assert.equal("not ssl", answer.body.result[1].expression)
    assert.is_true(answer.body.result[2].paused)
    answer = gate:call("PUT", base, json.array { { id = one, expression = "ssl" }, { id = ("0"):rep(32), expression = "ssl" } })
    assert.equal(404, answer.status)
    assert.equal(400, gate:call("PUT", base, json.array { { expression = "ssl" } }).status)
    assert.equal("not ssl", gate:call("GET", base .. "/" .. one).body.result.expression)
  end)

  it("are deleted many at once, in both forms of the query; unknown ones do not matter", function()
    local ids = { make(), make(), make(), make() }
    local answer = gate:call("DELETE", base .. ("?id=%s&id=%s"):format(ids[1], ids[2]))
    assert.same({ { id = ids[1] }, { id = ids[2] } }, answer.body.result)
    answer = gate:call("DELETE", base .. ("?id=%s,%s,%s"):format(ids[3], ids[1], ("0"):rep(32)))
    assert.same({ { id = ids[3] } }, answer.body.result)
    answer = gate:call("DELETE", base)
    assert.truthy(answer.raw:find('"result":[]', 1, true))
    assert.equal(1, count())
  end)

  it("that a firewall rule uses are not deleted, alone or among others", function()
    local used, free = make(), make()
    gate:call("POST", "/zones/" .. zone.id .. "/firewall/rules", json.array { { action = "block", filter = { id = used } } })
    for _, target in ipairs { base .. "/" .. used, base .. ("?id=%s&id=%s"):format(free, used) } do
      local answer = gate:call("DELETE", target)
      assert.equal(400, answer.status)
      assert.equal(10012, first(answer).code)
    end
    assert.equal(2, count())
  end)

  it("are listed in pages and searched", function()
    post(json.array { { expression = 'http.host eq "a.test"', description = "The Front", ref = "front", paused = true }, { expression = "ssl" } })
    local function found(query) return gate:call("GET", base .. query).body.result_info.total_count end
    assert.equal(2, found "")
    assert.equal(1, found "?expression=A.test")
    assert.equal(1, found "?description=front")
    assert.equal(1, found "?ref=front")
    assert.equal(0, found "?ref=fron")
    assert.equal(1, found "?paused=true")
    assert.equal(1, found "?paused=false")
    assert.equal(400, gate:call("GET", base .. "?paused=x").status)
    local page = gate:call("GET", base .. "?page=2")
    assert.equal(0, #page.body.result)
    assert.equal(25, page.body.result_info.per_page)
  end)

  it("of another zone are unknown", function()
    local id, other = make(), gate:zone "stork.test"
    local path = "/zones/" .. other.id .. "/filters"
    assert.equal(404, gate:call("GET", path .. "/" .. id).status)
    assert.equal(404, gate:call("PUT", path .. "/" .. id, { expression = "ssl" }).status)
    assert.equal(404, gate:call("PUT", path, json.array { { id = id, expression = "ssl" } }).status)
    assert.equal(404, gate:call("DELETE", path .. "/" .. id).status)
    assert.equal(0, #gate:call("DELETE", path .. "?id=" .. id).body.result)
    assert.equal(1, count())
  end)

  it("keep the lists that they name", function()
    local lists = "/accounts/" .. gate.account_id .. "/rules/lists"
    local list = gate:call("POST", lists, { name = "office", kind = "ip" }).body.result.id
    local id = make "ip.src in $office"
    assert.equal(1, gate:call("GET", lists .. "/" .. list).body.result.num_referencing_filters)
    assert.equal(10031, first(gate:call("DELETE", lists .. "/" .. list)).code)
    gate:call("PUT", base .. "/" .. id, { expression = "ssl" })
    assert.equal(200, gate:call("DELETE", lists .. "/" .. list).status)
  end)

  it("are at most a thousand in a zone", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'filters'") end)
    make()
    assert.equal(21052, first(post { expression = "ssl" }).code)
    assert.equal(1, count())
  end)

  describe("validate-expr", function()
    it("accepts and refuses expressions, by GET and by POST, for every credential", function()
      local token = gate:token { "DNS Read" }
      for expression, status in pairs { ["ssl"] = 200, ["ip.src in $office"] = 200, ["http.hst eq 1"] = 400, [""] = 400 } do
        local encoded = expression:gsub("[^%w]", function(char) return ("%%%02X"):format(char:byte()) end)
        for _, answer in ipairs { gate:call("GET", "/filters/validate-expr?expression=" .. encoded, nil, { token = token }),
          gate:call("POST", "/filters/validate-expr", { expression = expression }, { token = token }) } do
          assert.equal(status, answer.status, expression)
          assert.truthy(answer.raw:find('"result":null', 1, true))
        end
      end
      assert.equal(400, gate:call("GET", "/filters/validate-expr", nil, { token = false }).status)
    end)

    it("changes nothing", function()
      local before = gate.control.publications
      gate:call("POST", "/filters/validate-expr", { expression = "ssl" })
      assert.equal(before, gate.control.publications)
    end)
  end)
end)
