local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local shell = require "spec.support.shell"

local CLOUDFLARE, FIELDS, RFC9440, XFCC = 1, 2, 4, 8
local ALL = CLOUDFLARE + FIELDS + RFC9440 + XFCC

-- What moon_forward_certificate() makes of a client's certificate, as the origin reads it.
describe("the client's certificate at the origin", function()
  local root = certs.ca "Forward Root"
  local issuing = certs.ca("Forward Issuing", { issuer = root })
  local stranger = certs.ca "Stranger"
  local URIS = "URI:spiffe://a.test/ns/x,URI:urn:with\\;semicolon"
  local client = certs.leaf(issuing, {
    subject = "/O=Pumps, Inc./CN=pump \"17\" \\\\ north", san = "DNS:pump.test,DNS:*.pump.test," .. URIS,
  })
  local origin, gateway

  local function facts_of(certificate)
    local shown = shell.run { "openssl", "x509", "-in", certificate.path, "-noout", "-fingerprint", "-sha256", "-serial" }
    return {
      base64 = certificate.pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n(.-)%-%-%-%-%-END"):gsub("\n", ""),
      sha256 = shown.stdout:match("Fingerprint=([%x:]+)"):gsub(":", ""):lower(),
      serial = shown.stdout:match("serial=(%x+)"),
    }
  end
  local known = facts_of(client)

  -- Every combination of certificate state and family is a host of its own; "denied" revokes the client.
  setup(function()
    origin = gate.origin()
    local trust, denied = gate.trust(issuing.pem), gate.trust(issuing.pem, known.sha256)
    local hosts = { ["off.test"] = { origin = origin.port, trust = trust } }
    for name, families in pairs { cloudflare = CLOUDFLARE, fields = FIELDS, rfc = RFC9440, xfcc = XFCC, all = ALL } do
      hosts[name .. ".test"] = { origin = origin.port, trust = trust, forward = families }
      hosts[name .. ".denied.test"] = { origin = origin.port, trust = denied, forward = families }
      hosts[name .. ".open.test"] = { origin = origin.port, forward = families }
    end
    gateway = gate.start { hosts = hosts }
  end)
  teardown(function()
    gateway:close()
    origin:close()
  end)

  local function connect(host, certificate, options)
    local given = { tls = true, sni = host }
    if certificate then given.cert, given.key = certificate.chain_path, certificate.key_path end
    for name, value in pairs(options or {}) do given[name] = value end
    return gateway:connect(given)
  end

  -- The head that the origin got for one request on `connection`.
  local function ask(connection, host, fields)
    connection:send(("GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n"):format(host, fields or ""))
    local peer = origin:accept()
    local head = peer:request()
    peer:answer(200, "", "Connection: close\r\n")
    assert.equal(200, connection:response().status)
    peer:close()
    return head
  end

  -- What it says about certificates: name → value; an error when one comes twice.
  local function told(head)
    local values = {}
    for name, value in head:gmatch("([^\r\n]-): ([^\r\n]*)\r\n") do
      local key = name:lower()
      if key:find("^cf%-cert") or key:find("^cf%-client") or key:find("client%-cert") then
        assert(not values[key], name)
        values[key] = value
      end
    end
    return values
  end

  local function once(host, certificate, options, fields)
    local connection = connect(host, certificate, options)
    local values = told(ask(connection, host, fields))
    connection:close()
    return values
  end

  it("is not told of unless the host says so", function()
    assert.same({}, once("off.test", client))
  end)

  it("is the leaf and its digest in Cloudflare's fields", function()
    assert.same({ ["cf-client-cert-der-base64"] = known.base64, ["cf-client-cert-sha256"] = known.sha256 },
      once("cloudflare.test", client))
  end)

  it("is leaf and chain as RFC 9440 writes them", function()
    assert.same({
      ["client-cert"] = ":" .. known.base64 .. ":",
      ["client-cert-chain"] = (":%s:, :%s:"):format(facts_of(issuing).base64, facts_of(root).base64),
    }, once("rfc.test", client))
  end)

  it("has no chain where the client sent none", function()
    assert.same({ ["client-cert"] = ":" .. known.base64 .. ":" }, once("rfc.test", client, { cert = client.path }))
  end)

  it("is an element of X-Forwarded-Client-Cert in which no text of the certificate can end a value", function()
    local pem = client.pem:gsub("[+/=\n ]", function(c) return ("%%%02X"):format(c:byte()) end)
    assert.same({
      ["x-forwarded-client-cert"] = ("Hash=%s;Cert=\"%s\";Subject=\"CN=pump \\2217\\22 \\5C north,O=Pumps\\, Inc.\""
        .. ";URI=spiffe://a.test/ns/x;URI=\"urn:with;semicolon\";DNS=pump.test;DNS=*.pump.test"):format(known.sha256, pem),
    }, once("xfcc.test", client))
  end)

  it("is one field for each of the rules language's", function()
    local values = once("fields.test", client)
    for name, value in pairs {
      ["cf-cert-revoked"] = "false", ["cf-cert-verified"] = "true", ["cf-cert-presented"] = "true",
      ["cf-cert-issuer-dn"] = "CN=Forward Issuing", ["cf-cert-issuer-dn-rfc2253"] = "CN=Forward Issuing",
      ["cf-cert-issuer-dn-legacy"] = "/CN=Forward Issuing",
      ["cf-cert-subject-dn"] = 'CN=pump \\"17\\" \\\\ north,O=Pumps\\, Inc.',
      ["cf-cert-subject-dn-rfc2253"] = 'CN=pump \\"17\\" \\\\ north,O=Pumps\\, Inc.',
      ["cf-cert-subject-dn-legacy"] = '/O=Pumps, Inc./CN=pump "17" \\ north',
      ["cf-cert-serial"] = known.serial, ["cf-cert-issuer-serial"] = facts_of(issuing).serial,
      ["cf-cert-fingerprint-sha256"] = known.sha256,
    } do
      assert.equal(value, values[name], name)
      values[name] = nil
    end
    for name, form in pairs {
      ["cf-cert-fingerprint-sha1"] = "^%x+$", ["cf-cert-ski"] = "^%x+$", ["cf-cert-issuer-ski"] = "^%x+$",
      ["cf-cert-not-before"] = "^%u%l%l .* GMT$", ["cf-cert-not-after"] = "^%u%l%l .* GMT$",
    } do
      assert.truthy(values[name]:match(form), name)
      values[name] = nil
    end
    assert.same({}, values)
  end)

  for _, case in ipairs {
    { "none is presented", nil, "all.test", "false", "false", "false" },
    { "none is asked for", client, "all.open.test", "false", "false", "false" },
    { "it leads to another CA", certs.leaf(stranger, { cn = "x" }), "all.test", "true", "false", "false" },
    { "it is revoked", client, "all.denied.test", "true", "true", "true" },
  } do
    local name, certificate, host, presented, verified, revoked = case[1], case[2], case[3], case[4], case[5], case[6]
    it(("is told of by the fields' own state alone when %s"):format(name), function()
      local values = once(host, certificate)
      assert.same({ presented, verified, revoked },
        { values["cf-cert-presented"], values["cf-cert-verified"], values["cf-cert-revoked"] })
      assert.equal(presented == "true", values["cf-cert-subject-dn"] ~= nil)
      for key in pairs(values) do assert.truthy(key:find("^cf%-cert%-"), key) end
    end)
  end

  it("is the state alone on a connection without TLS", function()
    local connection = gateway:connect()
    assert.same({ ["cf-cert-presented"] = "false", ["cf-cert-verified"] = "false", ["cf-cert-revoked"] = "false" },
      told(ask(connection, "all.open.test")))
    connection:close()
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    it(("is the same after a resumed handshake of TLS %s as after a full one"):format(version), function()
      local first = connect("all.test", client, { version = version })
      local full = told(ask(first, "all.test"))
      local kept = first:resumable()
      first:close()
      local second = connect("all.test", nil, { version = version, resume = kept })
      local resumed = told(ask(second, "all.test"))
      assert.is_true(second:is_resumed())
      second:close()
      assert.truthy(full["client-cert-chain"])
      assert.same(full, resumed)
    end)
  end

  it("is the same on every request of a connection", function()
    local connection = connect("all.test", client)
    local first = told(ask(connection, "all.test"))
    assert.same(first, told(ask(connection, "all.test")))
    connection:close()
  end)

  it("is told of anew once it is trusted, on a connection that stays open", function()
    local trust, denied = gate.trust(issuing.pem), gate.trust(issuing.pem, known.sha256)
    local behind = gate.origin()
    local own = gate.start { hosts = { ["a.test"] = { origin = behind.port, trust = denied, forward = FIELDS + CLOUDFLARE } } }
    local connection = own:connect { tls = true, sni = "a.test", cert = client.chain_path, key = client.key_path }
    local function asked()
      connection:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
      local peer = behind:accept()
      local values = told(peer:request())
      peer:answer(200, "", "Connection: close\r\n")
      connection:response()
      peer:close()
      return values
    end
    local values = asked()
    assert.equal("true", values["cf-cert-revoked"])
    assert.is_nil(values["cf-client-cert-sha256"])
    own:publish { ["a.test"] = { origin = behind.port, trust = trust, forward = FIELDS + CLOUDFLARE } }
    values = asked()
    assert.equal("false", values["cf-cert-revoked"])
    assert.equal(known.sha256, values["cf-client-cert-sha256"])
    connection:close()
    own:close()
    behind:close()
  end)

  it("takes the place of what the client says in these fields, however it spells them", function()
    local forged = ""
    for _, name in ipairs {
      "Cf-Client-Cert-Der-Base64", "cf_client_cert_sha256", "Cf-Cert-Verified", "CF-CERT-PRESENTED", "Cf.Cert.Revoked", "Client-Cert",
      "client_cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "x_forwarded_client_cert", "X-Forwarded-Client~Cert",
    } do
      forged = forged .. name .. ": forged\r\n"
    end
    for _, host in ipairs { "off.test", "all.test", "all.open.test" } do
      for _, certificate in ipairs { false, client } do
        local connection = connect(host, certificate or nil)
        local head = ask(connection, host, forged)
        assert.is_nil(head:find("forged", 1, true))
        told(head)
        connection:close()
      end
    end
  end)

  it("gives only the digest and the name of a certificate above ten KiB", function()
    local names = {}
    for i = 1, 300 do names[i] = ("DNS:name-%03d.large.test"):format(i) end
    local large = certs.leaf(issuing, { cn = "large", san = table.concat(names, ","), key = "P-256",
      extensions = { "nsComment=" .. ("x"):rep(2000) } })
    local values = once("all.test", large)
    assert.is_nil(values["client-cert"])
    assert.is_nil(values["client-cert-chain"])
    assert.is_nil(values["cf-client-cert-der-base64"])
    assert.equal(facts_of(large).sha256, values["cf-client-cert-sha256"])
    assert.truthy(values["x-forwarded-client-cert"]:find("^Hash=%x+;Subject=\"CN=large\";DNS=name%-001"))
    assert.truthy(values["x-forwarded-client-cert"]:find("DNS=name-300.large.test", 1, true))
    assert.equal("true", values["cf-cert-verified"])
  end)
end)
