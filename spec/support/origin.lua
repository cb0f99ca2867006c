-- The small origin (examples/quickstart.d) behind a gateway in flow specs: starts it, and tells what reached it.

local dkjson = require "dkjson"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local M = {}
local Origin = {}
Origin.__index = Origin

---@return string path of the build under test
function M.build_dir() return os.getenv("MOONGATE_BUILD_DIR") or "build/dev" end

--- Starts an origin on a free port.
---@param raw table<string, string>|nil files of /raw/NAME
---@return table origin
function M.start(raw)
  local directory = shell.directory("origin")
  local self = setmetatable({ directory = directory, log = directory .. "/log" }, Origin)
  for name, bytes in pairs(raw or {}) do shell.write(directory .. "/" .. name, bytes) end
  shell.write(self.log, "")
  self.pid = shell.spawn({ M.build_dir() .. "/moongate-test-origin", "--log", self.log, "--raw", directory },
    { stdout = directory .. "/stdout", stderr = directory .. "/stderr" })
  self.port = wait.until_true("the origin to listen", function()
    local port = (shell.read(directory .. "/stdout") or ""):match("listening [%d.]+:(%d+)\n")
    return port and tonumber(port)
  end)
  self.url = "http://127.0.0.1:" .. self.port
  return self
end

--- Everything that happened: { what = "open"|"closed"|"request"|"body", connection =, … } in order.
---@return table[]
function Origin:events()
  local events = {}
  for line in (shell.read(self.log) or ""):gmatch("([^\n]+)\n") do events[#events + 1] = assert(dkjson.decode(line)) end
  return events
end

local Request = {}
Request.__index = Request

--- The values of a field, joined by ", "; nil when there is none.
function Request:field(name)
  local values = {}
  for _, field in ipairs(self.fields) do
    if field[1]:lower() == name:lower() then values[#values + 1] = field[2] end
  end
  if values[1] then return table.concat(values, ", ") end
end

--- The requests that came, in order: { connection =, number =, method =, target =, fields = { {name, value}, … } }.
---@param target string|nil only these
---@return table[]
function Origin:requests(target)
  local requests = {}
  for _, event in ipairs(self:events()) do
    if event.what == "request" and (not target or event.target == target) then
      requests[#requests + 1] = setmetatable(event, Request)
    end
  end
  return requests
end

--- Waits until a request for `target` came and gives back the last of them.
---@param target string
---@return table request
function Origin:wait_request(target)
  return wait.until_true("a request for " .. target .. " at the origin", function()
    local requests = self:requests(target)
    return requests[#requests]
  end)
end

function Origin:stop()
  if not self.pid then return end
  shell.kill(self.pid, shell.KILL)
  shell.wait(self.pid)
  self.pid = nil
  shell.remove_directory(self.directory)
end

return M
