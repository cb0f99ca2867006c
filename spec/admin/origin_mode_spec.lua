describe("moongate.admin.origin_mode", function()
  local origin_mode = require "moongate.admin.origin_mode"
  local setting = require "moongate.admin.setting"

  for _, case in ipairs {
    { "off", "http", false },
    { "flexible", "http", false },
    { "full", "https", false },
    { "strict", "https", true },
    { "origin_pull", "https", true },
  } do
    local mode, scheme, verify = unpack(case)
    it(("speaks %s in the mode %s, %s"):format(scheme, mode, verify and "verified" or "unverified"), function()
      assert.same({ url = scheme .. "://192.0.2.10", verify = verify, request_name = scheme == "https" or nil },
        origin_mode.terms(mode, "192.0.2.10"))
    end)
  end

  it("has terms for every mode that can be set", function()
    for _, mode in ipairs(setting.by_id.ssl.one_of) do assert.truthy(origin_mode.terms(mode, "origin.test").url) end
  end)

  it("writes IPv6 addresses in brackets, and names as they are", function()
    assert.equal("https://[2001:db8::1]", origin_mode.terms("full", "2001:db8::1").url)
    assert.equal("https://origin.test", origin_mode.terms("full", "origin.test").url)
  end)

  it("knows no other mode", function()
    assert.has_error(function() origin_mode.terms("strong", "origin.test") end)
  end)
end)
