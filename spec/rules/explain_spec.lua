local explain = require "moongate.rules.explain"
local harness = require "spec.rules.harness"
local rules = require "moongate.rules"
local types = require "moongate.rules.types"

local request = { values = {} }
local schema = rules.new_schema {
  fields = (function()
    local list = {}
    for name, kind in pairs(harness.scheme) do
      list[#list + 1] = { name = name, type = kind, may_miss = true, access = function() return request.values[name] end }
    end
    return list
  end)(),
  functions = {
    { name = "broken", params = { { types = { types.string } } }, returns = types.boolean, call = function() error("it broke", 0) end },
  },
}

local function no_lists() return function() return false end end

local function run(text, values, find_list)
  return explain.condition(text, assert(rules.parse(schema, text)), values or {}, find_list or no_lists)
end

-- A tree on one line: kind(operands)=value, with ? where it was not looked at.
local function outline(node)
  local parts = {}
  for i, operand in ipairs(node) do parts[i] = outline(operand) end
  local value = node.error and "error" or tostring(node.value)
  if type(node.value) == "table" then
    local list = {}
    for i = 1, node.value.n do list[i] = tostring(node.value[i]) end
    value = "[" .. table.concat(list, " ") .. "]"
  end
  local inner = parts[1] and "(" .. table.concat(parts, ", ") .. ")" or ""
  return node.kind .. inner .. "=" .. value .. (node.reached and "" or "?")
end

describe("moongate.rules.explain", function()
  describe("condition()", function()
    local VALUES = {
      ssl = true, ["http.host"] = "a.example", ["ip.src"] = "\192\0\2\7", ["http.request.headers.names"] = { n = 2, "a", "b" },
      ["http.request.headers"] = { x = { n = 1, "1" } }, ["cf.waf.score"] = 5,
    }

    for _, case in ipairs {
      { "ssl", "test=true" },
      { "not ssl", "not(test=true)=false" },
      { 'http.host eq "a.example" and ssl', "and(compare=true, test=true)=true" },
      { 'http.host eq "b" and ssl', "and(compare=false, test=true?)=false" },
      { 'ssl or http.host eq "b"', "or(test=true, compare=false?)=true" },
      { 'http.host eq "b" or ssl', "or(compare=false, test=true)=true" },
      { "ssl xor ssl xor ssl", "xor(test=true, test=true, test=true)=true" },
      { 'http.host eq "b" and (ssl or ssl)', "and(compare=false, or(test=true?, test=true?)=true?)=false" },
      { 'any(http.request.headers.names[*] eq "b")', "any(compare=[false true])=true" },
      { 'all(not http.request.headers.names[*] eq "b")', "all(not(compare=[false true])=[true false])=false" },
      { 'any((http.request.headers.names[*] eq "a" and http.request.headers.names[*] ne "a"))',
        "any(and(compare=[true false], compare=[false true])=[false false])=false" },
      { "cf.waf.score lt 10", "compare=true" },
      { "cf.edge.server_port lt 10", "compare=false" },
      { "not cf.edge.server_port lt 10", "not(compare=false)=true" },
      { "true", "test=true" },
      { "broken(http.host)", "test=error" },
      { "ssl and broken(http.host)", "and(test=true, test=error)=error" },
      { "ssl or broken(http.host)", "or(test=true, test=error?)=true" },
      { "not broken(http.host)", "not(test=error)=error" },
      { "ssl xor broken(http.host)", "xor(test=true, test=error)=error" },
    } do
      it(("explains %s"):format(case[1]), function() assert.equal(case[2], outline(run(case[1], VALUES))) end)
    end

    it("cuts a comparison out of the text as it is written", function()
      local tree = run('  ( (http.host   eq "x)(") or  not ssl )and ip.src in {192.0.2.0/24  10.0.0.1}  ', VALUES)
      assert.equal('http.host   eq "x)("', tree[1][1].text)
      assert.equal("not", tree[1][2].text)
      assert.equal("ssl", tree[1][2][1].text)
      assert.equal("ip.src in {192.0.2.0/24  10.0.0.1}", tree[2].text)
    end)

    it("tells what a left-hand side is made of", function()
      local leaf = run('len(concat(lower(http.host), "x", http.request.headers["x"][0])) eq 11', VALUES)
      assert.is_true(leaf.value)
      assert.equal(11, leaf.operand.value)
      local concat = leaf.operand.parts[1]
      assert.equal('concat(lower(http.host), "x", http.request.headers["x"][0])', concat.text)
      assert.equal("a.examplex1", concat.value)
      assert.same({ "lower(http.host)", 'http.request.headers["x"][0]' }, { concat.parts[1].text, concat.parts[2].text })
      assert.equal("http.host", concat.parts[1].parts[1].text)
    end)

    it("shows what is spread out as an array", function()
      local operand = run("any(lower(http.request.headers.names[*])[*] eq \"a\")", VALUES)[1].operand
      assert.same({ n = 2, "a", "b" }, operand.value)
      assert.equal("Array<String>", operand.type.name)
    end)

    it("says that a value is missing", function()
      local leaf = run('http.request.headers["y"][0] eq "1"', VALUES)
      assert.is_false(leaf.value)
      assert.is_nil(leaf.operand.value)
      assert.is_nil(leaf.operand.error)
    end)

    it("asks the host's lists, inside of calls too", function()
      local asked = {}
      local function find_list(name, type_name)
        asked[#asked + 1] = name .. ":" .. type_name
        return function(value) return value == "a.example" or value == "b" end
      end
      assert.is_true(run("http.host in $names", VALUES, find_list).value)
      assert.equal("any(compare=[false true])=true", outline(run("any(http.request.headers.names[*] in $names)", VALUES, find_list)))
      assert.is_true(run("to_string(http.host in $names) eq \"true\"", VALUES, find_list).value)
      assert.same({ "names:String", "names:String", "names:String" }, asked)
    end)

    it("takes a list that is not there as empty", function()
      assert.is_false(run("http.host in $names", VALUES, function() return nil end).value)
    end)

    it("changes nothing of the tree", function()
      local tree = assert(rules.parse(schema, "http.host in $names and ssl"))
      explain.condition("http.host in $names and ssl", tree, VALUES, no_lists)
      assert.equal("names", tree[1].right.list)
      assert.is_nil(tree[1].right.in_range)
    end)
  end)

  describe("condition() on the corpus", function()
    local eval = require "moongate.eval"
    for _, path in ipairs(harness.corpus()) do
      it("comes to the right answers of " .. path:match("[^/]+$"), function()
        local plain = harness.schema(harness.scheme, { values = {} })
        local seen = 0
        for line in io.lines(path) do
          local case = harness.decode(line)
          if case.expect ~= "error" then
            local values = {}
            for name, kind in pairs(harness.scheme) do
              local given = case.fields and case.fields[name]
              if given == nil then
                values[name] = harness.default_of(types.parse(kind))
              else
                values[name] = eval.convert(given, types.parse(kind))
              end
            end
            local tree = assert(rules.parse(plain, case.expr))
            local answer = explain.condition(case.expr, tree, values, eval.list_finder(case.lists))
            assert.equal(case.expect, answer.value, case.expr)
            seen = seen + 1
          end
        end
        assert.is_true(seen > 0)
      end)
    end
  end)
end)
