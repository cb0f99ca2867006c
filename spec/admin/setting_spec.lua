describe("moongate.admin.setting", function()
  local json = require "moongate.json"
  local setting = require "moongate.admin.setting"

  it("has a default for each setting that it would accept itself", function()
    for _, one in ipairs(setting.list) do
      assert.is_nil(setting.mistake(one, setting.default_of(one)), one.id)
      assert.is_true(setting.is_default(one, setting.default_of(one)), one.id)
      assert.equal(one, setting.by_id[one.id])
    end
  end)

  it("lists the settings in the order of their names, each once", function()
    for index = 2, #setting.list do
      assert.is_true(setting.list[index - 1].id < setting.list[index].id, setting.list[index].id)
    end
  end)

  for title, case in pairs {
    ["a number for a version"] = { "min_tls_version", 1.2, '"1.0", "1.1", "1.2", "1.3"' },
    ["an unknown version"] = { "min_tls_version", "1.4", '"1.0", "1.1", "1.2", "1.3"' },
    ["nothing"] = { "ssl", nil, "expected one of" },
    ["true for a switch"] = { "websockets", true, '"on", "off"' },
    ["zrt for another switch"] = { "0rtt", "zrt", '"on", "off"' },
    ["a string of ciphers"] = { "ciphers", "AES128-SHA", "expected an array" },
    ["an object of ciphers"] = { "ciphers", json.object {}, "expected an array" },
    ["a number among the ciphers"] = { "ciphers", json.array { "AES128-SHA", 1 }, "element 2: expected a string" },
    ["an unknown cipher"] = { "ciphers", json.array { "RC4-MD5" }, '"RC4-MD5" is no cipher suite' },
    ["too many ciphers"] = { "ciphers", json.array((function()
      local many = {}
      for index = 1, 65 do many[index] = "AES128-SHA" end
      return many
    end)()), "at most 64" },
  } do
    it(("refuses %s for %s"):format(title, case[1]), function()
      local reason = setting.mistake(setting.by_id[case[1]], case[2])
      assert.truthy(reason and reason:find(case[3], 1, true), reason)
    end)
  end
end)
