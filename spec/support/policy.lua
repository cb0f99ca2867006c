-- A gateway with policy files for the flow specs that want one: plain HTTP on loopback, so that what is tested is the policy.
--
--   local gate, behind = policy.start [[ moongate.handler(…) ]]      -- `moongate` is required already
--   local answer = policy.get("/path", { fields = { { "X-A", "1" } } })
--   policy.stop()

local client = require "spec.support.client"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local M = {}

M.HOST = "www.example.com"

local HEAD = "local moongate = require \"moongate\"\n"

--- Starts a gateway with one policy file, policy.lua. Lines of `text` count from 2.
---@param text string
---@param options { config: table|nil, files: table<string, string>|nil }|nil
---@return table gateway
---@return table origin
function M.start(text, options)
  options = options or {}
  local config = { listen_http = { "127.0.0.1:0" }, policies = { "policy.lua" } }
  for key, value in pairs(options.config or {}) do config[key] = value end
  local files = { ["policy.lua"] = HEAD .. text }
  for name, content in pairs(options.files or {}) do files[name] = content end
  M.behind = origin.start()
  M.gate = gateway.start { origin = M.behind, config = config, files = files }
  return M.gate, M.behind
end

--- A plain connection.
---@return table session
function M.connect(timeout)
  return assert(client.connect { port = M.gate.http_port, tls = false, timeout = timeout or 20 })
end

--- One request on a connection of its own.
---@param method string
---@param path string
---@param options table|nil as for client.request_bytes; host is www.example.com when absent
---@return table response
function M.request(method, path, options)
  options = options or {}
  options.host = options.host or M.HOST
  local session = M.connect()
  local response, err = session:request(method, path, options)
  session:close()
  if not response then error(("%s %s: %s"):format(method, path, err), 2) end
  return response
end

function M.get(path, options) return M.request("GET", path, options) end

function M.stop()
  M.gate:stop()
  M.behind:stop()
  M.gate, M.behind = nil, nil
end

return M
