-- Notifications from end to end: the whole program, receivers that really listen, and the store in between.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"
local dkjson = require "dkjson"

local TYPE = "mtls_certificate_store_certificate_expiration_type"
local REFUSING = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
local TAKING = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
local HOOKS = "hooks.localhost" -- this machine, to libcurl and RFC 6761

describe("notifications", function()
  local gate, receiver, base, mailbox

  before_each(function()
    receiver = origin.start { hook = TAKING }
    mailbox = receiver.directory .. "/mail"
    gate = gateway.new { config = {
      outgoing = { allow_local = true, ca = "data/local-ca.pem" },
      alerts = { sendmail = { "/bin/sh", "-c", 'cat > "$0"', mailbox }, from = "gate@example.com" },
    } }
    gate:create_token()
    gate:launch()
    base = ("/accounts/%s/alerting/v3"):format(gate:account())
  end)
  after_each(function()
    gate:stop()
    receiver:stop()
  end)

  local function make_webhook(url, secret)
    local status, document = gate:admin("POST", base .. "/destinations/webhooks", { name = "ops", url = url, secret = secret })
    assert.equal(201, status)
    return document.result.id
  end
  local function make_policy(mechanisms)
    return gate:api("POST", base .. "/policies",
      { name = "CA expiry", alert_type = TYPE, enabled = true, mechanisms = mechanisms }).id
  end
  local function expiring_ca(days)
    return gate:upload(certs.ca("Over in " .. days, { not_after = os.time() + days * 86400 + 3600 }))
  end
  local function run_alerts()
    local result = gateway.cli { "alerts", "run", "--now", "-c", gate.config_path }
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end
  local function wait_history(count)
    return wait.until_true(("%d entries of the history"):format(count), function()
      local entries = gate:api("GET", base .. "/history")
      return #entries >= count and entries
    end, 20)
  end
  local function received() return receiver:requests "/raw/hook" end

  it("reach a webhook with its secret, once a policy, also after a restart", function()
    local webhook = make_webhook(receiver.url .. "/raw/hook", "s3cret")
    assert.equal("s3cret", received()[1]:field "cf-webhook-auth") -- the test message
    local policy = make_policy { webhooks = { { id = webhook } } }
    local ca = expiring_ca(20)
    assert.equal("1 new notice, 1 delivery waiting\n", run_alerts())
    local entry = wait_history(1)[1]
    assert.same({ "delivered", policy, webhook, "webhook" }, { entry.result, entry.policy_id, entry.mechanism, entry.mechanism_type })
    local message = dkjson.decode(entry.alert_body)
    assert.same({ ca, 20 }, { message.data.certificate_id, message.data.days_til_expiration })
    assert.same({ "POST", "application/json", "s3cret" }, { received()[2].method, received()[2]:field "content-type",
      received()[2]:field "cf-webhook-auth" })
    assert.truthy(gate:api("GET", base .. "/destinations/webhooks/" .. webhook).last_success)

    assert.equal("0 new notices, 0 deliveries waiting\n", run_alerts())
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit())
    gate:launch()
    assert.equal("0 new notices, 0 deliveries waiting\n", run_alerts())
    make_policy { webhooks = { { id = webhook } } }
    assert.equal("1 new notice, 1 delivery waiting\n", run_alerts())
    wait_history(2)
    assert.equal(3, #received())
    assert.is_nil(shell.read(gate.log):find("s3cret", 1, true))
    assert.is_nil(shell.read(gate.directory .. "/data/moongate.db"):find("s3cret", 1, true))
  end)

  it("are sent again to a webhook that has refused them, also across a restart", function()
    local webhook = make_webhook(receiver.url .. "/raw/hook")
    shell.write(receiver.directory .. "/hook", REFUSING)
    make_policy { webhooks = { { id = webhook } } }
    expiring_ca(10)
    run_alerts()
    wait.until_true("two attempts", function() return #received() >= 3 end, 20)
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit())
    shell.write(receiver.directory .. "/hook", TAKING)
    assert.equal("0 new notices, 1 delivery waiting\n", run_alerts())
    gate:launch()
    assert.equal("delivered", wait_history(1)[1].result)
    local shown = gate:api("GET", base .. "/destinations/webhooks/" .. webhook)
    assert.is_string(shown.last_failure)
    assert.is_string(shown.last_success)
  end)

  it("reach a webhook over HTTPS, whose certificate is of the configured CA", function()
    gate.zone = gate:create_zone(HOOKS, receiver.url)
    local webhook = make_webhook(("https://%s:%d/raw/hook"):format(HOOKS, gate.port))
    make_policy { webhooks = { { id = webhook } } }
    expiring_ca(10)
    run_alerts()
    assert.equal("delivered", wait_history(1)[1].result)
    assert.equal("https", received()[2]:field "x-forwarded-proto")
    local status, document = gate:admin("POST", base .. "/destinations/webhooks",
      { name = "other name", url = ("https://127.0.0.1:%d/raw/hook"):format(gate.port) })
    assert.equal(422, status)
    assert.truthy(document.errors[1].error_chain[1].message:find("SSL", 1, true))
  end)

  it("reach an e-mail address through the configured program", function()
    make_policy { email = { { id = "ops@example.com" } } }
    expiring_ca(10)
    run_alerts()
    assert.equal("delivered", wait_history(1)[1].result)
    assert.matches("^From: gate@example.com\nTo: ops@example.com\n", shell.read(mailbox))
    assert.truthy(shell.read(mailbox):find("expires in 10 days", 1, true))
  end)

  local function post_in_the_background(url)
    local session = assert(client.connect { port = gate.admin_port, tls = false })
    session:send(client.request_bytes("POST", "/client/v4" .. base .. "/destinations/webhooks", {
      host = "127.0.0.1", fields = { { "Authorization", "Bearer " .. gate.token } },
      body = dkjson.encode { name = "slow", url = url },
    }))
    return session
  end

  it("let the admin API serve others while a webhook is tested", function()
    local session = post_in_the_background(receiver.url .. "/hold/x")
    receiver:wait_request "/hold/x"
    assert.same({}, gate:api("GET", base .. "/destinations/webhooks"))
    assert.equal(0, shell.run({ "curl", "-sf", receiver.url .. "/release/x" }, {}).status)
    assert.equal(201, session:response().status)
    assert.equal(1, #gate:api("GET", base .. "/destinations/webhooks"))
    session:close()
  end)

  it("carry on when the client of a test has gone, and end in time with the gateway", function()
    local session = post_in_the_background(receiver.url .. "/hold/y")
    receiver:wait_request "/hold/y"
    session:close()
    shell.run({ "curl", "-sf", receiver.url .. "/release/y" }, {})
    wait.until_true("the webhook to be stored", function() return #gate:api("GET", base .. "/destinations/webhooks") == 1 end)
    session = post_in_the_background(receiver.url .. "/hold/z")
    receiver:wait_request "/hold/z"
    session:close()
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit(10))
  end)

  it("answers 422 when a webhook takes too long", function()
    local begun = wait.now()
    local status, document = gate:admin("POST", base .. "/destinations/webhooks", { name = "slow", url = receiver.url .. "/wait/60000" })
    assert.equal(422, status)
    assert.truthy(document.errors[1].error_chain[1].message:find("5000 ms", 1, true))
    assert.is_true(wait.now() - begun < 15)
  end)
end)

describe("a gateway that may not ask its own machine", function()
  it("does not take a webhook there, whatever it is called", function()
    local receiver = origin.start { hook = TAKING }
    local gate = gateway.start {}
    for _, host in ipairs { "127.0.0.1", HOOKS, "[::1]", "[::ffff:127.0.0.1]" } do
      local status, document = gate:admin("POST", ("/accounts/%s/alerting/v3/destinations/webhooks"):format(gate:account()),
        { name = "ops", url = ("http://%s:%d/raw/hook"):format(host, receiver.port) })
      assert.equal(422, status)
      assert.truthy(document.errors[1].error_chain[1].message:find("address of this machine", 1, true))
    end
    assert.same({}, receiver:events())
    gate:stop()
    receiver:stop()
  end)
end)
