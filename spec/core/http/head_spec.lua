local http = require "spec.support.http"
local unit = require "spec.support.unit"

local C = http.C

local function head(lines)
  local status, told = http.request("GET / HTTP/1.1\r\nHost: a\r\n" .. lines .. "\r\n")
  assert(status == 0, told)
  return told
end

describe("moon_http_find()", function()
  local told = head "X-A: 1\r\nx-a: 2\r\nX-AB: 3\r\n"

  it("finds the first field of a name in any case", function()
    assert.equal("1", unit.text(C.moon_http_find(told.box, unit.str "x-A").value))
    assert.equal("3", unit.text(C.moon_http_find(told.box, unit.str "x-ab").value))
  end)

  it("says NULL when there is none", function()
    assert.is_true(C.moon_http_find(told.box, unit.str "X") == nil)
    assert.is_true(C.moon_http_find(told.box, unit.str "") == nil)
  end)
end)

describe("moon_http_lists()", function()
  local told = head "Connection: a,, b\t,\r\nconnection: C\r\nOther: d\r\n"
  for _, case in ipairs { { "a", true }, { "B", true }, { "c", true }, { "d", false }, { "", false }, { "a,", false },
    { "ab", false } } do
    it(("%s %q"):format(case[2] and "sees" or "does not see", case[1]), function()
      assert.equal(case[2], C.moon_http_lists(told.box, unit.str "CONNECTION", unit.str(case[1])))
    end)
  end
end)

describe("moon_http_is_hop_by_hop()", function()
  local told = head "Connection: close, CF-Connecting-IP\r\nConnection: X-Mine\r\n"
  for _, name in ipairs { "Connection", "keep-alive", "Proxy-Connection", "TE", "Trailer", "TRANSFER-ENCODING",
    "Upgrade", "Proxy-Authenticate", "Proxy-Authorization", "HTTP2-Settings", "cf-connecting-ip", "x-mine", "close" } do
    it("ends " .. name .. " here", function() assert.is_true(C.moon_http_is_hop_by_hop(told.box, unit.str(name))) end)
  end

  for _, name in ipairs { "Host", "Content-Length", "X-Mine-Too", "Authorization", "Trailers" } do
    it("lets " .. name .. " go on", function()
      assert.is_false(C.moon_http_is_hop_by_hop(told.box, unit.str(name)))
    end)
  end
end)
