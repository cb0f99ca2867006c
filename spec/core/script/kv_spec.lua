-- The table that the policies of all workers share.

local unit = require "spec.support.unit"
local bridge = require "moongate.ffi"
local wait = require "spec.support.wait"

local C, ffi = bridge.C, bridge.ffi

unit.load [[
struct moon_kv *moon_kv_new(size_t bytes);
void moon_kv_free(struct moon_kv **kv);
size_t moon_kv_bytes(struct moon_kv *kv);
]]

describe("moon_kv", function()
  local kv
  local value, room, sum = ffi.new("struct moon_kv_value"), ffi.new("char[65536]"), ffi.new("double[1]")

  before_each(function() kv = C.moon_kv_new(4 * 1024 * 1024) end)
  after_each(function() C.moon_kv_free(ffi.new("struct moon_kv *[1]", kv)) end)

  local function get(key)
    if not C.moon_ffi_kv_get(kv, key, #key, value, room) then return nil end
    return value.is_number and value.number or ffi.string(room, value.len)
  end
  local function set(key, new, expires_ms)
    if type(new) == "number" then return C.moon_ffi_kv_set(kv, key, #key, nil, 0, new, expires_ms or 0) end
    return C.moon_ffi_kv_set(kv, key, #key, new, #new, 0, expires_ms or 0)
  end
  local function delete(key) return C.moon_ffi_kv_delete(kv, key, #key) end
  local function increase(key, by, expires_ms)
    local rc = C.moon_ffi_kv_increase(kv, key, #key, by, expires_ms or 0, sum)
    return rc, rc == 0 and sum[0] or nil
  end

  for _, case in ipairs { { "a text", "text" }, { "an empty text", "" }, { "bytes", "\0\255\n" }, { "a number", 1.5 }, { "a large text", ("x"):rep(65536) } } do
    it("gives back " .. case[1], function()
      assert.is_true(set("key", case[2]))
      assert.equal(case[2], get "key")
    end)
  end

  it("knows no key that was never set", function()
    assert.is_nil(get "key")
    assert.is_false(delete "key")
  end)

  it("keeps keys apart, the empty one and one with a NUL included", function()
    for _, key in ipairs { "", "\0", "a", "a\0", "a\0b", "b" } do set(key, "<" .. key .. ">") end
    for _, key in ipairs { "", "\0", "a", "a\0", "a\0b", "b" } do assert.equal("<" .. key .. ">", get(key)) end
  end)

  it("replaces and deletes, and gives the room back", function()
    set("key", ("x"):rep(1000))
    local one = tonumber(C.moon_kv_bytes(kv))
    set("key", ("y"):rep(1000))
    assert.equal(one, tonumber(C.moon_kv_bytes(kv)))
    assert.equal(("y"):rep(1000), get "key")
    assert.is_true(delete "key")
    assert.equal(0, tonumber(C.moon_kv_bytes(kv)))
  end)

  it("refuses keys and values beyond their ceilings, and changes nothing", function()
    set("key", "old")
    assert.is_false(set(("k"):rep(513), "v"))
    assert.is_false(set("key", ("x"):rep(65537)))
    assert.equal("old", get "key")
    assert.equal(2, (increase(("k"):rep(513), 1)))
  end)

  it("adds, from nothing on", function()
    assert.same({ 0, 1 }, { increase("n", 1) })
    assert.same({ 0, 3.5 }, { increase("n", 2.5) })
    assert.same({ 0, -6.5 }, { increase("n", -10) })
    assert.equal(-6.5, get "n")
  end)

  it("does not add to a text", function()
    set("text", "1")
    assert.equal(1, (increase("text", 1)))
    assert.equal("1", get "text")
  end)

  it("forgets when the time has passed, and counts anew", function()
    set("short", "v", 30)
    increase("count", 5, 30)
    set("long", "v", 1000000)
    assert.equal("v", get "short")
    increase("count", 5, 1000000) -- does not change when it ends
    wait.until_true("both to be forgotten", function() return get "short" == nil and get "count" == nil end)
    assert.equal("v", get "long")
    assert.same({ 0, 1 }, { increase("count", 1) })
  end)

  it("stays within its bytes and keeps what is used", function()
    set("used", "kept")
    for i = 1, 20000 do
      set("k" .. i, ("x"):rep(1000))
      if i % 20 == 0 then assert.equal("kept", get "used") end
    end
    local bytes = tonumber(C.moon_kv_bytes(kv))
    assert.is_true(bytes <= 4 * 1024 * 1024 and bytes > 3 * 1024 * 1024, "bytes " .. bytes)
    assert.is_nil(get "k1")
    assert.equal(("x"):rep(1000), get "k20000")
  end)
end)
