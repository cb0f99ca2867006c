--- moongate.admin.store — the contract of the store, and the one function that opens it.
--
-- The store owns every resource of the admin API: accounts, tokens, zones, certificates, associations, rulesets,
-- origins. The resources, boot.lua and the command line call it; nothing on the request path of the world does. A
-- database client (store/sqlite.lua) gives a connection with the verbs below; everything above is the same for each
-- of them:
--
--   connection:all(sql, …)  → rows      connection:one(sql, …) → row | nil
--   connection:run(sql, …)  → affected | nil, refusal      (a refusal is a broken constraint: { kind =, name = })
--   connection:begin(writing) · commit() · rollback() · close() · columns are strings and numbers below 2^31
--
-- What the world does to a database (disk full, locked, corrupt) is raised by those verbs as { store = kind, text = …
-- } and comes out of transaction functions as a value; nobody else catches it. Values travel as parameters only,
-- never in SQL text.

local M = {}

---@class moongate.store.refusal
---@field kind string `unique`, `quota`, `in_use`, `reference` or `check`
---@field name string the constraint: `zones.name`, or the word after the colon of a trigger's message

---@class moongate.store.failure
---@field store string `busy`, `full`, `readonly`, `corrupt`, `io`
---@field text string for people

local Transaction = {}
Transaction.__index = Transaction

---@return table[] rows each keyed by column name; SQL NULL is an absent key
function Transaction:all(sql, ...)
  return self.connection:all(sql, ...)
end

---@return table|nil row the first row
function Transaction:one(sql, ...)
  return self.connection:one(sql, ...)
end

---@return integer|nil affected
---@return moongate.store.refusal|nil
function Transaction:run(sql, ...)
  if not self.writing then error("a reading transaction was asked to write", 2) end
  return self.connection:run(sql, ...)
end

--- The generation that this transaction sees. A writing one counts it up at its first call, so that every row written
--- under it carries one number; the count itself lives and dies with the transaction.
---@return integer
function Transaction:generation()
  if self.number then return self.number end
  if self.writing then
    assert(self:run("UPDATE meta SET generation = generation + 1 WHERE id = 1"))
  end
  -- As text, because the client library hands integers out as 32 bits.
  self.number = tonumber(self:one("SELECT CAST(generation AS TEXT) AS generation FROM meta WHERE id = 1").generation)
  return self.number
end

--- Marks a zone as changed: its document must be built again. Called by every write below a zone.
---@param zone_id string
function Transaction:touch(zone_id)
  assert(self:run("UPDATE zones SET generation = ? WHERE id = ?", self:generation(), zone_id))
  self.touched[zone_id] = true
end

--- Marks a zone as gone, after its row was deleted.
---@param zone_id string
function Transaction:forget(zone_id)
  self:generation()
  self.touched[zone_id] = nil
  self.removed[zone_id] = true
end

local Store = {}
Store.__index = Store

local function transact(self, writing, work)
  local connection = self.connection
  local tx = setmetatable({ connection = connection, writing = writing, touched = {}, removed = {} }, Transaction)
  local began, keep, first, second = false, nil, nil, nil
  local ok, raised = xpcall(function()
    connection:begin(writing)
    began = true
    keep, first, second = work(tx)
    if keep or not writing then connection:commit() else connection:rollback() end
  end, function(err)
    if type(err) == "table" and err.store then return err end
    return debug.traceback(err, 2)
  end)
  if ok then return keep, first, second end
  if began then pcall(connection.rollback, connection) end
  if type(raised) == "table" then return nil, raised end
  error(raised, 0)
end

--- Runs `work(tx)` in one consistent view. Returns what it returns, or nil and a failure.
---@param work fun(tx: table): ...
function Store:read(work)
  return transact(self, false, work)
end

--- Runs `work(tx)` in one exclusive transaction: what it writes is kept, durably, when its first result is true, and
--- undone when that is nil or false, or when it raises. Returns what it returns (three values at most), or nil and a
--- failure.
---@param work fun(tx: table): ...
function Store:write(work)
  return transact(self, true, work)
end

function Store:close()
  if self.connection then self.connection:close() end
  self.connection = nil
end

---@param failure any second result of read() or write()
---@return boolean
function M.is_failure(failure)
  return type(failure) == "table" and failure.store ~= nil
end

--- Opens the store in `data_dir`, making it when there is none, and brings its schema up to date.
---@param options { data_dir: string, migrations: table|nil }
---@return table|nil store
---@return { where: string, text: string }|nil
function M.open(options)
  local sqlite = require "moongate.admin.store.sqlite"
  local schema = require "moongate.admin.store.schema"
  local path = options.data_dir .. "/moongate.db"
  local connection, diag = sqlite.open(path)
  if not connection then return nil, diag end
  local ok, err = schema.migrate(connection, path, options.migrations)
  if not ok then
    connection:close()
    return nil, err
  end
  return setmetatable({ connection = connection, path = path }, Store)
end

return M
