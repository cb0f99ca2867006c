local http = require "spec.support.http"

local HEAD = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

-- Every input below also goes through the growing and the portable scan further down.
local CASES = {
  { "a whole head", HEAD, #HEAD },
  { "a head with bytes behind it", HEAD .. "hello", #HEAD },
  { "two heads in one piece", HEAD .. HEAD, #HEAD },
  { "one CRLF before the start line", "\r\n" .. HEAD, #HEAD + 2 },
  { "a head without fields", "GET / HTTP/1.0\r\n\r\n", 18 },
  { "an empty value at the end of a field line", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 25 },
  { "nothing", "", 0 },
  { "half a start line", "GET / HT", 0 },
  { "a start line", "GET / HTTP/1.1\r\n", 0 },
  { "a start line and a CR", "GET / HTTP/1.1\r\n\r", 0 },
  { "a lone CR at the beginning", "\r", 0 },
  { "a lone CRLF at the beginning", "\r\n", 0 },
  { "two CRLF before the start line", "\r\n\r\n" .. HEAD, -400 },
  { "a CR and something before the start line", "\rGET / HTTP/1.1\r\n\r\n", -400 },
  { "a CR CR LF before the start line", "\r\r\n" .. HEAD, -400 },
  { "an LF before the start line", "\n" .. HEAD, -400 },
  { "a space before the start line", " " .. HEAD, -400 },
  { "a tab before the start line", "\t" .. HEAD, -400 },
  { "a start line that ends with a bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", -400 },
  { "a start line that ends with CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", -400 },
  { "a field line that ends with a bare LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", -400 },
  { "an empty line that is a bare LF", "GET / HTTP/1.1\r\nHost: a\r\n\nX: y\r\n\r\n", -400 },
  { "an empty line that is CR and another byte", "GET / HTTP/1.1\r\nHost: a\r\n\rX", -400 },
  { "two bare LF at the end", "GET / HTTP/1.1\r\nHost: a\n\n", -400 },
  { "a bare CR in a value", "GET / HTTP/1.1\r\nX:\rContent-Length: 5\r\n\r\n", -400 },
  { "a bare CR at the end of an empty value", "GET / HTTP/1.1\r\nX:\r\r\n\r\n", -400 },
  { "a folded first field line", "GET / HTTP/1.1\r\n X: y\r\n\r\n", -400 },
  { "a folded later field line", "GET / HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\n", -400 },
  { "a field line folded with a tab", "GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", -400 },
  { "an empty line that is a space", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", -400 },
  { "NUL in the start line", "GET /\0 HTTP/1.1\r\n\r\n", -400 },
  { "NUL in a value", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", -400 },
  { "NUL in an unfinished line", "GET / HTTP/1.1\r\nHost: a\0", -400 },
  { "a TLS record", "\22\3\1\2\0\1\0\1\252\3\3", -400 },
}

-- Small limits: 32 for the start line, 24 for a field, 96 for all.
local SMALL = { start_line = 32, field = 24, fields = 96 }
local LIMITED = {
  { "a start line of exactly the limit", ("a"):rep(32) .. "\r\n\r\n", 36 },
  { "a start line one byte beyond", ("a"):rep(33) .. "\r\n\r\n", -414 },
  { "an endless start line", ("a"):rep(500), -414 },
  { "an unfinished start line of exactly the limit", ("a"):rep(32), 0 },
  { "an unfinished start line of the limit and a CR", ("a"):rep(32) .. "\r", 0 },
  { "an unfinished start line one byte beyond", ("a"):rep(33), -414 },
  { "a start line beyond the limit behind a CRLF", "\r\n" .. ("a"):rep(33), -414 },
  { "a field of exactly the limit", "GET\r\n" .. ("b"):rep(24) .. "\r\n\r\n", 33 },
  { "a field one byte beyond", "GET\r\n" .. ("b"):rep(25) .. "\r\n\r\n", -431 },
  { "an endless field", "GET\r\n" .. ("b"):rep(200), -431 },
  { "a head of exactly the limit", "GET\r\n" .. ("x: 345\r\n"):rep(11) .. "\r\n", 95 },
  { "a head one byte beyond", "GET /\r\n" .. ("x: 345\r\n"):rep(11) .. "\r\n", -431 },
  { "endless fields", "GET\r\n" .. ("x: 345\r\n"):rep(100), -431 },
  { "a bad byte before the limit", ("a"):rep(10) .. "\n" .. ("a"):rep(100), -400 },
  { "a bad byte behind the limit", ("a"):rep(40) .. "\n", -414 },
  { "NUL as the first byte beyond the limit", ("a"):rep(32) .. "\0", -400 },
}

describe("moon_http_scan()", function()
  for _, case in ipairs(CASES) do
    it(("says %d to %s"):format(case[3], case[1]), function() assert.equal(case[3], (http.scan(case[2]))) end)
  end

  context("with small limits", function()
    for _, case in ipairs(LIMITED) do
      it(("says %d to %s"):format(case[3], case[1]), function()
        assert.equal(case[3], (http.scan(case[2], http.limits(SMALL))))
      end)
    end
  end)

  it("has the documented limits by default", function()
    local limits = http.limits()[0]
    assert.same({ 8192, 16384, 65536, 128 }, { tonumber(limits.start_line), tonumber(limits.field),
      tonumber(limits.fields), tonumber(limits.field_count) })
  end)

  it("moves `scanned` on while bytes are missing", function()
    local result, scanned = http.scan("GET / HTTP/1.1\r\nHost: a\r\n")
    assert.equal(0, result)
    assert.equal(25, scanned)
  end)

  for _, portable in ipairs { false, true } do
    local name = portable and "the portable scan" or "the scan"
    it(name .. " says the same to bytes that arrive one by one", function()
      for _, case in ipairs(CASES) do
        assert.equal(case[3], http.scan_growing(case[2], nil, portable), case[1])
      end
      for _, case in ipairs(LIMITED) do
        assert.equal(case[3], http.scan_growing(case[2], http.limits(SMALL), portable), case[1])
      end
    end)
  end

  it("sees every offence at every distance from the start", function()
    for pad = 0, 40 do
      local start = "GET /" .. ("p"):rep(pad) .. " HTTP/1.1\r\n"
      for _, rest in ipairs { " X: y\r\n\r\n", "\tX: y\r\n\r\n", "\nX: y\r\n\r\n", "\rX: y\r\n\r\n", "X\r\r\n\r\n",
        "X\n\r\n", "\0\r\n\r\n" } do
        local bytes = start .. rest .. ("z"):rep(40)
        assert.equal(-400, (http.scan(bytes)), ("%q"):format(bytes))
        assert.equal(-400, (http.scan(bytes, nil, true)), ("%q"):format(bytes))
        assert.equal(-400, http.scan_growing(bytes), ("%q"):format(bytes))
      end
      local good = start .. "X: y\r\n\r\n"
      assert.equal(#good, (http.scan(good .. ("z"):rep(40))))
    end
  end)

  it("agrees with the portable scan on one changed byte at every place of a head", function()
    local head = "\r\nGET /some/path?query HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\nEmpty:\r\n\r\n"
    local limits = http.limits { start_line = 40, field = 30, fields = 120 }
    local refused, passed = 0, 0
    for at = 1, #head do
      for _, byte in ipairs { "\0", "\t", "\n", "\r", " ", "a", "\r\n", "\n\r", "\r\n\r\n", "" } do
        for _, kept in ipairs { at, at + 1 } do -- inserted, replaced
          local changed = head:sub(1, at - 1) .. byte .. head:sub(kept)
          local result = http.scan(changed, limits)
          assert.equal(result, (http.scan(changed, limits, true)), ("%q"):format(changed))
          assert.equal(result, http.scan_growing(changed, limits), ("%q"):format(changed))
          if result < 0 then refused = refused + 1 else passed = passed + 1 end
        end
      end
    end
    assert.is_true(refused > 500 and passed > 200)
  end)
end)
