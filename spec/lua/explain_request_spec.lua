local certs = require "spec.support.certs"
local explain_request = require "moongate.explain_request"
local given = require "moongate.given"

local CERT = "cf.tls_client_auth.cert_"
local schema = given.new_schema(given.builtin_fields(), { values = {} })

local function read(said, stdin)
  return explain_request.read(schema, said, { read = function() return stdin end })
end

local function value(name, said, stdin) return assert(read(said, stdin))[name] end

describe("moongate.explain_request", function()
  describe("read()", function()
    it("is GET / over TLS without a certificate, when nothing is said", function()
      local values = read {}
      assert.same({ "GET", "/", "/", "", true, "", "\0\0\0\0", "HTTP/1.1", false, false }, {
        values["http.request.method"], values["http.request.uri"], values["http.request.uri.path"], values["http.request.uri.query"],
        values.ssl, values["http.host"], values["ip.src"], values["http.request.version"], values[CERT .. "presented"],
        values[CERT .. "verified"],
      })
    end)

    it("has a value for every field, but for those that no request has", function()
      local values = read {}
      for _, field in ipairs(given.builtin_fields()) do
        if field.name ~= "cf.edge.server_ip" then assert.equal(field.absent or false, values[field.name] == nil, field.name) end
      end
    end)

    for _, case in ipairs {
      { "http.host", { host = "API.Example.com:8443" }, "api.example.com" }, { "http.host", { host = "a.example." }, "a.example" },
      { "http.host", { host = "[2001:DB8::1]:443" }, "[2001:db8::1]" }, { "http.host", { headers = { "Host: b.example" } }, "b.example" },
      { "http.host", { host = "a", headers = { "Host: b" } }, "a" }, { "http.request.method", { method = "POST" }, "POST" },
      { "http.request.uri", { path = "/a?b=c" }, "/a?b=c" }, { "http.request.uri.path", { path = "/a?b=c" }, "/a" },
      { "http.request.uri.query", { path = "/a?b=c?d" }, "b=c?d" }, { "raw.http.request.uri.path", { path = "/a?b" }, "/a" },
      { "http.request.full_uri", { host = "a", path = "/x" }, "https://a/x" }, { "ip.src", { ip = "192.0.2.1" }, "\192\0\2\1" },
      { "ip.src", { ip = "::1" }, ("\0"):rep(15) .. "\1" }, { "http.user_agent", { headers = { "user-agent:  x y " } }, "x y" },
    } do
      it(("takes %s from what is said"):format(case[1]), function() assert.equal(case[3], value(case[1], case[2])) end)
    end

    it("gathers headers", function()
      local headers = value("http.request.headers", { headers = { "X-A: 1", "x-a: 2", "Cookie: c=d" } })
      assert.same({ n = 2, "1", "2" }, headers["x-a"])
      assert.equal("c=d", value("http.cookie", { headers = { "Cookie: c=d" } }))
    end)

    for _, case in ipairs {
      { { headers = { "no colon" } }, "no header" }, { { headers = { ": x" } }, "no header" }, { { headers = { "a b: x" } }, "no header" },
      { { headers = { "a: x\r\nb: y" } }, "no header" }, { { ip = "192.0.2.256" }, "no IP address" }, { { path = "x" }, "no path" },
      { { path = "/a b" }, "no path" }, { { ca = "x" }, "give both" },
    } do
      it("refuses " .. case[2] .. ": " .. (next(case[1])), function()
        local values, message, exit = read(case[1])
        assert.is_nil(values)
        assert.matches(case[2], message)
        assert.equal(2, exit)
      end)
    end
  end)

  describe("read() with a request file", function()
    local FILE = '{"fields": {"http.host": "f.example", "http.request.uri.query": "q=1", "cf.waf.score": 7}}'

    it("leaves empty what the file does not name", function()
      local values = read({ request = "-" }, FILE)
      assert.same({ "f.example", "", "", false, 7, "q=1", "ENT" }, {
        values["http.host"], values["http.request.method"], values["http.request.uri.path"], values.ssl, values["cf.waf.score"],
        values["http.request.uri.query"], values["cf.zone.plan"],
      })
      assert.same({ 0, 0 }, { values["http.request.timestamp.sec"], values["cf.edge.server_port"] })
    end)

    it("lets what is said go before it", function()
      local values = read({ request = "-", host = "s.example", method = "GET", path = "/p", headers = { "X: y" } }, FILE)
      assert.same({ "s.example", "GET", "/p", "" }, {
        values["http.host"], values["http.request.method"], values["http.request.uri.path"], values["http.request.uri.query"],
      })
      assert.same({ n = 1, "y" }, values["http.request.headers"].x)
    end)

    it("refuses what eval refuses", function()
      local values, message, exit = read({ request = "-" }, '{"nope": 1}')
      assert.same({ nil, '-: fields: unknown field "nope"', 1 }, { values, message, exit })
    end)
  end)

  describe("read() with a certificate", function()
    local ca, client, stranger, expired

    setup(function()
      ca = certs.ca("Partners")
      client = certs.leaf(ca, { subject = "/O=Acme/CN=pump-17", san = "DNS:pump-17.acme,IP:192.0.2.4" })
      stranger = certs.leaf(certs.ca("Strangers"), { cn = "stranger" })
      expired = certs.leaf(ca, { cn = "late", not_before = os.time() - 7200, not_after = os.time() - 3600 })
    end)

    it("shows what the rules see of a verified one", function()
      local values, certificate = read { cert = client.path, ca = ca.path }
      assert.same({ verified = true }, certificate)
      assert.same({ true, true, false, true, "CN=pump-17,O=Acme", "CN=Partners" }, {
        values[CERT .. "presented"], values[CERT .. "verified"], values[CERT .. "revoked"], values.ssl, values[CERT .. "subject_dn"],
        values[CERT .. "issuer_dn"],
      })
      assert.same({ n = 1, "pump-17.acme" }, values["mg.cert.san.dns"])
      assert.same({ n = 1, "\192\0\2\4" }, values["mg.cert.san.ip"])
      assert.equal(64, #values[CERT .. "fingerprint_sha256"])
    end)

    for title, case in pairs {
      ["of a stranger"] = { function() return { cert = stranger.path, ca = ca.path } end, "unable to get local issuer certificate" },
      ["out of date"] = { function() return { cert = expired.path, ca = ca.path } end, "certificate has expired" },
      ["without CAs"] = { function() return { cert = client.path } end, "no CA was given to verify it against" },
    } do
      it(("presents one %s and says why it is not verified"):format(title), function()
        local values, certificate = read(case[1]())
        assert.same({ true, false }, { values[CERT .. "presented"], values[CERT .. "verified"] })
        assert.truthy(#values[CERT .. "subject_dn"] > 0)
        assert.same({ verified = false, reason = case[2] }, certificate)
      end)
    end

    it("takes a chain", function()
      local issuing = certs.ca("Issuing", { issuer = ca })
      local leaf = certs.leaf(issuing, { cn = "deep" })
      assert.is_false(value(CERT .. "verified", { cert = leaf.path, ca = ca.path }))
      assert.is_true(value(CERT .. "verified", { cert = leaf.chain_path, ca = ca.path }))
    end)

    it("lets a request file have the last word on the certificate", function()
      local values = read({ request = "-", cert = client.path, ca = ca.path }, ('{"%srevoked": true, "ssl": false}'):format(CERT))
      assert.same({ true, true, false }, { values[CERT .. "verified"], values[CERT .. "revoked"], values.ssl })
    end)

    for title, text in pairs { ["that is none"] = "hello", ["that is empty"] = "" } do
      it("refuses a file " .. title, function()
        local path = certs.write(text, ".pem")
        for _, said in ipairs { { cert = path }, { cert = client.path, ca = path } } do
          local values, message, exit = read(said)
          assert.is_nil(values)
          assert.truthy(message:find(path, 1, true), message)
          assert.equal(1, exit)
        end
      end)
    end

    it("refuses a CA file of something that is no CA", function()
      local _, message = read { cert = client.path, ca = stranger.path }
      assert.truthy(message:find(stranger.path, 1, true), message)
    end)
  end)
end)
