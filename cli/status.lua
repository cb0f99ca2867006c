--- moongate.cli.status — the command `status`: does the gateway answer, and do all workers serve what the store holds?

local session_of = require "moongate.cli.session"

local M = {}

local FAILED = 1

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local status = with_help(parser:command("status",
    "Does the gateway answer, and does every worker serve the newest state? Exits 1 when one does not."))
  session_of.declare(status)
  status:epilog "Example:\n  MOONGATE_TOKEN=$(cat token) moongate status"
end

---@param _ table
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(_, session)
  local status, failure = session.api:ask("GET", "/moongate/status")
  if not status then return nil, failure end
  local behind, members = 0, { { "stored", status.generation }, { "published", status.published } }
  for _, worker in ipairs(status.workers) do
    members[#members + 1] = { ("worker %d"):format(worker.worker), worker.generation }
    if worker.generation < status.published then behind = behind + 1 end
  end
  session:print_one(status, members)
  if behind == 0 and status.published == status.generation then return 0 end
  session.host.note(behind > 0 and ("%d workers do not serve the newest state yet"):format(behind)
    or "what is stored is not published yet")
  return FAILED
end

return M
