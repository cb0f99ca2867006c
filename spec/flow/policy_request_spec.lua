-- Policy files and requests: handlers, callbacks before and after the origin, what they see and what they may change.

local certs = require "spec.support.certs"
local policy = require "spec.support.policy"

local POLICY = [[
moongate.handler("hello", { path = "/hello" }, function(req, res)
  res:send(200, { ["X-Kind"] = "greeting", ["X-Many"] = { "1", "2" } }, "hello " .. req.http.host .. "\n")
end)
moongate.handler("created", { path = "/created", method = { "POST", "PUT" } }, function(req, res)
  res.status = 201
  res.headers["Location"] = "/created/1"
  res:send(nil, nil, "")
end)
moongate.handler("api", { host = "api.*", path = "/*/end" }, function(req, res) res:send(200, "api " .. req.ray) end)
moongate.handler("sorry", function(req, res) res:send(503, { ["Retry-After"] = "120" }, "Back soon.\n") end)
moongate.handler("body", { path = "/body" }, function(req, res)
  local body = req:body(100000)
  res:send(200, { ["X-Length"] = #body }, body)
end)
moongate.handler("silent", { path = "/silent" }, function() end)
moongate.handler("twice", { path = "/twice" }, function(req, res)
  res:send(200, "one")
  res:send(200, "two")
end)
moongate.handler("nothing", { path = "/nothing" }, function(req, res) return res:send(204) end)
moongate.handler("show", { path = "/show" }, function(req, res)
  local lines = {}
  for _, name in ipairs { "http.host", "http.request.uri.path", "http.request.uri.query", "http.request.method", "ip.src", "ssl",
    "http.user_agent", "cf.tls_client_auth.cert_presented", "cf.tls_client_auth.cert_verified", "tenant.name", "tenant.size" } do
    lines[#lines + 1] = name .. "=" .. tostring(req[name])
  end
  lines[#lines + 1] = "dotted=" .. req.http.request.uri.path .. " " .. tostring(req.cf.tls_client_auth.cert_verified)
  lines[#lines + 1] = "uri=" .. req.http.request.uri .. ""
  lines[#lines + 1] = "x-many=" .. tostring(req.headers["X-MANY"]) .. " " .. #req.headers:all("x-many")
  lines[#lines + 1] = "absent=" .. tostring(req.headers["x-absent"])
  for name, value in req.headers:each() do
    if name:lower() == "x-many" then lines[#lines + 1] = name .. ":" .. value end
  end
  res:send(200, table.concat(lines, "\n"))
end)

moongate.field { name = "tenant.name", type = "string", help = "Who.", value = function(req) return req.headers["x-tenant"] or "" end }
moongate.field { name = "tenant.size", type = "integer", value = function(req) return #req.tenant.name end }
moongate.field { name = "tenant.groups", type = "Array<String>", value = function(req)
  local list = {}
  for word in req.tenant.name:gmatch("%a+") do list[#list + 1] = word end
  return list
end }
moongate.field { name = "peer", type = "ip", value = function(req) return req.headers["x-peer"] or "192.0.2.1" end }
moongate.field { name = "broken", type = "string", value = function(req) return nil end }
moongate.func { name = "initial", params = { "String" }, returns = "String", call = function(text) return text:sub(1, 1) end }
moongate.func { name = "in_lab", params = { "IP" }, returns = "Boolean", call = function(ip) return ip == "192.0.2.77" end }

moongate.on("request", { path = "/closed*" }, function() return "sorry" end)
moongate.on("request", { path = "/denied" }, function(req, res) res:block() end)
moongate.on("request", { path = "/answered" }, function(req, res) res:send(418, "tea\n") end)
moongate.on("request", { path = "/edit" }, function(req, res)
  req.headers["X-New"] = "one"
  req.headers:add("X-New", "two")
  req.headers["X-Gone"] = nil
  req.headers["X-Client-Cert-Tenant"] = "from the policy"
  req.headers["user-agent"] = { "a", "b" }
end)
moongate.on("request", { path = "/split" }, function(req, res) req.headers["X-New"] = "a\r\nX-Evil: 1" end)
moongate.on("request", { path = "/bad-name" }, function(req, res) req.headers["X New"] = "a" end)
moongate.on("request", { path = "/framing" }, function(req, res) req.headers["Content-Length"] = "7" end)
moongate.on("request", { path = "/fault" }, function(req, res) return req.nothing.at.all end)
moongate.on("request", { path = "/unknown-handler" }, function() return "nobody" end)
local kept
moongate.on("request", { path = "/keep" }, function(req, res) kept = req end)
moongate.on("request", { path = "/use-kept" }, function(req, res) res:send(200, kept.http.host) end)

moongate.on("response", { path = "/status/*" }, function(req, res)
  res.headers["X-Was"] = res.status
  res.headers["Server"] = nil
  res.headers:add("Set-Cookie", "a=1")
  res.headers:add("Set-Cookie", "b=2")
  if res.status == 404 then res.status = 410 end
end)
moongate.on("response", { path = "/response-fault" }, function(req, res) res.headers["X"] = "\n" end)
moongate.on("response", { path = "/status/204" }, function(req, res) res.status = 200 end)
moongate.on("response", { path = "/hello" }, function(req, res) res.headers["X-After"] = req.headers["x-tenant"] or "none" end)
]]

describe("a policy file", function()
  local gate, behind

  setup(function() gate, behind = policy.start(POLICY) end)
  teardown(policy.stop)

  describe("answers", function()
    it("by a handler for a path", function()
      local answer = policy.get "/hello"
      assert.equal(200, answer.status)
      assert.equal("hello www.example.com\n", answer.body)
      assert.equal("greeting", answer:field "x-kind")
      assert.equal("1, 2", answer:field "x-many")
      assert.equal("text/plain; charset=utf-8", answer:field "content-type")
      assert.truthy(answer:field "cf-ray")
      assert.same({}, behind:requests "/hello")
    end)

    it("a HEAD request without a body", function()
      local answer = policy.request("HEAD", "/hello")
      assert.equal("22", answer:field "content-length")
    end)

    it("by method", function()
      local answer = policy.request("POST", "/created")
      assert.equal(201, answer.status)
      assert.equal("/created/1", answer:field "location")
      assert.equal(200, policy.get("/created").status) -- the origin's
    end)

    it("by patterns of host and path", function()
      local answer = policy.get("/a/b/end", { host = "api.example.com" })
      assert.equal("api " .. answer:field "cf-ray", answer.body)
      assert.truthy(policy.get("/a/b/end").body:find("^GET /a/b/end"))
    end)

    it("204 without a body", function()
      local answer = policy.get "/nothing"
      assert.equal(204, answer.status)
      assert.is_nil(answer:field "content-length")
    end)

    it("several requests on one connection", function()
      local session = policy.connect()
      for _ = 1, 20 do
        assert.equal("hello www.example.com\n", session:get("/hello", { host = policy.HOST }).body)
        assert.equal(200, session:get("/origin", { host = policy.HOST }).status)
      end
      session:close()
    end)

    it("with what the body of the request says", function()
      local body = ("0123456789"):rep(5000)
      local answer = policy.request("POST", "/body", { body = body })
      assert.equal("50000", answer:field "x-length")
      assert.is_true(answer.body == body)
    end)

    it("a chunked body", function()
      local answer = policy.request("POST", "/body", { fields = { { "Transfer-Encoding", "chunked" } }, body = "5\r\nhello\r\n0\r\n\r\n" })
      assert.equal("hello", answer.body)
    end)

    it("a client that waits for 100 Continue", function()
      local session = policy.connect()
      assert(session:send("POST /body HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"))
      assert.equal(100, session:response({ interim = true }).status)
      assert(session:send "body")
      assert.equal("body", session:response().body)
      session:close()
    end)

    it("413 to a body beyond the handler's limit", function()
      assert.equal(413, policy.request("POST", "/body", { body = ("x"):rep(100001) }).status)
    end)

    it("no body with an empty one", function()
      assert.equal("0", policy.request("POST", "/body"):field "x-length")
    end)
  end)

  it("sees every field by its name, and its own", function()
    local answer = policy.get("/show?a=b", { fields = { { "X-Many", "1" }, { "x-many", "2" }, { "X-Tenant", "acme" }, { "User-Agent", "me" } } })
    local lines = {}
    for line in answer.body:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.same({
      "http.host=www.example.com", "http.request.uri.path=/show", "http.request.uri.query=a=b", "http.request.method=GET",
      "ip.src=127.0.0.1", "ssl=false", "http.user_agent=me", "cf.tls_client_auth.cert_presented=false",
      "cf.tls_client_auth.cert_verified=false", "tenant.name=acme", "tenant.size=4", "dotted=/show false", "uri=/show?a=b",
      "x-many=1, 2 2", "absent=nil", "X-Many:1", "x-many:2",
    }, lines)
  end)

  describe("before the origin is asked", function()
    it("may hand a request to a handler by name", function()
      local answer = policy.get "/closed/for/today"
      assert.equal(503, answer.status)
      assert.equal("120", answer:field "retry-after")
      assert.same({}, behind:requests "/closed/for/today")
    end)

    it("may block, with the gateway's own page", function()
      local answer = policy.get "/denied"
      assert.equal(403, answer.status)
      assert.truthy(answer.body:find(answer:field "cf-ray", 1, true))
      assert.equal("blocked", gate:wait_log({ path = "/denied", status = 403 }).what)
      assert.same({}, behind:requests "/denied")
    end)

    it("may answer", function()
      assert.equal("tea\n", policy.get("/answered").body)
    end)

    it("may change the headers toward the origin", function()
      policy.get("/edit", { fields = { { "X-New", "old" }, { "x-gone", "1" }, { "X-Stays", "1" }, { "X-Client-Cert-Tenant", "forged" } } })
      local request = behind:wait_request "/edit"
      assert.equal("one, two", request:field "x-new")
      assert.is_nil(request:field "x-gone")
      assert.equal("1", request:field "x-stays")
      assert.equal("from the policy", request:field "x-client-cert-tenant")
      assert.equal("a, b", request:field "user-agent")
    end)

    it("cannot loosen what a rule has decided", function()
      gate:set_rules { 'http.request.uri.path eq "/hello" and http.user_agent eq "bad"' }
      assert.equal(403, policy.get("/hello", { fields = { { "User-Agent", "bad" } } }).status)
      assert.equal(200, policy.get("/hello").status)
      gate:set_rules {}
    end)
  end)

  describe("after the origin has answered", function()
    it("may change headers and status", function()
      local answer = policy.get "/status/404"
      assert.equal(410, answer.status)
      assert.equal("404", answer:field "x-was")
      assert.is_nil(answer:field "server")
      assert.equal("a=1, b=2", answer:field "set-cookie")
    end)

    it("may change what a handler answers", function()
      assert.equal("gold", policy.get("/hello", { fields = { { "X-Tenant", "gold" } } }):field "x-after")
    end)

    it("cannot give a body to an answer that has none", function()
      assert.equal(500, policy.get("/status/204").status)
    end)

    it("costs the request when it fails, and the client gets nothing of the origin", function()
      local answer = policy.get "/response-fault"
      assert.equal(500, answer.status)
      assert.is_nil(answer.body:find("GET /response-fault", 1, true))
      assert.truthy(gate:wait_log({ subject = "policy", ray = answer:field "cf-ray" }).detail:find("policy%.lua:%d+: the value of the header"))
    end)
  end)

  describe("that fails", function()
    for _, case in ipairs {
      { "/silent", "the handler \"silent\" gave no answer" },
      { "/twice", "the request has been answered already" },
      { "/split", "has a byte that must not be in it" },
      { "/bad-name", "\"X New\" is no name of a header" },
      { "/framing", "is written by the gateway itself" },
      { "/fault", "a request has no member or field \"nothing\"" },
      { "/unknown-handler", "names the handler \"nobody\"" },
    } do
      it(("costs one request and names file and line: %s"):format(case[2]), function()
        local answer = policy.get(case[1])
        assert.equal(500, answer.status)
        assert.truthy(answer.body:find(answer:field "cf-ray", 1, true))
        local line = gate:wait_log { subject = "policy", ray = answer:field "cf-ray" }
        assert.truthy(line.detail:find("policy%.lua:%d+: ") and line.detail:find(case[2], 1, true), line.detail)
        assert.same({}, behind:requests(case[1]))
        assert.equal(200, policy.get("/hello").status)
      end)
    end

    it("with a request that has ended costs the one that used it", function()
      assert.equal(200, policy.get("/keep").status)
      assert.equal(500, policy.get("/use-kept").status)
    end)
  end)

  describe("gives rules", function()
    teardown(function() gate:set_rules {} end)

    local function blocked(expression, fields)
      gate:set_rules { expression }
      return policy.get("/ruled", { fields = fields }).status == 403
    end

    it("a text that they ask again for a websocket once they have changed", function()
      gate:set_rules { 'tenant.name eq "other"' }
      local session = policy.connect()
      local answer = session:get("/upgrade", { host = policy.HOST, fields = { { "Connection", "Upgrade" }, { "Upgrade", "websocket" },
        { "Sec-WebSocket-Version", "13" }, { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" }, { "X-Tenant", "acme" } } })
      assert.equal(101, answer.status)
      gate:set_rules { 'tenant.name eq "different"' }
      session:send "still there"
      assert.equal("still there", session:receive())
      gate:set_rules { 'tenant.name eq "acme"' }
      assert.is_true(session:is_closed())
      session:close()
    end)

    it("a text", function()
      assert.is_true(blocked('tenant.name eq "acme"', { { "X-Tenant", "acme" } }))
      assert.is_false(blocked('tenant.name eq "acme"', { { "X-Tenant", "other" } }))
    end)

    it("a number that depends on another field", function()
      assert.is_true(blocked("tenant.size gt 3", { { "X-Tenant", "acme" } }))
      assert.is_false(blocked("tenant.size gt 3", { { "X-Tenant", "abc" } }))
    end)

    it("an array", function()
      assert.is_true(blocked('any(tenant.groups[*] eq "ops")', { { "X-Tenant", "dev ops" } }))
      assert.is_false(blocked('any(tenant.groups[*] eq "ops")', { { "X-Tenant", "dev" } }))
    end)

    it("an address", function()
      assert.is_true(blocked("peer in {198.51.100.0/24}", { { "X-Peer", "198.51.100.7" } }))
      assert.is_false(blocked("peer in {198.51.100.0/24}", { { "X-Peer", "203.0.113.7" } }))
      assert.is_true(blocked("in_lab(peer)", { { "X-Peer", "192.0.2.77" } }))
    end)

    it("a function", function()
      assert.is_true(blocked('initial(tenant.name) eq "a"', { { "X-Tenant", "acme" } }))
      assert.is_false(blocked('initial(tenant.name) eq "a"', { { "X-Tenant", "xacme" } }))
    end)

    it("a value that fails: the rule counts as matched, and the log names file and line", function()
      assert.is_true(blocked('broken eq "x"'))
      gate:wait_log { subject = "rules", what = "a rule failed" }
      local named
      for _, line in ipairs(gate:log_lines()) do
        named = named or line.subject == "rules" and (line.detail or ""):find("policy%.lua:%d+: the field broken: expected a value of type String, got nil")
      end
      assert.truthy(named)
    end)

    it("an address that is none: the same", function()
      assert.is_true(blocked("peer in {198.51.100.0/24}", { { "X-Peer", "nonsense" } }))
    end)

    it("names that are checked when a rule is stored", function()
      local status, document = gate:admin("PUT", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate.zone),
        { rules = { { expression = 'tenant.nam eq "x"', action = "block" } } })
      assert.equal(400, status)
      assert.truthy(document.errors[1].message:find("tenant.nam", 1, true))
      status = gate:admin("PUT", ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate.zone),
        { rules = { { expression = 'tenant.size eq "x"', action = "block" } } })
      assert.equal(400, status)
    end)
  end)

  it("sees the client's certificate", function()
    local ca = certs.ca "Policies"
    local leaf = certs.leaf(ca, { cn = "device" })
    gate:associate(ca, { "mtls.example.com" })
    local session = gate:connect { host = "mtls.example.com", cert = leaf }
    local answer = session:get("/show", { host = "mtls.example.com" })
    assert.truthy(answer.body:find("cert_verified=true", 1, true))
    assert.truthy(answer.body:find("ssl=true", 1, true))
    session:close()
  end)
end)
