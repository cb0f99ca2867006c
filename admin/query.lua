--- moongate.admin.query — query strings and the paging that they ask for.
--
-- Called by admin/init.lua (parse) and by admin/resource.lua (paging). Arrays come as a repeated key or as a comma
-- list, whichever the client likes. Pure.

local M = {}

local Query = {}
Query.__index = Query

--- Decodes percent-encoding once; nil when an escape is broken or a NUL hides in it.
---@param text string
---@return string|nil
function M.unescape(text)
  if text:gsub("%%%x%x", ""):find("%", 1, true) then return nil end
  local decoded = text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
  if decoded:find("\0", 1, true) then return nil end
  return decoded
end

--- Reads a query string. Parameters that cannot be decoded are as if they had not been sent.
---@param raw string|nil without the question mark
---@return table query
function M.parse(raw)
  local values = {}
  for pair in (raw or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = M.unescape((name:gsub("+", " "))), M.unescape((value:gsub("+", " ")))
    if name and value then
      values[name] = values[name] or {}
      table.insert(values[name], value)
    end
  end
  return setmetatable({ values = values }, Query)
end

--- The first value of a parameter; nil when absent or empty.
---@param name string
---@return string|nil
function Query:get(name)
  local list = self.values[name]
  if list and list[1] ~= "" then return list[1] end
end

--- All values of a parameter, repeated keys and comma lists alike.
---@param name string
---@return string[]
function Query:list(name)
  local all = {}
  for _, value in ipairs(self.values[name] or {}) do
    for element in value:gmatch("[^,]+") do all[#all + 1] = element end
  end
  return all
end

---@class moongate.admin.paging
---@field style string `page` (default size) or `single` (everything unless asked otherwise)
---@field size integer the default of per_page
---@field min integer
---@field max integer

local FARTHEST = 1e9 -- no list is as long; what is beyond means this

--- Reads a whole number of a query; one that is out of all proportion becomes a bound that means the same.
---@param text string|nil
---@return integer|nil value nil when absent, and when it is none
---@return boolean bad
function M.whole(text)
  if not text then return nil, false end
  if not text:find("^%-?%d+$") then return nil, true end
  return math.max(-FARTHEST, math.min(tonumber(text), FARTHEST)), false
end

--- The slice that a list is asked for. A `per_page` outside its range means the nearest bound.
---@param paging moongate.admin.paging
---@return { limit: integer, offset: integer, page: integer, size: integer }|nil
---@return string|nil name of the parameter that is wrong
function Query:slice(paging)
  local page, bad_page = M.whole(self:get("page"))
  if bad_page or page and page < 1 then return nil, "page" end
  local size, bad_size = M.whole(self:get("per_page"))
  if bad_size then return nil, "per_page" end
  local limit, bad_limit = M.whole(self:get("limit"))
  if bad_limit then return nil, "limit" end
  local offset, bad_offset = M.whole(self:get("offset"))
  if bad_offset or offset and offset < 0 then return nil, "offset" end
  if not (page or size) and (limit or offset) then
    size = math.max(1, math.min(limit or paging.size, paging.max))
    return { limit = size, offset = offset or 0, page = math.floor((offset or 0) / size) + 1, size = size }
  end
  if paging.style == "single" and not page and not size then
    return { limit = -1, offset = 0, page = 1, size = paging.size }
  end
  size = math.max(paging.min, math.min(size or paging.size, paging.max))
  return { limit = size, offset = ((page or 1) - 1) * size, page = page or 1, size = size }
end

--- The `result_info` of a list.
---@param slice table what slice() gave
---@param count integer elements in this answer
---@param total integer elements in all
---@return table
function M.result_info(slice, count, total)
  local size = slice.limit == -1 and math.max(slice.size, total) or slice.size
  return {
    page = slice.page, per_page = size, count = count, total_count = total, total_pages = math.ceil(total / size),
  }
end

return M
