-- The admin API over the wire: what is refused is refused with the documented error and stores nothing.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

describe("the admin API", function()
  local gate, behind, zones_path, before

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    zones_path = "/zones"
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function generation() return gate:api("GET", "/moongate/status").generation end
  before_each(function() before = generation() end)
  after_each(function() assert.equal(before, generation()) end)

  local function assert_error(status, code, got_status, document, response)
    assert.equal(status, got_status)
    assert.is_false(document.success)
    assert.equal(code, document.errors[1].code)
    assert.truthy(response:field("content-type"):find("application/json", 1, true))
    assert.truthy(response:field("cf-ray"))
  end

  local function bearer(token) return { { "Authorization", token } } end

  for _, case in ipairs {
    { "no credentials", {}, 400, 9106 },
    { "an unknown token", bearer("Bearer " .. ("x"):rep(40)), 403, 9109 },
    { "a header that is not bearer", bearer("Basic dXNlcjpwYXNz"), 400, 6003 },
    { "an empty token", bearer("Bearer "), 400, 6003 },
  } do
    it("refuses " .. case[1], function() assert_error(case[3], case[4], gate:admin("GET", zones_path, nil, case[2])) end)
  end

  for _, case in ipairs {
    { "a body that is not JSON", "{", 400, 6007 },
    { "an empty body", "", 400, 6007 },
    { "a body nested too deeply", '{"name":' .. ("["):rep(100) .. ("]"):rep(100) .. "}", 400, 6007 },
    { "a NUL in a string", '{"name":"a\0b"}', 400, 6007 },
  } do
    it("refuses " .. case[1], function() assert_error(case[3], case[4], gate:admin("POST", zones_path, case[2])) end)
  end

  it("refuses a body that is an array", function() assert.equal(400, (gate:admin("POST", zones_path, "[]"))) end)

  it("refuses a zone without a name", function()
    local status, document = gate:admin("POST", zones_path, { account = { id = gate:account() } })
    assert.equal(400, status)
    assert.is_false(document.success)
  end)

  it("refuses a name of the wrong type", function() assert.equal(400, (gate:admin("POST", zones_path, { name = 42 }))) end)

  it("refuses a body over 1 MiB with 413, announced or not", function()
    local long = '{"name":"' .. ("a"):rep(1100000) .. '"}'
    assert.equal(413, (gate:admin("POST", zones_path, long)))
    gate:hang_up()
    local session = assert(client.connect { port = gate.admin_port, tls = false })
    session:send("POST /client/v4/zones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " .. gate.token
      .. "\r\nTransfer-Encoding: chunked\r\n\r\n")
    local chunk = ("10000\r\n%s\r\n"):format(("x"):rep(65536))
    for _ = 1, 20 do
      if not session:send(chunk) then break end
    end
    session:send("0\r\n\r\n")
    local answer = session:response()
    assert.truthy(not answer or answer.status == 413, answer and answer.status)
    session:close()
  end)

  it("answers a body over 1 MiB in the API's envelope", function()
    local status, document = gate:admin("POST", zones_path, '{"name":"' .. ("a"):rep(1100000) .. '"}')
    gate:hang_up()
    assert.equal(413, status)
    assert.equal(10413, document.errors[1].code)
  end)

  it("tells an unknown path from a method that is not there", function()
    assert_error(404, 7000, gate:admin("GET", "/nothing/here"))
    assert_error(405, 7001, gate:admin("DELETE", "/zones"))
  end)

  it("refuses an unknown zone", function()
    assert.equal(404, (gate:admin("GET", "/zones/" .. ("0"):rep(32))))
    assert.equal(404, (gate:admin("GET", "/zones/not-an-id")))
  end)

  it("names the place of a mistake in a rule", function()
    local status, document = gate:admin("PUT",
      ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate.zone),
      { rules = { { action = "block", expression = 'http.host eq "a"' }, { action = "block", expression = "http.hots eq \"a\"" } } })
    assert.equal(400, status)
    assert.equal("/rules/1/expression", document.errors[1].source.pointer)
    assert.truthy(document.errors[1].message:find("(1:1)", 1, true))
    assert.truthy(document.errors[1].message:find("^^^", 1, true))
  end)

  for _, case in ipairs {
    { "text that is no certificate", function() return "hello" end, 1408 },
    { "a leaf instead of a CA", function() return certs.leaf(certs.ca("Some CA")).pem end, 1411 },
    { "an expired CA", function() return certs.ca("Old", { not_before = 1e9, not_after = 1.1e9 }).pem end, 1409 },
    { "a private key", function() return certs.ca("Keyed").key end, 1408 },
  } do
    it("refuses to trust " .. case[1], function()
      local status, document = gate:admin("POST", ("/accounts/%s/mtls_certificates"):format(gate:account()),
        { ca = true, certificates = case[2]() })
      assert.equal(400, status)
      assert.equal(case[3], document.errors[1].code)
    end)
  end

  it("refuses an association outside the zone, or with an unknown certificate", function()
    local path = ("/zones/%s/certificate_authorities/hostname_associations"):format(gate.zone)
    local id = "00000000-0000-4000-8000-000000000000"
    local status, document = gate:admin("PUT", path, { hostnames = { "a.example.com" }, mtls_certificate_id = id })
    assert.equal(404, status)
    assert.equal(1472, document.errors[1].code)
  end)

  it("is not reachable through the data port, whatever the Host", function()
    local session = gate:connect { host = "127.0.0.1", sni = false }
    local answer = session:get("/client/v4/accounts", { host = "127.0.0.1:" .. gate.admin_port,
      fields = bearer("Bearer " .. gate.token) })
    assert.truthy(answer.status >= 400, answer.status)
    session:close()
  end)

  it("never shows a private key, and never logs a token", function()
    local log = shell.read(gate.log)
    assert.is_nil(log:find(gate.token, 1, true))
  end)
end)

describe("the admin API over TLS", function()
  it("serves with the operator's certificate and refuses plain HTTP", function()
    local root = certs.ca("Operator")
    local server = certs.leaf(root, { cn = "admin.test", eku = "serverAuth", san = "DNS:admin.test" })
    local gate = gateway.new { config = { admin = { listen = "127.0.0.1:0", certificate = server.chain_path, key = server.key_path } } }
    gate:create_token()
    gate:launch()
    local session = assert(client.connect { port = gate.admin_port, sni = "admin.test", ca = root.path })
    local answer = session:get("/client/v4/user/tokens/verify", { host = "admin.test",
      fields = { { "Authorization", "Bearer " .. gate.token } } })
    assert.equal(200, answer.status)
    session:close()
    local plain = assert(client.connect { port = gate.admin_port, tls = false })
    plain:send("GET /client/v4/zones HTTP/1.1\r\nHost: x\r\n\r\n")
    local bytes = plain:receive()
    assert.truthy(not bytes or not bytes:find("^HTTP/1%.1 200"))
    plain:close()
    gate:stop()
  end)
end)
