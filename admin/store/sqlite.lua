--- moongate.admin.store.sqlite — one SQLite database behind the verbs of the store's contract.
--
-- Called by store/init.lua only. Goes through LuaDBI, whose habits are fenced in here: it opens transactions by
-- itself unless told not to, hands integers out as 32 bits, ends strings at a NUL, raises some errors and returns
-- others, and leaves a statement running until its last row is read. Statements are prepared once per SQL text and
-- kept, up to a number. Never builds SQL from values.

local DBI = require "DBI"
local files = require "moongate.admin.store.files"

local M = {}

local BUSY_MS = 5000
local STATEMENTS = 1000 -- kept prepared; filters of lists can be combined in more ways

-- What SQLite says, first match wins → kind of failure (the contract in store/init.lua).
local FAILURES = {
  { "database is locked", "busy" },
  { "database or disk is full", "full" },
  { "readonly database", "readonly" },
  { "malformed", "corrupt" },
  { "file is not a database", "corrupt" },
}

-- What SQLite says about a broken constraint → kind of refusal.
local REFUSALS = {
  { "^UNIQUE constraint failed: ([%w_%.]+)", "unique" },
  { "^FOREIGN KEY constraint failed()", "reference" },
  { "^NOT NULL constraint failed: ([%w_%.]+)", "check" },
  { "^CHECK constraint failed: (.+)", "check" },
  { "^quota:([%w_]+)", "quota" },
  { "^in_use:([%w_]+)", "in_use" },
  { "^taken:([%w_]+)", "unique" },
}

local function plain(message)
  return (tostring(message):gsub("^.-Execute failed ", ""):gsub("^.-Fetch failed ", "")
    :gsub("^Error preparing statement handle: ", ""):gsub("%s+$", ""))
end

local function refusal_of(message)
  for _, pattern in ipairs(REFUSALS) do
    local name = message:match(pattern[1])
    if name then return { kind = pattern[2], name = type(name) == "string" and name or "" } end
  end
end

local function fail(message)
  for _, pattern in ipairs(FAILURES) do
    if message:find(pattern[1], 1, true) then error({ store = pattern[2], text = message }, 0) end
  end
  error({ store = "io", text = message }, 0)
end

local Connection = {}
Connection.__index = Connection

local function forget_statements(self)
  for _, statement in pairs(self.statements) do statement:close() end
  self.statements, self.statement_count = {}, 0
end

local function statement_for(self, sql)
  local statement = self.statements[sql]
  if statement then return statement end
  -- None is in use here: every answer is read to its end before the next question.
  if self.statement_count >= STATEMENTS then forget_statements(self) end
  local err
  statement, err = self.handle:prepare(sql)
  if not statement then fail(plain(err)) end
  self.statements[sql], self.statement_count = statement, self.statement_count + 1
  return statement
end

-- A statement that failed would report the same failure once more at its next use.
local function discard(self, sql)
  local statement = self.statements[sql]
  self.statements[sql] = nil
  pcall(statement.close, statement)
end

local function execute(self, sql, ...)
  for position = 1, select("#", ...) do
    local value = select(position, ...)
    if type(value) == "string" and value:find("\0", 1, true) then
      error("a NUL byte on its way into the database: " .. sql, 0)
    end
  end
  local statement = statement_for(self, sql)
  local called, ok, err = pcall(statement.execute, statement, ...)
  if called and ok then return statement end
  discard(self, sql)
  if not called then fail(plain(ok)) end
  return nil, plain(err)
end

-- Reads to the last row: a statement left in the middle would hold its view of the database open.
local function drain(self, sql, statement)
  local rows = {}
  local ok, err = pcall(function()
    local row = statement:fetch(true)
    while row do
      rows[#rows + 1] = row -- a table of its own each
      row = statement:fetch(true)
    end
  end)
  if not ok then
    discard(self, sql)
    fail(plain(err))
  end
  return rows
end

function Connection:all(sql, ...)
  local statement, message = execute(self, sql, ...)
  if not statement then fail(message) end
  return drain(self, sql, statement)
end

function Connection:one(sql, ...)
  return self:all(sql, ...)[1]
end

function Connection:run(sql, ...)
  local statement, message = execute(self, sql, ...)
  if not statement then
    local refusal = refusal_of(message)
    if refusal then return nil, refusal end
    fail(message)
  end
  drain(self, sql, statement)
  return statement:affected()
end

--- Statements that are used once and may need the whole database (migrations, pragmas). Raises on any trouble.
function Connection:script(sql)
  local rows = self:all(sql)
  self.statements[sql]:close()
  self.statements[sql] = nil
  return rows
end

function Connection:begin(writing)
  self:all(writing and "BEGIN IMMEDIATE" or "BEGIN")
end

function Connection:commit()
  self:all("COMMIT")
end

function Connection:rollback()
  self:all("ROLLBACK")
end

--- Writes a copy of the whole database beside it, readable by its owner only. Not inside a transaction.
---@param path string must not exist
function Connection:copy_to(path)
  files.with_private_mask(function()
    self:all("VACUUM INTO ?", path)
  end)
end

function Connection:close()
  forget_statements(self)
  if self.handle then self.handle:close() end
  self.handle = nil
end

local function prepare_connection(self, path)
  -- Before anything else, so that a second process at work means waiting and not failing.
  self:script(("PRAGMA busy_timeout=%d"):format(BUSY_MS))
  local checked = self:script("PRAGMA quick_check")
  if not checked[1] or checked[1].quick_check ~= "ok" then
    return nil, "the database is damaged: " .. tostring(checked[1] and checked[1].quick_check)
      .. "; restore a copy of it, nothing was changed"
  end
  local mode = self:script("PRAGMA journal_mode=WAL")
  if not mode[1] or mode[1].journal_mode ~= "wal" then
    return nil, "the file system does not support SQLite's write-ahead log; keep the store on a local disk"
  end
  self:script("PRAGMA synchronous=FULL")
  self:script("PRAGMA foreign_keys=ON")
  if self:script("PRAGMA foreign_keys")[1].foreign_keys ~= 1 then
    return nil, "this SQLite library was built without foreign keys"
  end
  self.path = path
  return true
end

--- Opens or makes the database file; its directory is made when missing (0700), the file is 0600.
---@param path string
---@return table|nil connection
---@return { where: string, text: string }|nil
function M.open(path)
  local directory = path:match("^(.*)/[^/]*$") or "."
  local ok, err = files.private_directory(directory)
  if not ok then return nil, { where = directory, text = err } end
  ok, err = files.private_file(path)
  if not ok then return nil, { where = path, text = err } end

  local handle, message = DBI.Connect("SQLite3", path)
  if not handle then return nil, { where = path, text = "the store cannot be opened: " .. tostring(message) } end
  handle:autocommit(true) -- transactions are ours; the library's own would begin at the first pragma
  local self = setmetatable({ handle = handle, statements = {}, statement_count = 0 }, Connection)

  local called, fine, why = pcall(prepare_connection, self, path)
  if called and fine then return self end
  pcall(self.close, self)
  if called then return nil, { where = path, text = why } end
  local failure = fine
  if type(failure) == "table" and failure.store then
    local advice = failure.store == "corrupt" and "; restore a copy of it, nothing was changed" or ""
    return nil, { where = path, text = "the store cannot be opened: " .. failure.text .. advice }
  end
  error(failure, 0)
end

return M
