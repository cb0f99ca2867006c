local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.hostname_options", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/moongate/hostnames"
  end)
  after_each(function() gate:close() end)

  local NO_FORWARD = { cloudflare = false, fields = false, rfc9440 = false, xfcc = false }

  local function first(answer) return answer.body.errors[1] end
  local function put(hostname, body) return gate:call("PUT", base .. "/" .. hostname, body) end
  local function patch(hostname, body) return gate:call("PATCH", base .. "/" .. hostname, body) end
  local function host(name)
    for _, one in ipairs(gate.control.served["heron.test"].hosts) do
      if one.name == name then return one end
    end
  end
  -- As it is shown, and as it is served.
  local function forward_with(...)
    local shown, served = {}, {}
    for name, value in pairs(NO_FORWARD) do shown[name] = value end
    for _, name in ipairs { ... } do shown[name], served[name] = true, true end
    return shown, served
  end
  local function served_with(...) return (select(2, forward_with(...))) end

  describe("PUT", function()
    it("answers with the whole object, defaults where nothing is said", function()
      local answer = put("Api.heron.test.", "{}")
      assert.equal(200, answer.status)
      local made = answer.body.result
      assert.equal("api.heron.test", made.hostname)
      assert.equal("require", made.client_certificate_usage)
      assert.is_true(made.resumption)
      assert.is_false(made.strict_sni)
      assert.same(NO_FORWARD, made.forward)
      assert.equal(made.created_on, made.modified_on)
      assert.same(made, gate:call("GET", base .. "/api.heron.test").body.result)
    end)

    it("serves what is set, and nothing for a default", function()
      put("a.heron.test", "{}")
      assert.same({ name = "a.heron.test" }, host "a.heron.test")
      put("a.heron.test", { client_certificate_usage = "warn", resumption = false, strict_sni = true, forward = { xfcc = true, fields = true } })
      assert.same({ name = "a.heron.test", usage = "warn", resumption = false, strict_sni = true,
        forward = served_with("fields", "xfcc") }, host "a.heron.test")
    end)

    it("sets back what the next body does not name and keeps the time of creation", function()
      local before = put("a.heron.test", { resumption = false, forward = { rfc9440 = true } }).body.result
      gate.control.clock = gate.control.clock + 1
      local after = put("a.heron.test", { strict_sni = true }).body.result
      assert.is_true(after.resumption)
      assert.is_true(after.strict_sni)
      assert.same(NO_FORWARD, after.forward)
      assert.equal(before.created_on, after.created_on)
      assert.not_equal(before.modified_on, after.modified_on)
    end)

    for title, case in pairs {
      ["an unknown demand"] = { "/client_certificate_usage", { client_certificate_usage = "maybe" } },
      ["a flag as text"] = { "/resumption", { resumption = "no" } },
      ["a list to forward"] = { "/forward", { forward = { "xfcc" } } },
      ["a word to forward"] = { "/forward/xfcc", { forward = { xfcc = "yes" } } },
      ["no JSON"] = { nil, "{" },
    } do
      it("refuses " .. title .. " and changes nothing", function()
        for _, send in ipairs { put, patch } do
          gate:call("DELETE", base .. "/a.heron.test")
          put("a.heron.test", { strict_sni = true })
          local answer = send("a.heron.test", case[2])
          assert.equal(400, answer.status)
          if case[1] then
            assert.equal(21081, first(answer).code)
            assert.equal(case[1], first(answer).source.pointer)
          end
          assert.is_true(gate:call("GET", base .. "/a.heron.test").body.result.strict_sni)
        end
      end)
    end

    for _, hostname in ipairs { "a.stork.test", "*.stork.test", "*", "a..heron.test", "*.*.heron.test" } do
      it("refuses the hostname " .. hostname, function()
        local answer = put(hostname, "{}")
        assert.equal(400, answer.status)
        assert.equal(21081, first(answer).code)
        assert.equal(404, patch(hostname, "{}").status)
      end)
    end

    it("refuses the hostname of a closer zone", function()
      gate:zone "sub.heron.test"
      assert.truthy(first(put("a.sub.heron.test", "{}")).message:find("it belongs to the zone sub.heron.test", 1, true))
    end)
  end)

  describe("PATCH", function()
    it("changes what the body names and nothing else", function()
      put("a.heron.test", { resumption = false, forward = { rfc9440 = true, xfcc = true } })
      local answer = patch("A.heron.test", { forward = { xfcc = false, cloudflare = true, fields = require("moongate.json").null } })
      assert.equal(200, answer.status)
      assert.is_false(answer.body.result.resumption)
      assert.same((forward_with("cloudflare", "rfc9440")), answer.body.result.forward)
      assert.same(served_with("cloudflare", "rfc9440"), host("a.heron.test").forward)
    end)

    it("answers 404 for a hostname for which nothing is set", function()
      local answer = patch("a.heron.test", { strict_sni = true })
      assert.equal(404, answer.status)
      assert.equal(21080, first(answer).code)
      assert.is_nil(host "a.heron.test")
    end)
  end)

  describe("GET and DELETE", function()
    it("list in order of hostnames, page style", function()
      for _, name in ipairs { "b.heron.test", "*.heron.test", "a.heron.test" } do put(name, "{}") end
      local answer = gate:call("GET", base .. "?per_page=5")
      local names = {}
      for index, one in ipairs(answer.body.result) do names[index] = one.hostname end
      assert.same({ "*.heron.test", "a.heron.test", "b.heron.test" }, names)
      assert.equal(3, answer.body.result_info.total_count)
    end)

    it("let one go, which is served no longer, and answer 404 afterwards", function()
      put("a.heron.test", { strict_sni = true })
      assert.is_true(gate:call("DELETE", base .. "/a.heron.test").body.result.strict_sni)
      assert.is_nil(host "a.heron.test")
      for _, method in ipairs { "GET", "DELETE" } do
        local gone = gate:call(method, base .. "/a.heron.test")
        assert.equal(404, gone.status)
        assert.equal(21080, first(gone).code)
      end
    end)
  end)

  describe("what is served", function()
    it("are the options of the very name, else those of the wildcard one label above", function()
      gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations", {
        hostnames = { "a.heron.test", "own.heron.test", "b.a.heron.test", "heron.test" },
        mtls_certificate_id = gate:upload_ca(certs.ca("Root").pem).id,
      })
      put("*.heron.test", { client_certificate_usage = "ignore", resumption = false })
      put("own.heron.test", { strict_sni = true })
      assert.equal("ignore", host("a.heron.test").usage)
      assert.is_false(host("a.heron.test").resumption)
      assert.is_false(host("*.heron.test").resumption)
      assert.is_nil(host("*.heron.test").trust)
      for _, name in ipairs { "own.heron.test", "b.a.heron.test", "heron.test" } do
        assert.is_nil(host(name).usage)
        assert.is_nil(host(name).resumption)
      end
      assert.is_true(host("own.heron.test").strict_sni)
    end)

    it("are those of custom hostnames, too, while they are served", function()
      assert.equal(400, put("shop.customer.test", "{}").status)
      local guests = "/zones/" .. zone.id .. "/custom_hostnames"
      local made = gate:call("POST", guests, { hostname = "shop.customer.test", ssl = { method = "http", type = "dv", wildcard = true } }).body.result
      assert.equal("shop.customer.test", put("Shop.customer.test.", { strict_sni = true }).body.result.hostname)
      assert.equal(200, put("*.shop.customer.test", { resumption = false }).status)
      assert.equal(400, put("a.customer.test", "{}").status)
      assert.is_true(host("shop.customer.test").strict_sni)
      assert.is_false(host("*.shop.customer.test").resumption)
      local other = gate:zone "stork.test"
      assert.equal(400, gate:call("PUT", "/zones/" .. other.id .. "/moongate/hostnames/shop.customer.test", "{}").status)
      gate:call("DELETE", guests .. "/" .. made.id)
      assert.is_nil(host "shop.customer.test")
      assert.is_true(gate:call("DELETE", base .. "/Shop.customer.test").body.result.strict_sni)
    end)

    it("is forwarding as Access and the options say, either switching it on", function()
      local settings = "/zones/" .. zone.id .. "/access/certificates/settings"
      gate:call("PUT", settings, { settings = { { hostname = "a.heron.test", client_certificate_forwarding = true } } })
      assert.same(served_with "cloudflare", host("a.heron.test").forward)
      put("*.heron.test", { forward = { xfcc = true } })
      assert.same(served_with("cloudflare", "xfcc"), host("a.heron.test").forward)
      assert.same(served_with "xfcc", host("*.heron.test").forward)
      put("a.heron.test", { forward = { cloudflare = false } })
      assert.same(served_with "cloudflare", host("a.heron.test").forward)
    end)

    it("is the same from the last good snapshot", function()
      put("a.heron.test", { client_certificate_usage = "warn", resumption = false, strict_sni = true, forward = { xfcc = true } })
      local before = gate.control.served["heron.test"].hosts
      gate.app:stop()
      os.execute(("rm %s/data/moongate.db* && mkdir %s/data/moongate.db"):format(gate.directory, gate.directory))
      local again = assert(support.start { directory = gate.directory, config = { serve_without_store = true } })
      assert.same(before, again.control.served["heron.test"].hosts)
    end)
  end)

  it("belong to one zone, go with it, and keep a zone below from being made", function()
    local other = gate:zone "stork.test"
    put("a.sub.heron.test", "{}")
    assert.equal(404, gate:call("GET", "/zones/" .. other.id .. "/moongate/hostnames/a.sub.heron.test").status)
    assert.equal(1116, first(gate:call("POST", "/zones", { name = "sub.heron.test" })).code)
    assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
    assert.equal(200, gate:call("POST", "/zones", { name = "sub.heron.test" }).status)
  end)
end)
