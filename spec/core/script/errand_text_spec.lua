-- TXT records that the control thread asks for: against a resolver of the spec's own, over UDP.

local resolver_support = require "spec.support.resolver"
local script = require "spec.support.script"
local wait = require "spec.support.wait"
local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
require "spec.support.gate"

local C, ffi = bridge.C, bridge.ffi

ffi.cdef [[
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
]]

describe("a lookup of TXT records", function()
  local loop_memory, loop, control, diag, resolver

  setup(function()
    loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
    diag = ffi.new("struct moon_diag[1]")
  end)

  before_each(function()
    local box = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(box, loop, diag) == 0)
    local _, struct = script.control()
    control = struct
    control.errands = box[0]
    errands.attach(control)
    resolver = resolver_support.open()
    errands.configure { allow_local = true, dns = resolver.address }
  end)

  after_each(function()
    resolver:close()
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", control.errands))
    C.uv_run(loop, 0)
  end)

  teardown(function() assert.equal(0, C.uv_loop_close(loop)) end)

  local function texts(name, reply)
    local result
    local task = coroutine.create(function()
      local list, failure = errands.texts(name)
      result = { list = list, failure = failure }
    end)
    assert(coroutine.resume(task))
    if result then return result.list, result.failure end
    local outcome = ffi.new("struct moon_ffi_outcome")
    wait.until_true("the lookup to be done", function()
      C.uv_run(loop, 2)
      resolver:answer(reply)
      for id = 1, 40 do
        if C.moon_ffi_errand_outcome(control, id, outcome) then
          local woken, answer, failure = errands.take(id)
          assert.equal(task, woken)
          assert(coroutine.resume(task, answer, failure))
          return true
        end
      end
    end, 30)
    return result.list, result.failure
  end

  local reply = resolver_support.reply

  it("gives the records of the name, which is asked for as it stands", function()
    local asked
    local list = texts("_cf-custom-hostname.shop.test", function(question, name)
      asked = name
      return reply(question, { "one", "two" })
    end)
    assert.same({ "one", "two" }, list)
    assert.equal("_cf-custom-hostname.shop.test", asked)
  end)

  it("gives an empty list for a name that is not there, and for one without such records", function()
    assert.same({}, texts("nobody.test", function(question) return reply(question, {}, resolver_support.NO_SUCH_NAME) end))
    assert.same({}, texts("other.test", function(question) return reply(question, {}) end))
  end)

  it("says so when the resolver refuses", function()
    local list, failure = texts("shop.test", function(question) return reply(question, {}, resolver_support.REFUSES) end)
    assert.is_nil(list)
    assert.truthy(#failure.text > 0)
  end)

  it("does not wait for a silent resolver for ever", function()
    local list, failure = texts("shop.test", function() end)
    assert.is_nil(list)
    assert.truthy(failure.text:find("in time", 1, true))
  end)

  for title, case in pairs {
    ["an endless name"] = { ("a"):rep(300), nil, "name" }, ["a resolver without a port"] = { "a.test", "127.0.0.1", "server" },
    ["an IPv6 resolver"] = { "a.test", "[::1]:53", "server" },
  } do
    it("is refused with " .. title, function()
      if case[2] then errands.configure { allow_local = true, dns = case[2] } end
      local list, failure = texts(case[1], function() end)
      assert.is_nil(list)
      assert.equal(case[3], failure.where)
    end)
  end
end)
