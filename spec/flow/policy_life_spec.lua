-- Requests that wait in a policy while the world around them changes: publications, clients that leave, the end of the gateway.

local certs = require "spec.support.certs"
local client = require "spec.support.client"
local origin = require "spec.support.origin"
local policy = require "spec.support.policy"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local POLICY = [[
moongate.handler("sleep", { path = "/sleep/*" }, function(req, res)
  local before = req.headers["x-none"] or req.http.request.uri.query
  moongate.sleep(tonumber(req["http.request.uri.path"]:match("%d[%d.]*$")))
  assert(before == req.http.request.uri.query)
  res:send(200, before)
end)
moongate.on("request", { path = "/held/*" }, function(req)
  while not moongate.kv.get("go") do moongate.sleep(0.02) end
  req.headers["X-Held"] = req.headers["x-name"]
end)
moongate.handler("go", { path = "/go" }, function(req, res) moongate.kv.set("go", 1) res:send(204) end)
moongate.handler("stop", { path = "/stop" }, function(req, res) moongate.kv.delete("go") res:send(204) end)
moongate.handler("fetch", { path = "/fetch" }, function(req, res)
  local answer, err = moongate.fetch { url = req.headers["x-url"], timeout = 10 }
  res:send(200, answer and answer.body or err)
end)
moongate.handler("certificate", { path = "/certificate/*" }, function(req, res)
  local function facts()
    local client = req.cf.tls_client_auth
    return table.concat({ tostring(client.cert_verified), client.cert_subject_dn, client.cert_fingerprint_sha256, req.mg.cert.san.uri[1],
      req.http.user_agent, req["raw.http.request.uri"], req.cf.zone.name }, "|")
  end
  local before = facts()
  moongate.sleep(0.1)
  res:send(before == facts() and 200 or 500, before .. "\n" .. facts())
end)
moongate.on("request", { path = "/upgrade" }, function() moongate.sleep(0.05) end)
moongate.on("response", function(req, res) res.headers["X-Query"] = req.http.request.uri.query end)
]]

describe("a request that waits in a policy", function()
  local gate, behind

  before_each(function() gate, behind = policy.start(POLICY) end)
  after_each(function()
    if gate then policy.stop() end
  end)

  local function send(path, options)
    options = options or {}
    options.host = options.host or policy.HOST
    local session = policy.connect()
    assert(session:send(client.request_bytes(options.method or "GET", path, options)))
    return session
  end

  it("goes to the origin of the snapshot that is served when it goes on", function()
    local other = origin.start()
    local sessions = {}
    for i = 1, 10 do sessions[i] = send("/held/" .. i .. "?n=" .. i, { fields = { { "X-Name", "n" .. i } } }) end
    gate:set_origin(gate.zone, "*", other.url)
    assert.equal(204, policy.get("/go").status)
    for i, session in ipairs(sessions) do
      local answer = assert(session:response())
      assert.equal(200, answer.status)
      assert.equal("n=" .. i, answer:field "x-query")
      assert.equal("n" .. i, other:wait_request("/held/" .. i .. "?n=" .. i):field "x-held")
      session:close()
    end
    assert.same({}, behind:requests "/held/1?n=1")
    other:stop()
  end)

  it("is answered in its place when later ones are ready before it", function()
    local session = policy.connect()
    assert(session:send(client.request_bytes("GET", "/sleep/0.2?first", { host = policy.HOST })
      .. client.request_bytes("GET", "/sleep/0.01?second", { host = policy.HOST })
      .. client.request_bytes("GET", "/third?third", { host = policy.HOST })))
    assert.equal("first", session:response().body)
    assert.equal("second", session:response().body)
    assert.truthy(session:response().body:find("^GET /third"))
    session:close()
  end)

  it("is answered with 404 when its zone has gone", function()
    local zone = gate:create_zone("gone.test", behind.url)
    local session = send("/held/x", { host = "www.gone.test" })
    gate:api("DELETE", "/zones/" .. zone)
    policy.get "/go"
    assert.equal(404, session:response().status)
    session:close()
  end)

  it("is forgotten when its client leaves, whatever it waits for", function()
    for _, path in ipairs { "/sleep/5?x", "/held/x", "/fetch" } do
      for _ = 1, 20 do
        local session = send(path, { fields = { { "X-Url", behind.url .. "/wait/3000" } } })
        require("ffi").C.setsockopt(session.fd, 1, 13, require("ffi").new("int[2]", 1, 0), 8) -- SO_LINGER 0: RST
        wait.until_true("the request to have come", function() return session:is_quiet(0.02) end)
        session:close()
      end
    end
    wait.until_true("all to be gone", function()
      local gone = 0
      for _, line in ipairs(gate:log_lines()) do
        if line.status == 499 then gone = gone + 1 end
      end
      return gone == 60
    end)
    assert.equal(200, policy.get("/origin").status)
  end)

  it("is still answered when its client has only stopped sending", function()
    local session = send("/sleep/0.1?half")
    session:end_sending()
    assert.equal("half", session:response().body)
    session:close()
  end)

  it("is answered before the gateway ends", function()
    local sessions = {}
    for i = 1, 20 do sessions[i] = send("/sleep/0.5?" .. i) end
    wait.until_true("the requests to have come", function() return sessions[20]:is_quiet(0.05) end)
    gate:signal(shell.TERM)
    for i, session in ipairs(sessions) do
      local answer = assert(session:response())
      assert.equal(tostring(i), answer.body)
      session:close()
    end
    assert.equal(0, gate:wait_exit())
  end)

  it("does not keep the gateway beyond the time to drain", function()
    policy.stop()
    gate, behind = policy.start(POLICY, { config = { listen_http = { "127.0.0.1:0" }, timeouts = { drain = 1 } } })
    local sessions = {}
    for i = 1, 20 do sessions[i] = send(i % 2 == 0 and "/sleep/30?x" or "/fetch", { fields = { { "X-Url", behind.url .. "/wait/30000" } } }) end
    wait.until_true("the requests to have come", function() return sessions[20]:is_quiet(0.05) end)
    gate:signal(shell.TERM)
    assert.equal(0, gate:wait_exit(15))
    for _, session in ipairs(sessions) do session:close() end
  end)

  it("knows the same of its certificate and its head afterwards", function()
    local ca = certs.ca "Waiting"
    gate:associate(ca, { "mtls.example.com" })
    local sessions = {}
    for i = 1, 10 do
      local leaf = certs.leaf(ca, { cn = "device " .. i, san = "URI:urn:device:" .. i })
      sessions[i] = gate:connect { host = "mtls.example.com", cert = leaf }
      assert(sessions[i]:send(client.request_bytes("GET", "/certificate/%61?" .. i, { host = "mtls.example.com", fields = { { "User-Agent", "agent " .. i } } })))
    end
    for i, session in ipairs(sessions) do
      local answer = assert(session:response())
      assert.equal(200, answer.status, answer.body)
      assert.truthy(answer.body:find(("true|CN=device %d|"):format(i), 1, true), answer.body)
      assert.truthy(answer.body:find(("|urn:device:%d|agent %d|/certificate/%%61?%d|example.com"):format(i, i, i), 1, true), answer.body)
      session:close()
    end
  end)

  it("becomes a tunnel all the same", function()
    local session = send("/upgrade", { fields = { { "Connection", "Upgrade" }, { "Upgrade", "websocket" }, { "Sec-WebSocket-Version", "13" },
      { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" } } })
    assert.equal(101, session:response().status)
    session:send "hello"
    assert.equal("hello", session:receive())
    session:close()
  end)

  it("may have a head as large as any other", function()
    local fields = {}
    for i = 1, 6 do fields[i] = { "X-Large-" .. i, ("v"):rep(10000) } end
    fields[7] = { "X-Name", "large" }
    local session = send("/held/large", { fields = fields })
    policy.get "/go"
    assert.equal(200, session:response().status)
    assert.equal("large", behind:wait_request("/held/large"):field "x-held")
    session:close()
  end)

  it("survives changes of what is served, as do all others", function()
    local sessions = {}
    for i = 1, 30 do sessions[i] = send("/held/" .. i) end
    for i = 1, 10 do
      gate:set_rules { ('http.request.uri.path eq "/forbidden%d"'):format(i) }
      gate:set_origin(gate.zone, ("h%d.example.com"):format(i), behind.url)
    end
    policy.get "/go"
    for _, session in ipairs(sessions) do
      assert.equal(200, session:response().status)
      session:close()
    end
  end)

  it("leaves nothing behind after many", function()
    local function round()
      local sessions = {}
      for i = 1, 100 do sessions[i] = send("/sleep/0.01?" .. i) end
      for _, session in ipairs(sessions) do
        assert.equal(200, session:response().status)
        session:close()
      end
    end
    for _ = 1, 15 do round() end
    local before = gate:memory "VmRSS"
    for _ = 1, 40 do round() end
    local grown = gate:memory("VmRSS") - before
    assert.is_true(grown < (require("spec.support.gateway").is_sanitized() and 64 or 8) * 1024, "grew by KiB: " .. grown)
  end)
end)
