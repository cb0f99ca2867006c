-- A change that the admin API acknowledged survives kill -9 at any moment; one that it did not is there whole or not at all.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

describe("kill -9 in the middle of changes", function()
  local gate, behind
  local CHANGES, ROUNDS = 200, 5

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  it("loses no acknowledged change", function()
    local acknowledged, attempted = 0, 0
    local per_round = CHANGES / ROUNDS
    for round = 1, ROUNDS do
      for _ = 1, per_round do
        attempted = attempted + 1
        gate:set_origin(gate.zone, ("h%d.example.com"):format(attempted), behind.url)
        acknowledged = attempted
      end
      -- One more is under way when the end comes: sent, not waited for.
      attempted = attempted + 1
      local body = ('{"url":"%s"}'):format(behind.url)
      gate.admin_session:send(("PUT /client/v4/zones/%s/moongate/origins/h%d.example.com HTTP/1.1\r\nHost: x\r\n"
        .. "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"):format(gate.zone, attempted, gate.token, #body, body))
      gate:signal(shell.KILL)
      assert.equal(137, gate:wait_exit())
      gate:launch()
      local stored = {}
      for _, entry in ipairs(gate:api("GET", ("/zones/%s/moongate/origins?per_page=1000"):format(gate.zone))) do
        stored[entry.hostname] = entry.url
      end
      for number = 1, acknowledged do
        local name = ("h%d.example.com"):format(number)
        -- The one that was under way in a round may be missing, but not half there.
        if number % (per_round + 1) ~= 0 or stored[name] then
          assert.equal(behind.url, stored[name], name .. " after round " .. round)
        end
      end
    end
    assert.equal(200, (gate:status { host = "h1.example.com" }))
  end)

  it("serves after the start what was served before the kill", function()
    gate:set_rules { 'http.host eq "blocked.example.com"' }
    assert.equal(403, (gate:status { host = "blocked.example.com" }))
    gate:restart()
    assert.equal(403, (gate:status { host = "blocked.example.com" }))
    assert.equal(200, (gate:status { host = "www.example.com" }))
  end)

  it("accepts the token that was made before", function()
    gate:restart()
    assert.equal("active", gate:api("GET", "/user/tokens/verify").status)
  end)
end)
