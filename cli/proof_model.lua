--- moongate.cli.proof_model — what must come of a request, said without looking at the gateway.
--
-- The other half of `moongate prove`: the cases compare this with what the gateway does. It knows hostnames with their
-- CAs, certificates with the CAs under which they are good, and what was revoked; it shares no code with the core, and
-- is meant to be read in one go.

local M = {}

M.BLOCKED, M.MISDIRECTED, M.UNKNOWN, M.OPEN = 403, 421, 404, 530 -- open: no origin, so a request that passes ends there

---@class moongate.cli.proof_model.Specimen
---@field name string
---@field good_under string|nil the CA under which it verifies

---@class moongate.cli.proof_model.World
---@field zone string                                 its domain
---@field hosts table<string, table<string, true>>    name → its CAs
---@field enforced table<string, true>|nil            hosts that the rule blocks without a good certificate; nil: no rule
---@field revoked table<string, true>                 names of specimens

local NOBODY = {}

-- The CAs of a name, and whether it lies in the zone at all.
local function cas_of(world, name)
  if not name then return NOBODY, false end
  local is_inside = name == world.zone or name:sub(-#world.zone - 1) == "." .. world.zone
  if not is_inside then return NOBODY, false end
  return world.hosts[name] or NOBODY, true
end

local function equal(a, b)
  for ca in pairs(a) do if not b[ca] then return false end end
  for ca in pairs(b) do if not a[ca] then return false end end
  return true
end

--- Is a client certificate asked for under a server name, and how many CAs are named with the question?
---@param world moongate.cli.proof_model.World
---@param server_name string|nil
---@return integer 0: it is not asked for
function M.asked(world, server_name)
  local count = 0
  for _ in pairs((cas_of(world, server_name))) do count = count + 1 end
  return count
end

--- The status of a request.
---@param world moongate.cli.proof_model.World
---@param request { server_name: string|nil, host: string, specimen: moongate.cli.proof_model.Specimen|nil, plain: boolean|nil }
---@return integer
function M.status(world, request)
  local cas, is_known = cas_of(world, request.host)
  if not request.plain and not equal(cas, (cas_of(world, request.server_name))) then return M.MISDIRECTED end
  if not is_known then return M.UNKNOWN end
  if not (world.enforced and world.enforced[request.host]) then return M.OPEN end
  local specimen = not request.plain and request.specimen or nil
  local is_verified = specimen and specimen.good_under and cas[specimen.good_under]
  if is_verified and not world.revoked[specimen.name] then return M.OPEN end
  return M.BLOCKED
end

return M
