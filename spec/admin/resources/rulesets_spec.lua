local support = require "spec.support.admin"

local PHASE = "http_request_firewall_custom"
local GUARD = '(http.host in {"pay.heron.test"} and not cf.tls_client_auth.cert_verified)'

describe("moongate.admin.resources.rulesets", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id .. "/rulesets/phases/"
  end)
  after_each(function() gate:close() end)

  local function put(body, query) return gate:call("PUT", base .. PHASE .. "/entrypoint" .. (query or ""), body) end
  local function get() return gate:call("GET", base .. PHASE .. "/entrypoint") end
  local function one(rule) return put { rules = { rule } } end
  local function first(answer) return answer.body.errors[1] end
  local function served() return gate.control.served["heron.test"].rules end

  describe("GET", function()
    it("answers 404 with 10003 while there is no entry point", function()
      local answer = get()
      assert.equal(404, answer.status)
      assert.equal(10003, first(answer).code)
      assert.equal("could not find entrypoint ruleset in the http_request_firewall_custom phase", first(answer).message)
    end)

    it("answers 404 with 10003 for a phase that is not served", function()
      local answer = gate:call("GET", base .. "http_ratelimit/entrypoint")
      assert.equal(404, answer.status)
      assert.equal(10003, first(answer).code)
    end)

    it("answers 400 with 20116 for an unknown phase", function()
      local answer = gate:call("GET", base .. "http_nothing/entrypoint")
      assert.equal(400, answer.status)
      assert.equal(20116, first(answer).code)
      assert.equal("/phase", first(answer).source.pointer)
      assert.equal("'http_nothing' is not a valid value for phase", first(answer).message)
    end)
  end)

  describe("PUT", function()
    it("makes the entry point and answers with the whole ruleset", function()
      local answer = put { rules = { { ref = "mtls_pay", action = "block", enabled = true,
        description = "pay needs a device certificate", expression = GUARD } } }
      assert.equal(200, answer.status)
      local result = answer.body.result
      assert.truthy(result.id:find("^%x+$"))
      assert.equal("default", result.name)
      assert.equal("", result.description)
      assert.equal("zone", result.kind)
      assert.equal(PHASE, result.phase)
      assert.equal("1", result.version)
      local rule = result.rules[1]
      assert.equal("mtls_pay", rule.ref)
      assert.equal("1", rule.version)
      assert.equal(GUARD, rule.expression)
      assert.is_true(rule.enabled)
      assert.is_nil(rule.logging)
      assert.is_nil(rule.action_parameters)
      assert.is_nil(rule.position)
      assert.same(result, get().body.result)
    end)

    it("serves the rules in their order", function()
      put { rules = { { action = "log", expression = "ssl" }, { action = "block", expression = GUARD, enabled = false } } }
      assert.equal("ssl", served()[1].expression)
      assert.equal(GUARD, served()[2].expression)
      assert.is_false(served()[2].enabled)
    end)

    it("fills in defaults: enabled, empty description, ref equal to id", function()
      local rule = one({ action = "block", expression = "ssl" }).body.result.rules[1]
      assert.is_true(rule.enabled)
      assert.equal("", rule.description)
      assert.equal(rule.id, rule.ref)
    end)

    it("makes a new version at every PUT, also of equal content", function()
      one { ref = "a", action = "block", expression = "ssl" }
      local again = one { ref = "a", action = "block", expression = "ssl" }
      assert.equal("2", again.body.result.version)
      assert.equal("1", again.body.result.rules[1].version)
    end)

    it("keeps what a partial body leaves out, ignores a new name", function()
      put { name = "mine", description = "d", rules = { { action = "block", expression = "ssl" } } }
      local answer = put { description = "e", name = "other" }
      assert.equal("mine", answer.body.result.name)
      assert.equal("e", answer.body.result.description)
      assert.equal(1, #answer.body.result.rules)
      answer = put '{"rules":[]}'
      assert.equal("e", answer.body.result.description)
      assert.truthy(answer.raw:find('"rules":[]', 1, true))
      assert.equal("", put({ description = "" }).body.result.description)
    end)

    it("echoes action_parameters as sent", function()
      local response = { status_code = 418, content = "no\n", content_type = "text/plain" }
      local rule = one({ action = "block", expression = "ssl", action_parameters = { response = response } }).body.result.rules[1]
      assert.same({ response = response }, rule.action_parameters)
      assert.equal(418, served()[1].action_parameters.response.status_code)
      local answer = put '{"rules":[{"action":"log","expression":"ssl","action_parameters":{}}]}'
      assert.equal(200, answer.status)
    end)

    it("ignores unknown keys of a rule and of the ruleset", function()
      assert.equal(200, put({ kind = "root", phase = "x", version = 7, rules = { { action = "block", expression = "ssl",
        version = "9", last_updated = "x", categories = { "a" } } } }).status)
    end)
  end)

  describe("the identity of rules", function()
    local function ids(answer)
      local list = {}
      for index, rule in ipairs(answer.body.result.rules) do list[index] = rule.id end
      return list
    end

    it("follows the id, then the ref; others are new", function()
      local before = put { rules = { { ref = "a", action = "block", expression = "ssl" }, { ref = "b", action = "log", expression = "ssl" } } }
      local known = ids(before)
      local after = put { rules = {
        { ref = "b", action = "log", expression = "ssl" },
        { id = known[1], ref = "renamed", action = "block", expression = "ssl" },
        { action = "block", expression = "not ssl" },
      } }
      local now = ids(after)
      assert.equal(known[2], now[1])
      assert.equal(known[1], now[2])
      assert.equal("1", after.body.result.rules[1].version)
      assert.equal("2", after.body.result.rules[2].version)
      assert.is_true(now[3] ~= known[1] and now[3] ~= known[2])
    end)

    it("raises the version only when the definition differs", function()
      local rule = { ref = "a", action = "block", expression = "ssl" }
      local before = one(rule).body.result.rules[1]
      gate.control.clock = gate.control.clock + 60
      local same = one(rule).body.result.rules[1]
      assert.equal(before.last_updated, same.last_updated)
      for number, change in ipairs { { expression = "not ssl" }, { enabled = false }, { description = "x" }, { action = "log" } } do
        for key, value in pairs(change) do rule[key] = value end
        local after = one(rule).body.result.rules[1]
        assert.equal(tostring(number + 1), after.version)
        assert.equal(before.id, after.id)
      end
    end)

    it("refuses one ref, or one id, twice", function()
      local answer = put { rules = { { ref = "a", action = "block", expression = "ssl" }, { ref = "a", action = "log", expression = "ssl" } } }
      assert.equal(400, answer.status)
      assert.equal("/rules/1/ref", first(answer).source.pointer)
      local id = one({ ref = "a", action = "block", expression = "ssl" }).body.result.rules[1].id
      answer = put { rules = { { id = id, action = "block", expression = "ssl" }, { id = id, action = "log", expression = "ssl" } } }
      assert.equal(400, answer.status)
      assert.equal("/rules/1/id", first(answer).source.pointer)
    end)

    it("gives a rule with an id that nobody knows a new one", function()
      local unknown = ("a"):rep(32)
      assert.not_equal(unknown, one({ id = unknown, action = "block", expression = "ssl" }).body.result.rules[1].id)
    end)
  end)

  describe("expressions", function()
    it("are refused with line, column and a caret", function()
      local answer = one { action = "block", expression = 'http.hst eq "a"' }
      assert.equal(400, answer.status)
      assert.equal(20127, first(answer).code)
      assert.equal("/rules/0/expression", first(answer).source.pointer)
      assert.equal("'http.hst eq \"a\"' is not a valid value for expression because could not parse filter expression: "
        .. "Filter parsing error (1:1):\nhttp.hst eq \"a\"\n^^^^^^^^ unknown identifier\ndid you mean http.host?\n", first(answer).message)
    end)

    for _, blank in ipairs { "", " ", "\n" } do
      it(("cannot be blank: %q"):format(blank), function()
        local answer = one { action = "block", expression = blank }
        assert.equal(20125, first(answer).code)
        assert.equal("'' is not a valid value for expression because the expression cannot be blank", first(answer).message)
      end)
    end

    it("cannot be left out", function() assert.equal(20125, first(one { action = "block" }).code) end)

    it("may have 4096 characters and not one more", function()
      local function sized(count) return 'http.host eq "' .. ("é"):rep(count - 15) .. '"' end
      assert.equal(200, one({ action = "block", expression = sized(4096) }).status)
      assert.equal(20127, first(one { action = "block", expression = sized(4097) }).code)
    end)

    it("are echoed verbatim", function()
      local text = '  ssl\n and not (http.host eq "é\\x41")  '
      assert.equal(text, one({ action = "block", expression = text }).body.result.rules[1].expression)
    end)
  end)

  describe("rules", function()
    for _, case in ipairs {
      { "without an action", { expression = "ssl" }, nil, "/rules/0/action", "action is required" },
      { "with parameters alone", { expression = "ssl", action_parameters = { response = 1 } }, nil, "/rules/0/action", "action is required for action parameters" },
      { "with the action allow", { expression = "ssl", action = "allow" }, nil, "/rules/0/action", "unknown variant for action: allow" },
      { "with the action bypass", { expression = "ssl", action = "bypass" }, nil, "/rules/0/action", "unknown variant for action: bypass" },
      { "with the action rewrite", { expression = "ssl", action = "rewrite" }, 21010, "/rules/0/action", "not available on this gateway" },
      { "that skip nothing", { expression = "ssl", action = "skip" }, 20113, "/rules/0/action_parameters",
        "action parameters are required for the skip action" },
      { "that skip with empty parameters", { expression = "ssl", action = "skip", action_parameters = require("moongate.json").object {} }, 20113,
        "/rules/0/action_parameters", "action parameters are required for the skip action" },
      { "that execute nothing", { expression = "ssl", action = "execute" }, 20113, "/rules/0/action_parameters",
        "action parameters are required for the execute action" },
      { "that challenge with parameters", { expression = "ssl", action = "js_challenge", action_parameters = { response = {} } }, nil,
        "/rules/0/action_parameters", 'invalid JSON: unknown field "response"' },
      { "that ask a list which is not there", { expression = "ip.src in $office", action = "block" }, 20127, "/rules/0/expression",
        'list "office" does not exist' },
      { "with logging", { expression = "ssl", action = "block", logging = { enabled = true } }, 20018, "/rules/0/logging", "only allowed in the skip action" },
      { "with a rate limit", { expression = "ssl", action = "block", ratelimit = { period = 1 } }, 21013, "/rules/0/ratelimit", "ratelimit" },
      { "with an unknown parameter", { expression = "ssl", action = "block", action_parameters = { respons = {} } }, nil,
        "/rules/0/action_parameters", 'invalid JSON: unknown field "respons"' },
      { "that log with parameters", { expression = "ssl", action = "log", action_parameters = { response = {} } }, nil,
        "/rules/0/action_parameters", 'invalid JSON: unknown field "response"' },
      { "with half a response", { expression = "ssl", action = "block", action_parameters = { response = { status_code = 403 } } }, 21012,
        "/rules/0/action_parameters/response/content", "required" },
      { "with status 500", { expression = "ssl", action = "block", action_parameters = { response = { status_code = 500, content = "x",
        content_type = "text/plain" } } }, 21012, "/rules/0/action_parameters/response/status_code", "at most 499" },
      { "with 2049 bytes of content", { expression = "ssl", action = "block", action_parameters = { response = { status_code = 403,
        content = ("x"):rep(2049), content_type = "text/plain" } } }, 21012, "/rules/0/action_parameters/response/content", "at most 2048" },
      { "with another content type", { expression = "ssl", action = "block", action_parameters = { response = { status_code = 403,
        content = "x", content_type = "image/png" } } }, 21012, "/rules/0/action_parameters/response/content_type", "one of" },
      { "with enabled as text", { expression = "ssl", action = "block", enabled = "yes" }, 21012, "/rules/0/enabled", "true or false" },
      { "with a number as expression", { expression = 7, action = "block" }, 21012, "/rules/0/expression", "a string" },
    } do
      it(("are refused %s"):format(case[1]), function()
        local answer = one(case[2])
        assert.equal(400, answer.status)
        assert.equal(case[3], first(answer).code)
        assert.equal(case[4], first(answer).source.pointer)
        assert.truthy(first(answer).message:find(case[5], 1, true))
        assert.equal(404, get().status)
      end)
    end

    it("report one error each, up to ten", function()
      local rules = {}
      for index = 1, 12 do rules[index] = { action = "block", expression = "nothing" .. index } end
      local answer = put { rules = rules }
      assert.equal(10, #answer.body.errors)
      assert.equal("/rules/9/expression", answer.body.errors[10].source.pointer)
    end)

    it("may be 1000 and not one more", function()
      local rules = {}
      for index = 1, 1000 do rules[index] = { ref = "r" .. index, action = "block", expression = ('http.host eq "h%d.heron.test"'):format(index) } end
      assert.equal(200, put({ rules = rules }).status)
      rules[1001] = { action = "block", expression = "ssl" }
      local answer = put { rules = rules }
      assert.equal(20217, first(answer).code)
      assert.equal("/rules", first(answer).source.pointer)
      assert.equal(1000, #get().body.result.rules)
    end)

    it("must be objects in an array", function()
      assert.equal("/rules", first(put '{"rules":{}}').source.pointer)
      assert.equal("/rules", first(put '{"rules":["x"]}').source.pointer)
    end)
  end)

  describe("skip", function()
    local ID = ("a"):rep(32)
    local function skip(parameters, logging) return { expression = "ssl", action = "skip", action_parameters = parameters, logging = logging } end

    for _, parameters in ipairs {
      { ruleset = "current" }, { phase = "current" }, { phases = { "http_ratelimit", "http_request_sbfm" } }, { products = { "waf", "bic" } },
      { rulesets = { ID } }, { rules = { [ID] = { ID } } }, { ruleset = "current", phases = { "http_request_firewall_managed" } },
      { rulesets = { ID }, rules = { [ID] = { ID } } },
    } do
      local json = require "moongate.json"
      it(("takes and echoes %s"):format(json.encode(parameters, { sorted = true })), function()
        local rule = one(skip(parameters)).body.result.rules[1]
        assert.same(parameters, rule.action_parameters)
        assert.same({ enabled = true }, rule.logging)
        assert.same(parameters, served()[1].action_parameters)
      end)
    end

    for _, case in ipairs {
      { "another ruleset", { ruleset = "other" }, "/ruleset" },
      { "another phase", { phase = "http_ratelimit" }, "/phase" },
      { "no phases", { phases = require("moongate.json").array {} }, "/phases" },
      { "its own phase", { phases = { "http_request_firewall_custom" } }, "/phases" },
      { "a product in other letters", { products = { "WAF" } }, "/products" },
      { "rulesets that are none", { rulesets = { "x" } }, "/rulesets" },
      { "rules of nothing", { rules = { [ID] = { "x" } } }, "/rules" },
      { "rules as a list", { rules = { ID } }, "/rules" },
      { "its ruleset and others", { ruleset = "current", rulesets = { ID } }, "/rulesets" },
      { "phases and rulesets", { phases = { "http_ratelimit" }, rulesets = { ID } }, "/rulesets" },
      { "phases and rules", { phases = { "http_ratelimit" }, rules = { [ID] = { ID } } }, "/rules" },
    } do
      it(("does not take %s"):format(case[1]), function()
        local answer = one(skip(case[2]))
        assert.equal(400, answer.status)
        assert.equal(21012, first(answer).code)
        assert.equal("/rules/0/action_parameters" .. case[3], first(answer).source.pointer)
      end)
    end

    it("does not take a parameter that is not known", function()
      assert.equal('invalid JSON: unknown field "rule"', first(one(skip { rule = "current" })).message)
    end)

    it("says whether it is recorded, and nothing when it says nothing", function()
      local rule = one(skip({ phase = "current" }, { enabled = false })).body.result.rules[1]
      assert.same({ enabled = false }, rule.logging)
      assert.is_false(served()[1].logging)
      one(skip({ phase = "current" }, { enabled = true }))
      assert.is_nil(served()[1].logging)
      assert.equal("/rules/0/logging/enabled", first(one(skip({ phase = "current" }, { enabled = "no" }))).source.pointer)
    end)

    it("is another version of itself when its logging changes", function()
      local rule = skip({ phase = "current" })
      rule.ref = "s"
      assert.equal("1", one(rule).body.result.rules[1].version)
      rule.logging = { enabled = true }
      assert.equal("1", one(rule).body.result.rules[1].version)
      rule.logging = { enabled = false }
      assert.equal("2", one(rule).body.result.rules[1].version)
    end)
  end)

  describe("custom rulesets", function()
    local rulesets
    before_each(function() rulesets = "/zones/" .. zone.id .. "/rulesets" end)

    local function make(body, path)
      local values = { kind = "custom", phase = PHASE, name = "mine", rules = { { action = "block", expression = "ssl" } } }
      for key, value in pairs(body or {}) do values[key] = value end
      return gate:call("POST", path or rulesets, values)
    end
    local function execute(id, more)
      local rule = { action = "execute", expression = "true", action_parameters = { id = id } }
      for key, value in pairs(more or {}) do rule[key] = value end
      return one(rule)
    end
    local function accounts() return "/accounts/" .. gate.account_id .. "/rulesets" end

    it("are made, read, replaced and deleted", function()
      local made = make { description = "d" }
      assert.equal(200, made.status)
      local ruleset = made.body.result
      assert.same({ "custom", PHASE, "mine", "d", "1" }, { ruleset.kind, ruleset.phase, ruleset.name, ruleset.description, ruleset.version })
      local path = rulesets .. "/" .. ruleset.id
      assert.same(ruleset, gate:call("GET", path).body.result)
      local after = gate:call("PUT", path, { name = "other", kind = "zone", rules = {
        { id = ruleset.rules[1].id, action = "log", expression = "ssl" } } }).body.result
      assert.same({ "mine", "custom", "2" }, { after.name, after.kind, after.version })
      assert.equal(ruleset.rules[1].id, after.rules[1].id)
      local gone = gate:call("DELETE", path)
      assert.equal(204, gone.status)
      assert.equal("", gone.raw)
      for _, method in ipairs { "GET", "DELETE" } do
        local answer = gate:call(method, path)
        assert.equal(404, answer.status)
        assert.equal(10001, first(answer).code)
      end
      assert.equal(404, gate:call("PUT", path, { rules = {} }).status)
    end)

    for _, case in ipairs {
      { "a name", { name = "" }, 21012, "/name" },
      { "a phase", { phase = "http_nothing" }, 20116, "/phase" },
      { "a phase that is served", { phase = "http_ratelimit" }, 50002, "/phase" },
      { "a kind", { kind = "odd" }, 21015, "/kind" },
      { "a kind that can be written", { kind = "managed" }, 21015, "/kind" },
      { "a kind of this level", { kind = "root" }, 21015, "/kind" },
      { "rules that are fine", { rules = { { action = "block", expression = "x" } } }, 20127, "/rules/0/expression" },
    } do
      it(("need %s"):format(case[1]), function()
        local answer = make(case[2])
        assert.equal(400, answer.status)
        assert.equal(case[3], first(answer).code)
        assert.equal(case[4], first(answer).source.pointer)
      end)
    end

    it("are served when an entry point executes them, and only then", function()
      local id = make().body.result.id
      local sections = gate.control.sections
      gate:call("PUT", rulesets .. "/" .. id, { rules = { { action = "log", expression = "ssl" } } })
      assert.equal(sections, gate.control.sections)
      assert.is_nil(gate.control.served["heron.test"].rulesets)
      assert.equal(200, execute(id).status)
      assert.equal("log", gate.control.served["heron.test"].rulesets[id][1].action)
      gate:call("PUT", rulesets .. "/" .. id, { rules = { { action = "block", expression = "ssl" } } })
      assert.equal("block", gate.control.served["heron.test"].rulesets[id][1].action)
    end)

    it("cannot be deleted while a rule executes them, even a disabled one", function()
      local id = make().body.result.id
      execute(id, { enabled = false })
      local answer = gate:call("DELETE", rulesets .. "/" .. id)
      assert.equal(400, answer.status)
      assert.equal(21016, first(answer).code)
      put { rules = require("moongate.json").array {} }
      assert.equal(204, gate:call("DELETE", rulesets .. "/" .. id).status)
    end)

    it("go with their zone, executed or not", function()
      execute(make().body.result.id)
      assert.equal(200, gate:call("DELETE", "/zones/" .. zone.id).status)
    end)

    it("are executed by entry points of their own zone or account only", function()
      local own, of_account = make().body.result.id, make({}, accounts()).body.result.id
      local other = gate:zone "stork.test"
      local of_other = make({}, "/zones/" .. other.id .. "/rulesets").body.result.id
      local foreign = make({}, ("/accounts/%s/rulesets"):format(gate:account "other")).body.result.id
      assert.equal(200, execute(own).status)
      assert.equal(200, execute(of_account).status)
      for _, id in ipairs { of_other, foreign, ("0"):rep(32) } do
        local answer = execute(id)
        assert.equal(21019, first(answer).code)
        assert.equal("/rules/0/action_parameters/id", first(answer).source.pointer)
      end
      local entry = put({ rules = {} }).body.result.id
      assert.equal(21019, first(execute(entry)).code)
      assert.equal(21012, first(execute("x")).code)
      assert.equal(21013, first(execute(own, { action_parameters = { id = own, overrides = { action = "log" } } })).code)
      assert.equal(200, execute(own, { action_parameters = { id = own, overrides = require("moongate.json").object {} } }).status)
    end)

    it("do not execute others", function()
      local answer = make { rules = { { action = "execute", expression = "true", action_parameters = { id = make().body.result.id } } } }
      assert.equal(21018, first(answer).code)
      assert.equal("/rules/0/action", first(answer).source.pointer)
    end)

    it("are at most a hundred of a phase", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 2 WHERE name = 'custom_rulesets'") end)
      make()
      make()
      local answer = make()
      assert.equal(20217, first(answer).code)
      assert.equal("/kind", first(answer).source.pointer)
      assert.equal(200, make({}, accounts()).status)
    end)

    it("are as unknown in another zone or account as if they were not there", function()
      local id, other = make().body.result.id, gate:zone "stork.test"
      for _, path in ipairs { "/zones/" .. other.id .. "/rulesets/", accounts() .. "/" } do
        for _, method in ipairs { "GET", "DELETE" } do assert.equal(404, gate:call(method, path .. id).status) end
        assert.equal(404, gate:call("PUT", path .. id, { rules = {} }).status)
      end
    end)
  end)

  describe("POST of an entry point", function()
    it("makes it once", function()
      local path = "/zones/" .. zone.id .. "/rulesets"
      local body = { kind = "zone", phase = PHASE, name = "n" }
      assert.equal(200, gate:call("POST", path, body).status)
      local answer = gate:call("POST", path, body)
      assert.equal(400, answer.status)
      assert.equal(20217, first(answer).code)
      assert.equal("/kind", first(answer).source.pointer)
      assert.equal("'zone' is not a valid value for kind because exceeded maximum number of zone rulesets for phase " .. PHASE,
        first(answer).message)
      assert.equal("n", get().body.result.name)
    end)
  end)

  describe("the list", function()
    it("shows rulesets without their rules, piece by piece", function()
      put { rules = { { action = "block", expression = "ssl" } } }
      local path, ids = "/zones/" .. zone.id .. "/rulesets", {}
      for _ = 1, 4 do gate:call("POST", path, { kind = "custom", phase = PHASE, name = "c" }) end
      local all = gate:call("GET", path)
      assert.equal(5, #all.body.result)
      assert.is_nil(all.body.result[1].rules)
      assert.equal("1", all.body.result[1].version)
      assert.is_nil(all.body.result_info)
      local cursor
      repeat
        local answer = gate:call("GET", path .. "?per_page=2" .. (cursor and "&cursor=" .. cursor or ""))
        for _, ruleset in ipairs(answer.body.result) do ids[#ids + 1] = ruleset.id end
        cursor = answer.body.result_info and answer.body.result_info.cursor
      until not cursor
      assert.equal(5, #ids)
      for index, ruleset in ipairs(all.body.result) do assert.equal(ruleset.id, ids[index]) end
    end)

    it("is empty where there is nothing, and refuses a cursor that is none", function()
      local answer = gate:call("GET", "/zones/" .. zone.id .. "/rulesets")
      assert.truthy(answer.raw:find('"result":[]', 1, true))
      assert.equal(400, gate:call("GET", "/zones/" .. zone.id .. "/rulesets?cursor=xyz").status)
    end)
  end)

  describe("at account level", function()
    local entry
    before_each(function() entry = ("/accounts/%s/rulesets/phases/%s/entrypoint"):format(gate.account_id, PHASE) end)

    it("the entry point is the root of all zones of the account and of no other", function()
      gate:zone "stork.test"
      local foreign = gate:account "other"
      gate:call("POST", "/zones", { name = "crane.test", account = { id = foreign } })
      local answer = gate:call("PUT", entry, { rules = { { action = "block", expression = "ssl" } } })
      assert.equal(200, answer.status)
      assert.equal("root", answer.body.result.kind)
      for _, name in ipairs { "heron.test", "stork.test" } do
        assert.equal("ssl", gate.control.served[name].account_rules[1].expression)
      end
      assert.is_nil(gate.control.served["crane.test"].account_rules)
      assert.equal(404, gate:call("GET", (entry:gsub(gate.account_id, foreign))).status)
      assert.equal(404, get().status)
      assert.equal("ssl", (gate:zone "tern.test") and gate.control.served["tern.test"].account_rules[1].expression)
    end)

    it("deleting the entry point takes it from all zones", function()
      local id = gate:call("PUT", entry, { rules = { { action = "block", expression = "ssl" } } }).body.result.id
      assert.equal(204, gate:call("DELETE", ("/accounts/%s/rulesets/%s"):format(gate.account_id, id)).status)
      assert.is_nil(gate.control.served["heron.test"].account_rules)
    end)

    it("rules do not skip the rest of the phase", function()
      local answer = gate:call("PUT", entry, { rules = { { action = "skip", expression = "ssl", action_parameters = { phase = "current" } } } })
      assert.equal("/rules/0/action_parameters/phase", first(answer).source.pointer)
      assert.equal(200, gate:call("PUT", entry, { rules = { { action = "skip", expression = "ssl",
        action_parameters = { ruleset = "current" } } } }).status)
    end)

    it("a zone's ruleset cannot be executed", function()
      local id = gate:call("POST", "/zones/" .. zone.id .. "/rulesets", { kind = "custom", phase = PHASE, name = "c" }).body.result.id
      local answer = gate:call("PUT", entry, { rules = { { action = "execute", expression = "true", action_parameters = { id = id } } } })
      assert.equal(21019, first(answer).code)
    end)
  end)

  it("answers malformed JSON without a code", function()
    local answer = put "{"
    assert.equal(400, answer.status)
    assert.is_nil(first(answer).code)
    assert.truthy(first(answer).message:find("^invalid JSON: "))
  end)

  it("refuses to write another phase with 50002", function()
    local answer = gate:call("PUT", base .. "http_ratelimit/entrypoint", { rules = {} })
    assert.equal(400, answer.status)
    assert.equal(50002, first(answer).code)
  end)

  describe("dry_run", function()
    it("checks, answers null and changes nothing", function()
      local before = gate.control.generation
      local answer = put({ rules = { { action = "block", expression = "ssl" } } }, "?dry_run=true")
      assert.equal(200, answer.status)
      assert.truthy(answer.raw:find('"result":null', 1, true))
      assert.equal(404, get().status)
      assert.equal(before, gate.control.generation)
    end)

    it("refuses what would be refused", function()
      assert.equal(20127, first(put({ rules = { { action = "block", expression = "nothing" } } }, "?dry_run=true")).code)
      gate.control.refuse_section = function() return { where = "x", text = "y" } end
      assert.equal(21004, first(put({ rules = {} }, "?dry_run=true")).code)
    end)

    it("writes when it is false, and refuses other words", function()
      assert.equal(200, put({ rules = {} }, "?dry_run=false").status)
      assert.equal(200, get().status)
      assert.equal(400, put({ rules = {} }, "?dry_run=1").status)
    end)
  end)
end)
