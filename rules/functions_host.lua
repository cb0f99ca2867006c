-- moongate.rules.functions_host: the functions that need hashes or regular expressions of the host, and the whole
-- table.
--
-- Called by schema.lua once per schema, since hosts differ in what they hand in. The shape of a function is told in
-- functions.lua.

local functions = require "moongate.rules.functions"
local replace = require "moongate.rules.replace"
local signed_url = require "moongate.rules.signed_url"
local types = require "moongate.rules.types"

local byte, format, sub = string.byte, string.format, string.sub
local concat = table.concat
local between, flags = functions.between, functions.flags

local M = {}

local STRING, INTEGER = { types.string }, { types.integer }

-- The sixteen bytes of a UUID with version 4 and variant set, in its usual form.
local function format_uuid(bytes)
  local b = { byte(bytes, 1, 16) }
  b[7] = b[7] % 16 + 64
  b[9] = b[9] % 64 + 128
  for i = 1, 16 do
    b[i] = format("%02x", b[i])
  end
  local text = concat(b)
  return concat({ sub(text, 1, 8), sub(text, 9, 12), sub(text, 13, 16), sub(text, 17, 20), sub(text, 21) }, "-")
end

local function define_hashes(known, crypto)
  known.sha256 = {
    name = "sha256", help = "the 32 bytes of the SHA-256 digest",
    params = { { types = STRING } }, returns = types.string,
    call = crypto.sha256,
  }
  known.uuidv4 = {
    name = "uuidv4", help = "a random UUID made from random bytes; the same bytes give the same UUID",
    params = { { types = STRING } }, returns = types.string,
    call = function(seed)
      -- Digested whatever its length, so that a seed of any shape gives well-spread bytes and does not show through.
      return format_uuid(crypto.sha256(seed))
    end,
  }
  known.is_timed_hmac_valid_v0 = {
    name = "is_timed_hmac_valid_v0", help = "whether a text carries a MAC of itself that is right and young enough",
    params = {
      { types = STRING, kind = "literal" },
      { types = STRING, kind = "field" },
      { types = INTEGER, kind = "literal", check = between(0, 9007199254740992) },
      { types = INTEGER },
      { types = INTEGER, kind = "literal", optional = true, check = between(0, 4294967295) },
      { types = STRING, kind = "literal", optional = true, check = flags "s" },
    },
    returns = types.boolean,
    call = function(key, text, lifetime, now, separator_length, options)
      return signed_url.is_valid(crypto.hmac_sha256, key, text, lifetime, now, separator_length or 0, options == "s")
    end,
  }
end

local function define_regex_replace(known, regex)
  known.regex_replace = {
    name = "regex_replace", help = "the value with the first match of a regular expression replaced",
    params = {
      { types = STRING },
      {
        types = STRING, kind = "literal",
        check = function(pattern)
          local found, message = regex.compile_captures(pattern)
          return not found and message or nil
        end,
      },
      {
        types = STRING, kind = "literal",
        check_node = function(node, args)
          local _, count = regex.compile_captures(args[2].value)
          local _, message = replace.parse(node.value, count)
          return message
        end,
      },
    },
    once = "replace",
    resolve = function(_, args)
      local find_captures, count = regex.compile_captures(args[2].value)
      local template = replace.parse(args[3].value, count)
      return types.string, function(value)
        local captures, first, last = find_captures(value)
        if not captures then
          return value
        end
        return sub(value, 1, first - 1) .. replace.fill(template, captures) .. sub(value, last + 1)
      end
    end,
  }
end

--- The functions that a host with these primitives offers.
---@param crypto { sha256: (fun(message: string): string), hmac_sha256: (fun(key: string, message: string): string) }
---@param regex table|nil  as in schema.lua; regex_replace exists when it has compile_captures
---@return table<string, table>
function M.builtin(crypto, regex)
  local known = {}
  for _, def in ipairs(functions.list) do
    known[def.name] = def
  end
  define_hashes(known, crypto)
  if regex and regex.compile_captures then
    define_regex_replace(known, regex)
  end
  return known
end

return M
