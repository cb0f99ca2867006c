-- The admin listener's handler over a Lua state: requests in, responses out, and every way in which Lua can fail to answer.
-- The state runs the real modules, but for an admin/boot.lua that says what a case needs.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local unit = require "spec.support.unit"
local wait = require "spec.support.wait"
local json = require "moongate.json"
local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

unit.load [[
typedef struct uv_loop_s uv_loop_t;
size_t uv_loop_size(void);
int uv_loop_init(uv_loop_t *);
int uv_loop_close(uv_loop_t *);
int uv_run(uv_loop_t *, int mode);
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
]]

local count = 0

-- A plane whose application is `body`, the body of `function app:handle(request)`.
local function plane_with(body, start, loop)
  count = count + 1
  local tree = ("%s/plane-%d"):format(certs.directory(), count)
  os.execute(("mkdir -p %s && cp -r lua rules admin cli %s/"):format(tree, tree))
  local file = assert(io.open(tree .. "/admin/boot.lua", "w"))
  file:write("local M, app = {}, { ticks = 0 }\nfunction app:handle(request)\n", body, "\nend\n",
    "function app:tick() self.ticks = self.ticks + 1 if self.ticks == 3 then error('third tick') end end\n",
    "function app:stop() error('stopped') end\n",
    "function M.start(options)\n", start or "return app", "\nend\nreturn M\n")
  file:close()
  local self = { log = script.log(), diag = ffi.new("struct moon_diag") }
  local _, control = script.control(self.log)
  self.control = control
  if loop then
    local errands = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(errands, loop, self.diag) == 0)
    control.errands = errands[0]
  end
  self.state = ffi.new("struct lua_State *[1]", C.moon_vm_open(tree, self.diag))
  self.plane = ffi.new("struct moon_plane *[1]")
  assert(C.moon_plane_new(self.plane, self.state[0], control, self.diag) == 0, ffi.string(self.diag.text))
  self.handler = ffi.new("struct moon_handler")
  C.moon_plane_handler(self.plane[0], self.handler)

  function self.start()
    assert(C.luaL_loadstring(self.state[0], "return { data_dir = 'x', number = 42 }") == 0)
    assert(C.lua_pcall(self.state[0], 0, 1, 0) == 0)
    local rc = C.moon_plane_start(self.plane[0], 1, self.diag)
    assert.equal(1, C.lua_gettop(self.state[0]))
    C.lua_settop(self.state[0], 0)
    if rc ~= 0 then return nil, ffi.string(self.diag.where), ffi.string(self.diag.text) end
    return true
  end

  function self.ask(request)
    request = request or {}
    local kept = {}
    local function view(text)
      kept[#kept + 1] = text
      return unit.str(text)
    end
    local asked, answer = ffi.new("struct moon_handler_request"), ffi.new("struct moon_handler_response")
    asked.method, asked.path = view(request.method or "GET"), view(request.path or "/client/v4/x")
    asked.host, asked.address, asked.ray = view "admin.test", view "127.0.0.1", view "0123456789abcdef"
    asked.has_query = request.query ~= nil
    asked.query = view(request.query or "")
    asked.body = view(request.body or "")
    local headers = request.headers or {}
    local fields = ffi.new("struct moon_http_field[?]", #headers + 1)
    for i, header in ipairs(headers) do fields[i - 1].name, fields[i - 1].value = view(header[1]), view(header[2]) end
    asked.fields, asked.field_count = fields, #headers
    self.handler.serve(self.handler.data, asked, answer)
    assert.equal(0, C.lua_gettop(self.state[0]))
    if answer.later ~= nil then return answer.later end
    local out = { status = answer.status, body = unit.text(answer.body), headers = {} }
    for i = 1, tonumber(answer.field_count) do
      out.headers[unit.text(answer.fields[i - 1].name)] = unit.text(answer.fields[i - 1].value)
    end
    return out
  end

  function self.close()
    C.moon_plane_stop(self.plane)
    C.moon_vm_close(self.state)
    return self.log.lines()
  end
  return self
end

describe("the handler of the control plane", function()
  it("answers 503 before it was started", function()
    local plane = plane_with "return 200, {}, 'x'"
    local answer = plane.ask()
    assert.equal(503, answer.status)
    assert.is_false(json.decode(answer.body).success)
    plane.close()
  end)

  it("hands the request over and the answer back", function()
    local plane = plane_with [[
      local json = require "moongate.json"
      return 201, { { "Content-Type", "application/json" }, { "X-Two", "2" } }, json.encode(request) ]]
    assert.is_true(plane.start())
    local answer = plane.ask { method = "POST", path = "/client/v4/a%20b", query = "x=1&y=2", body = "{\0}",
      headers = { { "X-One", "1" }, { "authorization", "Bearer a" }, { "AUTHORIZATION", "Bearer b" } } }
    assert.equal(201, answer.status)
    assert.same({ ["Content-Type"] = "application/json", ["X-Two"] = "2" }, answer.headers)
    local seen = json.decode(answer.body)
    assert.equal("POST", seen.method)
    assert.equal("/client/v4/a%20b", seen.path)
    assert.equal("x=1&y=2", seen.query)
    assert.equal("{\0}", seen.body)
    assert.equal("127.0.0.1", seen.address)
    assert.equal("0123456789abcdef", seen.ray)
    assert.equal("1", seen.headers["x-one"])
    assert.equal("Bearer a, Bearer b", seen.headers.authorization)
    plane.close()
  end)

  it("tells a query that is empty from one that is not there", function()
    local plane = plane_with "return 200, {}, tostring(request.query)"
    plane.start()
    assert.equal("", plane.ask({ query = "" }).body)
    assert.equal("nil", plane.ask().body)
    plane.close()
  end)

  it("keeps an answer until the next request", function()
    local plane = plane_with "collectgarbage() return 200, { { 'X-Path', request.path } }, request.path:rep(1000)"
    plane.start()
    for i = 1, 200 do
      local answer = plane.ask { path = "/" .. i }
      assert.equal("/" .. i, answer.headers["X-Path"])
      assert.equal(("/" .. i):rep(1000), answer.body)
    end
    plane.close()
  end)

  for _, case in ipairs {
    { "an error", "error('secret detail')", "secret detail" },
    { "an error that is a table", "error({})", "error value is a table" },
    { "no status", "return nil", "status is nil" },
    { "a status that is none", "return 99, {}, ''", "status is 99" },
    { "a status with a fraction", "return 200.5, {}, ''", "status is 200.5" },
    { "a body that is no text", "return 200, {}, {}", "body is a table" },
    { "a field that is no text", "return 200, { { 'X', 1 } }, ''", "field value is a number" },
    { "too many fields", "local h = {} for i = 1, 65 do h[i] = { 'X', '1' } end return 200, h, ''", "65 header fields" },
    { "endless recursion", "local function f() return 1 + f() end return f()", "stack overflow" },
  } do
    it(("answers 500 in the envelope for %s, tells the log and not the client"):format(case[1]), function()
      local plane = plane_with(case[2])
      plane.start()
      for _ = 1, 3 do
        local answer = plane.ask()
        assert.equal(500, answer.status)
        assert.equal("application/json", answer.headers["Content-Type"])
        assert.same({ success = false, errors = { { code = 10013, message = "Internal error" } }, messages = {}, result = json.null },
          json.decode(answer.body))
      end
      local log = plane.close()
      assert.truthy(log:find(case[3], 1, true), log)
      assert.truthy(log:find("0123456789abcdef", 1, true))
    end)
  end

  it("hands the configuration, the control functions and a log to the start", function()
    local plane = plane_with("return 200, {}, app.told", [[
      app.told = options.config.number .. " " .. type(options.control.section)
      options.log("warn", "starting up")
      return app ]])
    assert.is_true(plane.start())
    assert.equal("42 function", plane.ask().body)
    assert.truthy(plane.close():find("starting up", 1, true))
  end)

  for _, case in ipairs {
    { "a reason with its place", "return nil, { where = 'some/path', text = 'it is broken' }", "some/path", "it is broken" },
    { "a reason that is a text", "return nil, 'it is broken'", "", "it is broken" },
    { "an error", "error('it is broken', 0)", "", "it is broken" },
  } do
    it(("does not start with %s, and says so"):format(case[1]), function()
      local plane = plane_with("return 200, {}, ''", case[2])
      local ok, where, text = plane.start()
      assert.is_nil(ok)
      assert.equal(case[3], where)
      assert.equal(case[4], text)
      assert.equal(503, plane.ask().status)
      plane.close()
    end)
  end

  it("ticks, survives a tick and a stop that fail, and tells the log", function()
    local plane = plane_with "return 200, {}, tostring(self.ticks)"
    plane.start()
    for _ = 1, 4 do C.moon_plane_tick(plane.plane[0]) end
    assert.equal("4", plane.ask().body)
    local log = plane.close()
    assert.truthy(log:find("third tick", 1, true))
    assert.truthy(log:find("stopped", 1, true))
  end)

  it("puts an answer off while the request waits for something outside, and drops it when the client has gone", function()
    local loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    local loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
    local plane = plane_with([[
      if request.path == "/asked" then return 200, {}, tostring(app.asked) end
      local control = require "moongate.control"
      control.configure_outgoing { allow_local = true }
      local _, failure = control.outgoing { url = "http://127.0.0.1:1/" }
      app.asked = failure.text
      return 200, {}, "x" ]], nil, loop)
    plane.start()
    local later = plane.ask { path = "/wait" }
    assert.equal("cdata", type(later))
    assert.equal("nil", plane.ask({ path = "/asked" }).body)
    plane.handler.gone(plane.handler.data, later)
    wait.until_true("the task to have ended", function()
      C.uv_run(loop, 2)
      return plane.ask({ path = "/asked" }).body ~= "nil"
    end)
    plane.ask { path = "/wait" } -- and one that still waits at the end
    plane.close()
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", plane.control.errands))
    C.uv_run(loop, 0)
    assert.equal(0, C.uv_loop_close(loop))
  end)
end)
