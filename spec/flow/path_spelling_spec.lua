-- One spelling of a path for rules, log and origin: a rule on a path is not walked around by writing the path in another way.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("a path", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:set_rules { 'http.request.uri.path eq "/admin"', 'raw.http.request.uri.path contains "secret%2Fraw"' }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  local function get(path)
    local session = gate:connect { host = "www.example.com" }
    local answer = session:get(path, { host = "www.example.com" })
    session:close()
    return answer
  end

  for _, path in ipairs { "/admin", "/%61dmin", "/%61%64%6d%69%6e", "/x/../admin", "/./admin", "/x/%2e%2E/admin", "/admin?x=1", "/../admin" } do
    it("is blocked when it is spelled " .. path, function()
      assert.equal(403, get(path).status)
    end)
  end

  for _, case in ipairs {
    { "/open", "/open" },
    { "/%6fpen?q=%61", "/open?q=%61" },
    { "/a%2fb", "/a%2Fb" },
    { "/%%361dmin", "/%2561dmin" },
    { "/a//b/./c", "/a//b/c" },
  } do
    it(("reaches the origin as %s when it is spelled %s"):format(case[2], case[1]), function()
      assert.equal(200, get(case[1]).status)
      assert.equal(1, #behind:requests(case[2]))
      assert.truthy(gate:wait_log { path = case[2]:match("^[^?]*") })
    end)
  end

  it("is seen as it came by the raw fields", function()
    assert.equal(403, get("/secret%2Fraw").status)
    assert.equal(200, get("/secret%2fraw").status)
  end)
end)
