local cli = require "spec.support.cli"
local document = require "moongate.cli.export_document"

describe("moongate.cli.export_document", function()
  local line

  setup(function() line = cli.start() end)
  teardown(function() line:close() end)

  for _, case in ipairs {
    { "no JSON", "{", "line 1, column" },
    { "something else", "{}", '"moongate_export" is missing' },
    { "another version", '{"moongate_export":2}', "version 2 cannot be read" },
    { "no scope", '{"moongate_export":1}', 'scope: expected "account" or "zone"' },
    { "an unknown member", '{"moongate_export":1,"scope":"zone","zonse":[]}', 'did you mean "zones"?' },
    { "an unknown kind", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test","orgins":[]}]}', 'zones[0]: unknown member "orgins"; did you mean "origins"?' },
    { "an unknown member of a thing", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test","origins":[{"hostname":"*","utl":"x"}]}]}',
      'zones[0].origins[0]: unknown member "utl"; did you mean "url"?' },
    { "a thing without what it needs", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test","origins":[{"hostname":"*"}]}]}',
      'zones[0].origins[0]: "url" is missing' },
    { "a member of a wrong type", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test","associations":[{"hostnames":"x"}]}]}',
      "zones[0].associations[0].hostnames: expected array, not string" },
    { "a list that is none", '{"moongate_export":1,"scope":"account","account":{"lists":{}}}', "account.lists: expected an array" },
    { "a zone without a name", '{"moongate_export":1,"scope":"zone","zones":[{}]}', 'zones[0]: "name" is missing' },
    { "a thing twice", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test"},{"name":"a.test"}]}', '"a.test" is there twice' },
    { "a CA that is nowhere", '{"moongate_export":1,"scope":"zone","zones":[{"name":"a.test","associations":[{"ca":"x","hostnames":["a.test"]}]}]}',
      'there is no CA "x"' },
  } do
    it("refuses " .. case[1] .. " before anything is changed", function()
      local before = line.gate.control.publications
      line.stdin = case[2]
      local result = line:run { "import", "-" }
      assert.equal(1, result.code)
      assert.equal("", result.out)
      assert.truthy(result.err:find(case[3], 1, true), result.err)
      assert.equal(before, line.gate.control.publications)
    end)
  end

  it("writes the same text for the same content, members that tell things apart first", function()
    local text = document.encode { zones = { { url = "x", hostname = "*", name = "a.test" } }, scope = "zone", moongate_export = 1 }
    assert.truthy(text:find('^{\n  "moongate_export":1,\n  "scope":"zone",\n  "zones":%[{\n +"name":"a.test",\n +"hostname":"%*",\n +"url":"x"'))
    assert.equal(text, document.encode { moongate_export = 1, scope = "zone", zones = { { name = "a.test", hostname = "*", url = "x" } } })
  end)

  it("reads what it does not speak of as nothing to do", function()
    local read = assert(document.read '{"moongate_export":1,"scope":"account"}')
    assert.is_nil(read.zones)
  end)
end)
