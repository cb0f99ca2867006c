local order = require "moongate.rules.order"

describe("moongate.rules.order", function()
  local ASCENDING = { "", "\0", "\0\0", "10", "9", "A", "Z", "a", "aa", "ab", "b", "\127", "\128", "\255", "\255\0" }

  for i, a in ipairs(ASCENDING) do
    for k, b in ipairs(ASCENDING) do
      it(("orders %q and %q by unsigned bytes"):format(a, b), function()
        assert.equal(i < k, order.less(a, b))
        assert.equal(i <= k, order.less_equal(a, b))
        assert.equal(i < k, order.less_by_bytes(a, b))
      end)
    end
  end

  it("folds ASCII letters and nothing else", function()
    local all = {}
    for code = 0, 255 do
      all[#all + 1] = string.char(code)
    end
    all = table.concat(all)
    local lower, upper = order.lower(all), order.upper(all)
    for code = 0, 255 do
      local expected_lower = code >= 65 and code <= 90 and code + 32 or code
      local expected_upper = code >= 97 and code <= 122 and code - 32 or code
      assert.equal(expected_lower, lower:byte(code + 1))
      assert.equal(expected_upper, upper:byte(code + 1))
    end
  end)
end)
