-- Revocation lists, for specs that drive the admin API without the program: the real ones of the C core behind the functions
-- that moongate.control has.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

local M = {}

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  return (bytes:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local number = a * 65536 + (b or 0) * 256 + (c or 0)
    local text = ""
    for shift = 18, 18 - 6 * #group, -6 do
      local digit = math.floor(number / 2 ^ shift) % 64
      text = text .. ALPHABET:sub(digit + 1, digit + 1)
    end
    return text .. ("="):rep(3 - #group)
  end))
end

--- Gives a control of spec.support.admin its functions about revocation lists.
---@param control table
function M.install(control)
  control.base64 = base64

  function control.revocation_list(list)
    local crl, where, text = tls.crl(list.text, list.ca)
    if not crl then return nil, { where = where, text = text } end
    local ends = C.moon_crl_next_update(crl)
    return {
      this_update = tonumber(C.moon_crl_this_update(crl)),
      next_update = ends ~= 0x7fffffffffffffffLL and tonumber(ends) or nil,
      count = tonumber(C.moon_crl_count(crl)), issuer = tonumber(C.moon_crl_issuer(crl)) + 1,
      digest = hex(ffi.string(C.moon_crl_digest(crl), 32)), handle = crl,
    }
  end
end

return M
