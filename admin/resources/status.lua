--- moongate.admin.resources.status — which generation the store has and which one each worker serves. Ours, below
--- /moongate/.

local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"

local M = {}

local function get(context)
  local serving = context.control.status()
  local workers = json.array {}
  for index, worker in ipairs(serving.workers) do
    workers[index] = json.object { worker = index, generation = worker.generation }
  end
  return { result = json.object {
    generation = context.tx:generation(), published = context.app.publisher.generation, workers = workers,
  } }
end

M.routes = {
  { method = "GET", path = "/moongate/status", permission = permissions.any(), run = get },
}

return M
