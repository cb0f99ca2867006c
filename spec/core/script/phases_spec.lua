-- A worker's hooks as the gateway calls them: C calls Lua in a state of its own, facts in, verdict out.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

local control = script.control()
local generation = 0

local function snapshot_of(...)
  local sections = {}
  for i, document in ipairs { ... } do
    document.id, document.version = "z" .. i, 1
    document.hosts = document.hosts or {}
    sections[i] = assert(control.section(document))
  end
  generation = generation + 1
  return assert(control.snapshot(generation, sections)), sections
end

local MTLS = 'http.host in {"api.example.com"} and not cf.tls_client_auth.cert_verified'

describe("the hooks of a worker", function()
  local worker

  before_each(function() worker = assert(script.worker()) end)
  after_each(function()
    if worker then worker:close() end
    worker = nil
  end)

  local function serve(...)
    assert(worker:adopt((snapshot_of(...))))
  end

  it("block what is not verified and let pass what is", function()
    serve { name = "example.com", hosts = { { name = "api.example.com" } },
      rules = { { id = "r1", action = "block", expression = MTLS } } }
    local verdict = worker:ask { host = "api.example.com" }
    assert.equal("block", verdict.action)
    assert.equal("r1", verdict.rule_id)
    assert.equal("pass", worker:ask({ host = "api.example.com", certificate = { presented = true, verified = true } }).action)
    assert.equal("block", worker:ask({ host = "api.example.com", certificate = { presented = true } }).action)
    assert.equal("pass", worker:ask({ host = "www.example.com" }).action)
  end)

  it("clear the verdict of the request before", function()
    serve { name = "example.com", hosts = { { name = "a.example.com" } }, rules = {
      { id = "l", action = "log", expression = 'http.request.uri.path contains "l"' },
      { id = "b", action = "block", expression = 'http.request.uri.path eq "/bl"',
        action_parameters = { response = { status_code = 418, content = "tea", content_type = "text/plain" } } },
    } }
    local verdict = worker:ask { host = "a.example.com", path = "/bl" }
    assert.same({ action = "block", status = 418, content = "tea", content_type = "text/plain", rule_id = "b", matches = { "l" } },
      verdict)
    assert.same({ action = "pass", status = 0, content = "", content_type = "", rule_id = "", matches = {} },
      worker:ask { host = "a.example.com", path = "/" })
  end)

  it("hold before the first snapshot was adopted: closed", function()
    worker.snapshot = snapshot_of { name = "example.com", rules = {} }
    assert.equal("fail", worker:ask({ host = "a.example.com" }).action)
  end)

  it("fail closed for a request without a host", function()
    serve { name = "example.com", rules = {} }
    worker:fill { host = "nobody.test" }
    worker:decide()
    assert.equal(2, worker.verdict.action)
  end)

  it("serve the rules of the snapshot adopted last, from the next request on", function()
    local function rules(path)
      return { name = "example.com", hosts = { { name = "a.example.com" } },
        rules = { { id = path, action = "block", expression = ('http.request.uri.path eq "%s"'):format(path) } } }
    end
    for _, path in ipairs { "/one", "/two", "/three" } do
      serve(rules(path))
      assert.equal("block", worker:ask({ host = "a.example.com", path = path }).action)
      assert.equal("pass", worker:ask({ host = "a.example.com", path = path .. "/" }).action)
    end
    assert.equal("pass", worker:ask({ host = "a.example.com", path = "/one" }).action)
  end)

  it("keep zones apart", function()
    serve({ name = "one.test", rules = { { id = "1", action = "block", expression = "true" } } },
      { name = "two.test", rules = {} })
    assert.equal("block", worker:ask({ host = "a.one.test" }).action)
    assert.equal("pass", worker:ask({ host = "a.two.test" }).action)
  end)

  it("agree with themselves however often they are asked, compiled or not", function()
    serve { name = "example.com", hosts = { { name = "api.example.com" }, { name = "b.example.com" } },
      rules = { { id = "r1", action = "block", expression = MTLS },
        { id = "r2", action = "block", expression = 'http.request.uri.path contains "/secret" and ip.src in {192.0.2.0/24}' } } }
    for i = 1, 3000 do
      local verified = i % 2 == 0
      local path = i % 3 == 0 and "/secret" or "/" .. i
      local host = i % 5 == 0 and "b.example.com" or "api.example.com"
      local ip = i % 7 == 0 and "\198\51\100\1" or "\192\0\2\9"
      local expected = host == "api.example.com" and not verified and "r1"
        or path == "/secret" and ip == "\192\0\2\9" and "r2" or ""
      local verdict = worker:ask { host = host, path = path, ip = ip, certificate = { presented = verified, verified = verified } }
      assert.equal(expected, verdict.rule_id)
      assert.equal(expected == "" and "pass" or "block", verdict.action)
    end
  end)

  it("survive a garbage collection between adopting and asking", function()
    local snapshot = snapshot_of { name = "example.com", rules = { { id = "long-rule-id", action = "block", expression = "true" } } }
    assert(worker:adopt(snapshot))
    for _ = 1, 20 do
      collectgarbage()
      assert.equal("long-rule-id", worker:ask({ host = "a.example.com" }).rule_id)
    end
  end)
end)

describe("a worker with rules that fail", function()
  -- A source tree whose fields have an accessor that raises an error: what a defect below the rules looks like from above.
  local tree = certs.directory() .. "/broken-tree"
  os.execute(("mkdir -p %s && cp -r lua rules admin cli %s/"):format(tree, tree))
  local function change(path, from, to)
    local file = assert(io.open(tree .. "/" .. path))
    local text = file:read("*a")
    file:close()
    local start, stop = text:find(from, 1, true)
    assert(start, from)
    file = assert(io.open(tree .. "/" .. path, "w"))
    file:write(text:sub(1, start - 1), to, text:sub(stop + 1))
    file:close()
  end
  change("lua/fields.lua", [[name = "http.user_agent", type = "String", from = "user_agent"]],
    [[name = "http.user_agent", type = "String", expression = "error('the field is broken')"]])

  it("counts a failing block rule as a match, tells once, and goes on serving", function()
    local worker = assert(script.worker { source_dir = tree })
    assert(worker:adopt((snapshot_of { name = "example.com", hosts = { { name = "a.example.com" } }, rules = {
      { id = "log", action = "log", expression = "ssl" },
      { id = "bad-log", action = "log", expression = 'http.user_agent eq "x"' },
      { id = "path", action = "block", expression = 'http.request.uri.path eq "/blocked"' },
      { id = "bad", action = "block", expression = 'http.request.uri.path eq "/ask" and http.user_agent eq "x"' },
    } })))
    for _ = 1, 300 do
      local verdict = worker:ask { host = "a.example.com", path = "/ask" }
      assert.equal("block", verdict.action)
      assert.equal("bad", verdict.rule_id)
      assert.same({ "log" }, verdict.matches)
      assert.equal("path", worker:ask({ host = "a.example.com", path = "/blocked" }).rule_id)
      assert.equal("pass", worker:ask({ host = "a.example.com", path = "/" }).action)
    end
    local log = worker:close()
    assert.truthy(log:find("the field is broken", 1, true))
    assert.truthy(log:find("a.example.com", 1, true))
    local _, lines = log:gsub("\n", "\n")
    assert.truthy(lines < 20, "a line for each request")
  end)

  it("refuses to open when its modules do not load", function()
    local file = assert(io.open(tree .. "/lua/ruleset.lua", "w"))
    file:write("this is not Lua")
    file:close()
    local worker, message = script.worker { source_dir = tree }
    assert.is_nil(worker)
    assert.truthy(message:find("ruleset.lua", 1, true))
  end)
end)

describe("adopting a snapshot", function()
  it("keeps what is served when the new one is refused", function()
    local worker = assert(script.worker())
    assert(worker:adopt((snapshot_of { name = "example.com", rules = { { id = "r1", action = "block", expression = "true" } } })))
    local served = worker.snapshot
    -- Past the control plane's own check, as if it were another version: rules that a worker cannot read.
    local policy = C.moon_section_host(C.moon_snapshot_section(served.handle, 0), 0).terms.policy
    local section = C.moon_ffi_section_new("example.org", 11, "[{]", 3, policy)
    local _, struct = script.control()
    struct.next_host_id = 100000
    C.moon_ffi_section_seal(section, struct)
    local list, out = ffi.new("struct moon_section *[1]", section), ffi.new("struct moon_snapshot *[1]")
    assert(C.moon_ffi_snapshot_new(out, 99, list, 1, nil, nil) == 0)
    local ok, message = worker:adopt { handle = out[0] }
    assert.is_nil(ok)
    assert.truthy(message:find("example.org", 1, true))
    assert.equal(served, worker.snapshot)
    assert.equal("block", worker:ask({ host = "a.example.com" }).action)
    local log = worker:close()
    assert.truthy(log:find("not adopted", 1, true))
    C.moon_ffi_snapshot_free(out[0])
    C.moon_ffi_section_free(section)
  end)
end)
