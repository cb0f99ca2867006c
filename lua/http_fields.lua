-- moongate.http_fields: fields of the rules language that are read out of a request's head: headers, cookies, query arguments, the
-- whole URI and its parts, before and after normalisation.
--
-- Rows of fields.lua's one list; kept apart because they share a view of the request. Each value is made when a rule first asks for it and
-- kept until the next request (facts.serial tells requests apart). Values are bytes as they came: not decoded, not trimmed inside,
-- not joined, but where a row says otherwise.

local body_fields = require "moongate.body_fields"

local M = {}

local find, lower, sub = string.find, string.lower, string.sub


local function unescape(digits)
  return string.char(tonumber(digits, 16))
end

local function append(map, name, value)
  local list = map[name]
  if list then
    list.n = list.n + 1
    list[list.n] = value
  else
    map[name] = { value, n = 1 }
  end
end

-- Pieces of `text` between separators, without the empty ones, each cut at its first "=".
local function each_pair(text, separator, visit)
  local start = 1
  while start <= #text do
    local stop = find(text, separator, start, true) or #text + 1
    if stop > start then
      local equals = find(text, "=", start, true)
      if equals and equals < stop then
        visit(sub(text, start, equals - 1), sub(text, equals + 1, stop - 1))
      else
        visit(sub(text, start, stop - 1), "")
      end
    end
    start = stop + 1
  end
end

-- ---- what is kept of one request ----

---@class moongate.http_fields.Head
local Head = {}
Head.__index = Head

-- Fields in order, once a request: names as sent, values.
local function read_fields(head)
  local facts, read = head.facts, head.read
  local names, values, n = {}, {}, tonumber(facts.field_count)
  for i = 1, n do
    local field = facts.fields[i - 1]
    names[i], values[i] = read(field.name.data, field.name.len), read(field.value.data, field.value.len)
  end
  names.n, values.n = n, n
  return { names = names, values = values }
end

local MAKE = {}

function MAKE.fields(head)
  return read_fields(head)
end

function MAKE.headers(head)
  local map, fields = {}, head:get "fields"
  for i = 1, fields.names.n do
    append(map, lower(fields.names[i]), fields.values[i])
  end
  return map
end

function MAKE.query(head)
  return head.read(head.facts.query.data, head.facts.query.len)
end

function MAKE.args(head)
  local map, names, values, n = {}, {}, {}, 0
  each_pair(head:get "query", "&", function(name, value)
    n = n + 1
    names[n], values[n] = name, value
    append(map, name, value)
  end)
  names.n, values.n = n, n
  return { map = map, names = names, values = values }
end

-- Several Cookie fields are read as one (RFC 9113 section 8.2.3 joins them so).
function MAKE.cookie(head)
  local list = head:get("headers")["cookie"]
  return list and table.concat(list, "; ", 1, list.n) or ""
end

function MAKE.cookies(head)
  local map = {}
  each_pair(head:get "cookie", ";", function(name, value)
    name = (name:match("^[ \t]*(.*[^ \t])") or ""):gsub("+", " "):gsub("%%(%x%x)", unescape)
    append(map, name, value)
  end)
  return map
end

function MAKE.full_uri(head)
  local facts, read = head.facts, head.read
  return (facts.ssl and "https://" or "http://") .. read(facts.http_host.data, facts.http_host.len)
    .. read(facts.uri.data, facts.uri.len)
end

function MAKE.raw_full_uri(head)
  local facts, read = head.facts, head.read
  return (facts.ssl and "https://" or "http://") .. read(facts.http_host.data, facts.http_host.len)
    .. read(facts.raw_uri.data, facts.raw_uri.len)
end

--- What stands after the last dot of the last segment, in lower case.
---@param path string
---@return string
function M.extension(path)
  local segment = path:match("^.*/(.*)$") or path
  local stem, extension = segment:match("^(.*)%.([^.]*)$")
  if not stem or stem == "" then return "" end
  return lower(extension)
end

function MAKE.extension(head)
  return M.extension(head.read(head.facts.path.data, head.facts.path.len))
end

function MAKE.raw_extension(head)
  return M.extension(head.read(head.facts.raw_path.data, head.facts.raw_path.len))
end

-- Tags of Accept-Language by descending weight, without "*" (RFC 9110 section 12.5.4); equal weights keep their order.
function MAKE.languages(head)
  local found = {}
  local list = head:get("headers")["accept-language"] or { n = 0 }
  for i = 1, list.n do
    for item in list[i]:gmatch("[^,]+") do
      local tag, rest = item:match("^%s*([%w-]+)%s*(.*)$")
      if tag then
        local weight = tonumber(rest:match("^;%s*[qQ]=([01]%.?%d*)")) or 1
        if weight > 0 then found[#found + 1] = { tag = tag, weight = weight, place = #found } end
      end
    end
  end
  table.sort(found, function(a, b)
    if a.weight ~= b.weight then return a.weight > b.weight end
    return a.place < b.place
  end)
  local tags = { n = #found }
  for i, entry in ipairs(found) do tags[i] = entry.tag end
  return tags
end

-- ---- what the kernel and the clock know ----

function MAKE.time(head)
  return tonumber(head.C.moon_ffi_time_ms())
end

function MAKE.seed(head)
  local room = head.ffi.new("char[32]")
  head.C.moon_ffi_seed(room, 32)
  return head.ffi.string(room, 32)
end

function MAKE.zone(head)
  if head.facts.host == nil then return "" end
  local view = head.ffi.new("struct moon_str")
  head.C.moon_ffi_section_domain(head.C.moon_ffi_host_section(head.facts.host), view)
  return head.read(view.data, view.len)
end

function MAKE.edge(head)
  local ip, port = head.ffi.new("unsigned char[16]"), head.ffi.new("unsigned[1]")
  local len = head.C.moon_ffi_local_address(head.facts.socket, ip, port)
  return { ip = len > 0 and head.ffi.string(ip, len) or nil, port = tonumber(port[0]) }
end

function MAKE.tcp(head)
  local numbers = head.ffi.new("uint64_t[2]")
  head.C.moon_ffi_tcp_info(head.facts.socket, numbers, numbers + 1)
  return { rtt = math.floor(tonumber(numbers[0]) / 1000), delivery_rate = tonumber(numbers[1]) }
end

for name, make in pairs(body_fields.make) do MAKE[name] = make end

--- What `name` is for the present request; made at the first call.
---@param name string
function Head:get(name)
  local facts = self.facts
  if self.serial ~= facts.serial then
    self.serial, self.kept = facts.serial, {}
  end
  local value = self.kept[name]
  if value == nil then
    value = MAKE[name](self)
    self.kept[name] = value
  end
  return value
end

--- The view of the head for one thread's facts.
---@param facts ffi.cdata*  const struct moon_facts *
---@param bridge moongate.ffi
---@return moongate.http_fields.Head
function M.head(facts, bridge)
  return setmetatable({ facts = facts, read = bridge.ffi.string, C = bridge.C, ffi = bridge.ffi, serial = nil, kept = {} }, Head)
end

-- ---- the rows ----

local function header(name)
  return function(head)
    local list = head:get("headers")[name]
    return list and list[1] or ""
  end
end

local function of(name, part)
  if part then return function(head) return head:get(name)[part] end end
  return function(head) return head:get(name) end
end

local STRINGS, MAP = "Array<String>", "Map<Array<String>>"

---@type { name: string, type: string, help: string, get: fun(head: moongate.http_fields.Head): any }[]
M.list = {
  { name = "http.request.full_uri", type = "String", get = of "full_uri", help = "The whole URI, without a fragment." },
  {
    name = "http.request.uri.path.extension", type = "String", get = of "extension",
    help = "What stands after the last dot of the last segment, in lower case; empty when there is none.",
  },
  { name = "http.request.uri.args", type = MAP, get = of("args", "map"), help = "The query's arguments by name, not decoded." },
  { name = "http.request.uri.args.names", type = STRINGS, get = of("args", "names"), help = "Names of the query's arguments, in order." },
  { name = "http.request.uri.args.values", type = STRINGS, get = of("args", "values"), help = "Their values, in the same order." },
  { name = "raw.http.request.full_uri", type = "String", get = of "raw_full_uri", help = "The whole URI before normalisation." },
  {
    name = "raw.http.request.uri.path.extension", type = "String", get = of "raw_extension",
    help = "The path's extension before normalisation.",
  },
  { name = "raw.http.request.uri.query", type = "String", get = of "query", help = "The query as it came." },
  { name = "raw.http.request.uri.args", type = MAP, get = of("args", "map"), help = "The query's arguments as they came." },
  { name = "raw.http.request.uri.args.names", type = STRINGS, get = of("args", "names"), help = "Their names, in order." },
  { name = "raw.http.request.uri.args.values", type = STRINGS, get = of("args", "values"), help = "Their values, in order." },
  { name = "http.request.headers", type = MAP, get = of "headers", help = "Header values by name in lower case, repeats in order." },
  { name = "http.request.headers.names", type = STRINGS, get = of("fields", "names"), help = "Header names as sent, repeats listed." },
  { name = "http.request.headers.values", type = STRINGS, get = of("fields", "values"), help = "Header values in the same order." },
  {
    name = "http.request.headers.truncated", type = "Boolean", get = function() return false end,
    help = "Always false: a request with more headers than are listed is refused.",
  },
  { name = "http.cookie", type = "String", get = of "cookie", help = "The Cookie header; several are joined." },
  { name = "http.request.cookies", type = MAP, get = of "cookies", help = "Cookie values by name; names are URL-decoded." },
  { name = "http.referer", type = "String", get = header "referer", help = "The Referer header; empty when it is absent." },
  {
    name = "http.x_forwarded_for", type = "String", get = header "x-forwarded-for",
    help = "The X-Forwarded-For header as the client sent it; empty when it is absent.",
  },
  {
    name = "http.request.accepted_languages", type = STRINGS, get = of "languages",
    help = "Language tags of Accept-Language by descending weight.",
  },
}

return M
