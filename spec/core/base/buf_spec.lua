local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load { "base/str.h", "base/buf.h" }
local ETOOBIG = -20002

local function buffer(ceiling)
  local buf = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
  C.moon_buf_init(buf, ceiling)
  return buf
end

local function text(buf)
  return buf[0].len > 0 and ffi.string(buf[0].data + buf[0].start, buf[0].len) or ""
end

describe("moon_buf", function()
  it("grows by appending and keeps what is there", function()
    local buf, expected = buffer(100000), {}
    for i = 1, 3000 do
      assert.equal(0, C.moon_buf_append(buf, tostring(i) .. ",", #tostring(i) + 1))
      expected[i] = i .. ","
    end
    assert.equal(table.concat(expected), text(buf))
  end)

  it("takes exactly its ceiling, and changes nothing beyond it", function()
    local buf = buffer(10)
    assert.equal(0, C.moon_buf_append(buf, "12345678", 8))
    assert.equal(ETOOBIG, C.moon_buf_append(buf, "abc", 3))
    assert.equal("12345678", text(buf))
    assert.equal(0, C.moon_buf_append(buf, "90", 2))
    assert.equal(ETOOBIG, C.moon_buf_append(buf, "a", 1))
    assert.equal("1234567890", text(buf))
  end)

  it("counts only what is held toward the ceiling, not what was consumed", function()
    local buf = buffer(2000)
    for i = 1, 100 do
      assert.equal(0, C.moon_buf_append(buf, ("%04d"):format(i):rep(400), 1600))
      C.moon_buf_consume(buf, 1599)
      assert.equal(("%04d"):format(i):sub(4), text(buf))
      C.moon_buf_consume(buf, 1)
    end
  end)

  it("keeps the bytes in order through any mixture of appending and consuming", function()
    local buf, model = buffer(5000), ""
    math.randomseed(7)
    for i = 1, 3000 do
      local piece = tostring(i):rep(math.random(0, 60))
      if math.random() < 0.5 then
        local code = C.moon_buf_append(buf, piece, #piece)
        assert.equal(#model + #piece <= 5000 and 0 or ETOOBIG, code)
        if code == 0 then model = model .. piece end
      else
        local count = math.random(0, #model + 3)
        C.moon_buf_consume(buf, count)
        model = model:sub(count + 1)
      end
      assert.equal(model, text(buf))
    end
  end)

  it("reserves room that counts only after commit", function()
    local buf = buffer(100)
    local room = C.moon_buf_reserve(buf, 50)
    ffi.copy(room, "hello", 5)
    assert.equal("", text(buf))
    C.moon_buf_commit(buf, 5)
    assert.equal("hello", text(buf))
    assert.is_true(C.moon_buf_reserve(buf, 96) == nil)
    assert.is_true(C.moon_buf_reserve(buf, 95) ~= nil)
    assert.is_true(C.moon_buf_reserve(buf, ffi.cast("size_t", -1)) == nil)
  end)

  it("prints, also what is longer than a small buffer", function()
    local buf = buffer(2000)
    assert.equal(0, C.moon_buf_printf(buf, "%d-%s;", ffi.new("int", 7), "x"))
    assert.equal(0, C.moon_buf_printf(buf, "%s", ("y"):rep(1000)))
    assert.equal("7-x;" .. ("y"):rep(1000), text(buf))
    assert.equal(ETOOBIG, C.moon_buf_printf(buf, "%s", ("z"):rep(1000)))
    assert.equal("7-x;" .. ("y"):rep(1000), text(buf))
  end)

  it("is empty after free and may be used again with its ceiling", function()
    local buf = buffer(4)
    C.moon_buf_append(buf, "1234", 4)
    C.moon_buf_free(buf)
    assert.equal("", text(buf))
    assert.is_true(buf[0].data == nil)
    assert.equal(ETOOBIG, C.moon_buf_append(buf, "12345", 5))
    assert.equal(0, C.moon_buf_append(buf, "abcd", 4))
    assert.equal("abcd", text(buf))
  end)
end)
