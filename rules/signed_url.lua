-- moongate.rules.signed_url: message, separator, time and MAC in one text, as is_timed_hmac_valid_v0 checks them.
--
-- <message><separator><ten digits of UNIX time>-<MAC>: the MAC is HMAC-SHA-256 over the message followed by the ten
-- digits, in Base64, percent-encoded, or URL-safe without padding when asked. The comparison takes the same time
-- wherever the texts differ. Pure functions; the HMAC itself is handed in.

local encodings = require "moongate.rules.encodings"
local integer = require "moongate.rules.integer"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local tonumber, type = tonumber, type

local M = {}

local URL_SAFE_LENGTH = 43 -- 32 bytes in Base64 without padding

local function equal(a, b)
  local differences = #a == #b and 0 or 1
  for i = 1, #b do
    local x = byte(a, i) or 0
    local d = x - byte(b, i)
    differences = differences + d * d
  end
  return differences == 0
end

-- The last "-" of the text; Base64 in its standard alphabet has none.
local function last_dash(text)
  local tail = match(text, "[^-]*$")
  return #text - #tail
end

--- Checks a signed text.
---@param hmac fun(key: string, message: string): string
---@param key string
---@param text string
---@param lifetime number|string   seconds
---@param now number|string        UNIX seconds
---@param separator_length number  bytes between message and time
---@param url_safe boolean
---@return boolean
function M.is_valid(hmac, key, text, lifetime, now, separator_length, url_safe)
  local dash = url_safe and #text - URL_SAFE_LENGTH or last_dash(text)
  if dash < 11 or byte(text, dash) ~= 45 then
    return false
  end
  local time = sub(text, dash - 10, dash - 1)
  local message_length = dash - 11 - separator_length
  if not find(time, "^[0-9]+$") or message_length < 0 then
    return false
  end
  local mac = sub(text, dash + 1)
  if not url_safe then
    mac = encodings.percent_decode(mac)
  end
  local expected = encodings.encode_base64(hmac(key, sub(text, 1, message_length) .. time), not url_safe, url_safe)
  if not equal(mac, expected) then
    return false
  end
  if type(lifetime) ~= "number" then
    return integer.less(0, lifetime)
  end
  return integer.less(now, tonumber(time, 10) + lifetime)
end

return M
