-- Settings of a zone that every request feels, from the answer on: HTTPS only, no websockets, fields about certificates.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local UPGRADE = { { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" },
  { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" } }

describe("settings of a zone", function()
  local gate, behind
  local ca = certs.ca "Told"

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { listen_http = { "127.0.0.1:0" } } }
    gate:associate(ca, { "api.example.com" })
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function set(id, value) gate:api("PATCH", ("/zones/%s/settings/%s"):format(gate.zone, id), { value = value }) end
  local function over_http(host, path)
    local session = assert(client.connect { port = gate.http_port, tls = false })
    local answer = session:get(path, { host = host })
    session:close()
    return answer
  end

  it("send plain HTTP to HTTPS, under every name of the zone, and only while they say so", function()
    assert.equal(200, over_http("www.example.com", "/before").status)
    set("always_use_https", "on")
    for _, host in ipairs { "www.example.com", "api.example.com", "example.com", "a.b.example.com" } do
      local answer = over_http(host, "/secret?a=1")
      assert.equal(301, answer.status, host)
      assert.equal(("https://%s/secret?a=1"):format(host), answer:field("location"))
    end
    assert.same({}, behind:requests("/secret"))
    assert.equal(200, (gate:status { host = "www.example.com" }))
    set("always_use_https", "off")
    assert.equal(200, over_http("www.example.com", "/after").status)
  end)

  it("keep websockets from opening, and only while they say so", function()
    local session = gate:connect { host = "www.example.com" }
    set("websockets", "off")
    assert.not_equal(101, session:get("/upgrade", { host = "www.example.com", fields = UPGRADE }).status)
    local requests = behind:requests("/upgrade")
    if requests[1] then assert.is_nil(requests[1]:field("upgrade")) end
    session:close()
    set("websockets", "on")
    session = gate:connect { host = "www.example.com" }
    assert.equal(101, session:get("/upgrade", { host = "www.example.com", fields = UPGRADE }).status)
    session:close()
  end)

  it("tell origins the client's address under another name once the managed header is on", function()
    local function heard(path)
      local session = gate:connect { host = "www.example.com" }
      local answer = session:get(path, { host = "www.example.com", fields = { { "True-Client-IP", "203.0.113.9" } } })
      assert.equal(200, answer.status)
      session:close()
      return behind:wait_request(path):field("true-client-ip")
    end
    local function switch(enabled)
      gate:api("PATCH", ("/zones/%s/managed_headers"):format(gate.zone),
        { managed_request_headers = { { id = "add_true_client_ip_headers", enabled = enabled } } })
    end
    assert.is_nil(heard "/untold")
    switch(true)
    assert.equal("127.0.0.1", heard "/told")
    switch(false)
    assert.is_nil(heard "/again")
  end)

  it("tell origins about client certificates once the managed header is on", function()
    local leaf = certs.leaf(ca, { cn = "client" })
    local function heard(host, path)
      local session = gate:connect { host = host, cert = leaf }
      local answer = session:get(path, { host = host, fields = { { "Cf-Cert-Verified", "forged" } } })
      assert.equal(200, answer.status)
      session:close()
      return behind:wait_request(path):field("cf-cert-verified")
    end
    assert.is_nil(heard("api.example.com", "/off"))
    gate:api("PATCH", ("/zones/%s/managed_headers"):format(gate.zone),
      { managed_request_headers = { { id = "add_client_certificate_headers", enabled = true } } })
    local verified = heard("api.example.com", "/on")
    assert.truthy(verified)
    assert.not_equal("forged", verified)
    local other = heard("www.example.com", "/other")
    assert.truthy(other)
    assert.not_equal(verified, other)
  end)
end)
