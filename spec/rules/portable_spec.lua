-- The engine is plain Lua: it loads and answers under stock Lua 5.1, without bit operations, FFI or the gateway's
-- other modules.

local PROGRAM = [==[
table.insert(package.loaders or package.searchers, 2, function(name)
  local rest = name:match("^moongate%.rules%.?(.*)$")
  return rest and assert(loadfile("rules/" .. (rest == "" and "init" or rest) .. ".lua"))
end)
local rules = require "moongate.rules"
local integer = require "moongate.rules.integer"
local values = {
  host = "API.example", port = integer.from_decimal "9007199254740993", ip = "\192\0\2\7", ssl = true,
  headers = { a = { n = 2, "x", "y" } },
}
local fields = {}
for name, kind in pairs { host = "String", port = "Integer", ip = "IP", ssl = "Boolean", headers = "Map<Array<String>>" } do
  fields[#fields + 1] = { name = name, type = kind, access = function() return values[name] end }
end
local schema = rules.new_schema { fields = fields }
for _, expression in ipairs {
  'lower(host) eq "api.example" and ssl', "port gt 9007199254740992 and port in {9007199254740993..9007199254740994}",
  "ip in {192.0.2.0/24}", 'any(headers[*][*] eq "y")', 'host matches r"(?i)^api\\."', 'host wildcard "*.EXAMPLE"',
  'encode_base64(sha256("abc")) eq "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"', 'host lt "a" and host lt "api"',
} do
  local ruleset, diagnostic = rules.compile(schema, { { expression = expression, action = "block" } })
  assert(ruleset, diagnostic and diagnostic:render())
  assert(ruleset.run() == 1, expression)
end
print "fine"
]==]

describe("moongate.rules under another Lua", function()
  for _, program in ipairs { "lua5.1", "lua5.2" } do
    it("answers under " .. program, function()
      if os.execute("command -v " .. program .. " >/dev/null 2>&1") ~= 0 then
        return pending("needs " .. program)
      end
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local file = assert(io.open(path, "wb"))
      file:write(PROGRAM)
      file:close()
      local pipe = assert(io.popen(program .. " " .. path .. " 2>&1"))
      local answer = pipe:read "*a"
      pipe:close()
      assert.equal("fine\n", answer)
    end)
  end
end)
