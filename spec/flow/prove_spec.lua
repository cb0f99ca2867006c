-- `moongate prove` against the real gateway: what it says when all is well, and that it can say something else.

local dkjson = require "dkjson"
local gateway = require "spec.support.gateway"

describe("moongate prove", function()
  local gate, token_file

  setup(function()
    gate = gateway.start { config = { listen_http = { "127.0.0.1:0" } } }
    token_file = gate.directory .. "/token"
    local file = assert(io.open(token_file, "wb"))
    file:write(gate.token, "\n")
    file:close()
  end)
  teardown(function() gate:stop() end)

  local function prove(...)
    return gateway.cli { "prove", "--url", "http://127.0.0.1:" .. gate.admin_port, "--token-file", token_file,
      "--connect", "127.0.0.1:" .. gate.port, "--connect-http", "127.0.0.1:" .. gate.http_port, ... }
  end

  local function names_of(path)
    local names = {}
    for _, one in ipairs(gate:api("GET", path)) do names[#names + 1] = one.name end
    return names
  end

  it("finds no way around the rules, has tried every family, and leaves nothing behind", function()
    local zones = names_of "/zones"
    local result = prove("-o", "json")
    assert.equal(0, result.status, result.stderr .. result.stdout)
    local told = assert(dkjson.decode(result.stdout))
    assert.same({}, told.differences)
    assert.equal(6, #told.families)
    for _, family in ipairs(told.families) do
      assert.is_true(family.cases > 0, family.title)
      assert.equal(family.cases, family.equal, family.title)
    end
    assert.is_true(told.resumed > 0)
    assert.same(zones, names_of "/zones")
    assert.same({}, names_of(("/accounts/%s/mtls_certificates"):format(gate:account())))
  end)

  it("says what is not as it must be, and exits 1", function()
    local entry = ("/accounts/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(gate:account())
    gate:api("PUT", entry, { rules = { { action = "block", expression = 'http.host contains "open.prove-"' } } })
    local result = prove()
    gate:api("PUT", entry, { rules = {} })
    assert.equal(1, result.status)
    assert.truthy(result.stdout:find("expected 530, found 403", 1, true), result.stdout)
    assert.truthy(result.stdout:find("cases are not as they must be", 1, true), result.stdout)
    assert.same({}, names_of(("/accounts/%s/mtls_certificates"):format(gate:account())))
  end)

  it("says that nobody listens, and still leaves nothing behind", function()
    local result = prove("--connect", "127.0.0.1:1")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("nobody answers at 127.0.0.1, port 1", 1, true), result.stderr)
    assert.same({}, names_of(("/accounts/%s/mtls_certificates"):format(gate:account())))
  end)

  for _, case in ipairs {
    { "a name instead of an address", { "--connect", "localhost:443" }, "--connect: expected ADDRESS:PORT" },
    { "no port", { "--connect", "127.0.0.1" }, "--connect: expected ADDRESS:PORT" },
    { "port 0", { "--connect-http", "127.0.0.1:0" }, "--connect-http: expected ADDRESS:PORT" },
  } do
    it("refuses " .. case[1], function()
      local result = prove(unpack(case[2]))
      assert.equal(2, result.status)
      assert.truthy(result.stderr:find(case[3], 1, true), result.stderr)
    end)
  end
end)
