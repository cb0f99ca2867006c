local support = require "spec.support.admin"

describe("moongate.admin.resources.status", function()
  it("tells the generation of the store and of each worker", function()
    local gate = assert(support.start())
    gate:zone "heron.test"
    local answer = gate:call("GET", "/moongate/status")
    assert.equal(200, answer.status)
    local result = answer.body.result
    assert.equal(gate.control.generation, result.generation)
    assert.equal(result.generation, result.published)
    assert.same({ { worker = 1, generation = result.generation }, { worker = 2, generation = result.generation } }, result.workers)
    gate:close()
  end)
end)
