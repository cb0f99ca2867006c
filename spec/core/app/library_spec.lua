-- libmoongate through moongate.h alone, in a program of its own (library.c): the sanitizers see all of it. The program shows
-- functions under names that the library has inside, and ends when one of them is called.

local certs = require "spec.support.certs"
local shell = require "spec.support.shell"

local function run(scenario, ...)
  local program = (os.getenv("MOONGATE_BUILD_DIR") or "build/dev") .. "/moongate_spec_library"
  local result = shell.run({ program, scenario, ... }, { seconds = 120 })
  assert.equal(0, result.status, result.stdout .. result.stderr)
  local lines = {}
  for line in result.stdout:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  assert.equal("fine", table.remove(lines))
  return lines
end

local POLICY = [[
  local moongate = require "moongate"
  moongate.field { name = "lua.number", type = "integer", value = function(req) return #req.http.host end }
  moongate.handler("lua", { path = "/lua" }, function(_, res)
    moongate.sleep(0.05)
    res:send(200, {}, "from Lua")
  end)
  moongate.on("request", { path = "/noted" }, function() moongate.sleep(0.01) end)
]]

local REFUSED = " -20003 "

describe("the library refuses", function()
  local said

  setup(function() said = run "refusals" end)

  for index, case in ipairs {
    { "settings that are no JSON", "{:" .. REFUSED .. "settings: line 1, column 2: expected a member name in quotes" },
    { "settings that are no object", "[]:" .. REFUSED .. "settings: expected an object" },
    { "a misspelt limit", '{"limits":{"haed":4096}}:' .. REFUSED .. "settings: unknown key limits.haed; did you mean limits.head?" },
    { "a timeout out of range", '{"timeouts":{"drain":-1}}:' .. REFUSED .. "settings: timeouts.drain must be from 0 to 3600, not -1" },
    { "a setting of the program's only", '{"data_dir":"x"}:' .. REFUSED .. "settings: unknown key data_dir" },
    { "a directory for its CA that is not there", "a directory that is not there: -1 /nowhere/at/all/local-ca.key: "
      .. "a temporary file cannot be made beside it: No such file or directory" },
    { "a publication before the start", "publish before start:" .. REFUSED .. "publish: the gateway is not started" },
    { "a start without an address", "start without an address:" .. REFUSED .. "listen: there is no address to listen on" },
    { "an address that is none", "listen:" .. REFUSED
      .. 'localhost: is no address: "192.0.2.1:443" or "[2001:db8::1]:443" is expected' },
    { "a handler without a function", "no function:" .. REFUSED .. "handler: has no function to answer with" },
    { "a path without a slash", "a path:" .. REFUSED .. "handler: path must begin with a slash" },
    { "a host in upper case", "a host:" .. REFUSED .. "handler: host must be in lower case" },
    { "a method that is no word", "a method:" .. REFUSED .. 'handler: method must be a word such as "GET"' },
    { "bodies without a bound", "a body:" .. REFUSED .. "handler: body_max is more than 64 MiB" },
    { "a field with a name of the language's", "http.own:" .. REFUSED .. 'http.own: names under "http" belong to the rules language' },
    { "a field with a name that is none", "a b:" .. REFUSED
      .. 'a b: "a b" is no name: letters, digits and _ are, with dots between' },
    { "a field with the name of a function", "lower:" .. REFUSED .. 'lower: the rules language has a function "lower"' },
    { "a field of no type", "own.field:" .. REFUSED .. "own.field: its type is none of enum moon_gate_type" },
    { "nothing about a field that is right", "own.field: 0 " },
    { "a field that is there already", "own.field:" .. REFUSED .. 'own.field: there is a field "own.field" already' },
    { "a second start", "start again:" .. REFUSED .. "start: comes too late: the gateway is started" },
    { "a field after the start", "late:" .. REFUSED .. "field: comes too late: the gateway is started" },
    { "a configuration that is no JSON", "publish no JSON:" .. REFUSED .. "line 2, column 2: expected a member name in quotes" },
    { "an address in use", "an address in use: -20010 names it" },
    { "a publication after drain", "publish after drain: -20008 publish: the gateway is stopping" },
  } do
    it(case[1], function() assert.equal(case[2], said[index]) end)
  end

  it("with texts for its own codes and libuv's", function()
    assert.equal("no error, the queue is full, address already in use", said[#said])
  end)
end)

local function visited(name, from_lua)
  return {
    { "hands a handler the request and its body, and sends its answer", ("POST /echo: 200 %s /echo the body"):format(name) },
    { "asks a boolean field", "GET /flag: 200" },
    { "asks an integer field", "GET /number: 200" },
    { "asks a string field, which sees the request", "GET /text?q=1: 200" },
    { "asks a string field for each request anew", "GET /text?q=2: 403" },
    { "asks an address field", "GET /address: 200" },
    { "takes a field without a value as missing", "GET /missing: 403" },
    { "sends large content", "GET /large: 203 3145728" },
    { "answers HEAD without a body", "HEAD /echo: 200 0" },
    { "refuses a body beyond what the handler takes", "POST /echo of 1999 bytes: 413" },
    { "hands on a body that the rules have read, whole", ("POST /inspected: 200 %s /inspected a good body"):format(name) },
    { "is not asked when the rules did not like the body", "POST /inspected: 403" },
    { "refuses a body that the rules have read and the handler does not take", "POST /inspected of 1999 bytes: 413" },
    { "never sends a header field that is two", "GET /broken/1: 500" },
    { "never sends a field of framing", "GET /broken/2: 500" },
    { "never sends a status that is none", "GET /broken/3: 500" },
    { "answers with 500 when a handler fails", "GET /broken/4: 500" },
    { "answers requests that no policy answers", "GET /lua: 200 " .. (from_lua or name .. " /lua ") },
    { "answers without content", "GET /within: 204" },
  }
end

for _, way in ipairs {
  { "on threads of its own", "threads", "status: generation 1, 2 workers, 3 blocked" },
  { "on the program's loop", "loop", "status: generation 1, 1 workers, 3 blocked" },
  { "on the program's loop, with policy files", "loop", "status: generation 1, 1 workers, 3 blocked", "from Lua" },
} do
  describe("a gateway " .. way[1], function()
    local said

    setup(function() said = run(way[2], way[4] and certs.write(POLICY, ".lua")) end)

    for index, case in ipairs(visited(way[2], way[4])) do
      it(case[1], function() assert.equal(case[2], said[index]) end)
    end

    local function has(line)
      for _, one in ipairs(said) do
        if one == line then return true end
      end
      return false
    end

    it("cannot be changed from within a handler", function() assert.is_true(has "within: -20011 -20011 -20011") end)
    it("tells its status", function() assert.is_true(has(way[3])) end)
    if way[2] == "threads" then
      it("leaves signals to the program's threads", function() assert.is_true(has "threads that take signals: 1") end)
    end
    it("hands each log line to the program", function() assert.is_true(has "lines: enough") end)
  end)
end

describe("two gateways in one program", function()
  it("answer each for itself, and one goes on when the other has gone", function()
    assert.same({ "first /echo ", "second /echo ", "second /echo " }, run "both")
  end)
end)

describe("policy files of a program", function()
  local said

  setup(function()
    local wrong = certs.write('require("moongate").field { name = "a b" }\n', "-wrong.lua")
    said = run("policies", certs.write(POLICY, ".lua"), wrong)
  end)

  it("are refused with file and line when one is wrong", function()
    assert.truthy(said[1]:find("^a mistake: %-20012 /%d+%-wrong%.lua:1: "), said[1])
  end)

  it("keep their fields from fields in C", function()
    assert.equal('a field that a policy has: -20003 lua.number: there is a field "lua.number" already', said[2])
  end)

  it("have fields beside those in C", function() assert.equal("GET /both: 200", said[3]) end)

  it("answer before handlers in C, and may wait", function() assert.equal("GET /lua: 200 from Lua", said[4]) end)

  it("let requests go on to handlers in C", function() assert.equal("GET /noted: 200 policies /noted ", said[5]) end)
end)

describe("the end of a gateway", function()
  it("by draining: nobody new, but who is there gets an answer", function()
    assert.same({ "a new connection: refused", "the old one: drain /echo abcd" }, run "drain")
  end)

  it("comes at once when it is told twice", function() assert.same({}, run "twice") end)

  it("comes at once when it is told twice, whatever a policy waits for", function()
    assert.same({}, run("twice", certs.write([[
      local moongate = require "moongate"
      moongate.on("request", { path = "/echo" }, function() moongate.sleep(3000) end)
    ]], ".lua")))
  end)

  it("leaves its address to the next one, which may have tried before", function()
    assert.same({ "while it is in use: -20010", "afterwards: 0" }, run "again")
  end)
end)
