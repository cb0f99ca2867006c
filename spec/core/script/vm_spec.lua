-- One Lua state: which modules it finds, and how calls into it fail.

local certs = require "spec.support.certs"
require "spec.support.script" -- declarations
local bridge = require "moongate.ffi"

local C, ffi = bridge.C, bridge.ffi

local function open(source_dir)
  local diag = ffi.new("struct moon_diag")
  local state = C.moon_vm_open(source_dir, diag)
  assert(state ~= nil, ffi.string(diag.text))
  return ffi.gc(state, function(L) C.moon_vm_close(ffi.new("struct lua_State *[1]", L)) end)
end

-- Runs a chunk in the state: its first result as text, or nil with the diagnostic and the trace.
local function run(L, source)
  local diag, trace = ffi.new("struct moon_diag"), ffi.new("char[4096]")
  assert(C.luaL_loadstring(L, source) == 0, "the spec's own chunk does not load")
  if C.moon_vm_call(L, 0, 1, diag, trace, 4096) ~= 0 then
    assert.equal(0, C.lua_gettop(L))
    return nil, ffi.string(diag.text), ffi.string(trace)
  end
  local len = ffi.new("size_t[1]")
  local text = C.lua_tolstring(L, -1, len)
  local result = text ~= nil and ffi.string(text, len[0]) or nil
  C.lua_settop(L, 0)
  return result
end

local function with_environment(name, value, work)
  ffi.cdef "int setenv(const char *, const char *, int); int unsetenv(const char *);"
  C.setenv(name, value, 1)
  local ok, err = pcall(work)
  C.unsetenv(name)
  if not ok then error(err, 0) end
end

describe("a state", function()
  -- The compiler would lose half of a pointer now and then (lua/uncompiled_next.lua).
  for title, loop in pairs {
    pairs = "for key, value in pairs(t) do n = n + #key + value end", next = "if next(t) == nil then n = 0 end",
    ["a loop over next"] = "for key, value in next, t do n = n + #key + value end",
  } do
    it("never compiles " .. title, function()
      local source = [[
        local compiled, t, n = 0, { a = 1, b = 2, c = 3 }, 0
        local function count(what) if what == "stop" then compiled = compiled + 1 end end
        jit.attach(count, "trace")
        for _ = 1, 500 do %s end
        jit.attach(count)
        return tostring(compiled)]]
      assert.equal("0", run(open(), source:format(loop)))
      assert.not_equal("0", run(open(), source:format "n = n + t.a"))
    end)
  end

  it("finds the modules of the binary", function()
    for _, name in ipairs { "moongate.rules", "moongate.json", "moongate.admin.boot", "moongate.cli", "moongate.cdef" } do
      assert.is_nil(select(2, run(open(nil), ("return type(require %q)"):format(name))))
    end
  end)

  it("finds the libraries of the system", function()
    assert.equal("table", run(open(nil), 'return type(require "dkjson")'))
  end)

  it("says what is missing", function()
    local _, message = run(open(nil), 'return require "moongate.nothing"')
    assert.truthy(message:find("moongate.nothing", 1, true))
  end)

  it("looks neither into the current directory nor into the environment", function()
    with_environment("LUA_PATH", "/tmp/evil/?.lua", function()
      with_environment("LUA_CPATH", "/tmp/evil/?.so", function()
        local paths = run(open(nil), 'return package.path .. ";" .. package.cpath')
        assert.is_nil(paths:find("evil", 1, true))
        for path in paths:gmatch("[^;]+") do assert.equal("/", path:sub(1, 1)) end
      end)
    end)
  end)

  it("does not let a file take the place of a module of ours", function()
    local dir = certs.directory() .. "/evil/moongate"
    os.execute("mkdir -p " .. dir)
    local file = assert(io.open(dir .. "/rules.lua", "w"))
    file:write("return 'evil'")
    file:close()
    local source = ('package.path = "%s/../?.lua;" .. package.path\nreturn type(require "moongate.rules")'):format(dir)
    assert.equal("table", run(open(nil), source))
  end)

  it("reads modules from a source tree when it is told to", function()
    local tree = certs.directory() .. "/tree"
    os.execute(("mkdir -p %s/lua && cp lua/uncompiled_next.lua %s/lua"):format(tree, tree)) -- every state begins with that one
    local function write(text)
      local file = assert(io.open(tree .. "/lua/version.lua", "wb"))
      file:write(text)
      file:close()
    end
    write("return 'from the tree'")
    assert.equal("from the tree", run(open(tree), 'return require "moongate.version"'))
    write("local x =")
    local _, message = run(open(tree), 'return require "moongate.version"')
    assert.truthy(message:find("lua/version.lua", 1, true))
    write(string.dump(function() return "bytecode" end))
    local value, refused = run(open(tree), 'return require "moongate.version"')
    assert.is_nil(value)
    assert.truthy(refused:find("binary", 1, true) or refused:find("mode", 1, true), refused)
    os.remove(tree .. "/lua/version.lua")
    _, message = run(open(tree), 'return require "moongate.version"')
    assert.truthy(message:find("cannot read", 1, true))
  end)

  it("names files as the source tree does", function()
    local _, _, trace = run(open(nil), 'require("moongate.rules").new_schema(nil)')
    assert.truthy(trace:find("rules/schema.lua:", 1, true), trace)
  end)
end)

describe("a protected call", function()
  it("gives the first line as message and the whole traceback apart", function()
    local _, message, trace = run(open(nil), "local function f() error('one\\ntwo', 0) end f()")
    assert.equal("one", message)
    assert.truthy(trace:find("two", 1, true))
    assert.truthy(trace:find("stack traceback", 1, true))
  end)

  for _, case in ipairs {
    { "a table", "error({})", "(error value is a table)" },
    { "nil", "error(nil)", "(error value is a nil)" },
    { "a table that shows itself", "error(setmetatable({}, { __tostring = function() return 'shown' end }))", "shown" },
    { "a number", "error(42, 0)", "42" },
  } do
    it(("turns %s into a message"):format(case[1]), function()
      local _, message = run(open(nil), case[2])
      assert.equal(case[3], message)
    end)
  end

  it("survives an endless recursion", function()
    local _, message = run(open(nil), "local function f() return 1 + f() end return f()")
    assert.truthy(message:find("stack overflow", 1, true))
  end)

  it("cuts what is too long", function()
    local _, message, trace = run(open(nil), "error(('x'):rep(100000), 0)")
    assert.truthy(#message < 1024 and #trace < 4096)
  end)
end)
