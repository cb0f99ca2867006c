-- Publishing a whole configuration without a store: what is kept, what is built anew, what a failure leaves behind. Sections are
-- the real ones; the gateway that takes snapshots is a table here, since it only has to say yes or no.

local certs = require "spec.support.certs"
local script = require "spec.support.script"

local embedded = require "moongate.admin.embedded"
local json = require "moongate.json"

local function zone(name, expression)
  return ('{"name":"%s","hosts":[{"name":"*"}],"rules":[{"action":"block","expression":"%s"}]}'):format(name, expression or "ssl")
end

local function configuration(...)
  return ('{"zones":[%s]}'):format(table.concat({ ... }, ","))
end

describe("moongate.admin.embedded", function()
  local real = script.control()
  local control, published, built, refusal, it_publishes

  before_each(function()
    published, built, refusal = {}, {}, nil
    control = setmetatable({
      section = function(document)
        built[#built + 1] = document.name
        return real.section(document)
      end,
      publish = function(snapshot)
        if refusal then return nil, refusal end
        published[#published + 1] = snapshot.generation
        return true
      end,
    }, { __index = real })
    it_publishes = embedded.new(control)
  end)

  it("publishes, one number after the other", function()
    assert.is_true(it_publishes:publish(configuration(zone "a.test")))
    assert.is_true(it_publishes:publish(configuration()))
    assert.same({ 1, 2 }, published)
  end)

  it("takes the number that it is given, and none that is behind", function()
    assert.is_true(it_publishes:publish('{"generation":40,"zones":[]}'))
    assert.is_true(it_publishes:publish('{"generation":40,"zones":[]}'))
    local ok, mistake = it_publishes:publish '{"generation":39,"zones":[]}'
    assert.is_nil(ok)
    assert.same({ "generation", "generation 40 is served already" }, { mistake.where, mistake.text })
    assert.is_true(it_publishes:publish('{"zones":[]}'))
    assert.same({ 40, 40, 41 }, published)
  end)

  it("builds the zones that have changed", function()
    assert.is_true(it_publishes:publish(configuration(zone "a.test", zone "b.test")))
    assert.is_true(it_publishes:publish(configuration(zone("b.test", "not ssl"), zone "a.test")))
    assert.same({ "a.test", "b.test", "b.test" }, built)
  end)

  it("keeps a zone that says the same in other words", function()
    assert.is_true(it_publishes:publish('{"zones":[{"name":"a.test","hosts":[{"name":"*","trust":[]}],"rules":null}]}'))
    assert.is_true(it_publishes:publish('{"zones":[{"hosts":[{"trust":[],"name":"*"}], "rules":null, "name":"a\\u002etest"}]}'))
    assert.same({ "a.test" }, built)
  end)

  for _, case in ipairs {
    { "text and null", "null", '"null"' }, { "text and number", "1", '"1"' }, { "an array and an object", "[]", "{}" },
    { "two texts and one", '["a","b"]', '["a\\",\\"b"]' },
  } do
    it(("tells apart zones that differ in %s"):format(case[1]), function()
      local digested = {}
      control.sha256 = function(bytes)
        digested[#digested + 1] = bytes
        return bytes
      end
      it_publishes:publish('{"zones":[{"name":"a.test","rules":' .. case[2] .. "}]}")
      it_publishes:publish('{"zones":[{"name":"a.test","rules":' .. case[3] .. "}]}")
      assert.equal(2, #digested)
      assert.not_equal(digested[1], digested[2])
    end)
  end

  it("refuses a zone that stands twice", function()
    local ok, mistake = it_publishes:publish(configuration(zone "a.test", zone("A.test", "not ssl")))
    assert.is_nil(ok)
    assert.same({ "zones[1]: name", "the zone a.test stands twice" }, { mistake.where, mistake.text })
  end)

  for _, case in ipairs {
    { "text that is no JSON", '{"zones":[}', "line 1, column 11" },
    { "a member that stands twice", '{"zones":[],"zones":[]}', "line 1, column 13" },
    { "what the reader refuses", configuration '{"name":"a.test","x":1}', "zones[0].x" },
    { "what the core refuses", configuration '{"name":"a.test","hosts":[{"name":"*","origin":{"url":"ftp://a"}}]}', "zones[0]: origin of *" },
  } do
    it(("refuses %s and keeps what is served"):format(case[1]), function()
      assert.is_true(it_publishes:publish(configuration(zone "a.test")))
      local ok, mistake = it_publishes:publish(case[2])
      assert.is_nil(ok)
      assert.equal(case[3], mistake.where:sub(1, #case[3]))
      assert.same({ 1 }, published)
      assert.is_true(it_publishes:publish(configuration(zone "a.test")))
      assert.same({ "a.test" }, { built[1] })
    end)
  end

  it("builds what private keys belong to: server certificates and what origins are shown", function()
    local ca = certs.ca("Embedded Keys")
    local server = certs.leaf(ca, { cn = "a", eku = "serverAuth", san = "DNS:a.test" })
    local client = certs.leaf(ca, { cn = "gateway" })
    assert.is_true(it_publishes:publish(json.encode { zones = { {
      name = "a.test", certificates = { { certificate = server.pem, private_key = server.key } },
      hosts = { { name = "*", origin = { url = "https://b.test", ca = ca.pem,
        client_certificate = { certificate = client.pem, private_key = client.key } } } },
    } } }))
  end)

  it("builds revocation lists, and refuses one of another CA", function()
    local ca, other = certs.ca("Embedded Lists"), certs.ca("Embedded Others")
    local function with(crl)
      return json.encode { zones = { {
        name = "a.test", hosts = { { name = "*", trust = { ca.pem } } }, crls = { { ca = ca.pem, crl = crl } },
      } } }
    end
    assert.is_true(it_publishes:publish(with((certs.crl(ca)))))
    local ok, mistake = it_publishes:publish(with((certs.crl(other))))
    assert.is_nil(ok)
    assert.truthy(mistake.where:find("zones[0]: trust of *: crls[1]", 1, true), mistake.where)
  end)

  it("hands on why the gateway does not take it, with the core's code", function()
    refusal = { where = "workers", text = "1 of 2 serve the new configuration", code = -20009 }
    local ok, mistake = it_publishes:publish(configuration())
    assert.is_nil(ok)
    assert.equal(-20009, mistake.code)
  end)
end)
