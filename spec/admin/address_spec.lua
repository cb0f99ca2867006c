describe("moongate.admin.address", function()
  local address = require "moongate.admin.address"

  for _, text in ipairs { "192.0.2.1", "127.0.0.1", "10.0.0.1", "223.255.255.255", "169.253.1.1", "::1", "2001:db8::1", "fd00::1",
    "fd00:ec2::253", "::ffff:192.0.2.1", "fec0::1" } do
    it("takes the origin " .. text, function() assert.is_nil(address.mistake(assert(address.read(text)))) end)
  end

  for _, text in ipairs { "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "febf::1",
    "ff02::1", "fd00:ec2::254", "FD00:0EC2:0:0::0254", "::ffff:169.254.169.254", "0:0:0:0:0:ffff:a9fe:a9fe", "::ffff:0.0.0.0" } do
    it("refuses the origin " .. text, function() assert.is_string(address.mistake(assert(address.read(text)))) end)
  end

  for _, text in ipairs { "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "[::1]", "fe80::1%eth0", "1.2.3.4/8", "a.test", "0x7f.1" } do
    it(("reads no address in %q"):format(text), function() assert.is_nil(address.read(text)) end)
  end

  it("writes one form for each address", function()
    assert.equal("2001:db8::1", address.text(address.read "2001:DB8:0:0:0:0:0:1"))
    assert.equal("192.0.2.1", address.text(address.read "192.0.2.1"))
  end)
end)
