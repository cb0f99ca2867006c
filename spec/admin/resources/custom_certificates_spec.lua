local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.custom_certificates", function()
  local gate, zone, base, issuing
  local root = certs.ca("Root", { subject = "/C=NO/O=Heron\\, Ltd/CN=Root" })

  setup(function() issuing = certs.ca("Issuing", { issuer = root }) end)

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/custom_certificates"
  end)
  after_each(function() gate:close() end)

  local function server(names, options, issuer)
    options = options or {}
    options.eku, options.san = "serverAuth", names
    return certs.leaf(issuer or root, options)
  end
  local usual = server "DNS:Heron.test,DNS:*.heron.test,DNS:elsewhere.test"

  local function post(body) return gate:call("POST", base, body) end
  local function upload(leaf, more)
    local body = { certificate = leaf.pem, private_key = leaf.key }
    for key, value in pairs(more or {}) do body[key] = value end
    local answer = post(body)
    assert(answer.status == 200, answer.raw)
    return answer.body.result
  end
  local function first(answer) return answer.body.errors[1] end
  local function served() return gate.control.served["heron.test"] end

  describe("POST", function()
    it("answers with the object as documented", function()
      local answer = post { certificate = usual.pem, private_key = usual.key, bundle_method = "force", type = "sni_custom",
        geo_restrictions = { label = "eu" }, policy = "(country: US)" }
      assert.equal(200, answer.status)
      local result = answer.body.result
      assert.truthy(result.id:find("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$"))
      assert.equal(zone.id, result.zone_id)
      assert.same({ "heron.test", "*.heron.test", "elsewhere.test" }, result.hosts)
      assert.equal("Heron, Ltd", result.issuer)
      assert.equal("ECDSAWithSHA256", result.signature)
      assert.equal("active", result.status)
      assert.equal("force", result.bundle_method)
      assert.equal("sni_custom", result.type)
      assert.equal(20, result.priority)
      assert.same({ label = "eu" }, result.geo_restrictions)
      assert.equal("(country: US)", result.policy_restrictions)
      assert.equal(result.uploaded_on, result.modified_on)
      assert.truthy(result.uploaded_on:find("%.%d%d%d%d%d%dZ$"))
      assert.truthy(result.expires_on:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
      for _, word in ipairs { "private_key", "BEGIN", "PRIVATE" } do assert.is_nil(answer.raw:find(word, 1, true)) end
    end)

    it("fills in the documented defaults", function()
      local result = upload(usual)
      assert.equal("ubiquitous", result.bundle_method)
      assert.equal("legacy_custom", result.type)
      assert.is_nil(result.geo_restrictions)
    end)

    it("serves it for every name of the zone that it covers, with the origin that answers there", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
      upload(usual)
      local names = {}
      for index, host in ipairs(served().hosts) do
        names[index] = host.name
        assert.equal("http://127.0.0.1:9000", host.origin.url)
        assert.is_nil(host.trust)
      end
      assert.same({ "*", "*.heron.test", "heron.test" }, names)
      local one = served().certificates[1]
      assert.same({ "heron.test", "*.heron.test", "elsewhere.test" }, one.hosts)
      assert.equal("EC", one.kind)
      assert.equal(usual.key, gate.control.open(one.private_key, one.context))
    end)

    it("hands the certificates on in the order in which they are preferred", function()
      local ids = {}
      for index = 1, 3 do
        gate.control.clock = gate.control.clock + 1
        ids[index] = upload(server("DNS:heron.test")).id
      end
      gate:call("PUT", base .. "/prioritize", { certificates = { { id = ids[2], priority = 30 }, { id = ids[3], priority = -1 } } })
      local contexts = {}
      for index, one in ipairs(served().certificates) do contexts[index] = one.context:match("[^:]+$") end
      assert.same({ ids[2], ids[1], ids[3] }, contexts)
    end)

    it("does not serve what is staged", function()
      local made = upload(usual, { deploy = "staging" })
      assert.equal("pending", made.status)
      assert.same({}, served().certificates)
      assert.equal("active", gate:call("PATCH", base .. "/" .. made.id, { deploy = "production" }).body.result.status)
      assert.equal(1, #served().certificates)
    end)

    local other = certs.leaf(nil, { cn = "other" })
    for title, case in pairs {
      ["no certificate"] = { 1002, function() return { private_key = usual.key } end },
      ["a certificate that is a number"] = { 1002, function() return { certificate = 7, private_key = usual.key } end },
      ["text that is no PEM"] = { 1002, function() return { certificate = "x", private_key = usual.key } end },
      ["a private key among the certificates"] = { 1002, function() return { certificate = usual.pem .. usual.key, private_key = usual.key } end },
      ["an expired certificate"] = { 1002, function()
        local old = server("DNS:heron.test", { not_before = 1500000000, not_after = 1600000000 })
        return { certificate = old.pem, private_key = old.key }
      end },
      ["a SHA-1 signature"] = { 1002, function()
        local old = server("DNS:heron.test", { digest = "sha1" })
        return { certificate = old.pem, private_key = old.key }
      end },
      ["an RSA key of 1024 bits"] = { 1002, function()
        local small = server("DNS:heron.test", { key = "RSA 1024" })
        return { certificate = small.pem, private_key = small.key }
      end },
      ["a key that browsers do not know"] = { 1434, function()
        local ed = server("DNS:heron.test", { key = "Ed25519" })
        return { certificate = ed.pem, private_key = ed.key }
      end },
      ["a CA"] = { 2101, function() return { certificate = root.pem, private_key = root.key } end },
      ["two leaves"] = { 2101, function() return { certificate = usual.pem .. other.pem, private_key = usual.key } end },
      ["the leaf behind its issuer"] = { 2101, function() return { certificate = root.pem .. usual.pem, private_key = usual.key } end },
      ["no name of the zone"] = { 2103, function()
        local foreign = server "DNS:stork.test,DNS:notheron.test"
        return { certificate = foreign.pem, private_key = foreign.key }
      end },
      ["no subject alternative name"] = { 2103, function()
        local bare = certs.leaf(root, { cn = "heron.test", eku = "serverAuth" })
        return { certificate = bare.pem, private_key = bare.key }
      end },
      ["no key"] = { 2106, function() return { certificate = usual.pem } end },
      ["an unreadable key"] = { 2106, function() return { certificate = usual.pem, private_key = "x" } end },
      ["another's key"] = { 2200, function() return { certificate = usual.pem, private_key = other.key } end },
      ["a request to make a key"] = { 21060, function() return { certificate = usual.pem, custom_csr_id = "x" } end },
      ["an unknown bundle method"] = { 1002, function() return { certificate = usual.pem, private_key = usual.key, bundle_method = "x" } end },
      ["an unknown type"] = { 1002, function() return { certificate = usual.pem, private_key = usual.key, type = "x" } end },
      ["an unknown region"] = { 1002, function() return { certificate = usual.pem, private_key = usual.key, geo_restrictions = { label = "mars" } } end },
    } do
      it(("refuses %s with %d"):format(title, case[1]), function()
        local answer = post(case[2]())
        assert.equal(400, answer.status)
        assert.equal(case[1], first(answer).code)
        assert.is_nil(answer.raw:find(usual.key:match("\n([^\n]+)\n"), 1, true))
        assert.equal(0, gate:call("GET", base).body.result_info.total_count)
      end)
    end

    it("refuses the same certificate again with 1220, in this zone only", function()
      upload(usual)
      local answer = post { certificate = "again\n" .. usual.pem, private_key = usual.key }
      assert.equal(400, answer.status)
      assert.equal(1220, first(answer).code)
      local both = server "DNS:heron.test,DNS:stork.test"
      upload(both)
      local stork = gate:zone "stork.test"
      assert.equal(200, gate:call("POST", "/zones/" .. stork.id .. "/custom_certificates",
        { certificate = both.pem, private_key = both.key }).status)
    end)

    it("refuses one too many with 1212", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'custom_certificates'") end)
      upload(usual)
      local answer = post { certificate = server("DNS:heron.test").pem }
      assert.equal(2106, first(answer).code)
      local more = server "DNS:heron.test"
      answer = post { certificate = more.pem, private_key = more.key }
      assert.equal(400, answer.status)
      assert.equal(1212, first(answer).code)
    end)

    it("refuses what cannot be served, and stores nothing", function()
      gate.control.refuse_section = function() return { where = "certificate", text = "no" } end
      local answer = post { certificate = usual.pem, private_key = usual.key }
      assert.equal(21004, first(answer).code)
      gate.control.refuse_section = nil
      assert.equal(0, gate:call("GET", base).body.result_info.total_count)
    end)
  end)

  describe("bundle_method", function()
    local below

    before_each(function() below = server("DNS:heron.test", {}, issuing) end)

    local function chain_of(method, text)
      local answer = post { certificate = text, private_key = below.key, bundle_method = method }
      if answer.status ~= 200 then return nil, first(answer) end
      local list = gate.control.certificates(served().certificates[1].certificates)
      local names = {}
      for index, one in ipairs(list) do names[index] = one.subject:match("CN=([^,]+)") end
      return table.concat(names, " < ")
    end

    for title, case in pairs {
      ["ubiquitous keeps leaf and intermediate"] = { "ubiquitous", function() return below.pem .. issuing.pem end, "leaf < Issuing" },
      ["optimal keeps the leaf alone"] = { "optimal", function() return below.pem end, "leaf" },
      ["ubiquitous puts intermediates in order, whatever stands between them"] = { "ubiquitous", function()
        local mid = certs.ca("Mid", { issuer = root })
        local low = certs.ca("Low", { issuer = mid })
        below = server("DNS:heron.test", {}, low)
        return ("leaf\n" .. below.pem .. "mid -----BEGIN CERTIFICATE-----\n" .. mid.pem .. low.pem):gsub("\n", "\r\n")
      end, "leaf < Low < Mid" },
    } do
      it(title, function() assert.equal(case[3], chain_of(case[1], case[2]())) end)
    end

    it("force keeps what was given byte for byte, the root too", function()
      local text = "leaf\n" .. below.chain .. "\nend\n"
      assert.truthy(chain_of("force", text):find("Root$"))
      assert.equal(text, served().certificates[1].certificates)
    end)

    for title, text in pairs {
      ["the root"] = function() return usual.pem .. root.pem end,
      ["a certificate of another chain"] = function() return usual.pem .. certs.ca("Stranger").pem end,
    } do
      it("refuses " .. title .. " with 2100 unless it is force", function()
        local body = { certificate = text(), private_key = usual.key }
        assert.equal(2100, first(post(body)).code)
        body.bundle_method = "force"
        assert.equal(200, post(body).status)
      end)
    end
  end)

  describe("GET", function()
    local function ids(query)
      local list = {}
      for index, one in ipairs(gate:call("GET", base .. query).body.result) do list[index] = one.id end
      return list
    end

    it("lists by priority, then the newest first, with totals", function()
      local one = upload(usual).id
      gate.control.clock = gate.control.clock + 1
      local two = upload(server "DNS:heron.test").id
      local answer = gate:call("GET", base)
      assert.same({ two, one }, ids "")
      assert.same({ page = 1, per_page = 20, count = 2, total_count = 2, total_pages = 1 }, answer.body.result_info)
      assert.same({}, ids "?page=2")
      assert.truthy(gate:call("GET", base .. "?page=2").raw:find('"result":[]', 1, true))
    end)

    it("filters by status", function()
      local active = upload(usual).id
      local ending = upload(server("DNS:heron.test", { days = 2 })).id
      local staged = upload(server "DNS:heron.test", { deploy = "staging" }).id
      gate.control.clock = os.time() + 86400 * 3
      assert.same({ active }, ids "?status=active&match=any")
      assert.same({ ending }, ids "?status=expired")
      assert.same({ staged }, ids "?status=pending")
      assert.same({}, ids "?status=deleted")
      assert.equal("expired", gate:call("GET", base .. "/" .. ending).body.result.status)
    end)

    for _, query in ipairs { "status=x", "match=x", "page=0" } do
      it("refuses ?" .. query, function() assert.equal(10002, first(gate:call("GET", base .. "?" .. query)).code) end)
    end

    it("gives one, and 404 for what is not there", function()
      local made = upload(usual)
      assert.same(made, gate:call("GET", base .. "/" .. made.id).body.result)
      for _, id in ipairs { "x", "8b1d3c5e-7f90-4a1b-9c2d-3e4f50617283" } do
        for _, method in ipairs { "GET", "DELETE" } do
          local answer = gate:call(method, base .. "/" .. id)
          assert.equal(404, answer.status)
          assert.equal(1002, first(answer).code)
        end
      end
    end)

    it("does not reach into another zone", function()
      local made, stork = upload(usual), gate:zone "stork.test"
      local there = "/zones/" .. stork.id .. "/custom_certificates/"
      assert.equal(404, gate:call("GET", there .. made.id).status)
      assert.equal(404, gate:call("DELETE", there .. made.id).status)
      assert.equal(400, gate:call("PATCH", there .. made.id, { bundle_method = "force" }).status)
      assert.equal(400, gate:call("PUT", there .. "prioritize", { certificates = { { id = made.id, priority = 1 } } }).status)
      assert.equal(20, gate:call("GET", base .. "/" .. made.id).body.result.priority)
    end)
  end)

  describe("PATCH", function()
    it("renews in place: the id stays, all else is of the new pair", function()
      local made = upload(usual, { bundle_method = "force" })
      gate.control.clock = gate.control.clock + 60
      local fresh = server("DNS:new.heron.test", { key = "RSA 2048" })
      local answer = gate:call("PATCH", base .. "/" .. made.id, { certificate = fresh.pem, private_key = fresh.key })
      assert.equal(200, answer.status)
      local result = answer.body.result
      assert.equal(made.id, result.id)
      assert.same({ "new.heron.test" }, result.hosts)
      assert.equal("force", result.bundle_method)
      assert.is_true(result.uploaded_on > made.uploaded_on)
      assert.equal(1, #served().certificates)
      local one = served().certificates[1]
      assert.equal("RSA", one.kind)
      assert.equal(fresh.key, gate.control.open(one.private_key, one.context))
    end)

    it("changes single fields", function()
      local made = upload(usual)
      gate.control.clock = gate.control.clock + 60
      local result = gate:call("PATCH", base .. "/" .. made.id, { bundle_method = "optimal", type = "sni_custom",
        geo_restrictions = { label = "us" } }).body.result
      assert.equal("optimal", result.bundle_method)
      assert.equal("sni_custom", result.type)
      assert.same({ label = "us" }, result.geo_restrictions)
      assert.equal(made.uploaded_on, result.uploaded_on)
      assert.is_true(result.modified_on > made.modified_on)
    end)

    it("takes an empty body", function()
      local made = upload(usual)
      assert.equal(200, gate:call("PATCH", base .. "/" .. made.id, "{}").status)
    end)

    for title, case in pairs {
      ["an unknown id"] = { 1002, function() return "8b1d3c5e-7f90-4a1b-9c2d-3e4f50617283", {} end },
      ["a certificate without its key"] = { 2106, function(id) return id, { certificate = server("DNS:heron.test").pem } end },
      ["a key without its certificate"] = { 1002, function(id) return id, { private_key = usual.key } end },
      ["another's key"] = { 2200, function(id) return id, { certificate = server("DNS:heron.test").pem, private_key = usual.key } end },
      ["a name outside the zone"] = { 2103, function(id)
        local foreign = server "DNS:stork.test"
        return id, { certificate = foreign.pem, private_key = foreign.key }
      end },
    } do
      it(("refuses %s with %d and changes nothing"):format(title, case[1]), function()
        local made = upload(usual)
        local id, body = case[2](made.id)
        local answer = gate:call("PATCH", base .. "/" .. id, next(body) and body or "{}")
        assert.equal(400, answer.status)
        assert.equal(case[1], first(answer).code)
        assert.same(made, gate:call("GET", base .. "/" .. made.id).body.result)
      end)
    end

    it("refuses to become a certificate that is there already", function()
      local made, more = upload(usual), server "DNS:heron.test"
      upload(more)
      assert.equal(1220, first(gate:call("PATCH", base .. "/" .. made.id, { certificate = more.pem, private_key = more.key })).code)
    end)
  end)

  it("DELETE answers with the id, and serves without it", function()
    local made = upload(usual)
    local answer = gate:call("DELETE", base .. "/" .. made.id)
    assert.equal(200, answer.status)
    assert.same({ id = made.id }, answer.body.result)
    assert.same({}, served().certificates)
    assert.same({}, served().hosts)
  end)

  describe("PUT prioritize", function()
    it("answers with all certificates in their new order", function()
      local one, two = upload(usual).id, upload(server "DNS:heron.test").id
      local answer = gate:call("PUT", base .. "/prioritize", { certificates = { { id = one, priority = 5 }, { id = two, priority = 6 } } })
      assert.equal(200, answer.status)
      assert.same({ two, one }, { answer.body.result[1].id, answer.body.result[2].id })
      assert.equal(6, answer.body.result[1].priority)
    end)

    for title, body in pairs {
      ["an unknown id"] = '{"certificates":[{"id":"8b1d3c5e-7f90-4a1b-9c2d-3e4f50617283","priority":1}]}',
      ["no id"] = '{"certificates":[{"priority":1}]}', ["a priority as text"] = '{"certificates":[{"id":"%s","priority":"1"}]}',
      ["a fraction"] = '{"certificates":[{"id":"%s","priority":1.5}]}', ["no priority"] = '{"certificates":[{"id":"%s"}]}',
      ["a priority beyond all bounds"] = '{"certificates":[{"id":"%s","priority":4294967296}]}',
      ["no list"] = "{}", ["a list of texts"] = '{"certificates":["x"]}',
    } do
      it("refuses " .. title .. " and changes nothing", function()
        local made = upload(usual)
        local answer = gate:call("PUT", base .. "/prioritize", (body:gsub("%%s", made.id)))
        assert.equal(400, answer.status)
        assert.equal(1002, first(answer).code)
        assert.equal(20, gate:call("GET", base .. "/" .. made.id).body.result.priority)
      end)
    end
  end)

  it("goes away with its zone", function()
    upload(usual)
    assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
    gate.app.store:read(function(tx)
      assert.equal(0, tx:one("SELECT count(*) AS n FROM custom_certificates").n)
      return true
    end)
  end)
end)
