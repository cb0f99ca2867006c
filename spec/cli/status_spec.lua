local cli = require "spec.support.cli"

describe("moongate status", function()
  local line

  before_each(function() line = cli.start() end)
  after_each(function() line:close() end)

  it("shows what is stored, published and served", function()
    local generation = line:json({ "status" }).generation
    assert.equal(("stored     %d\npublished  %d\nworker 1   %d\nworker 2   %d\n"):format(generation, generation, generation, generation),
      (line:ok { "status" }))
  end)

  it("fails when a worker lags behind", function()
    line.gate:zone "heron.test"
    line.gate.control.generation = line.gate.control.generation - 1
    local result = line:run { "status" }
    assert.equal(1, result.code)
    assert.truthy(result.err:find("2 workers do not serve the newest state", 1, true))
    assert.truthy(result.out:find("stored", 1, true))
  end)
end)
