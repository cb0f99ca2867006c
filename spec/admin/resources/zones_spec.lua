local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.zones", function()
  local gate

  before_each(function() gate = assert(support.start()) end)
  after_each(function() gate:close() end)

  local function create(body, options) return gate:call("POST", "/zones", body, options) end
  local function first(answer) return answer.body.errors[1] end
  local function names(query, options)
    local list = {}
    for index, zone in ipairs(gate:call("GET", "/zones" .. query, nil, options).body.result) do list[index] = zone.name end
    return list
  end

  describe("create", function()
    it("answers with the zone, active at once, with numbers and nulls as documented", function()
      local json = require "moongate.json"
      local answer = create { name = "Heron.Test.", account = { id = gate.account_id }, jump_start = true }
      assert.equal(200, answer.status)
      local zone = answer.body.result
      assert.equal("heron.test", zone.name)
      assert.equal("active", zone.status)
      assert.equal("full", zone.type)
      assert.is_false(zone.paused)
      assert.equal(0, zone.development_mode)
      assert.equal(2, #zone.name_servers)
      assert.equal(json.null, zone.original_registrar)
      assert.same({ id = gate.account_id, name = "default" }, zone.account)
      assert.equal(json.null, zone.owner.id)
      assert.equal(0, zone.plan.price)
      assert.truthy(zone.created_on:find("%.%d%d%d%d%d%dZ$"))
      assert.same(zone, gate:call("GET", "/zones/" .. zone.id).body.result)
    end)

    it("takes the account of the token when none is named", function()
      assert.equal(gate.account_id, create({ name = "heron.test" }).body.result.account.id)
    end)

    for _, case in ipairs {
      { "an empty name", { name = "" }, 10002 },
      { "no name", "{}", 10002 },
      { "one label", { name = "localhost" }, 1002 },
      { "an address", { name = "192.0.2.1" }, 1002 },
      { "a blank", { name = "a b.test" }, 1002 },
      { "a wildcard", { name = "*.heron.test" }, 1002 },
      { "a scheme", { name = "https://heron.test" }, 1002 },
      { "an unknown type", { name = "heron.test", type = "half" }, 10002 },
      { "an account id that is none", { name = "heron.test", account = { id = "x" } }, 10002 },
      { "an account that is a text", { name = "heron.test", account = "x" }, 10002 },
    } do
      it(("refuses %s with %d"):format(case[1], case[3]), function()
        local answer = create(case[2])
        assert.equal(400, answer.status)
        assert.equal(case[3], first(answer).code)
      end)
    end

    it("refuses a name that is there with 1061", function()
      gate:zone "heron.test"
      local answer = create { name = "HERON.test" }
      assert.equal(400, answer.status)
      assert.equal(1061, first(answer).code)
      assert.equal("heron.test already exists", first(answer).message)
    end)

    it("refuses an unknown account like a foreign one", function()
      local answer = create { name = "heron.test", account = { id = ("0"):rep(32) } }
      assert.equal(403, answer.status)
      assert.equal(10000, first(answer).code)
    end)

    it("needs Zone Write on the account", function()
      local foreign = gate:account "other"
      local token = gate:token { policies = { { effect = "allow", permission_groups = { { id = "e6d2666161e84845a636613608cee8d5" } },
        resources = { ["com.cloudflare.api.account." .. foreign] = { ["com.cloudflare.api.account.zone.*"] = "*" } } } } }
      assert.equal(403, create({ name = "a.test", account = { id = gate.account_id } }, { token = token }).status)
      local answer = create({ name = "b.test" }, { token = token })
      assert.equal(200, answer.status)
      assert.equal(foreign, answer.body.result.account.id)
    end)

    it("allows a zone below another of the same account", function()
      gate:zone "heron.test"
      assert.equal(200, create({ name = "sub.heron.test" }).status)
    end)

    it("refuses a zone below or above one of another account", function()
      local foreign = gate:account "other"
      gate:zone "heron.test"
      gate:zone "deep.stork.test"
      for _, name in ipairs { "sub.heron.test", "stork.test" } do
        local answer = create { name = name, account = { id = foreign } }
        assert.equal(400, answer.status)
        assert.equal(1116, first(answer).code)
      end
      assert.equal(200, create({ name = "xheron.test", account = { id = foreign } }).status)
    end)

    it("refuses a zone around names that Access verifies in the zone above: they would be open", function()
      gate:zone "heron.test"
      local made = gate:call("POST", ("/accounts/%s/access/certificates"):format(gate.account_id),
        { name = "x", certificate = require("spec.support.certs").ca("Access").pem, associated_hostnames = { "sub.heron.test" } })
      assert.equal(201, made.status)
      assert.equal(1116, first(create { name = "sub.heron.test" }).code)
    end)

    it("refuses a zone around names that the zone above uses, for they would silently change hands", function()
      local zone = gate:zone "heron.test"
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/a.sub.heron.test", { url = "http://127.0.0.1:9000" })
      local answer = create { name = "sub.heron.test" }
      assert.equal(1116, first(answer).code)
      assert.truthy(first(answer).message:find("a.sub.heron.test is in use in the zone heron.test", 1, true))
      local ca = gate:upload_ca(certs.ca("Root").pem)
      gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
        { hostnames = { "b.heron.test" }, mtls_certificate_id = ca.id })
      assert.equal(1116, first(create { name = "b.heron.test" }).code)
      assert.equal(200, create({ name = "c.heron.test" }).status)
    end)
  end)

  describe("list", function()
    before_each(function()
      for _, name in ipairs { "heron.test", "stork.test", "crane.example", "100percent.test" } do gate:zone(name) end
      create { name = "hidden.test", type = "internal" }
    end)

    for query, expected in pairs {
      [""] = { "100percent.test", "crane.example", "heron.test", "stork.test" },
      ["?direction=desc"] = { "stork.test", "heron.test", "crane.example", "100percent.test" },
      ["?name=heron.test"] = { "heron.test" },
      ["?name=HERON.test"] = { "heron.test" },
      ["?name=equal:heron.test"] = { "heron.test" },
      ["?name=not_equal:heron.test"] = { "100percent.test", "crane.example", "stork.test" },
      ["?name=starts_with:cr"] = { "crane.example" },
      ["?name=ends_with:.test"] = { "100percent.test", "heron.test", "stork.test" },
      ["?name=contains:ork"] = { "stork.test" },
      ["?name=contains:%25"] = {},
      ["?name=contains:_"] = {},
      ["?name=starts_with_case_sensitive:HER"] = {},
      ["?name=heron"] = {},
      ["?status=active&name=heron.test"] = { "heron.test" },
      ["?status=pending"] = {},
      ["?type=internal"] = { "hidden.test" },
      ["?type=internal,full&name=starts_with:h"] = { "heron.test", "hidden.test" },
      ["?account.name=default&name=heron.test"] = { "heron.test" },
      ["?account.name=other"] = {},
      ["?name=heron.test&account.name=other&match=any"] = { "heron.test" },
      ["?per_page=5&page=2"] = {},
    } do
      it("answers " .. (query == "" and "everything" or query), function()
        assert.same(expected, names(query))
      end)
    end

    it("answers account.id", function()
      assert.equal(4, #names("?account.id=" .. gate.account_id))
      assert.equal(0, #names("?account.id=" .. ("0"):rep(32)))
    end)

    it("pages, clamps per_page to 5 … 50, and stays 200 past the end", function()
      for index = 1, 3 do gate:zone("more" .. index .. ".test") end
      local answer = gate:call("GET", "/zones?per_page=1&page=2")
      assert.same({ page = 2, per_page = 5, count = 2, total_count = 7, total_pages = 2 }, answer.body.result_info)
      answer = gate:call("GET", "/zones?page=3&per_page=5")
      assert.equal(200, answer.status)
      assert.truthy(answer.raw:find('"result":[]', 1, true))
    end)

    for _, query in ipairs { "page=0", "order=colour", "direction=up", "match=some", "name=near:x" } do
      it("refuses ?" .. query, function()
        local answer = gate:call("GET", "/zones?" .. query)
        assert.equal(400, answer.status)
        assert.equal(10002, first(answer).code)
      end)
    end

    it("is cut to the zones that the token may read", function()
      local heron = gate:call("GET", "/zones?name=heron.test").body.result[1]
      local token = gate:token { policies = { { effect = "allow", permission_groups = { { id = "c8fed203ed3043cba015a93ad1616f1f" } },
        resources = { ["com.cloudflare.api.account.zone." .. heron.id] = "*" } } } }
      assert.same({ "heron.test" }, names("", { token = token }))
      assert.equal(1, gate:call("GET", "/zones", nil, { token = token }).body.result_info.total_count)
      assert.same({}, names("", { token = gate:token { "DNS Read" } }))
    end)

    it("leaves out what a policy denies", function()
      local heron = gate:call("GET", "/zones?name=heron.test").body.result[1]
      local group = { { id = "c8fed203ed3043cba015a93ad1616f1f" } }
      local token = gate:token { policies = {
        { effect = "allow", permission_groups = group, resources = { ["com.cloudflare.api.account.zone.*"] = "*" } },
        { effect = "deny", permission_groups = group, resources = { ["com.cloudflare.api.account.zone." .. heron.id] = "*" } },
      } }
      assert.same({ "100percent.test", "crane.example", "stork.test" }, names("", { token = token }))
      assert.equal(403, gate:call("GET", "/zones/" .. heron.id, nil, { token = token }).status)
    end)
  end)

  describe("patch", function()
    local json = require "moongate.json"
    local zone

    before_each(function()
      zone = gate:zone "heron.test"
      gate.control.clock = gate.control.clock + 1
    end)

    local function patch(body) return gate:call("PATCH", "/zones/" .. zone.id, body) end

    for title, body in pairs {
      paused = { paused = true }, type = { type = "partial" },
      vanity_name_servers = { vanity_name_servers = json.array { "ns1.heron.test", "ns2.heron.test" } },
    } do
      it("changes " .. title .. " and nothing else, and answers with the zone", function()
        local answer = patch(body)
        assert.equal(200, answer.status, answer.raw)
        local changed = answer.body.result
        assert.same(body[title], changed[title])
        assert.is_true(changed.modified_on > zone.modified_on)
        assert.same(changed, gate:call("GET", "/zones/" .. zone.id).body.result)
        changed[title], changed.modified_on = zone[title], zone.modified_on
        assert.same(zone, changed)
      end)
    end

    it("says that a paused zone goes on being served", function()
      assert.truthy(patch({ paused = true }).body.messages[1].message:find("go on being served", 1, true))
      local answer = patch { paused = false }
      assert.same({}, answer.body.messages)
      assert.is_false(answer.body.result.paused)
    end)

    it("takes the plan that there is, and changes nothing by it", function()
      assert.same(zone, patch({ plan = { id = zone.plan.id } }).body.result)
      assert.same(zone, patch({ plan = { legacy_id = "enterprise" } }).body.result)
    end)

    it("takes vanity name servers away again", function()
      patch { vanity_name_servers = json.array { "NS.heron.test." } }
      assert.same({ "ns.heron.test" }, gate:call("GET", "/zones/" .. zone.id).body.result.vanity_name_servers)
      local result = patch({ vanity_name_servers = json.array {} }).body.result
      assert.is_true(json.is_array(result.vanity_name_servers))
      assert.same({}, result.vanity_name_servers)
    end)

    for title, case in pairs {
      ["two properties at once"] = { { paused = true, type = "partial" }, 21093 },
      ["no property"] = { json.object {}, 21094 },
      ["a property that cannot be changed"] = { { name = "stork.test" }, 21094 },
      ["an unknown type"] = { { type = "half" }, 10002 },
      ["a text for paused"] = { { paused = "yes" }, 10002 },
      ["another plan"] = { { plan = { id = ("0"):rep(32) } }, 10002 },
      ["what is no name server"] = { { vanity_name_servers = json.array { "a b" } }, 10002 },
      ["too many name servers"] = { { vanity_name_servers = json.array { "a.b", "a.b", "a.b", "a.b", "a.b", "a.b", "a.b",
        "a.b", "a.b" } }, 10002 },
      ["malformed JSON"] = { "{", 6007 },
    } do
      it(("refuses %s with %d, and changes nothing"):format(title, case[2]), function()
        local answer = patch(case[1])
        assert.equal(400, answer.status, answer.raw)
        assert.equal(case[2], first(answer).code)
        assert.same(zone, gate:call("GET", "/zones/" .. zone.id).body.result)
      end)
    end

    it("knows no zone that is not there", function()
      local answer = gate:call("PATCH", "/zones/" .. ("0"):rep(32), { paused = true })
      assert.equal(404, answer.status)
      assert.equal(9109, first(answer).code)
    end)
  end)

  describe("delete", function()
    it("answers with the id and drops everything below", function()
      local zone, ca = gate:zone "heron.test", gate:upload_ca(certs.ca("Root").pem)
      local base = "/zones/" .. zone.id
      gate:call("PUT", base .. "/certificate_authorities/hostname_associations", { hostnames = { "a.heron.test" }, mtls_certificate_id = ca.id })
      gate:call("PUT", base .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
      gate:call("PUT", base .. "/rulesets/phases/http_request_firewall_custom/entrypoint", { rules = {} })
      local answer = gate:call("DELETE", base)
      assert.equal(200, answer.status)
      assert.same({ id = zone.id }, answer.body.result)
      assert.is_nil(gate.control.served["heron.test"])
      assert.equal(404, gate:call("GET", base).status)
      assert.equal(200, gate:call("DELETE", ("/accounts/%s/mtls_certificates/%s"):format(gate.account_id, ca.id)).status)
      for _, name in ipairs { "hostname_associations", "origins", "rulesets" } do
        local left = gate.app.store:read(function(tx) return tx:one("SELECT count(*) AS n FROM " .. name).n end)
        assert.equal(0, left)
      end
    end)

    it("answers 404 with 9109 the second time", function()
      local zone = gate:zone "heron.test"
      gate:call("DELETE", "/zones/" .. zone.id)
      local answer = gate:call("DELETE", "/zones/" .. zone.id)
      assert.equal(404, answer.status)
      assert.equal(9109, first(answer).code)
    end)
  end)
end)
