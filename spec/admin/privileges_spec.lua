-- Least privilege, for every route there is: a table over the declarations, so that a new route cannot be forgotten.

local support = require "spec.support.admin"

describe("moongate.admin privileges of every route", function()
  local admin = require "moongate.admin"
  local permissions = require "moongate.admin.permissions"
  local policy = require "moongate.admin.policy"

  local gate, mine, foreign -- each { account_id, zone_id }
  local user_id

  setup(function()
    gate = assert(support.start())
    mine = { account_id = gate.account_id, zone_id = gate:zone("heron.test").id }
    foreign = { account_id = gate:account "other" }
    foreign.zone_id = gate:call("POST", "/zones", { name = "stork.test", account = { id = foreign.account_id } })
      .body.result.id
    user_id = gate:call("GET", "/user").body.result.id
  end)
  teardown(function() gate:close() end)

  -- Ids of objects that do not exist: whoever is let through is told so, and nothing is changed.
  local OTHER_PARAMETERS = { phase = "http_request_firewall_custom", hostname = "a.heron.test" }

  local function path_of(route, place)
    return (route.path:gsub("{(.-)}", function(name)
      return place[name] or OTHER_PARAMETERS[name] or "00000000-0000-4000-8000-000000000000"
    end))
  end

  -- A body that no route reads, so that a route which lets the token in changes nothing.
  local function call(route, place, token)
    return gate:call(route.method, path_of(route, place), "not json", { token = token })
  end

  local function is_refused(answer)
    local first = answer.body and answer.body.errors[1]
    return answer.status == 403 and (first.code == 10000 or first.code == 9109)
  end

  local function names_a_place(route)
    return route.path:find("{account_id}", 1, true) or route.path:find("{zone_id}", 1, true)
  end

  -- Deletes without a body go through: they are asked about with a token only where nothing can be hit.
  local function is_harmless(route)
    return route.fields or route.method == "GET" or route.path:find("}/.+{") ~= nil
  end

  -- One policy with these groups on the narrowest resource of a place.
  local function policy_on(place, effect, ids)
    local groups, resources = {}, {}
    for _, id in ipairs(ids) do
      local scope = permissions.by_id[id].scope
      groups[#groups + 1] = { id = id }
      if scope == "zone" then resources[policy.key("account", place.account_id)] = { [policy.key "zone"] = "*" } end
      if scope == "account" then resources[policy.key("account", place.account_id)] = "*" end
      if scope == "user" then resources[policy.key("user", user_id)] = "*" end
    end
    return { effect = effect, permission_groups = groups, resources = resources }
  end

  local function ids_of(set)
    local ids = {}
    for id in pairs(set) do ids[#ids + 1] = id end
    table.sort(ids)
    return ids
  end

  for _, route in ipairs(admin.routes()) do
    local title, need = route.method .. " " .. route.path, route.permission
    local is_list_of_zones = title == "GET /zones"

    if not is_list_of_zones then
      it(("need a credential: %s"):format(title), function()
        local answer = gate:call(route.method, path_of(route, mine), "not json", { token = false })
        assert.equal(route.verifies == "account" and 401 or 400, answer.status)
        assert.equal(route.verifies == "account" and 1001 or 9106, answer.body.errors[1].code)
      end)
    end

    if need.level == "unrestricted" then
      it(("are for credentials without limits: %s"):format(title), function()
        assert.is_true(is_refused(call(route, mine, gate:token { policies = policy.everywhere(permissions.list) })))
        assert.is_true(is_refused(call(route, mine, gate:token { account_id = mine.account_id })))
        assert.is_false(is_refused(call(route, mine)))
      end)
    elseif need.level ~= "any" and not is_list_of_zones then
      it(("are refused to every other group: %s"):format(title), function()
        local others = {}
        for _, group in ipairs(permissions.list) do
          if not need.allow[group.id] then others[#others + 1] = group end
        end
        assert.is_true(is_refused(call(route, mine, gate:token { policies = policy.everywhere(others) })))
      end)

      for _, id in ipairs(ids_of(need.allow)) do
        local name = permissions.by_id[id].name

        if is_harmless(route) then
          it(("are given by %s: %s"):format(name, title), function()
            local token = gate:token { policies = { policy_on(mine, "allow", { id }) } }
            assert.is_false(is_refused(call(route, mine, token)))
          end)
        end

        if names_a_place(route) then
          it(("of another account are not given by %s: %s"):format(name, title), function()
            local token = gate:token { policies = { policy_on(mine, "allow", { id }) } }
            assert.is_true(is_refused(call(route, foreign, token)))
          end)

          it(("of another account are not given by an account's own %s everywhere: %s"):format(name, title), function()
            local token = gate:token { account_id = mine.account_id,
              policies = policy.everywhere { permissions.by_id[id] } }
            assert.is_true(is_refused(call(route, foreign, token)))
          end)
        end
      end

      -- What names no place (a zone that is still to be made) is denied where its body says; see below.
      for _, id in ipairs((names_a_place(route) or need.level == "user") and ids_of(need.deny) or {}) do
        it(("are taken away by a denied %s: %s"):format(permissions.by_id[id].name, title), function()
          local policies = policy.everywhere(permissions.list)
          policies[#policies + 1] = policy_on(mine, "deny", { id })
          assert.is_true(is_refused(call(route, mine, gate:token { policies = policies })))
        end)
      end

      it(("say that Write includes Read: %s"):format(title), function()
        for id in pairs(need.allow) do
          local name = permissions.by_id[id].name
          local write = name:match("^(.*) Read$") and permissions.by_name[name:gsub("Read$", "Write")]
          if write then assert.is_true(need.allow[write.id]) end
          if route.method ~= "GET" then assert.is_nil(name:find(" Read$")) end
        end
      end)
    end
  end

  it("leave everything as it was", function()
    assert.equal(2, gate:call("GET", "/zones").body.result_info.total_count)
    assert.equal(2, gate:call("GET", "/accounts").body.result_info.total_count)
  end)

  it("hide the zones of others in the list", function()
    local zone_read = permissions.by_name["Zone Read"].id
    local answer = gate:call("GET", "/zones", nil, { token = gate:token { policies = {
      policy_on(mine, "allow", { zone_read }) } } })
    assert.equal(1, answer.body.result_info.total_count)
    assert.equal("heron.test", answer.body.result[1].name)
  end)

  it("hide what is denied in the list", function()
    local zone_read = permissions.by_name["Zone Read"].id
    local answer = gate:call("GET", "/zones", nil, { token = gate:token { policies = {
      policy.everywhere { permissions.by_name["Zone Read"] }[1], policy_on(foreign, "deny", { zone_read }) } } })
    assert.equal(1, answer.body.result_info.total_count)
    assert.equal("heron.test", answer.body.result[1].name)
  end)

  it("refuse a new zone in an account that is not the token's", function()
    local token = gate:token { account_id = mine.account_id }
    local body = { name = "x.test", account = { id = foreign.account_id } }
    local answer = gate:call("POST", "/zones", body, { token = token })
    assert.equal(403, answer.status)
    assert.equal(10000, answer.body.errors[1].code)
  end)

  it("refuse a new zone in an account where that is denied", function()
    local policies = policy.everywhere(permissions.list)
    policies[#policies + 1] = policy_on(mine, "deny", { permissions.by_name["Zone Write"].id })
    local token = gate:token { policies = policies }
    local body = { name = "x.test", account = { id = mine.account_id } }
    local answer = gate:call("POST", "/zones", body, { token = token })
    assert.equal(403, answer.status)
    assert.equal(10000, answer.body.errors[1].code)
  end)
end)
