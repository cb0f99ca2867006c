-- Two gateways in one process, in a program of its own (gateways.c): the sanitizers see all of it, the clients included.

local certs = require "spec.support.certs"
local shell = require "spec.support.shell"

describe("two gateways in one process", function()
  it("do not see each other: each serves its own names, and one goes on when the other has gone", function()
    local own = certs.leaf(nil, { cn = "one.test", eku = "serverAuth", san = "DNS:one.test,DNS:two.test" })
    local program = (os.getenv("MOONGATE_BUILD_DIR") or "build/dev") .. "/moongate_spec_gateways"
    local result = shell.run({ program, certs.write(own.pem .. own.key, ".pem"), "1500" }, { seconds = 120 })
    assert.equal(table.concat({
      "one.test serves its own name only",
      "two.test serves its own name only",
      "both serve under publications",
      "one.test is gone",
      "two.test serves its own name only",
      "the other goes on",
      "two.test is gone",
      "fine",
      "",
    }, "\n"), result.stdout, result.stderr)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)
end)
