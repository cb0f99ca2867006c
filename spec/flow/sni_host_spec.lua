-- A connection opened for one name and used for another: trust decides, and both names are looked up the same way.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("server name and Host", function()
  local gate, behind, ca_a, ca_b, client_a, client_b

  setup(function()
    ca_a, ca_b = certs.ca("Tenant A"), certs.ca("Tenant B")
    client_a, client_b = certs.leaf(ca_a, { cn = "a" }), certs.leaf(ca_b, { cn = "b" })
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:associate(ca_a, { "a.example.com", "a2.example.com" })
    gate:associate(ca_b, { "b.example.com" })
    gate:set_rules {
      '(http.host in {"a.example.com" "a2.example.com" "b.example.com"} and not cf.tls_client_auth.cert_verified)',
    }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function certificate(name) return ({ A = client_a, B = client_b })[name] end

  for index, case in ipairs {
    -- SNI, certificate, Host, status
    { "open.example.com", nil, "a.example.com", 421 },
    { "open.example.com", "A", "a.example.com", 421 },
    { false, nil, "a.example.com", 421 },
    { false, "A", "a.example.com", 421 },
    { "b.example.com", "B", "a.example.com", 421 },
    { "b.example.com", "A", "a.example.com", 421 },
    { "a.example.com", "A", "b.example.com", 421 },
    { "a.example.com", "A", "open.example.com", 421 },
    { "a.example.com", nil, "open.example.com", 421 },
    { "a.example.com", "B", "a.example.com", 403 },
    { "a.example.com", nil, "a.example.com", 403 },
    { "a.example.com", "A", "a.example.com", 200 },
    { "a.example.com", "A", "a2.example.com", 200 },
    { "a.example.com", nil, "a2.example.com", 403 },
    { "open.example.com", nil, "other.example.com", 200 },
    { false, nil, "open.example.com", 200 },
  } do
    local sni, cert, host, status = case[1], case[2], case[3], case[4]
    it(("answers %d for Host %s on a session for %s, client certificate: %s"):format(status, host, sni or "no name",
      cert or "none"), function()
      local path = "/matrix/" .. index
      assert.equal(status, (gate:status { sni = sni, host = host, cert = certificate(cert), path = path }))
      assert.equal(status == 200 and 1 or 0, #behind:requests(path))
    end)
  end

  describe("in a ClientHello that comes", function()
    local large = (string.char(250) .. ("x"):rep(250)):rep(40) .. "\8http/1.1"
    for how, options in pairs {
      ["in records of one byte"] = { split = client.tiny_records },
      ["byte by byte"] = { split = client.tiny_segments },
      ["in many segments"] = { alpn = large },
      ["large, in records of one byte"] = { alpn = large, split = client.tiny_records },
    } do
      it(how .. " counts like any other", function()
        for index, case in ipairs {
          { "a.example.com", "A", "a.example.com", 200 }, { "a.example.com", "B", "a.example.com", 403 },
          { "a.example.com", nil, "a.example.com", 403 }, { "open.example.com", "A", "a.example.com", 421 },
          { "a.example.com", "A", "b.example.com", 421 }, { "open.example.com", nil, "open.example.com", 200 },
        } do
          for _, version in ipairs { "1.2", "1.3" } do
            assert.equal(case[4], (gate:status { sni = case[1], cert = certificate(case[2]), host = case[3], version = version,
              split = options.split, alpn = options.alpn }), index)
          end
        end
      end)
    end
  end)

  it("looks at every request of a connection, not only the first", function()
    local session = gate:connect { host = "open.example.com" }
    assert.equal(200, session:get("/first", { host = "open.example.com" }).status)
    assert.equal(421, session:get("/second", { host = "a.example.com" }).status)
    assert.same({}, behind:requests("/second"))
    session:close()
  end)

  it("looks at every one of two pipelined requests", function()
    local session = gate:connect { host = "open.example.com" }
    session:send("GET /one HTTP/1.1\r\nHost: open.example.com\r\n\r\nGET /two HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
    assert.equal(200, session:response().status)
    assert.equal(421, session:response().status)
    assert.same({}, behind:requests("/two"))
    session:close()
  end)

  for index, case in ipairs {
    { "A.EXAMPLE.COM", 403 },
    { "a.example.com.", 403 },
    { "a.example.com:443", 403 },
    { "A.Example.Com.:8443", 403 },
    { "a.example.com..", 400 },
    { ".a.example.com", 400 },
    { "a..example.com", 400 },
    { "x@a.example.com", 400 },
    { "%61.example.com", 400 },
    { "a.example.com:99999", 400 },
    { "a.example.com:x", 400 },
    { "a.example.com/x", 400 },
    { "a.example.com b", 400 },
    { "\239\189\129.example.com", 400 },
    { "", 400 },
  } do
    it(("treats Host %q as the same name or refuses it"):format(case[1]), function()
      local session = gate:connect { host = "a.example.com" }
      local path = "/spelling/" .. index
      assert.equal(case[2], session:get(path, { host = case[1] }).status)
      assert.same({}, behind:requests(path))
      session:close()
    end)
  end

  it("finds the name of the handshake whatever its case", function()
    assert.equal(200, (gate:status { sni = "A.Example.COM", host = "a.example.com", cert = client_a, path = "/case" }))
  end)

  it("takes the host of an absolute target, not another Host field", function()
    local session = gate:connect { host = "open.example.com" }
    local answer = session:get("https://a.example.com/absolute", { host = "a.example.com" })
    assert.equal(421, answer.status)
    session:close()
    session = gate:connect { host = "open.example.com" }
    assert.equal(400, session:get("https://a.example.com/absolute", { host = "open.example.com" }).status)
    assert.same({}, behind:requests("/absolute"))
    session:close()
  end)

  for _, name in ipairs { "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Host" } do
    it("does not route by " .. name, function()
      local session = gate:connect { host = "a.example.com" }
      assert.equal(403, session:get("/elsewhere", { host = "a.example.com", fields = { { name, "open.example.com" } } }).status)
      session:close()
    end)
  end

  describe("with strict_sni", function()
    local function set(hostname, strict)
      gate:api("PUT", ("/zones/%s/moongate/hostnames/%s"):format(gate.zone, hostname), { strict_sni = strict })
    end

    teardown(function()
      for _, name in ipairs { "a2.example.com", "*.example.com" } do
        gate:api("DELETE", ("/zones/%s/moongate/hostnames/%s"):format(gate.zone, name))
      end
    end)

    it("a host is answered under its very name only, also on a connection that is open", function()
      local session = gate:connect { host = "a.example.com", cert = client_a }
      assert.equal(200, session:get("/before", { host = "a2.example.com" }).status)
      set("a2.example.com", true)
      assert.equal(421, session:get("/strict", { host = "a2.example.com" }).status)
      session:close()
      assert.equal(200, (gate:status { sni = "A2.example.com", host = "a2.example.com:443", cert = client_a }))
      assert.equal(200, (gate:status { sni = "a2.example.com", host = "a.example.com", cert = client_a }))
      assert.same({}, behind:requests("/strict"))
    end)

    it("so are the names under a wildcard, each for itself, and not without a name", function()
      set("*.example.com", true)
      assert.equal(200, (gate:status { sni = "one.example.com", host = "one.example.com" }))
      assert.equal(421, (gate:status { sni = "one.example.com", host = "two.example.com" }))
      assert.equal(421, (gate:status { sni = false, host = "two.example.com" }))
      assert.equal(200, (gate:status { sni = "one.example.com", host = "example.com" }))
    end)
  end)

  it("answers 404 or 421 for a name of no zone, and forwards nothing", function()
    local status = gate:status { sni = false, host = "nowhere.test", path = "/nowhere" }
    assert.truthy(status == 404 or status == 421, status)
    assert.same({}, behind:requests("/nowhere"))
  end)
end)
