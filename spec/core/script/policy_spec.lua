-- Policy files in a worker's hooks: what they declare is asked by the rules of the same thread, in another Lua state.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local unit = require "spec.support.unit"
local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

unit.load [[
struct moon_policies *moon_policies_new(const struct moon_str *paths, size_t count, unsigned budget_ms, bool jit, const char *source_dir);
void moon_policies_free(struct moon_policies **policies);
]]

local function views(texts)
  local list = ffi.new("struct moon_str[?]", #texts + 1)
  for i, text in ipairs(texts) do list[i - 1].data, list[i - 1].len = ffi.cast("const char *", text), #text end
  return list
end

local HEAD = "local moongate = require 'moongate'\n"

describe("moon_ffi_policy_check()", function()
  local diag = ffi.new("struct moon_diag")

  local function check(text, jit)
    local path = certs.write(HEAD .. text, ".lua")
    local paths = { path }
    local rc = C.moon_ffi_policy_check(views(paths), 1, 10, jit or false, diag)
    return rc == 0, ffi.string(diag.text)
  end

  it("is content with a file that loads", function()
    assert.is_true((check "moongate.on('request', function() end)"))
    assert.is_true((check("moongate.on('request', function() end)", true)))
  end)

  for _, case in ipairs {
    { "an error", "error 'no'", "%.lua:2: no$" },
    { "an endless loop", "while true do end", "%.lua:2: the policy ran longer than 2000 ms$" },
    { "memory without end", "local s = ('x'):rep(1e6) local t = {} for i = 1, 1e6 do t[i] = s .. i end", "not enough memory$" },
    { "an error that is a table", "error {}", "error value is a table" },
    { "waiting", "moongate.sleep(1)", "%.lua:2: moongate%.sleep waits" },
  } do
    it("tells of " .. case[1], function()
      local ok, text = check(case[2])
      assert.is_false(ok)
      assert.truthy(text:find(case[3]), text)
    end)
  end

  it("tells of a file that is not there", function()
    assert.is_true(C.moon_ffi_policy_check(views { "no/such/file.lua" }, 1, 10, false, diag) < 0)
    assert.truthy(ffi.string(diag.text):find("no/such/file.lua: No such file", 1, true))
  end)
end)

describe("a worker with policies", function()
  local worker, policies, control

  local function open(text)
    local path = certs.write(HEAD .. text, ".lua")
    policies = ffi.new("struct moon_policies *[1]", C.moon_policies_new(views { path }, 1, 10, false, nil))
    worker = assert(script.worker { policies = policies[0] })
    control = script.control()
  end

  after_each(function()
    worker:close()
    C.moon_policies_free(policies)
    require("moongate.fields").extend("policies", {}, {})
  end)

  local generation = 0
  local function serve(expression)
    -- The control plane of this process has to know the names too.
    generation = generation + 1
    local section = assert(control.section {
      id = "z", name = "example.com", version = 1, hosts = { { name = "a.example.com" } },
      rules = { { id = "r", action = "block", expression = expression } },
    })
    assert(worker:adopt(assert(control.snapshot(generation, { section }))))
  end

  local function declare(fields, functions)
    require("moongate.policies").declare(require("moongate.json").encode { fields = fields, functions = functions })
  end

  it("asks a field once per request, and anew for the next", function()
    open [[
      local asked = 0
      moongate.field { name = "t.path", type = "string", value = function(req) asked = asked + 1 return req.http.request.uri.path end }
      moongate.field { name = "t.asked", type = "integer", value = function(req) return asked end }
    ]]
    declare({ { name = "t.path", type = "String", help = "" }, { name = "t.asked", type = "Integer", help = "" } }, {})
    serve 't.path eq "/x" and t.path contains "x" and len(t.path) eq 2 and t.asked eq 1'
    assert.equal("block", worker:ask({ host = "a.example.com", path = "/x" }).action)
    assert.equal("pass", worker:ask({ host = "a.example.com", path = "/y" }).action)
    assert.equal("pass", worker:ask({ host = "a.example.com", path = "/x" }).action) -- asked three times by now
  end)

  it("agrees with itself however often it is asked", function()
    open [[
      moongate.func { name = "t_twice", params = { "String", "Integer" }, returns = "String", call = function(s, n) return s:rep(n) end }
      moongate.func { name = "t_sorted", params = { "Array<String>" }, returns = "Array<String>", call = function(list)
        table.sort(list)
        return list
      end }
      moongate.field { name = "t.words", type = "Array<String>", value = function(req)
        local out = {}
        for word in req.http.request.uri.path:gmatch("%w+") do out[#out + 1] = word end
        return out
      end }
      moongate.field { name = "t.map", type = "Map<Integer>", value = function(req) return { len = #req["http.request.uri.path"] } end }
    ]]
    declare({ { name = "t.words", type = "Array<String>", help = "" }, { name = "t.map", type = "Map<Integer>", help = "" } }, {
      { name = "t_twice", params = { "String", "Integer" }, returns = "String", help = "" },
      { name = "t_sorted", params = { "Array<String>" }, returns = "Array<String>", help = "" },
    })
    serve 't_twice(http.request.uri.path, 2) eq "/b/a/b/a" and t_sorted(t.words)[0] eq "a" and t.map["len"] eq 4'
    for i = 1, 500 do
      local hit = i % 3 == 0
      assert.equal(hit and "block" or "pass", worker:ask({ host = "a.example.com", path = hit and "/b/a" or "/b/" .. i }).action)
    end
  end)

  it("takes an error for a match, and goes on", function()
    open [[moongate.field { name = "t.bad", type = "string", value = function(req)
      if req["http.request.uri.path"] == "/bad" then error("no luck") end
      return ""
    end }]]
    declare({ { name = "t.bad", type = "String", help = "" } }, {})
    serve 't.bad eq "x"'
    assert.equal("block", worker:ask({ host = "a.example.com", path = "/bad" }).action)
    assert.equal("pass", worker:ask({ host = "a.example.com", path = "/good" }).action)
    assert.equal("block", worker:ask({ host = "a.example.com", path = "/bad" }).action)
  end)
end)
