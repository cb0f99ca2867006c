-- Requests of the control thread to the outside: what goes out, what is refused, what comes back; on a loop of the spec's own,
-- against a server whose every byte the spec writes.

local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local script = require "spec.support.script"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"
local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
local secrets = require "moongate.secrets"

local C, ffi = bridge.C, bridge.ffi

ffi.cdef [[
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
]]

describe("an errand to the outside", function()
  local loop_memory, loop, control, server, diag

  setup(function()
    loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
    diag = ffi.new("struct moon_diag[1]")
  end)

  before_each(function()
    local box = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(box, loop, diag) == 0)
    local _, struct = script.control()
    control = struct
    control.errands = box[0]
    errands.attach(control)
    errands.configure { allow_local = true }
    server = gate.origin()
  end)

  after_each(function()
    server:close()
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", control.errands))
    C.uv_run(loop, 0)
  end)

  teardown(function() assert.equal(0, C.uv_loop_close(loop)) end)

  local function url(path) return ("http://127.0.0.1:%d%s"):format(server.port, path or "/") end

  -- What a task got in the end. `beside` runs once, after the request has gone out.
  local function ask(request, beside)
    local result
    local task = coroutine.create(function()
      local answer, failure = errands.request(request)
      result = { answer = answer, failure = failure }
    end)
    assert(coroutine.resume(task))
    if result then return result.answer, result.failure end
    local outcome, peer = ffi.new("struct moon_ffi_outcome"), nil
    wait.until_true("the errand to be done", function()
      C.uv_run(loop, 2)
      if beside and not peer and server:is_called(0) then
        peer = server:accept()
        beside(peer)
      end
      for id = 1, 40 do
        if C.moon_ffi_errand_outcome(control, id, outcome) then
          local woken, answer, failure = errands.take(id)
          assert.equal(task, woken)
          assert(coroutine.resume(task, answer, failure))
          assert.is_false(C.moon_ffi_errand_outcome(control, id, outcome))
          return true
        end
      end
    end, 20)
    if peer then peer:close() end
    return result.answer, result.failure
  end

  -- The request has gone out once the loop has run a little.
  local function head_of(peer)
    local head
    wait.until_true("the head", function()
      C.uv_run(loop, 2)
      local bytes = peer:receive(0)
      peer.input = peer.input .. (bytes or "")
      local _, last = peer.input:find("\r\n\r\n", 1, true)
      if last then
        head, peer.input = peer.input:sub(1, last), peer.input:sub(last + 1)
      end
      return last
    end)
    return head
  end

  it("comes back with status and body", function()
    local head
    local answer, failure = ask({ url = url "/hook?a=1", headers = { ["X-One"] = "1" } }, function(peer)
      head = head_of(peer)
      peer:answer(404, "not here")
    end)
    assert.is_nil(failure)
    assert.same({ status = 404, body = "not here" }, answer)
    assert.equal("GET /hook?a=1 HTTP/1.1\r\n", head:match("^[^\n]*\n"))
    assert.truthy(head:find("\r\nX-One: 1\r\n", 1, true))
    assert.truthy(head:find("\r\nUser-Agent: moongate/", 1, true))
    assert.is_nil(head:lower():find("content-type", 1, true))
  end)

  it("carries a body as it is, with a method of its own or POST", function()
    for _, method in ipairs { "", "PUT", "DELETE" } do
      local head, rest
      assert.equal(200, ask({ url = url(), method = method ~= "" and method or nil, body = "a\0b",
        headers = { ["Content-Type"] = "application/json" } }, function(peer)
        head = head_of(peer)
        rest = peer.input
        peer:answer(200, "")
      end).status)
      assert.equal(method ~= "" and method or "POST", head:match("^%u+"))
      assert.truthy(head:find("\r\nContent-Length: 3\r\n", 1, true))
      assert.truthy(head:find("\r\nContent-Type: application/json\r\n", 1, true))
      assert.is_nil(head:find("Expect", 1, true))
      assert.equal("a\0b", rest)
    end
  end)

  it("follows no redirect, reads no proxy from the environment, and opens a connection each time", function()
    ffi.C.setenv("http_proxy", "http://127.0.0.1:1", 1)
    for _ = 1, 2 do
      assert.equal(302, ask({ url = url() }, function(peer)
        head_of(peer)
        peer:answer(302, "", "Location: " .. url "/elsewhere" .. "\r\n")
      end).status)
    end
    ffi.C.unsetenv "http_proxy"
    assert.is_false(server:is_called(0))
  end)

  for _, case in ipairs {
    { "an answer that is too large", { max_bytes = 10 }, function(peer) peer:answer(200, ("x"):rep(11)) end,
      "larger than 10 bytes" },
    { "a head that is too large", {}, function(peer) peer:answer(200, "", ("X-Y: " .. ("z"):rep(1000) .. "\r\n"):rep(70)) end,
      "larger than 65536 bytes" },
    { "no answer in time", { timeout_ms = 100 }, function() end, "there was no whole answer within 100 ms" },
    { "half an answer", {}, function(peer)
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
      peer:close()
    end, "3 bytes remaining" },
    { "no HTTP", {}, function(peer)
      peer:send "SSH-2.0-x\r\n"
      peer:close()
    end, "HTTP/0.9" },
  } do
    it("fails with " .. case[1], function()
      case[2].url = url()
      local answer, failure = ask(case[2], function(peer)
        head_of(peer)
        case[3](peer)
      end)
      assert.is_nil(answer)
      assert.truthy(failure.text:find(case[4], 1, true), failure.text)
    end)
  end

  it("takes an answer of exactly as many bytes as are allowed", function()
    assert.equal(10, #ask({ url = url(), max_bytes = 10 }, function(peer)
      head_of(peer)
      peer:answer(200, ("x"):rep(10))
    end).body)
  end)

  it("does not go to this machine or its links unless it is allowed, whatever they are called", function()
    errands.configure { allow_local = false }
    for _, host in ipairs { "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "2130706433" } do
      local answer, failure = ask { url = ("http://%s:%d/"):format(host, server.port), timeout_ms = 5000 }
      assert.is_nil(answer)
      assert.truthy(failure.text:find("is an address of this machine or its link", 1, true), host .. ": " .. failure.text)
    end
    assert.is_false(server:is_called(0))
  end)

  it("says that nobody listens", function()
    local port = server.port
    server:close()
    local _, failure = ask { url = ("http://127.0.0.1:%d/"):format(port) }
    assert.truthy(failure.text:find("onnect", 1, true), failure.text)
  end)

  for _, case in ipairs {
    { "no URL", "", "url" }, { "a word", "hook", "url" }, { "a scheme of another kind", "ftp://a.test/", "url" },
    { "a file", "file:///etc/passwd", "url" }, { "a URL with a password", "http://u:p@a.test/", "url" },
    { "a URL with a space", "http://a.test/ b", "url" }, { "a URL with a line break", "http://a.test/\r\nX: y", "url" },
    { "a host of 254 characters", ("http://%s.test/"):format(("a"):rep(249)), "url" },
    { "a URL of 9000 characters", "http://a.test/" .. ("x"):rep(9000), "url" },
    { "a method that is none", "http://a.test/", "method", { method = "GET /" } },
    { "a lower-case method", "http://a.test/", "method", { method = "get" } },
    { "a header with a line break", "http://a.test/", "headers", { headers = { X = "1\r\nY: 2" } } },
    { "a header name with a space", "http://a.test/", "headers", { headers = { ["X Y"] = "1" } } },
  } do
    it("is refused for " .. case[1], function()
      local request = case[4] or {}
      request.url = case[2]
      local answer, failure = ask(request)
      assert.is_nil(answer)
      assert.equal(case[3], failure.where)
      assert.is_nil(failure.text:find("u:p", 1, true))
    end)
  end

  it("is refused while 32 are under way, and possible again when they have ended", function()
    local answers, failure = 0, nil
    for _ = 1, 33 do
      errands.start(function()
        local _, why = errands.request { url = url() }
        if why then failure = why else answers = answers + 1 end
      end)
    end
    assert.equal("errands", failure.where)
    for id = 1, 32 do C.moon_ffi_errand_end(control, id) end
    assert.equal(0, answers)
    assert.equal(200, ask({ url = url() }, function(peer)
      head_of(peer)
      peer:answer(200, "")
    end).status)
  end)

  it("can be nothing but letting others go first", function()
    local order = {}
    errands.start(function()
      errands.give_way()
      order[#order + 1] = "gave way"
    end)
    order[#order + 1] = "went on"
    local outcome = ffi.new("struct moon_ffi_outcome")
    wait.until_true("the task to go on", function()
      C.uv_run(loop, 2)
      if C.moon_ffi_errand_outcome(control, 1, outcome) then errands.go_on(errands.take(1)) end
      return order[2]
    end)
    assert.same({ "went on", "gave way" }, order)
    errands.start(errands.give_way) -- and one that the gateway's end finds waiting
  end)

  it("is only for tasks", function()
    local running = coroutine.running
    coroutine.running = function() end -- luacheck: ignore 122
    local ok, message = pcall(errands.request, { url = url() })
    coroutine.running = running -- luacheck: ignore 122
    assert.is_false(ok)
    assert.matches("only a task can wait", message)
  end)

  describe("with a secret", function()
    setup(function()
      local path = certs.directory() .. "/errand.key"
      os.remove(path)
      assert(secrets.open_ring(path, true))
    end)

    it("opens it into a header that goes out, and nowhere else", function()
      local sealed = assert(secrets.seal("s3cret value", "hooks:secret:1"))
      local head
      assert.equal(200, ask({ url = url(), secret = { prefix = "cf-webhook-auth: ", sealed = sealed, context = "hooks:secret:1" } },
        function(peer)
          head = head_of(peer)
          peer:answer(200, "")
        end).status)
      assert.truthy(head:find("\r\ncf-webhook-auth: s3cret value\r\n", 1, true))
    end)

    for _, case in ipairs {
      { "of another row", "hooks:secret:2", "s3cret", "secrets" },
      { "that does not fit into a header", "hooks:secret:1", "a\r\nb: c", "headers" },
    } do
      it("does not go out with one " .. case[1], function()
        local sealed = assert(secrets.seal(case[3], "hooks:secret:1"))
        local answer, failure = ask { url = url(), secret = { prefix = "X: ", sealed = sealed, context = case[2] } }
        assert.is_nil(answer)
        assert.equal(case[4], failure.where)
        assert.is_false(server:is_called(0))
      end)
    end
  end)

  describe("to a program", function()
    local function run(words, input, timeout_ms)
      local result
      errands.start(function()
        local done, failure = errands.command(words, input or "", timeout_ms or 10000)
        result = { done = done, failure = failure }
      end)
      local outcome = ffi.new("struct moon_ffi_outcome")
      wait.until_true("the program to end", function()
        C.uv_run(loop, 2)
        if C.moon_ffi_errand_outcome(control, 1, outcome) then errands.go_on(errands.take(1)) end
        return result
      end)
      return result.done, result.failure and result.failure.text
    end

    it("hands it the input, and no shell reads its words", function()
      local path = certs.write("", ".out")
      local script_path = certs.write('cat > "$1"; echo "$2" >> "$1"', ".sh")
      assert.is_true((run({ "/bin/sh", script_path, path, "$(id) `id` ; *" }, ("line\n"):rep(50000))))
      assert.equal(("line\n"):rep(50000) .. "$(id) `id` ; *\n", shell.read(path))
    end)

    it("gives it nothing of the environment but a path and a language", function()
      local path = certs.write("", ".out")
      assert.is_true((run { "/bin/sh", certs.write('/usr/bin/env | sort > "$1"', ".sh"), path }))
      assert.is_nil(shell.read(path):find("HOME", 1, true))
      assert.truthy(shell.read(path):find("LANG=C.UTF-8", 1, true))
    end)

    for _, case in ipairs {
      { "an exit status", { "/bin/sh", "-c", "exit 7" }, "exit status 7" },
      { "a signal", { "/bin/sh", "-c", "kill -15 $$" }, "signal 15" },
      { "no such program", { "/nowhere/sendmail" }, "cannot be started: no such file" },
      { "no words", {}, "no words" },
    } do
      it("fails with " .. case[1], function()
        local done, failure = run(case[2])
        assert.is_nil(done)
        assert.truthy(failure:find(case[3], 1, true), failure)
      end)
    end

    it("kills it after its deadline", function()
      local done, failure = run({ "/bin/sleep", "60" }, ("x"):rep(1000000), 100)
      assert.is_nil(done)
      assert.matches("did not end in time", failure)
    end)

    it("does not mind one that reads nothing", function()
      assert.is_true((run({ "/bin/true" }, ("x"):rep(1000000))))
    end)

    it("that still runs ends with the gateway", function()
      errands.start(function() errands.command({ "/bin/sleep", "60" }, "", 60000) end)
    end)
  end)

  describe("over TLS", function()
    local root, servers

    setup(function()
      root, servers = certs.ca("Receivers"), {}
    end)
    teardown(function()
      for _, one in ipairs(servers) do
        shell.kill(one.pid, shell.KILL)
        shell.wait(one.pid)
        shell.remove_directory(one.directory)
      end
    end)

    local function serve(names, issuer)
      local leaf = certs.leaf(issuer or root, { cn = "receiver", eku = "serverAuth", san = names })
      local directory = shell.directory("receiver")
      local pid = shell.spawn({ "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", leaf.path, "-key", leaf.key_path,
        "-www" }, { stdout = directory .. "/out", stderr = directory .. "/err" })
      servers[#servers + 1] = { pid = pid, directory = directory }
      return wait.until_true("the receiver to listen", function()
        return tonumber((shell.read(directory .. "/out") or ""):match("ACCEPT 127%.0%.0%.1:(%d+)"))
      end)
    end

    it("takes a certificate for the name of a CA that it was given", function()
      local answer, failure = ask { url = ("https://127.0.0.1:%d/"):format(serve "IP:127.0.0.1"), ca = root.pem }
      assert.is_nil(failure)
      assert.equal(200, answer.status)
    end)

    it("takes the configured CAs when it was given none", function()
      errands.configure { allow_local = true, ca = root.pem }
      assert.equal(200, ask({ url = ("https://127.0.0.1:%d/"):format(serve "IP:127.0.0.1") }).status)
    end)

    for _, case in ipairs {
      { "of a CA that nobody trusts", "IP:127.0.0.1", false },
      { "for another name", "DNS:other.test", true },
    } do
      it("refuses a certificate " .. case[1], function()
        local answer, failure = ask { url = ("https://127.0.0.1:%d/"):format(serve(case[2])), ca = case[3] and root.pem or nil }
        assert.is_nil(answer)
        assert.truthy(failure.text:find("SSL", 1, true), failure.text)
      end)
    end
  end)
end)

describe("a task", function()
  it("that fails is told to the log, and ends nobody else", function()
    local ran = false
    local log = require "moongate.log"
    local line, told = log.line, nil
    log.line = function(...) told = { ... } end -- luacheck: ignore 122
    errands.start(function() error("broken") end)
    errands.start(function() ran = true end)
    log.line = line -- luacheck: ignore 122
    assert.is_true(ran)
    assert.truthy(told[4]:find("broken", 1, true))
  end)
end)
