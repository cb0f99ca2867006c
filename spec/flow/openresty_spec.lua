-- examples/openresty as it stands there: Debian's nginx with its Lua module, the engine's folder on its Lua path, real requests with real
-- client certificates. That nginx is unpacked into the build directory, once; without a network on the first run it is pending.

local ffi = require "ffi"
local certs = require "spec.support.certs"
local client = require "spec.support.client"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

ffi.cdef [[
  int bind(int fd, const void *address, unsigned len);
  int getsockname(int fd, void *address, unsigned *len);
]]

local EXAMPLE = "examples/openresty"
local FOLDER = "build/openresty"

local function run(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1; echo status=$?"))
  local output, status = pipe:read("*a"):match("^(.*)status=(%d+)%s*$")
  pipe:close()
  return tonumber(status), (output:gsub("%s+$", ""))
end

local function absolute(path)
  local _, output = run("readlink -f " .. shell.quote(path))
  return output
end

-- nginx cannot be told to take any port, so one that is free now has to do.
local function free_port()
  local fd, size = ffi.C.socket(2, 1, 0), ffi.new("unsigned[1]", 16)
  local address = ffi.new("struct moon_spec_address", { family = 2, ip = ffi.C.htonl(0x7f000001) })
  assert(ffi.C.bind(fd, address, 16) == 0 and ffi.C.getsockname(fd, address, size) == 0, "no free port")
  ffi.C.close(fd)
  return ffi.C.htons(address.port)
end

local function replace(text, what, by)
  local at, stop = text:find(what, 1, true)
  assert(at, "nginx.conf has no " .. what)
  return text:sub(1, at - 1) .. by .. text:sub(stop + 1)
end

describe("examples/openresty", function()
  local status, reason = run(EXAMPLE .. "/fetch " .. FOLDER)
  if status ~= 0 then
    return pending("needs nginx with its Lua module from Debian's mirror: " .. reason)
  end

  local directory, port, pid, backend, ca, member, stranger, expired, server
  local program = absolute(FOLDER .. "/nginx")

  -- A folder like the example's, with certificates, ports of its own and these rules (nil: the example's).
  local function furnish(rules)
    local made = shell.directory("moongate-openresty")
    local lines = {
      ("cp %s/*.lua %s"):format(EXAMPLE, made), ("mkdir %s/moongate %s/tls"):format(made, made),
      ("ln -s %s %s/moongate/rules"):format(absolute("rules"), made), ("ln -s %s %s/modules"):format(absolute(FOLDER .. "/modules"), made),
      ("cp %s %s/tls/server.pem"):format(server.path, made), ("cp %s %s/tls/server.key"):format(server.key_path, made),
      ("cp %s %s/tls/clients.pem"):format(ca.path, made),
    }
    local failed, output = run(table.concat(lines, " && "))
    assert(failed == 0, output)
    local conf = replace(shell.read(EXAMPLE .. "/nginx.conf"), "127.0.0.1:8443", "127.0.0.1:" .. port)
    shell.write(made .. "/nginx.conf", replace(conf, "http://127.0.0.1:9000", backend.url))
    if rules then shell.write(made .. "/rules.lua", "return {" .. rules .. "}\n") end
    return made
  end

  local function arguments(folder) return { program, "-p", folder, "-c", "nginx.conf", "-e", "error.log" } end

  setup(function()
    backend = origin.start()
    port = free_port()
    ca = certs.ca("Partners")
    member = certs.leaf(ca, { subject = "/O=Acme/CN=pump-17" })
    stranger = certs.leaf(certs.ca("Strangers"), { cn = "stranger" })
    expired = certs.leaf(ca, { cn = "late", not_before = os.time() - 7200, not_after = os.time() - 3600 })
    server = certs.leaf(ca, { cn = "api.example.com", eku = "serverAuth", san = "DNS:api.example.com,DNS:www.example.com" })
    directory = furnish()
    pid = shell.spawn(arguments(directory), { stdout = directory .. "/stdout", stderr = directory .. "/stderr" })
    wait.until_true("nginx to listen", function()
      if shell.ended(pid) then
        pid = nil
        error((shell.read(directory .. "/stderr") or "") .. (shell.read(directory .. "/error.log") or ""), 0)
      end
      local session = client.connect { port = port, tls = false, timeout = 5 }
      if session then session:close() end
      return session ~= nil
    end, 20)
  end)

  teardown(function()
    if pid then
      shell.kill(pid, shell.TERM)
      shell.wait(pid)
    end
    backend:stop()
    shell.remove_directory(directory)
  end)

  local function ask(host, cert, path, fields)
    local session = assert(client.connect {
      port = port, sni = host, ca = ca.path, cert = cert and cert.chain_path, key = cert and cert.key_path,
    })
    local response = assert(session:get(path or "/", { host = host, fields = fields }))
    session:close()
    return response.status
  end

  for _, case in ipairs {
    { 200, "with a certificate of the CA", function() return member end }, { 403, "without a certificate", function() end },
    { 403, "with a stranger's certificate", function() return stranger end },
    { 403, "with a certificate that is out of date", function() return expired end },
  } do
    it(("answers %d %s"):format(case[1], case[2]), function()
      assert.equal(case[1], ask("api.example.com", case[3]()))
    end)
  end

  it("leaves the other host open", function()
    assert.equal(200, ask("www.example.com"))
    assert.equal(200, ask("www.example.com", stranger))
  end)

  it("matches regular expressions with the engine's own", function()
    assert.equal(403, ask("www.example.com", nil, "/", { { "User-Agent", "SQLmap/1.7" } }))
    assert.equal(200, ask("www.example.com", nil, "/", { { "User-Agent", "sqlmapper" } }))
  end)

  it("names the rule in its log", function()
    ask("api.example.com")
    assert.truthy(shell.read(directory .. "/error.log"):find("rule 1 (clients of the API have a certificate of ours) blocks", 1, true))
  end)

  it("does not start with an expression that is wrong, and says where", function()
    local folder = furnish [[{ expression = 'http.hots eq "a"', action = "block" }]]
    local result = shell.run(arguments(folder))
    assert.not_equal(0, result.status)
    for _, text in ipairs { "rule 1: Filter parsing error (1:1)", "^^^^^^^^^ unknown identifier", "did you mean http.host?" } do
      assert.truthy((result.stderr .. (shell.read(folder .. "/error.log") or "")):find(text, 1, true), text)
    end
    shell.remove_directory(folder)
  end)

  it("reads every field of a request as the language types it", function()
    -- One rule a field: each reports when its value is as expected; nothing blocks.
    local fingerprint = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. member.path):match("=(%S+)"):gsub(":", ""):lower()
    local serial = certs.openssl("x509 -noout -serial -in " .. member.path):match("=(%S+)")
    local expectations = {
      'http.request.method eq "GET"', 'http.request.uri eq "/a%20b?c=d"', 'http.request.uri.path eq "/a%20b"', 'http.request.uri.query eq "c=d"',
      'http.request.version eq "HTTP/1.1"', 'http.request.headers["x-two"][1] eq "second"', 'http.request.headers["host"][0] eq "www.example.com"',
      'http.user_agent eq "spec"', 'http.referer eq ""', "ip.src in {127.0.0.0/8}", "ssl", 'starts_with(cf.tls_version, "TLSv1.")', "len(cf.tls_cipher) gt 5",
      "cf.tls_client_auth.cert_presented", "cf.tls_client_auth.cert_verified", "not cf.tls_client_auth.cert_revoked",
      'cf.tls_client_auth.cert_subject_dn eq "CN=pump-17,O=Acme"', 'cf.tls_client_auth.cert_issuer_dn eq "CN=Partners"',
      'cf.tls_client_auth.cert_subject_dn_legacy eq "/O=Acme/CN=pump-17"', ('cf.tls_client_auth.cert_serial eq "%s"'):format(serial),
      ('cf.tls_client_auth.cert_fingerprint_sha256 eq "%s"'):format(fingerprint), "len(cf.tls_client_auth.cert_fingerprint_sha1) eq 40",
      'cf.tls_client_auth.cert_not_after matches r"^[A-Z][a-z]{2} [ \\d]\\d [\\d:]{8} \\d{4} GMT$"', 'starts_with(cf.tls_client_auth.cert_rfc9440, ":MII")',
    }
    local lines = {}
    for i, expression in ipairs(expectations) do
      lines[i] = ("{ expression = %q, action = 'log', description = 'expectation %d' }"):format(expression, i)
    end
    local folder = furnish(table.concat(lines, ",\n"))
    local second = free_port()
    shell.write(folder .. "/nginx.conf", replace(shell.read(folder .. "/nginx.conf"), "127.0.0.1:" .. port, "127.0.0.1:" .. second))
    local other = shell.spawn(arguments(folder), { stderr = folder .. "/stderr" })
    finally(function()
      shell.kill(other, shell.TERM)
      shell.wait(other)
      shell.remove_directory(folder)
    end)
    local session = wait.until_true("the second nginx to listen", function()
      return (client.connect { port = second, sni = "www.example.com", ca = ca.path, cert = member.chain_path, key = member.key_path })
    end, 20)
    assert.equal(200, session:get("/a%20b?c=d", {
      host = "www.example.com", fields = { { "User-Agent", "spec" }, { "X-Two", "first" }, { "x-two", "second" } },
    }).status)
    session:close()
    local log = shell.read(folder .. "/error.log")
    for i, expression in ipairs(expectations) do
      assert.truthy(log:find(("(expectation %d) matches"):format(i), 1, true), expression)
    end
  end)
end)
