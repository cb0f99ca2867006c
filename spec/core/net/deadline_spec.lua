local ffi = require "ffi"
local unit = require "spec.support.unit"

-- The clock's own layout is the C compiler's business: room for it, and functions that take it.
local C = unit.load [[
typedef struct uv_loop_s uv_loop_t;
size_t uv_loop_size(void);
int uv_loop_init(uv_loop_t *);
int uv_loop_close(uv_loop_t *);
int uv_run(uv_loop_t *, int mode);
uint64_t uv_now(const uv_loop_t *);
struct moon_link { struct moon_link *next; struct moon_link *previous; };
struct moon_clock;
struct moon_deadline;
typedef void (*moon_deadline_fn)(struct moon_deadline *deadline);
struct moon_deadline { struct moon_link link; moon_deadline_fn passed; uint64_t at; unsigned linked; };
void moon_clock_open(struct moon_clock *clock, uv_loop_t *loop);
void moon_clock_close(struct moon_clock *clock);
void moon_deadline_set(struct moon_clock *clock, struct moon_deadline *deadline, uint64_t after_ms);
void moon_deadline_clear(struct moon_deadline *deadline);
int usleep(unsigned microseconds);
int uv_async_init(uv_loop_t *loop, void *async, void *callback);
void uv_close(void *handle, void *callback);
]]

describe("moon_deadline", function()
  local awake, loop, loop_memory, clock, clock_memory, passed, callback, entries, on_passed

  -- One round of the loop; interpreted, because it calls back into Lua.
  local function run_once()
    C.uv_run(loop, 2)
    ffi.C.usleep(2000)
  end
  jit.off(run_once)

  local function now() return tonumber(C.uv_now(loop)) end
  local function run(ms)
    local last = now() + ms
    repeat run_once() until now() >= last
  end

  --- A deadline that notes under `name` at which time of the loop it passed.
  local function entry(name)
    local deadline = ffi.new("struct moon_deadline[1]")
    deadline[0].link.next, deadline[0].link.previous = deadline[0].link, deadline[0].link
    deadline[0].passed = callback
    entries[tonumber(ffi.cast("intptr_t", deadline))] = { name = name, box = deadline }
    return deadline
  end

  before_each(function()
    loop_memory, clock_memory = ffi.new("char[?]", tonumber(C.uv_loop_size())), ffi.new("uint64_t[4096]")
    loop, clock = ffi.cast("uv_loop_t *", loop_memory), ffi.cast("struct moon_clock *", clock_memory)
    assert.equal(0, C.uv_loop_init(loop))
    C.moon_clock_open(clock, loop)
    awake = ffi.new("uint64_t[64]") -- a handle that keeps the loop alive, since a clock does not
    assert.equal(0, C.uv_async_init(loop, awake, nil))
    passed, entries, on_passed = {}, {}, nil
    callback = ffi.cast("moon_deadline_fn", function(deadline)
      local it = entries[tonumber(ffi.cast("intptr_t", deadline))]
      passed[#passed + 1] = { it.name, now() }
      if on_passed then on_passed(it.name) end
    end)
  end)

  after_each(function()
    C.moon_clock_close(clock)
    if awake then C.uv_close(awake, nil) end
    C.uv_run(loop, 0)
    assert.equal(0, C.uv_loop_close(loop))
    callback:free()
  end)

  it("passes once, never early, and within half a second of its time", function()
    local began = now()
    for _, ms in ipairs { 0, 1, 100, 249, 250, 251, 600 } do C.moon_deadline_set(clock, entry(ms), ms) end
    run(1300)
    assert.equal(7, #passed)
    for _, it in ipairs(passed) do
      assert.is_true(it[2] - began >= it[1], it[1] .. " was early")
      assert.is_true(it[2] - began <= it[1] + 500, it[1] .. " was late")
    end
  end)

  it("does not pass when it was cleared", function()
    local first = entry "first"
    C.moon_deadline_set(clock, first, 100)
    C.moon_deadline_clear(first)
    C.moon_deadline_clear(first)
    run(700)
    assert.same({}, passed)
  end)

  it("can be moved later, many times, and then earlier", function()
    local began, it = now(), entry "moved"
    for ms = 100, 900, 50 do C.moon_deadline_set(clock, it, ms) end
    run(400)
    assert.same({}, passed)
    C.moon_deadline_set(clock, it, 100)
    run(500)
    assert.equal(1, #passed)
    assert.is_true(passed[1][2] - began < 900)
    run(600)
    assert.equal(1, #passed)
  end)

  it("can be set anew from within its own call", function()
    local it, again = entry "again", 0
    on_passed = function()
      again = again + 1
      if again < 3 then C.moon_deadline_set(clock, it, 1) end
    end
    C.moon_deadline_set(clock, it, 1)
    run(1500)
    assert.equal(3, #passed)
  end)

  it("can clear others that are due at the same moment", function()
    local all = {}
    for i = 1, 5 do
      all[i] = entry(i)
      C.moon_deadline_set(clock, all[i], 10)
    end
    on_passed = function()
      for i = 1, 5 do C.moon_deadline_clear(all[i]) end
    end
    run(600)
    assert.equal(1, #passed)
  end)

  it("waits beyond one round of the wheel", function()
    C.moon_deadline_set(clock, entry "far", 10 * 3600 * 1000)
    C.moon_deadline_set(clock, entry "near", 10)
    run(700)
    assert.equal(1, #passed)
    assert.equal("near", passed[1][1])
    for _, it in pairs(entries) do C.moon_deadline_clear(it.box) end
  end)

  it("does not keep the loop alive", function()
    C.moon_deadline_set(clock, entry "x", 1000)
    C.uv_close(awake, nil)
    awake = nil
    assert.equal(0, C.uv_run(loop, 0)) -- returns at once
    assert.same({}, passed)
  end)
end)
