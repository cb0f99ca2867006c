-- From specialised rules to running code: generate.lua, emit.lua and compile.lua as one, since none means anything
-- alone.

local generate = require "moongate.rules.generate"
local harness = require "spec.rules.harness"
local rules = require "moongate.rules"

local function counting_schema(declared, values)
  local reads = {}
  local list = {}
  for name, kind in pairs(declared) do
    list[#list + 1] = {
      name = name, type = kind,
      access = function()
        reads[name] = (reads[name] or 0) + 1
        return values[name]
      end,
    }
  end
  return rules.new_schema { fields = list }, reads
end

local function compile(schema, list, options)
  for i, rule in ipairs(list) do
    if type(rule) == "string" then
      list[i] = { expression = rule, action = "block" }
    end
  end
  local ruleset, diag = rules.compile(schema, list, options)
  assert(ruleset, diag and diag:render())
  return ruleset
end

describe("moongate.rules.generate", function()
  local schema = harness.schema(harness.scheme, { values = {} })

  it("cuts after a hundred rules, and earlier where they are long", function()
    local list = {}
    for i = 1, 250 do
      list[i] = "ssl"
    end
    assert.equal(3, #compile(schema, list).chunks)
    list = {}
    for i = 1, 30 do
      list[i] = ("ssl or "):rep(29) .. "ssl"
    end
    assert.equal(3, #compile(schema, list).chunks)
  end)

  it("writes the same source for rules of the same shape", function()
    local a = compile(schema, { 'http.host eq "a" and len(http.user_agent) gt 5' })
    local b = compile(schema, { 'http.host eq "b" and len(http.user_agent) gt 5' })
    assert.equal(a.chunks[1].source, b.chunks[1].source)
    assert.not_equal(a.chunks[1].constants[1], b.chunks[1].constants[1])
  end)

  it("answers no rules with no functions", function()
    assert.same({}, (generate.rules {}))
  end)
end)

describe("moongate.rules.emit", function()
  it("computes equal values once", function()
    local calls = 0
    local types = require "moongate.rules.types"
    local schema = rules.new_schema {
      fields = { { name = "host", type = "String", access = function() return "a" end } },
      functions = { { name = "slow", params = { { types = { types.string } } }, returns = types.string,
        call = function(s) calls = calls + 1 return s .. "!" end } },
    }
    local ruleset = compile(schema, { 'slow(host) eq "b!" or slow(host) eq "c!"', 'slow( host ) eq "d!" and slow(host) eq "e!"', 'len(slow(host)) eq 7' })
    assert.equal(0, ruleset.run())
    assert.equal(1, calls)
  end)

  it("computes a value only where it is reached", function()
    local schema, reads = counting_schema({ a = "Boolean", b = "Boolean", c = "Boolean" }, { a = true, b = false, c = true })
    assert.equal(1, compile(schema, { "a or b and c" }).run())
    assert.same({ a = 1 }, reads)
    assert.equal(0, compile(schema, { "b and c" }).run())
    assert.same({ a = 1, b = 1 }, reads)
  end)

  it("stops at the first element that decides", function()
    local seen = 0
    local types = require "moongate.rules.types"
    local schema = rules.new_schema {
      fields = { { name = "list", type = "Array<String>", access = function() return { n = 4, "a", "b", "c", "d" } end } },
      regex = { compile = function(pattern) return function(value) seen = seen + 1 return value == pattern end end },
    }
    assert.equal(types.string, types.parse "Bytes")
    assert.equal(1, compile(schema, { 'any(list[*] matches "b")' }).run())
    assert.equal(2, seen)
    assert.equal(0, compile(schema, { 'all(list[*] matches "a")' }).run())
    assert.equal(4, seen)
  end)

  it("looks at nothing beyond the number of elements", function()
    local schema = rules.new_schema { fields = { { name = "list", type = "Array<String>", access = function() return { n = 1, "a", "stale" } end } } }
    assert.equal(0, compile(schema, { 'list[1] eq "stale"', 'any(list[*] eq "stale")', "len(list) gt 1" }).run())
  end)

  it("takes more values than a function has locals", function()
    local values = { m = {} }
    local schema, reads = counting_schema({ m = "Map<String>" }, values)
    local list = {}
    for r = 0, 3 do
      local parts = {}
      for i = 1, 90 do
        parts[i] = ('m["%d"] eq "x"'):format(r * 90 + i)
      end
      list[r + 1] = table.concat(parts, " or ")
    end
    local ruleset = compile(schema, list)
    assert.equal(0, ruleset.run())
    values.m = { ["271"] = "x" }
    assert.equal(4, ruleset.run())
    values.m = { ["1"] = "x" }
    assert.equal(1, ruleset.run())
    assert.same({ m = 3 }, reads)
  end)

  it("takes more fields than a function has upvalues", function()
    local declared, values, parts = {}, {}, {}
    for i = 1, 150 do
      declared["f" .. i], values["f" .. i], parts[i] = "Boolean", false, "f" .. i
    end
    local schema = counting_schema(declared, values)
    local ruleset = compile(schema, { table.concat(parts, " or ") })
    assert.equal(0, ruleset.run())
    values.f150 = true
    assert.equal(1, ruleset.run())
  end)

  for _, count in ipairs { 40, 41, 260, 500 } do
    it(("takes calls of %d arguments"):format(count), function()
      local request = { values = { ["http.request.headers.names"] = { n = 3, "a", "b", "c" }, ["http.host"] = "h" } }
      local schema = harness.schema(harness.scheme, request)
      local tail = (', "x"'):rep(count - 1)
      local whole = compile(schema, { ('len(concat(http.host%s)) eq %d'):format(tail, count) })
      assert.equal(1, whole.run())
      local missing = compile(schema, { ('concat(http.request.headers.names[7]%s) eq "%s"'):format(tail, ("x"):rep(count - 1)) })
      assert.equal(1, missing.run())
      local mapped = compile(schema, { ('concat(http.request.headers.names[*]%s)[2] eq "c%s"'):format(tail, ("x"):rep(count - 1)) })
      assert.equal(1, mapped.run())
    end)
  end

  it("takes conditions and calls of full depth a hundred times over, reading each field once", function()
    local values = { h = "A", s = true }
    local schema, reads = counting_schema({ h = "String", s = "Boolean" }, values)
    local list = {}
    for i = 1, 50 do
      list[i * 2 - 1] = ('(h eq "x" xor (s and '):rep(56) .. 'h eq "q"' .. ("))"):rep(56)
      list[i * 2] = ("("):rep(30) .. ("lower("):rep(98) .. "h" .. (")"):rep(98) .. ' eq "b"' .. (")"):rep(30)
    end
    list[101] = ("(s and (not "):rep(42) .. 'h eq "A"' .. "))" .. ("))"):rep(41)
    local ruleset = compile(schema, list)
    assert.equal(101, ruleset.run())
    assert.same({ h = 1, s = 1 }, reads)
  end)
end)

describe("moongate.rules.compile", function()
  it("gives generated code no global", function()
    local schema = rules.new_schema { fields = { { name = "s", type = "Boolean", access = function() return true end } } }
    local seen
    compile(schema, { { expression = "s", action = "log" } }, { on_log = function() seen = getfenv(2) end }).run()
    assert.is_table(seen)
    local ruleset = compile(schema, { "s" })
    for _, chunk in ipairs(ruleset.chunks) do
      for name in chunk.source:gmatch "%f[%w_]([%a_][%w_]*)%f[^%w_]" do
        assert.is_nil(({ os = 1, io = 1, require = 1, load = 1, _G = 1, string = 1 })[name])
      end
    end
  end)

  it("takes accessors at specialisation in place of the schema's", function()
    local schema = rules.new_schema { fields = { { name = "s", type = "Boolean" } } }
    assert.error_matches(function() compile(schema, { "s" }) end, 'field "s" has no accessor')
    assert.equal(1, compile(schema, { "s" }, { access = { s = function() return true end } }).run())
  end)

  it("keeps rulesets apart that share their code", function()
    local values = { host = "a" }
    local schema = counting_schema({ host = "String" }, values)
    local first, second = compile(schema, { 'host eq "a"' }), compile(schema, { 'host eq "b"' })
    assert.same({ 1, 0 }, { first.run(), second.run() })
    values.host = "b"
    assert.same({ 0, 1 }, { first.run(), second.run() })
  end)

  it("goes on compiling when its cache is full", function()
    local schema = counting_schema({ host = "String", n = "Integer" }, { host = "x", n = 1 })
    for i = 1, 1200 do -- every length of prefix is a source of its own
      local ruleset = compile(schema, { ('n eq %d or starts_with(host, "%s")'):format(i, ("x"):rep(i % 7 + 1)) })
      assert.equal((i == 1 or i % 7 == 0) and 1 or 0, ruleset.run())
    end
  end)

  it("raises what an accessor raises and is whole again on the next request", function()
    local fail = true
    local schema = rules.new_schema { fields = {
      { name = "s", type = "Boolean", access = function() if fail then error("no facts") end return true end } } }
    local ruleset = compile(schema, { "s" })
    assert.error_matches(ruleset.run, "no facts")
    fail = false
    assert.equal(1, ruleset.run())
  end)
end)
