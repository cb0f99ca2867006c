-- expression_maker.lua — random expressions of the rules language, random requests to ask them of, and random damage.
--
-- Expressions are made along the types of the scheme, so that most of them are accepted; pools are small, so that
-- comparisons hold about as often as they fail. Damage (mutate) makes the rest. Everything is drawn from math.random:
-- the same seed gives the same inputs. Used by expressions.lua only.

local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local types = require "moongate.rules.types"

local random = math.random

local M = {}

local function pick(list) return list[random(#list)] end

M.HOSTS = { "a.example", "b.example", "www.a.example", "A.Example", "", "x", "api.b.example", "\195\164.example" }

-- Fields of the scheme without which a request can be, and such as no request has.
M.MAY_MISS = {
  ["cf.waf.score"] = true, ["http.referer"] = true, ["http.request.headers.values"] = true, ["cf.edge.server_ip"] = true,
  ["cf.edge.client_tcp"] = true, ["cf.llm.prompt.custom_topic_categories"] = true, ["http.request.uri.args"] = true,
}
M.MISSING = { ["cf.waf.score.sqli"] = true, ["cf.bot_management.detection_ids"] = true, ["http.cookie"] = true }

local STRINGS = {
  "", "a", "b", "ab", "A", "a.example", "b.example", "www.a.example", "GET", "POST", "/", "/a", "/a/b", "/A/b?x=1", "x=1&y=2",
  "curl/8", "0", "10", "-1", "\0", "\255\254", "\195\164", "a\"b", "a\\b", "]]--", "\n", "%d", "*", "a*b", "YWI", "ab" .. ("c"):rep(40),
}
local INTEGERS = { "0", "1", "2", "3", "-1", "80", "443", "200", "0x10", "017", "9007199254740992", "9007199254740993",
  "-9007199254740993", "9223372036854775807", "-9223372036854775808" }
local ADDRESSES = { "192.0.2.1", "192.0.2.200", "10.0.0.1", "0.0.0.0", "::", "::1", "2001:db8::1", "2001:db8::ffff", "::ffff:192.0.2.1" }
local NETWORKS = { "192.0.2.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "192.0.2.0..192.0.2.99", "192.0.2.1" }
local REGEXES = { "^a", "b$", ".", "^$", "(?i)A", "[a-c]+", "\\\\.example$", "(a|b)+", "a{2,3}", "\\\\d", "^/[^/]*/b", "\\\\bexample\\\\b",
  "(?s).*", "\\\\x00", "\\\\p{L}", "(((a?)*)*)*b" }
local WILDCARDS = { "*", "a*", "*b", "*.example", "a*b*c", "*a*", "", "/A/*", "\\\\*", "GET", "w*.a.*" }
local KEYS = { "a", "b", "accept", "x y", "" }
M.LISTS = { names = { "a.example", "GET", "/a" }, numbers = { "1", "80" }, office = { "192.0.2.0/24", "2001:db8::1" } }
local LIST_OF = { String = "names", Integer = "numbers", IP = "office" }
local ORDERED = { "eq", "ne", "lt", "le", "gt", "ge", "==", "!=", "<", "<=", ">", ">=" }

-- ---- literals ----

local ESCAPE = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function quoted(text)
  if random(8) == 1 and not text:find('"#', 1, true) then return 'r#"' .. text .. '"#' end
  return '"' .. text:gsub('[%c"\\\128-\255]', function(c) return ESCAPE[c] or ("\\x%02x"):format(c:byte()) end) .. '"'
end

local LITERAL = {}
function LITERAL.String() return quoted(pick(STRINGS)) end
function LITERAL.Integer() return pick(INTEGERS) end
function LITERAL.IP() return pick(ADDRESSES) end

local ITEM = {}
function ITEM.String() return quoted(pick(STRINGS)) end
function ITEM.Integer() return random(3) == 1 and pick { "0..10", "-5..1", "80..443", "1..9223372036854775807" } or pick(INTEGERS) end
function ITEM.IP() return random(2) == 1 and pick(NETWORKS) or pick(ADDRESSES) end

local function set_of(kind)
  local out = {}
  for i = 1, random(0, random(4) == 1 and 9 or 3) do out[i] = ITEM[kind]() end
  return "{" .. table.concat(out, " ") .. "}"
end

-- ---- values ----

---@class moongate.fuzz.Maker
---@field scheme table<string, moongate.rules.Type>
---@field names string[]  of the scheme, sorted
---@field fields table<string, string[]>  type's name → fields
local Maker = {}
Maker.__index = Maker

local function with(self, kind) return pick(self.fields[kind] or { "ssl" }) end

-- Maker, depth → text; by the type that comes out.
local VALUE = {}

function Maker:value(kind, depth)
  if depth <= 0 or random(3) > 1 then return with(self, kind) end
  return pick(VALUE[kind])(self, depth - 1)
end

VALUE.String = {
  function(self, d) return ("lower(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("upper(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("concat(%s, %s, %s)"):format(self:value("String", d), LITERAL.String(), self:value("String", d)) end,
  function(self, d) return ("substring(%s, %d, %d)"):format(self:value("String", d), random(-3, 5), random(-3, 9)) end,
  function(self, d) return ("substring(%s, %d)"):format(self:value("String", d), random(-3, 5)) end,
  function(self, d) return ("to_string(%s)"):format(self:value(pick { "Integer", "IP", "Boolean" }, d)) end,
  function(self, d) return ("url_decode(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("decode_base64(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("encode_base64(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("sha256(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("remove_bytes(%s, %s)"):format(self:value("String", d), LITERAL.String()) end,
  function(self, d) return ('remove_query_args(%s, "x", "y")'):format(self:value("String", d)) end,
  function(self, d) return ("regex_replace(%s, %s, %s)"):format(self:value("String", d), '"a+"', LITERAL.String()) end,
  function(self, d) return ("wildcard_replace(%s, %s, %s)"):format(self:value("String", d), '"*a*"', '"${2}-${1}"') end,
  function(self, d) return ("%s[%d]"):format(self:value("Array<String>", d), random(0, 3)) end,
  function(self, d) return ('join(%s, ",")'):format(self:value("Array<String>", d)) end,
  function(self) return ("%s[%s][%d]"):format(with(self, "Map<Array<String>>"), quoted(pick(KEYS)), random(0, 2)) end,
  function(self, d) return ("cidr(%s, 24, 64)"):format(self:value("IP", d)) end,
}
VALUE.Integer = {
  function(self, d) return ("len(%s)"):format(self:value("String", d)) end,
  function(self, d) return ("len(%s)"):format(self:value("Array<String>", d)) end,
  function(self, d) return ('lookup_json_integer(%s, "a", 0)'):format(self:value("String", d)) end,
  function(self) return ("%s[%d]"):format(with(self, "Array<Integer>"), random(0, 3)) end,
  function(self) return ("%s[%s]"):format(with(self, "Map<Integer>"), quoted(pick(KEYS))) end,
}
VALUE.IP = {
  function(self, d) return ("cidr6(%s, %d)"):format(self:value("IP", d), random(0, 128)) end,
  function(self, d) return ("cidr(%s, %d, %d)"):format(self:value("IP", d), random(0, 32), random(0, 128)) end,
}
VALUE.Boolean = {
  function(self, d) return ("starts_with(%s, %s)"):format(self:value("String", d), LITERAL.String()) end,
  function(self, d) return ("ends_with(%s, %s)"):format(self:value("String", d), self:value("String", d)) end,
  function(self) return ("has_key(%s, %s)"):format(with(self, "Map<Array<String>>"), quoted(pick(KEYS))) end,
  function(self, d) return ("has_value(%s, %s)"):format(self:value("Array<String>", d), LITERAL.String()) end,
}
VALUE["Array<String>"] = {
  function(self, d) return ('split(%s, %s, %d)'):format(self:value("String", d), quoted(pick { ".", "/", "a", "&" }), random(1, 5)) end,
  function(self) return ("%s[%s]"):format(with(self, "Map<Array<String>>"), quoted(pick(KEYS))) end,
  function(self, d) return ("concat(%s, %s)"):format(self:value("Array<String>", d), self:value("Array<String>", d)) end,
  function(self, d) return ("%s(%s[*])"):format(pick { "lower", "upper", "url_decode" }, self:value("Array<String>", d)) end,
}

-- ---- conditions ----

local function right_of(kind, op)
  if op == "in" then
    return random(6) == 1 and "$" .. LIST_OF[kind] or set_of(kind)
  elseif op == "matches" then
    return '"' .. pick(REGEXES) .. '"'
  elseif op == "wildcard" or op == "strict wildcard" then
    return '"' .. pick(WILDCARDS) .. '"'
  end
  return LITERAL[kind]()
end

local OPERATORS = {
  String = { "in", "contains", "matches", "wildcard", "strict wildcard", "in" },
  Integer = { "in", "&", "in" },
  IP = { "in" },
}

local function compared(left, kind)
  local op = random(2) == 1 and pick(ORDERED) or pick(OPERATORS[kind])
  return ("%s %s %s"):format(left, op, right_of(kind, op))
end

local function leaf(self, depth)
  local at = random(10)
  if at <= 2 then return self:value("Boolean", depth) end
  if at <= 4 then return compared("http.host", "String") end -- what hosts are told apart by
  local kind = pick { "String", "String", "Integer", "IP" }
  return compared(self:value(kind, depth), kind)
end

local WORDS = { { " and ", " or ", " xor " }, { " && ", " || ", " ^^ " } }

-- What stands in any() and all(): comparisons of spread values, joined.
local function array_condition(self, depth)
  if depth > 0 and random(3) == 1 then
    return ("(%s%s%s)"):format(array_condition(self, depth - 1), pick(WORDS[random(2)]), array_condition(self, depth - 1))
  elseif depth > 0 and random(5) == 1 then
    return "not " .. array_condition(self, depth - 1)
  end
  local at = random(5)
  if at == 1 then return compared(with(self, "Array<Integer>") .. "[*]", "Integer") end
  if at == 2 then return compared(with(self, "Map<Array<String>>") .. "[*][*]", "String") end
  if at == 3 then return compared(with(self, "Map<Array<String>>") .. "[*][0]", "String") end
  return compared(self:value("Array<String>", depth) .. "[*]", "String")
end

--- A condition.
---@param depth integer
---@return string
function Maker:expression(depth)
  local at = random(10)
  if depth <= 0 or at <= 3 then return leaf(self, depth) end
  if at <= 7 then
    local parts, word = {}, pick(WORDS[random(2)])
    for i = 1, random(2, 4) do parts[i] = self:expression(depth - 1) end
    local text = table.concat(parts, random(4) > 1 and word or pick(WORDS[1]))
    return random(4) > 1 and "(" .. text .. ")" or text
  elseif at == 8 then
    return (random(2) == 1 and "not " or "!") .. self:expression(depth - 1)
  elseif at == 9 then
    return ("%s(%s)"):format(pick { "any", "all" }, array_condition(self, depth - 1))
  end
  return "(" .. self:expression(depth - 1) .. ")"
end

-- ---- requests ----

local RANDOM_VALUE = {}

local function value_of(kind) return RANDOM_VALUE[kind.kind](kind) end

function RANDOM_VALUE.Boolean() return random(2) == 1 end
function RANDOM_VALUE.String() return pick(STRINGS) end
function RANDOM_VALUE.IP() return ip.parse(pick(ADDRESSES)) end
function RANDOM_VALUE.Integer()
  local text = pick(INTEGERS)
  return text:find("^0.") and tonumber(text) or integer.from_decimal(text)
end

function RANDOM_VALUE.Array(kind)
  local list = { n = random(0, 3) }
  for i = 1, list.n do list[i] = value_of(kind.of) end
  return list
end

function RANDOM_VALUE.Map(kind)
  local map = {}
  for _ = 1, random(0, 3) do map[pick(KEYS)] = value_of(kind.of) end
  return map
end

--- Values for the fields of the scheme.
---@param host string|nil  of http.host
---@return table<string, any>
function Maker:request(host)
  local values = {}
  for _, name in ipairs(self.names) do
    if not (M.MISSING[name] or M.MAY_MISS[name] and random(2) == 1) then values[name] = value_of(self.scheme[name]) end
  end
  values["http.host"] = host or pick(M.HOSTS)
  return values
end

-- ---- damage ----

local TOKENS = { "and", "or", "xor", "not", "!", "(", ")", "((", "))", "[*]", "[0]", '["', "{", "}", '"', "\\", "$list", "any(", "all(", "in",
  "eq", "matches", "wildcard", "r#\"", "\"#", "..", "/33", "0x", "-", "&&", "^^", "||", "\0", "\n", "\r", "\t", "\255", "\226\128\168",
  "]]", "--", "end", "\"..os.exit()..\"", "K[1]", "http.host", "ssl", "18446744073709551616", "9223372036854775808", "\\xff", "\\u{41}" }

local function cut(text)
  local a = random(0, #text)
  local b = math.min(#text, a + random(0, 12))
  return a, b
end

local DAMAGE = {
  function(text) local a, b = cut(text) return text:sub(1, a) .. text:sub(b + 1) end,
  function(text) local a, b = cut(text) return text:sub(1, b) .. text:sub(a + 1) end,
  function(text) local a = random(0, #text) return text:sub(1, a) .. pick(TOKENS) .. text:sub(a + 1) end,
  function(text) local a = random(0, #text) return text:sub(1, a) .. string.char(random(0, 255)) .. text:sub(a + 2) end,
  function(text, other) local a = random(0, #text) return text:sub(1, a) .. other:sub(random(0, #other) + 1) end,
  function(text) return (text:gsub(",", function() return (', "a"'):rep(random(2, 300)) .. "," end, 1)) end,
  function(text) local n = random(1, 200) return ("("):rep(n) .. text .. (")"):rep(n) end,
  function(text) return ("not "):rep(random(1, 200)) .. text end,
  function(text) return text .. (" " .. pick { "or", "and", "xor" } .. " " .. text):rep(random(1, 30)) end,
  function(text) local a, b = cut(text) return text:sub(1, a) .. text:sub(a + 1, b):rep(random(2, 300)) .. text:sub(b + 1) end,
}

--- Spoils a text in one to four places.
---@param text string
---@param other string  another text, to take the end of
---@return string  at most 8192 bytes
function M.mutate(text, other)
  for _ = 1, random(1, 4) do text = pick(DAMAGE)(text, other):sub(1, 8192) end
  return text
end

--- Bytes without any order.
---@return string
function M.noise()
  local out = {}
  for i = 1, random(0, 64) do out[i] = random(3) == 1 and pick(TOKENS) or string.char(random(0, 255)) end
  return table.concat(out)
end

--- A maker for a scheme.
---@param scheme table<string, string>  field → type
---@return moongate.fuzz.Maker
function M.new(scheme)
  local self = setmetatable({ scheme = {}, names = {}, fields = {} }, Maker)
  for name in pairs(scheme) do table.insert(self.names, name) end
  table.sort(self.names) -- the same inputs for the same seed
  for _, name in ipairs(self.names) do
    local kind = assert(types.parse(scheme[name]))
    self.scheme[name] = kind
    self.fields[kind.name] = self.fields[kind.name] or {}
    table.insert(self.fields[kind.name], name)
  end
  return self
end

return M
