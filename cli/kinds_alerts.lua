--- moongate.cli.kinds_alerts — the kinds of things that notifications are made of: policies, and the webhooks that they
--- name.
--
-- Declarations for export and import (moongate.cli.kind). The address of a webhook is often as good as a password, and
-- its secret is one, so webhooks are referred to by name and never stand in a document.

local json = require "moongate.json"
local kind = require "moongate.cli.kind"

local M = {}

local STRING, BOOLEAN, OBJECT = "string", "boolean", "object"
local BASE = "/alerting/v3"

M.webhooks = {
  name = "webhooks", singular = "webhook", level = "account", hidden = true, referred = true, members = { name = STRING },
  key = function(value) return value.name end,
  missing = "its address and secret are not in the document: make it first",
}

function M.webhooks.read(world, place)
  local list, failure = world.api:list(place.path .. BASE .. "/destinations/webhooks")
  if not list then return nil, failure end
  local values = {}
  for index, raw in ipairs(list) do
    values[index] = kind.pick(raw, M.webhooks.members)
    world:remember("webhooks", place, raw.name, raw.id)
  end
  return values
end

M.notification_policies = {
  name = "notification_policies", singular = "notification policy", level = "account",
  required = { "name", "alert_type", "mechanisms" },
  members = { name = STRING, alert_type = STRING, description = STRING, alert_interval = STRING, enabled = BOOLEAN,
    filters = OBJECT, mechanisms = OBJECT },
  key = function(value) return ("%s (%s)"):format(tostring(value.name), tostring(value.alert_type)) end,
  complete = function(value, before) return kind.fill(value, before, "mechanisms") end,
}

local function path_of(world, place, value)
  local id = world:id("notification_policies", place, M.notification_policies.key(value))
  return ("%s%s/policies/%s"):format(place.path, BASE, id)
end

-- A list of { id = … } as plain words, and the other way round; `translate` gives the word for an id.
local function words_of(list, translate)
  local words = json.array {}
  for index, one in ipairs(json.is_array(list) and list or {}) do words[index] = translate(one.id) end
  return words
end

local function ids_of(words, translate)
  local list = json.array {}
  for index, word in ipairs(json.is_array(words) and words or {}) do list[index] = { id = translate(word) } end
  return list
end

local function same(word) return word end

function M.notification_policies.needs(value)
  local names = json.is_object(value.mechanisms) and value.mechanisms.webhooks
  return "webhooks", json.is_array(names) and names or {}
end

function M.notification_policies.read(world, place)
  local list, failure = world.api:list(place.path .. BASE .. "/policies")
  if not list then return nil, failure end
  local values = {}
  for index, raw in ipairs(list) do
    local value = kind.pick(raw, M.notification_policies.members)
    value.mechanisms = json.object {
      email = words_of(raw.mechanisms.email, same),
      webhooks = words_of(raw.mechanisms.webhooks, function(id) return world:key("webhooks", place, id) or id end),
    }
    values[index] = value
    world:remember("notification_policies", place, M.notification_policies.key(value), raw.id)
  end
  return values
end

local function body_of(world, place, value)
  local body = kind.merge(value)
  body.mechanisms = json.object {
    email = ids_of(value.mechanisms.email, same),
    webhooks = ids_of(value.mechanisms.webhooks, function(name) return world:id("webhooks", place, name) end),
  }
  return body
end

function M.notification_policies.create(world, place, value)
  return world.api:ask("POST", place.path .. BASE .. "/policies", body_of(world, place, value))
end

function M.notification_policies.change(world, place, value)
  return world.api:ask("PUT", path_of(world, place, value), body_of(world, place, value))
end

function M.notification_policies.delete(world, place, value)
  return world.api:ask("DELETE", path_of(world, place, value))
end

return M
