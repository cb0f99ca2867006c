-- embed_lua.lua SOURCE_DIR OUTPUT.c
-- Writes a C file with every Lua module of the tree as bytes and one table name → source (core/script/embedded.h).
-- The mapping from file to module name is the one in tree_names below; spec/support/tree.lua uses the same for specs.
-- Also puts the regions of C headers marked "ffi: begin" … "ffi: end" (ffi_regions.lua) into the module moongate.cdef, and writes
-- the table of the functions that are declared there: the two sides of the bridge are one text and cannot drift.

local source_dir, output = arg[1], arg[2]
assert(source_dir and output, "usage: embed_lua.lua SOURCE_DIR OUTPUT.c")

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- lua/request.lua → moongate.request; rules/init.lua → moongate.rules; admin/store/init.lua → moongate.admin.store
local function module_name(relative)
  local name = relative:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  if name == "lua" then return "moongate" end
  if name:sub(1, 4) == "lua." then return "moongate." .. name:sub(5) end
  return "moongate." .. name
end

local declarations, functions, headers = dofile(source_dir .. "/cmake/ffi_regions.lua")(source_dir)

local modules = { { name = "moongate.cdef", path = "cdef", source = "return [==[\n" .. declarations .. "\n]==]\n" } }
for _, tree in ipairs { "lua", "rules", "admin", "cli" } do
  local found = lines_of(("cd '%s' && find %s -name '*.lua' | LC_ALL=C sort"):format(source_dir, tree))
  for _, relative in ipairs(found) do
    modules[#modules + 1] = { name = module_name(relative), path = relative, source = read(source_dir .. "/" .. relative) }
  end
end

local out = assert(io.open(output, "wb"))
out:write("/* Made by cmake/embed_lua.lua. */\n#include \"script/embedded.h\"\n")
for _, header in ipairs(headers) do out:write(("#include \"%s\"\n"):format(header)) end
out:write("\nstruct moon_bridge {\n")
for _, one in ipairs(functions) do out:write(("  %s\n"):format(one.member)) end
out:write("};\n\nconst struct moon_bridge moon_bridge = {\n")
for _, one in ipairs(functions) do out:write(("  .%s = %s,\n"):format(one.name, one.name)) end
out:write("};\n\n")
for i, module in ipairs(modules) do
  out:write(("static const unsigned char source_%d[] = {\n"):format(i))
  local bytes = {}
  for position = 1, #module.source do
    bytes[#bytes + 1] = module.source:byte(position) .. (position % 32 == 0 and ",\n" or ",")
  end
  out:write(table.concat(bytes), "0};\n")
end
out:write("\nconst struct moon_embedded_lua moon_embedded_lua[] = {\n")
for i, module in ipairs(modules) do
  out:write(("  {\"%s\", \"%s\", (const char *)source_%d, sizeof source_%d - 1},\n"):format(module.name, module.path, i, i))
end
out:write("  {0, 0, 0, 0},\n};\n")
out:close()
