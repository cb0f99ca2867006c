local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load { "base/str.h", "http/normalise.h" }

local function normalise(path)
  local room = ffi.new("char[?]", 3 * #path)
  return ffi.string(room, C.moon_http_normalise_path(room, unit.str(path)))
end

describe("moon_http_normalise_path()", function()
  for _, case in ipairs {
    { "/", "/" },
    { "*", "*" },
    { "/a/b", "/a/b" },
    { "/%61dmin", "/admin" },
    { "/%41%5a%2D%2e%5F%7e%30", "/AZ-._~0" },
    { "/%2fetc%2Fpasswd", "/%2Fetc%2Fpasswd" },
    { "/a%20b%c3%a9", "/a%20b%C3%A9" },
    { "/%25%36%31", "/%2561" }, -- one round only
    { "/100%", "/100%25" },
    { "/%zz%4", "/%25zz%254" },
    { "/%%361dmin", "/%2561dmin" }, -- else the origin would decode what was not there
    { "/a/./b", "/a/b" },
    { "/a/../b", "/b" },
    { "/a/b/..", "/a/" },
    { "/a/b/.", "/a/b/" },
    { "/..", "/" },
    { "/../../a", "/a" },
    { "/.", "/" },
    { "/a/..", "/" },
    { "/%2e%2E/a", "/a" },
    { "/a/%2e%2e%2fb", "/a/..%2Fb" }, -- an encoded slash ends no segment
    { "/...", "/..." },
    { "/.well-known/x", "/.well-known/x" },
    { "/a/..b/.c./", "/a/..b/.c./" },
    { "//a//b/", "//a//b/" },
    { "//../x", "/x" },
    { "/a//../b", "/a/b" },
    { "/a/b/c/./../../g", "/a/g" }, -- RFC 3986 section 5.2.4
  } do
    it(("makes %s of %s"):format(case[2], case[1]), function()
      assert.equal(case[2], normalise(case[1]))
      assert.equal(case[2], normalise(case[2]), "it is stable")
      if C.moon_http_path_is_normal(unit.str(case[1])) then assert.equal(case[1], case[2]) end
    end)
  end

  it("is stable and free of dot segments and stray percent signs, whatever the path", function()
    math.randomseed(7)
    local pieces = { "/", "/", ".", "..", "%2e", "%2E", "%2f", "%61", "a", "%", "%4", "b", "~", "%7e", "36", "%36", "1" }
    for _ = 1, 2000 do
      local parts = { "/" }
      for i = 2, math.random(1, 12) do parts[i] = pieces[math.random(#pieces)] end
      local path = table.concat(parts)
      local once = normalise(path)
      assert.equal(once, normalise(once), path)
      assert.is_nil(once:gsub("%%%x%x", ""):find("%", 1, true))
      assert.equal("/", once:sub(1, 1))
      assert.is_nil(("/" .. once .. "/"):find("/%.%.?/"), path .. " → " .. once)
      if C.moon_http_path_is_normal(unit.str(path)) then assert.equal(path, once) end
    end
  end)
end)

describe("moon_http_path_is_normal()", function()
  for _, case in ipairs {
    { "/", true }, { "/a/b.c/", true }, { "/.a", true }, { "/..a", true }, { "/a..", true }, { "/%41", false }, { "/.", false }, { "/a/..", false },
    { "/a/./b", false }, { "/a/../b", false }, { "*", true },
  } do
    it(("says %s of %s"):format(tostring(case[2]), case[1]), function()
      assert.equal(case[2], C.moon_http_path_is_normal(unit.str(case[1])))
    end)
  end
end)
