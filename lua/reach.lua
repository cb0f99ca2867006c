-- moongate.reach: what every function needs that reaches down into the core's control functions: views of texts on
-- the way in, refusals on the way out.
--
-- Used by moongate.control and the modules beside it, on the control thread. A view does not keep its text alive:
-- whoever makes one holds the text until the call has returned. There is one scratch diagnostic per state, read at
-- once after each call.

local bridge = require "moongate.ffi"

local ffi = bridge.ffi

local M = {}

--- struct moon_diag[1], to be handed to the call.
M.diag = ffi.new("struct moon_diag[1]")

---@class moongate.control.Diagnostic
---@field where string  which part of the input; may be empty
---@field text string
local Diagnostic = {}
Diagnostic.__index = Diagnostic
Diagnostic.__tostring = function(self)
  return self.where ~= "" and self.where .. ": " .. self.text or self.text
end

--- A refusal in our own words.
---@param where string
---@param text string
---@return nil
---@return moongate.control.Diagnostic
function M.refusal(where, text)
  return nil, setmetatable({ where = where, text = text }, Diagnostic)
end

--- The refusal that the last call told.
---@return nil
---@return moongate.control.Diagnostic
function M.refused()
  return M.refusal(ffi.string(M.diag[0].where), ffi.string(M.diag[0].text))
end

---@param text string
---@return ffi.cdata*  struct moon_str
function M.view(text)
  return ffi.new("struct moon_str", ffi.cast("const char *", text), #text)
end

--- An array of views, and the table that keeps their texts alive.
---@param texts string[]
---@return ffi.cdata*  struct moon_str[]
---@return string[]
function M.views(texts)
  local list = ffi.new("struct moon_str[?]", #texts)
  for i, text in ipairs(texts) do
    list[i - 1].data = ffi.cast("const char *", text)
    list[i - 1].len = #text
  end
  return list, texts
end

return M
