-- The CA of an account, for specs that drive the admin API without the program: the real one of the C core behind the
-- functions that moongate.control has. Needs the functions of spec.support.secrets.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

local M = {}

local PARTS = { "serial", "ski", "common_name", "country", "state", "location", "organization", "organizational_unit" }

local function buffer()
  local buf = ffi.gc(ffi.new("struct moon_buf"), C.moon_buf_free)
  C.moon_buf_init(buf, 65536)
  return buf
end

local function text(buf) return ffi.string(buf.data + buf.start, buf.len) end

--- Makes a CA: { certificates, key } in the open, or nil and the diagnostic's two texts.
function M.make(name, now)
  local certificate, key, diag = buffer(), buffer(), tls.diag()
  if C.moon_managed_ca_make(tls.str(name), math.floor(now), certificate, key, diag) ~= 0 then return nil, tls.told(diag) end
  return { certificates = text(certificate), key = text(key) }
end

--- Signs a request: what struct moon_issued has, and `certificate`; or nil and the diagnostic's two texts.
function M.issue(certificates, key, csr, days, now)
  local out, issued, diag = buffer(), ffi.new("struct moon_issued"), tls.diag()
  if C.moon_managed_ca_issue(tls.str(certificates), tls.str(key), tls.str(csr), days, math.floor(now), out, issued, diag) ~= 0 then
    return nil, tls.told(diag)
  end
  local result = { certificate = text(out) }
  for _, part in ipairs(PARTS) do result[part] = ffi.string(issued[part]) end
  return result
end

--- Gives a control of spec.support.admin its functions about managed CAs.
---@param control table
function M.install(control)
  function control.make_ca(name, context, now)
    local made, where, reason = M.make(name, now)
    if not made then return nil, { where = where, text = reason } end
    local sealed, diag = control.seal(made.key, context)
    if not sealed then return nil, diag end
    return { certificates = made.certificates, private_key = sealed, context = context }
  end

  function control.issue(ca, csr, days, now)
    local key, diag = control.open(ca.private_key, ca.context)
    if not key then return nil, diag end
    local issued, where, reason = M.issue(ca.certificates, key, csr, days, now)
    if not issued then return nil, { where = where, text = reason } end
    return issued
  end
end

return M
