-- The handshake of the two sides of the bridge.

describe("moongate.ffi", function()
  it("gives the core's functions and LuaJIT's library", function()
    local bridge = require "moongate.ffi"
    assert.equal(require "ffi", bridge.ffi)
    assert.truthy(bridge.ffi.string(bridge.C.moon_ffi_version()):match("^%d+%.%d+%.%d+$"))
  end)

  it("was written for the number that the core has", function()
    local file = assert(io.open("core/script/bridge.h"))
    local number = file:read("*a"):match("#define MOON_FFI_ABI (%d+)")
    file:close()
    file = assert(io.open("lua/ffi.lua"))
    assert.equal(number, file:read("*a"):match("local ABI = (%d+)"))
    file:close()
  end)

  it("refuses a core of another version", function()
    require "moongate.ffi" -- loads the library
    local file = assert(io.open("lua/ffi.lua"))
    local source = file:read("*a"):gsub("local ABI = %d+", "local ABI = 4711")
    file:close()
    local ok, err = pcall(assert(loadstring(source)))
    assert.is_false(ok)
    assert.truthy(err:find("4711", 1, true))
  end)
end)
