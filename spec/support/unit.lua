-- Loads the C core as one shared library with every symbol visible, for the specs under spec/core. Declarations are
-- read from the headers themselves, so that what a spec believes and what the compiler built cannot drift apart.
--
--   local unit = require "spec.support.unit"
--   local C = unit.load { "base/str.h", "http/parse.h" }   -- each header once, in order of what includes what
--   local C = unit.load [[ int moon_something(int); ]]     -- or plain declarations (functions only, or new names)
--
-- The library is $MOONGATE_UNIT_LIBRARY, else $MOONGATE_BUILD_DIR/libmoongate_unit.so (build directory: build/dev).
-- This file never builds anything.

local ffi = require "ffi"

local M = {}

-- busted forgets modules between spec files, LuaJIT does not forget declarations: the memory of what has been declared
-- lives where only the process ends it.
local registry = debug.getregistry()
registry["moongate.spec.unit"] = registry["moongate.spec.unit"] or { declared = {}, numbers = {} }
local memory = registry["moongate.spec.unit"]

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Numbers behind #define, for the sizes of arrays.
local function collect_numbers(text)
  for name, number in text:gmatch("#define%s+([%u%d_]+)%s+(%d+)u?%s") do memory.numbers[name] = number end
end

--- The declarations of a C header as LuaJIT's parser wants them: no comments, no preprocessor, no inline bodies, no
--- attributes.
---@param text string a header of ours
---@return string
function M.declarations(text)
  text = text:gsub("\\\n", " ") .. "\n"
  text = text:gsub("/%*.-%*/", " ")
  collect_numbers(text)
  text = text:gsub("\n%s*#[^\n]*", "\n")
  text = text:gsub("static inline[^{;]*%b{}", "")
  text = text:gsub("__attribute__%s*%b()", "")
  text = text:gsub("MOON_FFI%s+", "")
  return (text:gsub("[%u][%u%d_]+", memory.numbers))
end

local function declare_header(name)
  if memory.declared[name] then return end
  ffi.cdef(M.declarations("\n" .. read("core/" .. name)))
  memory.declared[name] = true
end

---@return string path of the library under test
function M.library()
  return os.getenv("MOONGATE_UNIT_LIBRARY")
    or (os.getenv("MOONGATE_BUILD_DIR") or "build/dev") .. "/libmoongate_unit.so"
end

--- Declares what is handed in and returns the library.
---@param declarations string|string[]|nil C declarations, or a list of headers under core/
---@return ffi.namespace*
function M.load(declarations)
  if type(declarations) == "table" then
    for _, name in ipairs(declarations) do declare_header(name) end
  elseif declarations and not memory.declared[declarations] then
    ffi.cdef(declarations)
    memory.declared[declarations] = true
  end
  memory.library = memory.library or ffi.load(M.library(), true)
  return memory.library
end

-- A view does not keep its string from the collector; this does, as long as the view itself lives.
local strings = setmetatable({}, { __mode = "k" })

--- A view of a Lua string, valid as long as the returned value is kept (copies of it keep nothing).
---@param text string
---@return ffi.cdata*
function M.str(text)
  local view = ffi.new("struct moon_str", ffi.cast("const char *", text), #text)
  strings[view] = text
  return view
end

--- The bytes of a view, or nil when its pointer is NULL.
---@param view ffi.cdata*
---@return string?
function M.text(view)
  if view.data == nil then return nil end
  return ffi.string(view.data, view.len)
end

return M
