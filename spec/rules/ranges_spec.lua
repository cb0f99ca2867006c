local codeset = require "moongate.rules.codeset"
local ranges = require "moongate.rules.ranges"

local function less(a, b) return a < b end

local function random_ranges(count, highest)
  local list = {}
  for i = 1, count do
    local first = math.random(0, highest)
    list[i] = { first, math.min(highest, first + math.random(0, 9)) }
  end
  return list
end

local function members(list, highest)
  local out = {}
  for value = 0, highest do
    out[value] = false
    for _, range in ipairs(list) do
      out[value] = out[value] or value >= range[1] and value <= range[2]
    end
  end
  return out
end

describe("moongate.rules.ranges", function()
  it("contains nothing without ranges", function()
    assert.is_false(ranges.new({}, less)(0))
  end)

  it("agrees with looking at every range, whatever their order and overlap", function()
    math.randomseed(11)
    for _ = 1, 60 do
      local list = random_ranges(math.random(1, 12), 80)
      local contains, expected = ranges.new(list, less), members(list, 80)
      for value = 0, 80 do
        assert.equal(expected[value], contains(value))
      end
    end
  end)

  it("does not keep or change the list", function()
    local list = { { 5, 9 }, { 1, 2 } }
    local contains = ranges.new(list, less)
    assert.same({ { 5, 9 }, { 1, 2 } }, list)
    list[1][1] = 7
    assert.is_true(contains(5))
  end)
end)

describe("moongate.rules.codeset", function()
  local HIGHEST = 60

  local function check(set, wanted)
    for code = 0, HIGHEST do
      assert.equal(wanted(code), codeset.has(set, code))
    end
    for i = 2, #set do
      assert.is_true(set[i][1] > set[i - 1][2] + 1) -- sorted and not touching
    end
  end

  it("combines sets as sets combine", function()
    math.randomseed(12)
    for _ = 1, 60 do
      local list_a, list_b = random_ranges(math.random(0, 5), HIGHEST), random_ranges(math.random(0, 5), HIGHEST)
      local in_a, in_b = members(list_a, HIGHEST), members(list_b, HIGHEST)
      local a, b = codeset.new(list_a), codeset.new(list_b)
      check(a, function(c) return in_a[c] end)
      check(codeset.union(a, b), function(c) return in_a[c] or in_b[c] end)
      check(codeset.intersect(a, b), function(c) return in_a[c] and in_b[c] end)
      check(codeset.subtract(a, b, HIGHEST), function(c) return in_a[c] and not in_b[c] end)
      check(codeset.differ(a, b, HIGHEST), function(c) return in_a[c] ~= in_b[c] end)
      check(codeset.negate(a, HIGHEST), function(c) return not in_a[c] end)
    end
  end)

  it("adds the other case of ASCII letters", function()
    assert.same({ { 65, 67 }, { 97, 99 } }, codeset.fold_ascii { { 97, 99 } })
    assert.same({ { 64, 91 }, { 97, 122 } }, codeset.fold_ascii { { 64, 91 } })
    assert.same({ { 48, 57 } }, codeset.fold_ascii { { 48, 57 } })
  end)
end)
