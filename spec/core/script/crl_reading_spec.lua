-- Revocation lists that are read on another thread while the loop goes on.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
require "spec.support.gate" -- declares the loop
local wait = require "spec.support.wait"
local bridge = require "moongate.ffi"
local errands = require "moongate.errands"

local C, ffi = bridge.C, bridge.ffi

ffi.cdef [[
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
]]

describe("reading a revocation list", function()
  local loop_memory, loop, control, control_struct, ca, other

  setup(function()
    loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
    ca, other = certs.ca("Reading"), certs.ca("Others")
  end)

  before_each(function()
    local box = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(box, loop, ffi.new("struct moon_diag[1]")) == 0)
    control, control_struct = script.control()
    control_struct.errands = box[0]
    errands.attach(control_struct)
  end)

  local function close()
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", control_struct.errands))
    control_struct.errands = nil
  end

  after_each(function()
    if control_struct.errands ~= nil then close() end
    C.uv_run(loop, 0)
  end)

  teardown(function() assert.equal(0, C.uv_loop_close(loop)) end)

  -- Begins `count` tasks that read; gives what they got when all are done.
  local function read(list, count)
    local results, tasks = {}, {}
    for index = 1, count or 1 do
      tasks[index] = coroutine.create(function()
        local facts, failure = control.revocation_list(list)
        results[#results + 1] = { facts, failure }
      end)
      assert(coroutine.resume(tasks[index]))
    end
    local outcome = ffi.new("struct moon_ffi_outcome")
    wait.until_true("the lists to be read", function()
      C.uv_run(loop, 2)
      for id = 1, 100 do
        if C.moon_ffi_errand_outcome(control_struct, id, outcome) then
          local task, answer, failure = errands.take(id)
          assert(coroutine.resume(task, answer, failure))
        end
      end
      return #results == #tasks
    end, 20)
    return results
  end

  local function one(list)
    local result = read(list)[1]
    return result[1], result[2]
  end

  it("tells the dates, the number of entries and the CA", function()
    local now = os.time()
    local facts = one { ca = ca.pem, text = (certs.crl(ca, { revoked = { "01", "02" }, this_update = now - 50, next_update = now + 500 })) }
    facts.handle, facts.digest = nil, nil
    assert.same({ this_update = now - 50, next_update = now + 500, count = 2, issuer = 1 }, facts)
  end)

  it("tells which CA of several issued it, and the digest of the list itself", function()
    local text, path = certs.crl(other)
    local der = certs.openssl("crl -outform DER -in " .. path)
    local facts = one { ca = ca.pem .. other.pem, text = text }
    assert.equal(2, facts.issuer)
    local again = one { ca = other.pem, text = control.base64(der) }
    assert.equal(1, again.issuer)
    assert.equal(certs.openssl("dgst -sha256 -r " .. certs.write(der)):match("^%x+"), again.digest)
    assert.equal(facts.digest, again.digest)
  end)

  it("leaves the list for the sets that need it, which do not read it again", function()
    local text = certs.crl(ca)
    local facts = one { ca = ca.pem, text = text }
    local handle = require("moongate.trust_sets").crl { ca = ca.pem, text = "x", digest = facts.digest }
    assert.equal(facts.handle, handle)
  end)

  it("says what is wrong", function()
    for text, where in pairs { x = "crl", [""] = "crl", [(certs.crl(other))] = "crl" } do
      local facts, failure = one { ca = ca.pem, text = text }
      assert.is_nil(facts)
      assert.equal(where, failure.where)
    end
    assert.equal("issuer", select(2, one { ca = "x", text = (certs.crl(ca)) }).where)
  end)

  it("gives several tasks what each asked for", function()
    for _, result in ipairs(read({ ca = ca.pem, text = (certs.crl(ca)) }, 6)) do assert.equal(0, result[1].count) end
  end)

  it("begins a bounded number at a time", function()
    local list, failures = { ca = ca.pem, text = (certs.crl(ca)) }, 0
    for _, result in ipairs(read(list, 40)) do
      if not result[1] then
        failures = failures + 1
        assert.equal("errands", result[2].where)
      end
    end
    assert.equal(8, failures)
  end)

  it("that is ended before it is done tells nobody", function()
    local told = false
    for _ = 1, 6 do
      assert(coroutine.resume(coroutine.create(function()
        control.revocation_list { ca = ca.pem, text = (certs.crl(ca)) }
        told = true
      end)))
    end
    close()
    C.uv_run(loop, 0)
    assert.is_false(told)
  end)

  it("is for tasks only", function()
    assert.has_error(function() control.revocation_list { ca = ca.pem, text = "x" } end)
  end)
end)
