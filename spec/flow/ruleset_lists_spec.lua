-- Lists that rules ask: their items decide from the next request on, on connections that are open already.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("lists", function()
  local gate, behind, session
  local host = "api.example.com"

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    session = gate:connect { host = host }
  end)
  teardown(function()
    session:close()
    gate:stop()
    behind:stop()
  end)

  local function array(list) return setmetatable(list, { __jsontype = "array" }) end
  local function status() return assert(session:get("/", { host = host })).status end
  local function make(name, kind)
    return ("/accounts/%s/rules/lists/%s"):format(gate:account(),
      gate:api("POST", ("/accounts/%s/rules/lists"):format(gate:account()), { name = name, kind = kind }).id)
  end

  it("of addresses decide as they are at each request", function()
    local list = make("clients", "ip")
    gate:set_rules { "not ip.src in $clients" }
    assert.equal(403, status())
    gate:api("POST", list .. "/items", array { { ip = "127.0.0.0/8" } })
    assert.equal(200, status())
    gate:api("PUT", list .. "/items", array { { ip = "192.0.2.0/24" }, { ip = "2001:db8::/32" } })
    assert.equal(403, status())
    gate:api("POST", list .. "/items", array { { ip = "127.0.0.1" } })
    assert.equal(200, status())
    local items = gate:api("GET", list .. "/items")
    assert.equal("127.0.0.1", items[1].ip)
    gate:api("DELETE", list .. "/items", { items = { { id = items[1].id } } })
    assert.equal(403, status())
    assert.equal(400, (gate:admin("DELETE", list)))
    gate:set_rules {}
    assert.equal(200, (gate:admin("DELETE", list)))
  end)

  it("of hostnames decide for names and for what is below them", function()
    local list = make("hosts", "hostname")
    gate:set_rules { "http.host in $hosts" }
    gate:api("PUT", list .. "/items", array { { hostname = { url_hostname = "*.example.com" } } })
    assert.equal(403, status())
    assert.equal(200, (gate:status { host = "example.com" }))
    gate:api("PUT", list .. "/items", array { { hostname = { url_hostname = "*.example.com", exclude_exact_hostname = false } } })
    assert.equal(403, (gate:status { host = "example.com" }))
    gate:api("PUT", list .. "/items", array {})
    assert.equal(200, status())
  end)

  it("are asked by the account's rules and by executed rulesets", function()
    local list = make("everybody", "ip")
    gate:api("PUT", list .. "/items", array { { ip = "127.0.0.1" } })
    local entry = ("/accounts/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate:account())
    gate:set_rules {}
    gate:api("PUT", entry, { rules = array { { action = "block", expression = "ip.src in $everybody" } } })
    assert.equal(403, status())
    gate:api("PUT", entry, { rules = array {} })
    assert.equal(200, status())
    local id = gate:api("POST", "/zones/" .. gate.zone .. "/rulesets", { kind = "custom", phase = "http_request_firewall_custom",
      name = "c", rules = array { { action = "block", expression = "ip.src in $everybody" } } }).id
    gate:set_rules { { action = "execute", expression = "true", action_parameters = { id = id } } }
    assert.equal(403, status())
    gate:api("PUT", list .. "/items", array {})
    assert.equal(200, status())
    gate:set_rules {}
  end)

  it("of many items arrive in one body and are found", function()
    local list, items = make("many", "ip"), {}
    for index = 0, 29999 do
      items[index + 1] = { ip = ("10.%d.%d.0/25"):format(math.floor(index / 256), index % 256), comment = ("c"):rep(20) }
    end
    items[#items + 1] = { ip = "127.0.0.1" }
    gate:api("PUT", list .. "/items", array(items))
    gate:set_rules { "ip.src in $many" }
    assert.equal(403, status())
    gate:set_rules {}
  end)
end)
