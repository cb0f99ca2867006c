-- The manual says what the code says: tables are current, keys and defaults are right, examples parse, files exist.

local tables = require "spec.docs.tables"

local function read(path)
  local file = assert(io.open(path, "rb"), path)
  local text = file:read("*a")
  file:close()
  return text
end

describe("the manual", function()
  for _, path in ipairs(tables.PAGES) do
    it(("has current tables in %s (docs/update writes them)"):format(path), function()
      local text = read(path)
      assert.is_true(tables.refresh(text) == text, "run docs/update and commit what it changes")
    end)
  end

  describe("docs/configuration.md", function()
    local config = require "moongate.config"
    local documented = {}
    for key, default in read("docs/configuration.md"):gmatch("\n| `([%l_.]+)` | ([^|]+) |") do
      documented[key] = default:gsub("`", ""):gsub("%s+$", "")
    end

    local function nested(key, value)
      local given = { data_dir = "data" }
      local group, name = key:match("^([%l_]+)%.([%l_]+)$")
      if group then given[group] = { [name] = value } else given[key] = value end
      return given
    end

    -- A value that fits no key, so that an answer other than "unknown key" shows that the key is there.
    local function is_known(key)
      local _, diag = config.check(nested(key, function() end), "file", ".")
      return diag ~= nil and not diag.message:find("unknown key", 1, true)
    end

    it("can be told apart from a page without keys", function()
      assert.truthy(documented.listen)
      assert.is_false(is_known("limits.nonsense"))
    end)

    local defaults = assert(config.check({ data_dir = "data" }, "file", "."))
    local function shown(value)
      if type(value) == "table" then return "{}" end
      return type(value) == "string" and ("%q"):format(value) or tostring(value)
    end

    for key, value in pairs(defaults) do
      local group = type(value) == "table" and next(value) ~= nil and type(next(value)) == "string"
      for name, inner in pairs(group and value or { [""] = value }) do
        local full = group and key .. "." .. name or key
        if full ~= "data_dir" then
          it(("documents %s with its default"):format(full), function()
            assert.equal(shown(inner), documented[full])
          end)
        end
      end
    end

    for key in pairs(documented) do
      it(("documents %s, which exists"):format(key), function() assert.is_true(is_known(key)) end)
    end

    it("has an example that is valid", function()
      local source = read("docs/configuration.md"):match("```lua\n(.-)```")
      local chunk = assert(loadstring(source))
      assert(config.check(chunk(), "file", "."))
    end)
  end)

  describe("docs/expressions.md", function()
    local rules = require "moongate.rules"
    local fields = {}
    for _, field in ipairs(require("moongate.fields").list) do fields[#fields + 1] = { name = field.name, type = field.type } end
    local schema = rules.new_schema { fields = fields }

    local text, count = read("docs/expressions.md"), 0
    for expression in text:gmatch("```expression\n(.-)\n```") do
      count = count + 1
      it("has an example that parses: " .. expression, function()
        local tree, diag = rules.parse(schema, expression)
        assert(tree, diag and diag:render())
      end)
    end
    for expression in text:gmatch("\n| `[^\n]+| `([^`\n]+ [^`\n]+)` |\n") do
      count = count + 1
      it("has a table with an example that parses: " .. expression, function()
        local tree, diag = rules.parse(schema, expression)
        assert(tree, diag and diag:render())
      end)
    end
    it("has examples", function() assert.is_true(count >= 10, "found " .. count) end)
  end)
end)
