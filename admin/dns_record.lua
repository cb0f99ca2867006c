--- moongate.admin.dns_record — what a DNS record may say: reads the members of a body into the columns of a row.
--
-- Called by resources/dns_records.lua for single records and for batches. Every mistake of a body is one entry in the
-- `error_chain` of one error. Stores nothing.

local address = require "moongate.admin.address"
local associations = require "moongate.admin.resources.hostname_associations"
local check = require "moongate.admin.check"
local errors = require "moongate.admin.errors"
local json = require "moongate.json"

local M = {}

M.TYPES = { "A", "AAAA", "CNAME", "TXT" }
local PROXIABLE = { A = true, AAAA = true, CNAME = true }
local TTL_MIN, TTL_MAX = 30, 86400
local TEXT_BYTES, COMMENT_BYTES, TAGS, TAG_BYTES = 4096, 500, 20, 255
local SETTINGS = { "ipv4_only", "ipv6_only", "flatten_cname" }

-- Codes of the links in an error's chain.
local CODES = {
  name = 9000, proxied = 9003, proxiable = 9004, A = 9005, AAAA = 9006, CNAME = 9007, TXT = 9009, type = 9020,
  ttl = 9021, settings = 9022, comment = 9023, tags = 9024, body = 9025,
}

local FIELDS = {
  { name = "type", type = "string", one_of = M.TYPES },
  { name = "name", type = "string", max = 1024 },
  { name = "content", type = "string", max = TEXT_BYTES },
  { name = "ttl", type = "integer" },
  { name = "proxied", type = "boolean" },
  { name = "comment", type = "string", max = COMMENT_BYTES },
  { name = "tags", type = "array", of = "string", max = TAGS },
  { name = "settings", type = "object" },
}

--- Can a record of this type be proxied?
---@param kind string
---@return boolean
function M.is_proxiable(kind)
  return PROXIABLE[kind] == true
end

-- The full name in stored form: `@` and relative names are completed with the zone's.
local function name_of(tx, text, zone)
  local plain = text:lower():gsub("%.$", "")
  if plain == "@" or plain == "" then plain = zone.name end
  if not check.is_within(plain, zone.name) then plain = plain .. "." .. zone.name end
  local wildcard, rest = plain:match("^(%*%.)(.+)$")
  local name, reason = check.hostname(rest or plain)
  if not name then return nil, reason end
  if wildcard and not check.is_within(name, zone.name) then return nil, "it is not in the zone " .. zone.name end
  local closer = associations.closer_zone(tx, name, zone.name)
  if closer then return nil, "it belongs to the zone " .. closer end
  return (wildcard or "") .. name
end

-- Reads an address of one family.
local function address_of(kind, size, family)
  return function(text)
    local bytes = address.read(text)
    if not bytes or #bytes ~= size then
      return nil, ("Content for %s record must be a valid %s address."):format(kind, family)
    end
    local mistake = address.mistake(bytes)
    if mistake then return nil, ("Content for %s record is refused: %s."):format(kind, mistake) end
    return address.text(bytes)
  end
end

local CONTENT = {
  A = address_of("A", 4, "IPv4"),
  AAAA = address_of("AAAA", 16, "IPv6"),
  CNAME = function(text, row)
    local name, reason = check.hostname(text)
    if not name then return nil, "Content for CNAME record is invalid: " .. reason .. "." end
    if name == row.hostname then return nil, "A CNAME record cannot point to its own name." end
    return name
  end,
  TXT = function(text) return text end,
}

-- Collects the links of a chain, each with the pointer of the member that is wrong.
local function collector()
  local list = {}
  return list, function(member, code, message)
    list[#list + 1] = { pointer = "/" .. member, link = { code = CODES[code], message = message } }
  end
end

local function read_tags(body, row, refuse)
  row.tags = {}
  for index, text in ipairs(body.tags) do
    local name, value = text:match("^([%w_%-]+):(.*)$")
    if not name or #text > TAG_BYTES then
      refuse("tags/" .. index - 1, "tags", ("Tag %d is invalid: expected name:value, at most %d bytes.")
        :format(index, TAG_BYTES))
    end
    row.tags[index] = { name = name, value = value }
  end
end

local function read_settings(body, row, refuse)
  local settings = json.object {}
  for _, name in ipairs(SETTINGS) do
    local value = body.settings[name]
    if value ~= nil and value ~= json.null then
      if type(value) ~= "boolean" then refuse("settings/" .. name, "settings", name .. " must be true or false.") end
      settings[name] = value
    end
  end
  row.settings = json.encode(settings, { sorted = true })
end

-- What only makes sense together: name, content, ttl and proxied of one type.
local function finish(context, row, refuse)
  if not row.type then return refuse("type", "type", "DNS record type is required.") end
  if not row.hostname then
    refuse("name", "name", "DNS name is required.")
  else
    local name, reason = name_of(context.tx, row.hostname, context.zone)
    if not name then refuse("name", "name", "DNS name is invalid: " .. reason .. ".") end
    row.hostname = name or row.hostname
  end
  local content, wrong
  if row.content then content, wrong = CONTENT[row.type](row.content, row) end
  if not content then refuse("content", row.type, wrong or "Content is required.") end
  row.content = content
  if row.proxied == 1 and not PROXIABLE[row.type] then
    refuse("proxied", "proxiable", ("A %s record cannot be proxied."):format(row.type))
  end
  if row.proxied == 1 then row.ttl = 1 end
  if row.ttl ~= 1 and (row.ttl < TTL_MIN or row.ttl > TTL_MAX) then
    refuse("ttl", "ttl", ("Invalid TTL. Must be between %d and %d seconds, or 1 for Automatic."):format(TTL_MIN,
      TTL_MAX))
  end
end

local function failure_of(list)
  local one = errors.new("dns_invalid")
  one.pointer, one.chain = list[1].pointer, {}
  for index, entry in ipairs(list) do one.chain[index] = entry.link end
  return { one }
end

-- Copies what a body says over `row`; null and empty texts clear what may be absent.
local function overlay(context, body, values, row, refuse)
  for member, column in pairs { type = "type", name = "hostname", content = "content", ttl = "ttl" } do
    row[column] = values[member] or row[column]
  end
  if values.proxied ~= nil then row.proxied = values.proxied and 1 or 0 end
  if body.comment ~= nil then
    if row.comment ~= values.comment then row.comment_modified_on = context.stamp end
    row.comment = values.comment
  end
  if body.tags ~= nil then
    read_tags({ tags = values.tags or {} }, row, refuse)
    row.tags_modified_on = (row.tags[1] or row.tags_modified_on) and context.stamp
  end
  if body.settings ~= nil then read_settings({ settings = values.settings or {} }, row, refuse) end
end

--- Reads a record. With `before` the body says what changes, without it everything.
---@param context table of a request, in its transaction
---@param body any decoded JSON
---@param before table|nil the row as it is
---@return table|nil row its columns; `tags` is a list of { name, value }, nil when they stay as they are
---@return moongate.admin.error[]|nil
function M.read(context, body, before)
  local list, refuse = collector()
  local values, mistakes = check.object(body, FIELDS)
  for _, mistake in ipairs(mistakes or {}) do
    refuse(mistake.field ~= "body" and mistake.field or "", CODES[mistake.field] and mistake.field or "body",
      ("Invalid value for %s: %s."):format(mistake.field, mistake.text))
  end
  if list[1] then return nil, failure_of(list) end
  local row = before or { ttl = 1, proxied = 0, settings = "{}" }
  overlay(context, body, values, row, refuse)
  finish(context, row, refuse)
  if list[1] then return nil, failure_of(list) end
  return row
end

return M
