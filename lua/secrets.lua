-- moongate.secrets: the keys that private keys are sealed with (core/tls/keyring.h), and what can be done with them.
--
-- Called through moongate.control by the admin API and the command line; what builds TLS terms hands the ring on to
-- C, which opens a key, uses it and wipes it. Scratch rooms are wiped after each use. A Lua string cannot be wiped: a
-- secret is one only while it is uploaded, and with open(), which nothing on the way of a request calls. Never logs.

local bridge = require "moongate.ffi"
local reach = require "moongate.reach"

local C, ffi = bridge.C, bridge.ffi
local diag, refusal, refused, view = reach.diag, reach.refusal, reach.refused, reach.view

local M = {}

local SEALED_BYTES = 96 * 1024 -- MOON_SEALED_BYTES of core/tls/keyring.h

local keyring -- struct moon_keyring *, once opened
local rooms -- two scratch rooms; wiped after each use

--- Opens the keys that secrets are sealed with (core/tls/keyring.h). Once, before anything is sealed or opened.
---@param path string of the file; the environment goes before it
---@param may_make boolean make the file when there is none
---@return true|nil
---@return moongate.control.Diagnostic|nil
function M.open_ring(path, may_make)
  local out = ffi.new("struct moon_keyring *[1]")
  if C.moon_ffi_keyring_open(out, path, may_make, diag) ~= 0 then
    return refused()
  end
  keyring = ffi.gc(out[0], C.moon_ffi_keyring_close)
  return true
end

-- Hands two scratch rooms to `work`, which fills one of them and gives a code, that room and its length; the text of
-- it is the result, nothing of it without `wanted`. Leaves nothing in the rooms.
local function in_scratch(wanted, work)
  if not keyring then
    return refusal("secrets", "the keys that secrets are sealed with are not there")
  end
  rooms = rooms or { ffi.new("char[?]", SEALED_BYTES), ffi.new("char[?]", SEALED_BYTES) }
  local len = ffi.new("size_t[1]")
  local rc, room = work(rooms[1], rooms[2], len)
  local result = rc == 0 and (not wanted or ffi.string(room, len[0])) or nil
  C.moon_ffi_wipe(rooms[1], SEALED_BYTES)
  C.moon_ffi_wipe(rooms[2], SEALED_BYTES)
  if not result then
    return refused()
  end
  return result
end

--- Seals a secret for the store. Only the same context opens it again.
---@param plaintext string  a Lua string cannot be wiped: let it go as soon as this returns
---@param context string  whose secret it is: "table:column:id"
---@return string|nil sealed  text without NUL
---@return moongate.control.Diagnostic|nil
function M.seal(plaintext, context)
  return in_scratch(true, function(room, _, len)
    return C.moon_ffi_seal(keyring, room, len, view(plaintext), view(context), diag), room
  end)
end

--- Opens a sealed secret. What serves requests opens its keys in C instead, where they can be wiped.
---@param sealed string
---@param context string
---@return string|nil plaintext  keep it short-lived: a Lua string cannot be wiped
---@return moongate.control.Diagnostic|nil
function M.open(sealed, context)
  return in_scratch(true, function(room, _, len)
    return C.moon_ffi_unseal(keyring, room, len, view(sealed), view(context), diag), room
  end)
end

--- Can it be opened? Shows nothing of the secret.
---@param sealed string
---@param context string
---@return true|nil
---@return moongate.control.Diagnostic|nil
function M.can_open(sealed, context)
  return in_scratch(false, function(room, _, len)
    return C.moon_ffi_unseal(keyring, room, len, view(sealed), view(context), diag), room
  end)
end

--- Seals a sealed secret again, with the newest key. The secret itself stays in C.
---@param sealed string
---@param context string
---@return string|nil sealed
---@return moongate.control.Diagnostic|nil
function M.reseal(sealed, context)
  return in_scratch(true, function(plain, room, len)
    local rc = C.moon_ffi_unseal(keyring, plain, len, view(sealed), view(context), diag)
    if rc == 0 then
      rc = C.moon_ffi_seal(keyring, room, len, ffi.new("struct moon_str", plain, len[0]), view(context), diag)
    end
    return rc, room
  end)
end

--- Was it sealed with the newest key?
---@param sealed string
---@return boolean
function M.is_newest(sealed)
  return keyring ~= nil and C.moon_ffi_sealed_newest(keyring, view(sealed))
end

--- Puts a fresh key in front of the others and writes the file.
---@return true|nil
---@return moongate.control.Diagnostic|nil
---@return boolean|nil from_environment  refused because the keys come from there
function M.renew()
  if not keyring then
    return refusal("secrets", "the keys that secrets are sealed with are not there")
  end
  local from_environment = ffi.new("bool[1]")
  if C.moon_ffi_keyring_renew(keyring, from_environment, diag) ~= 0 then
    local _, err = refused()
    return nil, err, from_environment[0]
  end
  return true
end

--- The ring for C: struct moon_keyring *, or nil while there is none.
---@return ffi.cdata*|nil
function M.ring()
  return keyring
end

return M
