-- The command `moongate explain`, from its options to what it prints.

local certs = require "spec.support.certs"
local explain = require "moongate.explain"
local json = require "moongate.json"

local function output()
  local stream = { text = "" }
  function stream:write(...)
    self.text = self.text .. table.concat({ ... })
    return self
  end
  return stream
end

local function run(options)
  local stdin = options.stdin
  options.stdout, options.stderr = output(), output()
  options.stdin = { read = function() return stdin or "" end }
  local code = explain.run(options)
  return code, options.stdout.text, options.stderr.text
end

local function answered(options)
  options.output = "json"
  local code, out, err = run(options)
  assert.equal(0, code, err)
  return assert(json.decode(out)), err
end

local MTLS = '(http.host in {"api.example.com"} and not cf.tls_client_auth.cert_verified)'

describe("moongate.explain", function()
  describe("run() with an expression", function()
    it("prints every branch with its answer, the verdict, and what would turn it", function()
      local code, out, err = run { expression = MTLS, host = "api.example.com" }
      assert.same({ 0, "" }, { code, err })
      assert.equal([[
  true    and
  true      http.host in {"api.example.com"}
              http.host = "api.example.com"
  true      not
  false       cf.tls_client_auth.cert_verified

the expression is true
Another client certificate would turn it:
  a verified certificate -> false
  a verified certificate that is revoked -> false
]], out)
    end)

    it("says where it did not look, and that the certificate plays no part", function()
      local _, out = run { expression = 'http.host eq "b" and ssl', host = "a" }
      assert.truthy(out:find("ssl   (not looked at)", 1, true))
      assert.truthy(out:find("the expression is false\nThe client certificate plays no part in it.\n", 1, true))
    end)

    it("points at a mistake and says what may have been meant", function()
      assert.same({ 1, "", 'Filter parsing error (1:1):\nhttp.hots eq "a"\n^^^^^^^^^ unknown identifier\ndid you mean http.host?\n' },
        { run { expression = 'http.hots eq "a"' } })
    end)

    it("answers programs with a result, the tree and the changes", function()
      local answer = answered { expression = MTLS, host = "api.example.com" }
      assert.is_true(answer.verdict.result)
      local tree = answer.rules[1].tree
      assert.equal("and", tree.kind)
      assert.equal("api.example.com", tree.operands[1].operand.value)
      assert.same({ false, true }, { tree.operands[2].operands[1].value, tree.operands[2].value })
      assert.equal("a verified certificate", answer.changes[1].label)
      assert.same(json.object {
        ["cf.tls_client_auth.cert_presented"] = true, ["cf.tls_client_auth.cert_verified"] = true,
      }, answer.changes[1].set)
      assert.is_false(answer.changes[1].verdict.result)
    end)
  end)

  describe("run() with rules", function()
    local RULESET = [[{"id": "set", "rules": [
      {"id": "one", "action": "log", "expression": "ssl", "description": "all of them"},
      {"id": "two", "action": "block", "expression": "ssl", "enabled": false},
      {"id": "three", "action": "block", "expression": "http.request.uri.path eq \"/x\""},
      {"id": "four", "action": "managed_challenge", "expression": "true"},
      {"id": "five", "action": "block", "expression": "true"}]}]]

    it("tells of each rule what became of it, and the verdict", function()
      local code, out = run { rules = "-", stdin = RULESET, path = "/y" }
      assert.equal(0, code)
      for _, line in ipairs {
        'rule 1 one "all of them": log: matches and is reported', "rule 2 two: block: disabled", "rule 3 three: block: does not match",
        "rule 4 four: managed_challenge: matches and decides", "rule 5 five: block: not reached",
        "verdict: managed_challenge by rule 4, reported: rule 1",
      } do
        assert.truthy(out:find(line .. "\n", 1, true), line)
      end
    end)

    it("answers programs with the action and the rule", function()
      local answer = answered { rules = "-", stdin = RULESET, path = "/x" }
      assert.same(json.object { action = "block", rule = 3, reported = json.array { 1 } }, answer.verdict)
      assert.same({ true, false, true, false }, {
        answer.rules[3].reached, answer.rules[2].enabled, answer.rules[3].matches, answer.rules[4].reached,
      })
      assert.equal(json.object { action = "pass", reported = json.array {} }.action,
        answered({ rules = "-", stdin = "[]" }).verdict.action)
    end)

    it("ends at a rule that skips the rest", function()
      local answer = answered { rules = "-", stdin = [[{"result": {"rules": [
        {"action": "skip", "expression": "ssl", "action_parameters": {"ruleset": "current"}},
        {"action": "block", "expression": "ssl"}]}}]] }
      assert.same(json.object { action = "pass", reported = json.array { 1 } }, answer.verdict)
      assert.is_false(answer.rules[2].reached)
    end)

    it("tells which certificate turns the action, not merely the rule", function()
      local answer = answered { rules = "-", stdin = [[ [
        {"action": "block", "expression": "not cf.tls_client_auth.cert_presented"},
        {"action": "block", "expression": "not cf.tls_client_auth.cert_verified"}] ]] }
      assert.equal(2, #answer.changes)
      assert.equal("a verified certificate", answer.changes[1].label)
    end)

    it("asks named lists, and says which of them it was not given", function()
      local path = certs.write '{"office": ["192.0.2.0/24"]}'
      local stdin = '[{"action": "block", "expression": "ip.src in $office"}, {"action": "log", "expression": "http.host in $names"}]'
      local answer, err = answered { rules = "-", stdin = stdin, lists = path, ip = "192.0.2.9" }
      assert.equal("block", answer.verdict.action)
      assert.equal("moongate explain: the list $names is not given with --lists, so it counts as empty\n", err)
    end)

    for _, case in ipairs {
      { "{}", "expected a list of rules" }, { "[5]", "rule 1: expected an object" }, { '[{"action": "block"}]', "rule 1: expression" },
      { '[{"expression": "ssl"}]', "rule 1: action" }, { "[", "1:2" }, { '[{"action": "fly", "expression": "ssl"}]', 'unknown action "fly"' },
      { '[{"id": "x", "action": "block", "expression": "sls"}]', "rule 1 (x):\nFilter parsing error (1:1)" },
    } do
      it("refuses the rules " .. case[1], function()
        local code, out, err = run { rules = "-", stdin = case[1] }
        assert.same({ 1, "" }, { code, out })
        assert.truthy(err:find(case[2], 1, true), err)
      end)
    end
  end)

  describe("run() with wrong words", function()
    for title, options in pairs {
      ["neither expression nor rules"] = {}, ["both"] = { expression = "ssl", rules = "x" },
      ["standard input twice"] = { rules = "-", request = "-" }, ["an unknown output"] = { expression = "ssl", output = "xml" },
      ["an address that is none"] = { expression = "ssl", ip = "1.2.3" }, ["a path without a slash"] = { expression = "ssl", path = "x" },
      ["a header without a colon"] = { expression = "ssl", headers = { "x" } }, ["CAs without a certificate"] = { expression = "ssl", ca = "x" },
    } do
      it("exits 2 for " .. title, function()
        local code, out, err = run(options)
        assert.same({ 2, "" }, { code, out })
        assert.truthy(err:find("^moongate explain: .+\n$"))
      end)
    end

    for _, name in ipairs { "rules", "request", "cert", "lists" } do
      it(("exits 1 for a file of --%s that is not there"):format(name), function()
        local options = { expression = name ~= "rules" and "ssl" or nil, [name] = "/nonexistent/file" }
        local code, _, err = run(options)
        assert.equal(1, code)
        assert.truthy(err:find("/nonexistent/file", 1, true))
      end)
    end
  end)
end)
