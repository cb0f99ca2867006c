-- The corpus of expressions once more, through the program: `moongate eval --batch --scheme`, as another implementation's
-- corpus would be run. The lines go in as they are: eval reads expr, fields and lists, and passes over the rest.

local dkjson = require "dkjson"
local gateway = require "spec.support.gateway"

local FOLDER = "spec/rules/cases/"

local function files()
  local list, pipe = {}, assert(io.popen("ls " .. FOLDER .. "*.jsonl"))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

describe("moongate eval --batch", function()
  for _, path in ipairs(files()) do
    it("judges every line of " .. path:match("[^/]+$") .. " as expected", function()
      local lines = {}
      for line in io.lines(path) do lines[#lines + 1] = line end
      local result = gateway.cli({ "eval", "--batch", "--scheme", FOLDER .. "scheme.json" }, table.concat(lines, "\n") .. "\n")
      assert.equal(0, result.status, result.stderr)
      local number = 0
      for answer in result.stdout:gmatch("[^\n]+") do
        number = number + 1
        local case, given = assert(dkjson.decode(lines[number])), assert(dkjson.decode(answer), answer)
        local got = given.error and "error" or given.result
        assert.equal(case.expect, got, ("line %d: %s → %s"):format(number, case.expr, answer))
      end
      assert.equal(#lines, number)
    end)
  end
end)
