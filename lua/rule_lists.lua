-- moongate.rule_lists: named lists (`ip.src in $office`) as tests that rules call.
--
-- A list travels as one text, its items separated by blanks: addresses, networks in CIDR form, numbers of autonomous systems, or
-- hostnames, of which `*.example.com` stands for every name below. The text is read once per thread and list (section_rules.lua
-- keeps it); a question is then a table lookup, or a binary search among the networks. Answers are true and false, never nil.

local ip = require "moongate.rules.ip"
local order = require "moongate.rules.order"
local ranges = require "moongate.rules.ranges"

local find, sub = string.find, string.sub

local M = {}

--- Which type of the rules language asks a list of a kind. Lists of redirects are for no rule.
---@type table<string, string>
M.TYPES = { ip = "IP", hostname = "String", asn = "Integer" }

local MAKE = {}

function MAKE.ip(text)
  local single, networks = {}, { [4] = {}, [16] = {} }
  for item in text:gmatch("%S+") do
    local first, last = ip.parse_item(item)
    if not first then return nil, ("%q is no address: %s"):format(item, last) end
    if first == last then
      single[first] = true
    else
      local list = networks[#first]
      list[#list + 1] = { first, last }
    end
  end
  local in_v4, in_v6 = ranges.new(networks[4], order.less), ranges.new(networks[16], order.less)
  return function(value)
    if single[value] then return true end
    if #value == 4 then return in_v4(value) end
    return in_v6(value)
  end
end

function MAKE.asn(text)
  local numbers = {}
  for item in text:gmatch("%S+") do
    if not item:find("^%d+$") then return nil, ("%q is no number"):format(item) end
    numbers[tonumber(item, 10)] = true
  end
  return function(value) return numbers[value] == true end
end

function MAKE.hostname(text)
  local names, parents = {}, {}
  for item in text:gmatch("%S+") do
    if sub(item, 1, 2) == "*." then parents[sub(item, 3)] = true else names[item] = true end
  end
  return function(value)
    if names[value] then return true end
    local dot = find(value, ".", 1, true)
    while dot do
      if parents[sub(value, dot + 1)] then return true end
      dot = find(value, ".", dot + 1, true)
    end
    return false
  end
end

--- Makes the test of a list.
---@param kind string  "ip", "hostname" or "asn"
---@param text string  the items, separated by blanks
---@return (fun(value: any): boolean)|nil
---@return string|nil message
function M.new(kind, text)
  local make = MAKE[kind]
  if not make then return nil, ("a list of the kind %q cannot be asked"):format(tostring(kind)) end
  return make(text)
end

return M
