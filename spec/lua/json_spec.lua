local json = require "moongate.json"

describe("moongate.json", function()
  describe("decode()", function()
    for _, case in ipairs {
      { "1", 1 }, { "-0.5e2", -50 }, { "0", 0 }, { "true", true }, { "false", false }, { ' "a" \n', "a" },
      { '"\\u00e9\\n\\/\\"\\\\"', 'é\n/"\\' }, { '"\\ud83c\\udf19"', "🌙" }, { '"é\127"', "é\127" }, { '"\\u0000"', "\0" },
    } do
      it("reads " .. case[1], function() assert.equal(case[2], json.decode(case[1])) end)
    end

    it("tells objects, arrays and null apart", function()
      local value = json.decode '{"a":[],"o":{},"n":null,"l":[1,[2]]}'
      assert.is_true(json.is_array(value.a))
      assert.is_false(json.is_object(value.a))
      assert.is_true(json.is_object(value.o))
      assert.equal(json.null, value.n)
      assert.equal(2, value.l[2][1])
    end)

    for _, case in ipairs {
      { "", 1, 1, "ends" }, { "  ", 1, 3, "ends" }, { "1 2", 1, 3, "after the value" }, { "[1,]", 1, 4, "expected a value" },
      { "[1 2]", 1, 4, "expected ," }, { '{"a" 1}', 1, 6, "expected :" }, { '{"a":1,}', 1, 8, "member name" },
      { "{a:1}", 1, 2, "member name" }, { "01", 1, 1, "malformed" }, { "1.", 1, 1, "malformed" }, { ".5", 1, 1, "expected a value" },
      { "+1", 1, 1, "expected a value" }, { "-", 1, 1, "digit" }, { "1e", 1, 1, "malformed" }, { "1e999", 1, 1, "range" },
      { "nul", 1, 1, "expected a value" }, { "NaN", 1, 1, "expected a value" }, { '"a', 1, 1, "without an end" },
      { '"\\x41"', 1, 2, "escape" }, { '"\\u12g4"', 1, 4, "hexadecimal" }, { '"\\ud800"', 1, 4, "surrogate" },
      { '"\\udc00"', 1, 4, "surrogate" }, { '"\\ud800\\u0041"', 1, 4, "surrogate" }, { '"a\nb"', 1, 3, "control" },
      { '"\255"', 1, 1, "UTF%-8" }, { '"\237\160\128"', 1, 1, "UTF%-8" }, { '{"a":1}\n\n x', 3, 2, "after the value" },
      { "[1]]", 1, 4, "after the value" }, { "'a'", 1, 1, "expected a value" }, { "[1,\n2,\n,]", 3, 1, "expected a value" },
      { "\239\187\191{}", 1, 1, "expected a value" },
    } do
      it(("refuses %q"):format(case[1]), function()
        local value, err = json.decode(case[1])
        assert.is_nil(value)
        assert.matches(case[4], err.message)
        assert.same({ case[2], case[3] }, { err.line, err.column })
      end)
    end

    it("goes to the depth limit and not beyond", function()
      assert.is_table((json.decode(("["):rep(32) .. ("]"):rep(32))))
      local _, err = json.decode(("["):rep(33) .. ("]"):rep(33))
      assert.matches("nesting deeper than 32", err.message)
      assert.is_table((json.decode("[[1]]", { max_depth = 2 })))
      assert.is_nil((json.decode("[[[1]]]", { max_depth = 2 })))
    end)

    it("survives a million brackets", function()
      assert.is_nil((json.decode(('{"a":['):rep(500000))))
    end)

    it("takes the last of two equal members, or refuses them when asked", function()
      assert.equal(2, json.decode('{"a":1,"a":2}').a)
      local _, err = json.decode('{"a":1,"\\u0061":2}', { unique_keys = true })
      assert.matches("twice", err.message)
      assert.equal(8, err.column)
    end)

    it("keeps integers beyond 2^53 exact when asked", function()
      local value = json.decode('[9007199254740992, 9007199254740993, -9223372036854775808, 1.5]', { exact_integers = true })
      assert.equal(9007199254740992, value[1])
      assert.is_true(json.is_exact_integer(value[2]))
      assert.equal("9007199254740993", value[2].digits)
      assert.equal("-9223372036854775808", value[3].digits)
      assert.equal(1.5, value[4])
      assert.equal("[9007199254740992,9007199254740993,-9223372036854775808,1.5]", json.encode(value):gsub("9.007199254741e%+15", "9007199254740992"))
    end)

    it("takes time in proportion to the text", function()
      local function seconds(n)
        local text = '["' .. ("\\n"):rep(n) .. '"]'
        local start = os.clock()
        assert(json.decode(text))
        return os.clock() - start
      end
      seconds(1000)
      local short, long = seconds(50000), seconds(400000)
      assert.is_true(long < math.max(short, 0.001) * 80)
    end)
  end)

  describe("encode()", function()
    it("keeps what decode() told apart", function()
      for _, text in ipairs { "[]", "{}", "[[],{}]", '{"a":null}', '"\\u0000\\n"' } do
        assert.equal(text, json.encode(json.decode(text)))
      end
      assert.equal("[]", json.encode(json.array()))
      assert.equal("{}", json.encode(json.object()))
    end)

    it("writes members by name when asked", function()
      local value = { b = 1, a = { z = 1, y = 2, x = json.null }, c = "é" }
      assert.equal('{"a":{"x":null,"y":2,"z":1},"b":1,"c":"é"}', json.encode(value, { sorted = true }))
      assert.equal('{"c":"é","a":{"x":null,"y":2,"z":1},"b":1}', json.encode(value, { sorted = true, order = { "c" } }))
    end)
  end)
end)
