-- Policy files that wait: sleep, fetch, and what happens to everybody else meanwhile.

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local policy = require "spec.support.policy"
local wait = require "spec.support.wait"
local now = require("system").monotime

local POLICY = [[
local asleep = 0
moongate.handler("sleep", { path = "/sleep" }, function(req, res)
  asleep = asleep + 1
  moongate.sleep(tonumber(req.headers["x-seconds"] or 0.1))
  asleep = asleep - 1
  res:send(200, "slept " .. req.http.request.uri.query)
end)
moongate.handler("asleep", { path = "/asleep" }, function(req, res) res:send(200, tostring(asleep)) end)
moongate.handler("quick", { path = "/quick" }, function(req, res) res:send(200, "quick") end)
moongate.handler("caught", { path = "/caught" }, function(req, res)
  local ok, err = pcall(function() moongate.sleep(0.01) error("after the sleep") end)
  res:send(200, tostring(ok) .. " " .. err:match("after the sleep"))
end)
moongate.on("request", { path = "/later/*" }, function(req, res)
  moongate.sleep(0.05)
  req.headers["X-Later"] = req.headers["x-before"]
end)
moongate.on("response", { path = "/later/*" }, function(req, res) res.headers["X-Path"] = req.http.request.uri.path end)
moongate.on("response", { path = "/no-wait" }, function() moongate.sleep(0.1) end)
moongate.field { name = "waits", type = "boolean", value = function() moongate.sleep(0.1) return true end }

local function report(res, answer, err)
  if not answer then return res:send(502, err) end
  res:send(200, { ["X-Status"] = answer.status, ["X-Kind"] = answer.headers["content-type"] }, answer.body)
end
moongate.handler("fetch", { path = "/fetch" }, function(req, res)
  report(res, moongate.fetch {
    url = req.headers["x-url"], method = req.headers["x-method"], body = req.headers["x-body"],
    headers = { ["X-From"] = "policy", ["X-Two"] = { "1", "2" } }, timeout = tonumber(req.headers["x-timeout"] or 5),
  })
end)
moongate.handler("fetch-bad", { path = "/fetch-bad" }, function(req, res)
  moongate.fetch { url = "ftp://example.com/" }
end)
moongate.handler("fetch-header", { path = "/fetch-header" }, function(req, res)
  moongate.fetch { url = "http://127.0.0.1:1/", headers = { Host = "evil" } }
end)
moongate.handler("gather", { path = "/gather" }, function(req, res)
  local parts = {}
  for i = 1, 5 do
    parts[i] = assert(moongate.fetch { url = req.headers["x-url"] .. "/bytes/" .. i }).body
  end
  res:send(200, table.concat(parts, ","))
end)
moongate.handler("ca", { path = "/ca" }, function(req, res)
  report(res, moongate.fetch { url = req.headers["x-url"], ca = moongate.kv.get("ca") })
end)
moongate.handler("set-ca", { path = "/set-ca" }, function(req, res) moongate.kv.set("ca", req:body()) res:send(204) end)
]]

describe("a policy that waits", function()
  local gate, behind

  setup(function()
    gate, behind = policy.start(POLICY, { config = { listen_http = { "127.0.0.1:0" }, timeouts = { origin_head = 3 } } })
  end)
  teardown(policy.stop)

  local function asleep() return policy.get("/asleep").body end

  it("sleeps about as long as it says", function()
    local begun = now()
    assert.equal("slept ", policy.get("/sleep").body)
    local took = now() - begun
    assert.is_true(took >= 0.095 and took < 1, "took " .. took)
  end)

  it("goes on in the middle of a pcall", function()
    assert.equal("false after the sleep", policy.get("/caught").body)
  end)

  it("a thousand at a time delays nobody", function()
    local COUNT = gateway.is_sanitized() and 200 or 1000
    local sessions, others = {}, {}
    for i = 1, COUNT do sessions[i] = policy.connect() end
    for i = 1, 4 do others[i] = policy.connect() end -- of both workers
    local took = {}
    for round = 1, 4 do
      for i, session in ipairs(sessions) do
        assert(session:send(client.request_bytes("GET", "/sleep?" .. i, { host = policy.HOST })))
        if i % (COUNT / 20) == 0 then
          local begun = now()
          assert.equal("quick", others[i % 4 + 1]:get("/quick", { host = policy.HOST }).body)
          took[#took + 1] = now() - begun
        end
      end
      for i, session in ipairs(sessions) do
        local answer = assert(session:response())
        assert.equal("slept " .. i, answer.body, "round " .. round)
      end
    end
    table.sort(took)
    local p99 = took[math.ceil(#took * 0.99)]
    assert.is_true(p99 < (gateway.is_sanitized() and 2 or 0.2), ("p99 %.3f s"):format(p99))
    for _, list in ipairs { sessions, others } do
      for _, session in ipairs(list) do session:close() end
    end
  end)

  it("still knows its request when others came in between", function()
    local sessions = {}
    for i = 1, 20 do
      sessions[i] = policy.connect()
      assert(sessions[i]:send(client.request_bytes("GET", "/later/" .. i, { host = policy.HOST, fields = { { "X-Before", "v" .. i } } })))
    end
    for i, session in ipairs(sessions) do
      local answer = session:response()
      assert.equal(200, answer.status)
      assert.truthy(answer.body:find("X-Later: v" .. i .. "\r\n", 1, true) or answer.body:find("X-Later: v" .. i .. "\n", 1, true), answer.body)
      assert.equal("/later/" .. i, answer:field "x-path")
      session:close()
    end
  end)

  it("sends a body on that came while it waited", function()
    local session = policy.connect()
    assert(session:send("POST /later/upload HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 10\r\n\r\n01234"))
    assert(session:send "56789")
    assert.equal(200, session:response().status)
    session:close()
    local event = wait.until_true("the body at the origin", function()
      for _, one in ipairs(behind:events()) do
        if one.what == "body" and one.bytes == 10 then return one end
      end
    end)
    assert.truthy(event)
  end)

  it("ends when its client goes away", function()
    wait.until_true("all to be awake", function() return asleep() == "0" end)
    local session = policy.connect()
    assert(session:send(client.request_bytes("GET", "/sleep", { host = policy.HOST, fields = { { "X-Seconds", "2.5" } } })))
    require("ffi").C.setsockopt(session.fd, 1, 13, require("ffi").new("int[2]", 1, 0), 8) -- SO_LINGER 0: RST
    session:close()
    gate:wait_log { path = "/sleep", status = 499 }
  end)

  it("is ended by the deadline for answers", function()
    local begun = now()
    local answer = policy.get("/sleep", { fields = { { "X-Seconds", "100" } } })
    assert.equal(500, answer.status)
    assert.is_true(now() - begun < 10)
    assert.truthy(gate:wait_log({ subject = "policy", ray = answer:field "cf-ray" }).detail:find("policy%.lua:%d+: it took longer than 3 s in all"))
  end)

  for _, path in ipairs { "/no-wait" } do
    it("cannot wait in a callback after the origin's answer", function()
      local answer = policy.get(path)
      assert.equal(500, answer.status)
      assert.truthy(gate:wait_log({ subject = "policy", ray = answer:field "cf-ray" }).detail:find("only handlers and on(\"request\") may wait", 1, true))
    end)
  end

  it("cannot wait while a rule is evaluated: the rule counts as matched", function()
    gate:set_rules { 'waits and http.request.uri.path eq "/ruled"' }
    assert.equal(403, policy.get("/ruled").status)
    gate:set_rules {}
  end)

  describe("for a fetch", function()
    local function fetch(path, fields)
      fields = fields or {}
      fields[#fields + 1] = { "X-Url", path:find("^http") and path or behind.url .. path }
      return policy.get("/fetch", { fields = fields })
    end

    it("gets status, headers and body", function()
      local answer = fetch "/bytes/3000"
      assert.equal(200, answer.status)
      assert.equal("200", answer:field "x-status")
      assert.equal(3000, #answer.body)
    end)

    it("sends method, headers and body", function()
      assert.equal("hello", fetch("/echo", { { "X-Method", "POST" }, { "X-Body", "hello" } }).body)
      local request = behind:wait_request "/echo"
      assert.equal("POST", request.method)
      assert.equal("policy", request:field "x-from")
      assert.equal("1, 2", request:field "x-two")
      assert.equal("127.0.0.1:" .. behind.port, request:field "host")
      assert.equal("5", request:field "content-length")
    end)

    it("reads chunked answers, and such that end with the connection", function()
      assert.equal(3000, #fetch("/chunks/3/1000").body)
      assert.equal(2000, #fetch("/until-close/2000").body)
    end)

    it("takes a HEAD's answer without a body", function()
      local answer = fetch("/bytes/100", { { "X-Method", "HEAD" } })
      assert.equal("200", answer:field "x-status")
      assert.equal("", answer.body)
    end)

    it("uses connections again", function()
      local function opened()
        local count = 0
        for _, event in ipairs(behind:events()) do
          if event.what == "open" then count = count + 1 end
        end
        return count
      end
      local answer = policy.get("/gather", { fields = { { "X-Url", behind.url } } })
      assert.equal(1 + 2 + 3 + 4 + 5 + 4, #answer.body)
      local before = opened()
      for _ = 1, 5 do assert.equal(200, policy.get("/gather", { fields = { { "X-Url", behind.url } } }).status) end
      assert.is_true(opened() - before <= 2, "opened " .. opened() - before)
    end)

    it("tells why there is no answer", function()
      local answer = fetch "http://127.0.0.1:1/"
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find("the connection was refused", 1, true), answer.body)
    end)

    it("is given up after its timeout", function()
      local begun = now()
      local answer = fetch("/wait/2500", { { "X-Timeout", "0.2" } })
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find("no answer in time", 1, true), answer.body)
      assert.is_true(now() - begun < 2)
    end)

    it("of a name that cannot be resolved is told so", function()
      local answer = fetch "http://nowhere.invalid/"
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find("could not be resolved", 1, true), answer.body)
    end)

    for path, words in pairs { ["/drop"] = "closed before the end", ["/truncated/100"] = "closed before the end" } do
      it("is told of an answer that was cut short: " .. path, function()
        local answer = fetch(path)
        assert.equal(502, answer.status)
        assert.truthy(answer.body:find(words, 1, true), answer.body)
      end)
    end

    it("tries again when a warm connection turns out to be dead", function()
      for _ = 1, 6 do
        assert.equal(200, fetch("/drop-next").status)
        assert.equal(200, fetch("/bytes/10").status)
      end
    end)

    it("refuses an answer that is too large", function()
      local answer = fetch "/bytes/2000000"
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find("body is too large", 1, true), answer.body)
    end)

    for path, words in pairs { ["/fetch-bad"] = "is no URL", ["/fetch-header"] = "is written by the gateway itself" } do
      it("raises an error at the policy's line: " .. words, function()
        local answer = policy.get(path)
        assert.equal(500, answer.status)
        local detail = gate:wait_log({ subject = "policy", ray = answer:field "cf-ray" }).detail
        assert.truthy(detail:find("policy%.lua:%d+: ") and detail:find(words, 1, true), detail)
      end)
    end

    it("verifies the certificate of an HTTPS server", function()
      local answer = fetch(("https://www.example.com:%d/"):format(gate.port))
      assert.equal(502, answer.status)
      answer = fetch(("https://127.0.0.1:%d/"):format(gate.port))
      assert.equal(502, answer.status)
      assert.truthy(answer.body:find("certificate", 1, true), answer.body)
    end)
  end)
end)
