-- Private keys at rest: what is in the store, at start with the wrong keys, at a rotation.

local certs = require "spec.support.certs"
local support = require "spec.support.admin"

local VARIABLE = "MOONGATE_SECRETS_KEY"

describe("moongate.admin.secrets", function()
  local secrets, gate, root, leaf
  local tls = require "spec.support.cdef_tls"

  setup(function()
    root = certs.ca "Secrets Root"
    leaf = certs.leaf(root, { cn = "worker" })
  end)

  before_each(function()
    secrets = require "moongate.admin.secrets"
    tls.C.unsetenv(VARIABLE)
    gate = assert(support.start())
  end)
  after_each(function()
    gate:close()
    tls.C.unsetenv(VARIABLE)
  end)

  local function upload(one)
    local answer = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id),
      { ca = false, certificates = one.pem, private_key = one.key })
    assert(answer.status == 200, answer.raw)
    return answer.body.result.id
  end

  local function sealed_of(id)
    return gate.app.store:read(function(tx)
      return tx:one("SELECT private_key FROM mtls_certificates WHERE id = ?", id).private_key
    end)
  end

  -- The gate's store, started again with what is in its directory now.
  local function again(config)
    gate.app:stop()
    local next_gate, diag = support.start { directory = gate.directory, config = config }
    if next_gate then gate = next_gate end
    return next_gate, diag
  end

  local function key_path() return gate.directory .. "/data/secrets.key" end

  local function found(text)
    local pipe = io.popen(("grep -c -a -F -- '%s' %s/data/*"):format(text, gate.directory))
    local counts = pipe:read("*a")
    pipe:close()
    return counts:find(":[1-9]") ~= nil
  end

  it("every column that it names is there, and holds text", function()
    gate.app.store:read(function(tx)
      for _, place in ipairs(secrets.COLUMNS) do
        assert.truthy(tx:all(("SELECT %s, %s FROM %s"):format(place.key, place.column, place.table)))
      end
      return true
    end)
  end)

  it("every column of the store that is called private_key is named", function()
    local named = {}
    for _, place in ipairs(secrets.COLUMNS) do named[place.table] = place.column end
    gate.app.store:read(function(tx)
      for _, row in ipairs(tx:all("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%private_key%'")) do
        assert.equal("private_key", named[row.name], row.name)
      end
      return true
    end)
  end)

  describe("at rest", function()
    it("a key is sealed for its own row", function()
      local id = upload(leaf)
      local sealed = sealed_of(id)
      assert.equal(leaf.key, gate.control.open(sealed, "mtls_certificates:private_key:" .. id))
      assert.is_nil((gate.control.open(sealed, "mtls_certificates:private_key:" .. root.pem)))
    end)

    it("no line of a key stands in any file or in the log", function()
      upload(leaf)
      gate.app:tick()
      for line in leaf.key:gmatch("[^\n]+") do
        if not line:find("-----", 1, true) then
          assert.is_false(found(line))
          assert.is_false(gate:logged(line))
        end
      end
      assert.is_true(found("m1:"))
    end)

    it("the key of a CA is not stored at all", function()
      local answer = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id),
        { ca = true, certificates = root.pem, private_key = root.key })
      assert.is_nil(sealed_of(answer.body.result.id))
    end)

    it("what cannot be sealed is not stored", function()
      gate.control.seal = function() return nil, { where = "secrets", text = "no room" } end
      local answer = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id),
        { ca = false, certificates = leaf.pem, private_key = leaf.key })
      assert.equal(500, answer.status)
      assert.equal(0, gate:call("GET", ("/accounts/%s/mtls_certificates"):format(gate.account_id)).body.result_info.total_count)
    end)
  end)

  describe("at start", function()
    it("makes the key file once, readable by its owner only", function()
      local pipe = io.popen("stat -c %a " .. key_path())
      assert.equal("600\n", pipe:read("*a"))
      pipe:close()
      upload(leaf)
      assert.truthy(again())
    end)

    it("makes a new file while nothing is sealed", function()
      os.remove(key_path())
      assert.truthy(again())
      assert.truthy(io.open(key_path()))
    end)

    it("refuses a missing file as soon as something is sealed, also when the last good snapshot would do", function()
      upload(leaf)
      os.remove(key_path())
      for _, config in ipairs { {}, { serve_without_store = true } } do
        local started, diag = again(config)
        assert.is_nil(started)
        assert.equal(key_path(), diag.where)
        assert.truthy(diag.text:find("missing", 1, true))
        assert.is_nil(io.open(key_path()))
      end
    end)

    it("refuses another key, and names the row", function()
      local id = upload(leaf)
      tls.C.setenv(VARIABLE, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", 1)
      local started, diag = again()
      assert.is_nil(started)
      assert.equal("secrets", diag.where)
      assert.truthy(diag.text:find("mtls_certificates:private_key:" .. id, 1, true))
      assert.truthy(diag.text:find("is not among the keys given", 1, true))
    end)

    it("refuses a seal that was put into another row", function()
      local one, two = upload(leaf), upload(certs.leaf(root, { cn = "other" }))
      local sealed = sealed_of(one)
      gate.app.store:write(function(tx) return tx:run("UPDATE mtls_certificates SET private_key = ? WHERE id = ?", sealed, two) end)
      local started, diag = again()
      assert.is_nil(started)
      assert.truthy(diag.text:find(two .. " cannot be opened", 1, true))
    end)

    it("serves the last good snapshot without a key file when the store is gone", function()
      gate:zone "heron.test"
      gate.app:tick()
      gate.app:stop()
      os.remove(key_path())
      os.execute(("rm %s/data/moongate.db* && mkdir %s/data/moongate.db"):format(gate.directory, gate.directory))
      local started = assert(support.start { directory = gate.directory, config = { serve_without_store = true } })
      assert.truthy(started.control.served["heron.test"])
      assert.is_true(started:logged("secrets: "))
    end)
  end)

  describe("rotate()", function()
    it("seals everything with a fresh key, in one go", function()
      local ids = { upload(leaf), upload(certs.leaf(root, { cn = "other" })) }
      local before = { sealed_of(ids[1]), sealed_of(ids[2]) }
      assert.equal(2, secrets.rotate(gate.app.store, gate.control))
      for index, id in ipairs(ids) do
        assert.not_equal(before[index]:sub(1, 20), sealed_of(id):sub(1, 20))
        assert.is_true(gate.control.is_newest(sealed_of(id)))
      end
      assert.equal(leaf.key, gate.control.open(sealed_of(ids[1]), "mtls_certificates:private_key:" .. ids[1]))
      assert.truthy(again())
    end)

    it("changes nothing when one secret cannot be opened", function()
      local id = upload(leaf)
      gate.app.store:write(function(tx)
        return tx:run("UPDATE mtls_certificates SET private_key = private_key || 'AAAA' WHERE id = ?", id)
      end)
      gate.control.is_newest = function() return false end
      local before = sealed_of(id)
      local file = assert(io.open(key_path())):read("*a")
      local count, diag = secrets.rotate(gate.app.store, gate.control)
      assert.is_nil(count)
      assert.equal("secrets", diag.where)
      assert.equal(before, sealed_of(id))
      assert.equal(file, assert(io.open(key_path())):read("*a"))
    end)

    it("uses the first key of the environment and makes none", function()
      local old, new = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
      tls.C.setenv(VARIABLE, old, 1)
      assert.truthy(again())
      local id = upload(leaf)
      tls.C.setenv(VARIABLE, new .. "," .. old, 1)
      assert.truthy(again())
      assert.equal(1, secrets.rotate(gate.app.store, gate.control))
      assert.equal(0, secrets.rotate(gate.app.store, gate.control))
      tls.C.setenv(VARIABLE, new, 1)
      assert.truthy(again())
      assert.equal(leaf.key, gate.control.open(sealed_of(id), "mtls_certificates:private_key:" .. id))
    end)
  end)
end)
