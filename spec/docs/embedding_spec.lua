-- docs/embedding.md names every function of moongate.h and every key of a configuration, and none that there is not.

local embedded_document = require "moongate.admin.embedded_document"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("docs/embedding.md", function()
  local text = read "docs/embedding.md"
  local header = read "core/include/moongate.h"

  for name in header:gmatch("\nMOON_API [^;(]-(moon_gate_[%w_]+)%(") do
    it("names " .. name, function() assert.truthy(text:find("`" .. name .. "`", 1, true)) end)
  end

  it("names no function that there is not", function()
    for name in text:gmatch("(moon_gate_[%w_]+)%(") do
      assert.truthy(header:find(name .. "(", 1, true), name)
    end
  end)

  for object, fields in pairs(embedded_document.KEYS) do
    for _, field in ipairs(fields) do
      it(("names %s of %s"):format(field.name, object), function()
        assert.truthy(text:find("`" .. field.name .. "`", 1, true))
      end)
    end
  end

  it("has rows for keys that there are", function()
    local known = {}
    for _, fields in pairs(embedded_document.KEYS) do
      for _, field in ipairs(fields) do known[field.name] = true end
    end
    local rows = 0
    for name in text:gmatch("\n| `([%l_]+)` |") do
      if not name:find("^moon_gate_") then
        assert.is_true(known[name], name)
        rows = rows + 1
      end
    end
    assert.is_true(rows > 15)
  end)

  it("describes each function before it is declared", function()
    for before, name in header:gmatch("([^\n]*)\nMOON_API [^;(]-(moon_gate_[%w_]+)%(") do
      assert.truthy(before:find("%*/$") or before:find("^};?$"), name)
    end
  end)
end)
