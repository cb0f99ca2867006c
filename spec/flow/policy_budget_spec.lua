-- What a policy file may not do to its worker: run for ever, eat its memory, reach out of its environment.

local gateway = require "spec.support.gateway"
local policy = require "spec.support.policy"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"
local now = require("system").monotime

local POLICY = [==[
local function spin(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end
local cases = {
  loop = function() while true do end end,
  hot = function() for i = 1, 1e12 do spin(10) end end,
  recursion = function() local function f() return f() end return f() end,
  caught = function() while true do pcall(function() while true do end end) end end,
  caught_with = function() while true do xpcall(function() while true do end end, function(e) return e end) end end,
  field = function(req) while true do local _ = req.http.host end end,
  headers = function(req) while true do req.headers["x-a"] = "b" end end,
  gsub = function() return (("x"):rep(1000000)):gsub(".", "%0") end,
  callback = function() return (("x"):rep(1000000)):gsub(".", function() while true do end end) end,
  sort = function()
    local t = {}
    for i = 1, 20000 do t[i] = i * 7919 % 20011 end
    table.sort(t, function(a, b) spin(1000) return a < b end)
  end,
  pattern = function() return (("a"):rep(10000)):find(("a*"):rep(20) .. "b") end,
  backtracking = function() return (("a"):rep(30)):match(("a?"):rep(30) .. ("a"):rep(30) .. "b") end,
  patterns = function() for i = 1, 1e9 do pcall(string.find, ("a"):rep(3000), "a*a*b") end end,
  rep = function() return ("x"):rep(1e9) end,
  format = function() return ("%99999d"):format(1) end,
  concat = function()
    local t, s = {}, ("x"):rep(1000000)
    for i = 1, 3000 do t[i] = s end
    return table.concat(t)
  end,
  doubling = function() local s = "x" while true do s = s .. s end end,
  tables = function() local t = {} while true do t[#t + 1] = {} end end,
  stack = function() local function f() return 1 + f() end return f() end,
}
for name, run in pairs(cases) do
  moongate.handler(name, { path = "/" .. name }, function(req, res) run(req) res:send(200, "it came to an end") end)
end
moongate.on("request", { path = "/callback-loop" }, function() while true do end end)
moongate.field { name = "endless", type = "boolean", value = function() while true do end end }
moongate.handler("many", { path = "/many" }, function(req, res)
  for i = 1, 100 do
    local stop = os.clock() + 0.006
    while os.clock() < stop do spin(10) end
    moongate.sleep(0.001)
  end
  res:send(200, "it came to an end")
end)
moongate.handler("modest", { path = "/modest" }, function(req, res)
  spin(10000)
  res:send(200, "fine")
end)

local forbidden = { "io", "debug", "package", "ffi", "jit", "load", "loadstring", "loadfile", "dofile", "setfenv", "getfenv",
  "collectgarbage", "newproxy", "module", "coroutine", "gcinfo" }
moongate.handler("forbidden", { path = "/forbidden" }, function(req, res)
  local found = {}
  for _, name in ipairs(forbidden) do
    if _G[name] ~= nil then found[#found + 1] = name end
  end
  for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale" } do
    if os[name] ~= nil then found[#found + 1] = "os." .. name end
  end
  if string.dump or ("").dump then found[#found + 1] = "string.dump" end
  if getmetatable("") then found[#found + 1] = "the metatable of strings" end
  for name, value in pairs { req = req, res = res, headers = req.headers, node = req.http } do
    if getmetatable(value) then found[#found + 1] = "the metatable of " .. name end
    if pcall(next, value) then found[#found + 1] = "the inside of " .. name end
  end
  res:send(200, table.concat(found, " "))
end)
leak = "from this file"
]==]

local OTHER = [[
local moongate = require "moongate"
moongate.handler("leak", { path = "/leak" }, function(req, res)
  string.lower = nil
  res:send(200, tostring(leak) .. " " .. ("A"):lower())
end)
]]

describe("a policy file cannot hold its worker", function()
  local gate

  setup(function()
    gate = policy.start(POLICY, {
      config = { listen_http = { "127.0.0.1:0" }, workers = 1, policies = { "policy.lua", "other.lua" } },
      files = { ["other.lua"] = OTHER },
    })
  end)
  teardown(policy.stop)

  local LIMIT = gateway.is_sanitized() and 5 or 1

  for _, case in ipairs {
    { "an endless loop", "/loop", "longer than 10 ms" },
    { "an endless loop in a callback", "/callback-loop", "longer than 10 ms" },
    { "a loop that became hot", "/hot", "longer than 10 ms" },
    { "endless recursion without a stack", "/recursion", "longer than 10 ms" },
    { "a loop whose error is caught", "/caught", "longer than 10 ms" },
    { "a loop whose error is handled", "/caught_with", "longer than 10 ms" },
    { "reading fields without end", "/field", "longer than 10 ms" },
    { "setting headers without end", "/headers", "longer than 10 ms" },
    { "a long substitution", "/gsub", "longer than 10 ms" },
    { "a callback of a library function", "/callback", "longer than 10 ms" },
    { "sorting with a slow comparison", "/sort", "longer than 10 ms" },
    { "a pattern with many quantifiers", "/pattern", { "too many steps", "longer than 10 ms" } },
    { "a pattern that tries everything", "/backtracking", { "too many steps", "longer than 10 ms" } },
    { "patterns one after the other", "/patterns", "longer than 10 ms" },
    { "a text of a gigabyte", "/rep", "longer than 1048576 bytes" },
    { "a number with 99999 digits", "/format", "invalid option" },
    { "three gigabytes put together", "/concat", "longer than 1048576 bytes" },
    { "a text that doubles", "/doubling", { "not enough memory", "longer than 10 ms" } },
    { "tables without end", "/tables", { "not enough memory", "longer than 10 ms" } },
    { "recursion", "/stack", { "stack overflow", "longer than 10 ms" } },
  } do
    it("with " .. case[1], function()
      for _ = 1, 3 do -- also when it is warm
        local begun = now()
        local answer = policy.get(case[2])
        local took = now() - begun
        assert.equal(500, answer.status)
        assert.is_true(took < LIMIT, ("took %.2f s"):format(took))
        local detail = gate:wait_log({ subject = "policy", ray = answer:field "cf-ray" }).detail
        local fits = false
        for _, words in ipairs(type(case[3]) == "table" and case[3] or { case[3] }) do fits = fits or detail:find(words, 1, true) end
        assert.truthy(fits, detail)
        assert.truthy(detail:find("^policy%.lua:%d+: ") or detail:find("/policy%.lua:%d+: "), detail)
      end
      assert.equal("fine", policy.get("/modest").body)
    end)
  end

  it("with a field of a rule: the rule counts as matched", function()
    gate:set_rules { 'endless and http.request.uri.path eq "/ruled"' }
    local begun = now()
    assert.equal(403, policy.get("/ruled").status)
    assert.is_true(now() - begun < LIMIT)
    gate:set_rules {}
  end)

  it("by many short stretches: ten budgets are the end", function()
    local answer = policy.get "/many"
    assert.equal(500, answer.status)
    gate:wait_log { subject = "policy", ray = answer:field "cf-ray" }
  end)

  it("nor grow it", function()
    for _ = 1, 5 do policy.get "/tables" end
    local before = gate:memory("VmRSS")
    for _ = 1, 20 do
      policy.get "/doubling"
      policy.get "/tables"
    end
    local grown = gate:memory("VmRSS") - before
    assert.is_true(grown < 64 * 1024, "grew by KiB: " .. grown)
  end)

  it("nor reach out of its environment", function()
    assert.equal("", policy.get("/forbidden").body)
  end)

  it("nor change what another file sees", function()
    assert.equal("nil a", policy.get("/leak").body)
    assert.equal("nil a", policy.get("/leak").body)
  end)
end)

describe("policy_budget_ms", function()
  it("says how long a policy may run", function()
    local gate = policy.start([[
      moongate.handler("work", { path = "/work" }, function(req, res)
        local stop = os.clock() + 0.1
        while os.clock() < stop do end
        res:send(200, "done")
      end)
    ]], { config = { listen_http = { "127.0.0.1:0" }, policy_budget_ms = 400 } })
    assert.equal("done", policy.get("/work").body)
    assert.truthy(gate:is_running())
    policy.stop()
  end)
end)

describe("policy_jit", function()
  it("takes the budget away", function()
    policy.start([[
      moongate.handler("work", { path = "/work" }, function(req, res)
        local stop = os.clock() + 0.05
        while os.clock() < stop do end
        res:send(200, "done")
      end)
    ]], { config = { listen_http = { "127.0.0.1:0" }, policy_jit = true } })
    assert.equal("done", policy.get("/work").body)
    policy.stop()
  end)
end)

describe("a policy file with a mistake", function()
  for _, case in ipairs {
    { "a syntax error", "moongate.handler(", "policy%.lua:%d+: unexpected symbol" },
    { "an error while it is loaded", "\n\nerror 'no luck'", "policy%.lua:4: no luck" },
    { "an endless loop", "\nwhile true do end", "policy%.lua:3: the policy ran longer than 2000 ms" },
    { "another module", "require 'socket'", "policy%.lua:2: a policy file can require \"moongate\" only" },
    { "a declaration that is none", "moongate.field { name = 'a', value = print }", "policy%.lua:2: moongate%.field: type must be a string, not a nil" },
    { "a word that is no type", "moongate.field { name = 'a', type = 'text', value = print }", "policy%.lua:2: moongate%.field: \"text\" is no type" },
    { "a name of the language", "moongate.field { name = 'http.x', type = 'string', value = print }", "policy%.lua:2: moongate%.field: names under \"http\"" },
    { "a name that stands twice", "for _ = 1, 2 do moongate.handler('a', function() end) end", "policy%.lua:2: moongate%.handler: there is a handler \"a\" already" },
    { "an unknown event", "moongate.on('connect', print)", "policy%.lua:2: moongate%.on: there are the events" },
    { "a file that is not there", "moongate.read_file 'none.txt'", "policy%.lua:2: the file .*none%.txt cannot be read: " },
  } do
    it(("is refused by check and run, with file and line: %s"):format(case[1]), function()
      local gate = gateway.new { config = { policies = { "policy.lua" } },
        files = { ["policy.lua"] = "local moongate = require \"moongate\"\n" .. case[2] } }
      for _, command in ipairs { "check", "run" } do
        local result = gateway.cli { command, "-c", gate.config_path }
        assert.equal(1, result.status)
        assert.truthy(result.stderr:find("^moongate: .*" .. case[3]), result.stderr)
        local _, lines = result.stderr:gsub("\n", "")
        assert.equal(1, lines)
      end
      shell.remove_directory(gate.directory)
    end)
  end

  it("that is not there is refused by name", function()
    local gate = gateway.new { config = { policies = { "nothing.lua" } } }
    local result = gateway.cli { "check", "-c", gate.config_path }
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("nothing.lua: No such file", 1, true), result.stderr)
    shell.remove_directory(gate.directory)
  end)

  it("is not reported when there is none", function()
    local gate = gateway.new { config = { policies = { "policy.lua" } }, files = { ["policy.lua"] = "require 'moongate'" } }
    local result = gateway.cli { "check", "-c", gate.config_path }
    assert.equal(0, result.status, result.stderr)
    shell.remove_directory(gate.directory)
  end)
end)

describe("moongate.kv", function()
  local POLICY_KV = [[
moongate.handler("count", { path = "/count" }, function(req, res) res:send(200, tostring(moongate.kv.incr("hits"))) end)
moongate.handler("set", { path = "/set" }, function(req, res)
  moongate.kv.set(req.headers["x-key"], req.headers["x-value"], tonumber(req.headers["x-seconds"]))
  res:send(204)
end)
moongate.handler("get", { path = "/get" }, function(req, res) res:send(200, tostring(moongate.kv.get(req.headers["x-key"]))) end)
moongate.handler("delete", { path = "/delete" }, function(req, res) res:send(200, tostring(moongate.kv.delete(req.headers["x-key"]))) end)
]]
  setup(function() policy.start(POLICY_KV) end)
  teardown(policy.stop)

  local function ask(path, key, fields)
    fields = fields or {}
    fields[#fields + 1] = { "X-Key", key }
    return policy.get(path, { fields = fields }).body
  end

  it("counts once for all workers", function()
    local sessions = {}
    for i = 1, 16 do sessions[i] = policy.connect() end
    for _ = 1, 25 do
      for _, session in ipairs(sessions) do assert.equal(200, session:get("/count", { host = policy.HOST }).status) end
    end
    for _, session in ipairs(sessions) do session:close() end
    assert.equal(tostring(16 * 25 + 1), policy.get("/count").body)
  end)

  it("keeps what one worker puts there for all", function()
    ask("/set", "k", { { "X-Value", "v1" } })
    for _ = 1, 8 do assert.equal("v1", ask("/get", "k")) end
    assert.equal("true", ask("/delete", "k"))
    assert.equal("false", ask("/delete", "k"))
    assert.equal("nil", ask("/get", "k"))
  end)

  it("forgets when the time has passed", function()
    ask("/set", "short", { { "X-Value", "v" }, { "X-Seconds", "0.2" } })
    wait.until_true("the value to be forgotten", function() return ask("/get", "short") == "nil" end)
  end)
end)
