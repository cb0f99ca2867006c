local runtime = require "moongate.rules.runtime"

local function list(...)
  return { n = select("#", ...), ... }
end

describe("moongate.rules.runtime", function()
  it("lists a map's values in the byte order of its keys", function()
    assert.same(list(4, 3, 1, 2), runtime.sorted_values { b = 1, ["\255"] = 2, a = 3, ["A"] = 4 })
    assert.same(list(), runtime.sorted_values {})
  end)

  it("pairs by position and cuts to the shorter", function()
    assert.same(list(true, false), runtime.both(list(true, true), list(true, false, true)))
    assert.same(list(true, true), runtime.either(list(true, false, true), list(false, true)))
    assert.same(list(false, true), runtime.differ(list(true, true), list(true, false)))
    assert.same(list(), runtime.both(list(), list(true)))
  end)

  it("turns every element round", function()
    assert.same(list(false, true), runtime.negate(list(true, false)))
  end)

  it("finds no element in an empty array and no exception either", function()
    assert.is_false(runtime.any(list()))
    assert.is_true(runtime.all(list()))
    assert.is_true(runtime.any(list(false, true)))
    assert.is_false(runtime.all(list(true, false)))
  end)

  it("looks at nothing beyond n", function()
    assert.is_false(runtime.any { n = 1, false, true })
    assert.is_true(runtime.all { n = 1, true, false })
  end)
end)
