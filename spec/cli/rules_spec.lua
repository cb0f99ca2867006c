local cli = require "spec.support.cli"

describe("moongate rules", function()
  local line

  before_each(function()
    line = cli.start()
    line.gate:zone "heron.test"
  end)
  after_each(function() line:close() end)

  for title, place in pairs { ["a zone"] = { "--zone", "heron.test" }, ["the account"] = { "--all-zones" } } do
    local function with(...)
      local words = { "rules", ... }
      for _, word in ipairs(place) do words[#words + 1] = word end
      return words
    end

    it(("adds, lists, switches and deletes rules of %s"):format(title), function()
      assert.equal(0, #line:json(with "list"))
      assert.truthy(line:ok(with("add", 'http.host eq "a.heron.test"', "--ref", "one", "-d", "first")):find("added the rule one %(block%)"))
      line:ok(with("add", "true", "--action", "log", "--disabled"))
      line:ok(with("add", "ssl", "--ref", "zero", "--first"))
      local list = line:json(with "list")
      assert.same({ "zero", "one" }, { list[1].ref, list[2].ref })
      assert.equal("log", list[3].action)
      assert.is_false(list[3].enabled)
      local last = list[3].id
      line:ok(with("enable", last))
      line:ok(with("disable", "one", "--yes"))
      list = line:json(with "list")
      assert.is_true(list[3].enabled)
      assert.is_false(list[2].enabled)
      assert.equal("first", list[2].description)
      assert.truthy(line:ok(with "list"):find("one +no +block +http"))
      line:ok(with("delete", "one", "--yes"))
      assert.equal(2, #line:json(with "list"))
    end)
  end

  it("keeps everything else of a rule that it switches", function()
    local id = line.gate:call("GET", "/zones").body.result[1].id
    local path = ("/zones/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(id)
    line.gate:call("PUT", path, { rules = {
      { ref = "skipping", action = "skip", action_parameters = { ruleset = "current" }, expression = "ssl", logging = { enabled = false } },
      { ref = "page", action = "block", expression = "not ssl",
        action_parameters = { response = { status_code = 451, content = "no", content_type = "text/plain" } } },
    } })
    for _, ref in ipairs { "skipping", "page" } do
      line:ok { "rules", "disable", ref, "-z", "heron.test", "-y" }
      line:ok { "rules", "enable", ref, "-z", "heron.test" }
    end
    local rules = line.gate:call("GET", path).body.result.rules
    assert.is_false(rules[1].logging.enabled)
    assert.equal("current", rules[1].action_parameters.ruleset)
    assert.equal(451, rules[2].action_parameters.response.status_code)
  end)

  for _, case in ipairs {
    { "no place", { "rules", "list" }, 2, "--all-zones" },
    { "two places", { "rules", "list", "-z", "heron.test", "--all-zones" }, 2, "can not be used together" },
    { "an expression that is wrong", { "rules", "add", 'http.hots eq "a"', "-z", "heron.test" }, 1, "^^^" },
    { "an action that is none", { "rules", "add", "ssl", "-a", "explode", "-z", "heron.test" }, 1, "explode" },
    { "a rule that is not there", { "rules", "enable", "none", "-z", "heron.test" }, 1, 'there is no rule "none"' },
    { "a deletion that nobody confirmed", { "rules", "delete", "none", "-z", "heron.test" }, 1, 'there is no rule "none"' },
  } do
    it("fails for " .. case[1], function()
      local result = line:run(case[2])
      assert.equal(case[3], result.code)
      assert.truthy(result.err:find(case[4], 1, true), result.err)
    end)
  end

  it("does not delete unasked", function()
    line:ok { "rules", "add", "ssl", "--ref", "one", "-z", "heron.test" }
    assert.equal(2, line:run({ "rules", "delete", "one", "-z", "heron.test" }).code)
    assert.equal(2, line:run({ "rules", "disable", "one", "-z", "heron.test" }).code)
    assert.is_true(line:json({ "rules", "list", "-z", "heron.test" })[1].enabled)
  end)

  it("checks expressions", function()
    assert.equal("the expression is valid\n", (line:ok { "rules", "check", "ssl" }))
    local result = line:run { "rules", "check", "sssl" }
    assert.equal(1, result.code)
    assert.truthy(result.err:find("`sssl`\n ^^^^", 1, true), result.err)
  end)
end)
