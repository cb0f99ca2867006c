local support = require "spec.support.admin"
local alert_delivery = require "moongate.admin.alert_delivery"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

describe("moongate.admin.alert_delivery", function()
  local gate, webhook, policy

  local function start(config)
    gate = assert(support.start { config = config })
    local base = ("/accounts/%s/alerting/v3"):format(gate.account_id)
    webhook = gate:call("POST", base .. "/destinations/webhooks",
      { name = "ops", url = "https://hooks.heron.test/secret-path", secret = "s3cret" }).body.result.id
    policy = gate:call("POST", base .. "/policies", { name = "expiry", description = "for ops", enabled = true,
      alert_type = "universal_ssl_event_type", mechanisms = { webhooks = { { id = webhook } } } }).body.result.id
    gate.control.requests = {}
  end

  before_each(function() start() end)
  after_each(function() gate:close() end)

  local MESSAGE = json.encode(json.object { name = "expiry", text = "It expires.", policy_name = "expiry", policy_id = "p",
    alert_correlation_id = "c" })

  local function enqueue(kind, target, count)
    assert(gate.app.store:write(function(tx)
      for _ = 1, count or 1 do
        assert(tx:run("INSERT INTO alert_deliveries (id, policy_id, kind, target, body, attempts, due_on, created_on) "
          .. "VALUES (?, ?, ?, ?, ?, 0, ?, ?)", stamp.uuid(gate.control.random), policy, kind, target, MESSAGE,
          stamp.micros(gate.control.clock), stamp.micros(gate.control.clock)))
      end
      return true
    end))
  end

  local function history() return gate:call("GET", ("/accounts/%s/alerting/v3/history"):format(gate.account_id)).body.result end
  local function shown() return gate:call("GET", ("/accounts/%s/alerting/v3/destinations/webhooks/%s"):format(gate.account_id, webhook)).body.result end
  local function waiting()
    local count
    gate.app.store:read(function(tx)
      count = tx:one("SELECT count(*) AS n FROM alert_deliveries").n
      return true
    end)
    return count
  end
  local function run() alert_delivery.run(gate.app) end

  it("sends to a webhook with its secret, and writes it down", function()
    enqueue("webhook", webhook)
    run()
    local request = gate.control.requests[1]
    assert.equal("https://hooks.heron.test/secret-path", request.url)
    assert.same(json.decode(MESSAGE), json.decode(request.body))
    assert.equal("s3cret", gate.control.open(request.secret.sealed, request.secret.context))
    local entry = history()[1]
    assert.equal("delivered", entry.result)
    assert.same({ policy, "expiry", "for ops", webhook, "webhook", MESSAGE, "2026-02-02T02:40:00Z" }, { entry.policy_id,
      entry.name, entry.description, entry.mechanism, entry.mechanism_type, entry.alert_body, entry.sent })
    assert.equal("2026-02-02T02:40:00Z", shown().last_success)
    assert.equal(json.null, shown().last_failure)
    assert.equal(0, waiting())
    run()
    assert.equal(1, #gate.control.requests)
  end)

  it("tries again with longer waits, and then gives up", function()
    local from, times = gate.control.clock, {}
    gate.control.answer_outgoing = function()
      times[#times + 1] = gate.control.clock - from
      return { status = 500, body = "" }
    end
    enqueue("webhook", webhook)
    for _, second in ipairs { 0, 0.5, 1, 1.5, 10.5, 11, 70, 71, 600, 671, 4000, 4271, 10000 } do
      gate.control.clock = from + second
      run()
    end
    assert.same({ 0, 1, 11, 71, 671, 4271 }, times)
    local entry = history()[1]
    assert.equal("failed", entry.result)
    assert.equal("the answer was 500", entry.failure)
    assert.equal(0, waiting())
    assert.equal(json.null, shown().last_success)
    assert.equal(stamp.seconds(from + 4271), shown().last_failure)
    assert.is_true(gate:logged "could not be delivered: the answer was 500")
    for _, line in ipairs(gate.log) do
      assert.is_nil(line:find("secret-path", 1, true))
      assert.is_nil(line:find("s3cret", 1, true))
    end
  end)

  it("is done with the first attempt that succeeds", function()
    local answers = { { status = 500, body = "" }, { status = 200, body = "" } }
    gate.control.answer_outgoing = function() return table.remove(answers, 1) end
    enqueue("webhook", webhook)
    run()
    assert.same({}, history())
    gate.control.clock = gate.control.clock + 1
    run()
    assert.equal("delivered", history()[1].result)
    assert.equal("2026-02-02T02:40:00Z", shown().last_failure)
    assert.equal("2026-02-02T02:40:01Z", shown().last_success)
  end)

  it("goes on after a restart where it ended", function()
    gate.control.answer_outgoing = function() return nil, { where = "", text = "nobody listens" } end
    enqueue("webhook", webhook)
    run()
    gate.app:stop()
    local directory, control = gate.directory, gate.control
    control.answer_outgoing = function() return { status = 200, body = "" } end
    control.clock = control.clock + 1
    gate = assert(support.start { directory = directory, control = control })
    run()
    assert.equal("delivered", history()[1].result)
  end)

  it("does not count an attempt for which there was no room", function()
    gate.control.answer_outgoing = function() return nil, { where = "errands", text = "too many are under way" } end
    enqueue("webhook", webhook)
    for _ = 1, 20 do
      run()
      gate.control.clock = gate.control.clock + 5
    end
    assert.equal(1, waiting())
    assert.equal(json.null, shown().last_failure)
    gate.control.answer_outgoing = function() return { status = 200, body = "" } end
    run()
    assert.equal("delivered", history()[1].result)
  end)

  it("makes at most eight at a time, and none twice", function()
    local tasks = {}
    function gate.control.task(work)
      local task = coroutine.create(work)
      tasks[#tasks + 1] = task
      assert(coroutine.resume(task))
    end
    gate.control.answer_outgoing = function()
      coroutine.yield()
      return { status = 200, body = "" }
    end
    enqueue("webhook", webhook, 20)
    run()
    run()
    assert.equal(8, #tasks)
    for index = 1, 3 do assert(coroutine.resume(tasks[index])) end
    run()
    assert.equal(11, #tasks)
    local index = 0
    while index < 20 do
      for at = 1, #tasks do
        if coroutine.status(tasks[at]) == "suspended" then assert(coroutine.resume(tasks[at])) end
      end
      index = index + 1
      run()
    end
    assert.equal(20, #gate.control.requests)
    assert.equal(20, #history())
  end)

  it("is dropped with its policy, also while it is sent", function()
    local base = ("/accounts/%s/alerting/v3/policies/"):format(gate.account_id)
    gate.control.answer_outgoing = function()
      gate:call("DELETE", base .. policy)
      return { status = 200, body = "" }
    end
    enqueue("webhook", webhook, 2)
    run()
    assert.equal(0, waiting())
    assert.same({}, history())
  end)

  it("fails at once when its webhook has gone", function()
    enqueue("webhook", "83c2d3e4-f506-4172-a839-4a5b6c7d8e9f")
    run()
    assert.equal("the webhook is not there any more", history()[1].failure)
    assert.is_nil(gate.control.requests[1])
  end)

  it("lets one that fails through a mistake of ours hold up no other", function()
    gate.control.answer_outgoing = function() error("a mistake") end
    enqueue("webhook", webhook)
    run()
    assert.is_true(gate:logged "a delivery failed")
    gate.control.answer_outgoing = function() return { status = 200, body = "" } end
    run()
    assert.equal("delivered", history()[1].result)
  end)

  describe("of e-mail", function()
    it("is written down as undeliverable without a program for it", function()
      enqueue("email", "ops@heron.test")
      run()
      local entry = history()[1]
      assert.same({ "failed", "email", "ops@heron.test" }, { entry.result, entry.mechanism_type, entry.mechanism })
      assert.matches("alerts.sendmail", entry.failure)
      assert.is_nil(gate.control.commands[1])
    end)

    it("goes to the configured program, the address in the message only", function()
      gate:close()
      start { alerts = { sendmail = { "/usr/sbin/sendmail", "-t", "-i" }, from = "gate@heron.test" } }
      enqueue("email", "ops@heron.test")
      run()
      local command = gate.control.commands[1]
      assert.same({ "/usr/sbin/sendmail", "-t", "-i" }, command.words)
      assert.matches("^From: gate@heron.test\nTo: ops@heron.test\n", command.input)
      assert.truthy(command.input:find("It expires.", 1, true))
      assert.equal("delivered", history()[1].result)
    end)

    it("is tried again when the program fails", function()
      gate:close()
      start { alerts = { sendmail = { "/usr/sbin/sendmail" }, from = "gate@heron.test" } }
      gate.control.end_command = function() return nil, { where = "", text = "it ended with exit status 75" } end
      enqueue("email", "ops@heron.test")
      run()
      assert.equal(1, waiting())
      gate.control.end_command = function() return true end
      gate.control.clock = gate.control.clock + 1
      run()
      assert.equal("delivered", history()[1].result)
    end)
  end)
end)
