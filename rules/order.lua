-- moongate.rules.order: strings ordered by unsigned byte value, and ASCII case, whatever the locale.
--
-- LuaJIT compares and folds strings by bytes already and compiles both; stock Lua asks the C library's locale, so
-- there the same functions are written out. Used by the generated code, by sets and by integer.lua. Keeps no state.

local byte, gsub, min = string.byte, string.gsub, math.min

local M = {}

local is_luajit = rawget(_G, "jit") ~= nil

local function less_by_bytes(a, b)
  for i = 1, min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local UPPER_OF, LOWER_OF = {}, {}
for code = 65, 90 do
  local upper, lower = string.char(code), string.char(code + 32)
  UPPER_OF[lower], LOWER_OF[upper] = upper, lower
end

if is_luajit then
  function M.less(a, b)
    return a < b
  end

  function M.less_equal(a, b)
    return a <= b
  end

  M.lower, M.upper = string.lower, string.upper
else
  --- a < b by unsigned bytes; a prefix sorts first.
  ---@param a string
  ---@param b string
  ---@return boolean
  M.less = less_by_bytes

  --- a <= b by unsigned bytes.
  ---@param a string
  ---@param b string
  ---@return boolean
  function M.less_equal(a, b)
    return not less_by_bytes(b, a)
  end

  --- Folds A–Z to a–z and leaves every other byte.
  ---@param s string
  ---@return string
  function M.lower(s)
    return (gsub(s, "[A-Z]", LOWER_OF))
  end

  --- Folds a–z to A–Z and leaves every other byte.
  ---@param s string
  ---@return string
  function M.upper(s)
    return (gsub(s, "[a-z]", UPPER_OF))
  end
end

--- The written-out comparison, for runtimes whose `<` follows the locale; here under a name so that specs can test it
--- anywhere.
M.less_by_bytes = less_by_bytes

return M
