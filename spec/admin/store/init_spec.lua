local support = require "spec.support.admin"

local function sh(command) assert(os.execute(command) == 0 or true) end

describe("moongate.admin.store", function()
  local store, directory, opened

  before_each(function()
    store = require "moongate.admin.store"
    directory = support.directory()
    opened = assert(store.open { data_dir = directory .. "/data" })
  end)

  after_each(function()
    if opened then opened:close() end
    sh("rm -rf " .. directory)
  end)

  local function account(tx, id)
    return tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, 'a', 'enterprise', 'now')", id)
  end

  local function zone(tx, id, account_id, name)
    return tx:run("INSERT INTO zones (id, account_id, name, reversed, type, generation, created_on, modified_on) "
      .. "VALUES (?, ?, ?, ?, 'full', 0, 'now', 'now')", id, account_id, name, name)
  end

  local A, B, Z = ("a"):rep(32), ("b"):rep(32), ("c"):rep(32)

  describe("write()", function()
    it("keeps what was written when the work gives a result", function()
      assert.is_true((opened:write(function(tx) return account(tx, A) == 1 end)))
      assert.equal("a", opened:read(function(tx) return tx:one("SELECT name FROM accounts").name end))
    end)

    it("undoes everything when the work gives nil", function()
      local result, why = opened:write(function(tx)
        account(tx, A)
        tx:generation()
        return nil, "no"
      end)
      assert.is_nil(result)
      assert.equal("no", why)
      assert.is_nil((opened:read(function(tx) return tx:one("SELECT name FROM accounts") end)))
      assert.equal(0, opened:read(function(tx) return tx:generation() end))
    end)

    it("undoes everything when the work raises, and lets the error through", function()
      local ok, err = pcall(function()
        opened:write(function(tx)
          account(tx, A)
          error("a bug")
        end)
      end)
      assert.is_false(ok)
      assert.truthy(err:find("a bug", 1, true))
      assert.is_nil((opened:read(function(tx) return tx:one("SELECT name FROM accounts") end)))
      assert.is_true((opened:write(function(tx) return account(tx, A) == 1 end)))
    end)

    it("counts the generation up once, however often it is asked", function()
      local first, second = opened:write(function(tx) return tx:generation(), tx:generation() end)
      assert.equal(1, first)
      assert.equal(1, second)
      assert.equal(2, (opened:write(function(tx) return tx:generation() end)))
    end)

    it("counts generations beyond 32 bits", function()
      opened:write(function(tx) return tx:run("UPDATE meta SET generation = 5000000000") end)
      assert.equal(5000000001, (opened:write(function(tx) return tx:generation() end)))
    end)

    it("gives a touched zone the generation of the write", function()
      opened:write(function(tx)
        account(tx, A)
        return zone(tx, Z, A, "z.test")
      end)
      opened:write(function(tx)
        tx:touch(Z)
        assert.is_true(tx.touched[Z])
        return true
      end)
      local row = opened:read(function(tx) return tx:one("SELECT generation FROM zones") end)
      assert.equal(opened:read(function(tx) return tx:generation() end), row.generation)
    end)
  end)

  describe("read()", function()
    it("refuses to write", function()
      assert.has_error(function() opened:read(function(tx) tx:run("DELETE FROM zones") end) end)
    end)
  end)

  describe("run()", function()
    it("tells a broken uniqueness by its columns", function()
      opened:write(function(tx)
        account(tx, A)
        assert(zone(tx, Z, A, "z.test"))
        local made, refusal = zone(tx, B, A, "z.test")
        assert.is_nil(made)
        assert.equal("unique", refusal.kind)
        assert.truthy(refusal.name:find("^zones%."))
        return true
      end)
    end)

    it("tells a broken reference", function()
      opened:write(function(tx)
        local made, refusal = zone(tx, Z, A, "z.test")
        assert.is_nil(made)
        assert.equal("reference", refusal.kind)
      end)
    end)

    it("tells a broken check", function()
      opened:write(function(tx)
        local made, refusal = account(tx, "short")
        assert.is_nil(made)
        assert.equal("check", refusal.kind)
      end)
    end)

    it("works again right after a refusal", function()
      opened:write(function(tx)
        assert(account(tx, A))
        assert.is_nil((account(tx, A)))
        assert.equal(1, account(tx, B))
        return true
      end)
    end)

    it("refuses a NUL, which the client library would cut a string at", function()
      assert.has_error(function() opened:write(function(tx) return account(tx, "a\0b") end) end)
    end)

    it("keeps quotes and percent signs in values as they are", function()
      local text = [[' OR 1=1; -- %s "x" \]]
      opened:write(function(tx)
        return tx:run("INSERT INTO accounts (id, name, type, created_on) VALUES (?, ?, 'enterprise', 'now')", A, text)
      end)
      assert.equal(text, opened:read(function(tx) return tx:one("SELECT name FROM accounts WHERE name = ?", text).name end))
    end)
  end)

  context("when another process holds the write lock", function()
    it("fails as busy after waiting, and works again afterwards", function()
      local DBI = require "DBI"
      local other = assert(DBI.Connect("SQLite3", directory .. "/data/moongate.db"))
      other:autocommit(true)
      local function run(sql)
        local statement = assert(other:prepare(sql))
        assert(statement:execute())
        statement:close()
      end
      opened.connection:script("PRAGMA busy_timeout=20")
      run("BEGIN IMMEDIATE")
      local result, failure = opened:write(function() return true end)
      assert.is_nil(result)
      assert.is_true(store.is_failure(failure))
      assert.equal("busy", failure.store)
      run("ROLLBACK")
      other:close()
      assert.is_true((opened:write(function() return true end)))
    end)
  end)

  it("reads what another connection has committed", function()
    local second = assert(store.open { data_dir = directory .. "/data" })
    opened:read(function(tx) return tx:all("SELECT * FROM accounts") end)
    second:write(function(tx) return account(tx, A) end)
    assert.equal("a", opened:read(function(tx) return tx:one("SELECT name FROM accounts").name end))
    second:close()
  end)

  it("syncs fully and enforces references", function()
    local function pragma(name) return opened.connection:script("PRAGMA " .. name)[1][name] end
    assert.equal(2, pragma "synchronous")
    assert.equal(1, pragma "foreign_keys")
    assert.equal("wal", pragma "journal_mode")
  end)

  it("keeps a bounded number of statements prepared, and goes on in the same transaction", function()
    local total = opened:write(function(tx)
      account(tx, A)
      local sum = 0
      for number = 1, 1100 do sum = sum + tx:one(("SELECT %d AS n FROM accounts"):format(number)).n end
      return sum
    end)
    assert.equal(1100 * 1101 / 2, total)
    local kept = 0
    for _ in pairs(opened.connection.statements) do kept = kept + 1 end
    assert.is_true(kept <= 1000)
  end)
end)
