-- Header fields as policy files see them.

local policy_state = require "spec.support.policy_state"

describe("moongate.headers", function()
  local state, headers, view
  local turn

  before_each(function()
    state = policy_state.new()
    headers = state.headers
    turn = require "moongate.turn"
    state:turn { fields = { { "Host", "a.test" }, { "X-Many", "1" }, { "x-many", "2" }, { "Accept", "*/*" } } }
    view = headers.new(function() return state.call.facts.fields, tonumber(state.call.facts.field_count) end, headers.TO_ORIGIN, turn.serial)
  end)

  it("reads without regard to case, several joined", function()
    assert.equal("*/*", view["ACCEPT"])
    assert.equal("1, 2", view["x-many"])
    assert.equal("1, 2", view:get "X-MANY")
    assert.is_nil(view["x-none"])
    assert.same({ "1", "2" }, view:all "X-many")
    assert.same({}, view:all "x-none")
  end)

  it("goes through all fields in order, names as they came", function()
    local seen = {}
    for name, value in view:each() do seen[#seen + 1] = name .. "=" .. value end
    assert.same({ "Host=a.test", "X-Many=1", "x-many=2", "Accept=*/*" }, seen)
  end)

  it("has no changes when nothing was changed", function()
    assert.equal("*/*", view.accept)
    assert.same({}, { headers.changes(view) })
  end)

  for _, case in ipairs {
    { "sets in place of all", function(v) v["X-MANY"] = "3" end, { "x-many" }, { "X-MANY", "3" } },
    { "sets several", function(v) v["X-Many"] = { "3", 4 } end, { "x-many" }, { "X-Many", "3", "X-Many", "4" } },
    { "removes", function(v) v["X-Many"] = nil end, { "x-many" }, {} },
    { "removes what is not there", function(v) v:remove "x-none" end, { "x-none" }, {} },
    { "adds", function(v) v:add("X-Many", "3") end, {}, { "X-Many", "3" } },
    { "adds a number", function(v) v:add("X-New", 7) end, {}, { "X-New", "7" } },
    { "takes an addition back", function(v) v:add("X-New", "1") v["x-new"] = nil end, { "x-new" }, {} },
    { "sets twice", function(v) v["x-new"] = "1" v["X-New"] = "2" end, { "x-new" }, { "X-New", "2" } },
    { "sets by method", function(v) v:set("x-new", "1") end, { "x-new" }, { "x-new", "1" } },
  } do
    it(case[1], function()
      case[2](view)
      local removed, added = headers.changes(view)
      assert.same(case[3], removed)
      assert.same(case[4], added)
    end)
  end

  it("shows what was changed", function()
    view["X-Many"] = "3"
    view:add("x-many", "4")
    assert.equal("3, 4", view["x-many"])
  end)

  for _, case in ipairs {
    { "a line feed in a value", "X-A", "a\nb", "has a byte that must not be in it" },
    { "a carriage return in a value", "X-A", "a\rb", "has a byte that must not be in it" },
    { "a NUL in a value", "X-A", "a\0b", "has a byte that must not be in it" },
    { "a space in a name", "X A", "a", "is no name of a header" },
    { "a colon in a name", "X:A", "a", "is no name of a header" },
    { "an empty name", "", "a", "is no name of a header" },
    { "a boolean", "X-A", true, "must be a text, not a boolean" },
    { "a list with a boolean", "X-A", { "a", true }, "must be a text, not a boolean" },
    { "a value that is too long", "X-A", ("x"):rep(16385), "is longer than 16384 bytes" },
    { "a length", "Content-Length", "1", "is written by the gateway itself" },
    { "a connection field", "connection", "close", "is written by the gateway itself" },
    { "the host", "HOST", "evil", "is written by the gateway itself" },
    { "a forwarded address", "X-Forwarded-For", "1.2.3.4", "is written by the gateway itself" },
  } do
    it("refuses " .. case[1] .. ", and changes nothing", function()
      for _, way in ipairs { function() view[case[2]] = case[3] end, function() view:set(case[2], case[3]) end } do
        local ok, err = pcall(way)
        assert.is_false(ok)
        assert.truthy(err:find(case[4], 1, true), err)
      end
      assert.same({}, { headers.changes(view) })
    end)
  end

  it("refuses a name that is no text", function()
    assert.has_error(function() return view[1] end)
    assert.has_error(function() view[{}] = "x" end)
  end)

  it("bounds the number of fields", function()
    for i = 1, 124 do view:add("X-" .. i, "v") end
    assert.has_error(function() view:add("X-125", "v") end)
  end)

  it("cannot be used when it is not its turn, nor changed when frozen", function()
    headers.freeze(view, "on its way")
    assert.equal("*/*", view.accept)
    local ok, err = pcall(function() view["x-a"] = "b" end)
    assert.is_false(ok)
    assert.truthy(err:find("on its way", 1, true))
    turn.serial = turn.serial + 1
    for _, use in ipairs { function() return view.accept end, function() view:all "accept" end, function() view:each() end,
      function() view["x-a"] = "b" end, function() view:add("x-a", "b") end, function() view:get "accept" end } do
      local used, why = pcall(use)
      assert.is_false(used)
      assert.truthy(why:find("not its turn", 1, true), why)
    end
  end)

  it("shows nothing of what is inside", function()
    assert.has_error(function() return next(view) end)
    assert.has_error(function() return rawget(view, "rows") end)
    assert.is_false(getmetatable(view))
  end)

  it("flat() lists all fields for C", function()
    view["x-many"] = nil
    assert.same({ "Host", "a.test", "Accept", "*/*" }, headers.flat(view))
  end)
end)
