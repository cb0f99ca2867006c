-- Origins that come from DNS records: they listen on the scheme's own port, so this spec needs the right to do so.

local ffi = require "ffi"
local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin_support = require "spec.support.origin"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

ffi.cdef [[
int socket(int domain, int type, int protocol);
int bind(int fd, const void *address, unsigned len);
int listen(int fd, int backlog);
int connect(int fd, const void *address, unsigned len);
int close(int fd);
]]

-- Listens on 127.73.0.LAST:443 and takes nothing: its queue is full, so the system lets further connections wait.
local function open_hole(last)
  local address, fds = ffi.new("unsigned char[16]", { 2, 0, 1, 187, 127, 73, 0, last }), {}
  local function open(kind)
    fds[#fds + 1] = ffi.C.socket(2, kind, 0)
    return fds[#fds]
  end
  local listener = open(1)
  assert(ffi.C.bind(listener, address, 16) == 0 and ffi.C.listen(listener, 0) == 0)
  for _ = 1, 4 do ffi.C.connect(open(0x801), address, 16) end -- without waiting
  return function()
    for _, fd in ipairs(fds) do ffi.C.close(fd) end
  end
end

describe("a proxied DNS record", function()
  local gate, zone
  local servers = {}

  -- `openssl s_server -www` answers every GET; with a name, only to clients that ask for that one.
  local function serve(address, name)
    local root = certs.ca("Origins")
    local one = certs.leaf(root, { cn = "origin", eku = "serverAuth", san = "DNS:origin.test" })
    local directory = shell.directory("s_server")
    local argv = { "openssl", "s_server", "-accept", address .. ":443", "-cert", one.path, "-key", one.key_path, "-www" }
    for _, word in ipairs(name and { "-cert2", one.path, "-key2", one.key_path, "-servername", name, "-servername_fatal" } or {}) do
      argv[#argv + 1] = word
    end
    local pid = shell.spawn(argv, { stdout = directory .. "/out", stderr = directory .. "/err" })
    servers[#servers + 1] = { pid = pid, directory = directory }
    return wait.until_true("s_server to listen, or to say why not", function()
      if (shell.read(directory .. "/out") or ""):find("ACCEPT", 1, true) then return "yes" end
      return (shell.read(directory .. "/err") or ""):find("error", 1, true) and "no"
    end) == "yes"
  end

  local can_listen

  setup(function()
    can_listen = serve("127.73.0.1") and serve("127.73.0.2", "www.example.com")
    gate = gateway.start { config = { timeouts = { origin_connect = 2 } } }
    zone = gate:create_zone "example.com"
  end)

  teardown(function()
    gate:stop()
    for _, server in ipairs(servers) do
      shell.kill(server.pid, shell.KILL)
      shell.wait(server.pid)
      shell.remove_directory(server.directory)
    end
  end)

  local function record(kind, name, content)
    return gate:api("POST", ("/zones/%s/dns_records"):format(zone), { type = kind, name = name, content = content, proxied = true }).id
  end

  local function flow(title, run)
    it(title, function()
      if not can_listen then return pending("needs the right to listen on port 443") end
      run()
    end)
  end

  flow("takes requests to its address, under their own name, until it is deleted", function()
    assert.equal(530, (gate:status { host = "www.example.com" }))
    local id = record("A", "www", "127.73.0.2")
    assert.equal(200, (gate:status { host = "www.example.com" }))
    record("A", "other", "127.73.0.2")
    assert.truthy((gate:status { host = "other.example.com" }) >= 500)
    gate:api("DELETE", ("/zones/%s/dns_records/%s"):format(zone, id))
    assert.equal(530, (gate:status { host = "www.example.com" }))
  end)

  flow("of a wildcard gives each request its own name, also where connections are kept", function()
    local inner = origin_support.start()
    local behind = gateway.start { origin = inner, config = { listen = { "127.73.0.3:443" } } }
    record("A", "*.wild", "127.73.0.3")
    for _, name in ipairs { "a", "b", "a", "a", "b" } do
      assert.equal(200, (gate:status { host = name .. ".wild.example.com" }))
    end
    local seen = wait.until_true("five requests in the log of the origin", function()
      local seen = {}
      for _, line in ipairs(behind:log_lines()) do
        if line.subject == "request" then seen[#seen + 1] = line end
      end
      return #seen == 5 and seen
    end)
    for _, line in ipairs(seen) do assert.is_nil(line.sni) end -- told only where it is another than the host
    behind:stop()
    inner:stop()
  end)

  flow("is one of several: an address that refuses gives way to the next", function()
    record("A", "many", "127.73.0.9")
    record("A", "many", "127.73.0.1")
    for _ = 1, 4 do assert.equal(200, (gate:status { host = "many.example.com" })) end
  end)

  flow("is one of several: an address that swallows everything leaves the others their share of the time", function()
    local close_hole = open_hole(8)
    record("A", "slow", "127.73.0.8")
    record("A", "slow", "127.73.0.1")
    for _ = 1, 3 do assert.equal(200, (gate:status { host = "slow.example.com" })) end
    close_hole()
  end)

  flow("of a CNAME goes where the zone's own records lead", function()
    record("CNAME", "alias", "many.example.com")
    assert.equal(200, (gate:status { host = "alias.example.com" }))
  end)

  flow("is not trusted in the mode strict when its certificate is nobody's", function()
    gate:api("PATCH", ("/zones/%s/settings/ssl"):format(zone), { value = "strict" })
    local status = gate:status { host = "many.example.com" }
    assert.truthy(status == 526 or status == 525 or status == 502, status)
    gate:api("PATCH", ("/zones/%s/settings/ssl"):format(zone), { value = "full" })
    assert.equal(200, (gate:status { host = "many.example.com" }))
  end)
end)
