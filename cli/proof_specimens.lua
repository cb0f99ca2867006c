--- moongate.cli.proof_specimens — the CAs and the client certificates of a proof: good ones, and each kind of bad one.
--
-- Made anew for every proof, kept in memory only. Each names the CA under which it must verify, if there is one.

local probe = require "moongate.cli.probe"

local M = {}

local DAY = 86400
local CLIENT, SERVER = "clientAuth", "serverAuth"
local IDENTIFIER = "00112233445566778899AABBCCDDEEFF00112233" -- of the twins

--- CAs: `a` and `b` are strangers to each other, `twin` has the name and the key identifier of `a` and a key of its own.
---@param now integer UNIX seconds
---@return table<string, moongate.cli.probe.Specimen>
function M.cas(now)
  local function ca(name, identifier)
    return probe.specimen { name = name, is_ca = true, identifier = identifier, from = now - DAY, to = now + 30 * DAY }
  end
  return {
    a = ca("moongate prove A", IDENTIFIER), b = ca "moongate prove B", twin = ca("moongate prove A", IDENTIFIER),
  }
end

--- Client certificates, by name and in the order in which they are tried.
---@param cas table<string, moongate.cli.probe.Specimen>
---@param now integer
---@return moongate.cli.proof_model.Specimen[]
function M.clients(cas, now)
  local list = {}
  local function leaf(name, issuer, changes)
    local wanted = { name = "moongate prove client", issuer = issuer, usage = CLIENT, from = now - DAY, to = now + 7 * DAY }
    for key, value in pairs(changes or {}) do wanted[key] = value end
    local one = probe.specimen(wanted)
    one.name = name
    list[#list + 1] = one
    return one
  end
  leaf("good under A", cas.a).good_under = "a"
  leaf("good under B", cas.b).good_under = "b"
  leaf("good under A's twin", cas.twin).good_under = "twin"
  leaf("revoked under A", cas.a).good_under = "a"
  leaf("expired", cas.a, { from = now - 2 * DAY, to = now - DAY })
  leaf("not valid yet", cas.a, { from = now + DAY, to = now + 2 * DAY })
  leaf("made for servers", cas.a, { usage = SERVER })
  leaf("signed with SHA-1", cas.a, { with_sha1 = true })
  leaf("signed by itself", nil)

  local between = probe.specimen { name = "moongate prove between", issuer = cas.a, is_ca = true, from = now - DAY, to = now + DAY }
  local below = leaf("good under A through an intermediate", between)
  below.good_under, below.chain = "a", below.certificate .. between.certificate
  leaf("without its intermediate", between)

  local no_ca = probe.specimen { name = "moongate prove client", issuer = cas.a, usage = CLIENT, from = now - DAY, to = now + DAY }
  local under_leaf = leaf("issued by a client's certificate", no_ca)
  under_leaf.chain = under_leaf.certificate .. no_ca.certificate

  local stranger = leaf("somebody else's certificate behind an own one", nil)
  stranger.chain = stranger.certificate .. list[1].certificate
  return list
end

return M
