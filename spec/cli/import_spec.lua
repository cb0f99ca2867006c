local cli = require "spec.support.cli"
local everything = require "spec.support.everything"
local json = require "moongate.json"

describe("moongate export and import", function()
  local source, target

  local function call_of(line)
    return function(method, path, body)
      local answer = line.gate:call(method, path, body)
      if answer.status >= 300 then error(("%s %s: %s"):format(method, path, answer.raw), 2) end
      return answer.body and answer.body.result
    end
  end

  local function start()
    local line = cli.start()
    line.gate.control.clock = os.time() + 0.25
    return line
  end

  -- A line's configuration as a document.
  local function export(line, ...) return (line:ok { "export", ... }) end

  local function import(line, text, ...)
    line.stdin = text
    return line:run { "import", "-", ... }
  end

  -- Changes the decoded document and gives its text.
  local function edited(text, change)
    local document = json.decode(text, { max_depth = 64 })
    change(document)
    return json.encode(document)
  end

  local function zone_of(document, name)
    for _, zone in ipairs(document.zones) do
      if zone.name == name then return zone end
    end
  end

  before_each(function()
    source = start()
    everything.make(call_of(source))
  end)
  after_each(function()
    source:close()
    if target then target:close() end
    target = nil
  end)

  describe("export", function()
    it("names everything by keys: no id, no time, no private key", function()
      local text = export(source)
      assert.is_nil(text:find("%x%x%x%x%x%x%x%x%-%x%x%x%x%-"))
      assert.is_nil(text:gsub("sha256:%x+", ""):find('"%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x"'))
      assert.is_nil(text:find("_on\"", 1, true))
      assert.is_nil(text:find("PRIVATE KEY", 1, true))
    end)

    it("gives the same text every time", function() assert.equal(export(source), export(source)) end)

    it("has a member for every kind", function()
      local kinds = require "moongate.cli.kinds"
      local document = json.decode(export(source))
      assert.equal(1, document.moongate_export)
      for name in pairs(kinds.of "account") do assert.not_nil(document.account[name], name) end
      for name in pairs(kinds.of "zone") do assert.not_nil(zone_of(document, "heron.test")[name], name) end
    end)

    it("says what it leaves out", function()
      local text, err = source:ok { "export" }
      assert.truthy(json.decode(text).left_out[1]:find("^leaf certificate presented of the account default"))
      assert.truthy(err:find("left out: leaf certificate presented", 1, true))
    end)

    it("names certificates that have a private key, and does not hold them", function()
      local certs = require "spec.support.certs"
      local server = certs.leaf(everything.partners, { cn = "x", eku = "serverAuth", san = "DNS:www.heron.test,DNS:cert.crane.test" })
      local zone = "/zones/" .. source:json({ "zone", "show", "heron.test" }).id
      local call = call_of(source)
      call("POST", zone .. "/custom_certificates", { certificate = server.pem, private_key = server.key })
      call("POST", zone .. "/custom_hostnames", { hostname = "cert.crane.test",
        ssl = { method = "http", type = "dv", custom_certificate = server.pem, custom_key = server.key } })
      call("POST", zone .. "/origin_tls_client_auth", { certificate = everything.leaf.pem, private_key = everything.leaf.key })
      call("POST", zone .. "/client_certificates", { csr = certs.request({ subject = "/CN=me" }).pem, validity_days = 30 })
      local text = export(source)
      local left_out = table.concat(json.decode(text).left_out, "\n")
      for _, words in ipairs {
        "server certificate www.heron.test, cert.crane.test of the zone heron.test", "certificate of the custom hostname cert.crane.test",
        "certificate for origin pulls ", "1 client certificates of the zone heron.test",
      } do
        assert.truthy(left_out:find(words, 1, true), words)
      end
      assert.is_nil(left_out:find("custom hostname shop.crane.test", 1, true))
      assert.is_nil(text:find(server.pem:sub(40, 90), 1, true))
    end)

    it("takes along what a zone refers to, and no more", function()
      local document = json.decode(export(source, "--zone", "heron.test"))
      assert.equal("zone", document.scope)
      assert.equal(1, #document.zones)
      assert.equal(2, #document.account.certificate_authorities)
      assert.same({ "office" }, { document.account.lists[1].name, document.account.lists[2] })
      assert.equal("shared", document.account.custom_rulesets[1].name)
      assert.is_nil(document.account.rules)
      document = json.decode(export(source, "--zone", "stork.test"))
      assert.equal(0, #document.account.certificate_authorities + #document.account.lists + #document.account.custom_rulesets)
    end)
  end)

  describe("import", function()
    before_each(function()
      target = start()
      everything.prepare(call_of(target))
    end)

    it("changes nothing the second time when the document says no more than it must", function()
      local text = json.encode(json.object {
        moongate_export = 1, scope = "account",
        account = json.object { lists = json.array { { name = "l", kind = "ip", items = json.array { { ip = "192.0.2.9" }, { ip = "192.0.2.10" } } } } },
        zones = json.array { json.object {
          name = "heron.test", settings = json.object { ssl = "strict" },
          rules = json.object { rules = json.array { { action = "block", expression = "ssl" },
            { action = "skip", expression = "ssl", action_parameters = { ruleset = "current" } } } },
          custom_rulesets = json.array { { name = "c", rules = json.array { { action = "log", expression = "ssl" } } } },
          firewall_rules = json.array { { action = "block", filter = { expression = "ssl" } } },
          origins = json.array { { hostname = "*", url = "http://127.0.0.1:1" } },
          dns_records = json.array { { type = "A", name = "a.heron.test", content = "192.0.2.1" } },
          hostname_options = json.array { { hostname = "a.heron.test", forward = { xfcc = true } } },
          custom_hostnames = json.array { { hostname = "c.crane.test", ssl = { method = "http", type = "dv" } } },
        } },
      })
      local result = import(target, text)
      assert.equal(0, result.code, result.err)
      assert.equal("", import(target, text).out)
    end)

    it("brings an empty gateway to the same configuration, and changes nothing the second time", function()
      local text = export(source)
      local result = import(target, text)
      assert.equal(0, result.code, result.err)
      assert.equal(text, export(target))
      local count = target.gate.control.publications
      result = import(target, text)
      assert.equal("", result.out)
      assert.truthy(result.err:find("0 created, 0 changed, 0 deleted", 1, true))
      assert.equal(count, target.gate.control.publications)
      for _, request in ipairs(target.requests) do target.last = request.method end
      assert.equal("GET", target.last)
    end)

    it("serves the same afterwards", function()
      import(target, export(source))
      local here, there = source.gate.control.served["heron.test"], target.gate.control.served["heron.test"]
      assert.equal(#here.hosts, #there.hosts)
      for index, host in ipairs(here.hosts) do assert.equal(host.name, there.hosts[index].name) end
    end)

    it("makes what protects before what is reached", function()
      local lines, seen = {}, 0
      for line in import(target, export(source)).out:gmatch("[^\n]+") do
        seen = seen + 1
        for _, what in ipairs { "CA partners", "zone heron.test", "hostnames of partners", "rules in the zone heron.test", "DNS record", "origin of *" } do
          if not lines[what] and line:find(" " .. what, 1, true) then lines[what] = seen end
        end
      end
      assert.is_true(lines["CA partners"] < lines["zone heron.test"])
      assert.is_true(lines["zone heron.test"] < lines["hostnames of partners"])
      assert.is_true(lines["hostnames of partners"] < lines["rules in the zone heron.test"])
      assert.is_true(lines["rules in the zone heron.test"] < lines["DNS record"])
      assert.is_true(lines["DNS record"] < lines["origin of *"])
    end)

    it("lets policies name webhooks, which have to be there", function()
      local call, there = call_of(source), call_of(target)
      local function alerting(line) return "/accounts/" .. line.gate.account_id .. "/alerting/v3" end
      local hook = call("POST", alerting(source) .. "/destinations/webhooks", { name = "chat", url = "https://hooks.heron.test/T0/s3cret" }).id
      call("POST", alerting(source) .. "/policies", { name = "chatter", alert_type = "access_custom_certificate_expiration_type",
        mechanisms = { webhooks = json.array { { id = hook } } } })
      local text, err = source:ok { "export" }
      assert.truthy(err:find("left out: webhook chat of the account default", 1, true))
      assert.is_nil(text:find("s3cret", 1, true))
      local result = import(target, text)
      assert.equal(1, result.code)
      assert.truthy(result.err:find('there is no webhook "chat"', 1, true), result.err)
      there("POST", alerting(target) .. "/destinations/webhooks", { name = "chat", url = "https://hooks.stork.test/" })
      assert.equal(0, import(target, text).code)
      assert.same(json.decode(text).account, json.decode(export(target)).account)
    end)

    it("takes one zone to another gateway", function()
      local text = export(source, "--zone", "heron.test")
      local result = import(target, text)
      assert.equal(0, result.code, result.err)
      assert.equal(text, export(target, "--zone", "heron.test"))
    end)

    it("changes nothing in a dry run, and says what it would do", function()
      local before = export(target)
      local result = import(target, export(source), "--dry-run", "--prune")
      assert.equal(0, result.code, result.err)
      assert.truthy(result.out:find("+ create CA partners\n", 1, true))
      assert.truthy(result.err:find("nothing was changed: ", 1, true))
      assert.equal(before, export(target))
    end)

    it("shows operations to programs", function()
      local result = import(target, export(source), "--dry-run", "-o", "json")
      local list = json.decode(result.out)
      assert.equal("create", list[1].action)
      assert.equal("lists", list[1].kind)
      assert.equal(json.null, list[1].zone)
    end)

    it("stops at a CA whose revocation list no document can hold, before hostnames ask for it", function()
      local certs = require "spec.support.certs"
      local list = certs.crl(everything.partners)
      local function upload(line)
        local account = "/accounts/" .. line.gate.account_id
        local id = line:json({ "ca", "show", "partners" }).id
        local answer = line.gate:call("PUT", ("%s/mtls_certificates/%s/moongate/crl"):format(account, id), { crl = list })
        assert.equal(200, answer.status, answer.raw)
      end
      upload(source)
      local text, err = source:ok { "export" }
      assert.truthy(err:find("left out: revocation list of the CA partners", 1, true))
      local result = import(target, text)
      assert.equal(1, result.code)
      assert.truthy(result.err:find("its revocation list is in no document", 1, true), result.err)
      assert.equal(0, #target:json { "zone", "list" })
      upload(target)
      assert.equal(0, import(target, text).code)
      assert.equal(text, export(target))
    end)

    for _, case in ipairs {
      { "a leaf certificate that an origin presents", "presented", "there is no leaf certificate" },
      { "an Access certificate", nil, "the API does not show its certificate" },
    } do
      it("changes nothing without " .. case[1] .. ", which a document cannot hold", function()
        local empty = start()
        local before = export(empty)
        local result = import(empty, export(source))
        assert.equal(1, result.code)
        assert.truthy(result.err:find(case[3], 1, true), result.err)
        assert.equal(before, export(empty))
        empty:close()
      end)
    end
  end)

  describe("import over what is there", function()
    local text
    before_each(function() text = export(source) end)

    -- What the import of the changed document says.
    local function plan(change, ...)
      local result = import(source, edited(text, change), "--dry-run", ...)
      assert.equal(0, result.code, result.err)
      return result.out, result.err
    end

    for _, case in ipairs {
      { "a changed origin", function(d) zone_of(d, "heron.test").origins[1].url = "http://127.0.0.1:9009" end,
        "~ change origin of * in the zone heron.test\n    url: http://127.0.0.1:9000 → http://127.0.0.1:9009\n" },
      { "an origin without a member that was set", function(d) zone_of(d, "heron.test").origins[2].sni = nil end, "" },
      { "a member set to null", function(d) zone_of(d, "heron.test").origins[2].sni = json.null end,
        "~ change origin of api.heron.test in the zone heron.test\n    sni: in.test → null\n" },
      { "a setting", function(d) zone_of(d, "heron.test").settings.ssl = "full" end,
        "~ change settings in the zone heron.test\n    ssl: strict → full\n" },
      { "hostnames", function(d) table.insert(zone_of(d, "heron.test").associations[2].hostnames, "c.heron.test") end,
        "~ change hostnames of partners in the zone heron.test\n    hostnames + c.heron.test\n" },
      { "rules in another order", function(d)
        local rules = zone_of(d, "heron.test").rules.rules
        rules[1], rules[2] = rules[2], rules[1]
      end, "~ change rules in the zone heron.test\n    rules: in another order\n" },
      { "an item of a list", function(d) table.remove(d.account.lists[2].items, 1) end,
        "~ change list office\n    items - {\"comment\":\"desk\",\"ip\":\"192.0.2.0/24\"}\n" },
      { "a paused zone", function(d) zone_of(d, "stork.test").paused = false end, "~ change zone stork.test\n    paused: true → false\n" },
      { "a CNAME that points elsewhere", function(d) zone_of(d, "heron.test").dns_records[3].content = "x.heron.test" end,
        "~ change DNS record CNAME alias.heron.test in the zone heron.test\n    content: www.heron.test → x.heron.test\n" },
      { "denied certificates", function(d) d.account.certificate_authorities[1].denials = json.array {} end,
        "~ change CA partners\n    denials - {\"comment\":\"lost\",\"serial\":\"0xa1b\"}\n" },
      { "one option of several", function(d) zone_of(d, "heron.test").hostname_options[1].forward = { fields = true } end,
        "~ change options of api.heron.test in the zone heron.test\n    forward: {\"cloudflare\":false,\"fields\":false,\"rfc9440\":false,\"xfcc\":true} → "
        .. "{\"cloudflare\":false,\"fields\":true,\"rfc9440\":false,\"xfcc\":true}\n" },
      { "a kind that is not spoken of", function(d) zone_of(d, "heron.test").origins = nil end, "" },
    } do
      it("plans " .. case[1] .. ", and carries it out", function()
        assert.equal(case[3], (plan(case[2])))
        local wanted = edited(text, case[2])
        assert.equal(0, import(source, wanted).code)
        assert.equal("", import(source, wanted).out)
      end)
    end

    it("leaves what the document does not name, and says so", function()
      local out, err = plan(function(d) zone_of(d, "heron.test").origins = json.array {} end)
      assert.equal("", out)
      assert.truthy(err:find("2 that the document does not name stay (--prune deletes them)", 1, true))
    end)

    it("deletes everything with --prune when the document names nothing", function()
      local nothing = edited(text, function(d)
        d.zones = json.array {}
        for name, member in pairs(d.account) do
          if json.is_array(member) then d.account[name] = json.array {} end
        end
        d.account.rules.rules = json.array {}
      end)
      assert.equal(2, import(source, nothing, "--prune").code) -- asks first
      local result = import(source, nothing, "--prune", "--yes")
      assert.equal(0, result.code, result.err)
      local document = json.decode(export(source))
      assert.equal(0, #document.zones)
      assert.equal(0, #document.account.certificate_authorities + #document.account.lists + #document.account.custom_rulesets
        + #document.account.access_certificates)
    end)

    it("shows what it would delete before it asks", function()
      local wanted = edited(text, function(d)
        for index, zone in ipairs(d.zones) do
          if zone.name == "stork.test" then table.remove(d.zones, index) end
        end
      end)
      local path = source:file("wanted.json", wanted)
      source.terminal.stdin, source.stdin = true, "n\n"
      local result = source:run { "import", path, "--prune" }
      assert.equal(1, result.code)
      assert.truthy(result.err:find("- delete zone stork.test\nmoongate: delete this? [y/N]", 1, true), result.err)
      assert.equal(text, export(source))
    end)

    it("leaves out a firewall rule that says what another says", function()
      local zone = source.gate:call("GET", "/zones?name=heron.test").body.result[1].id
      source.gate:call("POST", ("/zones/%s/firewall/rules"):format(zone), json.array {
        { action = "block", priority = 5, filter = { expression = "ip.src eq 192.0.2.9" }, description = "again" } })
      assert.equal(2, #zone_of(json.decode(export(source)), "heron.test").firewall_rules)
    end)

    it("refuses to export two rulesets of one name", function()
      local path = ("/accounts/%s/rulesets"):format(source.gate.account_id)
      source.gate:call("POST", path, { name = "shared", kind = "custom", phase = "http_request_firewall_custom", rules = json.array {} })
      local result = source:run { "export" }
      assert.equal(1, result.code)
      assert.equal("", result.out)
      assert.truthy(result.err:find('called "shared" and cannot be told apart', 1, true), result.err)
    end)

    it("deletes things of a zone in the order that the API wants", function()
      local bare = edited(text, function(d)
        local zone = zone_of(d, "heron.test")
        for name, member in pairs(zone) do
          if json.is_array(member) then zone[name] = json.array {} end
        end
        zone.rules.rules = json.array {}
      end)
      local result = import(source, bare, "--prune", "--yes")
      assert.equal(0, result.code, result.err)
      local zone = zone_of(json.decode(export(source)), "heron.test")
      for name, member in pairs(zone) do
        if json.is_array(member) then assert.equal(0, #member, name) end
      end
    end)

    it("never touches the account with a document of a zone", function()
      local document = edited(export(source, "--zone", "stork.test"), function(d) d.account.lists = json.array {} end)
      local result = import(source, document, "--prune", "--yes")
      assert.equal(0, result.code, result.err)
      assert.equal(text, export(source))
      local changed = edited(export(source, "--zone", "heron.test"), function(d) d.account.lists[1].description = "moved" end)
      result = import(source, changed)
      assert.equal(1, result.code)
      assert.truthy(result.err:find("list office: the account has another one of that name", 1, true), result.err)
    end)

    it("refers to a CA of the account that a document of a zone does not hold", function()
      local document = edited(export(source, "--zone", "heron.test"), function(d) d.account.certificate_authorities = json.array {} end)
      local result = import(source, document, "--prune", "--yes")
      assert.equal(0, result.code, result.err)
      assert.equal("", result.out)
    end)

    it("keeps a CA that is referred to from being pruned, by refusing the document", function()
      local result = import(source, edited(text, function(d) d.account.certificate_authorities = json.array {} end), "--prune", "--yes")
      assert.equal(1, result.code)
      assert.truthy(result.err:find('hostnames of partners in the zone heron.test: there is no CA "partners"', 1, true), result.err)
      assert.equal(text, export(source))
    end)

    it("works with a token that may do what the document needs", function()
      local names = {}
      for _, group in ipairs(require("moongate.admin.permissions").list) do names[#names + 1] = group.name end
      source.environment.MOONGATE_TOKEN = source.gate:token(names)
      local limited = json.decode(export(source))
      assert.is_nil(zone_of(limited, "heron.test").custom_hostname_checks.ownership_checks)
      local wanted = edited(text, function(d)
        zone_of(d, "heron.test").custom_hostname_checks.ownership_checks = false
        zone_of(d, "stork.test").paused = false
      end)
      local result = import(source, wanted)
      assert.equal(0, result.code, result.err)
      assert.equal("~ change zone stork.test\n", result.out)
    end)

    it("replaces a CA under its name, with its hostnames in every zone", function()
      local certs = require "spec.support.certs"
      local fresh = certs.ca "Partners again"
      local wanted = edited(text, function(d) d.account.certificate_authorities[1].certificates = fresh.pem end)
      assert.truthy(import(source, wanted, "--dry-run").out:find("~ replace CA partners\n", 1, true))
      local result = import(source, wanted)
      assert.equal(0, result.code, result.err)
      local document = json.decode(export(source))
      assert.equal(fresh.pem, document.account.certificate_authorities[1].certificates)
      assert.same({ "api.heron.test", "b.heron.test" }, { unpack(zone_of(document, "heron.test").associations[2].hostnames) })
    end)

    it("keeps the ids of rules that do not change", function()
      local zone = source.gate:call("GET", "/zones?name=heron.test").body.result[1].id
      local path = ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(zone)
      local before = source.gate:call("GET", path).body.result.rules
      local wanted = edited(text, function(d) table.insert(zone_of(d, "heron.test").rules.rules, 1, { action = "log", expression = "ssl" }) end)
      assert.equal(0, import(source, wanted).code)
      local after = source.gate:call("GET", path).body.result.rules
      for index = 1, 4 do assert.equal(before[index].id, after[index + 1].id) end
    end)

    it("lets a CNAME take the place of addresses", function()
      local wanted = edited(text, function(d)
        local records = json.array {}
        for _, record in ipairs(zone_of(d, "heron.test").dns_records) do
          if record.name ~= "www.heron.test" then records[#records + 1] = record end
        end
        records[#records + 1] = { type = "CNAME", name = "www.heron.test", content = "b.heron.test" }
        zone_of(d, "heron.test").dns_records = records
      end)
      local result = import(source, wanted, "--prune", "--yes")
      assert.equal(0, result.code, result.err)
      assert.equal("", import(source, wanted).out)
    end)

    it("stops at a refusal, says where, and can be run again", function()
      local wanted = edited(text, function(d)
        zone_of(d, "heron.test").origins[1].url = "ftp://nowhere"
        zone_of(d, "stork.test").paused = false
      end)
      local result = import(source, wanted)
      assert.equal(1, result.code)
      assert.truthy(result.out:find("~ change zone stork.test", 1, true))
      assert.truthy(result.err:find("stopped after 1 of 2 changes", 1, true), result.err)
      assert.truthy(result.err:find("/url", 1, true))
      assert.equal(0, import(source, text).code)
      assert.equal(text, export(source))
    end)

    it("shows how far it is on a terminal only", function()
      local wanted = edited(text, function(d) zone_of(d, "stork.test").paused = false end)
      assert.is_nil(import(source, wanted).err:find("\r", 1, true))
      source.terminal.stderr = true
      assert.truthy(import(source, text).err:find("\r\27[K[", 1, true))
    end)
  end)
end)
