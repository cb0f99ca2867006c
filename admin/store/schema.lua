--- moongate.admin.store.schema — the tables, as a list of migrations that only grows.
--
-- Called by store/init.lua at open. Each migration is a file of its own in migrations/; version n of the schema is
-- what migrations 1…n made, and a database of a newer version is refused. Uniqueness, references and quotas are
-- constraints and triggers there, so that no check-then-write stands between two writers. Trigger messages are
-- `quota:NAME`, `in_use:NAME`, `taken:NAME` (store/sqlite.lua turns them into refusals). Times are text in the form
-- of the API (UTC, microseconds), which sorts as it reads; booleans are 0 and 1.

local M = {}

local APPLICATION_ID = 1297042279 -- "MOOg", marks the file as ours

--- One entry per schema version: statements, run in order inside one transaction.
M.migrations = {
  require "moongate.admin.store.migrations.01_resources",
  require "moongate.admin.store.migrations.02_identity",
  require "moongate.admin.store.migrations.03_secrets",
  require "moongate.admin.store.migrations.04_rulesets",
  require "moongate.admin.store.migrations.05_custom_certificates",
  require "moongate.admin.store.migrations.06_managed_ca",
  require "moongate.admin.store.migrations.07_origin_pulls",
  require "moongate.admin.store.migrations.08_access",
  require "moongate.admin.store.migrations.09_hostname_options",
  require "moongate.admin.store.migrations.10_settings",
  require "moongate.admin.store.migrations.11_dns_records",
  require "moongate.admin.store.migrations.12_certificate_denials",
  require "moongate.admin.store.migrations.13_managed_headers",
  require "moongate.admin.store.migrations.14_vanity_name_servers",
  require "moongate.admin.store.migrations.15_revocation_lists",
  require "moongate.admin.store.migrations.16_custom_hostnames",
  require "moongate.admin.store.migrations.17_alerts",
}

local function identity_of(connection)
  return {
    application = connection:script("PRAGMA application_id")[1].application_id,
    version = connection:script("PRAGMA user_version")[1].user_version,
    empty = connection:script("SELECT count(*) AS n FROM sqlite_master")[1].n == 0,
  }
end

local function migrate(connection, path, migrations)
  local found = identity_of(connection)
  if found.application ~= APPLICATION_ID and not (found.empty and found.application == 0) then
    return nil, { where = path, text = "this database belongs to another program; choose another data_dir" }
  end
  if found.version > #migrations then
    return nil, {
      where = path,
      text = ("the store was written by a newer moongate (schema %d, this one knows %d); use that version or restore "
        .. "a copy"):format(found.version, #migrations),
    }
  end
  if found.version == #migrations then return true end
  if found.version > 0 then connection:copy_to(("%s.before-%d"):format(path, found.version + 1)) end

  connection:begin(true)
  local ok, err = pcall(function()
    -- Read again under the lock: another process (the command line) may have been faster.
    for version = identity_of(connection).version + 1, #migrations do
      for _, statement in ipairs(migrations[version]) do connection:script(statement) end
      connection:script(("PRAGMA user_version=%d"):format(version))
    end
    connection:script(("PRAGMA application_id=%d"):format(APPLICATION_ID))
    connection:commit()
  end)
  if ok then return true end
  pcall(connection.rollback, connection)
  error(err, 0)
end

--- Brings the database up to the newest version, in one transaction, after copying an older one aside.
---@param connection table
---@param path string for messages, and where the copy goes (`PATH.before-N`)
---@param migrations string[][]|nil the list to use instead of M.migrations
---@return true|nil
---@return { where: string, text: string }|nil
function M.migrate(connection, path, migrations)
  local called, ok, diag = pcall(migrate, connection, path, migrations or M.migrations)
  if called then return ok, diag end
  if type(ok) == "table" and ok.store then
    return nil, { where = path, text = "the store's schema cannot be brought up to date: " .. ok.text }
  end
  error(ok, 0)
end

return M
