local support = require "spec.support.admin"

describe("moongate.admin.resources.dns_records", function()
  local json = require "moongate.json"
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/dns_records"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function make(body)
    local answer = gate:call("POST", base, body)
    assert(answer.status == 200, answer.raw)
    return answer.body.result
  end
  local function a(name, more)
    local body = { type = "A", name = name, content = "192.0.2.10" }
    for key, value in pairs(more or {}) do body[key] = value end
    return make(body)
  end
  local function names(query)
    local answer = gate:call("GET", base .. "?" .. query)
    assert.equal(200, answer.status, answer.raw)
    local list = {}
    for index, record in ipairs(answer.body.result) do list[index] = record.name:match("^[^.]+") end
    return table.concat(list, " "), answer
  end

  describe("POST", function()
    it("answers with the record as documented", function()
      local record = make { type = "A", name = "Pay.heron.test.", content = "192.0.2.10", proxied = true, ttl = 100000 }
      assert.truthy(record.id:find("^%x+$"))
      assert.equal(32, #record.id)
      assert.equal("pay.heron.test", record.name)
      assert.equal("A", record.type)
      assert.equal("192.0.2.10", record.content)
      assert.is_true(record.proxied)
      assert.is_true(record.proxiable)
      assert.equal(1, record.ttl)
      assert.equal(json.null, record.comment)
      assert.same({}, record.tags)
      assert.same({}, record.settings)
      assert.same({}, record.meta)
      assert.truthy(record.created_on:find("%.%d%d%d%d%d%dZ$"))
      assert.equal(record.created_on, record.modified_on)
      assert.is_nil(record.comment_modified_on)
      assert.same(record, gate:call("GET", base .. "/" .. record.id).body.result)
    end)

    for given, full in pairs {
      ["@"] = "heron.test", www = "www.heron.test", ["a.b"] = "a.b.heron.test", ["*"] = "*.heron.test",
      ["*.a"] = "*.a.heron.test", ["heron.test"] = "heron.test", ["X.HERON.TEST"] = "x.heron.test",
      ["_acme-challenge"] = "_acme-challenge.heron.test", ["stork.test"] = "stork.test.heron.test",
    } do
      it(("completes the name %s"):format(given), function() assert.equal(full, a(given).name) end)
    end

    for _, case in ipairs {
      { "A", "192.0.2.1", "192.0.2.1" }, { "AAAA", "2001:DB8:0:0::1", "2001:db8::1" },
      { "CNAME", "Target.Stork.test.", "target.stork.test" }, { "TXT", "V=1; A \"b\"", "V=1; A \"b\"" },
    } do
      it(("stores the content of a %s record in one form"):format(case[1]), function()
        assert.equal(case[3], make({ type = case[1], name = "x", content = case[2] }).content)
      end)
    end

    for _, case in ipairs {
      { { type = "A", content = "2001:db8::1" }, 9005, "/content" }, { { type = "A", content = "1.2.3" }, 9005, "/content" },
      { { type = "A", content = "169.254.169.254" }, 9005, "/content" }, { { type = "A", content = "0.0.0.0" }, 9005, "/content" },
      { { type = "AAAA", content = "192.0.2.1" }, 9006, "/content" }, { { type = "AAAA", content = "fe80::1" }, 9006, "/content" },
      { { type = "AAAA", content = "::ffff:169.254.169.254" }, 9006, "/content" },
      { { type = "CNAME", content = "a b" }, 9007, "/content" }, { { type = "CNAME", content = "192.0.2.1" }, 9007, "/content" },
      { { type = "CNAME", content = "x.heron.test" }, 9007, "/content" },
      { { type = "TXT", content = "" }, 9009, "/content" }, { { type = "A" }, 9005, "/content" },
      { { type = "MX", content = "a.test" }, 9020, "/type" }, { { content = "192.0.2.1" }, 9020, "/type" },
      { { type = "A", content = "192.0.2.1", ttl = 29 }, 9021, "/ttl" }, { { type = "A", content = "192.0.2.1", ttl = 86401 }, 9021, "/ttl" },
      { { type = "A", content = "192.0.2.1", ttl = "60" }, 9021, "/ttl" },
      { { type = "TXT", content = "a", proxied = true }, 9004, "/proxied" },
      { { type = "A", content = "192.0.2.1", proxied = "yes" }, 9003, "/proxied" },
      { { type = "A", content = "192.0.2.1", tags = { "plain" } }, 9024, "/tags/0" },
      { { type = "A", content = "192.0.2.1", settings = { ipv4_only = 1 } }, 9022, "/settings/ipv4_only" },
      { { type = "A", content = "192.0.2.1", name = "a..b" }, 9000, "/name" },
      { { type = "A", content = "192.0.2.1", name = "a.*.b" }, 9000, "/name" },
      { { type = "A", content = "192.0.2.1", name = ("a."):rep(126) }, 9000, "/name" },
      { { type = "A", content = "192.0.2.1", name = 7 }, 9000, "/name" },
    } do
      it("refuses " .. json.encode(case[1], { sorted = true }), function()
        case[1].name = case[1].name or "x"
        local answer = gate:call("POST", base, case[1])
        assert.equal(400, answer.status)
        assert.equal(1004, first(answer).code)
        assert.equal(case[2], first(answer).error_chain[1].code)
        assert.equal(case[3], first(answer).source.pointer)
        assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      end)
    end

    it("names every mistake in the chain", function()
      local answer = gate:call("POST", base, { type = "A", name = "a..b", content = "x", ttl = 5 })
      local codes = {}
      for index, link in ipairs(first(answer).error_chain) do codes[index] = link.code end
      assert.same({ 9000, 9005, 9021 }, codes)
    end)

    it("refuses a body that is no object, and one that is no JSON", function()
      assert.equal(6007, first(gate:call("POST", base, "[]")).code)
      assert.equal(6007, first(gate:call("POST", base, "{")).code)
    end)

    it("keeps several addresses of one name", function()
      a "x"
      make { type = "A", name = "x", content = "192.0.2.11" }
      make { type = "AAAA", name = "x", content = "2001:db8::1" }
      assert.equal(3, gate:call("GET", base).body.result_info.total_count)
    end)

    it("refuses an identical record", function()
      a "x"
      local answer = gate:call("POST", base, { type = "A", name = "X", content = "192.0.2.10" })
      assert.equal(400, answer.status)
      assert.equal(81058, first(answer).code)
    end)

    for _, pair in ipairs { { "A", "CNAME" }, { "CNAME", "AAAA" }, { "CNAME", "CNAME" } } do
      it(("refuses a %s record beside a %s record"):format(pair[2], pair[1]), function()
        local content = { A = "192.0.2.1", AAAA = "2001:db8::1", CNAME = "a.test" }
        make { type = pair[1], name = "x", content = content[pair[1]] }
        local answer = gate:call("POST", base, { type = pair[2], name = "x",
          content = pair[1] == pair[2] and "b.test" or content[pair[2]] })
        assert.equal(400, answer.status)
        assert.equal(81053, first(answer).code)
      end)
    end

    it("leaves TXT records beside any other", function()
      make { type = "CNAME", name = "x", content = "a.test" }
      make { type = "TXT", name = "x", content = "one" }
      make { type = "TXT", name = "x", content = "two" }
    end)

    it("refuses a name that a closer zone serves", function()
      gate:zone "sub.heron.test"
      local answer = gate:call("POST", base, { type = "A", name = "a.sub", content = "192.0.2.1" })
      assert.equal(9000, first(answer).error_chain[1].code)
    end)

    it("keeps a name from becoming a zone of its own", function()
      a "x.sub"
      local answer = gate:call("POST", "/zones", { name = "sub.heron.test" })
      assert.equal(1116, first(answer).code)
    end)

    it("refuses more records than the quota allows", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'dns_records'") end)
      a "x"
      assert.equal(81045, first(gate:call("POST", base, { type = "A", name = "y", content = "192.0.2.1" })).code)
    end)
  end)

  describe("PATCH", function()
    it("changes what the body says and leaves the rest", function()
      local record = a("x", { comment = "one", tags = { "team:edge" }, ttl = 300 })
      assert.truthy(record.comment_modified_on)
      assert.truthy(record.tags_modified_on)
      gate.control.clock = gate.control.clock + 5
      local after = gate:call("PATCH", base .. "/" .. record.id, { content = "192.0.2.99" }).body.result
      assert.equal("192.0.2.99", after.content)
      assert.equal("one", after.comment)
      assert.same({ "team:edge" }, after.tags)
      assert.equal(300, after.ttl)
      assert.equal(record.id, after.id)
      assert.equal(record.created_on, after.created_on)
      assert.is_true(after.modified_on > record.modified_on)
      assert.equal(record.comment_modified_on, after.comment_modified_on)
    end)

    it("clears comment and tags", function()
      local record = a("x", { comment = "one", tags = { "team:edge" } })
      local after = gate:call("PATCH", base .. "/" .. record.id, '{"comment":"","tags":[]}').body.result
      assert.equal(json.null, after.comment)
      assert.same({}, after.tags)
    end)

    it("refuses what would not be a record any more", function()
      local record = a "x"
      assert.equal(9006, first(gate:call("PATCH", base .. "/" .. record.id, { type = "AAAA" })).error_chain[1].code)
      assert.equal("A", gate:call("GET", base .. "/" .. record.id).body.result.type)
    end)

    it("refuses to become identical to another, and a CNAME beside it", function()
      a "x"
      local other = a("y")
      assert.equal(81058, first(gate:call("PATCH", base .. "/" .. other.id, { name = "x" })).code)
      assert.equal(81053, first(gate:call("PATCH", base .. "/" .. other.id,
        { name = "x", type = "CNAME", content = "a.test" })).code)
    end)
  end)

  it("PUT replaces everything but the id and created_on", function()
    local record = a("x", { comment = "one", tags = { "team:edge" }, ttl = 300, settings = { ipv4_only = true } })
    assert.same({ ipv4_only = true }, record.settings)
    local after = gate:call("PUT", base .. "/" .. record.id, { type = "A", name = "y", content = "192.0.2.1" }).body.result
    assert.equal(record.id, after.id)
    assert.equal("y.heron.test", after.name)
    assert.equal(json.null, after.comment)
    assert.same({}, after.tags)
    assert.same({}, after.settings)
    assert.equal(1, after.ttl)
    assert.equal(record.created_on, after.created_on)
  end)

  it("PUT needs the whole record", function()
    local record = a "x"
    assert.equal(1004, first(gate:call("PUT", base .. "/" .. record.id, { content = "192.0.2.1" })).code)
  end)

  it("DELETE answers with the id, and the record is gone", function()
    local record = a "x"
    assert.same({ id = record.id }, gate:call("DELETE", base .. "/" .. record.id).body.result)
    for _, method in ipairs { "GET", "DELETE" } do
      local answer = gate:call(method, base .. "/" .. record.id)
      assert.equal(404, answer.status)
      assert.equal(81044, first(answer).code)
    end
  end)

  it("a record of another zone is not there", function()
    local record = a "x"
    local other = "/zones/" .. gate:zone("stork.test").id .. "/dns_records/" .. record.id
    assert.equal(404, gate:call("GET", other).status)
    assert.equal(404, gate:call("DELETE", other).status)
    assert.equal(404, gate:call("PATCH", other, { comment = "x" }).status)
  end)

  for _, method in ipairs { "GET", "PUT", "PATCH", "DELETE" } do
    it(("%s with an id that is none has no route"):format(method), function()
      local answer = gate:call(method, base .. "/xyz", method ~= "GET" and "{}" or nil)
      assert.equal(404, answer.status)
      assert.equal(7003, first(answer).code)
    end)
  end

  describe("GET", function()
    before_each(function()
      a("api", { proxied = true, comment = "The API", tags = { "team:edge", "env:prod" } })
      a("web", { content = "192.0.2.20", ttl = 300, tags = { "team:web" } })
      make { type = "CNAME", name = "www", content = "web.heron.test", proxied = true, comment = "front" }
      make { type = "TXT", name = "note", content = "hello api" }
    end)

    for query, expected in pairs {
      [""] = "api web www note", ["name=WEB.heron.test"] = "web", ["name.contains=w"] = "web www",
      ["name.startswith=ap"] = "api", ["name.endswith=e.heron.test"] = "note", ["name.exact=api.heron.test"] = "api",
      ["content=192.0.2.20"] = "web", ["content.contains=192.0"] = "api web", ["type=CNAME"] = "www", ["type=MX"] = "",
      ["proxied=true"] = "api www", ["proxied=false"] = "web note", ["search=api"] = "api note", ["search=env:p"] = "api",
      ["comment.present=true"] = "api www", ["comment.absent"] = "web note", ["comment=front"] = "www",
      ["comment.contains=API"] = "api", ["tag=team:edge"] = "api", ["tag.present=team"] = "api web",
      ["tag.absent=team"] = "www note", ["tag.startswith=team:e"] = "api", ["tag.contains=env:ro"] = "api",
      ["type=A&proxied=true"] = "api", ["type=TXT&proxied=true&match=any"] = "api www note",
      ["tag.exact=team:web&tag.present=env&tag_match=any"] = "api web", ["tag.exact=team:web&tag.present=env"] = "",
      ["order=name"] = "api note web www", ["order=name&direction=desc"] = "www web note api", ["order=ttl&direction=desc"] = "web api note www",
      ["name.contains=%25"] = "",
    } do
      it(("lists %s"):format(query == "" and "everything" or query), function() assert.equal(expected, (names(query))) end)
    end

    for _, query in ipairs { "order=size", "direction=up", "match=some", "tag_match=x", "proxied=1", "tag.exact=plain", "page=0" } do
      it("refuses " .. query, function()
        local answer = gate:call("GET", base .. "?" .. query)
        assert.equal(400, answer.status)
        assert.equal(10002, first(answer).code)
      end)
    end

    it("pages", function()
      local text, answer = names "order=name&per_page=3&page=2"
      assert.equal("www", text)
      assert.same({ page = 2, per_page = 3, count = 1, total_count = 4, total_pages = 2 }, answer.body.result_info)
      assert.equal("", (names "per_page=3&page=9"))
    end)
  end)

  describe("POST /batch", function()
    it("deletes, patches, puts and posts in this order", function()
      local one, two, three = a "one", a "two", a "three"
      local answer = gate:call("POST", base .. "/batch", {
        posts = { { type = "CNAME", name = "one", content = "a.test" } },
        puts = { { id = three.id, type = "A", name = "four", content = "192.0.2.4" } },
        patches = { { id = two.id, proxied = true } },
        deletes = { { id = one.id } },
      })
      assert.equal(200, answer.status, answer.raw)
      local result = answer.body.result
      assert.equal(one.id, result.deletes[1].id)
      assert.equal("one.heron.test", result.deletes[1].name)
      assert.is_true(result.patches[1].proxied)
      assert.equal("four.heron.test", result.puts[1].name)
      assert.equal("CNAME", result.posts[1].type)
      assert.equal("four one two", (names "order=name"))
    end)

    it("does nothing when one step is wrong, and says which", function()
      local one = a "one"
      local answer = gate:call("POST", base .. "/batch", {
        deletes = { { id = one.id } }, posts = { { type = "A", name = "x", content = "192.0.2.1" }, { type = "A", name = "y", content = "no" } },
      })
      assert.equal(400, answer.status)
      assert.equal("/posts/1/content", first(answer).source.pointer)
      assert.equal("one", (names ""))
    end)

    for _, body in ipairs { '{"deletes":[{}]}', '{"patches":[{"id":"00000000000000000000000000000000","ttl":60}]}' } do
      it("answers 404 for a record that is not there: " .. body, function()
        local answer = gate:call("POST", base .. "/batch", body)
        assert.equal(404, answer.status)
        assert.equal(81044, first(answer).code)
      end)
    end

    it("takes an empty body, and refuses a member that is no array", function()
      assert.same({ deletes = {}, patches = {}, puts = {}, posts = {} }, gate:call("POST", base .. "/batch", "{}").body.result)
      assert.equal(1004, first(gate:call("POST", base .. "/batch", '{"posts":{}}')).code)
    end)

    it("refuses more than a thousand steps", function()
      local posts = {}
      for index = 1, 1001 do posts[index] = { type = "TXT", name = "x", content = tostring(index) } end
      assert.equal(21070, first(gate:call("POST", base .. "/batch", { posts = posts })).code)
    end)
  end)
end)
