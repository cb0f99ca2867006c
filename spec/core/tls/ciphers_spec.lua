-- Names of cipher suites: what each list of the API becomes for OpenSSL.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

local function read(names)
  local list, out, diag = ffi.new("struct moon_str[?]", #names + 1), ffi.new("struct moon_tls_ciphers"), tls.diag()
  for i, name in ipairs(names) do list[i - 1] = tls.str(name) end
  if C.moon_tls_ciphers_read(out, list, #names, diag) ~= 0 then return nil, tls.told(diag) end
  return ffi.string(out.up_to_tls12), ffi.string(out.tls13)
end

local ALL13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

describe("tls.ciphers", function()
  for _, case in ipairs {
    { "no names: forward secrecy and authenticated encryption", {},
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        .. "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305", ALL13 },
    { "one name", { "ECDHE-RSA-AES256-GCM-SHA384" }, "ECDHE-RSA-AES256-GCM-SHA384", ALL13 },
    { "names in our order, each once", { "AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256", "AES128-SHA" },
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA", ALL13 },
    { "a name of TLS 1.3 alone", { "AEAD-AES256-GCM-SHA384" }, "", "TLS_AES_256_GCM_SHA384" },
    { "names of both", { "AEAD-CHACHA20-POLY1305-SHA256", "AES256-SHA256" }, "AES256-SHA256", "TLS_CHACHA20_POLY1305_SHA256" },
  } do
    it("reads " .. case[1], function()
      local older, tls13 = read(case[2])
      assert.equal(case[3], older)
      assert.equal(case[4], tls13)
    end)
  end

  for title, case in pairs {
    ["none"] = { {}, false }, ["those of TLS 1.3 alone"] = { { "AEAD-AES128-GCM-SHA256" }, false },
    ["one for ECDSA"] = { { "ECDHE-ECDSA-AES128-SHA" }, false },
    ["one for ECDSA among others"] = { { "AES128-SHA", "ECDHE-ECDSA-AES128-SHA" }, false },
    ["one for RSA"] = { { "ECDHE-RSA-AES128-SHA" }, true },
    ["one of RSA key exchange beside TLS 1.3"] = { { "AEAD-AES128-GCM-SHA256", "AES256-SHA" }, true },
  } do
    it(("ask for an RSA key with %s: %s"):format(title, tostring(case[2])), function()
      local list = ffi.new("struct moon_str[?]", #case[1] + 1)
      for i, name in ipairs(case[1]) do list[i - 1] = tls.str(name) end
      assert.equal(case[2], C.moon_tls_ciphers_need_rsa(list, #case[1]))
    end)
  end

  it("knows the twenty-three names of the API", function()
    local names = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
      "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256",
      "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
      "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA", "AES256-GCM-SHA384", "AES256-SHA256", "AES256-SHA",
      "DES-CBC3-SHA", "AEAD-AES128-GCM-SHA256", "AEAD-AES256-GCM-SHA384", "AEAD-CHACHA20-POLY1305-SHA256" }
    local older, tls13 = read(names)
    local count = 0
    for _ in (older .. ":" .. tls13):gmatch("[^:]+") do count = count + 1 end
    assert.equal(23, count)
    assert.equal(#names, count)
  end)

  for _, name in ipairs { "", "ECDHE-RSA-AES128-GCM-SHA25", "ecdhe-rsa-aes128-gcm-sha256", "TLS_AES_128_GCM_SHA256", "ALL", "AES128-SHA:NULL",
    "@SECLEVEL=0", "!aNULL", ("x"):rep(5000) } do
    it(("refuses %q by name"):format(name:sub(1, 30)), function()
      local older, where, text = read { "AES128-SHA", name }
      assert.is_nil(older)
      assert.equal("ciphers", where)
      assert.is_truthy(text:find('"' .. name:sub(1, 64) .. '"', 1, true))
    end)
  end
end)
