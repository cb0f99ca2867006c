-- moongate.kv: the small table that the policies of all workers share (core/script/kv.c): texts and numbers by key,
-- with an end.
--
-- In memory only, bounded: when it is full, what was not used for longest makes room. incr() is one step for all
-- workers, which is what counters and rate limits need. Called by policy files; each call holds a lock for one copy.

local bridge = require "moongate.ffi"
local raise = require("moongate.blame").raise

local C, ffi = bridge.C, bridge.ffi

local type = type

local M = {}

local KEY_MAX, VALUE_MAX = 512, 65536 -- MOON_KV_KEY_MAX, MOON_KV_VALUE_MAX
local SECONDS_MAX = 10 * 366 * 86400

local kv -- struct moon_kv *
local value = ffi.new("struct moon_kv_value[1]")
local sum = ffi.new("double[1]")
local room = ffi.new("char[?]", VALUE_MAX)

local function check_key(key)
  if type(key) ~= "string" then raise("moongate.kv: the key must be a text, not a " .. type(key)) end
  if #key > KEY_MAX then raise(("moongate.kv: the key is longer than %d bytes"):format(KEY_MAX)) end
end

local function milliseconds(seconds)
  if seconds == nil then return 0 end
  if type(seconds) ~= "number" or not (seconds > 0 and seconds <= SECONDS_MAX) then
    raise("moongate.kv: the time must be a number of seconds above 0")
  end
  return math.max(1, math.floor(seconds * 1000))
end

--- What stands under a key; nil when nothing does, or its time has passed.
---@param key string
---@return string|number|nil
function M.get(key)
  check_key(key)
  if not C.moon_ffi_kv_get(kv, key, #key, value, room) then return nil end
  if value[0].is_number then return value[0].number end
  return ffi.string(room, value[0].len)
end

--- Puts a text or a number under a key.
---@param key string
---@param new string|number
---@param seconds number|nil  how long it stays; for good when absent
function M.set(key, new, seconds)
  check_key(key)
  local expires = milliseconds(seconds)
  if type(new) == "number" then
    C.moon_ffi_kv_set(kv, key, #key, nil, 0, new, expires)
  elseif type(new) == "string" then
    if #new > VALUE_MAX then raise(("moongate.kv: the value is longer than %d bytes"):format(VALUE_MAX)) end
    C.moon_ffi_kv_set(kv, key, #key, new, #new, 0, expires)
  else
    raise("moongate.kv: the value must be a text or a number, not a " .. type(new))
  end
end

--- Takes a key out.
---@param key string
---@return boolean  whether it was there
function M.delete(key)
  check_key(key)
  return C.moon_ffi_kv_delete(kv, key, #key)
end

--- Adds to the number under a key, in one step for all workers, and gives the sum. A key that is not there begins at 0.
---@param key string
---@param by number|nil       1 when absent
---@param seconds number|nil  how long a key that begins here stays; that of a known one does not change
---@return number
function M.incr(key, by, seconds)
  check_key(key)
  by = by or 1
  if type(by) ~= "number" then raise("moongate.kv: what is added must be a number, not a " .. type(by)) end
  local rc = C.moon_ffi_kv_increase(kv, key, #key, by, milliseconds(seconds), sum)
  if rc ~= 0 then raise(("moongate.kv: what stands under %q is no number"):format(key)) end
  return sum[0]
end

--- Tells where the table is; once per state.
---@param table_at ffi.cdata*  struct moon_kv *
function M.attach(table_at)
  kv = table_at
end

return M
