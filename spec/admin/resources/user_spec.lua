local support = require "spec.support.admin"

describe("moongate.admin.resources.user", function()
  local json = require "moongate.json"
  local gate

  before_each(function() gate = assert(support.start()) end)
  after_each(function() if gate then gate:close() end end)

  local function code(answer) return answer.body.errors[1] and answer.body.errors[1].code end

  it("is there on first start, in the documented form", function()
    local answer = gate:call("GET", "/user")
    assert.equal(200, answer.status)
    local user = answer.body.result
    assert.truthy(user.id:find("^%x+$") and #user.id == 32)
    assert.equal("admin@localhost", user.email)
    for _, name in ipairs { "first_name", "last_name", "telephone", "country", "zipcode" } do
      assert.equal(json.null, user[name])
    end
    for _, name in ipairs { "suspended", "two_factor_authentication_enabled", "two_factor_authentication_locked",
      "has_pro_zones", "has_business_zones", "has_enterprise_zones" } do
      assert.is_false(user[name])
    end
    assert.truthy(answer.raw:find('"organizations":[]', 1, true))
    assert.truthy(answer.raw:find('"betas":[]', 1, true))
    gate:zone "heron.test"
    assert.is_true(gate:call("GET", "/user").body.result.has_enterprise_zones)
  end)

  it("has the e-mail of the configuration, also when that changes later, and stays the same user", function()
    local before = gate:call("GET", "/user").body.result
    gate.app:stop()
    local again = assert(support.start { directory = gate.directory, control = gate.control,
      config = { admin = { email = "Ada@Heron.test" } } })
    local user = again:call("GET", "/user").body.result
    assert.equal("ada@heron.test", user.email)
    assert.equal(before.id, user.id)
    again.app:stop()
    again = assert(support.start { directory = gate.directory, control = gate.control })
    assert.equal("ada@heron.test", again:call("GET", "/user").body.result.email)
    again.app:stop()
  end)

  it("changes names and address, and nothing else", function()
    local before = gate:call("GET", "/user").body.result
    local answer = gate:call("PATCH", "/user", { first_name = "Ada", country = "NL", email = "x@y.test", id = "x" })
    assert.equal(200, answer.status)
    assert.equal("Ada", answer.body.result.first_name)
    assert.equal("NL", answer.body.result.country)
    assert.equal(json.null, answer.body.result.last_name)
    assert.equal(before.email, answer.body.result.email)
    assert.equal(before.id, answer.body.result.id)
    gate:call("PATCH", "/user", { last_name = "L" })
    local user = gate:call("GET", "/user").body.result
    assert.equal("Ada", user.first_name)
    assert.equal("L", user.last_name)
  end)

  it("takes a note away with null", function()
    gate:call("PATCH", "/user", { first_name = "Ada", last_name = "L" })
    local user = gate:call("PATCH", "/user", '{"first_name":null}').body.result
    assert.equal(json.null, user.first_name)
    assert.equal("L", user.last_name)
  end)

  for _, case in ipairs {
    { "first_name", ("x"):rep(61) }, { "last_name", 7 }, { "telephone", ("1"):rep(21) }, { "country", ("x"):rep(31) },
    { "zipcode", ("1"):rep(21) },
  } do
    it(("refuses a %s that does not fit"):format(case[1]), function()
      local answer = gate:call("PATCH", "/user", { [case[1]] = case[2] })
      assert.equal(400, answer.status)
      assert.equal("/" .. case[1], answer.body.errors[1].source.pointer)
    end)
  end

  it("is shown with its own permission only, else 403 with 9109", function()
    local id = gate:call("GET", "/user").body.result.id
    local function with(key)
      return { token = gate:token { policies = { { effect = "allow",
        permission_groups = { { id = "8acbe5bb0d54464ab867149d7f7cf8ac" } }, resources = { [key] = "*" } } } } }
    end
    assert.equal(200, gate:call("GET", "/user", nil, with("com.cloudflare.api.user." .. id)).status)
    for _, options in ipairs {
      with("com.cloudflare.api.user." .. ("0"):rep(32)), with "com.cloudflare.api.account.*",
      { token = gate:token { "Zone Read" } }, { token = gate:token { account_id = gate.account_id } },
    } do
      local answer = gate:call("GET", "/user", nil, options)
      assert.equal(403, answer.status)
      assert.equal(9109, code(answer))
    end
    local reader = with("com.cloudflare.api.user." .. id)
    assert.equal(9109, code(gate:call("PATCH", "/user", { first_name = "x" }, reader)))
  end)
end)
