--- moongate.admin.origin_mode — what a zone's `ssl` setting means toward an origin of which only the address is known.
--
-- For origins that come from DNS records and the like. An origin with a URL of its own (resources/origins.lua) says
-- itself how it is spoken to, and no mode changes that: a verified origin never becomes an unverified one. Pure.

local M = {}

-- mode → scheme, and whether the origin's certificate has to be valid. `off` is upstream's word for no TLS at all; here
-- clients keep theirs, so it means what `flexible` means.
local MODES = {
  off = { scheme = "http", verify = false },
  flexible = { scheme = "http", verify = false },
  full = { scheme = "https", verify = false },
  strict = { scheme = "https", verify = true },
  origin_pull = { scheme = "https", verify = true },
}

---@class moongate.admin.OriginTerms
---@field url string `http://ADDRESS` or `https://ADDRESS`: the scheme's own port
---@field verify boolean must the origin's certificate be valid
---@field request_name boolean|nil true: it is asked for, and checked, under the host of each request

--- The terms toward an origin at an address.
---@param mode string a value of the setting `ssl`
---@param address string a hostname, an IPv4 address, or an IPv6 address without brackets
---@return moongate.admin.OriginTerms
function M.terms(mode, address)
  local terms = MODES[mode] or error("no ssl mode is called " .. tostring(mode), 2)
  local authority = address:find(":", 1, true) and "[" .. address .. "]" or address
  return {
    url = terms.scheme .. "://" .. authority, verify = terms.verify, request_name = terms.scheme == "https" or nil,
  }
end

return M
