-- `moongate explain` as users run it: it says beforehand what a gateway then does, and why.

local certs = require "spec.support.certs"
local dkjson = require "dkjson"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

describe("moongate explain", function()
  local gate, backend, ca, client, stranger, rules_path
  local HOST = "api.example.com"

  setup(function()
    backend = origin.start()
    gate = gateway.start { origin = backend }
    ca = certs.ca("Partners")
    client = certs.leaf(ca, { cn = "pump-17" })
    stranger = certs.leaf(certs.ca("Strangers"), { cn = "stranger" })
    gate:protect(HOST, ca)
    local _, document = gate:admin("GET", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate.zone))
    rules_path = gate.directory .. "/ruleset.json"
    shell.write(rules_path, dkjson.encode(document))
  end)

  teardown(function()
    gate:stop()
    backend:stop()
  end)

  for _, case in ipairs {
    { "a client of the CA", function() return client end, "pass", 200 }, { "a stranger", function() return stranger end, "block", 403 },
    { "nobody", function() end, "block", 403 },
  } do
    it(("says %s for %s, and so it is"):format(case[3], case[1]), function()
      local cert = case[2]()
      local arguments = { "explain", "--rules", rules_path, "--host", HOST, "-o", "json" }
      for _, word in ipairs(cert and { "--cert", cert.path, "--ca", ca.path } or {}) do arguments[#arguments + 1] = word end
      local result = gateway.cli(arguments)
      assert.equal(0, result.status, result.stderr)
      assert.equal(case[3], assert(dkjson.decode(result.stdout)).verdict.action)
      local session = assert(gate:connect { host = HOST, cert = cert })
      assert.equal(case[4], session:get("/", { host = HOST }).status)
      session:close()
    end)
  end

  it("shows people where the verdict comes from, and what would turn it", function()
    local result = gateway.cli { "explain", "--rules", rules_path, "--host", HOST, "--cert", stranger.path, "--ca", ca.path }
    assert.equal(0, result.status, result.stderr)
    for _, text in ipairs {
      "client certificate: not verified: unable to get local issuer certificate\n", "block: matches and decides\n",
      "  true      not\n  false       cf.tls_client_auth.cert_verified\n", "verdict: block by rule 1\n",
      "Another client certificate would turn it:\n", "  a verified certificate -> pass\n",
    } do
      assert.truthy(result.stdout:find(text, 1, true), text)
    end
  end)

  it("reads the request from standard input, as eval does", function()
    local result = gateway.cli({ "explain", 'http.host eq "a"', "--request", "-" }, '{"http.host": "a"}')
    assert.equal(0, result.status, result.stderr)
    assert.truthy(result.stdout:find("the expression is true\n", 1, true))
  end)

  for _, case in ipairs { { 1, 'http.hots eq "a"' }, { 2 }, { 2, "ssl", "--rules", "x" }, { 2, "ssl", "-o", "xml" }, { 2, "ssl", "--ip", "x" } } do
    it(("exits %d for: explain %s"):format(case[1], table.concat(case, " ", 2)), function()
      local result = gateway.cli { "explain", unpack(case, 2) }
      assert.same({ case[1], "" }, { result.status, result.stdout })
      assert.truthy(#result.stderr > 0)
    end)
  end
end)
