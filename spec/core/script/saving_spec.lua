-- Files that are written on another thread while the loop goes on.

local script = require "spec.support.script"
require "spec.support.gate" -- declares the loop
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"
local bridge = require "moongate.ffi"
local errands = require "moongate.errands"

local C, ffi = bridge.C, bridge.ffi

ffi.cdef [[
int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag);
void moon_errands_close(struct moon_errands **errands);
]]

describe("saving a file", function()
  local loop_memory, loop, control, control_struct, directory, path

  setup(function()
    loop_memory = ffi.new("char[?]", tonumber(C.uv_loop_size()))
    loop = ffi.cast("uv_loop_t *", loop_memory)
    assert(C.uv_loop_init(loop) == 0)
  end)

  before_each(function()
    local box = ffi.new("struct moon_errands *[1]")
    assert(C.moon_errands_open(box, loop, ffi.new("struct moon_diag[1]")) == 0)
    control, control_struct = script.control()
    control_struct.errands = box[0]
    errands.attach(control_struct)
    directory = shell.directory "saving"
    path = directory .. "/file"
  end)

  local function close()
    C.moon_errands_close(ffi.new("struct moon_errands *[1]", control_struct.errands))
    control_struct.errands = nil
  end

  after_each(function()
    if control_struct.errands ~= nil then close() end
    C.uv_run(loop, 0)
    shell.remove_directory(directory)
  end)

  teardown(function() assert.equal(0, C.uv_loop_close(loop)) end)

  -- Begins a task that saves; its result comes with finish().
  local function begin(where, pieces)
    local result = {}
    assert(coroutine.resume(coroutine.create(function()
      result.ok, result.failure = control.save_with_digest(where, pieces)
      result.done = true
    end)))
    return result
  end

  local function finish(result)
    local outcome = ffi.new("struct moon_ffi_outcome")
    wait.until_true("the file to be written", function()
      C.uv_run(loop, 2)
      if not result.done and C.moon_ffi_errand_outcome(control_struct, 1, outcome) then
        local task, answer, failure = errands.take(1)
        assert(coroutine.resume(task, answer, failure))
      end
      return result.done
    end, 20)
    return result
  end

  local function digest_of(text)
    return (control.sha256(text):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
  end

  for title, pieces in pairs {
    ["several pieces"] = { "one ", "", "two\n", ("x"):rep(300000), "\0end" }, ["no pieces at all"] = {}, ["an empty one"] = { "" },
  } do
    it("writes " .. title .. " and the digest of all, for the owner's eyes only", function()
      shell.write(path, "former")
      assert.is_true(finish(begin(path, pieces)).ok)
      local text = table.concat(pieces)
      assert.is_true(text .. digest_of(text) .. "\n" == shell.read(path))
      assert.equal("600\n", shell.run({ "stat", "-c", "%a", path }).stdout)
    end)
  end

  it("says why it could not", function()
    local result = finish(begin(directory .. "/none/file", { "x" }))
    assert.is_nil(result.ok)
    assert.equal(directory .. "/none/file", result.failure.where)
    assert.is_nil(shell.read(directory .. "/none/file"))
  end)

  it("can be waited for at once, before anybody was told", function()
    local result = begin(path, { ("x"):rep(1000000) })
    errands.await_saves()
    errands.await_saves()
    assert.is_nil(result.done)
    assert.equal(1000065, #shell.read(path))
    assert.is_true(finish(result).ok)
  end)

  it("waits for nothing when nothing is written", function()
    errands.await_saves()
    assert.is_nil(shell.read(path))
  end)

  it("that is ended before it is done tells nobody, and writes the whole file or none", function()
    local result = begin(path, { ("x"):rep(1000000) })
    close()
    C.uv_run(loop, 0)
    assert.is_nil(result.done)
    local text = shell.read(path)
    assert.is_true(text == nil or #text == 1000065)
  end)

  it("is for tasks only", function()
    assert.has_error(function() control.save_with_digest(path, { "x" }) end)
  end)
end)
