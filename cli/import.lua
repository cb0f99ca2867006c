--- moongate.cli.import — the command `import`: brings a gateway to what a document of `export` says.
--
-- Compares first (moongate.cli.plan) and changes only what differs, so that importing twice changes nothing the second
-- time. Each change is one call or a few; when one is refused the import stops there and says so, and can be run again.

local export_document = require "moongate.cli.export_document"
local json = require "moongate.json"
local kind_of = require "moongate.cli.kind"
local plan_of = require "moongate.cli.plan"
local session_of = require "moongate.cli.session"
local world_of = require "moongate.cli.world"

local M = {}

local BAR = 30
local BYTES = 512 * 1024 * 1024

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local import = with_help(parser:command("import", "Bring the gateway to what an exported document says."))
  import:argument("file", "The document; - is standard input."):argname "FILE"
  import:flag("-n --dry-run", "Say what would be done, and change nothing."):target "dry_run"
  import:flag("--prune", "Delete what the document does not name.")
  session_of.declare(import, { destructive = true })
  import:epilog("Example:\n  moongate import account.json --dry-run\n  moongate import account.json --prune\n"
    .. "The rules of a place, the items of a list and the hostnames of a CA are replaced as a whole.")
end

-- ---- carrying out ----

-- The only one of a zone that was just made is compared now.
local function set_single(world, operation)
  local list, failure = operation.kind.read(world, operation.place)
  if not list then return nil, failure end
  local value = kind_of.settle(operation.kind, operation.value, list[1])
  if not plan_of.differences(value, list[1])[1] then return true end
  return operation.kind.change(world, operation.place, value, list[1])
end

local function carry_out(world, operation, step)
  local kind, place, value = operation.kind, operation.place, operation.value
  if kind.batch then return kind.batch(world, place, step) end
  if operation.verb == "create" then return kind.create(world, place, value) end
  if operation.verb == "delete" then return kind.delete(world, place, value) end
  if operation.verb == "renew" then return kind.renew(world, place, value, operation.before) end
  if not operation.before then return set_single(world, operation) end
  return kind.change(world, place, value, operation.before)
end

-- The operations as they are carried out: those of a kind that changes together are one step.
local function steps_of(operations)
  local steps = {}
  for _, operation in ipairs(operations) do
    local last = steps[#steps]
    if operation.kind.batch and last and last[1].kind == operation.kind and last[1].place == operation.place then
      last[#last + 1] = operation
    else
      steps[#steps + 1] = { operation }
    end
  end
  return steps
end

local function progress(session, done, total)
  if not session.host.is_terminal "stderr" then return end
  if done == total then
    session.host.stderr:write "\r\27[K"
  else
    local filled = math.floor(BAR * done / total)
    local bar = ("#"):rep(filled) .. (" "):rep(BAR - filled)
    session.host.stderr:write(("\r\27[K[%s] %d of %d"):format(bar, done, total))
  end
  session.host.stderr:flush()
end

local function apply(session, world, operations)
  local done = 0
  for _, step in ipairs(steps_of(operations)) do
    progress(session, done, #operations)
    local first = step[1]
    local ok, failure = carry_out(world, first, step)
    if not ok then
      progress(session, #operations, #operations)
      return session_of.fail(("%sstopped after %d of %d changes; mended, the same import can be run again:\n%s"):format(
        plan_of.text(first, false), done, #operations, failure.text))
    end
    done = done + #step
    if session.args.output ~= "json" then
      progress(session, #operations, #operations)
      for _, operation in ipairs(step) do session.host.stdout:write(plan_of.text(operation, false)) end
    end
  end
  progress(session, #operations, #operations)
  return true
end

-- ---- telling ----

local function summary(plan, dry_run)
  local counts = { create = 0, change = 0, renew = 0, delete = 0 }
  for _, operation in ipairs(plan.operations) do counts[operation.verb] = counts[operation.verb] + 1 end
  local words = dry_run and "nothing was changed: %d to create, %d to change, %d to delete"
    or "%d created, %d changed, %d deleted"
  local text = words:format(counts.create, counts.change + counts.renew, counts.delete)
  if plan.unnamed > 0 then
    text = ("%s; %d that the document does not name stay (--prune deletes them)"):format(text, plan.unnamed)
  end
  return text, counts
end

local function as_json(operations)
  local list = json.array {}
  for index, operation in ipairs(operations) do
    list[index] = json.object {
      action = operation.verb == "renew" and "replace" or operation.verb, kind = operation.kind.name,
      key = operation.key,
      zone = operation.place.level == "zone" and operation.place.name or json.null,
    }
  end
  return list
end

local function tell_plan(session, plan)
  if session.args.output == "json" then
    session:print_json(as_json(plan.operations))
  else
    for _, operation in ipairs(plan.operations) do session.host.stdout:write(plan_of.text(operation, true)) end
  end
end

-- ---- the command ----

local function open(args, session)
  local text, failure = session:read_file(args.file, BYTES)
  if not text then return nil, failure end
  local document, reason = export_document.read(text)
  if not document then return session_of.fail(("%s: %s"):format(args.file, reason)) end
  local world
  world, failure = world_of.open(session)
  if not world then return nil, failure end
  local plan
  plan, failure = plan_of.make(world, document, args.prune or false)
  if not plan then return nil, failure end
  return world, plan
end

-- Shows what would be deleted before it asks.
local function confirm(session, operations, count)
  if not session.args.yes and session.host.is_terminal "stdin" then
    for _, operation in ipairs(operations) do
      if operation.verb == "delete" then session.host.stderr:write(plan_of.text(operation, false)) end
    end
  end
  return session:confirm(count == 1 and "delete this" or ("delete these %d things"):format(count))
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  session.api:be_patient()
  session.api:be_quiet()
  local world, plan = open(args, session)
  if not world then return nil, plan end
  local text, counts = summary(plan, args.dry_run)
  if args.dry_run then
    tell_plan(session, plan)
    session.host.note(text)
    return 0
  end
  if counts.delete > 0 then
    local sure, failure = confirm(session, plan.operations, counts.delete)
    if not sure then return nil, failure end
  end
  local ok, failure = apply(session, world, plan.operations)
  if not ok then return nil, failure end
  if args.output == "json" then tell_plan(session, plan) end
  session.host.note(text)
  return 0
end

return M
