--- moongate.admin.condition — the `condition` of a token: from which addresses it may be used.
--
-- Read from bodies by moongate.admin.token, asked by moongate.admin.auth at every use. Old clients call the member
-- `request.ip`, newer ones `request_ip`; both are read and both are written, or a token would silently be open to all
-- addresses for one of them. A member that is not understood is refused for the same reason. The texts of the blocks
-- are kept as they came, since clients compare. An empty list is as good as none. Pure.

local ip = require "moongate.rules.ip"
local json = require "moongate.json"

local M = {}

local OLD, NEW = "request.ip", "request_ip"
local LISTS = { "in", "not_in" }
local BLOCKS = 200 -- in a list
local MAPPED = ("\0"):rep(10) .. "\255\255" -- an IPv4 address inside IPv6, RFC 4291 section 2.5.5.2

---@class moongate.admin.condition
---@field ["in"] string[]|nil
---@field not_in string[]|nil

---@class moongate.admin.complaint
---@field pointer string below the condition
---@field text string

local function complain(pointer, text)
  return nil, { pointer = pointer, text = text }
end

-- Addresses are compared in one form only, or a block in the other form would say nothing about its own addresses.
local function plain(address)
  if #address == 16 and address:sub(1, #MAPPED) == MAPPED then return address:sub(#MAPPED + 1) end
  return address
end

local function block_mistake(text)
  if type(text) ~= "string" or #text > 64 or text:find("..", 1, true) then
    return "expected an address or a CIDR block"
  end
  local first, reason = ip.parse_item(text)
  if not first then return "expected an address or a CIDR block: " .. reason end
end

local function read_list(list, pointer)
  if not json.is_array(list) then return complain(pointer, "expected an array of addresses and CIDR blocks") end
  if #list > BLOCKS then return complain(pointer, ("at most %d blocks"):format(BLOCKS)) end
  local blocks = json.array {}
  for index, text in ipairs(list) do
    local mistake = block_mistake(text)
    if mistake then return complain(("%s/%d"):format(pointer, index - 1), mistake) end
    blocks[index] = text
  end
  return blocks
end

local function is_known(name)
  return name == LISTS[1] or name == LISTS[2]
end

local function read_lists(value, pointer)
  if not json.is_object(value) then return complain(pointer, "expected an object with `in` and `not_in`") end
  for name in pairs(value) do
    if not is_known(name) then return complain(pointer, "only `in` and `not_in` may stand here") end
  end
  local lists = json.object {}
  for _, name in ipairs(LISTS) do
    local list = value[name]
    if list ~= nil and list ~= json.null then
      local blocks, complaint = read_list(list, pointer .. "/" .. name)
      if not blocks then return nil, complaint end
      lists[name] = blocks
    end
  end
  return lists
end

local function encoded(value)
  return json.encode(value, { sorted = true })
end

--- Reads the `condition` of a body.
---@param value any decoded JSON
---@return moongate.admin.condition|false|nil condition false: it sets none
---@return moongate.admin.complaint|nil
function M.read(value)
  if not json.is_object(value) then return complain("", "expected an object") end
  for name in pairs(value) do
    if name ~= OLD and name ~= NEW then return complain("", "only request_ip (or request.ip) may stand here") end
  end
  local found
  for _, name in ipairs { OLD, NEW } do
    local given = value[name]
    if given ~= nil and given ~= json.null then
      local lists, complaint = read_lists(given, "/" .. name)
      if not lists then return nil, complaint end
      if found and encoded(found) ~= encoded(lists) then
        return complain("", "request.ip and request_ip say different things")
      end
      found = lists
    end
  end
  if not found or not next(found) then return false end
  return found
end

--- How a condition is shown: under both of its names.
---@param condition moongate.admin.condition
---@return table
function M.show(condition)
  local lists = json.object {}
  for _, name in ipairs(LISTS) do
    if condition[name] then lists[name] = json.array(condition[name]) end
  end
  return json.object { [OLD] = lists, [NEW] = lists }
end

local function contains(blocks, address)
  for _, text in ipairs(blocks) do
    local first, last = ip.parse_item(text)
    if first then
      first, last = plain(first), plain(last)
      local same_family = #first == #address and #last == #address
      if same_family and ip.compare(first, address) <= 0 and ip.compare(address, last) <= 0 then return true end
    end
  end
  return false
end

--- May a credential with this condition be used from there? An address that cannot be read is nowhere.
---@param condition moongate.admin.condition|nil
---@param text string address of the client
---@return boolean
function M.admits(condition, text)
  if not condition then return true end
  local address = ip.parse((text:gsub("%%.*$", ""))) -- without the zone of a link-local address
  if not address then return false end
  address = plain(address)
  local within, without = condition["in"], condition.not_in
  if within and within[1] and not contains(within, address) then return false end
  return not (without and contains(without, address))
end

return M
