-- The main job, as an operator does it: upload a CA, associate a hostname, put the block rule; then real clients come.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("the main job", function()
  local gate, behind, ca, own, foreign, self_signed

  setup(function()
    ca = certs.ca("Partners")
    own = certs.leaf(ca, { cn = "device-1" })
    foreign = certs.leaf(certs.ca("Strangers"), { cn = "stranger" })
    self_signed = certs.leaf(nil, { cn = "nobody" })
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:protect("api.example.com", ca)
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  it("gives a client with a certificate of the CA the origin's answer", function()
    local answer = gate:curl { host = "api.example.com", cert = own, path = "/hello" }
    assert.equal(200, answer.status)
    assert.truthy(answer.body:find("GET /hello HTTP/1.1", 1, true))
  end)

  for _, case in ipairs {
    { "without a certificate", function() return nil end },
    { "with a certificate of another CA", function() return foreign end },
    { "with a self-signed certificate", function() return self_signed end },
  } do
    it("blocks a client " .. case[1], function()
      local answer = gate:curl { host = "api.example.com", cert = case[2](), path = "/secret" }
      assert.equal(403, answer.status)
      assert.same({}, behind:requests("/secret"))
    end)
  end

  it("lets everybody reach a hostname without an association", function()
    assert.equal(200, gate:curl({ host = "www.example.com", path = "/" }).status)
  end)

  it("answers a blocked client with a page that carries the ray of the log line", function()
    local answer = gate:curl { host = "api.example.com", path = "/secret" }
    local ray = answer.head:match("CF%-Ray: (%x+%-%u+)\r\n")
    assert.truthy(answer.body:find(ray, 1, true))
    assert.truthy(answer.head:find("Content-Type: text/html", 1, true))
    local line = gate:wait_log { ray = ray }
    assert.equal("blocked", line.what)
    assert.equal(403, line.status)
    assert.equal("api.example.com", line.host)
    assert.truthy(line.rule)
  end)

  it("answers a blocked client that prefers JSON in JSON", function()
    local answer = gate:curl { host = "api.example.com", arguments = { "-H", "Accept: application/json" } }
    assert.equal(403, answer.status)
    assert.truthy(answer.head:find("Content-Type: application/json", 1, true))
    assert.equal(403, require("dkjson").decode(answer.body).status)
  end)

  it("asks for a certificate only where one is wanted", function()
    local shown = {}
    for _, host in ipairs { "api.example.com", "www.example.com" } do
      shown[host] = require("spec.support.shell").run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. gate.port, "-servername",
        host, "-CAfile", gate.ca_path }, { stdin = "" }).stdout
    end
    assert.truthy(shown["api.example.com"]:find("CN = Partners", 1, true))
    assert.truthy(shown["www.example.com"]:find("No client certificate CA names sent", 1, true))
  end)

  it("refuses TLS 1.1", function()
    local ok, err = pcall(gate.connect, gate, { host = "www.example.com", version = "1.1" })
    assert.is_false(ok)
    assert.truthy(err:find("alert protocol version", 1, true), err)
    assert.equal("TLSv1.2", gate:connect({ host = "www.example.com", version = "1.2" }):version())
  end)
end)
