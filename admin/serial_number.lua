--- moongate.admin.serial_number — serial numbers of certificates, brought to the one form that is stored and compared:
--- lower-case hex digits without leading zeros.
--
-- Called by admin/resources/certificate_denials.lua. They have up to twenty octets and more, hence no numbers of Lua.
-- Pure.

local M = {}

local DIGITS = 512 -- MOON_SERIAL_BYTES of core/tls/serials.h in hex, and a little

-- Decimal digits → hex digits, seven decimal digits at a time.
local function hex_of(decimal)
  local limbs = {} -- of 24 bits, the lowest first
  local first = #decimal % 7
  for at = first > 0 and first - 6 or 1, #decimal, 7 do
    local carry = tonumber(decimal:sub(math.max(at, 1), at + 6))
    for index = 1, #limbs do
      local sum = limbs[index] * 1e7 + carry
      limbs[index] = sum % 0x1000000
      carry = math.floor(sum / 0x1000000)
    end
    if carry > 0 then limbs[#limbs + 1] = carry end
  end
  local parts = {}
  for index = #limbs, 1, -1 do parts[#parts + 1] = ("%06x"):format(limbs[index]) end
  return table.concat(parts)
end

--- Reads a serial number: decimal, or "0x" and hex digits.
---@param text string
---@return string|nil hex
---@return string|nil reason
function M.read(text)
  local hex = text:match("^0[xX](%x+)$")
  if not hex and not text:find("^%d+$") then
    return nil, 'expected decimal digits, or "0x" and hexadecimal digits'
  end
  if #text > DIGITS then return nil, "no certificate has a serial number of that length" end
  hex = (hex and hex:lower() or hex_of(text)):gsub("^0+", "")
  if #hex > 2 * 255 then return nil, "no certificate has a serial number of that length" end
  return hex ~= "" and hex or "0"
end

return M
