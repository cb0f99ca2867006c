local explain_print = require "moongate.explain_print"
local json = require "moongate.json"
local types = require "moongate.rules.types"

local function leaf(value, kind, text)
  return {
    kind = "compare", text = text or "x eq y", value = true, reached = true,
    operand = { kind = "field", text = "x", type = assert(types.parse(kind)), value = value, parts = {} },
  }
end

local function report(tree, changed)
  local one = {
    is_expression = true, schema = { fields = {} }, changes = {}, reads_certificate = true,
    rules = { { index = 1, action = "block", expression = "x", enabled = true, reached = true, matches = true, tree = tree } },
    outcome = { action = "block", index = 1, reported = {} },
  }
  for key, value in pairs(changed or {}) do one[key] = value end
  return one
end

local function line_of(value, kind) return (explain_print.text(report(leaf(value, kind))):match("x = ([^\n]*)")) end
local function json_of(value, kind)
  return assert(json.decode(explain_print.json(report(leaf(value, kind))), { exact_integers = true })).rules[1].tree.operand.value
end

describe("moongate.explain_print", function()
  for _, case in ipairs {
    { "plain", "String", '"plain"', "plain" }, { 'a"b\\c', "String", [["a\"b\\c"]], 'a"b\\c' },
    { "\27[31m\n", "String", [["\x1b[31m\x0a"]], "\27[31m\n" }, { "\195\164", "String", [["\xc3\xa4"]], "\195\164" },
    { "\255", "String", [["\xff"]], json.object { bytes = "ff" } }, { "\192\0\2\1", "IP", "192.0.2.1", "192.0.2.1" },
    { 5, "Integer", "5", 5 }, { "\128\32\0\0\0\0\0\1", "Integer", "9007199254740993", json.integer "9007199254740993" },
    { { n = 2, "a", "b" }, "Array<String>", '["a", "b"]', json.array { "a", "b" } }, { { n = 0 }, "Array<IP>", "[]", json.array {} },
    { { k = { n = 1, 1 } }, "Map<Array<Integer>>", '{"k": [1]}', json.object { k = json.array { 1 } } }, { nil, "String", "missing", json.null },
  } do
    it(("shows %s"):format(case[3]), function() assert.equal(case[3], line_of(case[1], case[2])) end)
    it(("writes %s in JSON"):format(case[3]), function() assert.same(case[4], json_of(case[1], case[2])) end)
  end

  it("cuts what is long, in the text only", function()
    local long = ("x"):rep(5000)
    assert.equal(('"%s…" (5000 bytes)'):format(("x"):rep(160)), line_of(long, "String"))
    assert.equal(long, json_of(long, "String"))
    local list = { n = 100 }
    for i = 1, 100 do list[i] = i end
    assert.equal("[1, 2, 3, 4, 5, 6, 7, 8, … 100 in all]", line_of(list, "Array<Integer>"))
    assert.equal(100, #json_of(list, "Array<Integer>"))
  end)

  it("puts an expression on one line, without anything that a terminal obeys", function()
    local text = explain_print.text(report(leaf("v", "String", 'x eq\n  "\27]0;t\7\194\155"')))
    assert.truthy(text:find('x eq "\\x1b]0;t\\x07?"\n', 1, true), text)
  end)

  it("escapes what rules say of themselves", function()
    local one = report(leaf("v", "String"), { is_expression = false })
    one.rules[1].id, one.rules[1].description = "\27[2J", "a\nb"
    assert.truthy(explain_print.text(one):find('rule 1 \\x1b[2J "a\\x0ab": block: matches and is reported\n', 1, true))
  end)

  it("tells why a certificate is not verified", function()
    local one = report(leaf("v", "String"), { certificate = { verified = false, reason = "certificate has expired" } })
    assert.truthy(explain_print.text(one):find("^client certificate: not verified: certificate has expired\n"))
    assert.same(json.object { verified = false, reason = "certificate has expired" },
      assert(json.decode(explain_print.json(one))).certificate)
  end)

  it("shows an error where it happened", function()
    local tree = leaf(nil, "String")
    tree.value, tree.error, tree.operand.error = nil, "it broke", "it broke"
    local text = explain_print.text(report(tree))
    assert.truthy(text:find("  error   x eq y\n            x failed: it broke\n", 1, true), text)
    assert.equal("it broke", assert(json.decode(explain_print.json(report(tree)))).rules[1].tree.error)
  end)

  it("says that nothing turns it", function()
    assert.truthy(explain_print.text(report(leaf("v", "String"))):find("No other client certificate that was tried would turn it.\n$"))
  end)
end)
