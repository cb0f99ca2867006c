local types = require "moongate.rules.types"

describe("moongate.rules.types", function()
  describe("parse()", function()
    for _, case in ipairs {
      { "Boolean", "Bool" }, { "Integer", "Int" }, { "String", "Bytes" }, { "Bytes", "Bytes" }, { "IP", "Ip" },
      { "Array<String>", "Array<Bytes>" }, { "Map<Array<Integer>>", "Map<Array<Int>>" },
      { "Array<Array<IP>>", "Array<Array<Ip>>" },
    } do
      it("reads " .. case[1], function()
        assert.equal(case[2], types.parse(case[1]).label)
      end)
    end

    for _, text in ipairs { "", "string", "Array", "Array<>", "Array<String", "Map<String,String>", "Set<String>", "Array<String>>" } do
      it(("refuses %q"):format(text), function()
        local found, err = types.parse(text)
        assert.is_nil(found)
        assert.matches("unknown type", err)
      end)
    end

    it("refuses what is no text", function()
      assert.is_nil((types.parse(nil)))
      assert.is_nil((types.parse {}))
    end)

    it("refuses nesting without end", function()
      assert.is_nil((types.parse(("Array<"):rep(5000) .. "IP" .. (">"):rep(5000))))
    end)
  end)

  it("has one table for each type", function()
    assert.equal(types.array(types.map(types.ip)), types.parse "Array<Map<IP>>")
    assert.equal(types.booleans, types.parse "Array<Boolean>")
    assert.not_equal(types.array(types.ip), types.map(types.ip))
  end)
end)
