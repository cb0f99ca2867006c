-- moongate.rules.functions: the functions of the language that need nothing from the host, each describing itself.
--
-- A function is a table: name, params, returns, call. A param is { types = {Type…}, kind = "any" | "field" | "literal",
-- optional = true|nil, repeats = true|nil }. `resolve(args)` may choose result and implementation by the argument types.
-- A function is called with values that are present; unless `lenient` is set, a missing argument makes the result missing
-- before the call. `may_miss` says that the call itself can answer nil. Functions that need secrets of the host (hashes, regular
-- expressions) are added by schema.lua from what the host hands in. Everything here is pure: same arguments, same answer.

local order = require "moongate.rules.order"
local types = require "moongate.rules.types"

local sub = string.sub

local M = {}

local STRING = { types.string }

--- The functions, by name.
---@type table<string, table>
M.builtin = {}

local function define(def)
  M.builtin[def.name] = def
end

define {
  name = "lower", help = "ASCII letters in lower case, every other byte as it is",
  params = { { types = STRING } }, returns = types.string,
  call = order.lower,
}

define {
  name = "upper", help = "ASCII letters in upper case, every other byte as it is",
  params = { { types = STRING } }, returns = types.string,
  call = order.upper,
}

define {
  name = "len", help = "bytes of a String, elements of an Array",
  params = { { types = { types.string }, arrays = true } }, returns = types.integer,
  resolve = function(args)
    if args[1].kind == "Array" then
      return types.integer, function(list) return list.n end
    end
    return types.integer, function(s) return #s end
  end,
}

define {
  name = "starts_with", help = "whether a String begins with another",
  params = { { types = STRING, kind = "field" }, { types = STRING } }, returns = types.boolean,
  call = function(s, prefix) return sub(s, 1, #prefix) == prefix end,
}

define {
  name = "ends_with", help = "whether a String ends with another",
  params = { { types = STRING, kind = "field" }, { types = STRING } }, returns = types.boolean,
  call = function(s, suffix) return suffix == "" or sub(s, -#suffix) == suffix end,
}

return M
