--- moongate.admin.address — IP addresses that an operator names as origins: reading them, and which are refused.
--
-- Called by the resources that say where requests go. Judges what an address is and not how it is written. Pure.

local ip = require "moongate.rules.ip"

local M = {}

local MAPPED = ("\0"):rep(10) .. "\255\255" -- an IPv4 address inside IPv6, RFC 4291 section 2.5.5.2

--- Reads an address: IPv4, or IPv6 without brackets.
---@param text string
---@return string|nil bytes 4 or 16
function M.read(text)
  return (ip.parse(text))
end

--- The one form in which an address is stored: dotted, or the shortest of IPv6.
---@param bytes string
---@return string
function M.text(bytes)
  return ip.format(bytes)
end

local function is_no_origin(bytes)
  if #bytes == 16 and bytes:sub(1, 12) == MAPPED then bytes = bytes:sub(13) end
  local first, second = bytes:byte(1, 2)
  if #bytes == 4 then return first == 0 or first >= 224 or (first == 169 and second == 254) end
  return bytes == ("\0"):rep(16) or (first == 0xfe and second >= 0x80 and second < 0xc0) or first == 0xff
    or bytes == "\253\0\14\194" .. ("\0"):rep(10) .. "\2\84" -- fd00:ec2::254, a cloud's metadata service
end

--- Why an address cannot be an origin's: it only ever means a machine's own link, its cloud's metadata service, many
--- machines, or none. Nil when it can be one.
---@param bytes string
---@return string|nil
function M.mistake(bytes)
  return is_no_origin(bytes) and "this address is not the address of an origin" or nil
end

return M
