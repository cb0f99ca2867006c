-- Rulesets one after the other and inside one another: what is run, what is left out, what the verdict says.

local bridge = require "moongate.ffi"
local fields = require "moongate.fields"
local ruleset = require "moongate.ruleset"
local section_rules = require "moongate.section_rules"

local ffi = bridge.ffi

local function text(view) return ffi.string(view.data, view.len) end

-- A worker's rules with one section, asked by path: the id of the rule that blocked (or "pass") and the rules reported.
local function worker(document, host)
  local facts, verdict = ffi.new("struct moon_facts"), ffi.new("struct moon_verdict")
  local self = { failures = {}, verdict = verdict, kept = {} }
  local set = ruleset.new {
    schema = fields.bind(facts), verdict = verdict,
    on_error = function(id) table.insert(self.failures, id) end,
  }
  self.schema, self.set = set.schema, set
  set:begin()
  assert(set:add(1, section_rules.encode(document, function(part) return part end)))
  set:commit()
  local function fill(name, value)
    self.kept[name] = value
    facts[name].data, facts[name].len = value, #value
  end
  local function answer()
    local matches = {}
    for i = 0, verdict.match_count - 1 do matches[#matches + 1] = text(verdict.matches[i]) end
    return verdict.action == 0 and "pass" or verdict.action == 1 and text(verdict.rule_id) or "fail", table.concat(matches, " ")
  end
  function self.ask(path)
    fill("http_host", host or "a.test")
    fill("path", path or "/")
    verdict.action, verdict.match_count = 2, 0
    set:prepare(7, 1, host or "a.test")()
    return answer()
  end
  function self.guarded(path)
    fill("path", path or "/")
    verdict.action = 2
    set:guarded(7)
    return answer()
  end
  return self
end

local function rule(id, action, expression, parameters, logging)
  return { id = id, action = action, expression = expression or "true", action_parameters = parameters, logging = logging }
end
local function path(value) return ('http.request.uri.path eq "%s"'):format(value) end
local function execute(id, expression) return rule("x-" .. id, "execute", expression, { id = id }) end
local RULESET, PHASE = { ruleset = "current" }, { phase = "current" }

describe("moongate.rule_program", function()
  -- title, document, { path → { blocked by, reported } }
  for _, case in ipairs {
    { "runs the account's rules before the zone's",
      { account_rules = { rule("a", "block", path "/a") }, rules = { rule("z", "block") } },
      { ["/a"] = { "a", "" }, ["/"] = { "z", "" } } },
    { "runs firewall rules before all others",
      { firewall_rules = { rule("f", "block", path "/f") }, account_rules = { rule("a", "block") } },
      { ["/f"] = { "f", "" }, ["/"] = { "a", "" } } },
    { "takes each challenge as a block",
      { rules = { rule("m", "managed_challenge", path "/m"), rule("j", "js_challenge", path "/j"), rule("c", "challenge", path "/c") } },
      { ["/m"] = { "m", "" }, ["/j"] = { "j", "" }, ["/c"] = { "c", "" }, ["/"] = { "pass", "" } } },
    { "lets the zone's rules run when the account's skip their ruleset",
      { account_rules = { rule("s", "skip", path "/s", RULESET), rule("a", "block") }, rules = { rule("z", "block", path "/s") } },
      { ["/s"] = { "z", "s" }, ["/"] = { "a", "" } } },
    { "leaves the zone's ruleset",
      { rules = { rule("l", "log"), rule("s", "skip", path "/s", RULESET), rule("z", "block") } },
      { ["/s"] = { "pass", "l s" }, ["/"] = { "z", "l" } } },
    { "leaves the phase, executed rulesets included",
      { rules = { rule("s", "skip", path "/s", PHASE), execute "c", rule("z", "block") }, rulesets = { c = { rule("c", "block", path "/c") } } },
      { ["/s"] = { "pass", "s" }, ["/c"] = { "c", "" }, ["/"] = { "z", "" } } },
    { "goes on with the caller after an executed ruleset",
      { rules = { rule("l1", "log"), execute("c", path "/c"), rule("l2", "log"), rule("z", "block", path "/z") },
        rulesets = { c = { rule("c1", "log"), rule("c2", "block", "ssl") } } },
      { ["/c"] = { "pass", "l1 c1 l2" }, ["/z"] = { "z", "l1 l2" }, ["/"] = { "pass", "l1 l2" } } },
    { "ends with what an executed ruleset blocks",
      { account_rules = { execute "c", rule("a", "log") }, rules = { rule("z", "block") }, rulesets = { c = { rule("c", "block", path "/c") } } },
      { ["/c"] = { "c", "" }, ["/"] = { "z", "a" } } },
    { "leaves an executed ruleset only, and goes on with the caller",
      { rules = { execute "c", rule("z", "block") }, rulesets = { c = { rule("s", "skip", path "/s", RULESET), rule("c", "block") } } },
      { ["/s"] = { "z", "s" }, ["/"] = { "c", "" } } },
    { "leaves the phase from inside an executed ruleset",
      { rules = { execute "c", rule("z", "block") }, rulesets = { c = { rule("s", "skip", path "/s", PHASE) } } },
      { ["/s"] = { "pass", "s" }, ["/"] = { "z", "" } } },
    { "executes a ruleset as often as it is named",
      { account_rules = { execute "c" }, rules = { execute "c", execute "c" }, rulesets = { c = { rule("c", "log") } } },
      { ["/"] = { "pass", "c c c" } } },
    { "records skips of other phases and products, and goes on",
      { rules = { rule("p", "skip", nil, { phases = { "http_ratelimit" } }), rule("q", "skip", nil, { products = { "waf" } }),
        rule("r", "skip", nil, { rulesets = { "x" } }), rule("z", "block") } },
      { ["/"] = { "z", "p q r" } } },
    { "does not record a skip whose logging is off",
      { rules = { rule("p", "skip", nil, { products = { "waf" } }, false), rule("s", "skip", path "/s", RULESET, false), rule("z", "block") } },
      { ["/"] = { "z", "" }, ["/s"] = { "pass", "" } } },
    { "passes over rules that are disabled, executions too",
      { rules = { { id = "d", action = "execute", expression = "true", enabled = false, action_parameters = { id = "c" } },
        { id = "b", action = "block", expression = "true", enabled = false } } },
      { ["/"] = { "pass", "" } } },
    { "does nothing for an execution of a ruleset in which nothing can match",
      { rules = { execute "c", rule("z", "block", path "/z") }, rulesets = { c = { rule("c", "block", 'http.host eq "b.test"') } } },
      { ["/"] = { "pass", "" }, ["/z"] = { "z", "" } } },
    { "passes when there is nothing",
      { rules = {} }, { ["/"] = { "pass", "" } } },
  } do
    for _, host in ipairs { "a.test", "*" } do
      it(("%s (%s)"):format(case[1], host), function()
        local one = worker(case[2], host)
        for asked, expected in pairs(case[3]) do
          local blocked, reported = one.ask(asked)
          assert.same(expected, { blocked, reported }, asked)
          assert.same(expected, { one.guarded(asked) }, asked .. ", rule by rule")
        end
      end)
    end
  end

  it("asks lists", function()
    local one = worker { rules = { rule("h", "block", "http.host in $hosts") }, lists = { hosts = { kind = "hostname", items = "*.test" } } }
    assert.equal("h", (one.ask()))
    assert.equal("pass", (worker({ rules = { rule("h", "block", "http.host in $hosts") },
      lists = { hosts = { kind = "hostname", items = "b.test" } } }).ask()))
  end)

  it("raises an error for a list that is not there", function()
    assert.has_error(function() worker({ rules = { rule("h", "block", "http.host in $hosts") } }).ask() end)
  end)

  it("runs a thousand executions", function()
    local list = {}
    for i = 1, 1000 do list[i] = execute("c", path("/" .. i)) end
    local one = worker { rules = list, rulesets = { c = { rule("c", "block") } } }
    assert.equal("c", (one.ask "/1000"))
    assert.equal("pass", (one.ask "/1001"))
  end)

  it("says the same however often it is asked, compiled or not", function()
    local one = worker { account_rules = { rule("s", "skip", 'http.request.uri.path contains "s"', RULESET), rule("a", "block", path "/a") },
      rules = { execute("c", 'http.request.uri.path contains "c"'), rule("z", "block", path "/z") },
      rulesets = { c = { rule("c", "block", 'http.request.uri.path contains "x"') } } }
    for _ = 1, 2000 do
      for asked, expected in pairs { ["/a"] = "a", ["/z"] = "z", ["/cx"] = "c", ["/c"] = "pass", ["/sc"] = "pass", ["/"] = "pass" } do
        assert.equal(expected, (one.ask(asked)))
      end
    end
  end)

  -- The functions that are made for one segment have its run() as an upvalue; those of programs have a table of them.
  local function is_single(document)
    local one = worker(document)
    one.ask()
    for i = 1, 10 do
      local name = debug.getupvalue(one.set.functions[7], i)
      if name == "run" then return true end
    end
    return false
  end

  it("is the function of its only segment for a host that has no more", function()
    local zone = { rule("z", "block", path "/z") }
    assert.is_true(is_single { rules = zone })
    assert.is_true(is_single { rules = zone, account_rules = { rule("a", "block", 'http.host eq "b.test"') } })
    assert.is_false(is_single { rules = zone, account_rules = { rule("a", "block", 'http.host eq "a.test"') } })
  end)

  describe("an accessor that fails", function()
    local BROKEN = 'http.user_agent eq "x"'
    local function broken(document)
      local one = worker(document)
      one.schema.fields["http.user_agent"].access = function() error("no such thing", 0) end
      assert.has_error(function() one.ask() end)
      return one
    end

    for _, case in ipairs {
      { "in a block rule is a match", { rules = { rule("l", "log"), rule("bad", "block", BROKEN) } }, "bad", "l" },
      { "in a challenge is a match", { rules = { rule("bad", "js_challenge", BROKEN) } }, "bad", "" },
      { "in a log rule is none", { rules = { rule("bad", "log", BROKEN), rule("z", "block") } }, "z", "" },
      { "in a skip rule is none", { rules = { rule("bad", "skip", BROKEN, PHASE), rule("z", "block") } }, "z", "" },
      { "in an execution is none", { rules = { execute("c", BROKEN), rule("z", "log") }, rulesets = { c = { rule("c", "block") } } }, "pass", "z" },
      { "in an executed ruleset counts by the action there", { rules = { execute "c", rule("z", "block") },
        rulesets = { c = { rule("l", "log", BROKEN), rule("c", "block", BROKEN) } } }, "c", "" },
      { "in the account's rules does not keep the zone's from running", { account_rules = { rule("l", "log", BROKEN) },
        rules = { rule("z", "block") } }, "z", "" },
    } do
      it(case[1], function()
        local one = broken(case[2])
        for _ = 1, 3 do assert.same({ case[3], case[4] }, { one.guarded() }) end
        assert.truthy(#one.failures >= 1)
      end)
    end
  end)
end)
