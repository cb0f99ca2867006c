--- moongate.admin.setting — the settings of zones: which there are, what may be said in them, what holds when nothing
--- was said.
--
-- Zones have all of them (resources/zone_settings.lua), hostnames some (resources/hostname_settings.lua). Only what was
-- changed is stored; `of_zone` fills in the rest. What a setting does is decided where it is served
-- (document_settings.lua, origin_mode.lua); what this gateway does not do, it stores, echoes, and says so in a notice.

local check = require "moongate.admin.check"
local cipher = require "moongate.admin.cipher"
local json = require "moongate.json"

local M = {}

local SWITCH = { "on", "off" }
local MAX_CIPHERS = 64
local NOTICE = 21101

---@class moongate.admin.setting
---@field id string
---@field default string|nil of a list of ciphers: the empty one
---@field one_of string[]|nil absent: a list of ciphers
---@field fixed boolean|nil it is what it is
---@field notice (fun(value: any): string|nil)|nil what the answer to a change says about it

local function unserved(what)
  return function(value)
    if value == "on" then return ("stored, but %s: this changes nothing"):format(what) end
  end
end

---@type moongate.admin.setting[] in the order in which they are listed
M.list = {
  {
    id = "0rtt", default = "off", one_of = SWITCH,
    notice = unserved "early data is never accepted, for it can be replayed",
  },
  { id = "always_use_https", default = "off", one_of = SWITCH },
  { id = "automatic_https_rewrites", default = "off", one_of = SWITCH, notice = unserved "pages are never rewritten" },
  { id = "ciphers" },
  {
    id = "ech", default = "off", one_of = SWITCH, notice = unserved "encrypted ClientHellos are not supported",
  },
  {
    id = "http2", default = "on", one_of = SWITCH, notice = unserved "clients are served HTTP/1.1 only",
  },
  { id = "http3", default = "off", one_of = SWITCH, fixed = true },
  {
    id = "ipv6", default = "on", one_of = SWITCH,
    notice = function(value)
      if value == "off" then return "stored, but the addresses that are listened on stand in the configuration file" end
    end,
  },
  {
    id = "min_tls_version", default = "1.0", one_of = { "1.0", "1.1", "1.2", "1.3" },
    notice = function(value)
      if value < "1.2" then return "stored, but nothing older than TLS 1.2 is spoken: clients need TLS 1.2" end
    end,
  },
  {
    id = "opportunistic_encryption", default = "off", one_of = SWITCH,
    notice = unserved "plain HTTP is never offered over TLS",
  },
  {
    id = "pq_keyex", default = "off", one_of = SWITCH,
    notice = unserved "the TLS library has no post-quantum key exchange",
  },
  {
    id = "ssl", default = "full", one_of = { "off", "flexible", "full", "strict", "origin_pull" },
    notice = function(value)
      if value == "off" then
        return "stored and treated like flexible: origins are spoken to without TLS, clients may go on using it"
      end
    end,
  },
  {
    id = "tls_1_3", default = "on", one_of = { "on", "off", "zrt" },
    notice = function(value)
      if value == "zrt" then return "TLS 1.3 is on, without 0-RTT: early data is never accepted" end
    end,
  },
  { id = "tls_client_auth", default = "off", one_of = SWITCH },
  { id = "websockets", default = "on", one_of = SWITCH },
}

---@type table<string, moongate.admin.setting>
M.by_id = {}
for _, setting in ipairs(M.list) do M.by_id[setting.id] = setting end

local function cipher_mistake(value)
  if check.kind(value) ~= "array" then return "expected an array of cipher suites" end
  if #value > MAX_CIPHERS then return ("at most %d cipher suites, not %d"):format(MAX_CIPHERS, #value) end
  for index, name in ipairs(value) do
    if type(name) ~= "string" then return ("element %d: expected a string"):format(index) end
    local reason = cipher.mistake(name)
    if reason then return reason end
  end
end

--- Why a value cannot be that of a setting; nil when it can.
---@param setting moongate.admin.setting
---@param value any a decoded JSON value
---@return string|nil reason
function M.mistake(setting, value)
  if not setting.one_of then return cipher_mistake(value) end
  for _, allowed in ipairs(setting.one_of) do
    if allowed == value then return nil end
  end
  return ('expected one of "%s"'):format(table.concat(setting.one_of, '", "'))
end

--- What the answer to a change says about a value that is not served as it was asked; nil when it is.
---@param setting moongate.admin.setting
---@param value any
---@param context table of the request
---@param hostname string|nil whose setting it is; nil: the zone's
---@return { code: integer, message: string }|nil
function M.notice(setting, value, context, hostname)
  local text = setting.notice and setting.notice(value)
  if setting.id == "ciphers" then
    local misfit = cipher.misfit(context.tx, context.zone.id, value, hostname)
    text = misfit and ("none of them works with the certificate of %s: its clients need TLS 1.3"):format(misfit)
  end
  return text and { code = NOTICE, message = setting.id .. ": " .. text } or nil
end

--- Is this the value that holds when nothing is said?
---@param setting moongate.admin.setting
---@param value any
---@return boolean
function M.is_default(setting, value)
  if setting.one_of then return value == setting.default end
  return #value == 0
end

-- ---- in the store ----

--- The form in which a value is stored.
---@param value any
---@return string
function M.encode(value) return json.encode(value) end

---@param text string
---@return any
function M.decode(text) return (json.decode(text)) end

--- The value of a setting as the API shows it: lists are arrays also when they are empty.
---@param setting moongate.admin.setting
---@return any
function M.default_of(setting)
  if setting.one_of then return setting.default end
  return json.array {}
end

--- One setting of a zone.
---@param tx table
---@param zone_id string
---@param id string
---@return any
function M.value(tx, zone_id, id)
  local row = tx:one("SELECT value FROM zone_settings WHERE zone_id = ? AND id = ?", zone_id, id)
  if row then return M.decode(row.value) end
  return M.default_of(M.by_id[id])
end

--- All settings of a zone by id, with the defaults of those that were never changed.
---@param tx table
---@param zone_id string
---@return table<string, any>
function M.of_zone(tx, zone_id)
  local values = {}
  for _, setting in ipairs(M.list) do values[setting.id] = M.default_of(setting) end
  for _, row in ipairs(tx:all("SELECT id, value FROM zone_settings WHERE zone_id = ?", zone_id)) do
    values[row.id] = M.decode(row.value)
  end
  return values
end

return M
