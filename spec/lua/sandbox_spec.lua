-- What a policy file finds around it. Patterns are held against Lua's own; that nothing can run for ever is the business of
-- spec/flow/policy_budget_spec.lua.

local policy_state = require "spec.support.policy_state"

describe("moongate.sandbox", function()
  local state, environment

  before_each(function()
    state = policy_state.new()
    environment = state.sandbox.environment(function(name) return "required " .. name end)
  end)

  local function run(text, ...)
    local chunk = assert(loadstring(text, "@policy.lua"))
    setfenv(chunk, environment)
    return chunk(...)
  end

  describe("strings", function()
    local own, text

    before_each(function() own, text = string, environment.string end)

    for _, case in ipairs {
      { "find", "hello world", "o", 6 }, { "find", "hello", "l+", -3 }, { "find", "a.b", ".", 1, true }, { "find", "a.b", "%." },
      { "find", "abc", "x" }, { "find", "abc", "", 4 }, { "find", "abc", "", 9 }, { "find", "abc", "c", -1 }, { "find", "a+b", "+" , 1, true },
      { "find", "abc", "(b)(c)" }, { "find", "abc", "()b()" }, { "find", 123, 2 }, { "find", "abc", "^b", 2 },
      { "match", "key=value", "(%w+)=(%w+)" }, { "match", "abc", "b" }, { "match", "abc", "x" }, { "match", "2026-11-20", "^(%d+)-(%d+)" },
      { "match", "abc", ".", 3 }, { "match", "abc", ".", 4 }, { "match", "abc", "", 4 }, { "match", "abc", "", 9 },
      { "gsub", "hello", "l", "L" }, { "gsub", "hello", "l", "L", 1 }, { "gsub", "hello", "", "-" }, { "gsub", "abc", "%w", "%0%0" },
      { "gsub", "hello world", "(%w+)", "<%1>" }, { "gsub", "abc", "^a", "x" }, { "gsub", "aaa", "^a", "x" }, { "gsub", "abc", "b*", "-" },
      { "gsub", "$name is", "%$(%w+)", { name = "Lua" } }, { "gsub", "$nobody is", "%$(%w+)", { name = "Lua" } },
      { "gsub", "a b", "%a", function(c) return c:upper() end }, { "gsub", "a b", "%a", function() end }, { "gsub", "abc", "b", "%%" },
      { "gsub", "abc", "x", "y" }, { "gsub", "abc", ".", { a = 1, b = false } }, { "gsub", "abc", "%w", "%1" }, { "gsub", "", "", "x" },
      { "gsub", "abc", "()", "%1" }, { "gsub", "abc", "b", 7 }, { "gsub", "abc", "%w*", "x" }, { "gsub", "abc", "b", "x", 0 },
      { "rep", "ab", 3 }, { "rep", "ab", 0 }, { "rep", "ab", -1 }, { "rep", "ab", 3, "," }, { "lower", "ABC" }, { "upper", "abc" },
      { "reverse", "abc" }, { "len", "abc" }, { "byte", "abc", 2 }, { "char", 65, 66 }, { "sub", "abc", 2 }, { "format", "%5.1f|%s", 1.25, "x" },
    } do
      it(("%s of %q gives what Lua's gives, case %s"):format(case[1], tostring(case[2]), tostring(case[3])), function()
        local arguments = { unpack(case, 2, 6) }
        assert.same({ own[case[1]](unpack(arguments)) }, { text[case[1]](unpack(arguments)) })
      end)
    end

    for _, case in ipairs { { "a,b,,c", "[^,]*" }, { "one two", "%w+" }, { "k=v, x=y", "(%w+)=(%w+)" }, { "abc", "" }, { "abc", "()" }, { "^a^b", "^%a" } } do
      it(("gmatch goes through %q by %q as Lua's does"):format(case[1], case[2]), function()
        local function all(gmatch)
          local found = {}
          for a, b in gmatch(case[1], case[2]) do found[#found + 1] = { a, b } end
          return found
        end
        assert.same(all(own.gmatch), all(text.gmatch))
      end)
    end

    for _, case in ipairs {
      { "a subject that is nil", function(s) s.find(nil, "x") end, "string expected, got no value" },
      { "a pattern that is a table", function(s) s.match("x", {}) end, "string expected, got table" },
      { "a subject that is too long", function(s) s.find(("x"):rep(1048577), "x") end, "longer than 1048576 bytes" },
      { "a malformed pattern", function(s) s.find("x", "[") end, "missing ']'" },
      { "a replacement that is a boolean", function(s) s.gsub("x", "x", true) end, "string expected, got boolean" },
      { "a replaced value that is a table", function(s) s.gsub("x", "x", function() return {} end) end, "invalid replacement value (a table)" },
      { "a capture that there is not", function(s) s.gsub("x", "x", "%2") end, "invalid capture index" },
      { "a result that is too long", function(s) s.gsub(("x"):rep(1000), "x", ("y"):rep(2000)) end, "longer than 1048576 bytes" },
      { "too many repetitions", function(s) s.rep("x", 1e9) end, "longer than 1048576 bytes" },
      { "too many separators", function(s) s.rep("", 1e9, "x") end, "longer than 1048576 bytes" },
      { "a lower-case text that is too long", function(s) s.lower(("X"):rep(1048577)) end, "longer than 1048576 bytes" },
    } do
      it("refuse " .. case[1], function()
        local ok, err = pcall(case[2], text)
        assert.is_false(ok)
        assert.truthy(err:find(case[3], 1, true), err)
      end)
    end

    it("end when the steps of the stretch are used up", function()
      state.call.steps = 1000
      local ok, err = pcall(text.find, ("a"):rep(3000), "a*a*b")
      assert.is_false(ok)
      assert.truthy(err:find("too many steps", 1, true), err)
      assert.has_error(function() text.find("a", "a+") end)
      assert.equal(1, (text.find("abc", "abc"))) -- a plain text costs none
    end)

    it("have no dump", function() assert.is_nil(text.dump) end)
  end)

  describe("tables", function()
    it("concat as Lua does, within a bound", function()
      assert.equal("a,1,b", run "return table.concat({ 'a', 1, 'b' }, ',')")
      assert.equal("b", run "return table.concat({ 'a', 'b', 'c' }, ',', 2, 2)")
      assert.equal("", run "return table.concat {}")
      assert.has_error(function() run "local s = ('x'):rep(1000000) return table.concat({ s, s })" end)
      assert.has_error(function() run "return table.concat({ {} })" end)
    end)

    it("sort, up to a number of elements", function()
      assert.same({ 1, 2, 3 }, run "local t = { 3, 1, 2 } table.sort(t) return t")
      assert.same({ 3, 2, 1 }, run "local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return t")
      assert.has_error(function() run "local t = {} for i = 1, 20001 do t[i] = i end table.sort(t)" end)
    end)
  end)

  it("pcall and xpcall catch errors, but not the end of the budget", function()
    assert.same({ false, "no" }, { run "return pcall(error, 'no', 0)" })
    assert.same({ true, 1, 2 }, { run "return pcall(function() return 1, 2 end)" })
    assert.same({ false, "<no>" }, { run "return xpcall(function() error('no', 0) end, function(e) return '<' .. e .. '>' end)" })
    state.call.exhausted = true
    assert.has_error(function() run "pcall(error, 'the end', 0)" end, "the end")
    assert.has_error(function() run "xpcall(function() error('the end', 0) end, function() return 'handled' end)" end, "the end")
    assert.same({ true }, { run "return pcall(function() end)" })
  end)

  for _, name in ipairs { "io", "debug", "package", "ffi", "jit", "load", "loadstring", "loadfile", "dofile", "setfenv", "getfenv", "collectgarbage",
    "newproxy", "module", "coroutine", "gcinfo" } do
    it("has no " .. name, function() assert.is_nil(environment[name]) end)
  end

  it("has of os the time only", function()
    local names = {}
    for name in pairs(environment.os) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "clock", "date", "difftime", "time" }, names)
  end)

  it("gives each file tables of its own", function()
    local other = state.sandbox.environment(function() end)
    for _, name in ipairs { "string", "table", "math", "bit", "os", "_G" } do
      assert.is_table(environment[name])
      assert.is_false(rawequal(environment[name], other[name]), name)
      assert.is_false(rawequal(environment[name], _G[name]), name)
    end
    run "string.lower, x = nil, 1"
    assert.is_nil(other.x)
    assert.is_function(other.string.lower)
    assert.equal(environment, environment._G)
  end)

  it("requires by the function it is given", function()
    assert.equal("required moongate", run "return require 'moongate'")
  end)
end)
