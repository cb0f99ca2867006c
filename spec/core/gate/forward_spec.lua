local ffi = require "ffi"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local unit = require "spec.support.unit"

ffi.cdef [[
bool moon_forward_is_protected(struct moon_str name);
int moon_forward_response_fields(struct moon_buf *out, const struct moon_http_head *head, bool *has_date);
unsigned moon_forward_loops(const struct moon_http_head *head);
]]
local C = http.C

describe("moon_forward_is_protected()", function()
  for _, name in ipairs {
    "CF-Connecting-IP", "cf-connecting-ip", "CF_Connecting_IP", "CF.Connecting.IP", "Cf~Ray", "CF-", "CF-Anything-At-All",
    "cf-" .. ("x"):rep(100), "Client-Cert", "client_cert", "Client.Cert", "Client-Cert-Chain", "CLIENT!CERT!CHAIN", "True-Client-IP",
    "X-Forwarded-Proto", "x_forwarded_proto", "X-Forwarded-Client-Cert", "X-Client-Cert", "X-Client-Cert-Dn", "X-Client-Certificate",
    "X-SSL-Client-Verify", "X_SSL_X", "SSL-Client-Cert", "ssl_client_s_dn", "X-Accel-Redirect",
  } do
    it(("says yes of %s"):format(name:sub(1, 30)), function() assert.is_true(C.moon_forward_is_protected(unit.str(name))) end)
  end

  for _, name in ipairs {
    "C", "CF", "CFX-Connecting-IP", "X-CF-Ray", "Client-Certs", "Client-Cer", "X-Forwarded-Protocol", "True-Client-IP2", "X-SSL",
    "SSL-Client", "Accept", "Cookie", "X-Forwarded-For", "x", ("client-cert-chain"):rep(4),
  } do
    it(("says no of %s"):format(name:sub(1, 30)), function() assert.is_false(C.moon_forward_is_protected(unit.str(name))) end)
  end
end)

describe("moon_forward_loops()", function()
  for _, case in ipairs {
    { "", 0 }, { "CDN-Loop: other\r\n", 0 }, { "CDN-Loop: moongate\r\n", 1 }, { "CDN-Loop: other, moongate , MoonGate\r\n", 2 },
    { "cdn-loop: moongate\r\nCDN-Loop: moongate, x\r\n", 2 }, { "CDN-Loop: moongates, xmoongate\r\n", 0 }, { "X: moongate\r\n", 0 },
  } do
    it(("counts %d in %q"):format(case[2], case[1]), function()
      local bytes = "GET / HTTP/1.1\r\nHost: a\r\n" .. case[1] .. "\r\n"
      local _, head = http.request(bytes)
      assert.equal(case[2], C.moon_forward_loops(head.raw))
    end)
  end
end)

describe("moon_forward_response_fields()", function()
  local function fields(head_fields)
    local bytes = "HTTP/1.1 200 OK\r\n" .. head_fields .. "\r\n"
    local _, head = http.response(bytes)
    local buf = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
    local has_date = ffi.new("bool[1]")
    C.moon_buf_init(buf, 100000)
    assert.equal(0, C.moon_forward_response_fields(buf, head.raw, has_date))
    return buf[0].len > 0 and ffi.string(buf[0].data + buf[0].start, buf[0].len) or "", has_date[0]
  end

  for _, case in ipairs {
    { "Content-Length: 5\r\n", "its length" }, { "Transfer-Encoding: chunked\r\n", "its coding" }, { "Connection: close\r\n", "Connection" },
    { "Keep-Alive: timeout=5\r\n", "Keep-Alive" }, { "Connection: X-Hop\r\nX-Hop: y\r\n", "what Connection names" },
    { "Trailer: X\r\n", "Trailer" }, { "Upgrade: h2c\r\n", "Upgrade" }, { "CF-Ray: forged\r\n", "a forged ray" },
    { "X-Accel-Redirect: /etc\r\n", "X-Accel" }, { "Proxy-Authenticate: Basic\r\n", "Proxy-Authenticate" },
  } do
    it("drops " .. case[2], function() assert.equal("", (fields(case[1]))) end)
  end

  it("passes everything else, in order and as often as it came", function()
    local text = "Set-Cookie: a=1\r\nServer: x\r\nSet-Cookie: b=2\r\nETag: \"y\"\r\n"
    assert.equal(text, (fields(text)))
  end)

  it("tells whether there is a Date", function()
    assert.is_false(select(2, fields "Dated: x\r\n"))
    assert.is_true(select(2, fields "dATE: x\r\n"))
  end)
end)

describe("the head that an origin gets", function()
  local origin, gateway
  setup(function()
    origin = gate.origin()
    gateway = gate.start { hosts = {
      ["a.test"] = { origin = origin.port },
      ["named.test"] = { origin = { url = "http://127.0.0.1:" .. origin.port, host_header = "Inner.test:81" } },
    } }
  end)
  teardown(function()
    gateway:close()
    origin:close()
  end)

  --- The head's lines without the request line; the line apart.
  local function head_of(bytes, options)
    local client = gateway:connect(options)
    client:send(bytes)
    local peer = origin:accept()
    local head = peer:request()
    peer:close()
    client:close()
    local line, rest = head:match("^(.-)\r\n(.*)\r\n$")
    return rest, line
  end
  local function get(fields, options) return head_of("GET / HTTP/1.1\r\nHost: a.test\r\n" .. fields .. "\r\n", options) end

  --- All values of a field.
  local function values(head, name)
    local list = {}
    for line in head:gmatch("(.-)\r\n") do
      local key, value = line:match("^([^:]+): (.*)$")
      if key:lower() == name:lower() then list[#list + 1] = value end
    end
    return list
  end

  it("is what the gateway says, and nothing else, for a bare request", function()
    local head, line = get ""
    assert.equal("GET / HTTP/1.1", line)
    local ray = values(head, "cf-ray")[1]
    assert.truthy(ray:match("^%x+%-%u%u%u$"))
    assert.equal("Host: a.test\r\nCF-Connecting-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
      .. 'CF-Visitor: {"scheme":"http"}\r\nCF-Ray: ' .. ray .. "\r\nCDN-Loop: moongate\r\n", head)
  end)

  it("tells of TLS", function()
    local head = get("", { tls = true, sni = "a.test" })
    assert.same({ "https" }, values(head, "x-forwarded-proto"))
    assert.same({ '{"scheme":"https"}' }, values(head, "cf-visitor"))
  end)

  for _, name in ipairs {
    "CF-Connecting-IP", "CF-Ray", "CF-Visitor", "CF-Worker", "CF-IPCountry", "True-Client-IP", "X-Forwarded-Proto", "Client-Cert",
    "Client-Cert-Chain", "Cf-Client-Cert-Der-Base64", "X-Client-Cert", "X-SSL-Client-Verify", "SSL-Client-Cert",
    "CF_Connecting_IP", "X_Forwarded_For", "X_Forwarded_Proto", "Client.Cert", "X.Forwarded.For", "Any_Name", "any.name",
    "X~Forwarded~For", "X!Forwarded-For", "Transfer~Encoding", "Content*Length", "CDN+Loop",
  } do
    it("never has the client's " .. name, function()
      local head = get(name .. ": forged\r\n")
      assert.is_nil(head:find("forged", 1, true))
    end)
  end

  it("appends to X-Forwarded-For and CDN-Loop", function()
    local head = get "X-Forwarded-For: 203.0.113.7\r\nx-forwarded-for: 203.0.113.8, 203.0.113.9\r\nX-Forwarded-For:\r\nCDN-Loop: other\r\n"
    assert.same({ "203.0.113.7, 203.0.113.8, 203.0.113.9, 127.0.0.1" }, values(head, "x-forwarded-for"))
    assert.same({ "other, moongate" }, values(head, "cdn-loop"))
  end)

  it("keeps the gateway's fields whatever Connection names", function()
    local head = get "Connection: cf-connecting-ip, x-forwarded-for, host, cdn-loop, x-hop\r\nX-Hop: y\r\nX-Forwarded-For: forged\r\n"
    assert.same({ "127.0.0.1" }, values(head, "cf-connecting-ip"))
    assert.same({ "a.test" }, values(head, "host"))
    assert.same({}, values(head, "x-hop"))
    assert.equal("127.0.0.1", values(head, "x-forwarded-for")[1]:match("[^ ]+$"))
    assert.equal("moongate", values(head, "cdn-loop")[1])
  end)

  for _, name in ipairs { "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Upgrade", "HTTP2-Settings",
    "Expect" } do
    it("has no " .. name, function()
      local head = get(name .. ": " .. (name == "Expect" and "100-continue" or "h2c") .. "\r\n")
      assert.same({}, values(head, name))
    end)
  end

  it("has every other field as it came, in order", function()
    local head = get "X-One: 1\r\nCookie: a=b; c\r\nX-one:   2 \r\nX-Bytes: \255\r\nX-Empty:\r\n"
    assert.truthy(head:find("X-One: 1\r\nCookie: a=b; c\r\nX-one: 2\r\nX-Bytes: \255\r\nX-Empty: \r\n", 1, true))
  end)

  it("names the origin's own Host when it has one", function()
    local head = head_of "GET / HTTP/1.1\r\nHost: named.test:8080\r\n\r\n"
    assert.same({ "Inner.test:81" }, values(head, "host"))
  end)

  it("normalises the host of an absolute target", function()
    local head, line = head_of "GET http://A.TEST.:80/a%2fb/../c;d?e=%41&f HTTP/1.1\r\nHost: a.test\r\n\r\n"
    assert.equal("GET /c;d?e=%41&f HTTP/1.1", line)
    assert.same({ "a.test" }, values(head, "host"))
  end)

  for _, case in ipairs {
    { "Content-Length: 3\r\n\r\nabc", "content-length", "3" }, { "Content-Length: 003\r\n\r\nabc", "content-length", "3" },
    { "Content-Length: 0\r\n\r\n", "content-length", "0" }, { "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", "transfer-encoding", "chunked" },
  } do
    it(("frames a body of %q with %s: %s"):format(case[1], case[2], case[3]), function()
      local head = head_of("POST / HTTP/1.1\r\nHost: a.test\r\n" .. case[1])
      assert.same({ case[3] }, values(head, case[2]))
      assert.equal(1, #values(head, "content-length") + #values(head, "transfer-encoding"))
    end)
  end

  it("frames no body for a request without one", function()
    local head = head_of "POST / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    assert.equal(0, #values(head, "content-length") + #values(head, "transfer-encoding"))
  end)

  it("is not sent when the request came through this gateway too often", function()
    local client = gateway:connect()
    client:send("GET / HTTP/1.1\r\nHost: a.test\r\nCDN-Loop: moongate, moongate, moongate, moongate\r\n\r\n")
    assert.equal(508, client:response().status)
    assert.is_false(origin:is_called())
  end)
end)
