-- Maps module names to files of the source tree, as cmake/embed_lua.lua does for the binary: moongate.rules.parse is
-- rules/parse.lua, moongate.admin.auth is admin/auth.lua, moongate.cli is cli/init.lua, a plain moongate.request is lua/request.lua.
-- moongate.cdef is made from the C headers, as in the build; moongate.bridge is the unit library's table of functions.

local FOLDERS = { rules = true, admin = true, cli = true }

local function candidates(name)
  local rest = name:match("^moongate%.(.+)$")
  if name == "moongate" then return { "lua/init.lua" } end
  if not rest then return {} end
  local path = rest:gsub("%.", "/")
  if not FOLDERS[rest:match("^[^.]+")] then path = "lua/" .. path end
  return { path .. ".lua", path .. "/init.lua" }
end

-- One process runs all specs and LuaJIT never forgets a declaration, while busted forgets modules between files and several
-- supports declare the same headers: what is declared already is passed over, statement by statement.
local function tolerate_repeated_declarations()
  local ffi = require "ffi"
  local registry = debug.getregistry()
  if registry["moongate.spec.cdef"] then return end
  local cdef = ffi.cdef
  registry["moongate.spec.cdef"] = cdef
  local function statements(text)
    local list, start, depth = {}, 1, 0
    text = text:gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
    for at, mark in text:gmatch("()([{};])") do
      if mark == "{" then
        depth = depth + 1
      elseif mark == "}" then
        depth = depth - 1
      elseif depth == 0 then
        list[#list + 1] = text:sub(start, at)
        start = at + 1
      end
    end
    return list
  end
  ffi.cdef = function(text, ...)
    local ok, err = pcall(cdef, text, ...)
    if ok then return end
    if not tostring(err):find("attempt to redefine", 1, true) then error(err, 2) end
    for _, statement in ipairs(statements(text)) do
      ok, err = pcall(cdef, statement, ...)
      if not ok and not tostring(err):find("attempt to redefine", 1, true) then error(err, 2) end
    end
  end
end

local function search(name)
  if name == "moongate.cdef" then
    return function() return (dofile("cmake/ffi_regions.lua")(".")) end
  elseif name == "moongate.bridge" then
    return function()
      local ffi = require "ffi"
      return ffi.cast("void *", require("spec.support.unit").load("extern const char moon_bridge[1];").moon_bridge)
    end
  end
  for _, path in ipairs(candidates(name)) do
    local file = io.open(path, "rb")
    if file then
      file:close()
      return assert(loadfile(path))
    end
  end
  return "\n\tno file of the tree for module '" .. name .. "'"
end

tolerate_repeated_declarations()
table.insert(package.loaders, 2, search)
require "moongate.uncompiled_next"

