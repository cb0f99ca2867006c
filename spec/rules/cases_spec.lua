-- Runs the corpus in cases/: one JSON object a line, {"expr", "fields", "lists", "expect", and for refused ones
-- perhaps "line", "column", "message"}, over the fields of cases/scheme.json. "expect" is true, false or "error". The
-- files know nothing of this implementation. Every accepted expression is run twice: compiled, and specialised with
-- every field known beforehand; the two ways share little code and must agree.

local host = require "spec.rules.harness"

describe("moongate.rules on the corpus", function()
  for _, path in ipairs(host.corpus()) do
    describe(path:match("[^/]+$"), function()
      local number = 0
      for line in io.lines(path) do
        number = number + 1
        local case = host.decode(line)
        local title = ("%d: %s is %s"):format(number, case.expr:sub(1, 100):gsub("%c", " "), tostring(case.expect))
        it(title, function()
          local answer, diag = host.check(case)
          if case.expect ~= "error" then
            assert.is_nil(diag, diag and diag:render())
            assert.equal(case.expect, answer.compiled)
            assert.equal(case.expect, answer.folded)
            return
          end
          assert.is_nil(answer)
          for _, key in ipairs { "line", "column", "message" } do
            if case[key] then
              assert.equal(case[key], diag[key])
            end
          end
        end)
      end
    end)
  end
end)
