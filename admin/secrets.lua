--- moongate.admin.secrets — private keys and other secrets at rest: which columns hold them, how they are named, that
--- they can be opened.
--
-- The store holds sealed texts only (core/tls/keyring.h); a seal is good for one column of one row, so that nobody who
-- can write to the database puts another's key in its place. Resources seal with `seal` and hand the sealed text on to
-- the document; whoever serves opens it in C. boot.lua calls `unlock` at start, the command line `rotate`. Never opens
-- a secret into a Lua string, never logs one, and no answer of the API holds one.

local errors = require "moongate.admin.errors"

local M = {}

M.FILE = "secrets.key"

--- Every column of the store that holds sealed texts. Rows are found by `key`; NULL is no secret.
M.COLUMNS = {
  { table = "mtls_certificates", column = "private_key", key = "id" },
  { table = "custom_certificates", column = "private_key", key = "id" },
  { table = "managed_cas", column = "private_key", key = "id" },
  { table = "origin_pull_certificates", column = "private_key", key = "id" },
  { table = "custom_hostname_certificates", column = "private_key", key = "id" },
  { table = "alert_webhooks", column = "secret", key = "id" },
}

--- What a secret is bound to, in words that a message may repeat.
---@param table_name string
---@param column string
---@param id string
---@return string
function M.context(table_name, column, id)
  return table_name .. ":" .. column .. ":" .. id
end

--- A certificate with its private key as it is stored: what documents carry, and whoever serves opens in C.
---@param table_name string
---@param id string of the row
---@param certificates string PEM, leaf first
---@param sealed string
---@return { certificates: string, private_key: string, context: string }
function M.identity(table_name, id, certificates, sealed)
  return { certificates = certificates, private_key = sealed, context = M.context(table_name, "private_key", id) }
end

--- Seals a private key, or the secret of another column, for a row that is about to be written.
---@param context table of a request
---@param table_name string
---@param id string of the row
---@param plaintext string
---@param column string|nil
---@return string|nil sealed
---@return moongate.admin.error[]|nil
function M.seal(context, table_name, id, plaintext, column)
  local sealed, diag = context.control.seal(plaintext, M.context(table_name, column or "private_key", id))
  if sealed then return sealed end
  context.app.log("error", ("secrets: a secret cannot be sealed: %s: %s"):format(diag.where, diag.text))
  return nil, errors.fail("internal")
end

-- Each sealed text of the store.
local function each(tx, visit)
  for _, place in ipairs(M.COLUMNS) do
    local rows = tx:all(("SELECT %s AS id, %s AS sealed FROM %s WHERE %s IS NOT NULL"):format(place.key, place.column,
      place.table, place.column))
    for _, row in ipairs(rows) do
      local ok, failure = visit(place, row.id, row.sealed, M.context(place.table, place.column, row.id))
      if not ok then return nil, failure end
    end
  end
  return true
end

local function is_empty(tx)
  return each(tx, function() return nil end) == true
end

--- Opens the keys and proves that they open everything there is. Keys are made only while nothing is sealed yet.
---@param store table
---@param control table
---@param data_dir string
---@return true|nil
---@return { where: string, text: string }|nil
---@return boolean|nil wrong_keys the store could be read, but the keys are missing or not the right ones
function M.unlock(store, control, data_dir)
  local ok, failure = store:read(function(tx)
    local opened, diag = control.open_secrets(data_dir .. "/" .. M.FILE, is_empty(tx))
    if not opened then return nil, diag end
    return each(tx, function(_, _, sealed, context) return control.can_open(sealed, context) end)
  end)
  if ok then return true end
  return nil, { where = failure.where or store.path, text = failure.text }, failure.store == nil
end

-- Seals everything with the newest key that is not so yet.
local function reseal_all(store, control)
  local count = 0
  local ok, failure = store:write(function(tx)
    return each(tx, function(place, id, sealed, context)
      if control.is_newest(sealed) then return true end
      local fresh, diag = control.reseal(sealed, context)
      if not fresh then return nil, diag end
      assert(tx:run(("UPDATE %s SET %s = ? WHERE %s = ?"):format(place.table, place.column, place.key), fresh, id))
      count = count + 1
      return true
    end)
  end)
  if ok then return count end
  return nil, { where = failure.where or store.path, text = failure.text }
end

--- Makes a fresh key and seals everything with it, in one transaction. Keys from the environment are not made here: the
--- operator has put the new one in front.
---@param store table
---@param control table with its keys open
---@return integer|nil how many secrets were sealed again
---@return { where: string, text: string }|nil
function M.rotate(store, control)
  -- First with the key that there is, so that no row is left on one that falls off the end of the ring.
  local before, failure = reseal_all(store, control)
  if not before then return nil, failure end
  local renewed, diag, from_environment = control.renew_secrets()
  if not renewed and from_environment then return before end
  if not renewed then return nil, diag end
  return reseal_all(store, control)
end

return M
