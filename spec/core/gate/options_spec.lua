local gate = require "spec.support.gate"

describe("moon_options_init()", function()
  local options = gate.options(function(it) it.workers = 0 end)[0]

  for name, expected in pairs {
    start_line = 8192, field = 16384, head = 65536, fields = 128, body = 104857600, connections = 50000,
    connections_per_address = 10000, idle_origin_connections = 64, handshakes = 4096,
  } do
    it(("limits %s to %d"):format(name, expected), function() assert.equal(expected, tonumber(options.limits[name])) end)
  end

  for name, expected in pairs {
    handshake = 10000, head = 30000, body_idle = 30000, keep_alive = 75000, write_idle = 60000, origin_connect = 10000,
    origin_head = 60000, origin_idle = 60000, origin_keep_alive = 60000, tunnel_idle = 3600000, drain = 30000,
  } do
    it(("gives %s %d ms"):format(name, expected), function() assert.equal(expected, tonumber(options.timeouts[name])) end)
  end

  it("listens nowhere", function()
    for _, text in ipairs { options.listen[0], options.listen_http[0], options.admin_listen } do assert.equal(0, text[0]) end
    assert.equal(0, options.workers)
  end)
end)
