local integer = require "moongate.rules.integer"

local MIN, MAX = "-9223372036854775808", "9223372036854775807"

describe("moongate.rules.integer", function()
  describe("from_decimal() and to_decimal()", function()
    for _, text in ipairs {
      "0", "-1", "443", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740992",
      "-9007199254740993", "4294967296000000000", "1000000000000000000", "-1000000000000000001", MIN, MAX,
    } do
      it("keeps " .. text, function()
        assert.equal(text, integer.to_decimal(integer.from_decimal(text)))
      end)
    end

    for _, text in ipairs { "9223372036854775808", "-9223372036854775809", "99999999999999999999", "", "-", "1.0", "+1", "1e3" } do
      it(("refuses %q"):format(text), function()
        assert.is_nil(integer.from_decimal(text))
      end)
    end

    it("has one form for minus zero", function()
      assert.equal("0", integer.to_decimal(integer.from_decimal("-0")))
    end)

    it("keeps numbers up to 2^53 as numbers and no further", function()
      assert.equal("number", type(integer.from_decimal("9007199254740992")))
      assert.equal("string", type(integer.from_decimal("9007199254740993")))
      assert.equal("number", type(integer.from_decimal("-9007199254740992")))
      assert.equal("string", type(integer.from_decimal("-9007199254740993")))
    end)
  end)

  describe("from_digits()", function()
    for _, case in ipairs {
      { "7fffffffffffffff", 16, MAX }, { "777777777777777777777", 8, MAX }, { "1ff", 16, "511" }, { "20000000000001", 16, "9007199254740993" },
    } do
      it(("reads %s in radix %d"):format(case[1], case[2]), function()
        assert.equal(case[3], integer.to_decimal(integer.from_digits(case[1], case[2], false)))
      end)
    end

    for _, case in ipairs { { "8000000000000000", 16 }, { "ffffffffffffffff", 16 }, { "1777777777777777777777", 8 }, { ("9"):rep(400), 10 } } do
      it(("refuses %s in radix %d"):format(case[1]:sub(1, 24), case[2]), function()
        assert.is_nil(integer.from_digits(case[1], case[2], false))
      end)
    end
  end)

  local ASCENDING = { MIN, "-9223372036854775807", "-9007199254740993", "-9007199254740992", "-1", "0", "1", "9007199254740992",
    "9007199254740993", "9007199254740994", "9223372036854775806", MAX }

  describe("less() and less_equal()", function()
    for i, a in ipairs(ASCENDING) do
      for k, b in ipairs(ASCENDING) do
        it(("order %s and %s"):format(a, b), function()
          local x, y = integer.from_decimal(a), integer.from_decimal(b)
          assert.equal(i < k, integer.less(x, y))
          assert.equal(i <= k, integer.less_equal(x, y))
          assert.equal(i == k, x == y)
        end)
      end
    end
  end)

  describe("shares_a_bit()", function()
    for _, case in ipairs {
      { "6", "2", true }, { "6", "1", false }, { "-1", MIN, true }, { MAX, MIN, false }, { "0", "-1", false },
      { "9007199254740993", "1", true }, { "9007199254740993", "2", false }, { "-2", "1", false }, { "4294967296", "4294967296", true },
    } do
      it(("of %s and %s is %s"):format(case[1], case[2], tostring(case[3])), function()
        assert.equal(case[3], integer.shares_a_bit(integer.from_decimal(case[1]), integer.from_decimal(case[2])))
      end)
    end
  end)

  describe("is_integer()", function()
    for _, text in ipairs(ASCENDING) do
      it("knows " .. text, function() assert.is_true(integer.is_integer(integer.from_decimal(text))) end)
    end
    for _, value in ipairs { 1.5, 9007199254740994, "abc", 0 / 0, math.huge, "\128\0\0\0\0\0\0\1" } do
      it(("refuses %q"):format(tostring(value)), function()
        assert.is_false(integer.is_integer(value))
      end)
    end
  end)
end)
