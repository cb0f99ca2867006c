local ffi = require "ffi"
local unit = require "spec.support.unit"

ffi.cdef [[
struct moon_address { union { uint16_t family; char bytes[28]; } sock; unsigned len; };
bool moon_address_read(struct moon_address *address, struct moon_str text);
int moon_address_ip(const struct moon_address *address, unsigned char bytes[16]);
void moon_address_print_ip(const struct moon_address *address, char *out);
void moon_address_print(const struct moon_address *address, char *out);
unsigned moon_address_port(const struct moon_address *address);
bool moon_address_is_loopback(const struct moon_address *address);
bool moon_address_is_local(const struct moon_address *address);
bool moon_resolve_literal(struct moon_address *address, struct moon_str host, unsigned port);
]]
local C = unit.load { "base/str.h" }

local function read(text)
  local address = ffi.new("struct moon_address[1]")
  if C.moon_address_read(address, unit.str(text)) then return address end
end

local function text_of(print, address)
  local out = ffi.new("char[64]")
  print(address, out)
  return ffi.string(out)
end

local function ip_of(address)
  local bytes = ffi.new("unsigned char[16]")
  return ffi.string(bytes, C.moon_address_ip(address, bytes))
end

describe("moon_address_read()", function()
  for _, case in ipairs {
    { "192.0.2.1:443", "192.0.2.1:443", "\192\0\2\1" },
    { "0.0.0.0:0", "0.0.0.0:0", "\0\0\0\0" },
    { "255.255.255.255:65535", "255.255.255.255:65535", "\255\255\255\255" },
    { "[::1]:80", "[::1]:80", ("\0"):rep(15) .. "\1" },
    { "[2001:DB8::A]:443", "[2001:db8::a]:443", "\32\1\13\184" .. ("\0"):rep(11) .. "\10" },
    { "[::]:0", "[::]:0", ("\0"):rep(16) },
    { "[::ffff:192.0.2.1]:443", "[::ffff:192.0.2.1]:443", "\192\0\2\1" },
  } do
    it("reads " .. case[1], function()
      local address = assert(read(case[1]))
      assert.equal(case[2], text_of(C.moon_address_print, address))
      assert.equal(case[3], ip_of(address))
      assert.equal(tonumber(case[2]:match("%d+$")), C.moon_address_port(address))
    end)
  end

  for _, case in ipairs {
    "", ":", ":443", "192.0.2.1", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:-1", "192.0.2.1:65536", "192.0.2.1:4 ",
    " 192.0.2.1:443", "192.0.2.1:+4", "192.0.2.1:0x50", "192.0.2:443", "192.0.2.256:443", "192.0.2.1.5:443", "localhost:443",
    "*:443", "::1:443", "[::1]", "[::1]443", "[::1:443", "::1]:443", "[]:443", "[192.0.2.1]:443", "[::1%lo]:443",
    "[[::1]]:443", "192.0.2.1\0:443", "192.0.2.1:443\0", ("1"):rep(80) .. ":443",
  } do
    it(("refuses %q"):format(case:sub(1, 30)), function() assert.is_nil(read(case)) end)
  end
end)

describe("moon_address_print_ip()", function()
  for _, case in ipairs {
    { "192.0.2.1:443", "192.0.2.1" }, { "[2001:db8::1]:443", "2001:db8::1" }, { "[::ffff:192.0.2.1]:443", "192.0.2.1" },
    { "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
  } do
    it("prints " .. case[1] .. " without its port", function()
      local address = assert(read(case[1]))
      assert.equal(case[2], text_of(C.moon_address_print_ip, address))
    end)
  end
end)

describe("moon_address_is_loopback()", function()
  for text, expected in pairs {
    ["127.0.0.1:1"] = true, ["127.255.255.254:1"] = true, ["[::1]:1"] = true, ["[::ffff:127.0.0.1]:1"] = true,
    ["0.0.0.0:1"] = false, ["[::]:1"] = false, ["128.0.0.1:1"] = false, ["10.0.0.1:1"] = false, ["[fe80::1]:1"] = false,
    ["[::2]:1"] = false,
  } do
    it(("says %s of %s"):format(tostring(expected), text), function()
      local address = assert(read(text))
      assert.equal(expected, C.moon_address_is_loopback(address))
    end)
  end
end)

describe("moon_resolve_literal()", function()
  for _, case in ipairs {
    { "192.0.2.1", "192.0.2.1:80" }, { "[2001:db8::1]", "[2001:db8::1]:80" }, { "2001:db8::1", "[2001:db8::1]:80" },
  } do
    it("reads " .. case[1], function()
      local address = ffi.new("struct moon_address[1]")
      assert.is_true(C.moon_resolve_literal(address, unit.str(case[1]), 80))
      assert.equal(case[2], text_of(C.moon_address_print, address))
    end)
  end

  for _, text in ipairs { "", "[]", "localhost", "192.0.2", "[::1", "0x7f.1", "127.1", "2130706433", "1.2.3.4\0", ("1"):rep(60) } do
    it(("leaves %q to the resolver"):format(text:sub(1, 20)), function()
      assert.is_false(C.moon_resolve_literal(ffi.new("struct moon_address[1]"), unit.str(text), 80))
    end)
  end
end)

describe("moon_address_is_local()", function()
  local function is_local(ip)
    local address = read(ip .. ":443")
    assert.is_not_nil(address)
    return C.moon_address_is_local(address)
  end

  for _, ip in ipairs {
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255",
    "[::1]", "[::]", "[fe80::1]", "[febf::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[fd00:ec2::254]",
  } do
    it("is true of " .. ip, function() assert.is_true(is_local(ip)) end)
  end
  for _, ip in ipairs {
    "192.0.2.1", "10.0.0.1", "192.168.1.1", "169.253.255.255", "169.255.0.0", "223.255.255.255", "128.0.0.1", "1.0.0.1",
    "[2001:db8::1]", "[fd00::1]", "[fec0::1]", "[fd00:ec2::255]", "[::ffff:192.0.2.1]", "[64:ff9b::192.0.2.1]",
  } do
    it("is false of " .. ip, function() assert.is_false(is_local(ip)) end)
  end
end)
