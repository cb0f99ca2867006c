-- moongate.response: the answer as policy files see it: made by a handler, or the origin's on its way to the client.
--
-- res:send() and res:block() say what the answer is; task.lua gives it to C when the policies have had their say. Every
-- header is checked where it is set (headers.lua). Belongs to one request, like the request object beside it.

local headers = require "moongate.headers"
local proxy = require "moongate.proxy"
local raise = require("moongate.blame").raise
local turn = require "moongate.turn"

local getmetatable, tostring, type = getmetatable, tostring, type

local M = {}

local BODY_MAX = 1024 * 1024

---@class moongate.Response
---@field status integer
---@field headers moongate.Headers
local methods = {}

---@class moongate.response.State
---@field status integer|nil
---@field from_origin boolean
---@field headers moongate.Headers|nil
---@field read fun(): ffi.cdata*|nil, integer
---@field serial number
---@field sent boolean
---@field blocked boolean
---@field body string

local CLASS -- below

local function state_of(res)
  local state = proxy.state(CLASS, res)
  if not state then raise("expected a response") end
  if state.serial ~= turn.serial then raise("this request has ended, or it is not its turn") end
  return state
end

local function headers_of(state)
  local view = state.headers
  if not view then
    view = headers.new(state.read, headers.TO_CLIENT, state.serial)
    state.headers = view
  end
  return view
end

-- Statuses whose answers have no body: what was one of them stays one.
local BODILESS = { [204] = true, [304] = true }

local function check_status(state, status)
  if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
    raise(("the status must be a whole number from 200 to 599, not %s"):format(tostring(status)))
  end
  local old = state.status
  if state.from_origin and status ~= old and (BODILESS[status] or BODILESS[old] or old < 200) then
    raise(("the origin's status %d cannot become %d: one has a body and the other has not"):format(old, status))
  end
  return status
end

local function check_unanswered(state)
  if state.from_origin then raise("the origin has answered: its status and headers can be changed, nothing else") end
  if state.sent or state.blocked then raise("the request has been answered already") end
end

--- Answers the request. Goes out when the handler or callback returns.
---@param status integer
---@param fields table<string, string|string[]>|nil
---@param body string|nil
function methods:send(status, fields, body)
  local state = state_of(self)
  check_unanswered(state)
  if type(fields) == "string" and body == nil then fields, body = nil, fields end
  if fields ~= nil and (type(fields) ~= "table" or getmetatable(fields) ~= nil) then
    raise("the headers must be a table of names and values, not a " .. type(fields))
  end
  if body ~= nil and type(body) ~= "string" then raise("the body must be a text, not a " .. type(body)) end
  if body and #body > BODY_MAX then raise(("the body is longer than %d bytes"):format(BODY_MAX)) end
  local checked = check_status(state, status or state.status or 200)
  if fields then headers.set_all(headers_of(state), fields) end
  state.status, state.body, state.sent = checked, body or "", true
end

--- Answers with the gateway's own page for blocked requests (403).
function methods:block()
  local state = state_of(self)
  check_unanswered(state)
  state.blocked = true
end

local META = {}

function META.__index(res, name)
  local method = methods[name]
  if method then return method end
  local state = state_of(res)
  if name == "headers" then return headers_of(state) end
  if name == "status" then return state.status end
  raise(("a response has no member %q"):format(tostring(name)))
end

function META.__newindex(res, name, value)
  local state = state_of(res)
  if name ~= "status" then raise(("%q of a response cannot be set"):format(tostring(name))) end
  state.status = check_status(state, value)
end

CLASS = proxy.class(META)

local function no_fields()
  return nil, 0
end

--- The answer of a policy to come.
---@return moongate.Response
function M.new()
  return proxy.new(CLASS, {
    from_origin = false, serial = turn.serial, sent = false, blocked = false, body = "", read = no_fields,
  })
end

--- An origin's answer.
---@param status integer
---@param read fun(): ffi.cdata*|nil, integer  its fields in C
---@return moongate.Response
function M.of_origin(status, read)
  return proxy.new(CLASS, { from_origin = true, serial = turn.serial, status = status, read = read })
end

local function inside(res)
  return proxy.state(CLASS, res)
end

--- "sent", "blocked", or nil while there is no answer.
---@return "sent"|"blocked"|nil
function M.outcome(res)
  local state = inside(res)
  return state.sent and "sent" or state.blocked and "blocked" or nil
end

local NONE = {}

--- The answer of a handler for C: status, fields as { name, value, … }, body.
function M.answer(res)
  local state = inside(res)
  if state.body ~= "" and not (state.headers and headers.has(state.headers, "content-type")) then
    headers.set_all(headers_of(state), { ["Content-Type"] = "text/plain; charset=utf-8" })
  end
  return state.status, state.headers and headers.flat(state.headers) or NONE, state.body
end

--- What was changed of an origin's answer: status, names to take out, fields to add.
function M.changes(res)
  local state = inside(res)
  if not state.headers then return state.status, nil, nil end
  return state.status, headers.changes(state.headers)
end

return M
