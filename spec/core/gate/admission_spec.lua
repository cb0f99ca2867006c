local ffi = require "ffi"
local gate = require "spec.support.gate"

local C = gate.helpers [[
struct moon_spec_admission;
struct moon_spec_admission *moon_spec_admission_new(unsigned connections, unsigned per_address, bool control);
bool moon_spec_admission_enter(struct moon_spec_admission *it, const char *address);
void moon_spec_admission_leave(struct moon_spec_admission *it, const char *address);
unsigned moon_spec_admission_total(struct moon_spec_admission *it);
void moon_spec_admission_free(struct moon_spec_admission *it);
]]

local function admission(connections, per_address, control)
  return ffi.gc(C.moon_spec_admission_new(connections, per_address, control or false), C.moon_spec_admission_free)
end
local enter, leave, total = C.moon_spec_admission_enter, C.moon_spec_admission_leave, C.moon_spec_admission_total

describe("moon_admission_enter()", function()
  it("counts an IPv4 address whatever its port", function()
    local it = admission(100, 2)
    assert.is_true(enter(it, "192.0.2.1:1"))
    assert.is_true(enter(it, "192.0.2.1:2"))
    assert.is_false(enter(it, "192.0.2.1:3"))
    assert.is_true(enter(it, "192.0.2.2:1"))
  end)

  it("counts an IPv6 /64 as one, and its neighbour as another", function()
    local it = admission(100, 2)
    assert.is_true(enter(it, "[2001:db8:0:1::1]:1"))
    assert.is_true(enter(it, "[2001:db8:0:1:ffff:ffff:ffff:ffff]:1"))
    assert.is_false(enter(it, "[2001:db8:0:1:1:2:3:4]:1"))
    assert.is_true(enter(it, "[2001:db8:0:2::1]:1"))
  end)

  it("counts an IPv4-mapped address as the IPv4 address", function()
    local it = admission(100, 1)
    assert.is_true(enter(it, "[::ffff:192.0.2.1]:1"))
    assert.is_false(enter(it, "192.0.2.1:1"))
    assert.is_true(enter(it, "[::ffff:192.0.2.2]:1"))
  end)

  it("has a place again once somebody has left", function()
    local it = admission(100, 1)
    for _ = 1, 10 do
      assert.is_true(enter(it, "192.0.2.1:1"))
      assert.is_false(enter(it, "192.0.2.1:1"))
      leave(it, "192.0.2.1:1")
    end
    assert.equal(0, total(it))
  end)

  it("keeps the ceiling of the whole gateway, and counts nobody whom it refused", function()
    local it = admission(3, 2)
    for i = 1, 3 do assert.is_true(enter(it, ("192.0.2.%d:1"):format(i))) end
    for i = 4, 9 do assert.is_false(enter(it, ("192.0.2.%d:1"):format(i))) end
    assert.equal(3, total(it))
    leave(it, "192.0.2.2:1")
    assert.is_true(enter(it, "192.0.2.1:1"))
    leave(it, "192.0.2.3:1")
    assert.is_false(enter(it, "192.0.2.1:1"))
    assert.equal(2, total(it))
  end)

  it("keeps count of thousands of addresses that come and go in any order", function()
    local it, inside, count = admission(1000000, 3), {}, 0
    math.randomseed(1)
    for _ = 1, 60000 do
      local n = math.random(5000)
      local address = n % 2 == 0 and ("10.1.%d.%d:1"):format(math.floor(n / 256), n % 256) or ("[2001:db8:%x::1]:1"):format(n)
      if math.random() < 0.6 then
        local allowed = (inside[address] or 0) < 3
        assert(enter(it, address) == allowed)
        if allowed then
          inside[address] = (inside[address] or 0) + 1
          count = count + 1
        end
      elseif (inside[address] or 0) > 0 then
        leave(it, address)
        inside[address] = inside[address] - 1
        count = count - 1
      end
    end
    assert.equal(count, total(it))
    for address, times in pairs(inside) do
      for _ = 1, times do leave(it, address) end
    end
    assert.equal(0, total(it))
  end)

  it("does not let the world shut the operator out", function()
    local it = admission(0, 0, true)
    for _ = 1, 256 do assert.is_true(enter(it, "127.0.0.1:1")) end
    assert.is_false(enter(it, "127.0.0.1:1"))
    leave(it, "127.0.0.1:1")
    assert.is_true(enter(it, "127.0.0.1:1"))
    assert.equal(0, total(it))
  end)
end)
