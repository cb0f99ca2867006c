local support = require "spec.support.admin"
local json = require "moongate.json"

describe("moongate.admin.resources.alert_webhooks", function()
  local gate, base
  local NOWHERE = "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f"

  before_each(function()
    gate = assert(support.start())
    base = ("/accounts/%s/alerting/v3/destinations/webhooks"):format(gate.account_id)
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function body(more)
    local given = { name = "ops", url = "https://hooks.heron.test/edge" }
    for key, value in pairs(more or {}) do given[key] = value end
    return given
  end
  local function make(more)
    local answer = gate:call("POST", base, body(more))
    assert(answer.status == 201, answer.raw)
    return answer.body.result.id
  end
  local function stored(id)
    local row
    gate.app.store:read(function(tx)
      row = tx:one("SELECT * FROM alert_webhooks WHERE id = ?", id)
      return true
    end)
    return row
  end

  it("POST answers 201 with the id; GET shows it without its secret", function()
    local answer = gate:call("POST", base, body { secret = "s3cret" })
    assert.equal(201, answer.status)
    local id = answer.body.result.id
    assert.same({ id = id }, answer.body.result)
    local shown = { id = id, name = "ops", url = "https://hooks.heron.test/edge", type = "generic",
      created_at = "2026-02-02T02:40:00Z", last_success = json.null, last_failure = json.null }
    assert.same(shown, gate:call("GET", base .. "/" .. id).body.result)
    local list = gate:call("GET", base)
    assert.same({ shown }, list.body.result)
    assert.is_nil(list.raw:find("s3cret", 1, true))
  end)

  it("POST sends a test message before anything is stored, with the secret sealed", function()
    local count
    gate.control.answer_outgoing = function()
      count = #gate:call("GET", base).body.result -- others are served meanwhile
      return { status = 204, body = "" }
    end
    local id = make { secret = "s3cret" }
    assert.equal(0, count)
    local request = gate.control.requests[1]
    assert.equal("https://hooks.heron.test/edge", request.url)
    assert.equal("POST", request.method)
    assert.equal("application/json", request.headers["Content-Type"])
    assert.matches("^Hello World!", json.decode(request.body).text)
    assert.equal("cf-webhook-auth: ", request.secret.prefix)
    assert.equal("s3cret", gate.control.open(request.secret.sealed, request.secret.context))
    assert.equal(request.secret.sealed, stored(id).secret)
    assert.equal("alert_webhooks:secret:" .. id, request.secret.context)
  end)

  for _, case in ipairs {
    { "an answer that is no success", { status = 500, body = "" }, nil, "the answer was 500" },
    { "a redirect", { status = 302, body = "" }, nil, "the answer was 302" },
    { "no answer", nil, { where = "", text = "there was no whole answer within 5000 ms" }, "within 5000 ms" },
  } do
    it("answers 422 when the test ends with " .. case[1] .. ", and stores nothing", function()
      local id = make()
      gate.control.answer_outgoing = function() return case[2], case[3] end
      for _, answer in ipairs { gate:call("POST", base, body()), gate:call("PUT", base .. "/" .. id, body { name = "new" }) } do
        assert.equal(422, answer.status)
        assert.equal("Webhook test failed", first(answer).message)
        assert.truthy(first(answer).error_chain[1].message:find(case[4], 1, true))
      end
      local list = gate:call("GET", base).body.result
      assert.equal(1, #list)
      assert.equal("ops", list[1].name)
    end)
  end

  it("answers 503 with Retry-After when too much is under way", function()
    gate.control.answer_outgoing = function() return nil, { where = "errands", text = "too many" } end
    local answer = gate:call("POST", base, body())
    assert.equal(503, answer.status)
    assert.equal("5", answer.headers["retry-after"])
  end)

  for _, case in ipairs {
    { "no name", { name = json.null }, "/name" },
    { "a name of another type", { name = 7 }, "/name" },
    { "no url", { url = "" }, "/url" },
    { "a url of another scheme", { url = "ftp://a.test/" }, "/url" },
    { "a url with a password", { url = "https://u:p@a.test/" }, "/url" },
    { "a url with a line break", { url = "https://a.test/\r\nX: y" }, "/url" },
    { "a url without a host", { url = "https:///x" }, "/url" },
    { "a url that is too long", { url = "https://a.test/" .. ("x"):rep(2048) }, "/url" },
    { "a secret with a line break", { secret = "a\nb" }, "/secret" },
    { "a secret that is too long", { secret = ("x"):rep(1025) }, "/secret" },
  } do
    it("answers 400 to " .. case[1] .. ", and asks nobody", function()
      local answer = gate:call("POST", base, body(case[2]))
      assert.equal(400, answer.status)
      assert.equal(case[3], first(answer).source.pointer)
      assert.is_nil(gate.control.requests[1])
    end)
  end

  it("answers 400 to a url that the client of the outside does not take", function()
    gate.control.answer_outgoing = function() return nil, { where = "url", text = "has no host" } end
    local answer = gate:call("POST", base, body())
    assert.equal(400, answer.status)
    assert.equal("/url", first(answer).source.pointer)
  end)

  it("PUT replaces name, url and secret, after a test; without a secret the old one stays", function()
    local id = make { secret = "old" }
    assert.equal(200, gate:call("PUT", base .. "/" .. id, body { name = "new", url = "https://hooks.slack.com/services/x" }).status)
    local request = gate.control.requests[2]
    assert.equal("old", gate.control.open(request.secret.sealed, request.secret.context))
    assert.equal("slack", gate:call("GET", base .. "/" .. id).body.result.type)
    assert.same({ id = id }, gate:call("PUT", base .. "/" .. id, body { secret = "new" }).body.result)
    assert.equal("new", gate.control.open(stored(id).secret, "alert_webhooks:secret:" .. id))
    assert.equal("generic", stored(id).type)
  end)

  it("PUT notices when the webhook has gone during the test", function()
    local id = make()
    gate.control.answer_outgoing = function()
      assert.equal(200, gate:call("DELETE", base .. "/" .. id).status)
      return { status = 200, body = "" }
    end
    assert.equal(404, gate:call("PUT", base .. "/" .. id, body()).status)
  end)

  it("POST notices when the account has gone during the test", function()
    local account = gate:account "short-lived"
    gate.control.answer_outgoing = function()
      gate.app.store:write(function(tx) return tx:run("DELETE FROM accounts WHERE id = ?", account) end)
      return { status = 200, body = "" }
    end
    local answer = gate:call("POST", ("/accounts/%s/alerting/v3/destinations/webhooks"):format(account), body())
    assert.equal(404, answer.status)
    assert.equal(7003, first(answer).code)
  end)

  it("DELETE takes it away and answers its id, unless a policy uses it", function()
    local id = make()
    local policies = ("/accounts/%s/alerting/v3/policies"):format(gate.account_id)
    local made = gate:call("POST", policies, { name = "p", alert_type = "universal_ssl_event_type", enabled = true,
      mechanisms = { webhooks = { { id = id } } } })
    local answer = gate:call("DELETE", base .. "/" .. id)
    assert.equal(400, answer.status)
    assert.equal(21202, first(answer).code)
    gate:call("DELETE", policies .. "/" .. made.body.result.id)
    assert.same({ id = id }, gate:call("DELETE", base .. "/" .. id).body.result)
    assert.equal(404, gate:call("GET", base .. "/" .. id).status)
  end)

  for _, case in ipairs { { "GET" }, { "PUT" }, { "DELETE" } } do
    local method = case[1]
    it(method .. " answers 404 to an unknown id and to one of another account, 400 to a malformed one", function()
      local id = make()
      local other = gate:account "other"
      local foreign = ("/accounts/%s/alerting/v3/destinations/webhooks/"):format(other)
      for _, path in ipairs { base .. "/" .. NOWHERE, base .. "/" .. ("a"):rep(32), foreign .. id } do
        local answer = gate:call(method, path, body())
        assert.equal(404, answer.status)
        assert.equal("Webhook not found", first(answer).message)
      end
      local answer = gate:call(method, base .. "/abc", body())
      assert.equal(400, answer.status)
      assert.equal("invalid Webhook ID", first(answer).message)
      assert.equal(1, #gate.control.requests) -- the one that was made
    end)
  end

  it("are at most as many as the quota says", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE quotas SET value = 1 WHERE name = 'alert_webhooks'") end)
    make()
    local answer = gate:call("POST", base, body())
    assert.equal(400, answer.status)
    assert.equal(21203, first(answer).code)
  end)
end)
