describe("moongate.admin.router", function()
  local permissions = require "moongate.admin.permissions"
  local router = require "moongate.admin.router"

  local function route(method, path)
    return { method = method, path = path, permission = permissions.any(), run = function() end }
  end

  describe("new()", function()
    it("refuses a route that declares no permission", function()
      assert.has_error(function() router.new { { method = "GET", path = "/x", run = function() end } } end,
        "GET /x: a route must declare its permission")
    end)

    it("refuses a route twice, an unknown method, and nothing to run", function()
      assert.has_error(function() router.new { route("GET", "/x"), route("GET", "/x") } end)
      assert.has_error(function() router.new { route("HEAD", "/x") } end)
      assert.has_error(function() router.new { { method = "GET", path = "/x", permission = permissions.any() } } end)
      assert.has_error(function() router.new { route("GET", "/x/{a}"), route("GET", "/x/{b}/c") } end)
    end)
  end)

  describe("find()", function()
    local one = router.new {
      route("GET", "/zones"), route("GET", "/zones/{zone_id}"), route("DELETE", "/zones/{zone_id}"),
      route("GET", "/zones/special/list"), route("GET", "/zones/{zone_id}/x/{id}"),
    }

    for _, case in ipairs {
      { "GET", "/zones", "/zones", {} },
      { "GET", "/zones/abc", "/zones/{zone_id}", { zone_id = "abc" } },
      { "GET", "/zones/special", "/zones/{zone_id}", { zone_id = "special" } },
      { "GET", "/zones/special/list", "/zones/special/list", {} },
      { "GET", "/zones/special/x/y", "/zones/{zone_id}/x/{id}", { zone_id = "special", id = "y" } },
      { "GET", "/zones/a%2Fb", "/zones/{zone_id}", { zone_id = "a/b" } },
      { "GET", "/zones/%2541", "/zones/{zone_id}", { zone_id = "%41" } },
      { "DELETE", "/zones/abc", "/zones/{zone_id}", { zone_id = "abc" } },
    } do
      it(("finds %s %s"):format(case[1], case[2]), function()
        local found, params = one:find(case[1], case[2])
        assert.equal(case[3], found.path)
        assert.same(case[4], params)
      end)
    end

    for _, path in ipairs { "", "/", "/zones/", "/zones//x/y", "/nothing", "/zones/a/b", "/zones/%", "/zones/%4", "/zones/%00", "zones" } do
      it(("finds nothing at %q"):format(path), function()
        local found, why = one:find("GET", path)
        assert.is_nil(found)
        assert.equal("path", why)
      end)
    end

    it("tells which methods there are", function()
      local found, why, allow = one:find("PUT", "/zones/abc")
      assert.is_nil(found)
      assert.equal("method", why)
      assert.equal("DELETE, GET", allow)
    end)
  end)
end)
