local support = require "spec.support.admin"

describe("moongate.admin.resources.permission_groups", function()
  local permissions = require "moongate.admin.permissions"
  local gate, at_account

  setup(function()
    gate = assert(support.start())
    at_account = "/accounts/" .. gate.account_id .. "/tokens/permission_groups"
  end)
  teardown(function() gate:close() end)

  local AT_USER = "/user/tokens/permission_groups"

  it("lists all groups in one answer, in the documented form", function()
    local answer = gate:call("GET", AT_USER)
    assert.equal(200, answer.status)
    assert.equal(#permissions.list, #answer.body.result)
    assert.equal(#permissions.list, answer.body.result_info.total_count)
    local by_id = {}
    for _, group in ipairs(answer.body.result) do by_id[group.id] = group end
    assert.same({ id = "c03055bc037c4ea9afb9a9f104b7b721", name = "SSL and Certificates Write",
      scopes = { "com.cloudflare.api.account.zone" }, is_selectable = true }, by_id["c03055bc037c4ea9afb9a9f104b7b721"])
    assert.same({ "com.cloudflare.api.account" }, by_id["db37e5f1cb1a4e1aabaef8deaea43575"].scopes)
    assert.same({ "com.cloudflare.api.user" }, by_id["8acbe5bb0d54464ab867149d7f7cf8ac"].scopes)
  end)

  it("leaves out what concerns users at the account's path", function()
    local groups = gate:call("GET", at_account).body.result
    assert.equal(#permissions.list - 6, #groups)
    for _, group in ipairs(groups) do assert.not_equal("com.cloudflare.api.user", group.scopes[1]) end
  end)

  for _, case in ipairs {
    { "name=Zone%20WAF%20Write", 1 },
    { "name=Account+Settings+Read", 1 },
    { "name=Zone", 0 },
    { "scope=com.cloudflare.api.user", 6 },
    { "scope=com.cloudflare.api.account.zone&name=Zone%20Read", 1 },
    { "scope=com.cloudflare.api.account&name=Zone%20Read", 0 },
    { "scope=nothing", 0 },
    { "per_page=3&page=2", 3 },
  } do
    it(("finds %d for %s"):format(case[2], case[1]), function()
      assert.equal(case[2], #gate:call("GET", AT_USER .. "?" .. case[1]).body.result)
    end)
  end

  it("answers an empty list when nothing fits", function()
    assert.truthy(gate:call("GET", AT_USER .. "?name=x").raw:find('"result":[]', 1, true))
  end)
end)
