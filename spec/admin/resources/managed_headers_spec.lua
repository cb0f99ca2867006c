local support = require "spec.support.admin"

describe("moongate.admin.resources.managed_headers", function()
  local gate, zone, path, json
  local ID = "add_client_certificate_headers"

  before_each(function()
    gate = assert(support.start())
    json = require "moongate.json"
    zone = gate:zone "heron.test"
    path = "/zones/" .. zone.id .. "/managed_headers"
  end)
  after_each(function() gate:close() end)

  local function patch(entry) return gate:call("PATCH", path, { managed_request_headers = json.array { entry } }) end
  local function is_enabled() return gate:call("GET", path).body.result.managed_request_headers[1].enabled end
  local function refused(answer, code, pointer)
    assert.equal(400, answer.status)
    assert.equal(code, answer.body.errors[1].code)
    assert.equal(pointer, answer.body.errors[1].source.pointer)
  end
  local function host(name)
    for _, one in ipairs(gate.control.served["heron.test"].hosts) do
      if one.name == name then return one end
    end
  end

  it("are off, and listed with what there is", function()
    local result = gate:call("GET", path).body.result
    assert.same({ { id = ID, enabled = false, has_conflict = false },
      { id = "add_true_client_ip_headers", enabled = false, has_conflict = false } }, result.managed_request_headers)
    assert.is_true(json.is_array(result.managed_response_headers))
    assert.same({}, result.managed_response_headers)
  end)

  it("are switched on and off, and answered whole", function()
    local answer = patch { id = ID, enabled = true }
    assert.equal(200, answer.status)
    assert.same(gate:call("GET", path).body.result, answer.body.result)
    assert.is_true(is_enabled())
    assert.equal(200, gate:call("PATCH", path, json.object {}).status)
    assert.is_true(is_enabled())
    patch { id = ID, enabled = false }
    assert.is_false(is_enabled())
  end)

  it("are off again after DELETE, which answers nothing", function()
    patch { id = ID, enabled = true }
    local answer = gate:call("DELETE", path)
    assert.equal(204, answer.status)
    assert.equal("", answer.raw)
    assert.is_false(is_enabled())
  end)

  it("are a zone's own", function()
    patch { id = ID, enabled = true }
    local stork = gate:zone "stork.test"
    local other = gate:call("GET", "/zones/" .. stork.id .. "/managed_headers").body.result
    assert.is_false(other.managed_request_headers[1].enabled)
  end)

  it("tell every origin of the zone, besides what hosts say themselves", function()
    gate:call("PUT", "/zones/" .. zone.id .. "/moongate/hostnames/own.heron.test", { forward = { xfcc = true } })
    assert.is_nil(host "*")
    patch { id = ID, enabled = true }
    assert.same({ fields = true }, host("*").forward)
    assert.same({ fields = true, xfcc = true }, host("own.heron.test").forward)
    patch { id = ID, enabled = false }
    assert.is_nil(host "*")
    assert.same({ xfcc = true }, host("own.heron.test").forward)
  end)

  it("tell every origin the client's address under another name, too", function()
    gate:call("PUT", "/zones/" .. zone.id .. "/moongate/origins/www.heron.test", { url = "http://origin.test" })
    patch { id = "add_true_client_ip_headers", enabled = true }
    for _, name in ipairs { "*", "www.heron.test" } do
      assert.is_true(host(name).true_client_ip)
      assert.is_nil(host(name).forward)
    end
    patch { id = "add_true_client_ip_headers", enabled = false }
    assert.is_nil(host "*")
    assert.is_nil(host("www.heron.test").true_client_ip)
  end)

  it("that are unknown are refused, and nothing changes", function()
    refused(gate:call("PATCH", path, { managed_request_headers = { { id = ID, enabled = true }, { id = "x", enabled = true } } }),
      21092, "/managed_request_headers/1/id")
    refused(gate:call("PATCH", path, { managed_response_headers = { { id = ID, enabled = true } } }), 21092,
      "/managed_response_headers/0/id")
    refused(patch { enabled = true }, 21092, "/managed_request_headers/0/id")
    assert.is_false(is_enabled())
  end)

  it("refuse what is neither on nor off, and no list", function()
    refused(patch { id = ID, enabled = "on" }, 10002, "/managed_request_headers/0/enabled")
    refused(patch { id = ID }, 10002, "/managed_request_headers/0/enabled")
    refused(gate:call("PATCH", path, { managed_request_headers = { id = ID } }), 10002, "/managed_request_headers")
    assert.equal(6007, gate:call("PATCH", path, "{").body.errors[1].code)
  end)
end)
