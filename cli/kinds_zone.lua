--- moongate.cli.kinds_zone — the kinds of things that a zone has, but for its rules: settings, associations, DNS records,
--- origins.
--
-- Declarations for export and import (moongate.cli.kind).

local json = require "moongate.json"
local kind = require "moongate.cli.kind"

local M = {}

local STRING, BOOLEAN, ARRAY, INTEGER, OBJECT, ANY = "string", "boolean", "array", "number", "object", "any"

local function nothing() return "" end

-- ---- settings ----

M.settings = { name = "settings", singular = "settings", level = "zone", single = true, free = true, key = nothing }

function M.settings.read(world, place)
  local raw, failure = world.api:ask("GET", place.path .. "/settings")
  if not raw then return nil, failure end
  local value = json.object {}
  for _, setting in ipairs(raw) do
    if setting.editable then value[setting.id] = setting.value end
  end
  return { value }
end

-- All at once: some of them contradict each other on the way.
function M.settings.change(world, place, value, before)
  local items = json.array {}
  for id, wanted in pairs(value) do
    if kind.canonical(wanted) ~= kind.canonical(before[id]) then items[#items + 1] = { id = id, value = wanted } end
  end
  table.sort(items, function(a, b) return a.id < b.id end)
  return world.api:ask("PATCH", place.path .. "/settings", { items = items })
end

M.managed_headers = {
  name = "managed_headers", singular = "managed headers", level = "zone", single = true, key = nothing,
  members = { managed_request_headers = ARRAY, managed_response_headers = ARRAY },
}

-- The names of those that are on.
function M.managed_headers.read(world, place)
  local raw, failure = world.api:ask("GET", place.path .. "/managed_headers")
  if not raw then return nil, failure end
  local value = json.object {}
  for list in pairs(M.managed_headers.members) do
    value[list] = json.array {}
    for _, one in ipairs(raw[list]) do
      if one.enabled then table.insert(value[list], one.id) end
    end
    table.sort(value[list])
  end
  return { value }
end

function M.managed_headers.change(world, place, value, before)
  local body = json.object {}
  for list in pairs(M.managed_headers.members) do
    local on = {}
    for _, id in ipairs(before[list]) do on[id] = false end
    for _, id in ipairs(value[list]) do on[id] = true end
    body[list] = json.array {}
    for id, enabled in pairs(on) do table.insert(body[list], { id = id, enabled = enabled }) end
  end
  return world.api:ask("PATCH", place.path .. "/managed_headers", body)
end

--- Whether authenticated origin pulls are on; their certificates have private keys and are not exported.
M.origin_pulls = {
  name = "origin_pulls", singular = "origin pulls", level = "zone", single = true, key = nothing,
  members = { enabled = BOOLEAN },
}

function M.origin_pulls.read(world, place)
  local raw, failure = world.api:ask("GET", place.path .. "/origin_tls_client_auth/settings")
  if not raw then return nil, failure end
  return { kind.pick(raw, M.origin_pulls.members) }
end

function M.origin_pulls.change(world, place, value)
  return world.api:ask("PUT", place.path .. "/origin_tls_client_auth/settings", value)
end

-- ---- hostnames ----

local MANAGED = "(managed CA)"

local function associations_path(place) return place.path .. "/certificate_authorities/hostname_associations" end

M.associations = {
  name = "associations", singular = "hostnames of", level = "zone", required = { "hostnames" },
  members = { ca = STRING, hostnames = ARRAY },
  key = function(value) return kind.given(value.ca) or MANAGED end,
}

function M.associations.needs(value)
  return "certificate_authorities", { kind.given(value.ca) }
end

local function hostnames_of(world, place, id)
  local raw, failure = world.api:ask("GET", associations_path(place), nil, id and { mtls_certificate_id = id })
  if not raw then return nil, failure end
  return raw.hostnames
end

function M.associations.read(world, place)
  local values = {}
  local managed, failure = hostnames_of(world, place)
  if not managed then return nil, failure end
  if managed[1] then values[1] = json.object { ca = json.null, hostnames = managed } end
  for _, name in ipairs(world:keys("certificate_authorities", world.account_place)) do
    local names
    names, failure = hostnames_of(world, place, world:id("certificate_authorities", world.account_place, name))
    if not names then return nil, failure end
    if names[1] then values[#values + 1] = json.object { ca = name, hostnames = names } end
  end
  return values
end

local function set_hostnames(world, place, value, hostnames)
  local id
  if kind.given(value.ca) then id = world:id("certificate_authorities", world.account_place, value.ca) end
  return world.api:ask("PUT", associations_path(place), { hostnames = hostnames, mtls_certificate_id = id })
end

function M.associations.create(world, place, value) return set_hostnames(world, place, value, value.hostnames) end

M.associations.change = M.associations.create

function M.associations.delete(world, place, value) return set_hostnames(world, place, value, json.array {}) end

local SETTINGS = { "ciphers", "min_tls_version", "http2" }

M.hostname_settings = kind.named {
  name = "hostname_settings", singular = "setting of a hostname", level = "zone",
  required = { "hostname", "setting", "value" },
  members = { hostname = STRING, setting = STRING, value = ANY },
  collection = "/hostnames/settings",
  key = function(value) return ("%s of %s"):format(tostring(value.setting), tostring(value.hostname)) end,
  path_of = function(world, value) return world.escape(value.setting) .. "/" .. world.escape(value.hostname) end,
  body = function(_, _, value) return { value = value.value } end,
  read = function(world, place)
    local values = {}
    for _, setting in ipairs(SETTINGS) do
      local list, failure = world.api:list(place.path .. "/hostnames/settings/" .. setting)
      if not list then return nil, failure end
      for _, raw in ipairs(list) do
        values[#values + 1] = json.object { hostname = raw.hostname, setting = setting, value = raw.value }
      end
    end
    return values
  end,
}

M.hostname_options = kind.named {
  name = "hostname_options", singular = "options of", level = "zone", required = { "hostname" },
  members = { hostname = STRING, client_certificate_usage = STRING, resumption = BOOLEAN, forward = OBJECT,
    strict_sni = BOOLEAN },
  collection = "/moongate/hostnames", complete = function(value, before) return kind.fill(value, before, "forward") end,
  key = function(value) return value.hostname end,
  path_of = function(world, value) return world.escape(value.hostname) end,
}

M.access_settings = {
  name = "access_settings", singular = "Access settings of", level = "zone", required = { "hostname" },
  members = { hostname = STRING, china_network = BOOLEAN, client_certificate_forwarding = BOOLEAN },
  key = function(value) return value.hostname end,
}

-- There is no call that removes a setting; one that is off in every way is as good as none.
function M.access_settings.read(world, place)
  local raw, failure = world.api:ask("GET", place.path .. "/access/certificates/settings")
  if not raw then return nil, failure end
  local values = {}
  for _, one in ipairs(raw) do
    if one.china_network or one.client_certificate_forwarding then
      values[#values + 1] = kind.pick(one, M.access_settings.members)
    end
  end
  return values
end

function M.access_settings.create(world, place, value)
  return world.api:ask("PUT", place.path .. "/access/certificates/settings", { settings = json.array { value } })
end

M.access_settings.change = M.access_settings.create

function M.access_settings.delete(world, place, value)
  return M.access_settings.create(world, place, {
    hostname = value.hostname, china_network = false, client_certificate_forwarding = false,
  })
end

-- ---- where requests go ----

local STEPS = { create = "posts", change = "puts", delete = "deletes" }
local BATCH = 500

M.dns_records = {
  name = "dns_records", singular = "DNS record", level = "zone", required = { "type", "name", "content" },
  members = { type = STRING, name = STRING, content = STRING, ttl = INTEGER, proxied = BOOLEAN, comment = STRING,
    tags = ARRAY, settings = OBJECT },
}

-- A name has one CNAME, and any number of the others.
function M.dns_records.key(value)
  local key = ("%s %s"):format(tostring(value.type), tostring(value.name))
  return value.type == "CNAME" and key or ("%s %s"):format(key, tostring(value.content))
end

function M.dns_records.read(world, place)
  local list, failure = world.api:list(place.path .. "/dns_records")
  if not list then return nil, failure end
  local values = {}
  for index, raw in ipairs(list) do
    values[index] = kind.pick(raw, M.dns_records.members)
    world:remember("dns_records", place, M.dns_records.key(values[index]), raw.id)
  end
  return values
end

-- The records of a zone change together: a CNAME cannot stand beside what it takes the place of.
function M.dns_records.batch(world, place, operations)
  local list = {}
  for _, verb in ipairs { "delete", "change", "create" } do
    for _, operation in ipairs(operations) do
      if operation.verb == verb then list[#list + 1] = operation end
    end
  end
  for first = 1, #list, BATCH do
    local body = { posts = json.array {}, puts = json.array {}, deletes = json.array {} }
    for index = first, math.min(first + BATCH - 1, #list) do
      local operation = list[index]
      local step = kind.merge(operation.verb ~= "delete" and operation.value or {})
      if operation.verb ~= "create" then step.id = world:id("dns_records", place, operation.key) end
      table.insert(body[STEPS[operation.verb]], step)
    end
    local done, failure = world.api:ask("POST", place.path .. "/dns_records/batch", body)
    if not done then return nil, failure end
  end
  return true
end

M.origins = kind.named {
  name = "origins", singular = "origin of", level = "zone", required = { "hostname", "url" },
  members = { hostname = STRING, url = STRING, host_header = STRING, sni = STRING, verify = BOOLEAN, ca = STRING,
    client_certificate = STRING },
  collection = "/moongate/origins",
  key = function(value) return value.hostname end,
  path_of = function(world, value) return world.escape(value.hostname) end,
  portable = function(world, raw)
    local value = kind.pick(raw, M.origins.members)
    if kind.given(raw.client_certificate_id) then
      value.client_certificate = world:key("leaf_certificates", world.account_place, raw.client_certificate_id)
        or raw.client_certificate_id
    end
    return value
  end,
  body = function(world, _, value)
    local body = kind.merge(value)
    body.client_certificate = nil
    if kind.given(value.client_certificate) then
      body.client_certificate_id = world:id("leaf_certificates", world.account_place, value.client_certificate)
    end
    return body
  end,
  needs = function(value)
    return "leaf_certificates", { kind.given(value.client_certificate) }
  end,
}

return M
