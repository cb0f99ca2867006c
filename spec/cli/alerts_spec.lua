-- `moongate alerts run`, on a store that a gateway has written and goes on using.

local support = require "spec.support.admin"
local stamp = require "moongate.admin.stamp"

local function collector()
  local parts = {}
  return {
    write = function(self, ...)
      for index = 1, select("#", ...) do parts[#parts + 1] = tostring((select(index, ...))) end
      return self
    end,
    text = function() return table.concat(parts) end,
  }
end

describe("moongate.cli.alerts", function()
  local gate, path

  before_each(function()
    gate = assert(support.start())
    path = gate.directory .. "/moongate.lua"
    local file = assert(io.open(path, "wb"))
    file:write('return { data_dir = "data" }\n')
    file:close()
    gate:call("POST", ("/accounts/%s/alerting/v3/policies"):format(gate.account_id), { name = "expiry", enabled = true,
      alert_type = "mtls_certificate_store_certificate_expiration_type", mechanisms = { email = { { id = "ops@heron.test" } } } })
    assert(gate.app.store:write(function(tx)
      return tx:run("INSERT INTO mtls_certificates (id, account_id, ca, certificates, fingerprint, issuer, signature, "
        .. "serial_number, type, uploaded_on, expires_on) VALUES (?, ?, 0, 'pem', ?, 'CN=x', 's', '1', 'custom', '2026', ?)",
        stamp.uuid(gate.control.random), gate.account_id, ("0"):rep(64), stamp.seconds(gate.control.clock + 20 * 86400))
    end))
  end)
  after_each(function() gate:close() end)

  local function run(...)
    local host = { stdin = collector(), stdout = collector(), stderr = collector(), control = support.control() }
    local code = require("moongate.cli").main({ ... }, host)
    return { code = code, out = host.stdout.text(), err = host.stderr.text() }
  end

  it("queues what is to be told, once, and the gateway delivers it", function()
    assert.same({ code = 0, out = "1 new notice, 1 delivery waiting\n", err = "" }, run("alerts", "run", "-c", path))
    assert.same({ code = 0, out = "0 new notices, 1 delivery waiting\n", err = "" }, run("alerts", "run", "--now", "-c", path))
    gate.control.clock = gate.control.clock + 1
    gate.app:tick()
    assert.same({ code = 0, out = "0 new notices, 0 deliveries waiting\n", err = "" }, run("alerts", "run", "-c", path))
  end)

  it("makes deliveries due that wait for another attempt, with --now", function()
    run("alerts", "run", "-c", path)
    local function due()
      local row
      gate.app.store:read(function(tx)
        row = tx:one "SELECT due_on FROM alert_deliveries"
        return true
      end)
      return row.due_on
    end
    gate.app.store:write(function(tx) return tx:run("UPDATE alert_deliveries SET due_on = '2030-01-01T00:00:00.000000Z'") end)
    run("alerts", "run", "-c", path)
    assert.equal("2030-01-01T00:00:00.000000Z", due())
    run("alerts", "run", "--now", "-c", path)
    assert.equal(stamp.micros(gate.control.clock), due())
  end)

  it("says what is wrong with the store", function()
    gate.app:stop()
    local file = assert(io.open(gate.directory .. "/data/moongate.db", "wb"))
    file:write(("garbage "):rep(1000))
    file:close()
    local result = run("alerts", "run", "-c", path)
    assert.equal(1, result.code)
    assert.matches("moongate.db", result.err)
  end)

  it("is told how it is used", function()
    assert.equal(2, run("alerts").code)
    assert.matches("%-%-now", run("alerts", "run", "--help").out)
  end)
end)
