-- Maps module names to files of the source tree, as cmake/embed_lua.lua does for the binary: moongate.rules.parse is
-- rules/parse.lua, moongate.admin.auth is admin/auth.lua, moongate.cli is cli/init.lua, a plain moongate.request is lua/request.lua.
-- moongate.cdef is made from the C headers, as in the build.

local FOLDERS = { rules = true, admin = true, cli = true }

local function candidates(name)
  local rest = name:match("^moongate%.(.+)$")
  if name == "moongate" then return { "lua/init.lua" } end
  if not rest then return {} end
  local path = rest:gsub("%.", "/")
  if not FOLDERS[rest:match("^[^.]+")] then path = "lua/" .. path end
  return { path .. ".lua", path .. "/init.lua" }
end

local function search(name)
  for _, path in ipairs(candidates(name)) do
    local file = io.open(path, "rb")
    if file then
      file:close()
      return assert(loadfile(path))
    end
  end
  return "\n\tno file of the tree for module '" .. name .. "'"
end

table.insert(package.loaders or package.searchers, 2, search)
