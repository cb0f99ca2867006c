--- moongate.cli.table_print — tables for people: aligned columns below a heading.
--
-- Called by moongate.cli.session. The heading is bold on a terminal, unless NO_COLOR is set. What a cell shows was said
-- by strangers, so control characters do not get through. Pure: text out.

local json = require "moongate.json"

local M = {}

local BOLD, PLAIN = "\27[1m", "\27[0m"

--- A value as a cell shows it.
---@param value any
---@return string
function M.cell(value)
  if value == nil or value == json.null then return "-" end
  if value == true then return "yes" end
  if value == false then return "no" end
  if json.is_array(value) then
    local parts = {}
    for index, element in ipairs(value) do parts[index] = M.cell(element) end
    return parts[1] and table.concat(parts, ", ") or "-"
  end
  if json.is_object(value) then return (json.encode(value, { sorted = true })) end
  local text = tostring(value):gsub("[\r\n]+", " "):gsub("[%z\1-\31\127]", "?")
  return text == "" and "-" or text
end

-- How many places a text takes: characters, not bytes.
local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

local function line_of(cells, widths)
  local parts = {}
  for index, cell in ipairs(cells) do
    parts[index] = index < #cells and cell .. (" "):rep(widths[index] - width(cell)) or cell
  end
  return table.concat(parts, "  ")
end

--- A table as text; every line ends with a newline.
---@param headings string[]
---@param rows any[][] as many cells as headings; json.null shows as `-`
---@param options { colour: boolean }|nil
---@return string
function M.rows(headings, rows, options)
  local widths, lines, shown = {}, {}, {}
  for index, heading in ipairs(headings) do widths[index] = width(heading) end
  for number, row in ipairs(rows) do
    shown[number] = {}
    for index in ipairs(headings) do
      local cell = M.cell(row[index])
      shown[number][index], widths[index] = cell, math.max(widths[index], width(cell))
    end
  end
  local heading = line_of(headings, widths)
  lines[1] = options and options.colour and BOLD .. heading .. PLAIN or heading
  for _, row in ipairs(shown) do lines[#lines + 1] = line_of(row, widths) end
  return table.concat(lines, "\n") .. "\n"
end

--- One object as text: a line for each of its members.
---@param members any[][] { name, value }
---@param options { colour: boolean }|nil
---@return string
function M.members(members, options)
  local widest, lines = 0, {}
  for _, member in ipairs(members) do widest = math.max(widest, width(member[1])) end
  for index, member in ipairs(members) do
    local name = member[1] .. (" "):rep(widest - width(member[1]))
    if options and options.colour then name = BOLD .. name .. PLAIN end
    lines[index] = name .. "  " .. M.cell(member[2])
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
