local ffi = require "ffi"
local unit = require "spec.support.unit"
local net = require "spec.support.client"

ffi.cdef [[
struct moon_diag { char where[256]; char text[768]; };
struct moon_address { union { uint16_t family; char bytes[28]; } sock; unsigned len; };
bool moon_address_read(struct moon_address *address, struct moon_str text);
unsigned moon_address_port(const struct moon_address *address);
int moon_listen_socket(const struct moon_address *address, bool shared, struct moon_address *bound, struct moon_diag *diag);
]]
local C = unit.load { "base/str.h" }

local open = {}
after_each(function()
  for _, fd in ipairs(open) do ffi.C.close(fd) end
  open = {}
end)

--- The port, or nil and the diagnostic.
local function listen(text, shared)
  local address, bound = ffi.new("struct moon_address[1]"), ffi.new("struct moon_address[1]")
  local diag = ffi.new("struct moon_diag[1]")
  assert.is_true(C.moon_address_read(address, unit.str(text)))
  local fd = C.moon_listen_socket(address, shared or false, bound, diag)
  if fd < 0 then return nil, { where = ffi.string(diag[0].where), text = ffi.string(diag[0].text) } end
  open[#open + 1] = fd
  return C.moon_address_port(bound)
end

describe("moon_listen_socket()", function()
  it("tells the port that the system chose, and listens on it", function()
    local port = assert(listen "127.0.0.1:0")
    assert.is_true(port > 0)
    assert(net.connect { port = port, tls = false }):close()
  end)

  it("names the address and the reason when the port is in use", function()
    local port = assert(listen "127.0.0.1:0")
    local text = "127.0.0.1:" .. port
    local none, diag = listen(text)
    assert.is_nil(none)
    assert.same({ where = text, text = "cannot listen: bind: Address already in use" }, diag)
  end)

  it("lets sockets share a port only when all of them agree", function()
    local text = "127.0.0.1:" .. assert(listen("127.0.0.1:0", true))
    assert.truthy(listen(text, true))
    local none, diag = listen(text, false)
    assert.is_nil(none)
    assert.equal(text, diag.where)
  end)

  it("names the reason when the address is not of this machine", function()
    local none, diag = listen "192.0.2.1:0"
    assert.is_nil(none)
    assert.same({ where = "192.0.2.1:0", text = "cannot listen: bind: Cannot assign requested address" }, diag)
  end)

  it("leaves no descriptor behind when it fails", function()
    local port = assert(listen "127.0.0.1:0")
    local function next_free()
      local fd = ffi.C.socket(2, 1, 0)
      ffi.C.close(fd)
      return fd
    end
    local before = next_free()
    for _ = 1, 20 do assert.is_nil((listen("127.0.0.1:" .. port))) end
    assert.equal(before, next_free())
  end)
end)
