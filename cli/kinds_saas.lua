--- moongate.cli.kinds_saas — the kinds of things that concern hostnames of other domains: custom hostnames, where they go,
--- whether ownership is proven.
--
-- Declarations for export and import (moongate.cli.kind). What the operator or a check has said about a single hostname
-- is no part of a document, and neither is a certificate with its key.

local json = require "moongate.json"
local kind = require "moongate.cli.kind"

local M = {}

local STRING, BOOLEAN, OBJECT = "string", "boolean", "object"
local SSL = { method = true, type = true, bundle_method = true, certificate_authority = true, wildcard = true,
  cloudflare_branding = true, settings = true }

local function nothing() return "" end

-- ---- where they go ----

M.fallback_origin = {
  name = "fallback_origin", singular = "fallback origin", level = "zone", single = true, key = nothing,
  members = { origin = STRING },
}

local function fallback_path(place) return place.path .. "/custom_hostnames/fallback_origin" end

function M.fallback_origin.read(world, place)
  local raw, failure = world.api:ask("GET", fallback_path(place))
  if not raw and failure.status ~= 404 then return nil, failure end
  return { kind.pick(raw or {}, M.fallback_origin.members) }
end

function M.fallback_origin.change(world, place, value)
  if value.origin == json.null then return world.api:ask("DELETE", fallback_path(place)) end
  return world.api:ask("PUT", fallback_path(place), value)
end

-- ---- whether ownership is proven ----

M.custom_hostname_checks = {
  name = "custom_hostname_checks", singular = "checks of custom hostnames", level = "zone", single = true, key = nothing,
  members = { ownership_checks = BOOLEAN },
}

-- Whoever may not look cannot say that there are none, but need not switch off what is nowhere on.
function M.custom_hostname_checks.complete(value, before)
  if before.ownership_checks == nil and value.ownership_checks ~= true then return json.object {} end
  return value
end

-- For tokens without limits only; others do not speak of it.
function M.custom_hostname_checks.read(world, place)
  local raw, failure = world.api:ask("GET", place.path .. "/moongate/custom_hostnames")
  if raw then return { kind.pick(raw, M.custom_hostname_checks.members) } end
  if failure.status == 403 then return { json.object {} } end
  return nil, failure
end

function M.custom_hostname_checks.change(world, place, value)
  return world.api:ask("PUT", place.path .. "/moongate/custom_hostnames", value)
end

-- ---- custom hostnames ----

M.custom_hostnames = {
  name = "custom_hostnames", singular = "custom hostname", level = "zone", required = { "hostname" },
  members = { hostname = STRING, ssl = OBJECT, custom_origin_server = STRING, custom_origin_sni = STRING,
    custom_metadata = OBJECT },
  key = function(value) return value.hostname end,
  complete = function(value, before) return kind.fill(value, before, "ssl") end,
  -- An ssl object that is there stays.
  must_renew = function(value, before) return value.ssl == json.null and before.ssl ~= json.null end,
}

function M.custom_hostnames.read(world, place)
  local list, failure = world.api:list(place.path .. "/custom_hostnames")
  if not list then return nil, failure end
  local values = {}
  for index, raw in ipairs(list) do
    local value = kind.pick(raw, M.custom_hostnames.members)
    if value.ssl ~= json.null then value.ssl = kind.trim(raw.ssl, SSL) end
    values[index] = value
    world:remember("custom_hostnames", place, raw.hostname, raw.id)
  end
  return values
end

function M.custom_hostnames.create(world, place, value)
  return world.api:ask("POST", place.path .. "/custom_hostnames", value)
end

local function path_of(world, place, value)
  return ("%s/custom_hostnames/%s"):format(place.path, world:id("custom_hostnames", place, value.hostname))
end

-- Only what differs: an ssl object that is sent again asks for validation again.
function M.custom_hostnames.change(world, place, value, before)
  local body = json.object {}
  for name, member in pairs(value) do
    if name ~= "hostname" and kind.canonical(member) ~= kind.canonical(before[name]) then body[name] = member end
  end
  return world.api:ask("PATCH", path_of(world, place, value), body)
end

function M.custom_hostnames.delete(world, place, value)
  return world.api:ask("DELETE", path_of(world, place, value))
end

function M.custom_hostnames.renew(world, place, value)
  local gone, failure = M.custom_hostnames.delete(world, place, value)
  if not gone then return nil, failure end
  return M.custom_hostnames.create(world, place, value)
end

return M
