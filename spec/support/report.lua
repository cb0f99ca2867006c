-- An output handler for busted: one line per spec file with its count and time, every failure complete at the end, and a last line
-- `busted: N passed, N failed, N pending` that spec/run adds up. Used as `busted -o spec/support/report.lua`.

local base = require "busted.outputHandlers.base"
local gettime = require("system").monotime

local function message_of(failure)
  if type(failure.message) == "string" then return failure.message end
  if failure.message == nil then return "no message" end
  return require("pl.pretty").write(failure.message)
end

local function place_of(item)
  local trace = item.element.trace or item.trace
  if not trace or not trace.short_src then return "" end
  return ("%s:%d: "):format(trace.short_src, trace.currentline)
end

local function print_failure(kind, failure)
  print(("\n%s  %s%s"):format(kind, place_of(failure), failure.name))
  print((message_of(failure):gsub("\n+$", ""):gsub("\n", "\n      "):gsub("^", "      ")))
  if failure.trace and failure.trace.traceback then
    for line in failure.trace.traceback:gmatch("[^\n]+") do
      if line:find("spec/", 1, true) then print("      " .. line:gsub("^%s+", "")) end
    end
  end
end

return function()
  local busted = require "busted"
  local handler = base()
  local count, failed, started = 0, 0, 0

  handler.fileStart = function()
    count, failed, started = 0, 0, gettime()
    return nil, true
  end

  handler.testEnd = function(_, _, status)
    if status == "failure" or status == "error" then failed = failed + 1 end
    if status ~= "pending" then count = count + 1 end
    return nil, true
  end

  handler.fileEnd = function(element)
    if count > 0 then
      local name = tostring(element.name):gsub("^%./", "")
      local result = failed > 0 and ("%d of %d FAILED"):format(failed, count) or ("%d"):format(count)
      print(("%-52s %s  (%.1f s)"):format(name, result, gettime() - started))
      io.flush()
    end
    return nil, true
  end

  handler.suiteEnd = function()
    for _, pending in ipairs(handler.pendings) do
      print(("\npending  %s%s: %s"):format(place_of(pending), pending.name, message_of(pending)))
    end
    for _, failure in ipairs(handler.failures) do print_failure("FAILED", failure) end
    for _, failure in ipairs(handler.errors) do print_failure("ERROR", failure) end
    print(("busted: %d passed, %d failed, %d pending"):format(
      handler.successesCount, handler.failuresCount + handler.errorsCount, handler.pendingsCount))
    io.flush()
    return nil, true
  end

  -- Gateways of flow specs ask this when they are stopped: a failed spec leaves its directory behind.
  local function count_failure()
    local registry = debug.getregistry()
    registry["moongate.spec.failures"] = (registry["moongate.spec.failures"] or 0) + 1
    return nil, true
  end

  busted.subscribe({ "failure" }, count_failure)
  busted.subscribe({ "error" }, count_failure)
  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
