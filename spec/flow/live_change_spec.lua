-- What an administrator changes holds for the next request of connections that are open already.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("changes on a live connection", function()
  local gate, behind, ca, other_ca, client, session
  local host = "api.example.com"

  setup(function()
    ca, other_ca = certs.ca("First"), certs.ca("Second")
    client = certs.leaf(ca, { cn = "device" })
  end)

  before_each(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:protect(host, ca)
    session = gate:connect { host = host, cert = client }
    assert.equal(200, session:get("/before", { host = host }).status)
  end)

  after_each(function()
    session:close()
    gate:stop()
    behind:stop()
  end)

  local function next_status() return session:status_or_closed("/after", { host = host }) end

  -- 421 is an answer too: the names' trust is no longer what the handshake was for.
  local function assert_shut_out()
    local before = #behind:requests("/after")
    local status = next_status()
    assert.truthy(status == 403 or status == 421 or status == "closed", status)
    assert.equal(before, #behind:requests("/after"))
  end

  it("shuts a client out when its CA is dissociated", function()
    gate:associate(ca, {})
    assert_shut_out()
  end)

  it("shuts a client out when another CA takes the place of its own", function()
    gate:associate(other_ca, { host })
    gate:associate(ca, {})
    assert_shut_out()
  end)

  it("lets a client in that was blocked, when its CA is associated", function()
    gate:associate(ca, {})
    assert_shut_out()
    gate:associate(ca, { host })
    local again = gate:connect { host = host, cert = client }
    assert.equal(200, again:get("/again", { host = host }).status)
    again:close()
  end)

  it("applies a changed rule", function()
    gate:set_rules { gateway.block_rule(host), 'http.request.uri.path eq "/after"' }
    assert.equal(403, next_status())
    gate:set_rules { gateway.block_rule(host) }
    assert.equal(200, next_status())
  end)

  it("goes on serving when another CA is added to the host", function()
    gate:associate(other_ca, { host })
    assert.equal(200, next_status())
  end)

  it("goes on serving when another zone changes", function()
    local zone = gate:create_zone("example.org", behind.url)
    gate:set_rules({ 'http.host eq "example.org"' }, zone)
    assert.equal(200, next_status())
    assert.equal(403, (gate:status { host = "example.org" }))
  end)

  it("shuts everybody out when the zone goes", function()
    assert.equal(200, (gate:admin("DELETE", "/zones/" .. gate.zone)))
    local status = next_status()
    assert.truthy(status == "closed" or status >= 400, status)
    assert.same({}, behind:requests("/after"))
  end)

  it("closes a connection that is idle when its client is shut out", function()
    gate:associate(ca, {})
    assert.is_true(session:is_closed())
  end)

  local function upgrade()
    local answer = session:get("/upgrade", { host = host, fields = { { "Connection", "Upgrade" }, { "Upgrade", "websocket" },
      { "Sec-WebSocket-Version", "13" }, { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" }, { "X-Tenant", "blue" } } })
    assert.equal(101, answer.status)
  end

  local function assert_open(text)
    session:send(text)
    assert.equal(text, session:receive())
  end

  it("cuts a websocket when its client is shut out, and not when others are", function()
    upgrade()
    gate:associate(other_ca, { host })
    gate:associate(other_ca, {})
    assert_open "still there"
    gate:associate(ca, {})
    assert.is_true(session:is_closed())
    gate:wait_log { path = "/upgrade", status = 101, reason = "the client's certificate is not trusted any more" }
  end)

  it("cuts a websocket when the rules would not let it begin any more, and not when they would", function()
    upgrade()
    local function header_rule(value) return ('any(http.request.headers["x-tenant"][*] eq "%s")'):format(value) end
    gate:set_rules { gateway.block_rule(host), header_rule "red", 'http.request.uri.path eq "/other"' }
    assert_open "still there"
    local rules = gate:set_rules { gateway.block_rule(host), header_rule "blue" }.rules
    assert.is_true(session:is_closed())
    gate:wait_log { path = "/upgrade", status = 101, reason = "the rules do not allow it any more", rule = rules[2].id }
  end)

  it("does not delete a CA while it is associated", function()
    local path = ("/accounts/%s/mtls_certificates/%s"):format(gate:account(), gate:upload(ca))
    local status, document = gate:admin("DELETE", path)
    assert.equal(400, status)
    assert.equal(1485, document.errors[1].code)
    assert.equal(200, next_status())
    gate:associate(ca, {})
    assert.equal(200, (gate:admin("DELETE", path)))
    assert_shut_out()
  end)

  it("sends a changed origin the next request", function()
    local second = origin.start()
    gate:set_origin(gate.zone, "*", second.url)
    assert.equal(200, next_status())
    assert.equal(1, #second:requests("/after"))
    assert.same({}, behind:requests("/after"))
    second:stop()
  end)

  it("keeps what is in force when a change is refused", function()
    local status = gate:admin("PUT", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate.zone),
      { rules = { { action = "block", expression = "http.host eq" } } })
    assert.equal(400, status)
    assert.equal(403, (gate:status { host = host }))
    assert.equal(200, next_status())
  end)
end)
