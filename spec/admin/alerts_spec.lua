-- Which certificates are found, when, and that nobody is told twice. Certificates are put into the store as rows: how they are
-- read is their resources' business.

local support = require "spec.support.admin"
local alerts = require "moongate.admin.alerts"
local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local DAY = 86400

describe("moongate.admin.alerts", function()
  local gate, zone

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
  end)
  after_each(function() gate:close() end)

  local function run(sql, ...)
    local values, count = { ... }, select("#", ...)
    assert(gate.app.store:write(function(tx) return assert(tx:run(sql, unpack(values, 1, count))) end))
  end

  local function all(sql, ...)
    local values, rows = { ... }, nil
    gate.app.store:read(function(tx)
      rows = tx:all(sql, unpack(values))
      return true
    end)
    return rows
  end

  local function in_days(days) return stamp.seconds(gate.control.clock + days * DAY) end
  local function uuid() return stamp.uuid(gate.control.random) end

  local function mtls(days, account_id)
    local id = uuid()
    run("INSERT INTO mtls_certificates (id, account_id, name, ca, certificates, fingerprint, issuer, signature, serial_number, "
      .. "type, uploaded_on, expires_on) VALUES (?, ?, ?, 1, 'pem', ?, 'CN=x', 's', '1', 'custom', '2026', ?)", id,
      account_id or gate.account_id, "ca " .. id:sub(1, 4), stamp.hex(gate.control.random(32)), in_days(days))
    return id
  end

  local MAKERS = {
    mtls_certificate_store_certificate_expiration_type = mtls,
    access_custom_certificate_expiration_type = function(days)
      local id = uuid()
      run("INSERT INTO access_certificates (id, account_id, zone_id, name, certificate, fingerprint, expires_on, created_on, "
        .. "updated_on) VALUES (?, ?, ?, 'Partner', 'pem', 'f', ?, '2026', '2026')", id, gate.account_id, zone.id, in_days(days))
      run("INSERT INTO access_hostnames (certificate_id, zone_id, position, hostname) VALUES (?, ?, 1, 'a.heron.test')", id, zone.id)
      return id
    end,
    dedicated_ssl_certificate_event_type = function(days)
      local id = uuid()
      run("INSERT INTO custom_certificates (id, zone_id, type, bundle_method, deploy, priority, certificate, chain, private_key, "
        .. "fingerprint, kind, hosts, issuer, signature, uploaded_on, modified_on, expires_on) VALUES (?, ?, 'sni_custom', "
        .. "'force', 'production', 1, 'pem', 'pem', 'key', ?, 'EC', '[\"a.heron.test\"]', 'i', 's', '2026', '2026', ?)", id,
        zone.id, stamp.hex(gate.control.random(32)), in_days(days))
      return id
    end,
    custom_ssl_certificate_event_type = function(days)
      local hostname, id = uuid(), uuid()
      run("INSERT INTO custom_hostnames (id, zone_id, hostname, status, served, owned, token, verification_errors, attempts, "
        .. "next_check, created_at, wildcard, branding, settings) VALUES (?, ?, 'a.heron.test', 'active', 1, 1, ?, '[]', 0, '2026', "
        .. "'2026', 0, 0, '{}')",
        hostname, zone.id, uuid())
      run("INSERT INTO custom_hostname_certificates (id, custom_hostname_id, position, kind, certificate, chain, private_key, "
        .. "covers_wildcard, issuer, serial_number, signature, uploaded_on, expires_on) VALUES (?, ?, 1, 'EC', 'pem', 'pem', "
        .. "'key', 0, 'i', '1', 's', '2026', ?)", id, hostname, in_days(days))
      return id
    end,
  }
  for kind, scope in pairs { hostname_aop_custom_certificate_expiration_type = "hostname",
    zone_aop_custom_certificate_expiration_type = "zone" } do
    MAKERS[kind] = function(days)
      local id = uuid()
      run("INSERT INTO origin_pull_certificates (id, zone_id, scope, certificate, private_key, fingerprint, issuer, signature, "
        .. "serial_number, uploaded_on, expires_on) VALUES (?, ?, ?, 'pem', 'key', ?, 'i', 's', '1', '2026', ?)", id, zone.id,
        scope, stamp.hex(gate.control.random(32)), in_days(days))
      if scope == "hostname" then
        run("INSERT INTO origin_pull_hostnames (zone_id, hostname, certificate_id, enabled, created_at, updated_at) "
          .. "VALUES (?, 'a.heron.test', ?, 1, '2026', '2026')", zone.id, id)
      end
      return id
    end
  end

  local function policy(kind, more)
    local body = { name = "expiry", alert_type = kind or "mtls_certificate_store_certificate_expiration_type", enabled = true,
      mechanisms = { email = { { id = "ops@heron.test" } } } }
    for key, value in pairs(more or {}) do body[key] = value end
    local account_id = body.account_id or gate.account_id
    body.account_id = nil
    local answer = gate:call("POST", ("/accounts/%s/alerting/v3/policies"):format(account_id), body)
    assert.equal(200, answer.status)
    return answer.body.result.id
  end

  local function check() return assert(alerts.check(gate.app.store, gate.control)) end
  local function queue()
    local list = {}
    for index, row in ipairs(all "SELECT * FROM alert_deliveries ORDER BY created_on, rowid") do
      list[index] = row
      row.message = json.decode(row.body)
    end
    return list
  end

  for kind, make in pairs(MAKERS) do
    local of_hostnames = kind ~= "mtls_certificate_store_certificate_expiration_type"
      and kind ~= "zone_aop_custom_certificate_expiration_type"
    it("finds certificates for " .. kind .. ", and says what the API documents", function()
      local policy_id = policy(kind)
      local id = make(29.5)
      assert.equal(1, check())
      local message = queue()[1].message
      local of_zone = kind ~= "mtls_certificate_store_certificate_expiration_type"
      assert.same({
        account_name = "default", account_tag = gate.account_id, certificate_id = id, days_til_expiration = 29,
        hostnames = of_hostnames and "a.heron.test" or "", zone_name = of_zone and "heron.test" or "", zone_tag = of_zone and zone.id or "",
      }, message.data)
      assert.equal("expiry", message.name)
      assert.equal("expiry", message.policy_name)
      assert.equal(policy_id, message.policy_id)
      assert.equal(kind, message.alert_type)
      assert.equal(gate.account_id, message.account_id)
      assert.equal(math.floor(gate.control.clock), message.ts)
      assert.equal(36, #message.alert_correlation_id)
      assert.equal("ALERT_STATE_EVENT_START", message.alert_event)
      assert.truthy(message.text:find(id, 1, true))
      assert.truthy(message.text:find("expires in 29 days, on " .. in_days(29.5), 1, true), message.text)
    end)
  end

  it("tells once at thirty days and once at fourteen, however often it looks", function()
    policy()
    mtls(31)
    local told = {}
    for _, day in ipairs { 0, 0.5, 1.5, 2, 10, 16.5, 17.5, 20, 30.5, 40 } do
      local before = gate.control.clock
      gate.control.clock = before + day * DAY
      local count = check()
      if count > 0 then told[#told + 1] = { day, count } end
      gate.control.clock = before
    end
    assert.same({ { 1.5, 1 }, { 17.5, 1 } }, told)
  end)

  it("tells once of a certificate that it finds late", function()
    policy()
    mtls(5.5)
    assert.equal(1, check())
    assert.equal(5, queue()[1].message.data.days_til_expiration)
    assert.equal(0, check())
  end)

  it("tells nothing of certificates that have expired or will not for long", function()
    policy()
    mtls(-1)
    mtls(30.01)
    assert.equal(0, check())
  end)

  it("tells again of a certificate that was renewed in its place", function()
    policy "dedicated_ssl_certificate_event_type"
    local id = MAKERS.dedicated_ssl_certificate_event_type(5)
    assert.equal(1, check())
    run("UPDATE custom_certificates SET expires_on = ? WHERE id = ?", in_days(20), id)
    assert.equal(1, check())
  end)

  it("tells every policy by every mechanism of it, and only its own account", function()
    local webhook = gate:call("POST", ("/accounts/%s/alerting/v3/destinations/webhooks"):format(gate.account_id),
      { name = "ops", url = "https://hooks.heron.test/" }).body.result.id
    policy()
    policy(nil, { mechanisms = { email = { { id = "a@heron.test" } }, webhooks = { { id = webhook } } } })
    policy(nil, { account_id = gate:account "other" })
    policy(nil, { enabled = false })
    policy "universal_ssl_event_type"
    mtls(20)
    assert.equal(2, check())
    local targets = {}
    for index, row in ipairs(queue()) do targets[index] = row.target end
    table.sort(targets)
    local wanted = { "a@heron.test", "ops@heron.test", webhook }
    table.sort(wanted)
    assert.same(wanted, targets)
  end)

  it("tells a policy that was made later of what it was not told", function()
    policy()
    mtls(20)
    assert.equal(1, check())
    policy()
    assert.equal(1, check())
  end)

  it("leaves out certificates that are not served yet", function()
    policy "dedicated_ssl_certificate_event_type"
    run("UPDATE custom_certificates SET deploy = 'staging' WHERE id = ?", MAKERS.dedicated_ssl_certificate_event_type(5))
    assert.equal(0, check())
  end)

  it("names twenty hostnames and no more", function()
    policy()
    local id = mtls(5)
    for index = 1, 25 do
      run("INSERT INTO hostname_associations (zone_id, certificate_id, position, hostname, updated_on) VALUES (?, ?, ?, ?, '2026')",
        zone.id, id, index, ("h%02d.heron.test"):format(index))
    end
    check()
    local names = queue()[1].message.data.hostnames
    assert.matches("^h01%.heron%.test, .*, h20%.heron%.test, …$", names)
  end)

  it("lets history go after thirty days, and notices sixty days after the end", function()
    policy()
    mtls(5)
    check()
    local function history(days)
      run("INSERT INTO alert_history (id, account_id, policy_id, name, description, alert_type, alert_body, mechanism, "
        .. "mechanism_type, sent) VALUES (?, ?, 'p', 'n', '', 't', 'b', 'm', 'email', ?)", uuid(), gate.account_id, in_days(days))
    end
    history(-29)
    history(-31)
    check()
    assert.equal(1, #all "SELECT id FROM alert_history")
    gate.control.clock = gate.control.clock + 64 * DAY
    check()
    assert.equal(2, #all "SELECT days FROM alert_notices")
    gate.control.clock = gate.control.clock + 2 * DAY
    check()
    assert.equal(0, #all "SELECT days FROM alert_notices")
  end)

  local function many(count)
    assert(gate.app.store:write(function(tx)
      for index = 1, count do
        assert(tx:run("INSERT INTO mtls_certificates (id, account_id, ca, certificates, fingerprint, issuer, signature, "
          .. "serial_number, type, uploaded_on, expires_on) VALUES (?, ?, 0, 'pem', ?, 'CN=x', 's', '1', 'custom', '2026', ?)",
          ("00000000-0000-4000-8000-%012d"):format(index), gate.account_id, ("%064d"):format(index), in_days(20)))
      end
      return true
    end))
  end

  it("goes in small pieces, and lets others have the thread and the store between them", function()
    policy()
    many(250)
    alerts.run(gate.app)
    assert.is_true(gate:logged "250 notices")
    assert.equal(4, gate.control.gave_way) -- one for fourteen days, three for thirty
    local seen = {}
    for _, row in ipairs(queue()) do seen[row.message.data.certificate_id] = true end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(250, count)
  end)

  it("goes on with the other policies when one is deleted between two pieces", function()
    local first = policy()
    policy()
    many(150)
    local deleted
    function gate.control.give_way()
      if not deleted and #queue() > 0 then
        deleted = gate:call("DELETE", ("/accounts/%s/alerting/v3/policies/%s"):format(gate.account_id, queue()[1].policy_id))
      end
    end
    alerts.run(gate.app)
    assert.equal(200, deleted.status)
    assert.equal(150, #queue())
    assert.is_string(first)
  end)

  it("tells the log what it did as a duty, and when the store fails", function()
    policy()
    mtls(5)
    alerts.run(gate.app)
    assert.is_true(gate:logged "1 notices of certificates that will expire")
    alerts.run { store = { write = function() return nil, { store = "busy", text = "locked" } end }, control = gate.control,
      log = gate.app.log }
    assert.is_true(gate:logged "the store failed (kind=busy)")
  end)
end)
