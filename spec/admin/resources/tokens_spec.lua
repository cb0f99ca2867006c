local support = require "spec.support.admin"

describe("moongate.admin.resources.tokens", function()
  local gate, account_path

  setup(function()
    gate = assert(support.start())
    account_path = "/accounts/" .. gate.account_id .. "/tokens/verify"
  end)
  teardown(function() gate:close() end)

  local function verify(options) return gate:call("GET", "/user/tokens/verify", nil, options) end

  it("verifies a user's token, with the documented message", function()
    local answer = verify()
    assert.equal(200, answer.status)
    assert.equal("active", answer.body.result.status)
    assert.truthy(answer.body.result.id:find("^%x+$"))
    assert.is_nil(answer.body.result.expires_on)
    assert.equal(10000, answer.body.messages[1].code)
    assert.equal("This API Token is valid and active", answer.body.messages[1].message)
    assert.truthy(answer.raw:find('"type":null', 1, true))
  end)

  it("shows when it expires", function()
    local token = gate:token { expires_on = "2030-01-01T00:00:00Z" }
    assert.equal("2030-01-01T00:00:00Z", verify({ token = token }).body.result.expires_on)
  end)

  it("verifies an account's token at the account's path", function()
    local token = gate:token { account_id = gate.account_id }
    assert.equal(200, gate:call("GET", account_path, nil, { token = token }).status)
  end)

  for title, case in pairs {
    ["an account's token at the user's path"] = function() return verify { token = gate:token { account_id = gate.account_id } } end,
    ["a user's token at the account's path"] = function() return gate:call("GET", account_path) end,
    ["an unknown token"] = function() return verify { token = ("x"):rep(40) } end,
    ["a disabled token"] = function() return verify { token = gate:token { status = "disabled" } } end,
    ["an expired token"] = function() return verify { token = gate:token { expires_on = "2020-01-01T00:00:00Z" } } end,
  } do
    it("answers 401 with 1000 to " .. title, function()
      local answer = case()
      assert.equal(401, answer.status)
      assert.equal(1000, answer.body.errors[1].code)
      assert.equal("Invalid API Token", answer.body.errors[1].message)
    end)
  end

  it("answers 401 with 1001 without a token at the account's path", function()
    local answer = gate:call("GET", account_path, nil, { token = false })
    assert.equal(401, answer.status)
    assert.equal(1001, answer.body.errors[1].code)
  end)

  it("answers 400 with 6003 and 6111 to another scheme", function()
    local answer = verify { token = false, headers = { Authorization = "Basic eDp5" } }
    assert.equal(400, answer.status)
    assert.equal(6003, answer.body.errors[1].code)
    assert.equal(6111, answer.body.errors[1].error_chain[1].code)
    assert.equal("Invalid format for Authorization header", answer.body.errors[1].error_chain[1].message)
  end)
end)
