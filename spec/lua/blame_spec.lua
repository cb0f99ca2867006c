-- Errors that name the policy's file and line.

local blame = require "moongate.blame"

-- A chunk as a policy file is one.
local function policy(text) return assert(loadstring(text, "@policies/a.lua")) end

describe("moongate.blame", function()
  it("raise() finds the policy's line through functions of ours", function()
    local function helper(message) blame.raise(message) end
    local ours = assert(loadstring("local raise = ... return function(m) raise(m) return 1 end", "@lua/some.lua"))(helper)
    local ok, err = pcall(policy "local f = ...\n\nlocal x = f('no') return x", function(m)
      ours(m)
      return 1
    end)
    assert.is_false(ok)
    -- This spec's own frames come first: they are no module of ours either.
    assert.truthy(err:find(":%d+: no$"), err)
    ok, err = pcall(policy "local f = ...\n\nlocal x = f('no') return x", ours)
    assert.is_false(ok)
    assert.truthy(err:find("^policies/a%.lua:3: no$") or err:find("blame_spec%.lua:%d+: no$"), err)
  end)

  for _, case in ipairs {
    { "a place of its own", "policies/a.lua:7: no", "policies/a.lua:7: no" },
    { "none", "no", "policies/b.lua:1: no" },
    { "something like one further on", "no\na.lua:1: x", "policies/b.lua:1: no\na.lua:1: x" },
    { "a number", 7, "policies/b.lua:1: (error value is a number: 7)" },
    { "nil", nil, "policies/b.lua:1: (error value is a nil: nil)" },
  } do
    it("located() gives a message with " .. case[1] .. " a place", function()
      assert.equal(case[3], blame.located(case[2], "policies/b.lua:1"))
    end)
  end

  it("place_of() tells where a function begins", function()
    assert.equal("policies/a.lua:2", blame.place_of(policy "\nreturn function() end"()))
  end)
end)
