-- The keys for secrets, for specs that drive the admin API without the program: the real key ring of the C core behind the
-- functions that moongate.control has.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"

local C = tls.C

local M = {}

--- Gives a control of spec.support.admin its functions about secrets.
---@param control table
function M.install(control)
  local ring
  local room, len = ffi.new("char[?]", 96 * 1024), ffi.new("size_t[1]")

  local function told(diag) return nil, { where = ffi.string(diag.where), text = ffi.string(diag.text) } end

  function control.open_secrets(path, may_make)
    local out, diag = ffi.new("struct moon_keyring *[1]"), tls.diag()
    if C.moon_keyring_open(out, path, may_make, diag) ~= 0 then return told(diag) end
    ring = ffi.gc(out[0], function(pointer) C.moon_keyring_close(ffi.new("struct moon_keyring *[1]", pointer)) end)
    return true
  end

  function control.seal(plain, context)
    local buf, diag = ffi.new("struct moon_buf"), tls.diag()
    C.moon_buf_init(buf, 96 * 1024)
    local rc = C.moon_keyring_seal(ring, buf, tls.str(plain), tls.str(context), diag)
    local text = rc == 0 and ffi.string(buf.data + buf.start, buf.len)
    C.moon_buf_free(buf)
    if text then return text end
    return told(diag)
  end

  function control.open(sealed, context)
    local diag = tls.diag()
    if not ring then return nil, { where = "secrets", text = "no keys" } end
    if C.moon_keyring_unseal(ring, room, len, tls.str(sealed), tls.str(context), diag) ~= 0 then return told(diag) end
    return ffi.string(room, len[0])
  end

  function control.can_open(sealed, context)
    local plain, diag = control.open(sealed, context)
    return plain and true, diag
  end

  function control.reseal(sealed, context)
    local plain, diag = control.open(sealed, context)
    if not plain then return nil, diag end
    return control.seal(plain, context)
  end

  function control.is_newest(sealed) return C.moon_keyring_is_newest(ring, tls.str(sealed)) end

  function control.renew_secrets()
    local from_environment, diag = ffi.new("bool[1]"), tls.diag()
    if C.moon_keyring_renew(ring, from_environment, diag) == 0 then return true end
    local _, err = told(diag)
    return nil, err, from_environment[0]
  end
end

return M
