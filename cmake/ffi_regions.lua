-- ffi_regions.lua — the regions of the C headers between "ffi: begin" and "ffi: end", in the order of the floors, as one text for
-- LuaJIT's ffi.cdef: what C and Lua both read, without comments and preprocessor lines. The functions marked MOON_FFI stand at the
-- end, as the members of one struct of pointers: that table is how Lua reaches them (core/script/ffi.h).
-- Used by embed_lua.lua for the binary (module moongate.cdef) and by spec/support/tree.lua for the specs.

local function headers_of(folder)
  local pipe = assert(io.popen(("ls '%s/'*.h 2>/dev/null | LC_ALL=C sort"):format(folder)))
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

-- Takes the marked functions out of a region: into `functions`, as { name, member }.
local function take_functions(region, functions)
  return (region:gsub("MOON_FFI%s+([^;(]-)(moon_ffi_[%w_]+)%s*(%b());", function(returns, name, parameters)
    functions[#functions + 1] = { name = name, member = ("%s(*%s)%s;"):format(returns, name, parameters:gsub("%s+", " ")) }
    return ""
  end))
end

---@param source_dir string the root of the source tree
---@return string declarations
---@return { name: string, member: string }[] functions  in the order of struct moon_bridge
---@return string[] headers  that declare them, relative to core/
return function(source_dir)
  local parts, functions, headers = {}, {}, {}
  for _, floor in ipairs { "include/moongate", "base", "net", "tls", "http", "gate", "script" } do
    for _, path in ipairs(headers_of(source_dir .. "/core/" .. floor)) do
      local before = #functions
      for region in read(path):gmatch("/%* ffi: begin.-%*/(.-)/%* ffi: end %*/") do
        region = region:gsub("/%*.-%*/", ""):gsub("\n%s*#[^\n]*", "")
        parts[#parts + 1] = take_functions(region, functions)
      end
      if #functions > before then headers[#headers + 1] = floor .. "/" .. path:match("[^/]+$") end
    end
  end
  parts[#parts + 1] = "struct moon_bridge {"
  for _, one in ipairs(functions) do parts[#parts + 1] = "  " .. one.member end
  parts[#parts + 1] = "};"
  return table.concat(parts, "\n"), functions, headers
end
