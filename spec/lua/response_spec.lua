-- The answer as policy files see it.

local policy_state = require "spec.support.policy_state"
local bridge = require "moongate.ffi"

local ffi = bridge.ffi

describe("moongate.response", function()
  local response, turn

  before_each(function()
    response = policy_state.new().response
    turn = require "moongate.turn"
    turn.serial = 7
  end)

  local function own() return response.new() end

  local kept = {}
  local function of_origin(status)
    local list = ffi.new("struct moon_http_field[2]")
    for i, text in ipairs { "Server", "nginx", "X-A", "1" } do
      kept[#kept + 1] = text
      local view = i % 2 == 1 and list[math.floor((i - 1) / 2)].name or list[math.floor((i - 1) / 2)].value
      view.data, view.len = text, #text
    end
    kept[#kept + 1] = list
    return response.of_origin(status, function() return list, 2 end)
  end

  for _, case in ipairs {
    { "status, headers and body", { 200, { ["X-A"] = "b" }, "text" }, { 200, { "X-A", "b", "Content-Type", "text/plain; charset=utf-8" }, "text" } },
    { "status and body", { 200, "text" }, { 200, { "Content-Type", "text/plain; charset=utf-8" }, "text" } },
    { "a status only", { 204 }, { 204, {}, "" } },
    { "nothing at all", {}, { 200, {}, "" } },
    { "a type of its own", { 200, { ["content-type"] = "text/html" }, "x" }, { 200, { "content-type", "text/html" }, "x" } },
    { "headers and no body", { 302, { Location = "/" } }, { 302, { "Location", "/" }, "" } },
  } do
    it("send() takes " .. case[1], function()
      local res = own()
      res:send(unpack(case[2], 1, 3))
      assert.equal("sent", response.outcome(res))
      assert.same(case[3], { response.answer(res) })
    end)
  end

  it("send() keeps what was set before", function()
    local res = own()
    res.status = 201
    res.headers["X-A"] = "1"
    res:send(nil, { ["X-B"] = "2" })
    local status, fields = response.answer(res)
    assert.equal(201, status)
    assert.same({ "X-A", "1", "X-B", "2" }, fields)
  end)

  for _, case in ipairs {
    { "a status of 99", function(res) res:send(99) end, "from 200 to 599" },
    { "a status of 100", function(res) res:send(100) end, "from 200 to 599" },
    { "half a status", function(res) res:send(200.5) end, "from 200 to 599" },
    { "a status that is text", function(res) res:send("200") end, "from 200 to 599" },
    { "headers that are a number", function(res) res:send(200, 7) end, "the headers must be a table" },
    { "a body that is a table", function(res) res:send(200, nil, {}) end, "the body must be a text" },
    { "a body that is too large", function(res) res:send(200, nil, ("x"):rep(1048577)) end, "longer than 1048576 bytes" },
    { "a header with a line break", function(res) res:send(200, { A = "b\nc" }) end, "must not be in it" },
    { "a header of the gateway", function(res) res:send(200, { Date = "now" }) end, "is written by the gateway itself" },
    { "two answers", function(res) res:send(200) res:send(200) end, "has been answered already" },
    { "an answer after blocking", function(res) res:block() res:send(200) end, "has been answered already" },
    { "an unknown member", function(res) return res.body end, "has no member" },
    { "setting an unknown member", function(res) res.body = "x" end, "cannot be set" },
    { "a status that is no status", function(res) res.status = "x" end, "from 200 to 599" },
  } do
    it("refuses " .. case[1], function()
      local ok, err = pcall(case[2], own())
      assert.is_false(ok)
      assert.truthy(err:find(case[3], 1, true), err)
    end)
  end

  it("has no outcome until it has one", function()
    local res = own()
    assert.is_nil(response.outcome(res))
    pcall(res.send, res, 99)
    assert.is_nil(response.outcome(res))
    res:block()
    assert.equal("blocked", response.outcome(res))
  end)

  describe("of an origin", function()
    it("can be read and changed", function()
      local res = of_origin(404)
      assert.equal(404, res.status)
      assert.equal("nginx", res.headers.server)
      res.status = 410
      res.headers.server = nil
      res.headers["x-b"] = "2"
      local status, removed, added = response.changes(res)
      table.sort(removed)
      assert.equal(410, status)
      assert.same({ "server", "x-b" }, removed)
      assert.same({ "x-b", "2" }, added)
    end)

    it("has no changes when nothing was changed", function()
      assert.same({ 200 }, { response.changes(of_origin(200)) })
    end)

    for _, case in ipairs { { 200, 204 }, { 204, 200 }, { 304, 200 }, { 200, 304 }, { 101, 200 } } do
      it(("cannot turn %d into %d"):format(case[1], case[2]), function()
        assert.has_error(function() of_origin(case[1]).status = case[2] end)
      end)
    end

    it("cannot be answered once more", function()
      assert.has_error(function() of_origin(200):send(200) end)
      assert.has_error(function() of_origin(200):block() end)
    end)
  end)

  it("refuses use when it is not its turn", function()
    local res = own()
    local headers = res.headers
    turn.serial = 8
    for _, use in ipairs { function() return res.status end, function() res.status = 200 end, function() res:send(200) end,
      function() res:block() end, function() return headers.x end } do
      local ok, err = pcall(use)
      assert.is_false(ok)
      assert.truthy(err:find("not its turn", 1, true), err)
    end
  end)

  it("shows nothing of what is inside", function()
    local res = own()
    assert.has_error(function() return next(res) end)
    assert.is_false(getmetatable(res))
  end)
end)
