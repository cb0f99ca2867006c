--- moongate.admin.auth — who is asking? Reads the credentials of a request and finds the token or the user behind them.
--
-- Called by admin/init.lua first thing; gives an identity (moongate.admin.policy) or errors. Tokens and global keys are
-- known by the SHA-256 of their text only; tokens are found by their first eight characters, everything is compared in
-- constant time, and a failure costs the same whatever was wrong. Failures and requests are counted
-- (moongate.admin.limiter). Also makes and takes away tokens and keys, for the command line. Never logs a credential.

local audit = require "moongate.admin.audit"
local condition = require "moongate.admin.condition"
local json = require "moongate.json"
local errors = require "moongate.admin.errors"
local stamp = require "moongate.admin.stamp"

local M = {}

local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
local PREFIX = 8
local LENGTH = PREFIX + 43 -- what is not stored in the clear has 258 bits
local KEY_LENGTH = 48
local NOBODY = ("0"):rep(64)

local function hash_of(control, token)
  return stamp.hex(control.sha256(token))
end

local function random_text(control, length)
  return (control.random(length):gsub(".", function(byte)
    local index = byte:byte() % #ALPHABET + 1 -- 256 is a multiple of 64: no character is likelier than another
    return ALPHABET:sub(index, index)
  end))
end

local function is_key(text)
  return #text >= 37 and #text <= 60 and not text:find("[^0-9A-Za-z_-]")
end

-- The credential that a request carries: { token } or { email, key }. A bearer token goes before a key. Else nil, the
-- error's key in the catalogue and a link of its chain.
local function credential(headers)
  local authorization = headers["authorization"]
  if authorization then
    local scheme, token = authorization:match("^(%a+) +(%S+) *$")
    if not scheme or scheme:lower() ~= "bearer" then
      return nil, "bad_headers", { code = 6111, message = "Invalid format for Authorization header" }
    end
    if token:find("[^0-9A-Za-z_-]") then return nil, "stray_characters" end
    return { token = token }
  end
  local email, key = headers["x-auth-email"], headers["x-auth-key"]
  if email or key then
    if not email or #email > 90 or not email:find("^[^@%s]+@[^@%s]+$") then
      return nil, "bad_headers", { code = 6102, message = "Invalid format for X-Auth-Email header" }
    end
    if not key or not is_key(key) then
      return nil, "bad_headers", { code = 6103, message = "Invalid format for X-Auth-Key header" }
    end
    return { email = email:lower(), key = key }
  end
  if headers["x-auth-user-service-key"] then
    return nil, "bad_headers", { code = 6111, message = "X-Auth-User-Service-Key is not supported" }
  end
  return nil, "no_credentials"
end

-- The row of a token. Costs the same whether or not the prefix is known.
local function find_token(tx, control, token)
  local hash = hash_of(control, token)
  local found
  local rows = tx:all("SELECT id, account_id, name, hash, policies, condition, status, not_before, expires_on, "
    .. "last_used_on FROM tokens WHERE prefix = ?", token:sub(1, PREFIX))
  if not rows[1] then control.equal(hash, NOBODY) end
  for _, row in ipairs(rows) do
    if control.equal(hash, row.hash) then found = row end
  end
  return found
end

-- What one JSON column of a token holds; nil when it is empty; false when it cannot be read.
local function decoded(text)
  if not text then return nil end
  local value = json.decode(text)
  return type(value) == "table" and value ~= json.null and value or false
end

local function identity_of_token(tx, row, now)
  local moment = stamp.seconds(now)
  if row.status ~= "active" then return nil end
  if row.expires_on and moment >= row.expires_on then return nil end
  if row.not_before and moment < row.not_before then return nil end
  local policies, limits = decoded(row.policies), decoded(row.condition)
  if policies == false or limits == false then return nil end -- unreadable: it may do nothing at all
  local identity = {
    id = row.id, name = row.name, account_id = row.account_id, expires_on = row.expires_on, not_before = row.not_before,
    condition = limits, policies = policies, everything = policies == nil,
    use_is_old = not row.last_used_on or row.last_used_on < stamp.seconds(now - 60),
  }
  if not row.account_id then
    -- Tokens that no account owns are the one user's.
    local user = tx:one("SELECT id, email FROM users ORDER BY created_on, id LIMIT 1")
    if user then identity.user_id, identity.email = user.id, user.email end
  end
  return identity
end

local function identity_of_key(tx, control, proof)
  local user = tx:one("SELECT id, email, key_hash FROM users WHERE email = ?", proof.email)
  local stored = user and user.key_hash
  if not control.equal(hash_of(control, proof.key), stored or NOBODY) or not stored then return nil end
  return { user_id = user.id, email = user.email, everything = true }
end

-- The identity behind a credential, or nil, the error's key in the catalogue, and whose credential it was if that much
-- is known.
local function identify(tx, request, host, proof, verifying)
  local identity
  if proof.token then
    local now = host.control.now()
    local row = find_token(tx, host.control, proof.token)
    identity = row and identity_of_token(tx, row, now)
    if not identity then return nil, verifying and "token_not_valid" or "bad_token" end
  else
    identity = identity_of_key(tx, host.control, proof)
    if not identity then return nil, "unknown_key" end
  end
  if not condition.admits(identity.condition, request.address) then return nil, "wrong_address", identity end
  return identity
end

local function refuse(request, host, key, link, owner)
  local wait, noteworthy = host.limiter:failed(request.address, host.control.now())
  local one = wait and errors.new("throttled")
    or key == "wrong_address" and errors.new(key, request.address) or errors.new(key)
  one.retry_after = wait
  if not wait and link then one.chain = { link } end
  return nil, { one, unauthenticated = noteworthy, owner = owner }
end

local function is_local(address)
  return address:find("^127%.") ~= nil or address == "::1"
end

--- Authenticates a request and counts it.
---@param tx table a transaction of the store
---@param request { headers: table<string, string>, address: string }
---@param host { control: table, limiter: table }
---@param verifying string|nil `user` or `account`: the request asks if its token is valid, with the codes for that
---@return moongate.admin.identity|nil
---@return moongate.admin.error[]|nil failure its `unauthenticated` is true when it should leave a row in the audit log,
--- its `owner` is the identity whose credential came from a wrong address
---@return moongate.admin.rate|nil how many requests are left to a known identity that is limited
function M.authenticate(tx, request, host, verifying)
  local proof, key, link = credential(request.headers)
  if key == "no_credentials" then
    -- Nothing was guessed, so nothing is counted.
    return nil, errors.fail(verifying == "account" and "token_missing" or key)
  end
  local identity, owner
  if proof then identity, key, owner = identify(tx, request, host, proof, verifying) end
  if not identity then return refuse(request, host, key, link, owner) end
  -- Whoever works on the machine itself (an import, a script, a spec) is the operator: nobody to be protected from.
  if is_local(request.address) then return identity end
  -- All tokens of a user count together, and all that an account owns.
  local wait, rate = host.limiter:request(identity.account_id or identity.user_id or "", request.address,
    host.control.now())
  if not wait then return identity, nil, rate end
  local one = errors.new("throttled")
  one.retry_after = wait
  return nil, { one }, rate
end

--- The text of a new token, and what of it may be stored.
---@param control table
---@return string text shown once and never to be had again
---@return string prefix
---@return string hash
function M.mint(control)
  local text = random_text(control, LENGTH)
  return text, text:sub(1, PREFIX), hash_of(control, text)
end

--- Makes a token of the operator's, on the machine itself, and stores its hash. The text is returned once and can
--- never be had again.
---@param tx table a writing transaction
---@param control table
---@param token { name: string, policies: table[]|nil, expires_on: string|nil } no policies: it may do everything
---@return string text
---@return string id
function M.issue(tx, control, token)
  local text, prefix, hash = M.mint(control)
  local id, now = stamp.hex_id(control.random), stamp.seconds(control.now())
  assert(tx:run("INSERT INTO tokens (id, name, prefix, hash, policies, status, expires_on, issued_on, modified_on) "
    .. "VALUES (?, ?, ?, ?, ?, 'active', ?, ?, ?)", id, token.name, prefix, hash,
    token.policies and json.encode(token.policies) or nil, token.expires_on, now, now))
  audit.operator(tx, control, "create", "tokens", id)
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
---@param control table|nil when given, each leaves a row in the audit log
---@return integer how many
function M.revoke(tx, id_or_name, control)
  if control then
    for _, row in ipairs(tx:all("SELECT id FROM tokens WHERE id = ? OR name = ?", id_or_name, id_or_name)) do
      audit.operator(tx, control, "delete", "tokens", row.id)
    end
  end
  return (assert(tx:run("DELETE FROM tokens WHERE id = ? OR name = ?", id_or_name, id_or_name)))
end

--- Gives a user the key of `X-Auth-Email` and `X-Auth-Key`, which may do everything; the one before stops working.
---@param tx table a writing transaction
---@param control table
---@param user_id string
---@param key string 37 to 60 characters of 0-9, A-Z, a-z, `_` and `-`; random ones, for it is hashed without salt
---@return true|nil
---@return string|nil reason
function M.set_global_key(tx, control, user_id, key)
  if not is_key(key) then return nil, "a key has 37 to 60 characters of 0-9, A-Z, a-z, _ and -" end
  local changed = assert(tx:run("UPDATE users SET key_hash = ?, modified_on = ? WHERE id = ?", hash_of(control, key),
    stamp.micros(control.now()), user_id))
  if changed ~= 1 then return nil, "there is no such user" end
  audit.operator(tx, control, "roll", "user", user_id)
  return true
end

--- Makes a global key for a user. The text is returned once and can never be had again.
---@param tx table a writing transaction
---@param control table
---@param user_id string
---@return string key
function M.issue_global_key(tx, control, user_id)
  local key = random_text(control, KEY_LENGTH)
  assert(M.set_global_key(tx, control, user_id, key))
  return key
end

--- Notes that a token was used, at most once a minute.
---@param tx table a writing transaction
---@param identity moongate.admin.identity
---@param now number
function M.note_use(tx, identity, now)
  tx:run("UPDATE tokens SET last_used_on = ? WHERE id = ?", stamp.seconds(now), identity.id)
end

return M
