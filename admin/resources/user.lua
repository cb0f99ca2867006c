--- moongate.admin.resources.user — the one user of an installation: who the tokens that no account owns belong to.
--
-- Made at the first start by `ensure`, with the e-mail of the configuration. The user has everything there is; a
-- token of the user's has what its policies say. The global key is given on the machine only (moongate.admin.auth)
-- and is never shown. Names and address are the user's own notes; nothing reads them.

local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local stamp = require "moongate.admin.stamp"

local M = {}

local DEFAULT_EMAIL = "admin@localhost"

-- What PATCH may change, and the longest text of each.
local NOTES = {
  { name = "first_name", type = "string", max = 60 },
  { name = "last_name", type = "string", max = 60 },
  { name = "telephone", type = "string", max = 20 },
  { name = "country", type = "string", max = 30 },
  { name = "zipcode", type = "string", max = 20 },
}

local COLUMNS = "id, email, first_name, last_name, telephone, country, zipcode"

local function show(context, row)
  local null = json.null
  return json.object {
    id = row.id, email = row.email, first_name = row.first_name or null, last_name = row.last_name or null,
    telephone = row.telephone or null, country = row.country or null, zipcode = row.zipcode or null,
    suspended = false, two_factor_authentication_enabled = false, two_factor_authentication_locked = false,
    has_pro_zones = false, has_business_zones = false,
    has_enterprise_zones = context.tx:one("SELECT 1 AS one FROM zones LIMIT 1") ~= nil,
    organizations = json.array {}, betas = json.array {},
  }
end

-- The permission has made sure that this is a credential of the user's.
local function row_of(context)
  local row = context.tx:one(("SELECT %s FROM users WHERE id = ?"):format(COLUMNS), context.identity.user_id)
  if not row then return nil, errors.fail("unauthorized") end
  return row
end

local function get(context)
  local row, failure = row_of(context)
  if not row then return nil, failure end
  return { result = show(context, row) }
end

local function patch(context)
  local row, failure = row_of(context)
  if not row then return nil, failure end
  for _, note in ipairs(NOTES) do
    local value = context.values[note.name]
    -- null takes a note away; everywhere else it is as good as absent, but here it can be told apart.
    if context.body[note.name] == json.null then row[note.name] = nil elseif value then row[note.name] = value end
  end
  assert(context.tx:run("UPDATE users SET first_name = ?, last_name = ?, telephone = ?, country = ?, zipcode = ?, "
    .. "modified_on = ? WHERE id = ?", row.first_name, row.last_name, row.telephone, row.country, row.zipcode,
    context.stamp, row.id))
  return { result = show(context, row) }
end

--- Makes the user when there is none, and gives it the e-mail of the configuration when that names one.
---@param tx table a writing transaction
---@param control table
---@param email string|nil
---@return string id
function M.ensure(tx, control, email)
  email = email and email:lower()
  local row = tx:one("SELECT id, email FROM users ORDER BY created_on, id LIMIT 1")
  local now = stamp.micros(control.now())
  if not row then
    local id = stamp.hex_id(control.random)
    assert(tx:run("INSERT INTO users (id, email, created_on, modified_on) VALUES (?, ?, ?, ?)", id,
      email or DEFAULT_EMAIL, now, now))
    return id
  end
  if email and email ~= row.email then
    assert(tx:run("UPDATE users SET email = ?, modified_on = ? WHERE id = ?", email, now, row.id))
  end
  return row.id
end

M.routes = {
  { method = "GET", path = "/user", permission = permissions.need("read", "User Details"), run = get },
  {
    method = "PATCH", path = "/user", permission = permissions.need("write", "User Details"), run = patch,
    fields = NOTES,
  },
}

return M
