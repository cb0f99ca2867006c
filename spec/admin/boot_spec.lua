local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.boot", function()
  local base, gate

  before_each(function() base = support.directory() end)
  after_each(function()
    if gate then gate:close() end
    gate = nil
    os.execute("rm -rf " .. base)
  end)

  local function start(options)
    options = options or {}
    options.directory = base
    local diag
    gate, diag = support.start(options)
    return gate, diag
  end

  local function stop()
    gate.app:stop()
    gate = nil
  end

  local function fill()
    local zone, ca = gate:zone "heron.test", gate:upload_ca(certs.ca("Root").pem)
    gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
      { hostnames = { "a.heron.test", "b.heron.test" }, mtls_certificate_id = ca.id })
    gate:call("PUT", "/zones/" .. zone.id .. "/rulesets/phases/http_request_firewall_custom/entrypoint",
      { rules = { { action = "block", expression = "not cf.tls_client_auth.cert_verified",
        action_parameters = { response = { status_code = 418, content = "no", content_type = "text/plain" } } } } })
    gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
    return gate.control.served
  end

  local function spoil()
    local file = assert(io.open(base .. "/data/moongate.db", "wb"))
    file:write(("garbage "):rep(1000))
    file:close()
    os.execute(("rm -f %s/data/moongate.db-wal %s/data/moongate.db-shm"):format(base, base))
  end

  describe("start()", function()
    it("makes the store and one account, and serves nothing yet", function()
      assert(start())
      assert.equal(1, gate.control.publications)
      assert.same({}, gate.control.served)
    end)

    it("serves after a restart what was served before", function()
      assert(start())
      local before, account = fill(), gate.account_id
      stop()
      assert(start())
      assert.same(before, gate.control.served)
      assert.equal(account, gate.account_id)
    end)

    it("keeps the generation over a restart, and goes on from it", function()
      assert(start())
      fill()
      local generation = gate.control.generation
      stop()
      assert(start())
      assert.equal(generation, gate.control.generation)
      gate:zone "stork.test"
      assert.equal(generation + 1, gate.control.generation)
    end)

    it("serves the other zones when one cannot be served, which blocks everything", function()
      assert(start())
      fill()
      gate:zone "stork.test"
      stop()
      local control = support.control()
      control.refuse_section = function(document)
        if document.name == "heron.test" and #document.hosts > 0 then return { where = "a.heron.test", text = "broken" } end
      end
      assert(start { control = control })
      assert.is_table(control.served["stork.test"])
      local sealed = control.served["heron.test"]
      assert.same({}, sealed.hosts)
      assert.equal("block", sealed.rules[1].action)
      local tree = require("moongate.rules").parse(require("moongate.fields").schema(), sealed.rules[1].expression)
      assert.is_table(tree)
      assert.is_true(gate:logged "zone heron.test cannot be served and blocks every request: a.heron.test: broken")
    end)

    it("refuses a damaged store with its path", function()
      assert(start())
      stop()
      spoil()
      local app, diag = start()
      assert.is_nil(app)
      assert.equal(base .. "/data/moongate.db", diag.where)
      assert.truthy(diag.text:find("not a database", 1, true))
    end)

    it("gives the store back when nothing can be published", function()
      local control = support.control()
      control.refuse_publish = function() return { where = "worker 1", text = "dead" } end
      local app, diag = start { control = control }
      assert.is_nil(app)
      assert.equal("publish", diag.where)
      assert.truthy(diag.text:find("dead", 1, true))
    end)
  end)

  context("without the store, when serve_without_store is set", function()
    it("serves the last good snapshot and answers 503 with Retry-After to everything else", function()
      assert(start())
      local before = fill()
      stop()
      spoil()
      assert(start { config = { serve_without_store = true } })
      assert.same(before, gate.control.served)
      for _, call in ipairs { { "GET", "/accounts" }, { "POST", "/zones", { name = "x.test" } } } do
        local answer = gate:call(call[1], call[2], call[3], { token = ("x"):rep(40) })
        assert.equal(503, answer.status)
        assert.equal("5", answer.headers["retry-after"])
        assert.equal(21001, answer.body.errors[1].code)
      end
      assert.equal(404, gate:call("GET", "/nowhere", nil, { token = false }).status)
      gate.app:tick()
      gate.app:stop()
    end)

    it("does not start when there is no snapshot either", function()
      assert(start())
      stop()
      spoil()
      os.execute("rm -f " .. base .. "/data/last-good.json")
      local app, diag = start { config = { serve_without_store = true } }
      assert.is_nil(app)
      assert.truthy(diag.text:find("no last good snapshot", 1, true))
    end)

    it("does not serve a snapshot whose checksum is wrong", function()
      assert(start())
      fill()
      stop()
      spoil()
      os.execute(("sed -i s/127.0.0.1:9000/127.0.0.1:9001/ %s/data/last-good.json"):format(base))
      local app, diag = start { config = { serve_without_store = true } }
      assert.is_nil(app)
      assert.truthy(diag.text:find("checksum", 1, true))
    end)
  end)

  describe("tick()", function()
    local function written() return gate.control.files[base .. "/data/last-good.json"] end

    it("writes the last good snapshot once after changes, and not when nothing changed", function()
      assert(start())
      gate.app:tick()
      local first = written()
      assert.is_string(first)
      gate.control.files = {}
      gate.app:tick()
      assert.is_nil(written())
      gate:zone "heron.test"
      gate:zone "stork.test"
      assert.is_nil(written())
      gate.app:tick()
      assert.truthy(written():find("heron.test", 1, true))
    end)

    it("complains once about a disk that is full, and goes on trying", function()
      assert(start())
      gate.control.refuse_write = { where = "x", text = "no space" }
      for _ = 1, 3 do gate.app:tick() end
      local complaints = 0
      for _, line in ipairs(gate.log) do
        if line:find("cannot be written", 1, true) then complaints = complaints + 1 end
      end
      assert.equal(1, complaints)
      gate.control.refuse_write = nil
      gate.app:tick()
      assert.is_string(written())
    end)
  end)

  describe("stop()", function()
    it("writes what is still to be written", function()
      assert(start())
      gate:zone "heron.test"
      local control = gate.control
      stop()
      assert.truthy(control.files[base .. "/data/last-good.json"]:find("heron.test", 1, true))
    end)
  end)

  describe("requests to the outside", function()
    it("go to this machine only when that is configured", function()
      start()
      assert.same({ allow_local = false }, gate.control.outgoing_terms)
      stop()
      start { config = { outgoing = { allow_local = true } } }
      assert.same({ allow_local = true }, gate.control.outgoing_terms)
    end)

    it("trust the CAs of a file, which is read at the start", function()
      local root = certs.ca("Receivers")
      start { config = { outgoing = { ca = root.path } } }
      assert.equal(root.pem, gate.control.outgoing_terms.ca)
    end)

    for _, case in ipairs {
      { "is not there", "/nowhere/ca.pem", "No such file" },
      { "has no certificate", certs.write("nothing", ".pem"), "no CERTIFICATE block" },
    } do
      it("stop the start when that file " .. case[1], function()
        local _, diag = start { config = { outgoing = { ca = case[2] } } }
        assert.is_nil(gate)
        assert.equal("outgoing.ca", diag.where)
        assert.truthy(diag.text:find(case[2], 1, true))
        assert.truthy(diag.text:find(case[3], 1, true), diag.text)
      end)
    end
  end)

  it("begins its duties with the first tick that they are due", function()
    start()
    local began = 0
    gate.app.duties = require("moongate.admin.duties").new({
      { name = "counting", first = 10, every = 60, run = function(running)
        assert.is_not_nil(running.store)
        began = began + 1
      end },
    }, gate.app)
    gate.app:tick()
    assert.equal(0, began)
    gate.control.clock = gate.control.clock + 10
    gate.app:tick()
    gate.app:tick()
    assert.equal(1, began)
  end)
end)
