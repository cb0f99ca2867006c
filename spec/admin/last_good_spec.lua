local support = require "spec.support.admin"

describe("moongate.admin.last_good", function()
  local last_good, control

  before_each(function()
    last_good = require "moongate.admin.last_good"
    control = support.control()
  end)

  local PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

  local function document(id, hosts)
    return { id = id, name = id .. ".test", version = 3, hosts = hosts or {}, rules = {
      { id = "r", ref = "r", action = "block", expression = 'http.host eq "\\"é"', enabled = true },
    } }
  end

  local function round(documents)
    local parts = {}
    for index, one in ipairs(documents) do parts[index] = last_good.part(control, one) end
    local text = last_good.encode(control, parts, 42)
    return last_good.decode(control, text), text
  end

  it("gives back what it was given, with shared certificates written once", function()
    local trust = { PEM }
    local hosts = {}
    for index = 1, 100 do
      hosts[index] = { name = "h" .. index .. ".a.test", trust = trust, origin = { url = "http://127.0.0.1", verify = true } }
    end
    local documents = { document("a", hosts), document("b", { { name = "*", origin = { url = "http://x", verify = false } } }) }
    local read, text = round(documents)
    assert.equal(42, read.generation)
    assert.same(documents, read.documents)
    assert.equal(1, select(2, text:gsub("BEGIN CERTIFICATE", "")))
    assert.equal(read.documents[1].hosts[1].trust, read.documents[1].hosts[100].trust)
  end)

  it("writes an identity that many hosts present once, with its key as it was stored", function()
    local client = { certificates = PEM, private_key = "m1:sealed", context = "t:c:1" }
    local shared = { url = "https://o.test", client_certificate = client }
    local hosts = { { name = "own.a.test", origin = { url = "https://o.test", verify = true } } }
    for index = 1, 100 do hosts[index + 1] = { name = "h" .. index .. ".a.test", origin = shared } end
    local documents = { document("a", hosts), document("b", { { name = "*", origin = shared } }) }
    local read, text = round(documents)
    assert.same(documents, read.documents)
    assert.equal(1, select(2, text:gsub("m1:sealed", "")))
    assert.equal(read.documents[1].hosts[2].origin.client_certificate, read.documents[2].hosts[1].origin.client_certificate)
  end)

  it("keeps the addresses of an origin", function()
    local origin = { url = "https://192.0.2.1", verify = true, request_name = true,
      addresses = require("moongate.json").array { "192.0.2.1", "192.0.2.2" } }
    local documents = { document("a", { { name = "a.test", origin = origin } }) }
    assert.same(documents, round(documents).documents)
  end)

  it("keeps how each host is served", function()
    local documents = { document("a", {
      { name = "a.test", forward = { cloudflare = true, fields = true, rfc9440 = false, xfcc = true } },
      { name = "b.a.test", resumption = false, https_only = true, websockets = false, true_client_ip = true },
      { name = "c.a.test", tls = { min_version = "1.3", ciphers = require("moongate.json").array {} } },
    }) }
    documents[1].tls = { tls_1_3 = "off", ciphers = require("moongate.json").array { "AES128-SHA" } }
    assert.same(documents, round(documents).documents)
  end)

  it("writes the items of a list that many zones ask once, and all rules", function()
    local rule = { id = "r", action = "block", expression = "ip.src in $office", enabled = true }
    local documents = { document "a", document "b" }
    for _, one in ipairs(documents) do
      one.account_rules, one.firewall_rules, one.rulesets = { rule }, { rule, rule }, { c1 = { rule }, c2 = {} }
      one.lists = { office = { kind = "ip", items = "192.0.2.7 198.51.100.0/24" } }
    end
    local read, text = round(documents)
    assert.same(documents, read.documents)
    assert.equal(1, select(2, text:gsub("192.0.2.7", "")))
  end)

  -- The text with something changed and a checksum that fits again.
  local function forged(text, pattern, replacement)
    local line = text:match("^(.*\n)%x+\n$"):gsub(pattern, replacement, 1)
    return line .. require("moongate.admin.stamp").hex(control.sha256(line)) .. "\n"
  end

  it("reads a file from before there were identities", function()
    local _, text = round { document("a") }
    assert.equal("a.test", last_good.decode(control, forged(text, '"identities":{},', "")).documents[1].name)
  end)

  it("writes the same file beside the loop as at once", function()
    local parts, path = { last_good.part(control, document "a") }, os.tmpname()
    assert(last_good.save(control, path, parts, 7))
    assert.equal(last_good.encode(control, parts, 7), control.files[path])
    assert.equal(7, last_good.read(control, path).generation)
    os.remove(path)
  end)

  it("holds nothing at all", function()
    local read = round {}
    assert.same({}, read.documents)
  end)

  for title, spoil in pairs {
    ["cut off"] = function(text) return text:sub(1, -10) end,
    ["empty"] = function() return "" end,
    ["of another format"] = function(text) return (text:gsub('"format":2', '"format":1')) end,
    ["changed by one letter"] = function(text) return (text:gsub("block", "blocc")) end,
    ["of another kind"] = function() return "{}" end,
    ["lacking an identity"] = function(text) return forged(text, '"identities":{.-}},"items"', '"identities":{},"items"') end,
    ["lacking the items of a list"] = function(text)
      return forged(text, '"items":{.-},"revocation_lists"', '"items":{},"revocation_lists"')
    end,
    ["lacking a certificate"] = function(text)
      return forged(text, '"certificates":{.-},"identities"', '"certificates":{},"identities"')
    end,
  } do
    it("refuses a file that is " .. title, function()
      local client = { certificates = PEM, private_key = "m1:sealed", context = "t:c:1" }
      local one = document("a", { { name = "a.test", trust = { PEM }, origin = { client_certificate = client } } })
      one.lists = { office = { kind = "ip", items = "192.0.2.7" } }
      local _, text = round { one }
      local read, reason = last_good.decode(control, spoil(text))
      assert.is_nil(read)
      assert.is_string(reason)
    end)
  end
end)
