-- moongate.request: the request as policy files see it: every field of the rules language by its name, header fields,
-- its body.
--
-- Fields are read through the accessors of lua/fields.lua over the facts that C puts at a fixed address for the request
-- whose turn it is; req.cf.tls_client_auth.cert_verified walks tables that were made at start and allocates nothing. A
-- request object belongs to one request: used in another one's turn, or after its end, it raises an error. Made by
-- task.lua and policy_state.lua; changes nothing but what the view of its headers remembers.

local blame = require "moongate.blame"
local bridge = require "moongate.ffi"
local fields = require "moongate.fields"
local headers = require "moongate.headers"
local proxy = require "moongate.proxy"
local registry = require "moongate.registry"
local turn = require "moongate.turn"
local values = require "moongate.values"

local ffi, raise = bridge.ffi, blame.raise

local error, pairs, tostring = error, pairs, tostring

local M = {}

---@class moongate.Request
---@field headers moongate.Headers
---@field ray string
local Request = {}

---@class moongate.request.State
---@field serial number
---@field headers moongate.Headers|nil
---@field cache table<integer, any>|nil  values of the policies' own fields, by their number

local CLASS -- below

local call           -- struct moon_policy_call *
local accessors = {} -- field name → function
local root = {}      -- first segment → node or accessor

local ENDED = "this request has ended, or it is not its turn"

-- The state of a request object whose turn it is.
local function live(req)
  local state = proxy.state(CLASS, req)
  if not state then raise("expected a request") end
  if state.serial ~= turn.serial then raise(ENDED) end
  return state
end

-- ---- names with dots ----

local NODE = {}

local function check_turn()
  if turn.serial == 0 then raise(ENDED) end
end

local NODE_CLASS -- below

-- node → { children = { segment → node or accessor }, name =, accessor = accessor of the very name or nil }
local nodes = {}

function NODE.__index(node, segment)
  local own = nodes[node]
  local child = own.children[segment]
  check_turn()
  if child == nil then
    raise(("there is no field %s.%s"):format(own.name, tostring(segment)))
  end
  if nodes[child] then return child end
  return child()
end

function NODE.__newindex(node)
  raise(("the fields under %s cannot be changed"):format(nodes[node].name))
end

-- A folder that is a field as well passes for its text where it can.
function NODE.__tostring(node)
  local own = nodes[node]
  if not own.accessor then return "fields " .. own.name end
  check_turn()
  return tostring(own.accessor())
end

function NODE.__concat(a, b)
  return tostring(a) .. tostring(b)
end

NODE_CLASS = proxy.class(NODE)

local function new_node(name)
  local node = proxy.new(NODE_CLASS, {})
  nodes[node] = { children = {}, name = name }
  return node
end

-- Fields that are the beginning of others, and are written as such: their own text is had by req["http.request.uri"].
-- Of all other fields the dots give the value, whatever begins with their name.
local FOLDERS = { ["http.request.uri"] = true, ["raw.http.request.uri"] = true }

local function place(name, accessor)
  local children, path = root, nil
  for segment, dot in name:gmatch("([^.]+)(%.?)") do
    path = path and path .. "." .. segment or segment
    local present = children[segment]
    if dot == "" then
      if FOLDERS[name] then
        present = present or new_node(name)
        nodes[present].accessor = accessor
        children[segment] = present
      else
        children[segment] = accessor
      end
      return
    end
    if present == nil then
      present = new_node(path)
      children[segment] = present
    elseif not nodes[present] then
      return -- a field of its own
    end
    children = nodes[present].children
  end
end

-- ---- fields ----

local current -- the request object of the present turn

-- As policies see a value of the rules language: addresses are texts, arrays plain lists.
local function readable(kind, accessor)
  if kind.kind == "String" or kind.kind == "Boolean" or kind.kind == "Integer" then return accessor end
  return function() return values.from_rules(kind, accessor()) end
end

local function accessor_of(field)
  if field.constant ~= nil then
    return function() return field.constant end
  end
  return readable(field.type, field.access)
end

-- Fields that the turn has already.
local AT_HAND = { ["http.host"] = "host", ["http.request.method"] = "method", ["http.request.uri.path"] = "path" }

local evaluate -- set by attach: runs a policy's function where nothing may wait

local function custom_accessor(index, field)
  return function()
    local req = current()
    local state = proxy.state(CLASS, req)
    local cache = state.cache
    if not cache then
      cache = {}
      state.cache = cache
    end
    local value = cache[index]
    if value == nil then
      value = evaluate(field.value, req)
      local _, message = values.to_rules(field.type, value)
      if message then error(("%s: the field %s: %s"):format(field.at, field.name, message), 0) end
      cache[index] = value
    end
    return value
  end
end

--- Tells where the call is and puts all fields in place; after the registry was closed.
---@param struct ffi.cdata*  struct moon_policy_call *
---@param options { current: (fun(): moongate.Request), evaluate: (fun(f: function, req: moongate.Request): any) }
function M.attach(struct, options)
  call, current, evaluate = struct, options.current, options.evaluate
  local schema = fields.bind(struct.facts)
  for _, field in pairs(fields.list) do
    accessors[field.name] = accessor_of(schema.fields[field.name])
  end
  for index, field in ipairs(registry.fields) do
    if accessors[field.name] then error(("the field %q is the rules language's own"):format(field.name), 0) end
    accessors[field.name] = custom_accessor(index, field)
  end
  for name, member in pairs(AT_HAND) do
    local accessor = accessors[name]
    accessors[name] = function() return turn[member] or accessor() end
  end
  for name, accessor in pairs(accessors) do place(name, accessor) end
end

-- ---- the object ----

local function read_fields()
  return call.facts.fields, tonumber(call.facts.field_count)
end

local body_reader, router -- set by task.lua

--- Who reads bodies, and who sends requests elsewhere.
---@param reader fun(limit: integer|nil): string
---@param route fun(url: string, options: table|nil)
function M.serve_with(reader, route)
  body_reader, router = reader, route
end

--- The request's body, whole. Waits for it; in handlers only.
---@param limit integer|nil  bytes; 1 MiB when absent, and at most
---@return string
function Request:body(limit)
  live(self)
  return body_reader(limit)
end

--- Sends the request to another origin than that of its host. In on("request") only.
---@param url string  http://host[:port] or https://host[:port]
---@param options { host_header: string|nil, sni: string|nil, ca: string|nil }|nil
function Request:route(url, options)
  live(self)
  router(url, options)
end

local function headers_of(state)
  local view = state.headers
  if not view then
    view = headers.new(read_fields, headers.TO_ORIGIN, state.serial, state.frozen)
    state.headers = view
  end
  return view
end

local META = {}

function META.__index(req, name)
  local state = live(req)
  if name == "headers" then return headers_of(state) end
  if name == "body" or name == "route" then return Request[name] end
  if name == "ray" then return ffi.string(call.facts.ray.data, call.facts.ray.len) end
  local accessor = accessors[name]
  if accessor then return accessor() end
  local node = root[name]
  if not node then raise(("a request has no member or field %q"):format(tostring(name))) end
  return node
end

function META.__newindex(_, name)
  raise(("%q of a request cannot be changed; its headers can"):format(tostring(name)))
end

function META.__tostring(req)
  return proxy.state(CLASS, req).serial == turn.serial and "request " .. req.ray or "request (ended)"
end

CLASS = proxy.class(META)

--- The object of the request whose turn it is.
---@return moongate.Request
function M.new()
  return proxy.new(CLASS, { serial = turn.serial })
end

--- What a policy changed of the head toward the origin, as headers.changes() gives it.
function M.changes(req)
  local view = proxy.state(CLASS, req).headers
  if not view then return nil, nil end
  return headers.changes(view)
end

--- From now on the head is on its way, and nothing about it can be changed.
function M.freeze(req)
  local state = proxy.state(CLASS, req)
  state.frozen = "the request is on its way: its headers cannot be changed any more"
  if state.headers then headers.freeze(state.headers, state.frozen) end
end

return M
