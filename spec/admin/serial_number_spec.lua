describe("moongate.admin.serial_number", function()
  local serial_number = require "moongate.admin.serial_number"

  for text, hex in pairs {
    ["0"] = "0", ["000"] = "0", ["0x0"] = "0", ["255"] = "ff", ["0x00Ff"] = "ff", ["0XAB"] = "ab", ["16777216"] = "1000000",
    ["10000000"] = "989680", ["99999999"] = "5f5e0ff", ["18446744073709551616"] = "10000000000000000",
    ["00012345678901234567890"] = "ab54a98ceb1f0ad2",
    ["1461501637330902918203684832716283019655932542975"] = ("f"):rep(40), -- the largest of 20 octets
    ["0x" .. ("0"):rep(20) .. "1"] = "1",
  } do
    it("reads " .. text, function() assert.equal(hex, (serial_number.read(text))) end)
  end

  for _, text in ipairs { "", "0x", "-1", "1 2", "ff", "0xfg", "1.0", "0x" .. ("f"):rep(511), ("9"):rep(600) } do
    it("refuses " .. (text == "" and "nothing" or text:sub(1, 20)), function()
      local hex, reason = serial_number.read(text)
      assert.is_nil(hex)
      assert.is_string(reason)
    end)
  end
end)
