-- moongate.rules.diagnostic: what is wrong with an expression, and where.
--
-- The parser raises a small table {message, pos, length}; the public functions turn it into a Diagnostic for the
-- caller. Lines and columns count from 1; columns count bytes, since that is what the caller can slice. Knows nothing
-- of the language.

local find, rep, sub = string.find, string.rep, string.sub

local M = {}

---@class moongate.rules.Diagnostic
---@field message string
---@field line integer
---@field column integer
---@field length integer  bytes underlined, at least 1
---@field text string     the expression
---@field hint string|nil a suggestion for people, such as a name that is spelled almost so
local Diagnostic = {}
Diagnostic.__index = Diagnostic

--- The three-line form: heading, source line, carets with the message; ends with a line break.
---@return string
function Diagnostic:render()
  local start = 1
  for _ = 2, self.line do
    start = find(self.text, "\n", start, true) + 1
  end
  local line = sub(self.text, start, (find(self.text, "\n", start, true) or 0) - 1)
  -- A tab before the caret is repeated so that the caret stands under its character; other bytes count one column each,
  -- UTF-8 continuation bytes none.
  local margin = sub(line, 1, self.column - 1):gsub("[\128-\191]", ""):gsub("[^\t]", " ")
  local marked = sub(line, self.column, self.column + self.length - 1)
  local width = #marked:gsub("[\128-\191]", "")
  return ("Filter parsing error (%d:%d):\n%s\n%s%s %s\n"):format(self.line, self.column, line, margin,
    rep("^", width > 0 and width or 1), self.message)
end

Diagnostic.__tostring = Diagnostic.render

--- render(), and the hint, if there is one, on a line of its own.
---@return string
function Diagnostic:advise()
  return self:render() .. (self.hint and self.hint .. "\n" or "")
end

--- Makes a diagnostic.
---@param text string     the whole expression
---@param message string
---@param pos integer     first byte concerned, 1 … #text + 1
---@param length integer  bytes concerned; cut at the end of the line
---@param hint string|nil
---@return moongate.rules.Diagnostic
function M.new(text, message, pos, length, hint)
  local line, start = 1, 1
  while true do
    local stop = find(text, "\n", start, true)
    if not stop or stop >= pos then
      local room = (stop or #text + 1) - pos
      if length > room then
        length = room
      end
      break
    end
    line, start = line + 1, stop + 1
  end
  return setmetatable({
    message = message,
    line = line,
    column = pos - start + 1,
    length = length > 0 and length or 1,
    text = text,
    hint = hint,
  }, Diagnostic)
end

return M
