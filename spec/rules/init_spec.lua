-- The public face: what a host sees of the engine. Details of the language are in cases/, details of files in their
-- own specs.

local rules = require "moongate.rules"

local function host()
  local request, reads = {}, {}
  local function field(name, kind)
    return {
      name = name,
      type = kind,
      access = function()
        reads[name] = (reads[name] or 0) + 1
        if request[name] == "fail" then
          error("cannot read " .. name)
        end
        return request[name]
      end,
    }
  end
  local schema = rules.new_schema {
    fields = {
      field("http.host", "String"),
      field("http.path", "String"),
      field("ssl", "Boolean"),
      field("verified", "Boolean"),
      field("port", "Integer"),
      field("ip.src", "IP"),
      field("names", "Array<String>"),
      field("headers", "Map<Array<String>>"),
      { name = "bot", type = "Boolean", constant = false },
    },
  }
  return schema, request, reads
end

describe("moongate.rules", function()
  local schema, request, reads
  before_each(function()
    schema, request, reads = host()
    request["http.host"], request["http.path"] = "api.example", "/v1/pay"
    request.ssl, request.verified, request.port = true, false, 443
    request["ip.src"] = "\192\0\2\7"
    request.names = { n = 2, "Host", "X-Team" }
    request.headers = { host = { n = 1, "api.example" }, ["x-team"] = { n = 2, "Blue", "Red" } }
  end)

  local function compile(list, options)
    local ruleset, diag, index = rules.compile(schema, list, options)
    return assert(ruleset, diag and ("rule " .. index .. ": " .. diag:render()))
  end

  local function verdict(expression)
    return compile({ { expression = expression, action = "block" } }).run() == 1
  end

  describe("new_schema()", function()
    for _, case in ipairs {
      { { { name = "a..b", type = "String" } }, "is no field name" },
      { { { name = "a", type = "Text" } }, "unknown type" },
      { { { name = "a", type = "Array<>" } }, "unknown type" },
      { { { name = "a", type = "IP" }, { name = "a", type = "IP" } }, "declared twice" },
      { { { name = "lower", type = "String" } }, "both a field and a function" },
    } do
      it("refuses a declaration: " .. case[2], function()
        assert.error_matches(function() rules.new_schema { fields = case[1] } end, case[2])
      end)
    end
  end)

  describe("parse()", function()
    it("returns a typed tree", function()
      local tree = assert(rules.parse(schema, 'http.host eq "a"'))
      assert.equal("compare", tree.kind)
      assert.equal("Boolean", tree.type.name)
    end)

    it("returns a diagnostic with line, column and length", function()
      local tree, diag = rules.parse(schema, 'ssl and\n  http.hots eq "a"')
      assert.is_nil(tree)
      assert.same({ "unknown identifier", 2, 3, 9 }, { diag.message, diag.line, diag.column, diag.length })
      assert.equal("did you mean http.host?", diag.hint)
    end)

    it("counts columns in the text as it was given, surrounding whitespace included", function()
      local _, diag = rules.parse(schema, "\t nope")
      assert.equal(3, diag.column)
    end)
  end)

  describe("compile()", function()
    it("names the rule that does not parse", function()
      local ruleset, diag, index = rules.compile(schema, {
        { expression = "ssl", action = "block" }, { expression = "ssl eq", action = "log" },
      })
      assert.is_nil(ruleset)
      assert.equal(2, index)
      assert.equal("unrecognised input", diag.message)
    end)

    it("checks a disabled rule and then leaves it out", function()
      local _, _, index = rules.compile(schema, { { expression = "nope", action = "block", enabled = false } })
      assert.equal(1, index)
      assert.equal(0, compile({ { expression = "ssl", action = "block", enabled = false } }).run())
    end)

    it("refuses an action that it does not know", function()
      assert.error_matches(function() rules.compile(schema, { { expression = "ssl", action = "allow" } }) end,
        'unknown action "allow"')
    end)

    it("answers with the place of the rule in the given list", function()
      local ruleset = compile {
        { expression = "false", action = "block" },
        { expression = "ssl", action = "block", enabled = false },
        { expression = "verified", action = "block" },
        { expression = "ssl", action = "block" },
      }
      assert.equal(4, ruleset.run())
    end)

    it("answers 0 when nothing ends the evaluation", function()
      assert.equal(0, compile({ { expression = "verified", action = "block" } }).run())
      assert.equal(0, compile({}).run())
    end)

    it("reports rules that do not end the evaluation, in order", function()
      local seen = {}
      local ruleset = compile({
        { expression = "ssl", action = "log" },
        { expression = "verified", action = "log" },
        { expression = "port eq 443", action = "log" },
        { expression = "ssl", action = "block" },
        { expression = "ssl", action = "log" },
      }, { on_log = function(index) seen[#seen + 1] = index end })
      assert.equal(4, ruleset.run())
      assert.same({ 1, 3 }, seen)
    end)

    it("stops without a verdict at a skip rule for the current ruleset", function()
      local seen = {}
      local ruleset = compile({
        { expression = "ssl", action = "skip", action_parameters = { products = { "waf" } } },
        { expression = "ssl", action = "skip", action_parameters = { ruleset = "current" } },
        { expression = "ssl", action = "block" },
      }, { on_log = function(index) seen[#seen + 1] = index end })
      assert.same({ 0, 2 }, { ruleset.run() })
      assert.same({ 1, 2 }, seen)
    end)

    it("asks an accessor only when its field is reached, and once", function()
      local ruleset = compile {
        { expression = 'http.host eq "other" and http.path eq "/a"', action = "block" },
        { expression = 'http.host eq "third" or http.host contains "x."', action = "block" },
      }
      assert.equal(0, ruleset.run())
      assert.same({ ["http.host"] = 1 }, reads)
    end)

    it("asks an accessor once, whatever the path through the rules", function()
      local ruleset = compile {
        { expression = 'verified and http.path eq "/a"', action = "block" },
        { expression = 'http.path eq "/b" or lower(http.path) eq "/c"', action = "block" },
        { expression = 'ssl and lower(http.path) eq "/v1/pay"', action = "block" },
      }
      assert.equal(3, ruleset.run())
      assert.same({ ["http.path"] = 1, verified = 1, ssl = 1 }, reads)
    end)

    it("asks an accessor once across many functions", function()
      local list = {}
      for i = 1, 1000 do
        list[i] = { expression = ('http.path eq "/%d" and ssl'):format(i), action = "block" }
      end
      list[1001] = { expression = 'http.path eq "/v1/pay"', action = "block" }
      local ruleset = compile(list)
      assert.equal(1001, ruleset.run())
      assert.same({ ["http.path"] = 1 }, reads)
      request["http.path"] = "/777"
      assert.equal(777, ruleset.run())
      assert.same({ ["http.path"] = 2, ssl = 1 }, reads)
    end)

    it("lists the fields that the code may read", function()
      local ruleset = compile { { expression = 'bot or http.host eq "a" and ssl', action = "block" } }
      assert.same({ ["http.host"] = true, ssl = true }, ruleset.fields)
    end)

    it("never writes a literal into the source", function()
      local hostile = '"] os.exit(9) --[[ '
      local ruleset = compile { { expression = 'http.path eq r#"' .. hostile .. '"#', action = "block" } }
      request["http.path"] = hostile
      assert.equal(1, ruleset.run())
      for _, chunk in ipairs(ruleset.chunks) do
        assert.is_nil(chunk.source:find("exit", 1, true))
      end
    end)

    it("shows its code with the constants beside it", function()
      local code = compile({ { expression = 'http.host eq "a\nb"', action = "block" } }):code()
      assert.matches('-- K%[1%]: "a\\nb"', code)
      assert.matches("return function%(%)", code)
    end)
  end)

  describe("document:specialise()", function()
    it("folds rules of other hosts away", function()
      local document = assert(rules.document(schema, {
        { expression = 'http.host eq "a.example" and not verified', action = "block" },
        { expression = 'http.host in {"b.example" "api.example"} and not verified', action = "block" },
        { expression = 'http.host wildcard "*.other" and ssl', action = "block" },
      }))
      local ruleset = assert(document:specialise { constants = { ["http.host"] = "api.example" } })
      assert.same({ verified = true }, ruleset.fields)
      assert.equal(2, ruleset.run())
      local other = assert(document:specialise { constants = { ["http.host"] = "x.other" } })
      assert.same({ ssl = true }, other.fields)
      assert.equal(3, other.run())
    end)

    it("leaves nothing for a host that no rule names", function()
      local document = assert(rules.document(schema, { { expression = 'http.host eq "a"', action = "block" } }))
      local ruleset = assert(document:specialise { constants = { ["http.host"] = "b" } })
      assert.equal(0, ruleset.run())
      assert.equal("", ruleset:code())
    end)

    it("drops what follows a rule that always matches", function()
      local document = assert(rules.document(schema, {
        { expression = 'http.host eq "a"', action = "block" }, { expression = "ssl", action = "block" },
      }))
      local ruleset = assert(document:specialise { constants = { ["http.host"] = "a" } })
      assert.equal(1, ruleset.run())
      assert.same({}, ruleset.fields)
    end)

    it("keeps the order of general and host-specific rules", function()
      local document = assert(rules.document(schema, {
        { expression = 'http.host eq "a" and verified', action = "block" },
        { expression = "ssl", action = "block" },
        { expression = 'http.host eq "a"', action = "block" },
      }))
      assert.equal(2, assert(document:specialise { constants = { ["http.host"] = "a" } }).run())
      request.ssl = false
      assert.equal(3, assert(document:specialise { constants = { ["http.host"] = "a" } }).run())
    end)

    it("agrees with the unspecialised rules on every host", function()
      local list = {}
      for i, expression in ipairs {
        'http.host eq "a" or ssl', 'not http.host eq "a"', 'http.host ne "b" and verified',
        'http.host in {"a" "b"} xor ssl', 'lower(http.host) eq "c"', 'len(http.host) gt 1', 'http.host contains "i"',
        'not (http.host eq "a" and http.path eq "/")', 'http.host lt "b" or http.host ge "c"',
      } do
        list[i] = { expression = expression, action = "log" }
      end
      local document = assert(rules.document(schema, list))
      for _, name in ipairs { "a", "b", "C", "api.example", "" } do
        request["http.host"] = name
        local plain, special = {}, {}
        assert(document:specialise { on_log = function(i) plain[#plain + 1] = i end }).run()
        assert(document:specialise {
          constants = { ["http.host"] = name }, on_log = function(i) special[#special + 1] = i end,
        }).run()
        assert.same(plain, special)
      end
    end)
  end)

  describe("run_guarded()", function()
    it("counts an error in a block rule as a match", function()
      local errors = {}
      local ruleset = compile({
        { expression = "verified", action = "block" },
        { expression = 'http.path eq "/a"', action = "block" },
      }, { on_error = function(index, err) errors[#errors + 1] = { index, err } end })
      request["http.path"] = "fail"
      assert.is_false((pcall(ruleset.run)))
      assert.equal(2, ruleset.run_guarded())
      assert.equal(2, errors[1][1])
      assert.matches("cannot read http.path", errors[1][2])
    end)

    it("counts an error elsewhere as no match and goes on", function()
      local ruleset = compile {
        { expression = 'http.path eq "/a"', action = "log" },
        { expression = 'http.path eq "/a"', action = "skip", action_parameters = { ruleset = "current" } },
        { expression = "ssl", action = "block" },
      }
      request["http.path"] = "fail"
      assert.equal(3, ruleset.run_guarded())
    end)

    it("does not report again what run() reported before it failed", function()
      local seen = {}
      local ruleset = compile({
        { expression = "ssl", action = "log" },
        { expression = 'http.path eq "/a"', action = "log" },
        { expression = "port eq 443", action = "log" },
      }, { on_log = function(index) seen[#seen + 1] = index end })
      request["http.path"] = "fail"
      assert.is_false((pcall(ruleset.run)))
      assert.equal(0, ruleset.run_guarded())
      assert.same({ 1, 3 }, seen)
    end)
  end)

  describe("evaluation", function()
    for _, case in ipairs {
      { 'ssl and not verified', true },
      { 'http.host in {"portal.example" "api.example"} and http.path wildcard "/V1/p*"', true },
      { 'http.path strict wildcard "/V1/p*"', false },
      { 'headers["x-team"][1] eq "Red"', true },
      { 'headers["X-Team"][0] eq "Blue"', false },
      { 'any(headers["x-team"][*] eq "Red")', true },
      { 'any(headers["x-none"][*] ne "a")', false },
      { 'all(headers["x-none"][*] eq "a")', true },
      { 'headers["x-none"][0] ne "a"', false },
      { 'not headers["x-none"][0] eq "a"', true },
      { 'len(headers["x-team"]) eq 2', true },
      { 'ip.src in {192.0.2.0/28 198.51.100.20..198.51.100.29}', true },
      { 'ip.src in {::ffff:192.0.2.7}', false },
      { 'port in {400..500} xor ssl', false },
      { 'any(lower(names[*])[*] eq "x-team")', true },
      { 'any((names[*] eq "X-Team" and headers["x-team"][*] eq "Red"))', true },
    } do
      it(("finds %s %s"):format(case[1], tostring(case[2])), function()
        assert.equal(case[2], verdict(case[1]))
      end)
    end

    it("carries hundreds of alternatives without going deep", function()
      local parts = {}
      for i = 1, 400 do
        parts[i] = "verified"
      end
      assert.is_false(verdict(table.concat(parts, "||")))
      assert.is_true(verdict(table.concat(parts, "||", 1, 300) .. "||ssl"))
    end)

    for _, case in ipairs {
      { "not", ("not "):rep(127) .. "(ssl)", ("not "):rep(128) .. "(ssl)" },
      { "groups", ("("):rep(128) .. "ssl" .. (")"):rep(128), ("("):rep(129) .. "ssl" .. (")"):rep(129) },
      { "mixed chains", ("(ssl xor verified or ssl and port eq 1 or "):rep(60) .. "ssl" .. (")"):rep(60),
        ("("):rep(70) .. ("not "):rep(59) .. "ssl" .. (")"):rep(70) },
    } do
      it("takes 128 levels of " .. case[1] .. " and refuses one more", function()
        verdict(case[2])
        local _, diag = rules.parse(schema, case[3])
        assert.matches("nesting depth exceeded", diag.message)
      end)
    end

    it("refuses far deeper text without exhausting the stack", function()
      local _, diag = rules.parse(schema, ("("):rep(4000))
      assert.matches("nesting depth exceeded", diag.message)
    end)
  end)
end)
