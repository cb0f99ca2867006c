local support = require "spec.support.admin"

describe("moongate.admin.store.sqlite", function()
  local store, base, data, path

  before_each(function()
    store = require "moongate.admin.store"
    base = support.directory()
    data, path = base .. "/data", base .. "/data/moongate.db"
  end)

  after_each(function() os.execute("rm -rf " .. base) end)

  local function mode(name)
    local pipe = assert(io.popen("stat -c %a " .. name))
    local text = pipe:read("*l")
    pipe:close()
    return text
  end

  local function fill(bytes)
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
    os.execute("chmod 600 " .. path)
  end

  describe("open()", function()
    it("makes the directory and all files for their owner only", function()
      os.execute("umask 022")
      local opened = assert(store.open { data_dir = data })
      opened:write(function(tx) return tx:generation() end)
      assert.equal("700", mode(data))
      assert.equal("600", mode(path))
      assert.equal("600", mode(path .. "-wal"))
      opened:close()
    end)

    it("refuses a directory that others can write to", function()
      os.execute("mkdir -m 777 " .. data)
      local opened, diag = store.open { data_dir = data }
      assert.is_nil(opened)
      assert.equal(data, diag.where)
      assert.truthy(diag.text:find("chmod 700", 1, true))
    end)

    it("refuses a database that others can read", function()
      assert(store.open { data_dir = data }):close()
      os.execute("chmod 644 " .. path)
      local opened, diag = store.open { data_dir = data }
      assert.is_nil(opened)
      assert.equal(path, diag.where)
      assert.truthy(diag.text:find("chmod 600", 1, true))
    end)

    it("refuses a directory whose parent is not there", function()
      local opened, diag = store.open { data_dir = base .. "/no/where" }
      assert.is_nil(opened)
      assert.truthy(diag.text:find("No such file", 1, true))
    end)

    it("refuses a file that is no database, and leaves it alone", function()
      os.execute("mkdir -m 700 " .. data)
      local garbage = ("garbage "):rep(1000)
      fill(garbage)
      local opened, diag = store.open { data_dir = data }
      assert.is_nil(opened)
      assert.equal(path, diag.where)
      assert.truthy(diag.text:find("not a database", 1, true))
      local file = assert(io.open(path, "rb"))
      assert.equal(garbage, file:read("*a"))
      file:close()
    end)

    it("refuses a database with flipped bytes", function()
      local opened = assert(store.open { data_dir = data })
      opened:close()
      local file = assert(io.open(path, "rb"))
      local bytes = file:read("*a")
      file:close()
      -- Page 3 and on hold the tables; the first page keeps the file looking like a database.
      fill(bytes:sub(1, 8192) .. ("\255"):rep(4096) .. bytes:sub(12289))
      local again, diag = store.open { data_dir = data }
      assert.is_nil(again)
      assert.equal(path, diag.where)
      assert.truthy(diag.text:find("restore a copy", 1, true))
    end)
  end)
end)
