-- What an origin hears about the client's certificate, from the setting of a hostname to the head that the origin reads.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local HOST = "partner.example.com"
local POLICY = [[
local moongate = require "moongate"
moongate.on("request", { path = "/own" }, function(req) req.headers["Cf-Client-Cert-Sha256"] = "the policy's" end)
]]

describe("an origin that is told about client certificates", function()
  local gate, behind
  local ca = certs.ca "Told"
  local client = certs.leaf(ca, { cn = "client" })
  local FIELDS = { "Cf-Client-Cert-Der-Base64", "Cf-Client-Cert-Sha256" }

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { policies = { "policy.lua" } }, files = { ["policy.lua"] = POLICY } }
    gate:associate(ca, { HOST, "other.example.com" })
    assert.equal(202, (gate:admin("PUT", ("/zones/%s/access/certificates/settings"):format(gate.zone),
      { settings = { { hostname = HOST, client_certificate_forwarding = true } } })))
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  -- The two fields as the origin got them on one request.
  local function heard(options)
    local session = gate:connect { host = options.host or HOST, cert = options.cert, resume = options.resume }
    local target = options.path or "/"
    local fields = options.fields and { options.fields } or nil
    assert.equal(200, session:get(target, { host = options.host or HOST, fields = fields }).status)
    local requests = behind:requests(target)
    local request, values = requests[#requests], {}
    for index, name in ipairs(FIELDS) do values[index] = request:field(name) or "none" end
    local kept, resumed = session:resumable(), session:is_resumed()
    session:close()
    return values, kept, resumed
  end

  it("gets the certificate and its digest, after a resumed handshake too", function()
    local base64 = client.pem:match("CERTIFICATE%-+\n(.-)%-+END"):gsub("\n", "")
    local full, kept = heard { cert = client }
    assert.equal(base64, full[1])
    assert.equal(gate:wait_log({ host = HOST, status = 200 }).fingerprint, full[2])
    local again, _, resumed = heard { resume = kept }
    assert.is_true(resumed)
    assert.same(full, again)
  end)

  for _, name in ipairs { "Cf-Client-Cert-Sha256", "CF-CLIENT-CERT-SHA256", "Cf_Client_Cert_Sha256" } do
    it("hears nothing of what a client says itself in " .. name, function()
      assert.same({ "none", "none" }, (heard { fields = { name, "forged" } }))
      assert.same({ "none", "none" }, (heard { host = "other.example.com", cert = client, fields = { name, "forged" } }))
      assert.is_nil((heard { cert = client, fields = { name, "forged" } })[2]:find("forged", 1, true))
    end)
  end

  it("hears a policy's word in place of the gateway's, not beside it", function()
    local values = heard { cert = client, path = "/own" }
    assert.equal("the policy's", values[2])
    assert.not_equal("none", values[1])
  end)
end)
