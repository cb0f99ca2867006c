local json_text = require "moongate.rules.json_text"

describe("moongate.rules.json_text", function()
  describe("lookup()", function()
    for _, case in ipairs {
      { '{"a":"x"}', { "a" }, "string", "x" }, { '{"a":{"b":[1,{"c":"y"}]}}', { "a", "b", 1, "c" }, "string", "y" },
      { ' [ 10 , 20 ] ', { 1 }, "integer", "20" }, { '{"n":-0}', { "n" }, "integer", "-0" }, { '{"a":"1","a":2}', { "a" }, "integer", "2" },
      { '{"a":{"b":1},"a":{}}', { "a", "b" }, nil }, { '{"a":[1,2],"a":[3]}', { "a", 1 }, nil }, { '{"a":1.0}', { "a" }, nil },
      { '{"a":1e2}', { "a" }, nil }, { '{"a":true}', { "a" }, nil }, { '{"a":null}', { "a" }, nil }, { '{"a":{}}', { "a" }, nil },
      { '{"a":[]}', { "a" }, nil }, { '{"a":"x"}', { "b" }, nil }, { '{"a":"x"}', { "a", "b" }, nil }, { '["x"]', { "0" }, nil },
      { '{"0":"x"}', { 0 }, nil }, { '["x"]', { 1 }, nil }, { '{"a":"x"} x', { "a" }, nil }, { '{"a":"x",}', { "a" }, nil },
      { '{"a":"x","b":tru}', { "a" }, nil }, { '{"a":"x","b":"\\ud800"}', { "a" }, nil }, { "", { "a" }, nil }, { '"x"', { "a" }, nil },
      { '{"a":"\\u0041\\ud83c\\udf19"}', { "a" }, "string", "A🌙" },
    } do
      it(("finds %s in %s"):format(tostring(case[4]), case[1]), function()
        local kind, value = json_text.lookup(case[1], case[2])
        assert.same({ case[3], case[4] }, { kind, value })
      end)
    end

    it("refuses nesting without end instead of following it", function()
      assert.is_nil((json_text.lookup(("["):rep(100000), { 0 })))
      assert.is_nil((json_text.lookup(("["):rep(129) .. "1" .. ("]"):rep(129), { 0 })))
    end)
  end)
end)
