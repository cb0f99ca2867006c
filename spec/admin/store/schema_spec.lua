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
