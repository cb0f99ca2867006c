-- What the rules engine costs: reading rules, specialising them for hosts, deciding a request.
--
--   luajit bench/rules.lua            from the root of the tree
--
-- Accessors read one struct at a fixed address, as the gateway's do. Every figure is the best of five runs: the
-- machine's other work can only add to it. The last column is what the same decision costs with the JIT compiler off.

dofile "spec/support/tree.lua"

local ffi = require "ffi"
local rules = require "moongate.rules"
local regex = require "moongate.rules.regex"

ffi.cdef [[
struct bench_request {
  const char *host, *path, *agent;
  size_t host_len, path_len, agent_len;
  bool ssl, verified;
  int port;
  char ip[4];
};
]]

local request = ffi.new "struct bench_request"
local kept = {}

local function set_text(name, text)
  kept[name] = ffi.new("char[?]", #text + 1, text)
  request[name], request[name .. "_len"] = kept[name], #text
end

set_text("host", "api.example.com")
set_text("path", "/v1/accounts/12345/payments")
set_text("agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)")
request.ssl, request.verified, request.port = true, true, 443
ffi.copy(request.ip, "\198\51\100\20", 4)

local pointer = ffi.cast("struct bench_request *", request)
local function field(name, kind, access)
  return { name = name, type = kind, access = access }
end

local schema = rules.new_schema {
  fields = {
    field("http.host", "String", function() return ffi.string(pointer.host, pointer.host_len) end),
    field("http.request.uri.path", "String", function() return ffi.string(pointer.path, pointer.path_len) end),
    field("http.user_agent", "String", function() return ffi.string(pointer.agent, pointer.agent_len) end),
    field("ssl", "Boolean", function() return pointer.ssl end),
    field("cf.tls_client_auth.cert_verified", "Boolean", function() return pointer.verified end),
    field("cf.edge.server_port", "Integer", function() return pointer.port end),
    field("ip.src", "IP", function() return ffi.string(pointer.ip, 4) end),
  },
}

-- Seconds for one call, the best of five.
local function seconds(count, call)
  local best
  for _ = 1, 5 do
    local start = os.clock()
    for i = 1, count do
      call(i)
    end
    local took = (os.clock() - start) / count
    best = (not best or took < best) and took or best
  end
  return best
end

jit.off(seconds) -- so that what is called is compiled for itself, as it is when C calls it, and not into this loop

local function list_of(count, pattern)
  local list = {}
  for i = 1, count do
    list[i] = { expression = pattern:gsub("#", tostring(i)), action = "block" }
  end
  return list
end

local MTLS = '(http.host in {"h#.example"} and not cf.tls_client_auth.cert_verified)'

print "reading"
for _, case in ipairs {
  { "the mTLS rule", MTLS }, { "a short rule", 'http.request.uri.path eq "/admin#"' },
  { "a long rule", 'ssl and (http.request.uri.path contains "/a#" or ip.src in {10.0.0.0/8 192.168.0.0/16 172.16.0.0/12}) '
    .. 'and not starts_with(lower(http.user_agent), "bot") and cf.edge.server_port in {80 443 8000..8999}' },
} do
  local list = list_of(2000, case[2])
  local parse = seconds(1, function() assert(rules.document(schema, list)) end) / #list
  local compile = seconds(1, function() assert(rules.compile(schema, list)) end) / #list
  print(("  %-18s %8.0f rules/s parsed   %8.0f rules/s parsed and compiled"):format(case[1], 1 / parse, 1 / compile))
end

print "\nten thousand hosts, a rule each"
local document = assert(rules.document(schema, list_of(10000, MTLS)))
document:specialise { constants = { ["http.host"] = "h1.example" } } -- builds the index
local rulesets = {}
collectgarbage() collectgarbage()
local before = collectgarbage "count"
local specialise = seconds(1, function()
  for i = 1, 10000 do
    rulesets[i] = document:specialise { constants = { ["http.host"] = "h" .. i .. ".example" } }
  end
end) / 10000
collectgarbage() collectgarbage()
local kept_for_each = (collectgarbage "count" - before) / 10000
print(("  %.1f µs to specialise for a host, %.2f KiB kept for it"):format(specialise * 1e6, kept_for_each))

local next_host = 0
local function any_host()
  next_host = next_host % 10000 + 1
  return rulesets[next_host].run()
end

local function pairs_of(name, list, constants)
  local ruleset = assert(rules.compile(schema, list, { constants = constants }))
  return { name, ruleset.run }
end

local cases = {
  pairs_of("the mTLS rule", { { expression = MTLS:gsub("h#.example", "api.example.com"), action = "block" } }),
  pairs_of("… specialised", { { expression = MTLS:gsub("h#.example", "api.example.com"), action = "block" } },
    { ["http.host"] = "api.example.com" }),
  { "one of 10,000 hosts", rulesets[5000].run },
  { "10,000 hosts in turn", any_host },
  pairs_of("100 × path eq", list_of(100, 'http.request.uri.path eq "/admin#"')),
  pairs_of("100 × starts_with", list_of(100, 'starts_with(http.request.uri.path, "/admin#")')),
  pairs_of("100 × contains", list_of(100, 'http.request.uri.path contains "/admin#"')),
  pairs_of("100 × wildcard", list_of(100, 'http.request.uri.path wildcard "/api#/*/x"')),
  pairs_of("100 × address in", list_of(100, "ip.src in {10.#.0.0/16 192.168.#.0/24}")),
  pairs_of("1000 × path eq", list_of(1000, 'http.request.uri.path eq "/admin#" and not ssl')),
  pairs_of("1000 × port in", list_of(1000, "cf.edge.server_port in {#000..#099 7}")),
}
for _, pattern in ipairs { [[^/v[0-9]+/users/]], [[(?i)(curl|wget|python|go-http)]], [[union.+select]] } do
  local matcher = assert(regex.compile(pattern))
  local text = ffi.string(request.agent, request.agent_len)
  cases[#cases + 1] = { "regex " .. pattern, function() return matcher(text) end }
end

print "\ndeciding                               ns, JIT on      off"
for _, case in ipairs(cases) do
  local call = case[2]
  local on = seconds(20000, call)
  on = seconds(on < 1e-6 and 300000 or 20000, call)
  jit.off()
  jit.flush()
  local off = seconds(5000, call)
  jit.on()
  print(("  %-36s %10.1f %9.1f"):format(case[1], on * 1e9, off * 1e9))
end
