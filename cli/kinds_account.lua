--- moongate.cli.kinds_account — the kinds of things that an account has: lists, CAs, and its zones themselves.
--
-- Declarations for export and import (moongate.cli.kind). Private keys are never shown by the API, so leaf certificates
-- and what has one are looked up, never made.

local json = require "moongate.json"
local kind = require "moongate.cli.kind"

local M = {}

local STRING, BOOLEAN, ARRAY, OBJECT = "string", "boolean", "array", "object"
local PIECE = 50000 -- items of a list in one call

-- ---- lists ----

local ITEM = { ip = true, hostname = true, asn = true, redirect = true, comment = true }

local function list_path(world, place, value)
  return ("%s/rules/lists/%s"):format(place.path, world:id("lists", place, value.name))
end

local function read_items(world, path)
  local raw, failure = world.api:list(path .. "/items")
  if not raw then return nil, failure end
  local items = json.array {}
  for index, item in ipairs(raw) do items[index] = kind.trim(item, ITEM) end
  return items
end

-- Many items go in pieces: a body has a largest size.
local function write_items(world, path, items)
  for first = 1, math.max(1, #items), PIECE do
    local piece = json.array {}
    for index = first, math.min(first + PIECE - 1, #items) do piece[#piece + 1] = items[index] end
    local done, failure = world.api:ask(first == 1 and "PUT" or "POST", path .. "/items", piece)
    if not done then return nil, failure end
  end
  return true
end

local function in_order(items)
  local copy = json.array {}
  for index, item in ipairs(items) do copy[index] = kind.canonical(item) end
  table.sort(copy)
  return copy
end

M.lists = {
  name = "lists", singular = "list", level = "account", required = { "name", "kind" },
  members = { name = STRING, kind = STRING, description = STRING, items = ARRAY },
  key = function(value) return value.name end,
  must_renew = function(value, before) return value.kind ~= before.kind end,
  -- The order of items means nothing.
  complete = function(value, before)
    if not json.is_array(value.items) or not json.is_array(before.items) then return value end
    local copy = kind.merge(value)
    if kind.canonical(in_order(value.items)) == kind.canonical(in_order(before.items)) then copy.items = before.items end
    return copy
  end,
}

function M.lists.read(world, place)
  local raw, failure = world.api:list(place.path .. "/rules/lists")
  if not raw then return nil, failure end
  local values = {}
  for index, list in ipairs(raw) do
    world:remember("lists", place, list.name, list.id)
    local value = kind.pick(list, { name = true, kind = true, description = true })
    value.items, failure = read_items(world, list_path(world, place, value))
    if not value.items then return nil, failure end
    values[index] = value
  end
  return values
end

function M.lists.create(world, place, value)
  local made, failure = world.api:ask("POST", place.path .. "/rules/lists", {
    name = value.name, kind = value.kind, description = value.description,
  })
  if not made then return nil, failure end
  world:remember("lists", place, value.name, made.id)
  if not kind.given(value.items) or not value.items[1] then return true end
  return write_items(world, list_path(world, place, value), value.items)
end

function M.lists.change(world, place, value, before)
  local path = list_path(world, place, value)
  if value.description ~= before.description then
    local done, failure = world.api:ask("PUT", path, { description = value.description })
    if not done then return nil, failure end
  end
  if kind.canonical(value.items) == kind.canonical(before.items) then return true end
  return write_items(world, path, value.items)
end

function M.lists.delete(world, place, value)
  return world.api:ask("DELETE", list_path(world, place, value))
end

function M.lists.renew(world, place, value)
  local gone, failure = M.lists.delete(world, place, value)
  if not gone then return nil, failure end
  return M.lists.create(world, place, value)
end

-- ---- CAs ----

local function certificate_key(value)
  return kind.given(value.name) or kind.fingerprint(value.certificates or "")
end

local function certificates(world, place, name, is_ca)
  local raw, failure = world.api:list(place.path .. "/mtls_certificates", { ca = is_ca })
  if not raw then return nil, failure end
  local values = {}
  for index, one in ipairs(raw) do
    local value = kind.pick(one, { name = true, certificates = true })
    world:remember(name, place, certificate_key(value), one.id)
    values[index] = value
  end
  return values
end

local DENIAL = { serial = true, sha256 = true, comment = true }

local function denials_path(world, place, value)
  return ("%s/mtls_certificates/%s/moongate/denials"):format(place.path,
    world:id("certificate_authorities", place, certificate_key(value)))
end

local REVOCATION_LIST = { source = true, url = true, refresh_minutes = true, soft = true }

local function revocation_list_path(world, place, value)
  return ("%s/mtls_certificates/%s/moongate/crl"):format(place.path,
    world:id("certificate_authorities", place, certificate_key(value)))
end

-- Where the list comes from, or null; the API does not show the list itself.
local function read_revocation_list(world, place, value)
  local raw, failure = world.api:ask("GET", revocation_list_path(world, place, value))
  if raw then return kind.trim(raw, REVOCATION_LIST) end
  if failure.status == 404 then return json.null end
  return nil, failure
end

-- A CA whose list is not there must not verify anybody: the import stops before hostnames are associated with it.
local function set_revocation_list(world, place, value)
  local wanted = value.revocation_list
  if wanted == nil then return true end
  local before, failure = read_revocation_list(world, place, value)
  if not before then return nil, failure end
  if kind.canonical(wanted) == kind.canonical(before) then return true end
  local path = revocation_list_path(world, place, value)
  if wanted == json.null then return world.api:ask("DELETE", path) end
  if wanted.source == "url" then
    return world.api:ask("PUT", path, {
      url = wanted.url, refresh_minutes = wanted.refresh_minutes, soft = wanted.soft,
    })
  end
  return nil, { text = ("its revocation list is in no document: send it with PUT %s, then import again"):format(path) }
end

M.certificate_authorities = {
  name = "certificate_authorities", singular = "CA", level = "account", required = { "certificates" }, referred = true,
  members = { name = STRING, certificates = STRING, denials = ARRAY, revocation_list = OBJECT },
  key = certificate_key,
  must_renew = function(value, before) return value.certificates ~= before.certificates end,
}

function M.certificate_authorities.read(world, place)
  local values, failure = certificates(world, place, "certificate_authorities", true)
  if not values then return nil, failure end
  for _, value in ipairs(values) do
    local raw
    raw, failure = world.api:list(denials_path(world, place, value))
    if not raw then return nil, failure end
    value.denials = json.array {}
    for index, one in ipairs(raw) do value.denials[index] = kind.trim(one, DENIAL) end
    table.sort(value.denials, function(a, b) return kind.canonical(a) < kind.canonical(b) end)
    value.revocation_list, failure = read_revocation_list(world, place, value)
    if not value.revocation_list then return nil, failure end
  end
  return values
end

-- Brings the deny list of a CA to what the document says.
local function set_denials(world, place, value)
  if not kind.given(value.denials) then return true end
  local path = denials_path(world, place, value)
  local raw, failure = world.api:list(path)
  if not raw then return nil, failure end
  local there, wanted = {}, {}
  for _, one in ipairs(value.denials) do wanted[kind.canonical(one)] = one end
  for _, one in ipairs(raw) do
    local text = kind.canonical(kind.trim(one, DENIAL))
    there[text] = true
    if not wanted[text] then
      local gone
      gone, failure = world.api:ask("DELETE", path .. "/" .. one.id)
      if not gone then return nil, failure end
    end
  end
  for text, one in pairs(wanted) do
    local made = there[text]
    if not made then made, failure = world.api:ask("POST", path, one) end
    if not made then return nil, failure end
  end
  return true
end

function M.certificate_authorities.create(world, place, value)
  local made, failure = world.api:ask("POST", place.path .. "/mtls_certificates", {
    ca = true, name = value.name, certificates = value.certificates,
  })
  if not made then return nil, failure end
  world:remember("certificate_authorities", place, certificate_key(value), made.id)
  return M.certificate_authorities.change(world, place, value)
end

function M.certificate_authorities.change(world, place, value)
  local done, failure = set_denials(world, place, value)
  if not done then return nil, failure end
  return set_revocation_list(world, place, value)
end

local function associations_of(zone) return zone.path .. "/certificate_authorities/hostname_associations" end

-- Takes a CA's hostnames away in every zone, which the API wants before the CA goes; gives what they were.
local function dissociate(world, id)
  local before = {}
  for index, zone in ipairs(world.zones) do
    local raw, failure = world.api:ask("GET", associations_of(zone), nil, { mtls_certificate_id = id })
    if not raw then return nil, failure end
    before[index] = raw.hostnames
    if raw.hostnames[1] then
      local done
      done, failure = world.api:ask("PUT", associations_of(zone), {
        hostnames = json.array {}, mtls_certificate_id = id,
      })
      if not done then return nil, failure end
    end
  end
  return before
end

function M.certificate_authorities.delete(world, place, value)
  local id = world:id("certificate_authorities", place, certificate_key(value))
  local before, failure = dissociate(world, id)
  if not before then return nil, failure end
  return world.api:ask("DELETE", ("%s/mtls_certificates/%s"):format(place.path, id))
end

-- Another certificate under the same name: in between, the hostnames ask for none of it, so their rules block.
function M.certificate_authorities.renew(world, place, value)
  local old = world:id("certificate_authorities", place, certificate_key(value))
  local hostnames, failure = dissociate(world, old)
  if not hostnames then return nil, failure end
  local done
  done, failure = world.api:ask("DELETE", ("%s/mtls_certificates/%s"):format(place.path, old))
  if not done then return nil, failure end
  done, failure = M.certificate_authorities.create(world, place, value)
  if not done then return nil, failure end
  local id = world:id("certificate_authorities", place, certificate_key(value))
  for index, zone in ipairs(world.zones) do
    if hostnames[index][1] then
      done, failure = world.api:ask("PUT", associations_of(zone), {
        hostnames = hostnames[index], mtls_certificate_id = id,
      })
      if not done then return nil, failure end
    end
  end
  return true
end

--- Leaf certificates with a private key; origins refer to them.
M.leaf_certificates = {
  name = "leaf_certificates", singular = "leaf certificate", level = "account", hidden = true, referred = true,
  members = { name = STRING, certificates = STRING }, key = certificate_key,
  missing = "its private key is not in the document: upload it first",
}

function M.leaf_certificates.read(world, place)
  return certificates(world, place, "leaf_certificates", false)
end

-- ---- CAs of Access ----

--- For an account or a zone, whose path begins with the place's.
---@param level string
---@return moongate.cli.kind
function M.access_certificates(level)
  local one = {
    name = "access_certificates", singular = "Access certificate", level = level, required = { "fingerprint" },
    members = { name = STRING, fingerprint = STRING, associated_hostnames = ARRAY },
    key = function(value) return value.fingerprint end,
    missing = "the API does not show its certificate, so the document does not have it: upload it first",
  }
  function one.read(world, place)
    local raw, failure = world.api:list(place.path .. "/access/certificates")
    if not raw then return nil, failure end
    local values = {}
    for index, certificate in ipairs(raw) do
      values[index] = kind.pick(certificate, one.members)
      world:remember(one.name, place, certificate.fingerprint, certificate.id)
    end
    return values
  end
  local function put(world, place, value, hostnames)
    local path = ("%s/access/certificates/%s"):format(place.path, world:id(one.name, place, value.fingerprint))
    local done, failure = world.api:ask("PUT", path, { name = value.name, associated_hostnames = hostnames })
    return done and path, failure
  end
  function one.change(world, place, value) return put(world, place, value, value.associated_hostnames) end
  function one.delete(world, place, value)
    local path, failure = put(world, place, value, json.array {})
    if not path then return nil, failure end
    return world.api:ask("DELETE", path)
  end
  return one
end

-- ---- zones ----

M.zones = {
  name = "zones", singular = "zone", level = "account", required = { "name" },
  members = { name = STRING, type = STRING, paused = BOOLEAN, vanity_name_servers = ARRAY },
  key = function(value) return value.name end,
}

function M.zones.create(world, place, value)
  local made, failure = world.api:ask("POST", "/zones", {
    name = value.name, type = value.type, account = { id = place.account.id },
  })
  if not made then return nil, failure end
  world:open_zone(made)
  return M.zones.change(world, place, value, kind.pick(made, M.zones.members))
end

-- The API changes one property at a time.
function M.zones.change(world, _, value, before)
  for _, name in ipairs { "type", "paused", "vanity_name_servers" } do
    if value[name] ~= nil and kind.canonical(value[name]) ~= kind.canonical(before[name]) then
      local done, failure = world.api:ask("PATCH", world:zone(value.name).path, { [name] = value[name] })
      if not done then return nil, failure end
    end
  end
  return true
end

function M.zones.delete(world, _, value)
  local place = world:zone(value.name)
  local gone, failure = world.api:ask("DELETE", place.path)
  if not gone then return nil, failure end
  world:close_zone(place)
  return true
end

return M
