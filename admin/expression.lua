--- moongate.admin.expression — an expression as a client sends it: checked as the workers will read it, lists included.
--
-- Called by admin/rule.lua and by the filters. The schema is the one that the workers compile with. Whether a list is
-- there, and of which kind, is the store's to say: account_lists() asks it. Nothing here evaluates an expression.

local rule_lists = require "moongate.rule_lists"
local rules = require "moongate.rules"

local M = {}

local MAX = 4096

M.MAX = MAX

-- An accessor for every field: no request ever comes by.
local NO_VALUES = setmetatable({}, { __index = function() return function() end end })
local function never() return false end

local function schema() return require("moongate.fields").schema() end

-- Compiles one expression for nobody; `find_list` is asked for each list that it names. Nil and a diagnostic when one
-- is not there.
local function compile(text, find_list)
  local document = assert(rules.document(schema(), { { expression = text, action = "log" } }))
  return document:specialise { access = NO_VALUES, find_list = find_list }
end

--- The lists of an account as checks ask for them.
---@param tx table
---@param account_id string
---@return fun(name: string, type_name: string): boolean
function M.account_lists(tx, account_id)
  return function(name, type_name)
    local row = tx:one("SELECT kind FROM lists WHERE account_id = ? AND name = ?", account_id, name)
    return row ~= nil and rule_lists.TYPES[row.kind] == type_name
  end
end

--- Checks an expression.
---@param text string
---@param has_list fun(name: string, type_name: string): boolean
---@return boolean fine
---@return string|nil why `blank`, `long` or `wrong`
---@return moongate.rules.Diagnostic|nil for `wrong`
function M.check(text, has_list)
  if not text:find("%S") then return false, "blank" end
  local _, characters = text:gsub("[^\128-\191]", "")
  if characters > MAX then return false, "long" end
  local tree, diagnostic = rules.parse(schema(), text)
  if not tree then return false, "wrong", diagnostic end
  if text:find("$", 1, true) then
    local compiled
    compiled, diagnostic = compile(text, function(name, type_name) return has_list(name, type_name) and never or nil end)
    if not compiled then return false, "wrong", diagnostic end
  end
  return true
end

--- The lists that an expression names and can come to ask: what cannot be reached (`false and …`) does not count, for
--- the workers leave it out as well.
---@param text string an expression that was checked
---@return table<string, boolean> names
function M.lists_in(text)
  local names = {}
  if text:find("$", 1, true) then
    compile(text, function(name)
      names[name] = true
      return never
    end)
  end
  return names
end

return M
