-- moongate.policy: loads an operator's policy file in an environment of its own and runs it once.
--
-- The file is text; it finds the globals of sandbox.lua and may require "moongate" and nothing else. What it declares
-- goes to registry.lua. A mistake is raised as "FILE:LINE: message". Called by policy_state.lua at the start of each
-- state.

local blame = require "moongate.blame"
local moongate = require "moongate"
local sandbox = require "moongate.sandbox"

local M = {}

local FILE_MAX = 4 * 1024 * 1024
local NAME_MAX = 56 -- bytes that LuaJIT shows of a chunk's name

local function read(path)
  local file, reason = io.open(path, "rb")
  if not file then error(reason, 0) end
  local text
  text, reason = file:read(FILE_MAX + 1)
  file:close()
  if not text and reason then error(path .. ": " .. reason, 0) end
  text = text or ""
  if #text > FILE_MAX then error(path .. ": it is larger than 4 MiB", 0) end
  if text:sub(1, 1) == "\27" then error(path .. ": it is bytecode; only text is read", 0) end
  return text
end

-- The end of a long path, from a slash on, so that messages show a name that is whole.
local function shown(path)
  while #path > NAME_MAX and path:find("/", 2, true) do
    path = path:sub(path:find("/", 2, true) + 1)
  end
  return path
end

local function requirer(file)
  local face = moongate.face(file)
  return function(name)
    if name ~= "moongate" then
      blame.raise(("a policy file can require \"moongate\" only, not %q"):format(tostring(name)))
    end
    return face
  end
end

--- Runs a policy file.
---@param path string
function M.load(path)
  local text = read(path)
  local file = { name = shown(path), directory = path:match("^(.*)/[^/]*$") or "." }
  local chunk, message = load(text, "@" .. file.name, "t", sandbox.environment(requirer(file)))
  if not chunk then error(message, 0) end
  local ok, err = pcall(chunk)
  if not ok then error(blame.located(err, file.name), 0) end
end

return M
