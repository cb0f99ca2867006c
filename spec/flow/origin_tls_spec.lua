-- Origins over TLS: verified by default, for the right name, against the CA that the operator names.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local HOST = "www.example.com"

describe("an origin over TLS", function()
  local gate, root, servers

  -- `openssl s_server -www` answers every GET with a page about the session.
  local function serve(certificate, arguments)
    local directory = shell.directory("s_server")
    local argv = { "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate.path, "-key", certificate.key_path, "-www" }
    for _, word in ipairs(arguments or {}) do argv[#argv + 1] = word end
    local pid = shell.spawn(argv, { stdout = directory .. "/out", stderr = directory .. "/err" })
    servers[#servers + 1] = { pid = pid, directory = directory }
    return wait.until_true("s_server to listen", function()
      return tonumber((shell.read(directory .. "/out") or ""):match("ACCEPT 127%.0%.0%.1:(%d+)"))
    end)
  end

  local function server_certificate(issuer, names, options)
    options = options or {}
    options.cn, options.eku, options.san = "origin", "serverAuth", names
    return certs.leaf(issuer, options)
  end

  setup(function()
    servers = {}
    root = certs.ca("Origins")
    gate = gateway.start { origin = { url = "http://127.0.0.1:1" }, config = { timeouts = { origin_connect = 2 } } }
  end)

  teardown(function()
    gate:stop()
    for _, server in ipairs(servers) do
      shell.kill(server.pid, shell.KILL)
      shell.wait(server.pid)
      shell.remove_directory(server.directory)
    end
  end)

  local function status_with(port, options)
    gate:set_origin(gate.zone, "*", ("https://%s:%d"):format(options.address or "127.0.0.1", port), options.terms)
    return gate:status { host = HOST }
  end

  it("is used when its certificate is of the CA that was named", function()
    local port = serve(server_certificate(root, "IP:127.0.0.1"))
    local status, answer = status_with(port, { terms = { ca = root.pem } })
    assert.equal(200, status)
    assert.truthy(answer.body:find("TLSv1.3", 1, true))
  end)

  it("is verified for the name in sni", function()
    local port = serve(server_certificate(root, "DNS:origin.internal"))
    assert.equal(200, (status_with(port, { terms = { ca = root.pem, sni = "origin.internal" } })))
    local status = status_with(port, { terms = { ca = root.pem, sni = "other.internal" } })
    assert.equal(526, status)
  end)

  for _, case in ipairs {
    { "of an unknown CA", function() return server_certificate(certs.ca("Unknown"), "IP:127.0.0.1") end },
    { "for another name", function() return server_certificate(root, "DNS:elsewhere.test") end },
    { "that is self-signed", function() return server_certificate(nil, "IP:127.0.0.1") end },
    { "that has expired", function()
      return server_certificate(root, "IP:127.0.0.1", { not_before = os.time() - 20 * 86400, not_after = os.time() - 86400 })
    end },
  } do
    it("is not used with a certificate " .. case[1], function()
      local port = serve(case[2]())
      local status = status_with(port, { terms = { ca = root.pem } })
      assert.equal(526, status)
    end)
  end

  describe("that asks for a client certificate", function()
    local edge, port

    setup(function()
      edge = certs.ca("Edge")
      port = serve(server_certificate(root, "IP:127.0.0.1"), { "-Verify", "3", "-verify_return_error", "-CAfile", edge.path })
    end)

    local function upload(leaf)
      return gate:api("POST", ("/accounts/%s/mtls_certificates"):format(gate:account()),
        { ca = false, certificates = leaf.chain, private_key = leaf.key }).id
    end

    it("gets the one of client_certificate_id, also after a restart", function()
      local id = upload(certs.leaf(edge, { cn = "gateway" }))
      local status, answer = status_with(port, { terms = { ca = root.pem, client_certificate_id = id } })
      assert.equal(200, status)
      assert.truthy(answer.body:find("CN%s*=%s*gateway"))
      gate:restart()
      assert.equal(200, (gate:status { host = HOST }))
    end)

    it("gets the zone's certificate of authenticated origin pulls, or the one of the hostname", function()
      local base = ("/zones/%s/origin_tls_client_auth"):format(gate.zone)
      local function pull(path, name)
        local leaf = certs.leaf(edge, { cn = name })
        return gate:api("POST", base .. path, { certificate = leaf.chain, private_key = leaf.key })
      end
      local function subject(host)
        local status, answer = gate:status { host = host }
        return status == 200 and answer.body:match("Client certificate.-Subject: CN%s*=%s*(%w+)") or status
      end
      gate:set_origin(gate.zone, "*", "https://127.0.0.1:" .. port, { ca = root.pem })
      pull("", "zone")
      assert.not_equal(200, (gate:status { host = HOST }))
      gate:api("PUT", base .. "/settings", { enabled = true })
      assert.equal("zone", subject(HOST))
      local own = pull("/hostnames/certificates", "own")
      local config = setmetatable({ { hostname = HOST, cert_id = own.id, enabled = true } }, { __jsontype = "array" })
      gate:api("PUT", base .. "/hostnames", { config = config })
      assert.equal("own", subject(HOST))
      assert.equal("zone", subject "other.example.com")
      gate:restart()
      assert.equal("own", subject(HOST))
      gate:api("PUT", base .. "/settings", { enabled = false })
      assert.not_equal(200, (gate:status { host = "other.example.com" }))
      assert.equal("own", subject(HOST))
      config[1].enabled = false
      gate:api("PUT", base .. "/hostnames", { config = config })
      assert.not_equal(200, (gate:status { host = HOST }))
    end)

    it("gets the gateway's own once tls_client_auth is on, which is of the local CA", function()
      local own = serve(server_certificate(root, "IP:127.0.0.1"), { "-Verify", "3", "-verify_return_error", "-CAfile", gate.ca_path })
      assert.not_equal(200, (status_with(own, { terms = { ca = root.pem } })))
      local setting = ("/zones/%s/settings/tls_client_auth"):format(gate.zone)
      gate:api("PATCH", setting, { value = "on" })
      local status, answer = gate:status { host = HOST }
      assert.equal(200, status)
      assert.truthy(answer.body:find("CN%s*=%s*Moongate origin pull"))
      gate:restart()
      assert.equal(200, (gate:status { host = HOST }))
      assert.not_equal(200, (status_with(port, { terms = { ca = root.pem } })))
      gate:api("PATCH", setting, { value = "off" })
    end)

    it("is not reached without one, nor with one of another CA", function()
      assert.not_equal(200, (status_with(port, { terms = { ca = root.pem } })))
      local id = upload(certs.leaf(certs.ca("Stranger"), { cn = "gateway" }))
      assert.not_equal(200, (status_with(port, { terms = { ca = root.pem, client_certificate_id = id } })))
    end)

    it("is reached again with the right one: connections are kept apart by what was presented", function()
      local id = upload(certs.leaf(edge, { cn = "second" }))
      assert.equal(200, (status_with(port, { terms = { ca = root.pem, client_certificate_id = id } })))
      assert.not_equal(200, (status_with(port, { terms = { ca = root.pem } })))
    end)
  end)

  it("is used unverified when the operator says so", function()
    local port = serve(server_certificate(nil, "DNS:elsewhere.test"))
    assert.equal(200, (status_with(port, { terms = { verify = false } })))
  end)

  it("gives an error page when it does not speak TLS", function()
    local plain = require("spec.support.origin").start()
    local status = status_with(plain.port, { terms = { verify = false } })
    assert.truthy(status == 525 or status == 504, status) -- whether it answers or waits for more
    plain:stop()
  end)
end)
