-- `moongate secrets rotate`, on a store that a gateway has written and goes on using.

local certs = require "spec.support.certs"
local support = require "spec.support.admin"

local function collector()
  local parts = {}
  return {
    write = function(self, ...)
      for index = 1, select("#", ...) do parts[#parts + 1] = tostring((select(index, ...))) end
      return self
    end,
    text = function() return table.concat(parts) end,
  }
end

describe("moongate.cli.secrets", function()
  local gate, path

  before_each(function()
    gate = assert(support.start())
    path = gate.directory .. "/moongate.lua"
    local file = assert(io.open(path, "wb"))
    file:write('return { data_dir = "data" }\n')
    file:close()
  end)
  after_each(function() gate:close() end)

  local function run(...)
    local host = { stdin = collector(), stdout = collector(), stderr = collector(), control = support.control() }
    local code = require("moongate.cli").main({ ... }, host)
    return { code = code, out = host.stdout.text(), err = host.stderr.text() }
  end

  it("seals the keys anew while the gateway runs, which goes on with the fresh key", function()
    local function upload(name)
      local leaf = certs.leaf(nil, { cn = name })
      local answer = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id),
        { ca = false, certificates = leaf.pem, private_key = leaf.key })
      assert.equal(200, answer.status)
    end
    upload "one"
    assert.same({ code = 0, out = "1 secret sealed with the newest key\n", err = "" },
      run("secrets", "rotate", "-c", path))
    upload "two"
    assert.same({ code = 0, out = "2 secrets sealed with the newest key\n", err = "" },
      run("secrets", "rotate", "-c", path))
    gate.app.store:read(function(tx)
      for _, row in ipairs(tx:all "SELECT id, private_key FROM mtls_certificates") do
        assert.is_true(gate.control.can_open(row.private_key, "mtls_certificates:private_key:" .. row.id))
      end
      return true
    end)
  end)

  it("says what is wrong with the key file and changes nothing", function()
    local file = assert(io.open(gate.directory .. "/data/secrets.key", "wb"))
    file:write("nonsense\n")
    file:close()
    local result = run("secrets", "rotate", "-c", path)
    assert.equal(1, result.code)
    assert.truthy(result.err:find("^moongate: .*secrets%.key: key 1 is not the base64 text of 32 bytes\n$"))
  end)

  for _, case in ipairs { { "secrets" }, { "secrets", "rotate", "KEY" }, { "secrets", "show" } } do
    it(("refuses `moongate %s` as wrong usage"):format(table.concat(case, " ")), function()
      assert.equal(2, run(unpack(case)).code)
    end)
  end

  for _, case in ipairs { { "secrets", "-h" }, { "secrets", "rotate", "-h" } } do
    it("helps with " .. table.concat(case, " "), function()
      assert.truthy(run(unpack(case)).out:find("^Usage: moongate"))
    end)
  end
end)
