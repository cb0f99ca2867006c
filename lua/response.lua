-- moongate.response: the answer as policy files see it: made by a handler, or the origin's on its way to the client.
--
-- res:send() and res:block() say what the answer is; task.lua gives it to C when the policies have had their say. Every
-- header is checked where it is set (headers.lua). Belongs to one request, like the request object beside it.

local headers = require "moongate.headers"
local raise = require("moongate.blame").raise

local getmetatable, setmetatable, tostring, type = getmetatable, setmetatable, tostring, type

local M = {}

local BODY_MAX = 1024 * 1024

---@class moongate.Response
---@field status integer
---@field headers moongate.Headers
local methods = {}

---@class moongate.response.State
---@field status integer|nil
---@field from_origin boolean
---@field headers moongate.Headers
---@field check fun()
---@field sent boolean
---@field blocked boolean
---@field body string

---@type table<moongate.Response, moongate.response.State>
local states = setmetatable({}, { __mode = "k" })

local function state_of(res)
  local state = states[res]
  if not state then raise("expected a response") end
  state.check()
  return state
end

-- Statuses whose answers have no body: what was one of them stays one.
local BODILESS = { [204] = true, [304] = true }

local function check_status(state, status)
  if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
    raise(("the status must be a whole number from 200 to 599, not %s"):format(tostring(status)))
  end
  if state.from_origin and status ~= state.status and (BODILESS[status] or BODILESS[state.status] or state.status < 200) then
    raise(("the origin's status %d cannot become %d: one has a body and the other has not"):format(state.status, status))
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
  if fields then headers.set_all(state.headers, fields) end
  state.status, state.body, state.sent = checked, body or "", true
end

--- Answers with the gateway's own page for blocked requests (403).
function methods:block()
  local state = state_of(self)
  check_unanswered(state)
  state.blocked = true
end

local META = { __metatable = false }

function META.__index(res, name)
  local method = methods[name]
  if method then return method end
  local state = state_of(res)
  if name == "headers" then return state.headers end
  if name == "status" then return state.status end
  raise(("a response has no member %q"):format(tostring(name)))
end

function META.__newindex(res, name, value)
  local state = state_of(res)
  if name ~= "status" then raise(("%q of a response cannot be set"):format(tostring(name))) end
  state.status = check_status(state, value)
end

--- An answer.
---@param options { check: fun(), read: (fun(): ffi.cdata*|nil, integer), status: integer|nil, from_origin: boolean }
---@return moongate.Response
function M.new(options)
  local res = setmetatable({}, META)
  states[res] = {
    status = options.status, from_origin = options.from_origin, check = options.check, sent = false, blocked = false, body = "",
    headers = headers.new { read = options.read, check = options.check, refused = headers.TO_CLIENT },
  }
  return res
end

--- "sent", "blocked", or nil while there is no answer.
---@return "sent"|"blocked"|nil
function M.outcome(res)
  local state = states[res]
  return state.sent and "sent" or state.blocked and "blocked" or nil
end

--- The answer of a handler for C: status, fields as { name, value, … }, body.
function M.answer(res)
  local state = states[res]
  if state.body ~= "" and not headers.has(state.headers, "content-type") then
    headers.set_all(state.headers, { ["Content-Type"] = "text/plain; charset=utf-8" })
  end
  return state.status, headers.flat(state.headers), state.body
end

--- What was changed of an origin's answer: status, names to take out, fields to add.
function M.changes(res)
  local state = states[res]
  return state.status, headers.changes(state.headers)
end

return M
