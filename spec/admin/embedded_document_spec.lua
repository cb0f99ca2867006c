-- The configuration of a gateway inside another program: what it says, and how mistakes are told.

local certs = require "spec.support.certs"
local script = require "spec.support.script"

local embedded_document = require "moongate.admin.embedded_document"
local json = require "moongate.json"

describe("moongate.admin.embedded_document", function()
  local control = script.control()
  local ca = certs.ca("Embedded CA")
  local server = certs.leaf(ca, { cn = "a", eku = "serverAuth", san = "DNS:a.example.com,DNS:*.example.com,DNS:other.test" })
  local other = certs.leaf(ca, { cn = "b", eku = "serverAuth", san = "DNS:b.example.com" })

  local function zone(given)
    given.name = given.name or "example.com"
    return embedded_document.zone(control, assert(json.decode(json.encode(given))), 1)
  end

  local function host(given)
    given.name = given.name or "api.example.com"
    return zone { hosts = { given } }
  end

  -- ---- what it becomes ----

  it("reads a zone with nothing in it", function()
    local document = assert(zone { name = "Example.COM." })
    assert.equal("example.com", document.name)
    assert.same({}, document.hosts)
    assert.same({}, document.rules)
  end)

  it("reads hosts with all that belongs to them", function()
    local document = assert(host {
      trust = { ca.pem }, usage = "warn", forward = { "xfcc", "fields" }, https_only = true, websockets = false, resumption = false,
      tls = { min_version = "1.3", strict_sni = true }, origin = { url = "https://origin.test", sni = "x.test", verify = false },
    })
    local read = document.hosts[1]
    assert.same({ ca.pem }, read.trust)
    assert.same({ xfcc = true, fields = true }, read.forward)
    assert.same({ "warn", true, false, false }, { read.usage, read.https_only, read.websockets, read.resumption })
    assert.equal("1.3", read.tls.min_version)
    assert.same({ "https://origin.test", "x.test", false },
      { read.origin.url, read.origin.sni, read.origin.verify })
  end)

  it("verifies an origin's certificate unless it is told not to", function()
    assert.is_true(assert(host { origin = { url = "https://origin.test" } }).hosts[1].origin.verify)
  end)

  it("keeps the private key of a certificate as it is, for there is no store to keep it from", function()
    local document = assert(zone { certificates = { { certificate = other.pem, private_key = other.key } } })
    local read = document.certificates[1]
    assert.same({ "EC", other.pem, other.key, nil }, { read.kind, read.certificates, read.plain_key, read.private_key })
    assert.same({ "b.example.com" }, read.hosts)
  end)

  it("gives the names of a certificate what they would have without it", function()
    local document = assert(zone {
      certificates = { { certificate = server.pem, private_key = server.key } },
      hosts = {
        { name = "*", origin = { url = "http://127.0.0.1:1" } },
        { name = "*.example.com", trust = { ca.pem } },
      },
    })
    local names, by_name = {}, {}
    for _, one in ipairs(document.hosts) do
      names[#names + 1] = one.name
      by_name[one.name] = one
    end
    table.sort(names)
    assert.same({ "*", "*.example.com", "a.example.com" }, names) -- other.test is another zone's
    assert.same({ ca.pem }, by_name["a.example.com"].trust)
    assert.is_nil(by_name["a.example.com"].origin)
  end)

  it("takes what is revoked and revocation lists to the trust options", function()
    local document = assert(zone {
      crls = { { ca = ca.pem, crl = "…", soft = true } }, revoked = { { sha256 = ("a"):rep(64) }, { ca = "b", serial = "7" } },
    })
    assert.same({ { ca = ca.pem, text = "…", soft = true } }, document.trust_options.crls)
    assert.same({ { sha256 = ("a"):rep(64) }, { ca = "b", serial = "7" } }, document.trust_options.denials)
  end)

  it("sorts the items of lists and leaves out what stands twice", function()
    local document = assert(zone { lists = {
      office = { kind = "ip", items = { "192.0.2.0/24", "10.0.0.1", "192.0.2.0/24" } },
      names = { kind = "hostname", items = { "b.test", "a.test" } },
    } })
    assert.equal("0a0000010a000001 c0000200c00002ff", document.lists.office.items)
    assert.equal("a.test b.test", document.lists.names.items)
  end)

  it("names rules by their id, else by their ref, else by their place", function()
    local function rule(given)
      given.action, given.expression = "log", "ssl"
      return given
    end
    local document = assert(zone { rules = { rule { id = "one" }, rule { ref = "two" }, rule {} } })
    assert.same({ "one", "two", "rule-3" }, { document.rules[1].id, document.rules[2].id, document.rules[3].id })
    assert.is_true(document.rules[1].enabled)
  end)

  it("does not record a skip that says so", function()
    local document = assert(zone { rules = { { action = "skip", expression = "ssl", logging = { enabled = false },
      action_parameters = { ruleset = "current" } } } })
    assert.is_false(document.rules[1].logging)
  end)

  it("lets rules ask the zone's lists", function()
    assert.truthy(zone { lists = { office = { kind = "ip", items = { "192.0.2.1" } } },
      rules = { { action = "block", expression = "ip.src in $office" } } })
  end)

  -- ---- mistakes ----

  for _, case in ipairs {
    { "no object", 7, "", "expected an object" },
    { "no zones", json.object {}, "zones", "this field is required" },
    { "zones that are no array", { zones = { a = 1 } }, "zones", "expected an array" },
    { "an unknown key", { zone = {} }, "zone", "this key is unknown; did you mean zones?" },
    { "a generation of zero", { zones = json.array {}, generation = 0 }, "generation", "at least 1, not 0" },
  } do
    it(("refuses a configuration with %s"):format(case[1]), function()
      local value, mistake = embedded_document.read(json.decode(json.encode(case[2])))
      assert.is_nil(value)
      assert.same({ case[3], case[4] }, { mistake.where, mistake.text })
    end)
  end

  local function block(expression) return { { action = "block", expression = expression } } end

  for _, case in ipairs {
    { "a name that is none", { name = "a..b" }, "zones[0].name", "it has an empty label" },
    { "a misspelt key", { host = {} }, "zones[0].host", "this key is unknown; did you mean hosts?" },
    { "hosts that are no array", { hosts = 7 }, "zones[0].hosts", "expected an array" },
    { "a host without a name", { hosts = { json.object {} } }, "zones[0].hosts[0].name", "this field is required" },
    { "a host of another zone", { hosts = { { name = "a.test" } } }, "zones[0].hosts[0].name", "it is not in the zone example.com" },
    { "a host twice", { hosts = { { name = "*" }, { name = "*" } } }, "zones[0].hosts[1].name", "* stands twice" },
    { "an unknown family of fields", { hosts = { { name = "*", forward = { "all" } } } }, "zones[0].hosts[0].forward[0]",
      "expected one of cloudflare, fields, rfc9440, xfcc" },
    { "an origin without a URL", { hosts = { { name = "*", origin = { sni = "a.test" } } } }, "zones[0].hosts[0].origin.url",
      "this field is required" },
    { "a version of TLS that there is not", { tls = { min_version = "2.0" } }, "zones[0].tls.min_version",
      "expected one of 1.0, 1.1, 1.2, 1.3" },
    { "a certificate that is none", { certificates = { { certificate = "x", private_key = "y" } } },
      "zones[0].certificates[0].certificate", "it cannot be read" },
    { "a key of another certificate", { certificates = { { certificate = server.pem, private_key = other.key } } },
      "zones[0].certificates[0].private_key", "" },
    { "a key that is none", { certificates = { { certificate = server.pem, private_key = "secret words" } } },
      "zones[0].certificates[0].private_key", "it cannot be read" },
    { "a list of no kind", { lists = { a = { kind = "names", items = json.array {} } } }, "zones[0].lists.a.kind",
      "expected one of ip, hostname, asn" },
    { "a list with a bad name", { lists = { ["A b"] = {} } }, "zones[0].lists.A b", "the name of a list has 1 to 50 characters" },
    { "an item that is none", { lists = { a = { kind = "ip", items = { "192.0.2.1/24" } } } }, "zones[0].lists.a.items[0]",
      "host bits are set" },
    { "an expression that is wrong", { rules = block "http.hots eq \"a\"" }, "zones[0].rules[0].expression", "http.hots" },
    { "a list that is not there", { rules = block "ip.src in $nobody" }, "zones[0].rules[0].expression", "nobody" },
    { "an action that there is not", { rules = { { action = "deny", expression = "ssl" } } }, "zones[0].rules[0].action", "deny" },
    { "an unknown parameter", { rules = { { action = "block", expression = "ssl", action_parameters = { status = 1 } } } },
      "zones[0].rules[0].action_parameters", 'unknown field "status"' },
    { "something revoked that is not told apart", { revoked = { { ca = "a" } } }, "zones[0].revoked[0]",
      "expected sha256, or ca (SHA-256 of the CA's certificate) and serial" },
  } do
    it(("refuses a zone with %s, and says where"):format(case[1]), function()
      local document, mistake = zone(case[2])
      assert.is_nil(document)
      assert.equal(case[3], mistake.where)
      assert.truthy(mistake.text:find(case[4], 1, true), mistake.text)
      assert.is_nil(mistake.text:find("secret", 1, true))
    end)
  end
end)
