--- moongate.cli.probe — connections and certificates of `moongate prove` (core/script/probe.h).
--
-- Called by the proof's cases. A connection says what it is told to, also what no honest client would; a specimen is a
-- certificate made to be shown, with its key. Every call waits for its answer, within the deadline. Knows nothing of
-- what would be right.

local bridge = require "moongate.ffi"
local reach = require "moongate.reach"

local C, ffi = bridge.C, bridge.ffi
local diag, refused, view = reach.diag, reach.refused, reach.view

local M = {}

local VERSIONS = { ["1.2"] = 0x0303, ["1.3"] = 0x0304 }

local Connection = {}
Connection.__index = Connection

---@class moongate.cli.probe.Terms
---@field address string       an IP address
---@field port integer
---@field timeout_ms integer
---@field version string|nil   "1.2" or "1.3", and no other; nil: plain HTTP
---@field server_name string|nil
---@field specimen moongate.cli.probe.Specimen|nil  presented when the server asks
---@field session ffi.cdata*|nil  offered

--- Connects.
---@param terms moongate.cli.probe.Terms
---@return table|nil connection
---@return moongate.control.Diagnostic|nil failure where: "connect" or "handshake", when that is what failed
function M.open(terms)
  local options, specimen = ffi.new("struct moon_ffi_probe_options"), terms.specimen or {}
  local address, name = terms.address, terms.server_name or ""
  local certificates, key = specimen.chain or specimen.certificate or "", specimen.key or ""
  options.address, options.port, options.timeout_ms = view(address), terms.port, terms.timeout_ms
  options.version = terms.version and VERSIONS[terms.version] or 0
  options.server_name, options.certificates, options.private_key = view(name), view(certificates), view(key)
  options.session = terms.session
  local handle = C.moon_ffi_probe_open(options, diag)
  if handle == nil then return refused() end
  local facts = ffi.new("struct moon_ffi_probe_facts")
  C.moon_ffi_probe_facts(handle, facts)
  return setmetatable({
    handle = ffi.gc(handle, C.moon_ffi_probe_close), resumed = facts.resumed, asked = facts.asked, ca_names = facts.ca_names,
  }, Connection)
end

--- Sends a request for a host and reads the answer.
---@param host string      as the Host field says it
---@param target string|nil  "/" without it
---@return integer|nil status nil: the connection was closed instead
---@return string|nil reason
function Connection:ask(host, target)
  local request = ("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: moongate-prove\r\nAccept: */*\r\n\r\n")
    :format(target or "/", host)
  local status = C.moon_ffi_probe_ask(self.handle, view(request), diag)
  if status == 0 then return nil, ffi.string(diag[0].text) end
  return status
end

--- The session that the server gave, to be offered once; nil when it gave none.
---@return ffi.cdata*|nil
function Connection:session()
  local session = C.moon_ffi_probe_session(self.handle)
  if session == nil then return nil end
  return ffi.gc(session, C.moon_ffi_probe_session_free)
end

function Connection:close()
  if not self.handle then return end
  C.moon_ffi_probe_close(ffi.gc(self.handle, nil))
  self.handle = nil
end

---@class moongate.cli.probe.Specimen
---@field certificate string PEM
---@field key string         PEM
---@field chain string|nil   PEM of what is presented, when that is more than the certificate

--- Makes a key and a certificate.
---@param wanted { name: string, issuer: moongate.cli.probe.Specimen|nil, usage: string|nil, identifier: string|nil, from: integer,
--- to: integer, is_ca: boolean|nil, with_sha1: boolean|nil }
---@return moongate.cli.probe.Specimen
function M.specimen(wanted)
  local specimen, pem = ffi.new("struct moon_ffi_specimen"), ffi.new("struct moon_ffi_specimen_pem")
  local issuer, usage, identifier = wanted.issuer or {}, wanted.usage or "", wanted.identifier or ""
  specimen.common_name, specimen.usage, specimen.identifier = view(wanted.name), view(usage), view(identifier)
  specimen.issuer, specimen.issuer_key = view(issuer.certificate or ""), view(issuer.key or "")
  specimen.not_before, specimen.not_after = wanted.from, wanted.to
  specimen.is_ca, specimen.with_sha1 = wanted.is_ca == true, wanted.with_sha1 == true
  if C.moon_ffi_specimen_make(pem, specimen, diag) ~= 0 then
    local _, reason = refused()
    error("no certificate could be made: " .. tostring(reason), 0)
  end
  return { certificate = ffi.string(pem.certificate), key = ffi.string(pem.key) }
end

return M
