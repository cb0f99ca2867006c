-- The plain HTTP listener: the same rules, no certificate facts, `ssl` is false.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("the plain HTTP listener", function()
  local gate, behind, session

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { listen_http = { "127.0.0.1:0" } } }
    gate:associate(certs.ca("Partners"), { "api.example.com" })
    gate:set_rules { gateway.block_rule("api.example.com"), 'not ssl and http.request.uri.path eq "/secure"' }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  before_each(function() session = assert(client.connect { port = gate.http_port, tls = false }) end)
  after_each(function() session:close() end)

  local function get(host, path) return session:get(path, { host = host }) end

  it("serves a host, and says http to the origin", function()
    assert.equal(200, get("www.example.com", "/plain").status)
    local request = behind:wait_request("/plain")
    assert.equal("http", request:field("x-forwarded-proto"))
    assert.equal('{"scheme":"http"}', request:field("cf-visitor"))
  end)

  it("blocks a host that wants a certificate", function()
    assert.equal(403, get("api.example.com", "/").status)
    assert.equal(403, get("API.example.com.", "/").status)
  end)

  it("knows that it is not TLS", function()
    assert.equal(403, get("www.example.com", "/secure").status)
    assert.equal(200, (gate:status { host = "www.example.com", path = "/secure" }))
  end)

  it("serves several hosts on one connection", function()
    assert.equal(200, get("www.example.com", "/").status)
    assert.equal(403, get("api.example.com", "/").status)
    assert.equal(200, get("other.example.com", "/").status)
  end)

  it("refuses an absolute target of the other scheme", function()
    assert.equal(400, get("www.example.com", "https://www.example.com/").status)
    session:close()
    session = assert(client.connect { port = gate.http_port, tls = false })
    assert.equal(200, get("www.example.com", "http://www.example.com/absolute").status)
    assert.equal(1, #behind:requests("/absolute"))
  end)

  it("closes a port on which somebody speaks TLS", function()
    local other, err = client.connect { port = gate.http_port, sni = "www.example.com", timeout = 5 }
    assert.is_nil(other)
    assert.truthy(err)
  end)
end)
