local support = require "spec.support.admin"

describe("moongate.admin.store.schema", function()
  local store, schema, directory, path

  before_each(function()
    store, schema = require "moongate.admin.store", require "moongate.admin.store.schema"
    directory = support.directory() .. "/data"
    path = directory .. "/moongate.db"
  end)

  after_each(function() os.execute("rm -rf " .. directory:match("^(.*)/data$")) end)

  local function with(extra)
    local list = {}
    for index, migration in ipairs(schema.migrations) do list[index] = migration end
    for _, migration in ipairs(extra) do list[#list + 1] = migration end
    return list
  end

  local function version(opened) return opened.connection:script("PRAGMA user_version")[1].user_version end

  local function exists(name)
    local file = io.open(name, "rb")
    if file then file:close() end
    return file ~= nil
  end

  it("brings an empty file to the newest version", function()
    local opened = assert(store.open { data_dir = directory })
    assert.equal(#schema.migrations, version(opened))
    assert.is_false(exists(path .. ".before-1"))
    opened:close()
  end)

  it("brings an older store forward and keeps its rows and a copy of it", function()
    local opened = assert(store.open { data_dir = directory })
    opened:write(function(tx) return tx:run("UPDATE meta SET generation = 7") end)
    opened:close()
    local newer = with { { "ALTER TABLE meta ADD COLUMN colour TEXT DEFAULT 'blue'" } }
    opened = assert(store.open { data_dir = directory, migrations = newer })
    assert.equal(#schema.migrations + 1, version(opened))
    local row = opened:read(function(tx) return tx:one("SELECT generation, colour FROM meta") end)
    assert.same({ generation = 7, colour = "blue" }, row)
    opened:close()
    assert.is_true(exists(path .. (".before-%d"):format(#schema.migrations + 1)))
  end)

  it("keeps the audit log of a store that did not know owners, and finds them in its paths", function()
    local A, Z = ("a"):rep(32), ("c"):rep(32)
    local opened = assert(store.open { data_dir = directory, migrations = { schema.migrations[1] } })
    opened:write(function(tx)
      assert(tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, 'a', 'enterprise', 'now')", A))
      assert(tx:run("INSERT INTO zones (id, account_id, name, reversed, type, generation, created_on, modified_on) "
        .. "VALUES (?, ?, 'z.test', 'test.z.', 'full', 0, 'now', 'now')", Z, A))
      for _, row in ipairs {
        { "POST /zones", "/client/v4/zones" },
        { "PUT /zones/{zone_id}/moongate/origins/{hostname}", "/client/v4/zones/" .. Z .. "/moongate/origins/x" },
        { "DELETE /accounts/{account_id}/mtls_certificates/{certificate_id}", "/client/v4/accounts/" .. A .. "/mtls" },
      } do
        assert(tx:run("INSERT INTO audit (at, token_id, address, ray, action, object, generation) "
          .. "VALUES ('2026-01-01T00:00:00.000000Z', 't', '::1', 'r', ?, ?, 1)", row[1], row[2]))
      end
      return true
    end)
    opened:close()
    opened = assert(store.open { data_dir = directory })
    local rows = opened:read(function(tx) return tx:all("SELECT * FROM audit ORDER BY id") end)
    opened:close()
    local verbs, owners, uids = {}, {}, {}
    for index, row in ipairs(rows) do
      verbs[index], owners[index], uids[row.uid] = row.verb, row.account_id or "none", true
      assert.truthy(row.uid:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-8%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"))
      assert.equal(1, row.result)
      assert.equal("t", row.token_id)
    end
    assert.same({ "create", "update", "delete" }, verbs)
    assert.same({ "none", A, A }, owners)
    assert.is_truthy(next(uids, next(uids, next(uids))))
  end)

  it("leaves the store as it was when a migration fails", function()
    assert(store.open { data_dir = directory }):close()
    local broken = with { { "ALTER TABLE meta ADD COLUMN colour TEXT", "CREATE TABLE zones (x)" } }
    local opened, diag = store.open { data_dir = directory, migrations = broken }
    assert.is_nil(opened)
    assert.equal(path, diag.where)
    assert.truthy(diag.text:find("already exists", 1, true))
    opened = assert(store.open { data_dir = directory })
    assert.equal(#schema.migrations, version(opened))
    assert.is_nil(opened.connection:script("SELECT * FROM meta")[1].colour)
    opened:close()
  end)

  it("refuses a store of a newer version and does not touch it", function()
    assert(store.open { data_dir = directory, migrations = with { { "CREATE TABLE future (x)" } } }):close()
    local opened, diag = store.open { data_dir = directory }
    assert.is_nil(opened)
    assert.truthy(diag.text:find("newer moongate", 1, true))
    opened = assert(store.open { data_dir = directory, migrations = with { { "CREATE TABLE future (x)" } } })
    assert.equal(#schema.migrations + 1, version(opened))
    opened:close()
  end)

  it("refuses a database of another program", function()
    os.execute("mkdir -p -m 700 " .. directory)
    local file = assert(io.open(path, "wb"))
    file:close()
    os.execute("chmod 600 " .. path)
    local DBI = require "DBI"
    local other = assert(DBI.Connect("SQLite3", path))
    other:autocommit(true)
    assert(other:prepare("CREATE TABLE theirs (x)")):execute()
    other:close()
    local opened, diag = store.open { data_dir = directory }
    assert.is_nil(opened)
    assert.truthy(diag.text:find("another program", 1, true))
  end)
end)
