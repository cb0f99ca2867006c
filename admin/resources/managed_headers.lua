--- moongate.admin.resources.managed_headers — header fields that the gateway adds by itself, switched on by zone
--- (section 14 of the API).
--
-- There are two, both for origins: what is known of the client's certificate, one field for each field of the rules
-- language (core/gate/forward_certificate.h), and the client's address in True-Client-IP. admin/document_settings.lua
-- serves them.

local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"

local M = {}

local PATH = "/zones/{zone_id}/managed_headers"

-- List of the body → ids that there are, in their order.
local LISTS = {
  managed_request_headers = { "add_client_certificate_headers", "add_true_client_ip_headers" },
  managed_response_headers = {},
}

local function is_known(list, id)
  for _, known in ipairs(LISTS[list]) do
    if known == id then return true end
  end
  return false
end

local function show(context)
  local enabled, result = {}, json.object {}
  for _, row in ipairs(context.tx:all("SELECT id FROM managed_headers WHERE zone_id = ?", context.zone.id)) do
    enabled[row.id] = true
  end
  for list, ids in pairs(LISTS) do
    result[list] = json.array {}
    for index, id in ipairs(ids) do
      result[list][index] = json.object { id = id, enabled = enabled[id] == true, has_conflict = false }
    end
  end
  return { result = result }
end

local function switch(context, id, enabled)
  assert(context.tx:run("DELETE FROM managed_headers WHERE zone_id = ? AND id = ?", context.zone.id, id))
  if enabled then
    assert(context.tx:run("INSERT INTO managed_headers (zone_id, id) VALUES (?, ?)", context.zone.id, id))
  end
end

local function patch(context)
  for list in pairs(LISTS) do
    for index, entry in ipairs(context.values[list]) do
      local at = ("/%s/%d"):format(list, index - 1)
      local shown = type(entry.id) == "string" and entry.id:sub(1, 64):gsub("[%c\127-\255]", "?") or "?"
      if not is_known(list, entry.id) then return nil, errors.fail_at(at .. "/id", "managed_header_unknown", shown, list) end
      if check.kind(entry.enabled) ~= "boolean" then
        return nil, errors.fail_at(at .. "/enabled", "invalid", "enabled of " .. shown, "expected true or false")
      end
      switch(context, entry.id, entry.enabled)
    end
  end
  context.tx:touch(context.zone.id)
  return show(context)
end

local function delete(context)
  assert(context.tx:run("DELETE FROM managed_headers WHERE zone_id = ?", context.zone.id))
  context.tx:touch(context.zone.id)
  return { status = 204 }
end

local READ, WRITE = permissions.need("read", "Managed headers"), permissions.need("write", "Managed headers")

M.routes = {
  { method = "GET", path = PATH, permission = READ, run = show },
  {
    method = "PATCH", path = PATH, permission = WRITE, run = patch,
    fields = {
      { name = "managed_request_headers", type = "array", of = "object", default = {}, max = 100 },
      { name = "managed_response_headers", type = "array", of = "object", default = {}, max = 100 },
    },
  },
  { method = "DELETE", path = PATH, permission = WRITE, run = delete },
}

return M
