-- The functions that C calls, called from Lua: what they hand on and what they refuse. That C can call them is the business of
-- spec/core/script/phases_spec.lua and plane_spec.lua.

local script = require "spec.support.script"
local bridge = require "moongate.ffi"

local ffi = bridge.ffi

-- A lightuserdata, as C hands addresses in.
local function address(pointer)
  return ffi.cast("void *", pointer)
end

describe("moongate.phases", function()
  local phases

  before_each(function()
    package.loaded["moongate.phases"] = nil
    phases = require "moongate.phases"
  end)

  describe("open()", function()
    it("gives the functions by host and the three that stand in for them", function()
      local facts, verdict, log = ffi.new("struct moon_facts"), ffi.new("struct moon_verdict"), script.log()
      local functions, prepare, guarded, adopt = phases.open(address(facts), address(verdict), address(log.channel))
      assert.same({}, functions)
      assert.equal("function function function", ("%s %s %s"):format(type(prepare), type(guarded), type(adopt)))
      assert.has_error(prepare) -- no host in the facts
      assert.has_error(guarded)
      log.close()
    end)
  end)

  describe("the control plane", function()
    local log, answer, calls

    local app = {}
    function app.handle(_, request) return answer(request) end
    function app.tick() calls[#calls + 1] = "tick" end
    function app.stop() calls[#calls + 1] = "stop" end

    before_each(function()
      calls = {}
      log = script.log()
      local _, struct = script.control(log)
      phases.attach(address(struct))
    end)

    after_each(function() log.close() end)

    local function start(result, err)
      return phases.start({ data_dir = "x" }, { start = function(options)
        calls.options = options
        return result, err
      end })
    end

    it("start() hands over configuration, control functions and log", function()
      assert.is_true(start(app))
      assert.equal("x", calls.options.config.data_dir)
      assert.equal("function", type(calls.options.control.publish))
      calls.options.log("info", "hello from the start")
      assert.truthy(log.lines():find("hello from the start", 1, true))
    end)

    for _, case in ipairs {
      { "where and text", { where = "a", text = "b" }, "a", "b" },
      { "a text", "b", "", "b" },
      { "a message", { message = "b" }, "", "b" },
      { "nothing", nil, "", "nil" },
    } do
      it(("start() tells why it failed, given %s"):format(case[1]), function()
        local ok, where, text = start(nil, case[2])
        assert.is_false(ok)
        assert.equal(case[3], where)
        assert.equal(case[4], text)
      end)
    end

    it("serve() flattens the fields", function()
      start(app)
      answer = function(request) return 200, { { "A", "1" }, { name = "B", value = "2" } }, request.body end
      local status, fields, body = phases.serve { body = "echo" }
      assert.equal(200, status)
      assert.same({ "A", "1", "B", "2" }, fields)
      assert.equal("echo", body)
    end)

    it("serve() takes an answer without fields and body", function()
      start(app)
      answer = function() return 204 end
      local status, fields, body = phases.serve {}
      assert.equal(204, status)
      assert.same({}, fields)
      assert.equal("", body)
    end)

    for _, bad in ipairs {
      { "no status", function() return nil end },
      { "status 199", function() return 199 end },
      { "status 600", function() return 600 end },
      { "status 200.5", function() return 200.5 end },
      { "a status that is text", function() return "200" end },
      { "a nameless field", function() return 200, { {} } end },
      { "a body that is a number", function() return 200, {}, 1 end },
    } do
      it(("serve() refuses %s"):format(bad[1]), function()
        start(app)
        answer = bad[2]
        assert.has_error(function() phases.serve {} end)
      end)
    end

    describe("with a request that waits", function()
      local errands, task, take
      local handle = app.handle

      before_each(function()
        errands = require "moongate.errands"
        take = errands.take
        function app.handle()
          task = coroutine.running()
          local given = coroutine.yield()
          if given == "again" then given = coroutine.yield() end
          if given == "fail" then error "broken" end
          if given == "nonsense" then return 99 end
          return 200, { { "X-One", "1" } }, given
        end
        start(app)
      end)
      after_each(function()
        errands.take, app.handle = take, handle
      end)

      local function come_back_with(given)
        errands.take = function() return task, given end
        return phases.completed(1)
      end

      it("serve() puts the answer off, and completed() gives it with the request's number", function()
        assert.is_false((phases.serve { ticket = 7 }))
        assert.same({ 7, 200, { "X-One", "1" }, "x" }, { come_back_with "x" })
      end)

      it("completed() gives nothing while the request waits for more", function()
        phases.serve { ticket = 7 }
        assert.is_nil((come_back_with "again"))
        assert.equal(7, (come_back_with "x"))
      end)

      for _, given in ipairs { "fail", "nonsense" } do
        it("completed() says that the request has failed with " .. given, function()
          phases.serve { ticket = 7 }
          assert.same({ 7, false }, { come_back_with(given) })
          assert.truthy(log.lines():find("a request failed", 1, true))
        end)
      end

      it("completed() gives nothing for a task that is no request, or that nobody waits for", function()
        task = coroutine.create(function() end)
        assert.is_nil((come_back_with "x"))
        task = nil
        assert.is_nil((come_back_with "x"))
      end)
    end)

    it("tick() and stop() reach the application", function()
      start(app)
      phases.tick()
      phases.stop()
      assert.equal("tick", calls[1])
      assert.equal("stop", calls[2])
    end)
  end)
end)
