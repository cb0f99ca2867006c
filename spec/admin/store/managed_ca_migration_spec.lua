-- Hostname associations of a store from before there were managed CAs: kept, and guarded by triggers as they were by the
-- reference that they lost.

local support = require "spec.support.admin"

local function uuid(digit) return ("%s-0000-4000-8000-000000000000"):format(digit:rep(8)) end

describe("moongate.admin.store.migrations.06_managed_ca", function()
  local store, schema, directory, opened
  local A, B, Z = ("a"):rep(32), ("b"):rep(32), ("c"):rep(32)

  local function before_managed()
    local list = {}
    for index, migration in ipairs(schema.migrations) do
      if migration == require "moongate.admin.store.migrations.06_managed_ca" then return list end
      list[index] = migration
    end
  end

  local function certificate(tx, id, account, ca)
    assert(tx:run("INSERT INTO mtls_certificates (id, account_id, ca, certificates, fingerprint, issuer, signature, "
      .. "serial_number, type, uploaded_on, expires_on) VALUES (?, ?, ?, 'pem', ?, 'i', 's', '1', 'custom', 'now', 'then')",
      id, account, ca, id .. ("0"):rep(28)))
  end

  local function associate(tx, position, ca)
    return tx:run("INSERT INTO hostname_associations (zone_id, certificate_id, position, hostname, updated_on) "
      .. "VALUES (?, ?, ?, ?, 'now')", Z, ca, position, position .. ".z.test")
  end

  before_each(function()
    store, schema = require "moongate.admin.store", require "moongate.admin.store.schema"
    directory = support.directory() .. "/data"
    local old = assert(store.open { data_dir = directory, migrations = before_managed() })
    assert(old:write(function(tx)
      for _, account in ipairs { A, B } do
        assert(tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, 'a', 'enterprise', 'now')", account))
      end
      assert(tx:run("INSERT INTO zones (id, account_id, name, reversed, type, generation, created_on, modified_on) "
        .. "VALUES (?, ?, 'z.test', 'test.z.', 'full', 0, 'now', 'now')", Z, A))
      certificate(tx, uuid "1", A, 1)
      certificate(tx, uuid "2", A, 0)
      certificate(tx, uuid "3", B, 1)
      for position = 1, 3 do assert(associate(tx, position, uuid "1")) end
      return true
    end))
    old:close()
    opened = assert(store.open { data_dir = directory })
  end)

  after_each(function()
    opened:close()
    os.execute("rm -rf " .. directory:match("^(.*)/data$"))
  end)

  it("keeps every row, in order", function()
    opened:read(function(tx)
      local names = {}
      for index, row in ipairs(tx:all("SELECT hostname FROM hostname_associations ORDER BY position")) do names[index] = row.hostname end
      assert.same({ "1.z.test", "2.z.test", "3.z.test" }, names)
      return true
    end)
  end)

  it("still keeps a CA in use from being deleted, until it is not", function()
    opened:write(function(tx)
      local gone, refusal = tx:run("DELETE FROM mtls_certificates WHERE id = ?", uuid "1")
      assert.is_nil(gone)
      assert.same({ kind = "in_use", name = "mtls_certificates" }, refusal)
      assert(tx:run("DELETE FROM hostname_associations"))
      return assert(tx:run("DELETE FROM mtls_certificates WHERE id = ?", uuid "1"))
    end)
  end)

  for title, id in pairs { ["a leaf"] = uuid "2", ["another account's CA"] = uuid "3", ["a CA that is nowhere"] = uuid "4" } do
    it("still refuses " .. title, function()
      opened:write(function(tx)
        local made, refusal = associate(tx, 9, id)
        assert.is_nil(made)
        assert.equal("in_use", refusal.kind)
      end)
    end)
  end

  it("takes the managed CA of the account, and not another's", function()
    opened:write(function(tx)
      for id, account in pairs { [uuid "5"] = A, [uuid "6"] = B } do
        assert(tx:run("INSERT INTO managed_cas (id, account_id, name, certificate, fingerprint, private_key, created_on, "
          .. "expires_on) VALUES (?, ?, 'n', 'pem', ?, 'm1:', 'now', 'then')", id, account, ("0"):rep(64)))
      end
      assert.truthy(associate(tx, 9, uuid "5"))
      assert.is_nil((associate(tx, 10, uuid "6")))
    end)
  end)

  it("lets the associations of a zone go with it", function()
    opened:write(function(tx)
      assert(tx:run("DELETE FROM zones WHERE id = ?", Z))
      assert.equal(0, tx:one("SELECT count(*) AS n FROM hostname_associations").n)
    end)
  end)

  it("refuses a second managed CA of one account", function()
    opened:write(function(tx)
      local sql = "INSERT INTO managed_cas (id, account_id, name, certificate, fingerprint, private_key, created_on, "
        .. "expires_on) VALUES (?, ?, 'n', 'pem', ?, 'm1:', 'now', 'then')"
      assert(tx:run(sql, uuid "5", A, ("0"):rep(64)))
      local made, refusal = tx:run(sql, uuid "6", A, ("1"):rep(64))
      assert.is_nil(made)
      assert.equal("unique", refusal.kind)
    end)
  end)
end)
