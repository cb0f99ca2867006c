--- moongate.admin.managed_ca — the CA that the gateway keeps for an account: made when it is first asked for, one for
--- each account.
--
-- Called by the resources that need it: client certificates and hostname associations without an id. The key is made
-- and sealed in C (moongate.managed_ca). A revocation concerns every zone in which a hostname is associated with the
-- CA.

local errors = require "moongate.admin.errors"
local secrets = require "moongate.admin.secrets"
local stamp = require "moongate.admin.stamp"

local M = {}

local TABLE = "managed_cas"

---@class moongate.admin.managed_ca_row
---@field id string
---@field name string
---@field certificate string PEM
---@field private_key string sealed

---@param tx table
---@param account_id string
---@return moongate.admin.managed_ca_row|nil
function M.find(tx, account_id)
  return tx:one("SELECT id, name, certificate, private_key FROM managed_cas WHERE account_id = ?", account_id)
end

local function failed(context, diag)
  context.app.log("error", ("managed CA: it cannot be made: %s: %s"):format(diag.where, diag.text))
  return nil, errors.fail("internal")
end

local function make(context)
  local id, account_id = stamp.uuid(context.control.random), context.account.id
  local name = "Managed CA for account " .. account_id
  local made, diag = context.control.make_ca(name, secrets.context(TABLE, "private_key", id), context.now)
  if not made then return failed(context, diag) end
  local list
  list, diag = context.control.certificates(made.certificates)
  if not list then return failed(context, diag) end
  assert(context.tx:run("INSERT INTO managed_cas (id, account_id, name, certificate, fingerprint, private_key, "
    .. "created_on, expires_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", id, account_id, name, made.certificates,
    list[1].sha256, made.private_key, context.stamp, stamp.seconds(list[1].not_after)))
  return M.find(context.tx, account_id)
end

--- The CA of the request's account, made now when there is none.
---@param context table of a writing request
---@return moongate.admin.managed_ca_row|nil
---@return moongate.admin.error[]|nil
function M.ensure(context)
  local found = M.find(context.tx, context.account.id)
  if found then return found end
  return make(context)
end

--- The CA as moongate.control signs with it.
---@param row moongate.admin.managed_ca_row
---@return table
function M.signer(row)
  return secrets.identity(TABLE, row.id, row.certificate, row.private_key)
end

--- Marks the zones that have hostnames with this CA: what is revoked under it has changed.
---@param tx table
---@param ca_id string
function M.touch_zones(tx, ca_id)
  local sql = "SELECT DISTINCT zone_id FROM hostname_associations WHERE certificate_id = ?"
  for _, row in ipairs(tx:all(sql, ca_id)) do tx:touch(row.zone_id) end
end

return M
