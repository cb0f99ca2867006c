-- What policy files declare, and what is refused.

local policy_state = require "spec.support.policy_state"

local function noop() end

describe("moongate.registry", function()
  local registry

  before_each(function()
    package.loaded["moongate.registry"] = nil
    registry = require "moongate.registry"
  end)

  it("keeps what is declared, in order", function()
    registry.add_field { name = "tenant.plan", type = "string", help = "The plan.", value = noop }
    registry.add_field { name = "other", type = "Array<IP>", value = noop }
    registry.add_function { name = "twice", params = { "String", "integer" }, returns = "Boolean", call = noop }
    registry.add_handler("a", noop)
    registry.add_handler("b", { path = "/b" }, noop)
    registry.add_callback("request", noop)
    registry.add_callback("response", { host = "h" }, noop)
    assert.equal("tenant.plan", registry.fields[1].name)
    assert.equal("String", registry.fields[1].type.name)
    assert.equal("Array<IP>", registry.fields[2].type.name)
    assert.equal("Integer", registry.functions[1].params[2].name)
    assert.equal(registry.named.b, registry.handlers[2])
    assert.is_nil(registry.handlers[1].where)
    assert.equal(1, #registry.on_request)
    assert.equal(1, #registry.on_response)
    assert.truthy(registry.handlers[1].at:find("registry_spec%.lua:%d+$"))
  end)

  for _, case in ipairs {
    { "a field that is no table", function(r) r.add_field "x" end, "expects a table" },
    { "a field without a name", function(r) r.add_field { type = "string", value = noop } end, "name must be a string, not a nil" },
    { "a field without a value", function(r) r.add_field { name = "a", type = "string" } end, "value must be a function" },
    { "an unknown member", function(r) r.add_field { name = "a", type = "string", valeu = noop } end, 'unknown member "valeu"' },
    { "an unknown type", function(r) r.add_field { name = "a", type = "text", value = noop } end, '"text" is no type' },
    { "a name with a space", function(r) r.add_field { name = "a b", type = "string", value = noop } end, "is no name" },
    { "a name that ends in a dot", function(r) r.add_field { name = "a.", type = "string", value = noop } end, "is no name" },
    { "an empty name", function(r) r.add_field { name = "", type = "string", value = noop } end, "is no name" },
    { "a name of the language", function(r) r.add_field { name = "cf.x", type = "string", value = noop } end, "belong to the rules language" },
    { "ssl", function(r) r.add_field { name = "ssl", type = "boolean", value = noop } end, "belong to the rules language" },
    { "a member of requests", function(r) r.add_field { name = "headers", type = "string", value = noop } end, "has a member" },
    { "a field twice", function(r)
      for _ = 1, 2 do r.add_field { name = "a", type = "string", value = noop } end
    end, 'there is a field or function "a" already' },
    { "a field with the name of a function", function(r) r.add_field { name = "lower", type = "string", value = noop } end, 'has a function "lower"' },
    { "a function of the language", function(r) r.add_function { name = "lower", returns = "String", call = noop } end, 'has "lower" already' },
    { "a function without a result", function(r) r.add_function { name = "f", call = noop } end, "returns must be a string" },
    { "a function with an odd parameter", function(r) r.add_function { name = "f", params = { 7 }, returns = "String", call = noop } end, "is no type" },
    { "a handler without a name", function(r) r.add_handler({}, noop) end, "the name must be a text" },
    { "a handler without a function", function(r) r.add_handler("a", { path = "/" }) end, "needs a function" },
    { "a handler twice", function(r) r.add_handler("a", noop) r.add_handler("a", noop) end, 'there is a handler "a" already' },
    { "a path without a slash", function(r) r.add_handler("a", { path = "x" }, noop) end, "path must begin with a slash" },
    { "an unknown word in where", function(r) r.add_handler("a", { paht = "/" }, noop) end, 'unknown member "paht"' },
    { "a method in lower case", function(r) r.add_handler("a", { method = "get" }, noop) end, "method must be a word" },
    { "no method at all", function(r) r.add_handler("a", { method = {} }, noop) end, "method names none" },
    { "a pattern that is too long", function(r) r.add_handler("a", { path = "/" .. ("x"):rep(500) }, noop) end, "longer than 500 bytes" },
    { "an unknown event", function(r) r.add_callback("connect", noop) end, 'not "connect"' },
    { "a callback without a function", function(r) r.add_callback("request") end, "needs a function" },
  } do
    it("refuses " .. case[1], function()
      local ok, err = pcall(case[2], registry)
      assert.is_false(ok)
      assert.truthy(err:find(case[3], 1, true), err)
    end)
  end

  it("refuses everything once it is closed", function()
    registry.close()
    for _, name in ipairs { "add_field", "add_function", "add_handler", "add_callback" } do
      local ok, err = pcall(registry[name], "request", noop)
      assert.is_false(ok)
      assert.truthy(err:find("while the policy file is being loaded", 1, true), err)
    end
  end)

  describe("matches()", function()
    local function matches(where, method, host, path)
      package.loaded["moongate.registry"] = nil
      local fresh = require "moongate.registry"
      fresh.add_handler("h", where, noop)
      return fresh.matches(fresh.named.h.where, method or "GET", host or "www.example.com", path or "/")
    end

    for _, case in ipairs {
      { "/a", "/a", true }, { "/a", "/a/", false }, { "/a", "/ab", false }, { "/a*", "/a", true }, { "/a*", "/abc/d", true },
      { "/a*", "/b", false }, { "*", "/x", true }, { "*.png", "/x.png", true }, { "*.png", "/x.png.gif", false },
      { "/*/b/*/d", "/a/b/c/d", true }, { "/*/b/*/d", "/a/b/d", false }, { "/a*a", "/a", false }, { "/a*a", "/aa", true },
      { "/a**b", "/ab", true }, { "/*x*y", "/1y2x3y", true }, { "/*x*y", "/1y2x3", false }, { "/a.b", "/aXb", false },
      { "/%d", "/%d", true }, { "/%d", "/7", false },
    } do
      it(("%s %s %s"):format(case[1], case[3] and "fits" or "does not fit", case[2]), function()
        assert.equal(case[3], matches({ path = case[1] }, nil, nil, case[2]))
      end)
    end

    it("takes hosts without regard to how they are written in the policy", function()
      assert.is_true(matches { host = "WWW.Example.com" })
      assert.is_true(matches { host = "*.example.com" })
      assert.is_false(matches { host = "example.com" })
    end)

    it("takes one method or several", function()
      assert.is_true(matches { method = "GET" })
      assert.is_true(matches { method = { "PUT", "GET" } })
      assert.is_false(matches { method = "POST" })
    end)

    it("asks for all that is given", function()
      assert.is_true(matches { method = "GET", host = "www.*", path = "/*" })
      assert.is_false(matches { method = "GET", host = "www.*", path = "/x" })
    end)

    it("is true for everything when nothing is given", function()
      assert.is_true(registry.matches(nil, "GET", "h", "/"))
    end)

    it("takes time in proportion to the path, not more", function()
      local path = "/" .. ("a"):rep(8000)
      local begun = os.clock()
      for _ = 1, 100 do assert.is_false(matches({ path = "/*a*a*a*a*a*a*b" }, nil, nil, path)) end
      assert.is_true(os.clock() - begun < 5)
    end)
  end)

  it("feeds requests: a field that is the language's own is refused at the latest when requests are prepared", function()
    assert.has_no_error(function()
      policy_state.new(function(r) r.add_field { name = "fine", type = "string", value = noop } end)
    end)
  end)
end)
