-- moongate.headers: header fields as policy files see them: names without case, repeated fields kept, order kept, edits
-- remembered.
--
-- A view is made over fields that C holds and read from there when it is first asked; what is changed stays in Lua
-- until task.lua hands it to C as names to take out and fields to add. Each name and value is checked when it is set,
-- so that a mistake is raised at the policy's line; http/write.c checks again when it writes. The view refuses use once
-- its request has ended.

local bridge = require "moongate.ffi"
local proxy = require "moongate.proxy"
local raise = require("moongate.blame").raise
local turn = require "moongate.turn"

local C, ffi = bridge.C, bridge.ffi

local concat = table.concat
local getmetatable, tostring, type = getmetatable, tostring, type
local lower = string.lower

local M = {}

local FIELDS_MAX = 128 -- ANSWER_FIELDS_MAX of core/script/task.c
local VALUE_MAX = 16384

local function set_of(names)
  local set = {}
  for name in names:gmatch("%S+") do set[name] = true end
  return set
end

-- Framing and connection are the gateway's business, in both directions.
local FRAMING = "connection content-length keep-alive proxy-authenticate proxy-authorization proxy-connection te "
  .. "trailer transfer-encoding upgrade http2-settings "

--- Fields that a policy cannot set, by direction.
M.TO_ORIGIN = set_of(FRAMING
  .. "host expect cf-connecting-ip cf-ray cf-visitor cdn-loop x-forwarded-for x-forwarded-proto")
M.TO_CLIENT = set_of(FRAMING .. "date cf-ray")

---@class moongate.headers.State
---@field rows { [1]: string, [2]: string, [3]: string, own: boolean|nil }[]|nil  name, lower-case name, value
---@field read fun(): ffi.cdata*|nil, integer  the fields in C
---@field serial number|nil  of the request it belongs to; nil: it belongs to none
---@field frozen string|nil why nothing can be changed any more
---@field refused table<string, true>
---@field removed table<string, true>
---@field changed boolean

local CLASS -- below
local EMPTY = {}

local function text(view)
  return ffi.string(view.data, view.len)
end

local function rows_of(state)
  local rows = state.rows
  if not rows then
    rows = {}
    local fields, count = state.read()
    for i = 0, count - 1 do
      local name = text(fields[i].name)
      rows[i + 1] = { name, lower(name), text(fields[i].value) }
    end
    state.rows = rows
  end
  return rows
end

local function state_of(view)
  local state = proxy.state(CLASS, view)
  if not state then raise("expected headers") end
  if state.serial and state.serial ~= turn.serial then raise("this request has ended, or it is not its turn") end
  return state
end

local function check_name(name)
  if type(name) ~= "string" then raise("the name of a header must be a text, not a " .. type(name)) end
  return lower(name)
end

local function check_change(state, name)
  local key = check_name(name)
  if state.frozen then raise(state.frozen) end
  if state.refused[key] then raise(("the header %q is written by the gateway itself"):format(name)) end
  return key
end

local function check_value(name, value)
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then
    raise(("the value of the header %q must be a text, not a %s"):format(name, type(value)))
  end
  if #value > VALUE_MAX then
    raise(("the value of the header %q is longer than %d bytes"):format(name, VALUE_MAX))
  end
  local fault = C.moon_ffi_field_fault(name, #name, value, #value)
  if fault == 1 then raise(("%q is no name of a header"):format(name)) end
  if fault == 2 then
    raise(("the value of the header %q has a byte that must not be in it, such as a line break"):format(name))
  end
  return value
end

local function remove(state, key)
  local rows, kept = rows_of(state), {}
  for i = 1, #rows do
    if rows[i][2] ~= key then kept[#kept + 1] = rows[i] end
  end
  state.rows = kept
  if state.removed == EMPTY then state.removed = {} end
  state.removed[key], state.changed = true, true
end

local function add(state, name, key, value)
  local rows = rows_of(state)
  if #rows >= FIELDS_MAX then raise(("there are more than %d headers"):format(FIELDS_MAX)) end
  rows[#rows + 1] = { name, key, value, own = true }
  state.changed = true
end

local function set(state, name, value)
  local key = check_change(state, name)
  if value == nil then
    remove(state, key)
  elseif type(value) == "table" and getmetatable(value) == nil then
    local checked = {}
    for i = 1, #value do checked[i] = check_value(name, value[i]) end
    remove(state, key)
    for i = 1, #checked do add(state, name, key, checked[i]) end
  else
    value = check_value(name, value)
    remove(state, key)
    add(state, name, key, value)
  end
end

local function joined(state, key)
  local rows, first, more = rows_of(state), nil, nil
  for i = 1, #rows do
    local row = rows[i]
    if row[2] == key then
      if not first then
        first = row[3]
      else
        more = more or { first }
        more[#more + 1] = row[3]
      end
    end
  end
  return more and concat(more, ", ") or first
end

---@class moongate.Headers
local methods = {}

--- The values of all fields of a name joined by ", "; nil when there is none. What `headers[name]` gives.
function methods:get(name)
  return joined(state_of(self), check_name(name))
end

--- The values of all fields of a name, in order.
function methods:all(name)
  local state, key = state_of(self), check_name(name)
  local values, rows = {}, rows_of(state)
  for i = 1, #rows do
    if rows[i][2] == key then values[#values + 1] = rows[i][3] end
  end
  return values
end

--- One more field of a name.
function methods:add(name, value)
  local state = state_of(self)
  local key = check_change(state, name)
  add(state, name, key, check_value(name, value))
end

--- In place of all fields of a name: one (a text), several (a list), none (nil).
function methods:set(name, value)
  set(state_of(self), name, value)
end

function methods:remove(name)
  set(state_of(self), name, nil)
end

--- Goes through all fields: for name, value in headers:each() do … end
function methods:each()
  local rows, i = rows_of(state_of(self)), 0
  return function()
    i = i + 1
    if rows[i] then return rows[i][1], rows[i][3] end
  end
end

local META = {}

function META.__index(view, name)
  return methods[name] or joined(state_of(view), check_name(name))
end

function META.__newindex(view, name, value)
  set(state_of(view), name, value)
end

CLASS = proxy.class(META)

--- A view.
---@param read fun(): ffi.cdata*|nil, integer  the fields in C
---@param refused table<string, true>  what cannot be set
---@param serial number|nil  of the request it belongs to; nil: it may be used at any time
---@param frozen string|nil  why nothing can be changed
---@return moongate.Headers
function M.new(read, refused, serial, frozen)
  return proxy.new(CLASS, {
    read = read, refused = refused, serial = serial, frozen = frozen, removed = EMPTY, changed = false,
  })
end

local function inside(view)
  return proxy.state(CLASS, view)
end

--- Reads the fields out of C now, because they will not be there later.
function M.load(view)
  rows_of(inside(view))
end

--- From now on nothing can be changed.
---@param why string
function M.freeze(view, why)
  inside(view).frozen = why
end

--- Sets fields from a table name → text or list, as a policy wrote it.
function M.set_all(view, given)
  local state = inside(view)
  for name, value in pairs(given) do set(state, name, value) end
end

---@return boolean
function M.has(view, key)
  return joined(inside(view), key) ~= nil
end

--- What was changed, for C: names to take out; fields to add as { name, value, name, value, … }. Nil where nothing was.
---@return string[]|nil removed
---@return string[]|nil added
function M.changes(view)
  local state = inside(view)
  if not state.changed then return nil, nil end
  local removed, added = {}, {}
  for key in pairs(state.removed) do removed[#removed + 1] = key end
  for _, row in ipairs(state.rows) do
    if row.own then
      added[#added + 1] = row[1]
      added[#added + 1] = row[3]
    end
  end
  return removed, added
end

--- All fields as { name, value, name, value, … }.
---@return string[]
function M.flat(view)
  local out = {}
  for _, row in ipairs(rows_of(inside(view))) do
    out[#out + 1] = row[1]
    out[#out + 1] = row[3]
  end
  return out
end

return M
