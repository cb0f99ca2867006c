-- The compiled rules of a worker, without C around them: sections, functions by host, verdicts.

local bridge = require "moongate.ffi"
local fields = require "moongate.fields"
local ruleset = require "moongate.ruleset"
local section_rules = require "moongate.section_rules"

local ffi = bridge.ffi

-- Texts are their own digests here: short, and different for different texts.
local function text_of(list) return section_rules.encode({ rules = list }, function(text) return text end) end

local function fresh()
  local self = { facts = ffi.new("struct moon_facts"), verdict = ffi.new("struct moon_verdict"), failures = {}, kept = {} }
  self.set = ruleset.new {
    schema = fields.bind(self.facts),
    verdict = self.verdict,
    on_error = function(id, err) table.insert(self.failures, { id, err }) end,
  }
  function self.serve(sections)
    self.set:begin()
    for key, list in pairs(sections) do
      if not self.set:keep(key) then assert(self.set:add(key, text_of(list))) end
    end
    self.set:commit()
  end
  function self.fill(name, text)
    self.kept[name] = text
    self.facts[name].data, self.facts[name].len = text, #text
  end
  function self.ask(id, key, name, path)
    self.fill("http_host", name)
    self.fill("path", path or "/")
    self.verdict.action, self.verdict.match_count = 2, 0
    self.set:prepare(id, key, name)()
    return self.verdict.action
  end
  return self
end

local function text(view) return ffi.string(view.data, view.len) end

local BLOCK_ADMIN = { id = "r1", action = "block", expression = 'http.request.uri.path eq "/admin"' }

describe("moongate.ruleset", function()
  describe("add()", function()
    for _, case in ipairs {
      { "text that is no JSON", "[\n" },
      { "text that is an array", "[]\n" },
      { "text without a first line", "[]" },
      { "text that is cut off", (text_of({ BLOCK_ADMIN }):sub(1, -2)) },
      { "an unknown action", text_of { { id = "x", action = "teleport", expression = "true" } } },
      { "an expression that does not parse", text_of { { id = "x", action = "block", expression = "nonsense eq" } } },
    } do
      it(("refuses %s and leaves what is served"):format(case[1]), function()
        local one = fresh()
        one.serve { [1] = { BLOCK_ADMIN } }
        one.set:begin()
        local ok, message = one.set:add(2, case[2])
        assert.is_nil(ok)
        assert.equal("string", type(message))
        assert.equal(1, one.ask(7, 1, "a.test", "/admin"))
      end)
    end
  end)

  describe("a function of a host", function()
    it("blocks with the rule's id", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN } }
      assert.equal(1, one.ask(7, 1, "a.test", "/admin"))
      assert.equal("r1", text(one.verdict.rule_id))
      assert.equal(0, one.verdict.status)
      assert.equal(0, one.ask(7, 1, "a.test", "/"))
    end)

    it("carries a custom response", function()
      local one = fresh()
      one.serve { [1] = { {
        id = "r2", action = "block", expression = "true",
        action_parameters = { response = { status_code = 451, content = "no", content_type = "text/plain" } },
      } } }
      assert.equal(1, one.ask(7, 1, "a.test"))
      collectgarbage() -- the texts are kept by the section, not by luck
      assert.equal(451, one.verdict.status)
      assert.equal("no", text(one.verdict.content))
      assert.equal("text/plain", text(one.verdict.content_type))
    end)

    it("reports log rules in order and goes on", function()
      local one = fresh()
      one.serve { [1] = {
        { id = "l1", action = "log", expression = "true" },
        { id = "l2", action = "log", expression = 'http.request.uri.path contains "x"' },
        { id = "l3", action = "log", expression = 'http.request.uri.path contains "a"' },
        BLOCK_ADMIN,
      } }
      assert.equal(1, one.ask(7, 1, "a.test", "/admin"))
      assert.equal(2, one.verdict.match_count)
      assert.equal("l1", text(one.verdict.matches[0]))
      assert.equal("l3", text(one.verdict.matches[1]))
    end)

    it("keeps the first sixteen reports when there are more", function()
      local list = {}
      for i = 1, 40 do list[i] = { id = "l" .. i, action = "log", expression = ('http.request.uri.path ne "/%d"'):format(i) } end
      local one = fresh()
      one.serve { [1] = list }
      assert.equal(0, one.ask(7, 1, "a.test", "/"))
      assert.equal(16, one.verdict.match_count)
      assert.equal("l16", text(one.verdict.matches[15]))
    end)

    it("leaves out disabled rules", function()
      local one = fresh()
      one.serve { [1] = { { id = "r", action = "block", expression = "true", enabled = false } } }
      assert.equal(0, one.ask(7, 1, "a.test"))
    end)

    it("knows the host by name and not by what the facts say", function()
      local one = fresh()
      one.serve { [1] = { { id = "r", action = "block", expression = 'http.host eq "a.test"' } } }
      assert.equal(1, one.ask(7, 1, "a.test"))
      assert.equal(0, one.ask(8, 1, "b.test"))
    end)

    for _, pattern in ipairs { "*", "*.test" } do
      it(("asks the facts for the host behind %s"):format(pattern), function()
        local one = fresh()
        one.serve { [1] = { { id = "r", action = "block", expression = 'http.host eq "a.test"' } } }
        local run = one.set:prepare(9, 1, pattern)
        for name, action in pairs { ["a.test"] = 1, ["b.test"] = 0 } do
          one.fill("http_host", name)
          run()
          assert.equal(action, one.verdict.action)
        end
      end)
    end
  end)

  describe("prepare()", function()
    it("puts the function where C finds it, in the same table for good", function()
      local one = fresh()
      local functions = one.set.functions
      one.serve { [1] = { BLOCK_ADMIN } }
      local run = one.set:prepare(7, 1, "a.test")
      assert.equal(run, functions[7])
      one.serve { [1] = {}, [2] = {} }
      assert.equal(functions, one.set.functions)
    end)

    it("raises an error for a section that is not served", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN } }
      assert.has_error(function() one.set:prepare(7, 2, "a.test") end)
    end)

    it("lets go of functions beyond its bound, and makes them again", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN } }
      for id = 1, 9000 do one.set:prepare(id, 1, ("h%d.test"):format(id)) end
      local count = 0
      for _ in pairs(one.set.functions) do count = count + 1 end
      assert.truthy(count <= 4096)
      assert.equal(1, one.ask(1, 1, "h1.test", "/admin"))
      assert.equal(0, one.ask(8999, 1, "h8999.test", "/"))
    end)
  end)

  describe("commit()", function()
    it("lets go of functions of sections that are gone, and keeps the others", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN }, [2] = { BLOCK_ADMIN } }
      local kept = one.set:prepare(7, 1, "a.test")
      one.set:prepare(8, 2, "b.test")
      one.serve { [1] = { BLOCK_ADMIN }, [3] = {} }
      assert.equal(kept, one.set.functions[7])
      assert.is_nil(one.set.functions[8])
      assert.has_error(function() one.set:prepare(8, 2, "b.test") end)
    end)

    it("never runs former rules under the address of a section that is gone", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN } }
      one.set:prepare(7, 1, "a.test")
      one.serve { [2] = {} }
      one.serve { [1] = {} } -- another section at the same address
      assert.equal(0, one.ask(8, 1, "a.test", "/admin"))
    end)
  end)

  describe("guarded()", function()
    -- An accessor that fails stands for any error below the rules.
    local function broken(one, name)
      one.set.schema.fields[name].access = function() error("no such thing", 0) end
    end

    it("counts an error in a block rule as a match and tells which rule", function()
      local one = fresh()
      broken(one, "http.user_agent")
      one.serve { [1] = {
        { id = "fine", action = "block", expression = 'http.request.uri.path eq "/admin"' },
        { id = "bad", action = "block", expression = 'http.user_agent eq "x"' },
      } }
      assert.has_error(function() one.ask(7, 1, "a.test", "/") end)
      one.set:guarded(7)
      assert.equal(1, one.verdict.action)
      assert.equal("bad", text(one.verdict.rule_id))
      assert.equal("bad", one.failures[1][1])
    end)

    it("counts an error in a log rule as no match", function()
      local one = fresh()
      broken(one, "http.user_agent")
      one.serve { [1] = {
        { id = "bad", action = "log", expression = 'http.user_agent eq "x"' },
        { id = "fine", action = "log", expression = 'http.request.uri.path eq "/"' },
      } }
      assert.has_error(function() one.ask(7, 1, "a.test", "/") end)
      one.verdict.match_count = 0
      one.set:guarded(7)
      assert.equal(0, one.verdict.action)
      assert.equal(1, one.verdict.match_count)
      assert.equal("fine", text(one.verdict.matches[0]))
    end)

    it("raises an error for a host that was never prepared", function()
      local one = fresh()
      one.serve { [1] = { BLOCK_ADMIN } }
      assert.has_error(function() one.set:guarded(7) end)
    end)
  end)
end)
