local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load { "base/str.h", "base/mem.h" }
ffi.cdef "void free(void *);"

local function arena(ceiling)
  local box = ffi.gc(ffi.new("struct moon_arena[1]"), C.moon_arena_reset)
  C.moon_arena_init(box, ceiling)
  return box
end

describe("moon_alloc() and friends", function()
  it("hand out zeroed memory", function()
    local block = ffi.cast("unsigned char *", C.moon_alloc(1000))
    for i = 0, 999 do assert.equal(0, block[i]) end
    ffi.C.free(block)
  end)

  it("hand out something for nothing", function()
    local block = C.moon_alloc(0)
    assert.is_true(block ~= nil)
    ffi.C.free(block)
  end)

  it("keep the content when growing", function()
    local block = C.moon_realloc(nil, 6)
    ffi.copy(block, "hello")
    block = C.moon_realloc(block, 100000)
    assert.equal("hello", ffi.string(ffi.cast("char *", block)))
    ffi.C.free(block)
  end)

  it("copy a view as a NUL-terminated string", function()
    local copy = C.moon_strdup(unit.str "abc")
    assert.equal("abc", ffi.string(copy))
    ffi.C.free(copy)
    local empty = C.moon_strdup(unit.str "")
    assert.equal("", ffi.string(empty))
    ffi.C.free(empty)
  end)
end)

describe("moon_arena", function()
  it("hands out pieces that are aligned and do not overlap", function()
    local box, pieces = arena(1000000), {}
    for i = 1, 500 do
      local size = (i * 37) % 700
      local piece = ffi.cast("unsigned char *", C.moon_arena_take(box, size))
      assert.equal(0, tonumber(ffi.cast("uintptr_t", piece) % 16))
      ffi.fill(piece, size, i % 251)
      pieces[i] = { piece, size }
    end
    for i, piece in ipairs(pieces) do
      for at = 0, piece[2] - 1 do
        if piece[1][at] ~= i % 251 then error(("piece %d was overwritten at %d"):format(i, at)) end
      end
    end
  end)

  it("stops at its ceiling and goes on after a reset", function()
    local box = arena(100)
    assert.is_true(C.moon_arena_take(box, 60) ~= nil)
    assert.is_true(C.moon_arena_take(box, 41) == nil)
    assert.is_true(C.moon_arena_take(box, 40) ~= nil)
    assert.is_true(C.moon_arena_take(box, 1) == nil)
    assert.is_true(C.moon_arena_take(box, ffi.cast("size_t", -1)) == nil)
    C.moon_arena_reset(box)
    assert.is_true(C.moon_arena_take(box, 100) ~= nil)
  end)

  it("serves small needs without the heap", function()
    local box = arena(100000)
    local piece = ffi.cast("char *", C.moon_arena_take(box, 1500))
    assert.is_true(piece >= box[0].first and piece + 1500 <= box[0].first + ffi.sizeof(box[0].first))
    assert.is_true(box[0].blocks == nil)
    C.moon_arena_take(box, 5000)
    assert.is_true(box[0].blocks ~= nil)
    C.moon_arena_reset(box)
    assert.is_true(box[0].blocks == nil)
  end)

  it("copies text with a NUL behind it", function()
    local box = arena(10)
    local copy = C.moon_arena_copy(box, unit.str "abc")
    assert.equal("abc", unit.text(copy))
    assert.equal(0, copy.data[3])
    assert.is_true(C.moon_arena_copy(box, unit.str "0123456789").data == nil)
  end)
end)
