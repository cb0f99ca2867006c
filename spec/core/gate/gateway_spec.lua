local ffi = require "ffi"
local gate = require "spec.support.gate"
local net = require "spec.support.client"
local wait = require "spec.support.wait"

local C = gate.C

ffi.cdef [[
struct moon_spec_limit { uint64_t soft; uint64_t hard; };
int getrlimit(int what, struct moon_spec_limit *limit);
int setrlimit(int what, const struct moon_spec_limit *limit);
int dup(int fd);
]]
local NOFILE = 7

--- Runs `body` while the process may open descriptors below `number` only.
local function with_descriptors(number, body)
  local former, limit = ffi.new("struct moon_spec_limit[1]"), ffi.new("struct moon_spec_limit[1]")
  ffi.C.getrlimit(NOFILE, former)
  limit[0].soft, limit[0].hard = number, former[0].hard
  assert(ffi.C.setrlimit(NOFILE, limit) == 0)
  local ok, err = pcall(body)
  ffi.C.setrlimit(NOFILE, former)
  assert(ok, err)
end

describe("descriptors", function()
  it("are kept back from the world for everything else", function()
    with_descriptors(1000, function()
      local gateway = gate.start { hosts = {} }
      local line = gateway:await_log "fewer connections are allowed than configured"
      assert.truthy(line:find('"configured":50000,"allowed":436', 1, true))
      gateway:close()
    end)
  end)

  it("that run out close a connection at once, are told of, and are waited for", function()
    local gateway = gate.start { hosts = { ["b.test"] = {} } }
    local client = gateway:connect()
    assert.equal(530, client:get("/", { host = "b.test" }).status)
    local fds = { ffi.C.socket(2, 1, 0), ffi.C.socket(2, 1, 0) }
    local address = ffi.new("struct moon_spec_address",
      { family = 2, port = ffi.C.htons(gateway.http), ip = ffi.C.htonl(0x7f000001) })
    local free = ffi.C.dup(0)
    ffi.C.close(free)
    with_descriptors(free, function()
      assert.equal(0, ffi.C.connect(fds[1], address, ffi.sizeof(address)))
      local byte = ffi.new("char[1]")
      assert.is_true(ffi.C.recv(fds[1], byte, 1, 0) <= 0)
      assert.equal(530, client:get("/", { host = "b.test" }).status) -- who is in is served
    end)
    assert.equal(0, ffi.C.connect(fds[2], address, ffi.sizeof(address)))
    assert.equal(530, gateway:connect():get("/", { host = "b.test" }).status)
    for _, fd in ipairs(fds) do ffi.C.close(fd) end
    gateway:await_log "no descriptor is left for a connection"
    gateway:close()
  end)
end)

describe("moon_gateway_new()", function()
  for _, case in ipairs {
    { "listen", "127.0.0.1", "expected" }, { "listen", "localhost:443", "expected" }, { "listen_http", "127.0.0.1:http", "expected" },
    { "listen", "192.0.2.1:0", "cannot listen: bind: Cannot assign requested address" },
  } do
    it(("refuses %s %q and says why"):format(case[1], case[2]), function()
      local none, diag = gate.start { hosts = {}, options = function(options) options[case[1]][0] = case[2] end }
      assert.is_nil(none)
      assert.equal(case[2], diag.where)
      assert.truthy(diag.text:find(case[3], 1, true))
    end)
  end

  it("frees the ports that it had bound when a later one is in use", function()
    local taken, free = gate.origin(), gate.origin()
    local free_port = free.port
    free:close()
    for _ = 1, 3 do
      local none, diag = gate.start {
        hosts = {},
        options = function(options)
          options.workers = 3
          options.listen[0], options.listen_http[0] = "127.0.0.1:" .. free_port, "127.0.0.1:" .. taken.port
        end,
      }
      assert.is_nil(none)
      assert.same({ where = "127.0.0.1:" .. taken.port, text = "cannot listen: bind: Address already in use" }, diag)
    end
    assert.is_nil((net.connect { port = free_port, tls = false }))
    taken:close()
  end)

  it("does not share a port with another gateway", function()
    local first = gate.start { hosts = {} }
    local none, diag = gate.start { hosts = {}, options = function(options) options.listen_http[0] = "127.0.0.1:" .. first.http end }
    assert.is_nil(none)
    assert.truthy(diag.text:find("Address already in use", 1, true))
    first:close()
  end)

  it("fails when a worker's hooks do not open, and leaves nothing behind", function()
    local none, diag = gate.start { hosts = {}, hooks = gate.hooks { refuse_to_open = true }, options = function(o) o.workers = 3 end }
    assert.is_nil(none)
    assert.same({ where = "hooks", text = "refuse to open" }, diag)
  end)

  it("refuses an admin listener without TLS anywhere but on loopback", function()
    local none, diag = gate.start {
      hosts = {}, handler = gate.handler(100), options = function(options) options.admin_listen = "0.0.0.0:0" end }
    assert.is_nil(none)
    assert.equal("0.0.0.0:0", diag.where)
    assert.truthy(diag.text:find("needs a certificate", 1, true))
  end)
end)

describe("moon_gateway_publish()", function()
  it("accepts nobody before the first snapshot", function()
    local gateway = gate.start { unpublished = true }
    local client = net.connect { port = gateway.http, tls = false, timeout = 0.5 }
    client:send "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n" -- the kernel has taken it; nobody answers yet
    assert.is_true(client:is_quiet(0.3))
    gateway:publish { ["b.test"] = {} }
    assert.equal(530, client:response().status)
    gateway:close()
  end)

  it("keeps what is served when a worker's hooks refuse, and says what they said", function()
    local gateway = gate.start { hosts = { ["b.test"] = {} }, hooks = gate.hooks { refuse_to_adopt = 2 },
      options = function(o) o.workers = 2 end }
    local ok, diag = gateway:publish { ["c.test"] = {} }
    assert.is_nil(ok)
    assert.same({ where = "hooks", text = "refuse generation 2" }, diag)
    for worker = 0, 1 do assert.equal(1, tonumber(C.moon_gateway_generation(gateway.gateway, worker))) end
    assert.is_true(gateway:publish { ["b.test"] = {} })
    for worker = 0, 1 do assert.equal(3, tonumber(C.moon_gateway_generation(gateway.gateway, worker))) end
    gateway:close()
  end)

  it("refuses at once while the gateway is closing", function()
    local origin = gate.origin()
    local gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port } } }
    local client = gateway:connect()
    client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    local peer = origin:accept()
    peer:request()
    gateway:drain()
    local began = wait.now()
    local ok, diag = gateway:publish { ["b.test"] = {} }
    assert.is_nil(ok)
    assert.equal("the gateway is stopping", diag.text)
    assert.is_true(wait.now() - began < 1)
    peer:answer(200, "ok")
    assert.equal("ok", client:response().body)
    client:close()
    gateway:finish()
    peer:close()
    origin:close()
  end)
end)

describe("the rules of hooks", function()
  local gateway, origin
  setup(function()
    origin = gate.origin()
    gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port }, ["b.test"] = {} }, hooks = gate.hooks() }
  end)
  teardown(function()
    gateway:close()
    origin:close()
  end)

  local function get(path, fields) return gateway:connect():get(path, { host = "b.test", fields = fields }) end

  it("pass what they let pass", function() assert.equal(530, get("/pass").status) end)

  it("block with the default page and its ray", function()
    local answer = get "/block"
    assert.equal(403, answer.status)
    local ray = answer:field "cf-ray"
    assert.truthy(answer.body:find(ray, 1, true))
    assert.truthy(answer:field("content-type"):find("text/html", 1, true))
    assert.equal("private, no-store", answer:field "cache-control")
    local line = gateway:await_log(ray)
    assert.truthy(line:find('"what":"blocked"', 1, true))
    assert.truthy(line:find('"rule":"rule-block"', 1, true))
  end)

  it("block with JSON for who prefers that", function()
    local answer = get("/block", { { "Accept", "application/json" } })
    assert.equal("application/json", answer:field "content-type")
    assert.equal(403, require("dkjson").decode(answer.body).status)
  end)

  it("never echo input on a page", function()
    local answer = get("/block?%3Cscript%3E", { { "User-Agent", "<script>" }, { "Accept", "<script>" } })
    assert.is_nil(answer.body:find("script", 1, true))
  end)

  it("answer with what they say themselves", function()
    local answer = get "/custom"
    assert.same({ 418, "custom", "text/x-custom" }, { answer.status, answer.body, answer:field "content-type" })
  end)

  it("block when they said nothing", function()
    local answer = get "/silent"
    assert.equal(403, answer.status)
    assert.truthy(gateway:await_log(answer:field "cf-ray"):find("could not be evaluated", 1, true))
  end)

  it("cannot split the answer: the connection is cut instead", function()
    local client = gateway:connect()
    client:send "GET /evil HTTP/1.1\r\nHost: b.test\r\n\r\n"
    assert.is_nil((client:response()))
    gateway:await_log "must not be written"
  end)

  it("tell which log rules matched", function()
    local line = gateway:await_log(get("/log"):field "cf-ray")
    local matched = line:match('"matched":"([^"]*)"')
    assert.equal(("0123456789abcdef0123456789abcdef,"):rep(16):sub(1, -2), matched)
  end)

  it("stop a request before a byte of it reaches the origin", function()
    local client = gateway:connect()
    client:send("POST /block HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello")
    assert.equal(403, client:response().status)
    assert.is_false(origin:is_called())
    assert.equal(403, client:get("/block", { host = "a.test" }).status) -- on the same connection
  end)
end)

describe("a handler that puts its answer off", function()
  local gateway, helpers
  setup(function()
    helpers = gate.helpers "bool moon_spec_handler_waits(void); void moon_spec_handler_answer(void);"
    gateway = gate.start {
      hosts = { ["b.test"] = {} }, handler = gate.handler(1000),
      options = function(options) options.admin_listen = "127.0.0.1:0" end,
    }
  end)
  teardown(function() gateway:close() end)

  -- The control loop runs only in here: an answer is given between its rounds.
  local function pump_until(what, ask)
    wait.until_true(what, function()
      gateway:pump()
      return ask()
    end)
  end

  local function waiting() return helpers.moon_spec_handler_waits() end

  it("serves others meanwhile, and goes on with the connection afterwards", function()
    local client = assert(net.connect { port = gateway.admin, tls = false })
    client:send "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /?5 HTTP/1.1\r\nHost: a\r\n\r\n"
    pump_until("the request to wait", waiting)
    local other = assert(net.connect { port = gateway.admin, tls = false })
    other:send "GET /?3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    pump_until("the other answer", function() return not other:is_quiet(0.01) end)
    assert.equal("bbb", other:response().body)
    helpers.moon_spec_handler_answer()
    local answer = client:response()
    assert.same({ 202, "later" }, { answer.status, answer.body })
    assert.equal("bbbbb", client:response().body) -- what had come behind it
    client:close()
    other:close()
  end)

  it("is told when the client is gone", function()
    local client = assert(net.connect { port = gateway.admin, tls = false })
    client:send "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
    pump_until("the request to wait", waiting)
    gate.reset(client)
    pump_until("the request to be gone", function() return not waiting() end)
  end)
end)

describe("a handler's listener", function()
  local gateway
  setup(function()
    gateway = gate.start {
      hosts = { ["b.test"] = {} }, handler = gate.handler(1000),
      options = function(options)
        options.admin_listen = "127.0.0.1:0"
        options.limits.connections = 1
      end,
    }
    gateway:run()
  end)
  teardown(function() gateway:close() end)

  local function connect() return assert(net.connect { port = gateway.admin, tls = false }) end

  it("hands the whole request over", function()
    local client = connect()
    for _ = 1, 3 do
      local answer = client:request("PUT", "/?5", { host = "admin", body = ("x"):rep(1000) })
      assert.same({ 200, "bbbbb", "PUT", "1000" },
        { answer.status, answer.body, answer:field "x-method", answer:field "x-received" })
    end
    client:send "POST /?1 HTTP/1.1\r\nHost: admin\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert.equal("3", client:response():field "x-received")
  end)

  it("refuses a body beyond its ceiling, with and without a length", function()
    for _, bytes in ipairs {
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" .. ("x"):rep(1001),
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" .. ("x"):rep(1001) .. "\r\n0\r\n\r\n",
    } do
      local client = connect()
      client:send(bytes)
      assert.equal(413, client:response().status)
      assert.is_true(client:is_closed())
    end
  end)

  it("says 100 when it is asked to", function()
    local client = connect()
    client:send "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert.equal(100, client:response({ interim = true }).status)
    client:send "abc"
    assert.equal("3", client:response():field "x-received")
  end)

  it("gives a large answer whole, also to a client that is slow to read", function()
    local client = connect()
    client:send "GET /?20000000 HTTP/1.1\r\nHost: a\r\n\r\n"
    local answer = client:response { body = false }
    assert.equal("20000000", answer:field "content-length")
    wait.pause(0.3)
    assert.equal(20000000, client:skip(20000000))
    assert.equal(200, client:get("/?1", { host = "a" }).status)
  end)

  it("is there when the world has taken all connections", function()
    local world = gateway:connect()
    assert.equal(530, world:get("/", { host = "b.test" }).status)
    local second = gateway:connect()
    assert.equal(530, second:get("/", { host = "b.test" }).status)
    assert.is_true(world:is_closed()) -- there was one place, and it is taken
    assert.equal(200, connect():get("/", { host = "a" }).status)
    second:close()
    world:close()
  end)
end)

describe("a gateway that drains", function()
  local gateway, origin

  before_each(function()
    origin = gate.origin()
    gateway = gate.start {
      hosts = { ["a.test"] = { origin = origin.port }, ["b.test"] = {} },
      options = function(options)
        options.workers = 2
        options.timeouts.drain = 1500
      end,
    }
  end)
  after_each(function()
    if gateway.gateway then gateway:close() end
    origin:close()
  end)

  local function gone(port) return net.connect { port = port, tls = false } == nil end

  it("closes idle connections and its listeners, and ends", function()
    local idle, tls, silent = gateway:connect(), gateway:connect { tls = true, sni = "b.test" }, gateway:connect()
    idle:get("/", { host = "b.test" })
    tls:get("/", { host = "b.test" })
    gateway:drain()
    gateway:finish()
    for _, client in ipairs { idle, tls, silent } do assert.is_true(client:is_closed()) end
    assert.is_true(gone(gateway.http) and gone(gateway.https))
  end)

  it("ends in every state of a connection", function()
    local clients = {}
    local function open(bytes, options)
      local client = options == "tcp" and net.connect { port = gateway.https, tls = false } or gateway:connect(options)
      if bytes then client:send(bytes) end
      clients[#clients + 1] = client
      return client
    end
    open(nil, "tcp") -- nothing of a handshake
    open("\22\3\1\2\0", "tcp") -- a part of one
    open() -- nothing of a request
    open "GET / HTT" -- a part of a head
    open("GET / HTTP/1.1\r\nHo", { tls = true, sni = "a.test" })
    open "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 50\r\n\r\nhalf" -- answered, its body being dropped
    open "POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 90000000\r\n\r\nhalf" -- lingering
    local peers = {}
    local function proxied(bytes, answer)
      open(bytes)
      local peer = origin:accept()
      peer:request()
      if answer then peer:send(answer) end
      peers[#peers + 1] = peer
    end
    proxied "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" -- without an answer
    proxied("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200") -- a part of its head
    proxied("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    proxied "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhalf" -- a part of the upload
    proxied("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert.equal(101, clients[#clients]:response().status)
    gateway:drain()
    local began = wait.now()
    gateway:finish()
    assert.is_true(wait.now() - began > 1.2 and wait.now() - began < 4)
    for i, client in ipairs(clients) do
      local last
      repeat last = client:receive() until not last
      client:close()
      clients[i] = nil
    end
    for _, peer in ipairs(peers) do
      assert.is_not.equal("silent", select(2, peer:receive_all()))
      peer:close()
    end
    assert.truthy(gateway.final_log:find("the drain deadline has passed", 1, true))
  end)

  it("lets a running request end, announces the end, and takes no further one", function()
    local client = gateway:connect()
    client:send(("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"):rep(2))
    local peer = origin:accept()
    peer:request()
    gateway:drain()
    wait.until_true("the listeners to close", function() return gone(gateway.http) end)
    peer:answer(200, ("d"):rep(500000))
    local answer = client:response()
    assert.equal(500000, #answer.body)
    assert.equal("close", answer:field "connection")
    assert.is_true(client:is_closed())
    client:close()
    local began = wait.now()
    gateway:finish()
    assert.is_true(wait.now() - began < 1)
    assert.is_false(origin:is_called())
  end)

  it("ends at once when told twice", function()
    local client = gateway:connect()
    client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    local peer = origin:accept()
    peer:request()
    gateway:drain()
    local began = wait.now()
    gateway:close()
    assert.is_true(wait.now() - began < 1)
    assert.is_nil((client:response()))
    assert.is_not.equal("silent", select(2, peer:receive_all()))
  end)

  it("gives all descriptors back", function()
    local function count()
      local pipe = io.popen("ls /proc/self/fd | wc -l") -- of the shell's child: what is inherited counts
      local n = tonumber(pipe:read("*a"))
      pipe:close()
      return n
    end
    gateway:close()
    local before = count()
    for _ = 1, 3 do
      gateway = gate.start { hosts = { ["a.test"] = { origin = origin.port } } }
      local client = gateway:connect()
      client:send "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
      local peer = origin:accept()
      peer:request()
      gateway:close()
      client:close()
      peer:close()
    end
    assert.equal(before, count())
  end)
end)
