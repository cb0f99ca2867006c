-- What is set for a hostname, from the API to the next handshake and the next request.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local HOST = "api.example.com"

describe("options of a hostname", function()
  local gate, behind, ca, device, server

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    ca = certs.ca("Fleet")
    device, server = certs.leaf(ca, { cn = "device" }), certs.leaf(ca, { cn = "server", eku = "serverAuth" })
    gate:protect(HOST, ca)
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function set(options, name)
    return gate:api("PUT", ("/zones/%s/moongate/hostnames/%s"):format(gate.zone, name or HOST), options)
  end
  after_each(function()
    for _, name in ipairs { HOST, "*.example.com" } do
      gate:admin("DELETE", ("/zones/%s/moongate/hostnames/%s"):format(gate.zone, name))
    end
  end)

  describe("about the use of certificates", function()
    for usage, status in pairs { require = 403, warn = 200, ignore = 200 } do
      it(("answer %d to a server's certificate where they say %s"):format(status, usage), function()
        set { client_certificate_usage = usage }
        local path = "/usage/" .. usage
        assert.equal(status, (gate:status { host = HOST, cert = server, path = path }))
        assert.equal(200, (gate:status { host = HOST, cert = device, path = path .. "/device" }))
        assert.equal(usage == "warn" or nil, gate:wait_log({ path = path }).lacks_usage)
        assert.is_nil(gate:wait_log({ path = path .. "/device" }).lacks_usage)
      end)
    end

    it("hold for the names under a wildcard that have none of their own", function()
      set({ client_certificate_usage = "ignore" }, "*.example.com")
      assert.equal(200, (gate:status { host = HOST, cert = server }))
      set { strict_sni = false }
      assert.equal(403, (gate:status { host = HOST, cert = server }))
    end)
  end)

  describe("about resumption", function()
    for _, version in ipairs { "1.2", "1.3" } do
      it("make every connection a full handshake, also with a session from before: TLS " .. version, function()
        local function visit(resume)
          local session = gate:connect { host = HOST, cert = device, version = version, resume = resume }
          assert.equal(200, session:get("/x", { host = HOST }).status)
          local kept, resumed = session:resumable(), session:is_resumed()
          session:close()
          return kept, resumed
        end
        local kept, resumed = visit((visit()))
        assert.is_true(resumed)
        set { resumption = false }
        for _ = 1, 2 do
          kept, resumed = visit(kept)
          assert.is_false(resumed)
        end
        set { resumption = true }
        assert.is_true(select(2, visit((visit()))))
      end)
    end
  end)

  describe("about forwarding", function()
    it("tell the origin what they say and nothing else", function()
      for option, field in pairs { cloudflare = "Cf-Client-Cert-Sha256", rfc9440 = "Client-Cert", xfcc = "X-Forwarded-Client-Cert" } do
        set { forward = { [option] = true } }
        local path = "/told/" .. option
        assert.equal(200, (gate:status { host = HOST, cert = device, path = path }))
        local request = behind:wait_request(path)
        for _, other in ipairs { "Cf-Client-Cert-Sha256", "Client-Cert", "X-Forwarded-Client-Cert" } do
          assert.equal(other == field, request:field(other) ~= nil, option .. ": " .. other)
        end
      end
    end)
  end)
end)
