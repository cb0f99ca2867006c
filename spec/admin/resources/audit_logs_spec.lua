local support = require "spec.support.admin"

describe("moongate.admin.resources.audit_logs", function()
  local gate, path, zone, foreign

  setup(function()
    gate = assert(support.start())
    path = "/accounts/" .. gate.account_id .. "/audit_logs"
    zone = gate:zone "heron.test" -- 02:40:00
    gate.control.clock = gate.control.clock + 60
    gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" },
      { address = "192.0.2.7" }) -- 02:41:00
    gate.control.clock = gate.control.clock + 60
    gate:call("DELETE", "/zones/" .. zone.id, nil, { token = gate:token { "Zone Read" } }) -- 02:42:00
    gate:call("PATCH", "/user", { first_name = "Ada" })
    foreign = gate:account "other"
    gate:call("POST", "/zones", { name = "stork.test", account = { id = foreign } })
  end)
  teardown(function() gate:close() end)

  local function get(query, at) return gate:call("GET", (at or path) .. query) end

  local function verbs(query)
    local list = {}
    for index, entry in ipairs(get(query).body.result) do list[index] = entry.action.type end
    return table.concat(list, " ")
  end

  it("shows what happened in the account, the newest first, in the documented form", function()
    local answer = get ""
    assert.equal(200, answer.status)
    assert.same({ page = 1, per_page = 100, count = 3, total_count = 3, total_pages = 1 }, answer.body.result_info)
    local entry, user = answer.body.result[2], gate:call("GET", "/user").body.result
    assert.truthy(entry.id:find("^%x+%-%x+%-4%x+%-%x+%-%x+$") and #entry.id == 36)
    assert.same({ type = "update", result = true }, entry.action)
    assert.same({ id = user.id, email = "admin@localhost", ip = "192.0.2.7", type = "user" }, entry.actor)
    assert.same({ id = user.id }, entry.owner)
    assert.same({ type = "origins", id = "*" }, entry.resource)
    assert.equal("API", entry.interface)
    assert.equal("2026-02-02T02:41:00.250000Z", entry.when)
    assert.equal("", entry.newValue)
    assert.equal("", entry.oldValue)
    assert.equal(zone.id, entry.metadata.zone_id)
    assert.equal("heron.test", entry.metadata.zone_name)
    assert.equal("0123456789abcdef", entry.metadata.ray)
    assert.equal("spec", entry.metadata.token_name)
    assert.equal("number", type(entry.metadata.generation))
  end)

  it("shows what was refused", function()
    local entry = get("").body.result[1]
    assert.same({ type = "delete", result = false }, entry.action)
    assert.equal(10000, entry.metadata.code)
  end)

  for _, case in ipairs {
    { "", "delete update create" },
    { "?direction=desc", "delete update create" },
    { "?direction=asc", "create update delete" },
    { "?action.type=update", "update" },
    { "?action.type=roll", "" },
    { "?actor.ip=192.0.2.7", "update" },
    { "?actor.ip=192.0.2.8", "" },
    { "?actor.email=admin@localhost", "delete update create" },
    { "?actor.email=other@localhost", "" },
    { "?zone.name=heron.test", "delete update create" },
    { "?zone.name=stork.test", "" },
    { "?since=2026-02-02T02:41:00Z", "delete update" },
    { "?since=2026-02-02T02:41:00.3Z", "delete" },
    { "?before=2026-02-02T02:41:00Z", "create" },
    { "?since=2026-02-02T02:40:30Z&before=2026-02-02T02:41:30Z", "update" },
    { "?since=2026-02-02", "delete update create" },
    { "?before=2026-02-02", "" },
    { "?since=2026-02-02T03:41:00%2B01:00", "delete update" },
    { "?per_page=1&page=2", "update" },
    { "?per_page=2&page=3", "" },
    { "?hide_user_logs=true&export=false", "delete update create" },
  } do
    it(("finds %q for %q"):format(case[2], case[1]), function() assert.equal(case[2], verbs(case[1])) end)
  end

  it("finds one entry by its id, in its own account only", function()
    local entry = get("").body.result[2]
    assert.same({ entry }, { unpack(get("?id=" .. entry.id).body.result) })
    assert.equal(0, get("?id=" .. entry.id, "/accounts/" .. foreign .. "/audit_logs").body.result_info.total_count)
  end)

  for _, query in ipairs { "since=yesterday", "before=x", "direction=up", "page=0", "per_page=x" } do
    it("refuses " .. query, function()
      local answer = get("?" .. query)
      assert.equal(400, answer.status)
      assert.equal(10002, answer.body.errors[1].code)
    end)
  end

  it("keeps accounts apart", function()
    local entries = get("", "/accounts/" .. foreign .. "/audit_logs").body.result
    assert.equal(2, #entries)
    assert.equal("stork.test", entries[1].metadata.zone_name)
    assert.same({ type = "accounts", id = foreign }, entries[2].resource)
    local token = gate:token { account_id = foreign }
    assert.equal(403, gate:call("GET", path, nil, { token = token }).status)
  end)

  it("shows what belongs to no account at the user's path", function()
    local seen = {}
    for _, entry in ipairs(get("", "/user/audit_logs").body.result) do
      seen[entry.interface .. " " .. entry.action.type .. " " .. entry.resource.type] = entry
    end
    assert.truthy(seen["API update user"])
    local made = seen["CLI create tokens"]
    assert.equal("admin", made.actor.type)
    assert.is_nil(seen["API create zones"])
  end)
end)
