-- The command line in this process, with the real admin API (spec/support/admin.lua) where the gateway would be.
--
--   local line = cli.start()                                    -- a gate of its own: line.gate
--   local result = line:run { "zone", "list" }                  -- { code, out, err }
--   line:ok { "zone", "create", "example.com" }                 -- must succeed; gives its output
--   line:json { "zone", "list" }                                -- what it prints with -o json, decoded
--
-- `stdin` and `terminal` (name → boolean) may be set on the line; `requests` has every request, `slept` every wait.

local admin = require "spec.support.admin"
local json = require "moongate.json"
local shell = require "spec.support.shell"

local M = {}
local Line = {}
Line.__index = Line

local URL = "http://127.0.0.1:8444"

--- A file that collects what is written to it, or gives a text to read.
---@param text string|nil
---@return table
function M.file(text)
  local parts, rest = {}, text or ""
  return {
    write = function(self, ...)
      for index = 1, select("#", ...) do parts[#parts + 1] = tostring((select(index, ...))) end
      return self
    end,
    text = function() return table.concat(parts) end,
    read = function(_, how)
      if rest == "" then return nil end
      local got
      if how == "*l" then
        got, rest = rest:match("^([^\n]*)\n?(.*)$")
      else
        got, rest = rest:sub(1, how), rest:sub(how + 1)
      end
      return got
    end,
    flush = function() end,
  }
end

-- What libcurl would do, but in this process.
local function transport_of(line)
  return {
    request = function(_, request)
      line.requests[#line.requests + 1] = request
      local canned = table.remove(line.canned, 1)
      if canned then return canned.answer, canned.failure end
      local path, query = request.url:match("^http://127%.0%.0%.1:8444([^?]*)%??(.*)$")
      local headers = {}
      for _, field in ipairs(request.headers) do
        local name, value = field:match("^([^:]+): (.+)$")
        if name then headers[name:lower()] = value end
      end
      local status, list, body = line.gate.app:handle {
        method = request.method, path = path, query = query ~= "" and query or nil, headers = headers, body = request.body or "",
        address = "127.0.0.1", ray = "0123456789abcdef",
      }
      local wait
      for _, header in ipairs(list) do
        if header[1] == "Retry-After" then wait = tonumber(header[2]) end
      end
      return { status = status, body = body, retry_after = wait }
    end,
  }
end

---@param options table|nil as for spec.support.admin.start
---@return table line
function M.start(options)
  local gate = assert(admin.start(options))
  return setmetatable({
    gate = gate, directory = gate.directory, requests = {}, canned = {}, slept = {}, terminal = {},
    environment = { MOONGATE_URL = URL, MOONGATE_TOKEN = gate.owner },
  }, Line)
end

--- Runs one command.
---@param argv string[]
---@return { code: integer, out: string, err: string }
function Line:run(argv)
  local stdout, stderr = M.file(), M.file()
  local code = require("moongate.cli").main(argv, {
    stdin = M.file(self.stdin), stdout = stdout, stderr = stderr, transport = transport_of(self), control = self.gate.control,
    environment = function(name) return self.environment[name] end,
    is_terminal = function(name) return self.terminal[name] or false end,
    sleep = function(seconds) self.slept[#self.slept + 1] = seconds end,
  })
  return { code = code, out = stdout.text(), err = stderr.text() }
end

--- Runs a command that must succeed; its output, and what it noted.
---@return string out
---@return string err
function Line:ok(argv)
  local result = self:run(argv)
  if result.code ~= 0 then
    error(("moongate %s: exit %s\n%s"):format(table.concat(argv, " "), tostring(result.code), result.err), 2)
  end
  return result.out, result.err
end

--- The same with `-o json`, decoded.
---@return any
function Line:json(argv)
  local words = { unpack(argv) }
  words[#words + 1], words[#words + 2] = "-o", "json"
  return assert(json.decode((self:ok(words))))
end

--- A file in the line's directory.
---@return string path
function Line:file(name, text)
  local path = self.directory .. "/" .. name
  shell.write(path, text)
  return path
end

function Line:close() self.gate:close() end

return M
