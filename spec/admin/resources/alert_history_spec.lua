local support = require "spec.support.admin"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

describe("moongate.admin.resources.alert_history", function()
  local gate, base
  local POLICY = "61a0b1c2-d3e4-4f50-8617-28394a5b6c7d"

  before_each(function()
    gate = assert(support.start())
    base = ("/accounts/%s/alerting/v3"):format(gate.account_id)
  end)
  after_each(function() gate:close() end)

  local function write(count, account_id)
    gate.app.store:write(function(tx)
      for index = 1, count do
        assert(tx:run("INSERT INTO alert_history (id, account_id, policy_id, name, description, alert_type, alert_body, "
          .. "mechanism, mechanism_type, failure, sent) VALUES (?, ?, ?, 'CA expiry', 'for ops', 'a_type', ?, 'ops@heron.test', "
          .. "'email', ?, ?)", stamp.uuid(gate.control.random), account_id or gate.account_id, POLICY, "body " .. index,
          index == 1 and "no program" or nil, ("2026-02-01T00:00:%02dZ"):format(index)))
      end
      return true
    end)
  end

  local function bodies(query)
    local list, answer = {}, gate:call("GET", base .. "/history" .. (query or ""))
    assert.equal(200, answer.status)
    for index, entry in ipairs(answer.body.result) do list[index] = tonumber(entry.alert_body:match("%d+")) end
    return list, answer.body.result_info
  end

  it("GET /history shows what was told, the newest first", function()
    write(2)
    write(1, gate:account "other")
    local result = gate:call("GET", base .. "/history").body.result
    assert.equal(2, #result)
    assert.equal(36, #result[2].id)
    result[2].id = nil
    assert.same({
      policy_id = POLICY, name = "CA expiry", description = "for ops", alert_type = "a_type", alert_body = "body 1",
      mechanism = "ops@heron.test", mechanism_type = "email", sent = "2026-02-01T00:00:01Z", result = "failed",
      failure = "no program",
    }, result[2])
    assert.equal("delivered", result[1].result)
    assert.equal(json.null, result[1].failure)
  end)

  it("GET /history is given in pages", function()
    write(12)
    local list, info = bodies "?per_page=5&page=2"
    assert.same({ 7, 6, 5, 4, 3 }, list)
    assert.same({ page = 2, per_page = 5, count = 5, total_count = 12, total_pages = 3 }, info)
    assert.same({}, (bodies "?per_page=5&page=4"))
    list, info = bodies "?per_page=1"
    assert.equal(5, #list)
    assert.equal(25, select(2, bodies()).per_page)
    assert.equal(5, info.per_page)
  end)

  for _, case in ipairs {
    { "since", "?since=2026-02-01T00:00:03Z", { 4, 3 } },
    { "before", "?before=2026-02-01T00:00:03Z", { 2, 1 } },
    { "since and before, in any zone", "?since=2026-02-01T01:00:02%2B01:00&before=2026-02-01T00:00:04Z", { 3, 2 } },
  } do
    it("GET /history is narrowed by " .. case[1], function()
      write(4)
      assert.same(case[3], (bodies(case[2])))
    end)
  end

  for _, query in ipairs { "since=yesterday", "before=2026-13-01T00:00:00Z", "page=0", "per_page=many" } do
    it("GET /history answers 400 to " .. query, function()
      local answer = gate:call("GET", base .. "/history?" .. query)
      assert.equal(400, answer.status)
      assert.equal(10002, answer.body.errors[1].code)
    end)
  end

  it("GET /available_alerts shows every type by product", function()
    local types = {}
    for _, entry in ipairs(gate:call("GET", base .. "/available_alerts").body.result["SSL/TLS"]) do
      assert.same({}, entry.filter_options)
      assert.truthy(#entry.description > 0)
      types[entry.type] = entry.display_name
    end
    assert.equal("mTLS Certificate Store Certificate Expiration Alert",
      types.mtls_certificate_store_certificate_expiration_type)
    for _, name in ipairs { "access_custom_certificate_expiration_type", "hostname_aop_custom_certificate_expiration_type",
      "zone_aop_custom_certificate_expiration_type", "custom_ssl_certificate_event_type",
      "dedicated_ssl_certificate_event_type", "universal_ssl_event_type" } do
      assert.is_string(types[name], name)
    end
  end)

  it("GET /destinations/eligible tells whether e-mail can be sent", function()
    local function eligible(kind) return gate:call("GET", base .. "/destinations/eligible").body.result[kind] end
    assert.same({ { type = "email", eligible = true, ready = false } }, eligible "email")
    assert.same({ { type = "webhooks", eligible = true, ready = true } }, eligible "webhooks")
    assert.same({ { type = "pagerduty", eligible = false, ready = false } }, eligible "pagerduty")
    gate:close()
    gate = assert(support.start { config = { alerts = { sendmail = { "/usr/sbin/sendmail" }, from = "a@b.test" } } })
    base = ("/accounts/%s/alerting/v3"):format(gate.account_id)
    assert.same({ { type = "email", eligible = true, ready = true } }, eligible "email")
  end)

  it("GET /destinations/pagerduty is empty", function()
    assert.same({}, gate:call("GET", base .. "/destinations/pagerduty").body.result)
  end)
end)
