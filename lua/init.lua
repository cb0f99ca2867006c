-- moongate: what a policy file gets from require "moongate".
--
-- One face per file, so that no file can change what another one sees; each function leads to the module that does the
-- work. The declarations (field, func, handler, on) and read_file are for the time the file is loaded, the rest is for
-- requests. The manual is docs/policy-files.md, the types for editors are in docs/moongate.meta.lua. Called by
-- policy.lua.

local blame = require "moongate.blame"
local kv = require "moongate.kv"
local log = require "moongate.log"
local registry = require "moongate.registry"
local task = require "moongate.task"
local version = require "moongate.version"

local raise = blame.raise
local pcall, tostring, type = pcall, tostring, type

local M = {}

local FILE_MAX = 4 * 1024 * 1024
local LEVELS = { error = true, warn = true, info = true, debug = true }

-- A declaration that blames the policy's line for its mistakes.
local function declaration(declare)
  return function(...)
    local ok, err = pcall(declare, ...)
    if not ok then raise(err) end
  end
end

local function reader(file)
  return function(name)
    if registry.closed then raise("moongate.read_file can only be called while the policy file is being loaded") end
    if type(name) ~= "string" then raise("moongate.read_file expects the name of a file") end
    local path = name:sub(1, 1) == "/" and name or file.directory .. "/" .. name
    local handle, reason = io.open(path, "rb")
    local text
    if handle then
      text, reason = handle:read(FILE_MAX + 1)
      handle:close()
      if not text and not reason then text = "" end
    end
    if not text then raise(("the file %s cannot be read: %s"):format(path, tostring(reason))) end
    if #text > FILE_MAX then raise(("the file %s is larger than %d bytes"):format(path, FILE_MAX)) end
    return text
  end
end

local function logger(file)
  return function(level, text)
    if text == nil then level, text = "info", level end
    if not LEVELS[level] then raise("moongate.log: the level is error, warn, info or debug") end
    log.line(level, "policy", "a policy says", ("%s: %s"):format(file.name, tostring(text)))
  end
end

--- What one policy file sees.
---@param file { name: string, directory: string }
---@return table
function M.face(file)
  return {
    version = version,
    field = declaration(registry.add_field),
    func = declaration(registry.add_function),
    handler = declaration(registry.add_handler),
    on = declaration(registry.add_callback),
    read_file = reader(file),
    sleep = task.sleep,
    fetch = task.fetch,
    kv = { get = kv.get, set = kv.set, delete = kv.delete, incr = kv.incr },
    log = logger(file),
  }
end

return M
