-- Rulesets as a whole, through a running gateway: account before zone, executed ones inside, skips, order, the older firewall
-- rules, and what a change of any of them means for the next request of a connection that is open.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local PHASE = "http_request_firewall_custom"

describe("rulesets", function()
  local gate, behind, session
  local host = "api.example.com"

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    session = gate:connect { host = host }
  end)
  teardown(function()
    session:close()
    gate:stop()
    behind:stop()
  end)

  local function array(list) return setmetatable(list, { __jsontype = "array" }) end
  local function rule(action, expression, parameters)
    return { action = action, expression = expression, action_parameters = parameters }
  end
  local function path(value) return ('http.request.uri.path eq "%s"'):format(value) end

  local function account_rules(rules)
    return gate:api("PUT", ("/accounts/%s/rulesets/phases/%s/entrypoint"):format(gate:account(), PHASE), { rules = array(rules) })
  end
  local function custom(rules, level)
    return gate:api("POST", (level or "/zones/" .. gate.zone) .. "/rulesets", { kind = "custom", phase = PHASE, name = "custom",
      rules = array(rules) }).id
  end
  local function response(target) return assert(session:get(target, { host = host })) end
  local function status(target) return response(target).status end

  before_each(function()
    account_rules {}
    gate:set_rules {}
  end)

  it("of an account block before those of the zone are asked", function()
    local answer = { status_code = 451, content = "account", content_type = "text/plain" }
    account_rules { rule("block", path "/a", { response = answer }) }
    gate:set_rules { rule("block", "true", { response = { status_code = 418, content = "zone", content_type = "text/plain" } }) }
    assert.equal(451, status "/a")
    assert.equal("account", response("/a").body)
    assert.equal(418, status "/b")
    assert.same({}, behind:requests("/a"))
  end)

  it("of an account hold for all of its zones", function()
    local zone = gate:create_zone("example.net", behind.url)
    account_rules { rule("block", path "/everywhere") }
    assert.equal(403, status "/everywhere")
    assert.equal(403, (gate:status { host = "www.example.net", path = "/everywhere" }))
    account_rules {}
    assert.equal(200, (gate:status { host = "www.example.net", path = "/everywhere" }))
    gate:api("DELETE", "/zones/" .. zone)
  end)

  it("of an account that skip their own do not skip the zone's", function()
    account_rules { rule("skip", path "/s", { ruleset = "current" }), rule("block", 'starts_with(http.request.uri.path, "/s")') }
    gate:set_rules { path "/s" }
    assert.equal(403, status "/s")
    gate:set_rules {}
    assert.equal(200, status "/s")
    assert.equal(403, status "/s2")
  end)

  it("of a zone skip what follows, and say so in the log", function()
    local made = gate:set_rules { rule("skip", path "/s", { phase = "current" }), "true" }
    assert.equal(200, status "/s")
    assert.equal(403, status "/t")
    local line = gate:wait_log { path = "/s", status = 200, matched = made.rules[1].id }
    assert.is_nil(line.rule)
  end)

  it("that are executed decide, and the caller goes on when they do not", function()
    local id = custom { rule("block", path "/c"), rule("skip", path "/l", { ruleset = "current" }), rule("block", path "/l") }
    gate:set_rules { rule("execute", 'http.host eq "api.example.com"', { id = id }), path "/z" }
    assert.equal(403, status "/c")
    assert.equal(200, status "/l")
    assert.equal(403, status "/z")
    assert.equal(200, (gate:status { host = "www.example.com", path = "/c" }))
    gate:api("PUT", ("/zones/%s/rulesets/%s"):format(gate.zone, id), { rules = array { rule("block", path "/d") } })
    assert.equal(200, status "/c")
    assert.equal(403, status "/d")
    assert.equal(400, (gate:admin("DELETE", ("/zones/%s/rulesets/%s"):format(gate.zone, id))))
  end)

  it("that are executed may be the account's, by the account and by the zone", function()
    local id = custom({ rule("block", path "/c") }, "/accounts/" .. gate:account())
    account_rules { rule("execute", "true", { id = id }) }
    assert.equal(403, status "/c")
    account_rules {}
    assert.equal(200, status "/c")
    gate:set_rules { rule("execute", "true", { id = id }) }
    assert.equal(403, status "/c")
  end)

  it("challenge as they block", function()
    for _, action in ipairs { "challenge", "js_challenge", "managed_challenge" } do
      gate:set_rules { rule(action, path "/c") }
      local answer = response "/c"
      assert.equal(403, answer.status)
      assert.is_nil(answer:field "cf-mitigated")
      assert.truthy(answer.body:find("blocked", 1, true))
    end
    assert.same({}, behind:requests("/challenge"))
  end)

  it("follow the order that a PATCH gives them", function()
    local made = gate:set_rules { rule("skip", path "/o", { ruleset = "current" }), path "/o" }
    assert.equal(200, status "/o")
    local rules = ("/zones/%s/rulesets/%s/rules/"):format(gate.zone, made.id)
    gate:api("PATCH", rules .. made.rules[2].id, { position = { before = made.rules[1].id } })
    assert.equal(403, status "/o")
    gate:api("PATCH", rules .. made.rules[2].id, { position = { index = 2 } })
    assert.equal(200, status "/o")
    gate:api("DELETE", rules .. made.rules[1].id)
    assert.equal(403, status "/o")
    gate:api("POST", ("/zones/%s/rulesets/%s/rules"):format(gate.zone, made.id),
      { action = "skip", expression = path "/o", action_parameters = { ruleset = "current" }, position = { index = 1 } })
    assert.equal(200, status "/o")
  end)

  it("come after the firewall rules of the zone, whose allow is no more than theirs", function()
    local base = ("/zones/%s/firewall/rules"):format(gate.zone)
    local made = gate:api("POST", base, array {
      { action = "block", filter = { expression = 'starts_with(http.request.uri.path, "/f")' } },
      { action = "allow", filter = { expression = path "/fa" } },
      { action = "bypass", filter = { expression = path "/fb" }, products = array { "waf" } },
    })
    account_rules { rule("block", path "/fa", { response = { status_code = 451, content = "a", content_type = "text/plain" } }) }
    assert.equal(403, status "/f")
    assert.equal(451, status "/fa")
    assert.equal(403, status "/fb")
    account_rules {}
    assert.equal(200, status "/fa")
    gate:api("PATCH", base .. "/" .. made[1].id, { priority = 1 })
    assert.equal(403, status "/fa")
    gate:api("PUT", ("/zones/%s/filters/%s"):format(gate.zone, made[1].filter.id), { expression = "ssl", paused = true })
    assert.equal(200, status "/f")
    for _, one in ipairs(made) do gate:api("DELETE", base .. "/" .. one.id, { delete_filter_if_unused = true }) end
    assert.equal(200, status "/f")
  end)

  it("change nothing in a dry run", function()
    gate:set_rules { path "/d" }
    local code = gate:admin("PUT", ("/zones/%s/rulesets/phases/%s/entrypoint?dry_run=true"):format(gate.zone, PHASE), { rules = array {} })
    assert.equal(200, code)
    assert.equal(403, status "/d")
  end)

  it("hold after a restart", function()
    local id = custom { rule("block", path "/c") }
    account_rules { rule("block", path "/a") }
    gate:set_rules { rule("execute", "true", { id = id }) }
    session:close()
    gate:restart()
    session = gate:connect { host = host }
    assert.equal(403, status "/a")
    assert.equal(403, status "/c")
    assert.equal(200, status "/")
  end)
end)
