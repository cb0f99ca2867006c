-- moongate.rules.functions: the functions of the language, each describing itself.
--
-- A function is a table: name, help, params, returns, call. A param is { types = {Type…}, arrays = true|nil (any
-- array), maps = true|nil, kind = "any" | "field" | "literal", optional, repeats, check = fun(literal): message|nil,
-- check_node = fun(node, args): message|nil }. `resolve(kinds, args)` chooses result and implementation where they
-- depend on the arguments. A function is called with values that are present: a missing argument makes the result
-- missing before the call, unless `lenient` is set. `may_miss` says that the call itself can answer nil; `inline`
-- names a form that the generator writes out; `once` a group of which an expression may call one. Everything is pure:
-- same arguments, same answer.
--
-- What needs the host's hashes or regular expressions stands in functions_host.lua, which also puts the table together.

local encodings = require "moongate.rules.encodings"
local integer = require "moongate.rules.integer"
local ip = require "moongate.rules.ip"
local json_text = require "moongate.rules.json_text"
local order = require "moongate.rules.order"
local replace = require "moongate.rules.replace"
local types = require "moongate.rules.types"
local wildcard = require "moongate.rules.wildcard"

local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local concat, select, tostring, type = table.concat, select, tostring, type

local M = {}

local STRING, INTEGER, IP = { types.string }, { types.integer }, { types.ip }
local SCALAR = { types.boolean, types.integer, types.string, types.ip }

local DEFINITIONS = {}

local function define(def)
  DEFINITIONS[#DEFINITIONS + 1] = def
end

local function between(low, high)
  return function(value)
    if type(value) ~= "number" or value < low or value > high then
      return format("expected an integer between %d and %d", low, high)
    end
  end
end

local function flags(allowed)
  return function(value)
    if find(value, "[^" .. allowed .. "]") then
      return format("expected only the letters %q", allowed)
    end
  end
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
  params = { { types = STRING, arrays = true } },
  resolve = function(kinds)
    if kinds[1].kind == "Array" then
      return types.integer, function(list) return list.n end
    end
    return types.integer, function(s) return #s end
  end,
}

define {
  name = "starts_with", help = "whether a String begins with another",
  params = { { types = STRING, kind = "field" }, { types = STRING } }, returns = types.boolean,
  call = function(s, prefix) return sub(s, 1, #prefix) == prefix end,
  inline = "begins",
}

define {
  name = "ends_with", help = "whether a String ends with another",
  params = { { types = STRING, kind = "field" }, { types = STRING } }, returns = types.boolean,
  call = function(s, suffix) return suffix == "" or sub(s, -#suffix) == suffix end,
  inline = "ends",
}

local function join_strings(...)
  local out, n = {}, 0
  for i = 1, select("#", ...) do
    local part = select(i, ...)
    if part ~= nil then
      n = n + 1
      out[n] = part
    end
  end
  if n > 0 then
    return concat(out)
  end
end

local function join_arrays(...)
  local out, n, some = {}, 0, false
  for i = 1, select("#", ...) do
    local list = select(i, ...)
    if list ~= nil then
      some = true
      for k = 1, list.n do
        n = n + 1
        out[n] = list[k]
      end
    end
  end
  out.n = n
  return some and out or nil
end

local function like_the_first(node, args)
  if node.type ~= args[1].type then
    return format("expected value of type %s like the first, but got %s", args[1].type.label, node.type.label)
  end
end

define {
  name = "concat", help = "Strings, or Arrays of one type, one after the other; missing ones are passed over",
  params = {
    { types = STRING, arrays = true },
    { types = STRING, arrays = true, check_node = like_the_first },
    { types = STRING, arrays = true, check_node = like_the_first, optional = true, repeats = true },
  },
  lenient = true,
  resolve = function(kinds)
    return kinds[1], kinds[1] == types.string and join_strings or join_arrays
  end,
}

-- A byte position, negative ones counted from the end, as a place between 0 and the length. Wide integers are beyond
-- either end.
local function clamp(position, length)
  if type(position) ~= "number" then
    return integer.less(position, 0) and 0 or length
  elseif position < 0 then
    position = position + length
  end
  return position < 0 and 0 or position > length and length or position
end

define {
  name = "substring", help = "the bytes from start up to, not including, end; negative positions count from the end",
  params = { { types = STRING }, { types = INTEGER }, { types = INTEGER, optional = true } }, returns = types.string,
  call = function(s, first, last)
    local length = #s
    return sub(s, clamp(first, length) + 1, last and clamp(last, length) or length)
  end,
}

define {
  name = "cidr", help = "the network of an address: the first length for IPv4, the second for IPv6",
  params = {
    { types = IP, kind = "field" },
    { types = INTEGER, kind = "literal", check = between(1, 32) },
    { types = INTEGER, kind = "literal", check = between(1, 128) },
  },
  returns = types.ip,
  call = function(address, v4, v6) return ip.network(address, #address == 4 and v4 or v6) end,
}

define {
  name = "cidr6", help = "the network of an IPv6 address; IPv4 addresses are returned unchanged",
  params = { { types = IP, kind = "field" }, { types = INTEGER, kind = "literal", check = between(1, 128) } },
  returns = types.ip,
  call = function(address, length) return #address == 4 and address or ip.network(address, length) end,
}

define {
  name = "url_decode", help = "%HH and + decoded once; option r: until nothing changes, u: %uHHHH too",
  params = {
    { types = STRING, kind = "field" }, { types = STRING, kind = "literal", optional = true, check = flags "ru" },
  },
  returns = types.string,
  call = function(s, options)
    options = options or ""
    return encodings.url_decode(s, find(options, "r", 1, true) ~= nil, find(options, "u", 1, true) ~= nil)
  end,
}

define {
  name = "decode_base64", help = "the bytes that Base64 text stands for; missing when it is none",
  params = { { types = STRING, kind = "field" } }, returns = types.string, may_miss = true,
  call = encodings.decode_base64,
}

define {
  name = "encode_base64", help = "Base64 without padding; flag p: with padding, u: URL-safe alphabet",
  params = { { types = STRING }, { types = STRING, kind = "literal", optional = true, check = flags "pu" } },
  returns = types.string,
  call = function(s, options)
    options = options or ""
    return encodings.encode_base64(s, find(options, "p", 1, true) ~= nil, find(options, "u", 1, true) ~= nil)
  end,
}

local function json_key(node)
  -- No array is as long as that, and the wide form of an Integer would look like a name.
  return node.type == types.integer and between(0, 4294967295)(node.value) or nil
end

local JSON_KEYS = {
  { types = STRING, kind = "field" },
  { types = { types.string, types.integer }, kind = "literal", check_node = json_key },
  { types = { types.string, types.integer }, kind = "literal", check_node = json_key, optional = true, repeats = true },
}

define {
  name = "lookup_json_string",
  help = "the String at a path of names and positions in a JSON text; missing when there is none",
  params = JSON_KEYS, returns = types.string, may_miss = true,
  call = function(text, ...)
    local kind, value = json_text.lookup(text, { ... })
    return kind == "string" and value or nil
  end,
}

define {
  name = "lookup_json_integer",
  help = "the Integer at a path of names and positions in a JSON text; missing when there is none",
  params = JSON_KEYS, returns = types.integer, may_miss = true,
  call = function(text, ...)
    local kind, digits = json_text.lookup(text, { ... })
    return kind == "integer" and integer.from_decimal(digits) or nil
  end,
}

define {
  name = "has_key", help = "whether a Map has a key",
  params = { { types = {}, maps = true }, { types = STRING } }, returns = types.boolean,
  call = function(map, key) return map[key] ~= nil end,
}

define {
  name = "has_value", help = "whether a Map or an Array has a value",
  params = {
    {
      types = {}, arrays = true, maps = true,
      check_node = function(node)
        for _, kind in ipairs(SCALAR) do
          if node.type.of == kind then
            return nil
          end
        end
        return "its elements are no single values"
      end,
    },
    {
      types = SCALAR,
      check_node = function(node, args)
        if node.type ~= args[1].type.of then
          return format("expected value of type %s, but got %s", args[1].type.of.label, node.type.label)
        end
      end,
    },
  },
  resolve = function(kinds)
    if kinds[1].kind == "Map" then
      return types.boolean, function(map, wanted)
        for _, value in pairs(map) do
          if value == wanted then
            return true
          end
        end
        return false
      end
    end
    return types.boolean, function(list, wanted)
      for i = 1, list.n do
        if list[i] == wanted then
          return true
        end
      end
      return false
    end
  end,
}

define {
  name = "join", help = "the Strings of an Array with a separator between them",
  params = { { types = { types.array(types.string) } }, { types = STRING } }, returns = types.string,
  call = function(list, separator) return concat(list, separator, 1, list.n) end,
}

define {
  name = "split", help = "the parts of a String between separators, at most so many; the last holds the rest",
  params = {
    { types = STRING },
    {
      types = STRING, kind = "literal",
      check = function(value) return value == "" and "expected a separator" or nil end,
    },
    { types = INTEGER, kind = "literal", check = between(1, 128) },
  },
  returns = types.array(types.string),
  call = function(s, separator, limit)
    local out, n, from = {}, 0, 1
    while n < limit - 1 do
      local first, last = find(s, separator, from, true)
      if not first then
        break
      end
      n = n + 1
      out[n], from = sub(s, from, first - 1), last + 1
    end
    out[n + 1], out.n = sub(s, from), n + 1
    return out
  end,
}

define {
  name = "remove_bytes", help = "the String without any of the bytes listed",
  params = { { types = STRING, kind = "field" }, { types = STRING, kind = "literal" } }, returns = types.string,
  call = function(s, unwanted)
    if unwanted == "" then
      return s
    end
    local class = gsub(unwanted, ".", function(c)
      return match(c, "[%w\128-\255]") and c or c == "\0" and "%z" or "%" .. c
    end)
    return (gsub(s, "[" .. class .. "]", ""))
  end,
}

local QUERY_FIELDS = { ["http.request.uri.query"] = true, ["raw.http.request.uri.query"] = true }

define {
  name = "remove_query_args", help = "a query without the arguments of these names; the others keep their order",
  params = {
    {
      types = STRING, kind = "field",
      check_node = function(node)
        if node.kind ~= "field" or not QUERY_FIELDS[node.field.name] then
          return "expected http.request.uri.query or raw.http.request.uri.query"
        end
      end,
    },
    { types = STRING, kind = "literal" },
    { types = STRING, kind = "literal", optional = true, repeats = true },
  },
  returns = types.string,
  call = function(query, ...)
    local unwanted = {}
    for i = 1, select("#", ...) do
      unwanted[select(i, ...)] = true
    end
    local kept, n = {}, 0
    for argument in (query .. "&"):gmatch "([^&]*)&" do
      if not unwanted[match(argument, "^[^=]*")] then
        n = n + 1
        kept[n] = argument
      end
    end
    return concat(kept, "&")
  end,
}

define {
  name = "to_string", help = "an Integer in decimal, a Boolean as true or false, an address in its shortest form",
  params = { { types = { types.integer, types.boolean, types.ip } } },
  resolve = function(kinds)
    local kind = kinds[1]
    return types.string, kind == types.integer and integer.to_decimal or kind == types.boolean and tostring or ip.format
  end,
}

local function pattern_pieces(args)
  local pattern, is_strict = args[2].value, args[4] and args[4].value == "s"
  return wildcard.parse(is_strict and pattern or order.lower(pattern))
end

define {
  name = "wildcard_replace", help = "the replacement when the whole value matches the wildcard, else the value",
  params = {
    { types = STRING, kind = "field" },
    {
      types = STRING, kind = "literal",
      check = function(pattern)
        local _, message = wildcard.parse(pattern)
        return message
      end,
    },
    {
      types = STRING, kind = "literal",
      check_node = function(node, args)
        local _, message = replace.parse(node.value, #wildcard.parse(args[2].value) - 1)
        return message
      end,
    },
    {
      types = STRING, kind = "literal", optional = true,
      check = function(value) return value ~= "s" and value ~= "" and 'expected "s"' or nil end,
    },
  },
  once = "replace",
  resolve = function(_, args)
    local pieces = pattern_pieces(args)
    local template = replace.parse(args[3].value, #pieces - 1)
    local is_strict = args[4] and args[4].value == "s"
    return types.string, function(value)
      local captures = replace.captures(pieces, is_strict and value or order.lower(value), value)
      return captures and replace.fill(template, captures) or value
    end
  end,
}

--- Every function that needs nothing from the host.
---@type table[]
M.list = DEFINITIONS

--- Checks for literals, shared with functions_host.lua.
M.between, M.flags = between, flags

--- The function `lower`, which the generator calls for itself.
M.lower = DEFINITIONS[1]

return M
