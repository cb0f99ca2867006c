local support = require "spec.support.admin"
local json = require "moongate.json"

local PHASE = "http_request_firewall_custom"

describe("moongate.admin.resources.list_items", function()
  local gate, base, items

  local function make(name, kind)
    local list = gate:call("POST", base, { name = name, kind = kind }).body.result
    return base .. "/" .. list.id, list.id
  end

  before_each(function()
    gate = assert(support.start())
    base = "/accounts/" .. gate.account_id .. "/rules/lists"
    items = make("office", "ip") .. "/items"
  end)
  after_each(function() gate:close() end)

  local function first(answer) return answer.body.errors[1] end
  local function send(method, list, path) return gate:call(method, path or items, json.array(list)) end
  local function all(query, path) return gate:call("GET", (path or items) .. (query or "")) end
  local function values(answer, kind)
    local list = {}
    for index, item in ipairs(answer.body.result) do list[index] = item[kind or "ip"] end
    return list
  end

  it("are added, shown in order and read one by one", function()
    local answer = send("POST", { { ip = "192.0.2.0/24", comment = "HQ" }, { ip = "10.0.0.1" }, { ip = "2001:DB8::/32" } })
    assert.equal(200, answer.status)
    assert.same({ "10.0.0.1", "192.0.2.0/24", "2001:db8::/32" }, values(all()))
    local item = all().body.result[2]
    assert.same({ id = item.id, ip = "192.0.2.0/24", comment = "HQ", created_on = "2026-02-02T02:40:00Z",
      modified_on = "2026-02-02T02:40:00Z" }, item)
    assert.same(item, gate:call("GET", items .. "/" .. item.id).body.result)
    assert.equal(404, gate:call("GET", items .. "/" .. ("0"):rep(32)).status)
    assert.equal(3, gate:call("GET", (items:gsub("/items", ""))).body.result.num_items)
  end)

  it("are done when their operation is asked about", function()
    local id = send("POST", { { ip = "10.0.0.1" } }).body.result.operation_id
    assert.equal(32, #id)
    local answer = gate:call("GET", base .. "/bulk_operations/" .. id)
    assert.same({ id = id, status = "completed", completed = "2026-02-02T02:40:00Z" }, answer.body.result)
    assert.equal(404, gate:call("GET", base .. "/bulk_operations/" .. ("0"):rep(32)).status)
    local foreign = gate:account "other"
    assert.equal(404, gate:call("GET", ("/accounts/%s/rules/lists/bulk_operations/%s"):format(foreign, id)).status)
  end)

  it("keep their id when they are sent again, with the comment of the last time", function()
    send("POST", { { ip = "10.0.0.1", comment = "a" }, { ip = "10.0.0.2" } })
    local before = all().body.result
    gate.control.clock = gate.control.clock + 60
    send("POST", { { ip = "10.0.0.1/32", comment = "b" }, { ip = "10.0.0.2" } })
    local after = all().body.result
    assert.same({ before[1].id, "b", before[1].created_on, "2026-02-02T02:41:00Z" },
      { after[1].id, after[1].comment, after[1].created_on, after[1].modified_on })
    assert.same(before[2], after[2])
    send("POST", { { ip = "10.0.0.1" } })
    assert.is_nil(all().body.result[1].comment)
  end)

  it("count once when they stand twice in a body; the last one wins", function()
    for _, method in ipairs { "POST", "PUT" } do
      send(method, { { ip = "10.0.0.9", comment = "a" }, { ip = "10.0.0.9/32", comment = "b" } })
      assert.equal(1, #all().body.result)
      assert.equal("b", all().body.result[1].comment)
    end
  end)

  it("are replaced as a whole by PUT, emptied by an empty one", function()
    send("POST", { { ip = "10.0.0.1" }, { ip = "10.0.0.2" } })
    local kept = all().body.result[2].id
    assert.equal(200, send("PUT", { { ip = "10.0.0.2" }, { ip = "10.0.0.3" } }).status)
    assert.same({ "10.0.0.2", "10.0.0.3" }, values(all()))
    assert.equal(kept, all().body.result[1].id)
    assert.equal(200, send("PUT", {}).status)
    assert.truthy(all().raw:find('"result":[]', 1, true))
  end)

  it("are deleted by id; those that are gone do not matter", function()
    send("POST", { { ip = "10.0.0.1" }, { ip = "10.0.0.2" } })
    local id = all().body.result[1].id
    for _ = 1, 2 do
      local answer = gate:call("DELETE", items, { items = { { id = id }, { id = ("0"):rep(32) } } })
      assert.equal(200, answer.status)
      assert.equal(32, #answer.body.result.operation_id)
    end
    assert.same({ "10.0.0.2" }, values(all()))
    for _, body in ipairs { "", "{}", '{"items":[]}', '{"items":[{}]}', '{"items":["x"]}' } do
      assert.equal(400, gate:call("DELETE", items, body).status)
    end
    assert.same({ "10.0.0.2" }, values(all()))
  end)

  it("of another list are not deleted", function()
    send("POST", { { ip = "10.0.0.1" } })
    local other = make("home", "ip") .. "/items"
    gate:call("DELETE", other, { items = { { id = all().body.result[1].id } } })
    assert.equal(1, #all().body.result)
    assert.equal(404, gate:call("GET", other .. "/" .. all().body.result[1].id).status)
  end)

  it("are refused with their index and change nothing", function()
    send("POST", { { ip = "10.0.0.1" } })
    for _, method in ipairs { "POST", "PUT" } do
      local answer = send(method, { { ip = "10.0.0.2" }, { ip = "nonsense" }, { asn = 1 } })
      assert.equal(400, answer.status)
      assert.equal(2, #answer.body.errors)
      assert.equal(10018, first(answer).code)
      assert.equal("/1", first(answer).source.pointer)
      assert.truthy(first(answer).message:find("index 1", 1, true))
      assert.same({ "10.0.0.1" }, values(all()))
    end
  end)

  for _, body in ipairs { "", "{}", "null", '"x"', "[", '{"items":[]}' } do
    it(("are not read from %q"):format(body), function()
      assert.equal(400, gate:call("POST", items, body).status)
      assert.equal(400, gate:call("PUT", items, body).status)
    end)
  end

  it("come piece by piece", function()
    local list = {}
    for index = 1, 60 do list[index] = { ip = ("10.0.0.%d"):format(61 - index) } end
    send("POST", list)
    assert.equal(25, #all().body.result)
    local seen, cursor, pieces = {}, nil, 0
    repeat
      local answer = all("?per_page=20" .. (cursor and "&cursor=" .. cursor or ""))
      for _, ip in ipairs(values(answer)) do seen[#seen + 1] = ip end
      cursor, pieces = answer.body.result_info and answer.body.result_info.cursors.after, pieces + 1
    until not cursor
    assert.equal(3, pieces)
    assert.equal(60, #seen)
    assert.equal("10.0.0.1", seen[1])
    assert.equal("10.0.0.60", seen[60])
    assert.equal(400, all("?cursor=zz").status)
    assert.is_nil(all("?per_page=500&search=").body.result_info)
  end)

  it("are searched: addresses by their beginning, numbers as a whole, names by a part", function()
    send("POST", { { ip = "10.0.0.1" }, { ip = "110.0.0.0/8" }, { ip = "2001:db8::1" } })
    assert.same({ "10.0.0.1" }, values(all "?search=10."))
    assert.same({ "2001:db8::1" }, values(all "?search=2001:DB8"))
    assert.same({}, values(all "?search=%25"))
    local asn, hosts = make("asns", "asn") .. "/items", make("hosts", "hostname") .. "/items"
    send("POST", { { asn = 13335 }, { asn = 3 } }, asn)
    assert.same({ 3 }, values(all("?search=3", asn), "asn"))
    assert.same({ 3, 13335 }, values(all("", asn), "asn"))
    send("POST", { { hostname = { url_hostname = "a.example.com" } }, { hostname = { url_hostname = "b.test" } } }, hosts)
    assert.same({ { url_hostname = "a.example.com" } }, values(all("?search=example", hosts), "hostname"))
  end)

  it("of a redirect list are kept and shown", function()
    local path = make("away", "redirect") .. "/items"
    assert.equal(200, send("POST", { { redirect = { source_url = "a.test/", target_url = "https://b.test/", status_code = 302 } } }, path).status)
    assert.equal(302, all("", path).body.result[1].redirect.status_code)
  end)

  it("may be a million, which the list itself knows", function()
    gate.app.store:write(function(tx) return tx:run("UPDATE lists SET num_items = 1000000") end)
    local ok, refusal
    gate.app.store:write(function(tx) ok, refusal = tx:run("UPDATE lists SET num_items = 1000001") end)
    assert.is_nil(ok)
    assert.same({ kind = "check", name = "list_is_full" }, refusal)
  end)

  it("may be more than a MiB in one body, twenty at most", function()
    local list = {}
    for index = 0, 19999 do
      list[index + 1] = { ip = ("10.%d.%d.1"):format(math.floor(index / 256), index % 256), comment = ("c"):rep(40) }
    end
    assert.equal(200, send("PUT", list).status)
    assert.equal(20000, gate:call("GET", (items:gsub("/items", ""))).body.result.num_items)
    local answer = gate:call("PUT", items, (" "):rep(20 * 1024 * 1024 + 1))
    assert.equal(413, answer.status)
    assert.equal(10413, first(answer).code)
  end)

  it("reach the zones that ask the list at once, by way of rulesets and of the account, and no others", function()
    local heron, stork = gate:zone "heron.test", gate:zone "stork.test"
    local function served(name) return gate.control.served[name].lists and gate.control.served[name].lists.office.items end
    local custom = gate:call("POST", "/zones/" .. heron.id .. "/rulesets", { kind = "custom", phase = PHASE, name = "c",
      rules = { { action = "block", expression = "ip.src in $office" } } }).body.result.id
    local sections = gate.control.sections
    send("POST", { { ip = "10.0.0.1" } })
    assert.equal(sections, gate.control.sections) -- nobody executes it yet
    gate:call("PUT", ("/zones/%s/rulesets/phases/%s/entrypoint"):format(heron.id, PHASE), { rules = {
      { action = "execute", expression = "true", action_parameters = { id = custom } } } })
    assert.equal("0a0000010a000001", served "heron.test")
    send("POST", { { ip = "10.0.0.2" } })
    assert.equal("0a0000010a000001 0a0000020a000002", served "heron.test")
    assert.is_nil(served "stork.test")
    gate:call("PUT", ("/accounts/%s/rulesets/phases/%s/entrypoint"):format(gate.account_id, PHASE), { rules = {
      { action = "block", expression = "ip.src in $office" } } })
    send("PUT", { { ip = "10.0.0.3" } })
    for _, name in ipairs { "heron.test", "stork.test" } do assert.equal("0a0000030a000003", served(name)) end
    assert.is_string(stork.id)
  end)
end)
