-- The recipes of docs/policy-files.md, as they stand there, in a gateway of their own. Ports, and numbers that would make a spec
-- long, are the only things that are put in their place.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local recipes, order = {}, {}
for name, text in read("docs/policy-files.md"):gmatch("<!%-%- recipe: ([%w-]+) %-%->\n```lua\n(.-)\n```") do
  recipes[name], order[#order + 1] = text .. "\n", name
end
local TRIED = {}

-- A recipe with other words in some places, each of which must be there.
local function recipe(name, words)
  local text = assert(recipes[name], name)
  TRIED[name] = true
  for from, to in pairs(words or {}) do
    local first, last = text:find(from, 1, true)
    assert(first, "the recipe has no " .. from)
    text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
  end
  return text
end

describe("the recipe", function()
  local running = {}

  local function start_origin()
    local one = origin.start()
    running[#running + 1] = one
    return one
  end

  local function start(text, files)
    files = files or {}
    files["policy.lua"] = text
    local gate = gateway.start { origin = start_origin(), config = { policies = { "policy.lua" } }, files = files }
    table.insert(running, 1, gate)
    return gate
  end

  after_each(function()
    for _, one in ipairs(running) do one:stop() end
    running = {}
  end)

  it("\"route by the issuer\" sends partners to servers of their own", function()
    local red, blue = start_origin(), start_origin()
    local gate = start(recipe("route", { ["http://127.0.0.1:9001"] = red.url, ["http://127.0.0.1:9002"] = blue.url }))
    local red_ca, blue_ca, other_ca = certs.ca "Red Partners", certs.ca "Blue Partners", certs.ca "Other Partners"
    for _, ca in ipairs { red_ca, blue_ca, other_ca } do gate:associate(ca, { "partners.example.com" }) end
    local function ask(cert, path)
      return gate:status { host = "partners.example.com", cert = cert, path = path }
    end
    assert.equal(200, (ask(certs.leaf(red_ca, { cn = "r" }), "/red")))
    assert.equal(200, (ask(certs.leaf(blue_ca, { cn = "b" }), "/blue")))
    assert.equal(403, (ask(certs.leaf(other_ca, { cn = "o" }), "/other")))
    assert.equal(403, (ask(nil, "/none")))
    assert.equal(1, #red:requests "/red")
    assert.equal("partners.example.com", red:requests("/red")[1]:field "host")
    assert.equal(0, #red:requests "/blue")
    assert.equal(1, #blue:requests "/blue")
    assert.same({}, gate.origin:requests())
  end)

  it("\"a header from the certificate\" tells the origin the device", function()
    local gate = start(recipe "san")
    local ca = certs.ca "Devices"
    gate:associate(ca, { "iot.example.com" })
    gate:set_rules { 'device.id eq "pump-13"' }
    local function ask(path, cert)
      local session = gate:connect { host = "iot.example.com", cert = cert }
      local answer = session:get(path, { host = "iot.example.com", fields = { { "X-Device", "forged" } } })
      session:close()
      return answer.status
    end
    local function device(id) return certs.leaf(ca, { cn = "d", san = "URI:https://maker.example/,URI:urn:device:" .. id }) end
    assert.equal(200, ask("/pump", device "pump-17"))
    assert.equal("pump-17", gate.origin:wait_request("/pump"):field "x-device")
    assert.equal(200, ask("/nobody"))
    assert.is_nil(gate.origin:wait_request("/nobody"):field "x-device")
    assert.equal(403, ask("/unlucky", device "pump-13"))
  end)

  it("\"a maintenance page\" closes one host, but not for the office", function()
    local gate = start(recipe "maintenance")
    local status, answer = gate:status { host = "shop.example.com" }
    assert.equal(503, status)
    assert.equal("600", answer:field "retry-after")
    assert.truthy(answer.body:find("We are back in ten minutes", 1, true))
    assert.equal(200, (gate:status { host = "www.example.com" }))
    gate:stop()
    table.remove(running, 1)
    gate = start(recipe("maintenance", { ["192.0.2.10"] = "127.0.0.1" }))
    assert.equal(200, (gate:status { host = "shop.example.com" }))
  end)

  it("\"an allow-list from a file\" lets in who is on it", function()
    local ca = certs.ca "Vault"
    local known, unknown = certs.leaf(ca, { cn = "known" }), certs.leaf(ca, { cn = "unknown" })
    local fingerprint = certs.openssl("x509 -noout -fingerprint -sha256 -in " .. known.path):match("=([%x:]+)"):gsub(":", "")
    local gate = start(recipe "allow-list", { ["allowed.txt"] = "# who may\n" .. fingerprint .. "  the known one\r\n\n" })
    gate:associate(ca, { "vault.example.com" })
    assert.equal(200, (gate:status { host = "vault.example.com", cert = known }))
    assert.equal(403, (gate:status { host = "vault.example.com", cert = unknown }))
    assert.equal(403, (gate:status { host = "vault.example.com" }))
  end)

  it("\"a rate limit per certificate\" counts each certificate for itself, over all workers", function()
    -- A window that does not end during the spec.
    local gate = start(recipe("rate-limit", { ["100, 60"] = "10, 100000" }))
    local ca = certs.ca "Clients"
    gate:associate(ca, { "api.example.com" })
    local one, two = certs.leaf(ca, { cn = "one" }), certs.leaf(ca, { cn = "two" })
    for number = 1, 14 do
      local status, answer = gate:status { host = "api.example.com", cert = one }
      assert.equal(number <= 10 and 200 or 429, status)
      if status == 429 then assert.truthy(tonumber(answer:field "retry-after") > 0) end
    end
    assert.equal(200, (gate:status { host = "api.example.com", cert = two }))
    assert.equal(200, (gate:status { host = "api.example.com" }))
  end)

  it("\"ask another service\" asks once, and lets nobody in when it is silent", function()
    local service = start_origin()
    local gate = start(recipe("ask", { ["http://127.0.0.1:9003/may"] = service.url .. "/may" }))
    local function ask(user)
      local session = gate:connect { host = "www.example.com" }
      local answer = session:get("/private/x", { host = "www.example.com", fields = { user and { "X-User", user } } })
      session:close()
      return answer.status
    end
    assert.equal(401, ask())
    assert.equal(401, ask("../x"))
    for _ = 1, 3 do assert.equal(200, ask("anna")) end
    assert.equal(1, #service:requests "/may?user=anna")
    service:stop()
    assert.equal(503, ask("bob"))
    assert.equal(200, ask("anna"))
  end)

  it("\"ask another service\" blocks whom the service does not know", function()
    local service = start_origin()
    local gate = start(recipe("ask", { ["http://127.0.0.1:9003/may"] = service.url .. "/status/404" }))
    local session = gate:connect { host = "www.example.com" }
    assert.equal(403, session:get("/private/x", { host = "www.example.com", fields = { { "X-User", "anna" } } }).status)
    assert.equal(200, session:get("/public", { host = "www.example.com" }).status)
    session:close()
  end)

  it("\"headers for every answer\" sets and removes them", function()
    local gate = start(recipe "headers")
    local _, answer = gate:status { host = "www.example.com", path = "/x" }
    assert.equal("max-age=31536000", answer:field "strict-transport-security")
    assert.is_nil(answer:field "server")
  end)

  it("is tried here, every one of them", function()
    assert.is_true(#order >= 5)
    for _, name in ipairs(order) do assert.is_true(TRIED[name], name) end
  end)
end)
