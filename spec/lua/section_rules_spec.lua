-- The rules of a section as text, and back.

local fields = require "moongate.fields"
local section_rules = require "moongate.section_rules"

local BLOCK = { id = "b", action = "block", expression = "ssl", description = "left out" }
local LISTED = { id = "l", action = "block", expression = "ip.src in $office" }
local OFFICE = { kind = "ip", items = "c0000200c00002ff" }

local function execute(id) return { id = "x", action = "execute", expression = "true", action_parameters = { id = id } } end

-- Short, and different for different texts.
local function digest(text) return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end)) end
local function text_of(document) return section_rules.encode(document, digest) end

describe("moongate.section_rules", function()
  local reader
  before_each(function() reader = section_rules.reader(fields.schema()) end)

  it("reads what it wrote: entry points in the order in which they are run", function()
    local section = assert(reader:read(text_of {
      rules = { BLOCK, execute "c1" }, account_rules = { BLOCK }, firewall_rules = { BLOCK }, rulesets = { c1 = { LISTED } },
      lists = { office = OFFICE },
    }))
    local kinds = {}
    for i, part in ipairs(section.entries) do kinds[i] = part.kind end
    assert.same({ "firewall", "account", "zone" }, kinds)
    assert.equal("custom", section.rulesets.c1.kind)
    assert.is_true(section.lists.office.contains "\192\0\2\1")
    assert.is_false(section.lists.office.contains "\192\0\3\1")
  end)

  it("carries nothing but what serving needs", function()
    assert.is_nil(text_of({ rules = { BLOCK } }):find("left out", 1, true))
  end)

  it("writes no entry for rules that are not there", function()
    assert.same({}, assert(reader:read(text_of {})).entries)
    assert.same({}, assert(reader:read(text_of { rules = {}, account_rules = {} })).entries)
  end)

  it("writes the same text for the same rules", function()
    local document = { rules = { execute "a", execute "b" }, rulesets = { a = { BLOCK }, b = { LISTED } }, lists = { office = OFFICE } }
    assert.equal(text_of(document), text_of(document))
  end)

  it("reads equal parts once, as long as somebody has them", function()
    local prepared = 0
    reader = section_rules.reader(fields.schema(), function() prepared = prepared + 1 end)
    local one = assert(reader:read(text_of { rules = { LISTED }, account_rules = { BLOCK }, lists = { office = OFFICE } }))
    local two = assert(reader:read(text_of { rules = { BLOCK }, account_rules = { BLOCK }, lists = { office = OFFICE } }))
    assert.equal(one.entries[1], two.entries[1])
    assert.equal(one.lists.office, two.lists.office)
    assert.equal(3, prepared)
    one, two = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert(reader:read(text_of { account_rules = { BLOCK } }))
    assert.equal(4, prepared)
  end)

  for _, case in ipairs {
    { "an executed ruleset that is not there", { rules = { execute "c1" } }, "c1" },
    { "an executed ruleset that does not parse", { rules = { execute "c1" }, rulesets = { c1 = { { action = "block", expression = "x" } } } },
      "ruleset c1: rule 1" },
  } do
    it(("refuses %s"):format(case[1]), function()
      local section, message = reader:read(text_of(case[2]))
      assert.is_nil(section)
      assert.truthy(message:find(case[3], 1, true))
    end)
  end

  it("is not written with a list that is none", function()
    local text, message = section_rules.encode({ lists = { office = { kind = "ip", items = "x" } } }, tostring)
    assert.is_nil(text)
    assert.truthy(message:find("list office", 1, true))
  end)

  describe("prove()", function()
    local function prove(document) return section_rules.prove(assert(reader:read(text_of(document)))) end

    it("accepts rules with their lists", function()
      assert.is_true(prove { rules = { LISTED }, lists = { office = OFFICE } })
    end)

    for _, case in ipairs {
      { "a list that is not there", { rules = { BLOCK, LISTED } }, "rule 2: " },
      { "a list of another type", { account_rules = { LISTED }, lists = { office = { kind = "hostname", items = "a.test" } } }, "account rule 1: " },
      { "a list that is not there behind an execution", { rules = { execute "c", LISTED }, rulesets = { c = { BLOCK } } }, "rule 2: " },
      { "a list that an executed ruleset names", { rules = { execute "c" }, rulesets = { c = { LISTED } } }, "rule 1: " },
    } do
      it(("refuses %s"):format(case[1]), function()
        local ok, message = prove(case[2])
        assert.is_nil(ok)
        assert.equal(case[3], message:sub(1, #case[3]))
        assert.truthy(message:find("office", 1, true))
      end)
    end

    it("asks again when the lists are others", function()
      local with = assert(reader:read(text_of { rules = { LISTED }, lists = { office = OFFICE } }))
      assert.is_true(section_rules.prove(with))
      assert.is_nil((prove { rules = { LISTED } }))
    end)
  end)
end)
