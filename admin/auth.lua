--- moongate.admin.auth — who is asking? Reads the credentials of a request and finds the token behind them.
--
-- Called by admin/init.lua first thing; gives an identity (moongate.admin.permissions) or errors. Tokens are known by the
-- SHA-256 of their text only; they are found by their first eight characters and compared in constant time. Failures are
-- counted (moongate.admin.limiter). Also makes and takes away tokens, for the command line. Never logs a credential.

local json = require "moongate.json"
local errors = require "moongate.admin.errors"
local stamp = require "moongate.admin.stamp"

local M = {}

local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
local LENGTH, PREFIX = 40, 8
local NOBODY = ("0"):rep(64)

local function hash_of(control, token)
  return stamp.hex(control.sha256(token))
end

--- The credential that a request carries. A bearer token goes before a key.
---@param headers table<string, string> lower-case names
---@return string|nil token
---@return string|nil error key in the catalogue
---@return table|nil link of the error chain
local function credential(headers)
  local authorization = headers["authorization"]
  if authorization then
    local scheme, token = authorization:match("^(%a+) +(%S+) *$")
    if not scheme or scheme:lower() ~= "bearer" then
      return nil, "bad_headers", { code = 6111, message = "Invalid format for Authorization header" }
    end
    if token:find("[^0-9A-Za-z_-]") then return nil, "stray_characters" end
    return token
  end
  local email, key = headers["x-auth-email"], headers["x-auth-key"]
  if email or key then
    if not email or not email:find("^[^@%s]+@[^@%s]+$") then
      return nil, "bad_headers", { code = 6102, message = "Invalid format for X-Auth-Email header" }
    end
    if not key or #key < 37 or #key > 60 or key:find("[^0-9A-Za-z_-]") then
      return nil, "bad_headers", { code = 6103, message = "Invalid format for X-Auth-Key header" }
    end
    return nil, "unknown_key" -- global keys belong to users, of whom this gateway has none
  end
  if headers["x-auth-user-service-key"] then
    return nil, "bad_headers", { code = 6111, message = "X-Auth-User-Service-Key is not supported" }
  end
  return nil, "no_credentials"
end

-- Costs the same whether or not the prefix is known.
local function find(tx, control, token)
  local hash = hash_of(control, token)
  local found
  local rows = tx:all("SELECT id, account_id, hash, policies, status, not_before, expires_on, last_used_on "
    .. "FROM tokens WHERE prefix = ?", token:sub(1, PREFIX))
  if not rows[1] then control.equal(hash, NOBODY) end
  for _, row in ipairs(rows) do
    if control.equal(hash, row.hash) then found = row end
  end
  return found
end

local function identity_of(row, now)
  local moment = stamp.seconds(now)
  if row.status ~= "active" then return nil end
  if row.expires_on and moment >= row.expires_on then return nil end
  if row.not_before and moment < row.not_before then return nil end
  local identity = { id = row.id, account_id = row.account_id, expires_on = row.expires_on, not_before = row.not_before }
  identity.use_is_old = not row.last_used_on or row.last_used_on < stamp.seconds(now - 60)
  if row.policies then
    identity.policies = json.decode(row.policies)
    if type(identity.policies) ~= "table" then return nil end -- unreadable: it may do nothing at all
  else
    identity.everything = true
  end
  return identity
end

--- Authenticates a request.
---@param tx table a transaction of the store
---@param request { headers: table<string, string>, address: string }
---@param host { control: table, limiter: table }
---@param verifying boolean|nil the request asks whether its token is valid, and wants the codes of that
---@return moongate.admin.identity|nil
---@return moongate.admin.error[]|nil
function M.authenticate(tx, request, host, verifying)
  local now = host.control.now()
  local token, key, link = credential(request.headers)
  local identity
  if token then
    local row = find(tx, host.control, token)
    identity = row and identity_of(row, now)
    if identity then return identity end
    key = verifying and "token_not_valid" or "bad_token"
  elseif key == "no_credentials" then
    -- Nothing was guessed, so nothing is counted.
    return nil, errors.fail(verifying == "account" and "token_missing" or key)
  end
  local wait = host.limiter:failed(request.address, now)
  local one = errors.new(wait and "throttled" or key)
  one.retry_after = wait
  if not wait and link then one.chain = { link } end
  return nil, { one }
end

--- Makes a token and stores its hash. The text is returned once and can never be had again.
---@param tx table a writing transaction
---@param control table
---@param token { name: string, policies: table[]|nil, expires_on: string|nil } no policies: it may do everything
---@return string text
---@return string id
function M.issue(tx, control, token)
  local text = control.random(LENGTH):gsub(".", function(byte)
    local index = byte:byte() % #ALPHABET + 1 -- 256 is a multiple of 64: no character is likelier than another
    return ALPHABET:sub(index, index)
  end)
  local id, now = stamp.hex_id(control.random), stamp.seconds(control.now())
  assert(tx:run("INSERT INTO tokens (id, name, prefix, hash, policies, status, expires_on, issued_on, modified_on) "
    .. "VALUES (?, ?, ?, ?, ?, 'active', ?, ?, ?)", id, token.name, text:sub(1, PREFIX), hash_of(control, text),
    token.policies and json.encode(token.policies) or nil, token.expires_on, now, now))
  return text, id
end

--- What is known about all tokens, newest first.
---@param tx table
---@return table[] rows { id, name, prefix, policies, status, expires_on, issued_on, last_used_on }
function M.list(tx)
  return tx:all("SELECT id, name, prefix, policies, status, expires_on, issued_on, last_used_on FROM tokens "
    .. "ORDER BY issued_on DESC, id")
end

--- Takes tokens away, by id or by name; they stop working with the next request.
---@param tx table a writing transaction
---@param id_or_name string
---@return integer how many
function M.revoke(tx, id_or_name)
  return (assert(tx:run("DELETE FROM tokens WHERE id = ? OR name = ?", id_or_name, id_or_name)))
end

--- Notes that a token was used, at most once a minute.
---@param tx table a writing transaction
---@param identity moongate.admin.identity
---@param now number
function M.note_use(tx, identity, now)
  tx:run("UPDATE tokens SET last_used_on = ? WHERE id = ?", stamp.seconds(now), identity.id)
end

return M
