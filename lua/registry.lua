-- moongate.registry: what the policy files of this state declare: fields and functions for rules, content handlers,
-- callbacks.
--
-- Filled by lua/init.lua while the files are loaded, then closed: the control plane checks expressions against these
-- names and the workers compile with them, so they are the same for good. policy_state.lua and task.lua read it. A
-- mistake in a declaration is raised as a text. Holds nothing of any request.

local blame = require "moongate.blame"
local fields = require "moongate.fields"
local types = require "moongate.rules.types"

local M = {}

---@class moongate.registry.Field
---@field name string
---@field type moongate.rules.Type
---@field help string
---@field value fun(req: moongate.Request): any
---@field at string  where it is written: "FILE:LINE"

---@class moongate.registry.Handler
---@field name string
---@field where moongate.registry.Where|nil  nil: reached by its name only
---@field run fun(req: moongate.Request, res: moongate.Response)
---@field at string

---@class moongate.registry.Where
---@field methods table<string, true>|nil
---@field host (fun(host: string): boolean)|nil
---@field path (fun(path: string): boolean)|nil

---@type moongate.registry.Field[]
M.fields = {}
M.functions = {}
---@type moongate.registry.Handler[]  in the order of their declaration
M.handlers = {}
---@type table<string, moongate.registry.Handler>
M.named = {}
---@type { where: moongate.registry.Where|nil, run: function, at: string }[]
M.on_request = {}
M.on_response = {}

local DECLARATIONS_MAX = 1000 -- of each kind

-- First segments of names that are the language's own, now or later; a policy's names stay out of their way.
local RESERVED = { cf = true, http = true, ip = true, mg = true, raw = true, ssl = true, tcp = true, udp = true }
-- What a request has besides its fields.
local MEMBERS = { headers = true, body = true, ray = true, route = true }

-- As policy files may write a type, besides the words of the rules language.
local WORDS = { string = "String", boolean = "Boolean", integer = "Integer", ip = "IP" }

-- Without a position: init.lua adds that of the policy's line.
local function fail(message, ...)
  error(message:format(...), 0)
end

local function check_open(what)
  if M.closed then
    fail("moongate.%s can only be called while the policy file is being loaded", what)
  end
end

local function check_members(what, given, known)
  if type(given) ~= "table" then fail("moongate.%s expects a table", what) end
  for key in pairs(given) do
    if not known[key] then fail("moongate.%s: unknown member %q", what, tostring(key)) end
  end
  local names = {}
  for key in pairs(known) do names[#names + 1] = key end
  table.sort(names) -- so that of several mistakes it is always the same that is told
  for _, key in ipairs(names) do
    local kind = known[key]
    local optional = kind:sub(-1) == "?"
    local wanted = optional and kind:sub(1, -2) or kind
    local value = given[key]
    if not (value == nil and optional) and type(value) ~= wanted then
      fail("moongate.%s: %s must be a %s, not a %s", what, key, wanted, type(value))
    end
  end
end

local function check_room(what, list)
  if #list >= DECLARATIONS_MAX then fail("moongate.%s: more than %d declarations", what, DECLARATIONS_MAX) end
end

local function type_of(what, text)
  local found = types.parse(type(text) == "string" and WORDS[text] or text)
  if not found then
    fail("moongate.%s: %q is no type; there are string, boolean, integer, ip, Array<String>, Map<String> and so on",
      what, tostring(text))
  end
  return found
end

local function check_name(what, name)
  for segment in (name .. "."):gmatch("([^.]*)%.") do
    if not segment:find("^[%a_][%w_]*$") then
      fail("moongate.%s: %q is no name: letters, digits and _ are, with dots between", what, name)
    end
  end
end

--- Raises the reason when a field must not have this name.
---@param name string
function M.check_field_name(name)
  check_name("field", name)
  local first = name:match("^[^.]+")
  if RESERVED[first] then fail("moongate.field: names under %q belong to the rules language", first) end
  if MEMBERS[first] then fail("moongate.field: a request has a member %q already", first) end
  for _, list in ipairs { M.fields, M.functions } do
    for _, known in ipairs(list) do
      if known.name == name then fail("moongate.field: there is a field or function %q already", name) end
    end
  end
  if fields.schema().functions[name] then fail("moongate.field: the rules language has a function %q", name) end
end

--- A field of rules: moongate.field { name, type, help, value }.
function M.add_field(given)
  check_open "field"
  check_members("field", given, { name = "string", type = "string", help = "string?", value = "function" })
  check_room("field", M.fields)
  M.check_field_name(given.name)
  M.fields[#M.fields + 1] = {
    name = given.name, type = type_of("field", given.type), help = given.help or "", value = given.value,
    at = blame.place_of(given.value),
  }
end

local function check_function_name(name)
  check_name("func", name)
  local language = fields.schema()
  if language.functions[name] or language.fields[name] then
    fail("moongate.func: the rules language has %q already", name)
  end
  for _, list in ipairs { M.functions, M.fields } do
    for _, known in ipairs(list) do
      if known.name == name then fail("moongate.func: there is a function or field %q already", name) end
    end
  end
end

--- A function of rules: moongate.func { name, params, returns, call, help }.
function M.add_function(given)
  check_open "func"
  check_members("func", given, {
    name = "string", params = "table?", returns = "string", help = "string?", call = "function",
  })
  check_room("func", M.functions)
  check_function_name(given.name)
  local params = {}
  for i, param in ipairs(given.params or {}) do params[i] = type_of("func", param) end
  M.functions[#M.functions + 1] = {
    name = given.name, params = params, returns = type_of("func", given.returns), help = given.help or "",
    call = given.call, at = blame.place_of(given.call),
  }
end

-- ---- which requests ----

local function pieces_of(pattern)
  local pieces = {}
  for piece in (pattern .. "*"):gmatch("([^*]*)%*") do pieces[#pieces + 1] = piece end
  return pieces
end

-- "*" stands for any characters; everything else for itself. In linear time: each piece is taken where it comes first.
local function matcher(pattern)
  local pieces = pieces_of(pattern)
  if #pieces == 1 then
    return function(text) return text == pattern end
  end
  local first, last = pieces[1], pieces[#pieces]
  return function(text)
    local at = #first + 1
    if text:sub(1, #first) ~= first or #text < #first + #last then return false end
    for i = 2, #pieces - 1 do
      local _, stop = text:find(pieces[i], at, true)
      if not stop then return false end
      at = stop + 1
    end
    return at <= #text - #last + 1 and (last == "" or text:sub(-#last) == last)
  end
end

local function check_pattern(what, name, pattern)
  if #pattern > 500 then fail("moongate.%s: %s is longer than 500 bytes", what, name) end
end

local function methods_of(what, method)
  if method == nil then return nil end
  local set = {}
  for _, word in ipairs(type(method) == "table" and method or { method }) do
    if type(word) ~= "string" or not word:find("^%u+$") then
      fail("moongate.%s: method must be a word such as \"GET\", or a list of them", what)
    end
    set[word] = true
  end
  if next(set) == nil then fail("moongate.%s: method names none", what) end
  return set
end

-- A table { method, host, path } as a test of requests.
local function where_of(what, given)
  if given == nil then return nil end
  local method = given.method
  local rest = {}
  for key, value in pairs(given) do
    if key ~= "method" then rest[key] = value end
  end
  check_members(what, rest, { host = "string?", path = "string?" })
  if rest.host then check_pattern(what, "host", rest.host) end
  if rest.path then
    check_pattern(what, "path", rest.path)
    if not rest.path:find("^[/*]") then fail("moongate.%s: path must begin with a slash", what) end
  end
  return {
    methods = methods_of(what, method),
    host = rest.host and matcher(rest.host:lower()),
    path = rest.path and matcher(rest.path),
  }
end

--- A content handler: moongate.handler(name, [where,] run).
function M.add_handler(name, where, run)
  check_open "handler"
  if run == nil then where, run = nil, where end
  if type(name) ~= "string" or name == "" then fail "moongate.handler: the name must be a text" end
  if where ~= nil and type(where) ~= "table" then fail "moongate.handler: expected a table { method, host, path }" end
  if type(run) ~= "function" then fail("moongate.handler: the handler %q needs a function", name) end
  if M.named[name] then fail("moongate.handler: there is a handler %q already", name) end
  check_room("handler", M.handlers)
  local handler = { name = name, where = where_of("handler", where), run = run, at = blame.place_of(run) }
  M.handlers[#M.handlers + 1] = handler
  M.named[name] = handler
end

--- A callback: moongate.on("request" | "response", [where,] run).
function M.add_callback(event, where, run)
  check_open "on"
  if run == nil then where, run = nil, where end
  local list = event == "request" and M.on_request or event == "response" and M.on_response
  if not list then fail("moongate.on: there are the events \"request\" and \"response\", not %q", tostring(event)) end
  if where ~= nil and type(where) ~= "table" then fail "moongate.on: expected a table { method, host, path }" end
  if type(run) ~= "function" then fail("moongate.on: %q needs a function", event) end
  check_room("on", list)
  list[#list + 1] = { where = where_of("on", where), run = run, at = blame.place_of(run) }
end

--- Whether a request is meant.
---@param where moongate.registry.Where|nil
---@param method string
---@param host string
---@param path string
---@return boolean
function M.matches(where, method, host, path)
  if not where then return true end
  return (not where.methods or where.methods[method] == true) and (not where.host or where.host(host))
    and (not where.path or where.path(path))
end

--- Nothing is declared from here on.
function M.close()
  M.closed = true
end

return M
