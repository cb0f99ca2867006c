local support = require "spec.support.admin"

describe("moongate.admin.token", function()
  local json = require "moongate.json"
  local permissions = require "moongate.admin.permissions"
  local gate, zone, foreign, foreign_zone, user_id

  setup(function()
    gate = assert(support.start())
    zone = gate:zone("heron.test").id
    foreign = gate:account "other"
    foreign_zone = gate:call("POST", "/zones", { name = "stork.test", account = { id = foreign } }).body.result.id
    user_id = gate:call("GET", "/user").body.result.id
  end)
  teardown(function() gate:close() end)

  local ZONE_READ = permissions.by_name["Zone Read"].id
  local USER_READ = permissions.by_name["User Details Read"].id
  local NOWHERE = ("0"):rep(32)

  -- %m, %f: the accounts; %z, %y: their zones; %u: the user; %n: nothing's id
  local function filled(text)
    local ids = { m = gate.account_id, f = foreign, z = zone, y = foreign_zone, u = user_id, n = NOWHERE }
    return (text:gsub("%%(%a)", ids)
      :gsub("ACCOUNT", "com.cloudflare.api.account"):gsub("ZONE", "com.cloudflare.api.account.zone")
      :gsub("USER", "com.cloudflare.api.user"):gsub("GROUP", ZONE_READ))
  end

  local function ask(text, path)
    local answer = gate:call("POST", path or "/user/tokens", filled(text))
    if answer.status == 200 then gate:call("DELETE", (path or "/user/tokens") .. "/" .. answer.body.result.id) end
    return answer
  end

  local function at_account(text) return ask(text, "/accounts/" .. gate.account_id .. "/tokens") end

  local function with_resources(resources)
    return '{"name":"t","policies":[{"effect":"allow","permission_groups":[{"id":"GROUP"}],"resources":' .. resources
      .. "}]}"
  end

  describe("resources of a user's token", function()
    for _, resources in ipairs {
      '{"ACCOUNT.%m":"*"}', '{"ACCOUNT.*":"*"}', '{"ACCOUNT.%m":{"ZONE.*":"*"}}', '{"ACCOUNT.*":{"ZONE.*":"*"}}',
      '{"ACCOUNT.%m":{"ZONE.%z":"*"}}', '{"ZONE.%z":"*"}', '{"ZONE.*":"*"}', '{"USER.%u":"*"}', '{"USER.*":"*"}',
      '{"ACCOUNT.%m":"*","ACCOUNT.%f":{"ZONE.%y":"*"},"ZONE.%z":"*"}',
    } do
      it("may be " .. resources .. ", and come back as they came", function()
        local answer = ask(with_resources(resources))
        assert.equal(200, answer.status, answer.raw)
        assert.same(json.decode(filled(resources)), answer.body.result.policies[1].resources)
      end)
    end
  end)

  describe("resources of an account's token", function()
    for _, resources in ipairs {
      '{"ACCOUNT.%m":"*"}', '{"ACCOUNT.%m":{"ZONE.*":"*"}}', '{"ACCOUNT.%m":{"ZONE.%z":"*"}}', '{"ZONE.%z":"*"}',
      '{"ZONE.*":"*"}',
    } do
      it("may be " .. resources, function()
        local answer = at_account(with_resources(resources))
        assert.equal(200, answer.status, answer.raw)
      end)
    end
  end)

  describe("resources that the owner does not have", function()
    for _, case in ipairs {
      { "user", '{"ACCOUNT.%n":"*"}', "/ACCOUNT.%n" },
      { "user", '{"ZONE.%n":"*"}', "/ZONE.%n" },
      { "user", '{"USER.%n":"*"}', "/USER.%n" },
      { "user", '{"ACCOUNT.%m":{"ZONE.%y":"*"}}', "/ACCOUNT.%m/ZONE.%y" },
      { "account", '{"ACCOUNT.%f":"*"}', "/ACCOUNT.%f" },
      { "account", '{"ACCOUNT.%n":"*"}', "/ACCOUNT.%n" },
      { "account", '{"ACCOUNT.*":"*"}', "/ACCOUNT.*" },
      { "account", '{"ACCOUNT.%f":{"ZONE.*":"*"}}', "/ACCOUNT.%f" },
      { "account", '{"ACCOUNT.%m":{"ZONE.%y":"*"}}', "/ACCOUNT.%m/ZONE.%y" },
      { "account", '{"ZONE.%y":"*"}', "/ZONE.%y" },
      { "account", '{"ZONE.%z":"*","ZONE.%y":"*"}', "/ZONE.%y" },
      { "account", '{"USER.%u":"*"}', "/USER.%u" },
      { "account", '{"USER.*":"*"}', "/USER.*" },
    } do
      it(("are refused with 9109: of a token of the %s, %s"):format(case[1], case[2]), function()
        local answer = (case[1] == "user" and ask or at_account)(with_resources(case[2]))
        assert.equal(403, answer.status)
        assert.equal(9109, answer.body.errors[1].code)
        assert.equal(filled("/policies/0/resources" .. case[3]), answer.body.errors[1].source.pointer)
      end)
    end
  end)

  describe("a body", function()
    local POLICY = '{"effect":"allow","permission_groups":[{"id":"GROUP"}],"resources":{"ZONE.*":"*"}}'
    local function around(text) return '{"name":"t","policies":[' .. POLICY .. "]," .. text .. "}" end
    local function with_policy(text) return '{"name":"t","policies":[' .. text .. "]}" end
    local function with_groups(text)
      return with_policy('{"effect":"allow","permission_groups":' .. text .. ',"resources":{"ZONE.*":"*"}}')
    end

    for _, case in ipairs {
      { "that is no JSON", "{", 1198 },
      { "that is empty", "", 1198 },
      { "without a name", '{"policies":[' .. POLICY .. "]}", 400, "/name" },
      { "with an empty name", '{"name":"","policies":[' .. POLICY .. "]}", 400, "/name" },
      { "with a long name", '{"name":"' .. ("x"):rep(121) .. '","policies":[' .. POLICY .. "]}", 400, "/name" },
      { "without policies", '{"name":"t"}', 10002, "/policies" },
      { "with an empty list of policies", '{"name":"t","policies":[]}', 10002, "/policies" },
      { "with a policy that is a text", with_policy '"x"', 10002, "/policies" },
      { "with too many policies", with_policy((POLICY .. ","):rep(64) .. POLICY), 10002, "/policies" },
      { "without an effect", with_policy '{"permission_groups":[{"id":"GROUP"}],"resources":{"ZONE.*":"*"}}', 10002,
        "/policies/0/effect" },
      { "with an unknown effect", with_policy(POLICY .. ',{"effect":"permit"}'), 10002, "/policies/1/effect" },
      { "without groups", with_policy '{"effect":"allow","resources":{"ZONE.*":"*"}}', 10002,
        "/policies/0/permission_groups" },
      { "with an empty list of groups", with_groups "[]", 10002, "/policies/0/permission_groups" },
      { "with a group that is a text", with_groups '["GROUP"]', 10002, "/policies/0/permission_groups/0/id" },
      { "with an unknown group", with_groups('[{"id":"GROUP"},{"id":"' .. NOWHERE .. '"}]'), 1001,
        "/policies/0/permission_groups/1/id" },
      { "with a group's name for its id", with_groups '[{"id":"Zone Read"}]', 1001,
        "/policies/0/permission_groups/0/id" },
      { "with a meta that is a text", with_groups '[{"id":"GROUP","meta":"x"}]', 10002,
        "/policies/0/permission_groups/0/meta" },
      { "with a meta that is no text inside", with_groups '[{"id":"GROUP","meta":{"key":{}}}]', 10002,
        "/policies/0/permission_groups/0/meta" },
      { "without resources", with_policy '{"effect":"allow","permission_groups":[{"id":"GROUP"}]}', 10002,
        "/policies/0/resources" },
      { "with no resource", with_resources "{}", 10002, "/policies/0/resources" },
      { "with a list of resources", with_resources '["ZONE.*"]', 10002, "/policies/0/resources" },
      { "with an unknown kind of resource", with_resources '{"com.cloudflare.edge.bucket/x":"*"}', 10002,
        "/policies/0/resources/com.cloudflare.edge.bucket~1x" },
      { "with a zone's name for its id", with_resources '{"ZONE.heron.test":"*"}', 10002,
        "/policies/0/resources/ZONE.heron.test" },
      { "with another value than a star", with_resources '{"ZONE.*":"read"}', 10002, "/policies/0/resources/ZONE.*" },
      { "with something inside a zone", with_resources '{"ZONE.*":{"ZONE.*":"*"}}', 10002,
        "/policies/0/resources/ZONE.*" },
      { "with an account inside an account", with_resources '{"ACCOUNT.%m":{"ACCOUNT.%m":"*"}}', 10002,
        "/policies/0/resources/ACCOUNT.%m/ACCOUNT.%m" },
      { "with nothing inside an account", with_resources '{"ACCOUNT.%m":{}}', 10002,
        "/policies/0/resources/ACCOUNT.%m" },
      { "with a time that is none", around '"expires_on":"tomorrow"', 10002, "/expires_on" },
      { "with a day that is none", around '"not_before":"2027-02-29T00:00:00Z"', 10002, "/not_before" },
      { "that ends before it begins",
        around '"not_before":"2028-01-01T00:00:00Z","expires_on":"2027-01-01T00:00:00Z"', 10002, "/expires_on" },
      { "with an unknown status", around '"status":"sleeping"', 10002, "/status" },
      { "with a condition that is a text", around '"condition":"x"', 10002, "/condition" },
      { "with an unknown condition", around '"condition":{"request.country":{}}', 10002, "/condition" },
      { "with a block that is none", around '"condition":{"request_ip":{"in":["10.0.0.0/33"]}}', 10002,
        "/condition/request_ip/in/0" },
    } do
      it(("%s is refused with %d"):format(case[1], case[3]), function()
        local answer = ask(case[2])
        assert.equal(400, answer.status, answer.raw)
        assert.equal(case[3], answer.body.errors[1].code)
        assert.equal(case[4] and filled(case[4]), answer.body.errors[1].source and answer.body.errors[1].source.pointer)
      end)
    end

    it("with a group of users is refused for an account", function()
      local text = with_groups('[{"id":"' .. USER_READ .. '"}]')
      assert.equal(200, ask(text).status)
      local answer = at_account(text)
      assert.equal(400, answer.status)
      assert.equal(1001, answer.body.errors[1].code)
      assert.equal("Permission group " .. USER_READ .. " not found", answer.body.errors[1].message)
    end)

    it("shows a strange id of a group without its strange characters", function()
      local answer = ask(with_groups '[{"id":"<b>\\u001b[31m"}]')
      assert.equal("Permission group ?b???31m not found", answer.body.errors[1].message)
    end)

    it("may say more than is understood", function()
      assert.equal(200, ask(around '"issued_on":"x","colour":"blue","condition":null,"not_before":""').status)
    end)

    it("has its groups' meta kept, and their names looked up", function()
      local group = ask(with_groups '[{"id":"GROUP","meta":{"key":"k","value":"v"},"name":"Everything"}]')
        .body.result.policies[1].permission_groups[1]
      assert.same({ key = "k", value = "v" }, group.meta)
      assert.equal("Zone Read", group.name)
    end)

    it("may write times with a zone and a fraction; they are shown in seconds", function()
      local made = ask(around '"expires_on":"2027-01-01T01:30:00.75+01:30"').body.result
      assert.equal("2027-01-01T00:00:00Z", made.expires_on)
    end)
  end)
end)
