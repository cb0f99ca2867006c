-- Writes small databases of addresses in MaxMind's format (version 2), for specs: real files for the real reader.
--
--   mmdb.write(path, { ["192.0.2.0/24"] = { country = { iso_code = "PT" } }, ["2001:db8::/32"] = { … } })
--
-- Strings are texts, booleans booleans, integers uint32, other numbers doubles; { uint16 = n } is a uint16; lists are arrays.

local ffi = require "ffi"

local M = {}

local function control(type, size)
  local extended = ""
  if type > 7 then type, extended = 0, string.char(type - 7) end
  if size < 29 then return string.char(type * 32 + size) .. extended end
  assert(size < 285)
  return string.char(type * 32 + 29) .. extended .. string.char(size - 29)
end

local function big_endian(number, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(out)
end

local encode

local function encode_map(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  local parts = { control(7, #keys) }
  for _, key in ipairs(keys) do parts[#parts + 1] = encode(key) .. encode(map[key]) end
  return table.concat(parts)
end

function encode(value)
  if type(value) == "string" then return control(2, #value) .. value end
  if type(value) == "boolean" then return control(14, value and 1 or 0) end
  if type(value) == "number" then
    if value % 1 == 0 and value >= 0 then return control(6, 4) .. big_endian(value, 4) end
    local bytes = ffi.string(ffi.new("double[1]", value), 8)
    return control(3, 8) .. bytes:reverse()
  end
  if value.uint16 then return control(5, 2) .. big_endian(value.uint16, 2) end
  if value.uint64 then return control(9, 8) .. big_endian(value.uint64, 8) end
  if value.list or value[1] ~= nil then
    local list = value.list or value
    local parts = { control(11, #list) }
    for _, item in ipairs(list) do parts[#parts + 1] = encode(item) end
    return table.concat(parts)
  end
  return encode_map(value)
end

-- The bits of a network in a tree of IPv6 addresses; IPv4 networks lie below ::/96.
local function bits_of(network)
  local ip = require "moongate.rules.ip"
  local text, length = network:match("^(.*)/(%d+)$")
  local bytes = assert(ip.parse(text))
  length = tonumber(length)
  if #bytes == 4 then bytes, length = ("\0"):rep(12) .. bytes, length + 96 end
  local bits = {}
  for i = 0, length - 1 do
    bits[i + 1] = math.floor(bytes:byte(math.floor(i / 8) + 1) / 2 ^ (7 - i % 8)) % 2
  end
  return bits
end

--- Writes a database.
---@param path string
---@param networks table<string, table>
function M.write(path, networks)
  local nodes, data = { {} }, ""
  for network, entry in pairs(networks) do
    local bits, node = bits_of(network), nodes[1]
    for i = 1, #bits - 1 do
      local side = bits[i]
      if not node[side] then
        nodes[#nodes + 1] = { index = #nodes }
        node[side] = nodes[#nodes]
      end
      node = node[side]
    end
    node[bits[#bits]] = { offset = #data }
    data = data .. encode(entry)
  end
  local function record(target)
    if not target then return #nodes end
    return target.offset and #nodes + 16 + target.offset or target.index
  end
  local tree = {}
  for i, node in ipairs(nodes) do tree[i] = big_endian(record(node[0]), 3) .. big_endian(record(node[1]), 3) end
  local metadata = encode {
    node_count = #nodes, record_size = { uint16 = 24 }, ip_version = { uint16 = 6 }, database_type = "Spec",
    languages = { list = { "en" } }, binary_format_major_version = { uint16 = 2 }, binary_format_minor_version = { uint16 = 0 },
    build_epoch = { uint64 = 1700000000 }, description = { en = "made by a spec" },
  }
  local file = assert(io.open(path, "wb"))
  file:write(table.concat(tree), ("\0"):rep(16), data, "\171\205\239MaxMind.com", metadata)
  file:close()
end

return M
