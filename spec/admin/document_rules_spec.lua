local support = require "spec.support.admin"
local json = require "moongate.json"

local PHASE = "http_request_firewall_custom"

describe("moongate.admin.document_rules", function()
  local gate, zone
  local document_rules = require "moongate.admin.document_rules"

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local function entry(scope, rules) return gate:call("PUT", ("%s/rulesets/phases/%s/entrypoint"):format(scope, PHASE), { rules = rules }) end
  local function build(id, memo)
    local built
    gate.app.store:read(function(tx)
      built = document_rules.build(tx, id, memo or {})
      return true
    end)
    return built
  end
  local function account() return "/accounts/" .. gate.account_id end

  it("says nothing of what is not there", function()
    assert.same({ rules = {} }, build(zone.id))
    entry(account(), json.array {})
    assert.same({ rules = {}, account_rules = {} }, build(zone.id))
  end)

  it("carries of a rule what a worker needs", function()
    entry("/zones/" .. zone.id, { { ref = "r", action = "skip", expression = "ssl", description = "d", logging = { enabled = false },
      action_parameters = { phase = "current" } } })
    local rule = build(zone.id).rules[1]
    assert.same({ id = rule.id, ref = "r", action = "skip", expression = "ssl", enabled = true, logging = false,
      action_parameters = { phase = "current" } }, rule)
  end)

  it("carries rulesets and lists that can be reached, and no others", function()
    local function list(name)
      return gate:call("POST", account() .. "/rules/lists", { name = name, kind = "ip" }).body.result.id
    end
    local function custom(scope, name)
      return gate:call("POST", scope .. "/rulesets", { kind = "custom", phase = PHASE, name = "c",
        rules = { { action = "block", expression = "ip.src in $" .. name } } }).body.result.id
    end
    for _, name in ipairs { "a", "b", "c", "d", "e" } do list(name) end
    local of_zone, of_account, unused = custom("/zones/" .. zone.id, "b"), custom(account(), "c"), custom(account(), "d")
    entry("/zones/" .. zone.id, { { action = "block", expression = "ip.src in $a" },
      { action = "execute", expression = "true", action_parameters = { id = of_zone } } })
    entry(account(), { { action = "execute", expression = "true", action_parameters = { id = of_account } } })
    gate:call("POST", "/zones/" .. zone.id .. "/filters", json.array { { expression = "ip.src in $e" } }) -- no rule over it
    local built = build(zone.id)
    local names = {}
    for name in pairs(built.lists) do names[#names + 1] = name end
    table.sort(names)
    assert.equal("a b c", table.concat(names, " "))
    assert.is_table(built.rulesets[of_zone])
    assert.is_table(built.rulesets[of_account])
    assert.is_nil(built.rulesets[unused])
  end)

  it("reads an account once for all of its zones", function()
    local other, memo = gate:zone "stork.test", {}
    entry(account(), { { action = "block", expression = "ssl" } })
    assert.equal(build(zone.id, memo).account_rules, build(other.id, memo).account_rules)
  end)
end)
