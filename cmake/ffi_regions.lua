-- ffi_regions.lua — the regions of the C headers between "ffi: begin" and "ffi: end", in the order of the floors, as one text for
-- LuaJIT's ffi.cdef: what C and Lua both read, without comments, preprocessor lines and visibility marks.
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

---@param source_dir string the root of the source tree
---@return string
return function(source_dir)
  local parts = {}
  for _, floor in ipairs { "base", "net", "tls", "http", "gate", "script" } do
    for _, path in ipairs(headers_of(source_dir .. "/core/" .. floor)) do
      for region in read(path):gmatch("/%* ffi: begin.-%*/(.-)/%* ffi: end %*/") do
        region = region:gsub("/%*.-%*/", ""):gsub("\n%s*#[^\n]*", ""):gsub("MOON_FFI%s+", "")
        parts[#parts + 1] = region
      end
    end
  end
  return table.concat(parts, "\n")
end
