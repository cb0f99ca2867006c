local support = require "spec.support.admin"
local json = require "moongate.json"

describe("moongate.admin.resources.alert_policies", function()
  local gate, base, webhook
  local NOWHERE = "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f"
  local TYPE = "mtls_certificate_store_certificate_expiration_type"

  before_each(function()
    gate = assert(support.start())
    base = ("/accounts/%s/alerting/v3/policies"):format(gate.account_id)
    webhook = gate:call("POST", ("/accounts/%s/alerting/v3/destinations/webhooks"):format(gate.account_id),
      { name = "ops", url = "https://hooks.heron.test/edge" }).body.result.id
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function body(more)
    local given = { name = "CA expiry", alert_type = TYPE, enabled = true, mechanisms = { webhooks = { { id = webhook } } } }
    for key, value in pairs(more or {}) do given[key] = value end
    return given
  end
  local function make(more)
    local answer = gate:call("POST", base, body(more))
    assert(answer.status == 200, answer.raw)
    return answer.body.result.id
  end
  local function get(id) return gate:call("GET", base .. "/" .. id).body.result end

  it("POST answers the id; GET shows the policy as documented", function()
    local answer = gate:call("POST", base, body { description = "for ops",
      mechanisms = { email = { { id = "ops@heron.test" } }, webhooks = { { id = webhook } }, pagerduty = {} } })
    assert.equal(200, answer.status)
    local id = answer.body.result.id
    assert.same({ id = id }, answer.body.result)
    local shown = {
      id = id, name = "CA expiry", alert_type = TYPE, enabled = true, description = "for ops", filters = {},
      mechanisms = { email = { { id = "ops@heron.test" } }, webhooks = { { id = webhook } }, pagerduty = {} },
      created = "2026-02-02T02:40:00Z", modified = "2026-02-02T02:40:00Z",
    }
    assert.same(shown, get(id))
    assert.same({ shown }, gate:call("GET", base).body.result)
  end)

  it("is enabled unless it is said otherwise, and keeps filters and interval", function()
    assert.is_true(get(make { enabled = json.null }).enabled)
    local other = get(make { enabled = false, filters = { zones = { "a", "b" } }, alert_interval = "30m" })
    assert.is_false(other.enabled)
    assert.same({ zones = { "a", "b" } }, other.filters)
    assert.equal("30m", other.alert_interval)
  end)

  it("names each mechanism once, in the order given", function()
    local shown = get(make { mechanisms = { email = { { id = "b@heron.test" }, { id = "a@heron.test" }, { id = "b@heron.test" } } } })
    assert.same({ { id = "b@heron.test" }, { id = "a@heron.test" } }, shown.mechanisms.email)
  end)

  for _, case in ipairs {
    { "no mechanisms", { mechanisms = json.null } },
    { "mechanisms that are empty", { mechanisms = json.object {} } },
    { "lists of mechanisms that are empty", { mechanisms = { email = json.array {}, webhooks = json.null } } },
  } do
    it("answers 17102 to " .. case[1], function()
      local answer = gate:call("POST", base, body(case[2]))
      assert.equal(400, answer.status)
      assert.equal(17102, first(answer).code)
    end)
  end

  it("answers 17004 to an unknown type", function()
    local id = make()
    for _, answer in ipairs { gate:call("POST", base, body { alert_type = "weather" }),
      gate:call("PUT", base .. "/" .. id, { alert_type = "weather" }) } do
      assert.equal(400, answer.status)
      assert.equal(17004, first(answer).code)
    end
    assert.equal(TYPE, get(id).alert_type)
  end)

  for _, case in ipairs {
    { "no name", { name = "" }, "/name" },
    { "no type", { alert_type = json.null }, "/alert_type" },
    { "a flag that is none", { enabled = "yes" }, "/enabled" },
    { "mechanisms of another type", { mechanisms = { "email" } }, "/mechanisms" },
    { "a list of another type", { mechanisms = { email = "a@b.test" } }, "/mechanisms/email" },
    { "an element of another type", { mechanisms = { email = { "a@b.test" } } }, "/mechanisms/email/0/id" },
    { "an address that is none", { mechanisms = { email = { { id = "a@b.test" }, { id = "a b@c.test" } } } }, "/mechanisms/email/1/id" },
    { "an address with a line break", { mechanisms = { email = { { id = "a@b.test\nBcc: x@y.test" } } } }, "/mechanisms/email/0/id" },
    { "an address that looks like an option", { mechanisms = { email = { { id = "-oX@b.test" } } } }, "/mechanisms/email/0/id" },
    { "two addresses in one", { mechanisms = { email = { { id = "a@b.test,c@d.test" } } } }, "/mechanisms/email/0/id" },
    { "PagerDuty", { mechanisms = { pagerduty = { { id = NOWHERE } } } }, "/mechanisms/pagerduty/0/id" },
    { "a malformed webhook", { mechanisms = { webhooks = { { id = "abc" } } } }, "/mechanisms/webhooks/0/id" },
    { "filters that are no lists", { filters = { zones = "a" } }, "/filters/zones" },
    { "filters with numbers", { filters = { zones = { 7 } } }, "/filters/zones" },
  } do
    it("answers 400 to " .. case[1], function()
      local answer = gate:call("POST", base, body(case[2]))
      assert.equal(400, answer.status)
      assert.equal(case[3], first(answer).source.pointer)
      assert.same({}, gate:call("GET", base).body.result)
    end)
  end

  it("answers 400 to more than fifty mechanisms", function()
    local email = {}
    for index = 1, 51 do email[index] = { id = ("a%d@b.test"):format(index) } end
    assert.equal(400, gate:call("POST", base, body { mechanisms = { email = email } }).status)
  end)

  it("answers 400 to a webhook that is not there, or is another account's, and changes nothing", function()
    local id = make()
    local other = gate:account "other"
    local foreign = gate:call("POST", ("/accounts/%s/alerting/v3/destinations/webhooks"):format(other),
      { name = "theirs", url = "https://hooks.stork.test/" }).body.result.id
    for _, wrong in ipairs { NOWHERE, foreign } do
      local mechanisms = { webhooks = { { id = wrong } } }
      for _, answer in ipairs { gate:call("POST", base, body { mechanisms = mechanisms }),
        gate:call("PUT", base .. "/" .. id, { mechanisms = mechanisms, name = "new" }) } do
        assert.equal(400, answer.status)
        assert.equal("invalid Webhook ID", first(answer).message)
      end
    end
    assert.equal("CA expiry", get(id).name)
    assert.same({ { id = webhook } }, get(id).mechanisms.webhooks)
    assert.equal(1, #gate:call("GET", base).body.result)
  end)

  it("PUT changes what is given and leaves the rest", function()
    local id = make { description = "old" }
    gate.control.clock = gate.control.clock + 60
    assert.same({ id = id }, gate:call("PUT", base .. "/" .. id, { enabled = false }).body.result)
    local shown = get(id)
    assert.is_false(shown.enabled)
    assert.equal("old", shown.description)
    assert.same({ { id = webhook } }, shown.mechanisms.webhooks)
    assert.equal("2026-02-02T02:40:00Z", shown.created)
    assert.equal("2026-02-02T02:41:00Z", shown.modified)
    gate:call("PUT", base .. "/" .. id, { description = "" })
    assert.equal("", get(id).description)
    gate:call("PUT", base .. "/" .. id, { mechanisms = { email = { { id = "a@b.test" } } } })
    assert.same({ email = { { id = "a@b.test" } }, webhooks = {}, pagerduty = {} }, get(id).mechanisms)
    local answer = gate:call("PUT", base .. "/" .. id, { mechanisms = { email = json.array {} } })
    assert.equal(17102, first(answer).code)
  end)

  it("DELETE takes it away and answers its id", function()
    local id = make()
    assert.same({ id = id }, gate:call("DELETE", base .. "/" .. id).body.result)
    assert.equal(404, gate:call("GET", base .. "/" .. id).status)
  end)

  for _, method in ipairs { "GET", "PUT", "DELETE" } do
    it(method .. " answers 404 to an unknown id, a malformed one, and one of another account", function()
      local id = make()
      local foreign = ("/accounts/%s/alerting/v3/policies/"):format(gate:account "other")
      for _, path in ipairs { base .. "/" .. NOWHERE, base .. "/abc", foreign .. id } do
        local answer = gate:call(method, path, { name = "new" })
        assert.equal(404, answer.status)
        assert.equal("Policy not found", first(answer).message)
      end
      assert.equal("CA expiry", get(id).name)
    end)
  end

  it("are at most as many as the quota says", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'alert_policies'") end)
    make()
    local answer = gate:call("POST", base, body())
    assert.equal(400, answer.status)
    assert.equal(21200, first(answer).code)
  end)

  it("go with their account, webhooks and all", function()
    make()
    gate.app.store:write(function(tx)
      assert(tx:run("DELETE FROM accounts WHERE id = ?", gate.account_id))
      assert.equal(0, tx:one("SELECT count(*) AS n FROM alert_webhooks").n)
      assert.equal(0, tx:one("SELECT count(*) AS n FROM alert_policies").n)
      return true
    end)
  end)
end)
