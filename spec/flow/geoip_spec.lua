-- Rules on the place of the client's address, by a database that the operator names.

local gateway = require "spec.support.gateway"
local mmdb = require "spec.support.mmdb"
local origin = require "spec.support.origin"

describe("a database of addresses", function()
  local gate, behind

  before_each(function()
    behind = origin.start()
    gate = gateway.new { origin = behind }
  end)

  after_each(function()
    gate:stop()
    behind:stop()
  end)

  local function status(path)
    return gate:curl { host = "www.example.com", path = path }.status
  end

  it("tells the rules where a client is", function()
    local path = gate.directory .. "/places.mmdb"
    mmdb.write(path, { ["127.0.0.0/8"] = { country = { iso_code = "PT" }, autonomous_system_number = 64500 } })
    gate = gateway.start { origin = behind, config = { geoip = { path } } }
    gate:set_rules { 'ip.src.country eq "PT" and ip.src.asnum in {64496..64511} and http.request.uri.path eq "/closed"' }
    assert.equal(403, status("/closed"))
    assert.equal(200, status("/open"))
  end)

  it("that cannot be read is named at the start", function()
    local path = gate.directory .. "/none.mmdb"
    local shell = require "spec.support.shell"
    shell.write(gate.config_path, gateway.config_text {
      data_dir = "data", listen = { "127.0.0.1:0" }, admin = { listen = "127.0.0.1:0" }, geoip = { path },
    })
    local result = gateway.cli { "run", "-c", gate.config_path }
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find(path, 1, true), result.stderr)
  end)
end)
