-- moongate.server_certificates: which certificate answers for which name of a zone, as TLS terms that hosts share.
--
-- Called by moongate.control for each section. Of the uploaded certificates that cover a name the best one is taken, with
-- one of the other kind of key beside it when that covers the name too; where none does, the local CA signs one. The terms
-- themselves, and that equal ones are built once, are moongate.tls_policies'.

local tls_policies = require "moongate.tls_policies"

local M = {}

local NAMES_PER_CERTIFICATE = 100 -- NAMES_MAX of core/tls/local_ca.c: more make every handshake heavier

---@class moongate.ServerCertificate: moongate.tls_policies.Identity
---@field hosts string[] normalised names, `*.` may stand in front
---@field kind string of its key: `EC` or `RSA`
---@field expires_on string RFC 3339 in UTC, whole seconds

-- ---- the local CA ----

-- A number that is the same for the same name wherever and whenever it is asked for.
local function hash(name)
  local sum = 0
  for i = 1, #name do sum = (sum * 31 + name:byte(i)) % 16777213 end
  return sum
end

-- Names in groups of up to a hundred. A name more or less changes its own group, seldom the others: each group's
-- certificate is made anew when it changes.
local function groups_of(names)
  local count, groups, list = 1, {}, {}
  while count * NAMES_PER_CERTIFICATE * 0.6 < #names do count = count * 2 end
  table.sort(names)
  for _, name in ipairs(names) do
    local number = hash(name) % count
    if not groups[number] or #groups[number] == NAMES_PER_CERTIFICATE then
      groups[number] = {}
      list[#list + 1] = groups[number]
    end
    table.insert(groups[number], name)
  end
  return list
end

-- Which names the local CA's certificates of a zone carry: the first list is the zone's own and every host that it
-- covers; hosts deeper down, and names of other domains, follow in lists of their own. Returns the lists and name → list
-- number.
local function names_of(zone, hosts)
  local lists, place, deeper, foreign = { { zone, "*." .. zone } }, {}, {}, {}
  local suffix = "." .. zone
  for _, name in ipairs(hosts) do
    if name == "*" or name == zone or name:match("^[^.]+(%..+)$") == suffix then
      place[name] = 1
    else
      table.insert(name:sub(-#suffix) == suffix and deeper or foreign, name)
    end
  end
  for _, names in ipairs { deeper, foreign } do
    for _, group in ipairs(groups_of(names)) do
      lists[#lists + 1] = group
      for _, name in ipairs(group) do place[name] = #lists end
    end
  end
  return lists, place
end

-- ---- uploaded certificates ----

--- Name or wildcard → the certificates that were made for it, in the order in which they are preferred.
---@param certificates moongate.ServerCertificate[]
---@return table<string, moongate.ServerCertificate[]>
function M.index(certificates)
  local index = {}
  for _, certificate in ipairs(certificates) do
    for _, name in ipairs(certificate.hosts) do
      index[name] = index[name] or {}
      table.insert(index[name], certificate)
    end
  end
  return index
end

-- The first that is still valid, else the first: to a client an expired one says more than one of an unknown CA.
local function first_of(candidates, now, kind)
  local expired
  for _, certificate in ipairs(candidates) do
    if certificate.kind ~= kind then
      if certificate.expires_on > now then return certificate end
      expired = expired or certificate
    end
  end
  return nil, expired
end

--- The certificates for a name: the best one, and one of the other kind of key. A certificate for the very name goes
--- before a wildcard, then the order of the list counts; expired ones are taken when there is no other.
---@param index table<string, moongate.ServerCertificate[]>
---@param name string a hostname or `*.` and a hostname
---@param now string RFC 3339 in UTC, whole seconds
---@return moongate.ServerCertificate[] one or two, or none
function M.choose(index, name, now)
  local candidates = {}
  local parent = name:sub(1, 2) ~= "*." and name:match("^[^.]+%.(.+)$")
  for _, list in ipairs { index[name] or {}, parent and index["*." .. parent] or {} } do
    for _, certificate in ipairs(list) do candidates[#candidates + 1] = certificate end
  end
  local best, expired = first_of(candidates, now, nil)
  best = best or expired
  if not best then return {} end
  return { best, (first_of(candidates, now, best.kind)) }
end

-- ---- a zone ----

local function located(err, part)
  err.where = err.where ~= "" and part .. ": " .. err.where or part
  return nil, err
end

-- Name → its certificates, of names that an uploaded one covers; and the names that none does.
local function covered(document)
  local index, now = M.index(document.certificates or {}), os.date("!%Y-%m-%dT%H:%M:%SZ")
  local chosen, rest = {}, {}
  for _, host in ipairs(document.hosts) do
    local identities = host.tls and host.tls.identities or M.choose(index, host.name, now)
    if identities[1] then chosen[host.name] = identities else rest[#rest + 1] = host.name end
  end
  return chosen, rest
end

-- The terms of one host: its own before the zone's, member by member, and its certificates.
local function terms_of(document, host, identities)
  if not (host.tls or identities) then return nil end
  return tls_policies.merge(tls_policies.merge(document.tls, host.tls), { identities = identities })
end

---@class moongate.ZonePolicies
---@field zone moongate.tls_policies.Policy of the names without an entry
---@field of_host table<string, moongate.tls_policies.Policy>
---@field all moongate.tls_policies.Policy[] to be held with the section

--- The policies of all names of a zone. Hosts with equal terms and certificates share one.
---@param control ffi.cdata* struct moon_control *
---@param document table see admin/document.lua and moongate.control.section
---@return moongate.ZonePolicies|nil
---@return moongate.control.Diagnostic|nil
function M.of_zone(control, document)
  local chosen, rest = covered(document)
  local lists, place = names_of(document.name, rest)
  local all, of_host, made = {}, {}, {}
  local of_zone = tls_policies.merge(document.tls)
  local function policy_for(terms, names)
    local policy, err = tls_policies.of(control, terms, names)
    all[#all + 1] = policy
    return policy, err
  end
  for number, names in ipairs(lists) do
    local err
    made[number], err = policy_for(of_zone, names)
    if not made[number] then return located(err, "tls") end
  end
  for _, host in ipairs(document.hosts) do
    local number = place[host.name] or 1
    local terms = terms_of(document, host, chosen[host.name])
    local policy, err = made[number], nil
    if terms then policy, err = policy_for(terms, lists[number]) end
    if not policy then
      return located(err, (chosen[host.name] and "certificate of " or "tls of ") .. host.name)
    end
    of_host[host.name] = policy
  end
  return { zone = made[1], of_host = of_host, all = all }
end

return M
