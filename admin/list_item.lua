--- moongate.admin.list_item — one item of a list: read from a body, brought to its one form, shown again.
--
-- Called by admin/resources/list_items.lua. Each kind of list says here what an item holds, by what it is ordered and
-- told apart (`sorts_as`), and what the workers get of it (`served`, words of lua/rule_lists.lua). Pure.

local check = require "moongate.admin.check"
local ip = require "moongate.rules.ip"
local json = require "moongate.json"

local M = {}

local COMMENT_MAX = 500
local FAMILY = {
  [4] = { name = "IPv4", shortest = 2, longest = 32, bits = 32 },
  [16] = { name = "IPv6", shortest = 4, longest = 64, bits = 128 },
}

local function hex(bytes)
  return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

---@class moongate.admin.list_item
---@field sorts_as string items of one list are ordered by it, and no two have the same
---@field value any what the API shows under the name of the kind
---@field served string the word for the workers
---@field comment string|nil

local READ = {}

-- A network of one address is that address.
function READ.ip(value)
  if type(value) ~= "string" then return nil, "expected an address or a network as text" end
  local text, digits = value:match("^([^/]+)/(%d%d?%d?)$")
  local bytes = ip.parse(text or value)
  if not bytes or value:find("/", 1, true) and not text then return nil, "it is no address and no network in CIDR form" end
  local family = FAMILY[#bytes]
  local length = digits and tonumber(digits, 10) or family.bits
  if length ~= family.bits and (length < family.shortest or length > family.longest) then
    return nil, ("the prefix of an %s network is from /%d to /%d"):format(family.name, family.shortest, family.longest)
  end
  if ip.network(bytes, length) ~= bytes then
    return nil, ("host bits are set; the network is %s/%d"):format(ip.format(ip.network(bytes, length)), length)
  end
  local canonical = ip.format(bytes) .. (length < family.bits and "/" .. length or "")
  local _, last = ip.parse_item(canonical)
  return {
    value = canonical, served = hex(bytes) .. hex(last), sorts_as = ("%02d%s/%03d"):format(#bytes, hex(bytes), length),
  }
end

function READ.asn(value)
  if check.kind(value) ~= "integer" or value < 0 or value > 4294967295 then
    return nil, "expected a number from 0 to 4294967295"
  end
  local digits = ("%04x%04x"):format(math.floor(value / 65536), value % 65536)
  return { value = value, served = digits .. digits, sorts_as = digits }
end

local HOSTNAME = {
  { name = "url_hostname", type = "string", required = true },
  { name = "exclude_exact_hostname", type = "boolean" },
}

local function first_mistake(mistakes)
  return mistakes[1].field .. ": " .. mistakes[1].text
end

-- `*.example.com` stands for the names below example.com, and for itself too when it is not excluded.
function READ.hostname(value)
  local values, mistakes = check.object(value, HOSTNAME)
  if not values then return nil, first_mistake(mistakes) end
  local star, rest = values.url_hostname:match("^(%*%.)(.*)$")
  local name, reason = check.hostname(rest or values.url_hostname)
  if not name then return nil, "url_hostname: " .. reason end
  local pattern = (star or "") .. name
  local with_itself = star ~= nil and values.exclude_exact_hostname == false
  return {
    value = json.object { url_hostname = pattern, exclude_exact_hostname = values.exclude_exact_hostname },
    served = pattern .. (with_itself and "!" or ""), sorts_as = pattern,
  }
end

local REDIRECT = {
  { name = "source_url", type = "string", required = true, max = 4096 },
  { name = "target_url", type = "string", required = true, max = 4096 },
  { name = "status_code", type = "integer", default = 301 },
  { name = "include_subdomains", type = "boolean", default = false },
  { name = "subpath_matching", type = "boolean", default = false },
  { name = "preserve_query_string", type = "boolean", default = false },
  { name = "preserve_path_suffix", type = "boolean", default = false },
}
local REDIRECTS = { [301] = true, [302] = true, [307] = true, [308] = true }

-- Kept and shown; no rule can ask a list of redirects.
function READ.redirect(value)
  local values, mistakes = check.object(value, REDIRECT)
  if not values then return nil, first_mistake(mistakes) end
  if not REDIRECTS[values.status_code] then return nil, "status_code: expected 301, 302, 307 or 308" end
  if not values.target_url:find("^https?://[^/%s]") then return nil, "target_url: expected http://… or https://…" end
  return { value = json.object(values), served = "", sorts_as = values.source_url }
end

local function comment_of(body)
  local comment = body.comment
  if comment == nil or comment == json.null or comment == "" then return nil end
  if type(comment) ~= "string" then return nil, "comment: expected a string" end
  local _, characters = comment:gsub("[^\128-\191]", "")
  if characters > COMMENT_MAX then return nil, ("comment: at most %d characters"):format(COMMENT_MAX) end
  return comment
end

--- Reads one item of a body.
---@param kind string of the list
---@param body any
---@return moongate.admin.list_item|nil
---@return string|nil reason
function M.read(kind, body)
  if check.kind(body) ~= "object" then return nil, "expected an object" end
  if body[kind] == nil or body[kind] == json.null then return nil, kind .. ": this field is required" end
  local item, reason = READ[kind](body[kind])
  if not item then return nil, kind .. ": " .. reason end
  item.comment, reason = comment_of(body)
  if reason then return nil, reason end
  return item
end

--- An item as the API shows it.
---@param kind string
---@param row table of list_items; `value` is JSON
---@return table
function M.show(kind, row)
  return json.object {
    id = row.id, [kind] = json.decode(row.value), comment = row.comment, created_on = row.created_on,
    modified_on = row.modified_on,
  }
end

return M
