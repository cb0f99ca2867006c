--- moongate.admin.cursor — lists that are read in pieces: `per_page` and `cursor`.
--
-- A cursor says after which element the next piece begins, by the value that the list is ordered by, so that pieces fit
-- together while elements come and go. For clients it is a word without meaning. Pure.

local query_of = require "moongate.admin.query"
local stamp = require "moongate.admin.stamp"

local M = {}

local function decode(text)
  if #text % 2 == 1 or text:find("[^0-9a-f]") then return nil end
  local after = text:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
  return not after:find("\0", 1, true) and after or nil
end

--- The piece that a list is asked for. Outside its range, `per_page` means the nearest bound.
---@param query table moongate.admin.query
---@param paging { size: integer, max: integer } the default of per_page and the most it can be
---@return { limit: integer, after: string }|nil slice read one more than limit: it tells whether there is another piece
---@return string|nil name of the parameter that is wrong
function M.slice(query, paging)
  local size, bad_size = query_of.whole(query:get("per_page"))
  if bad_size then return nil, "per_page" end
  local cursor = query:get("cursor")
  local after = cursor and decode(cursor) or ""
  if cursor and after == "" then return nil, "cursor" end
  return { limit = math.max(1, math.min(size or paging.size, paging.max)), after = after }
end

--- Cuts what was read to the piece, and gives the cursor of the next one; nil when this is the last.
---@param slice table
---@param rows table[]
---@param key string the column that the rows are ordered by
---@return string|nil
function M.finish(slice, rows, key)
  if #rows <= slice.limit then return nil end
  for index = #rows, slice.limit + 1, -1 do rows[index] = nil end
  return stamp.hex(rows[slice.limit][key])
end

return M
