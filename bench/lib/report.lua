-- report.lua — medians, tables for people, JSON for programs.

local workloads = require "workloads"

local M = {}

---@param values number[]
---@return { median: number, low: number, high: number, runs: number[] }|nil
function M.spread(values)
  if not values[1] then return nil end
  local sorted = {}
  for index, value in ipairs(values) do sorted[index] = value end
  table.sort(sorted)
  local middle = math.floor(#sorted / 2)
  local median = #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
  return { median = median, low = sorted[1], high = sorted[#sorted], runs = values }
end

local function column(runs, pick)
  local values = {}
  for index, run in ipairs(runs) do values[index] = pick(run) end
  return M.spread(values)
end

-- One server's runs of one workload → medians. The ratio to nginx is the median of the rounds' ratios: both were
-- measured in the same round, so that what the machine did besides falls out of it.
local function summarise(workload, server, runs)
  local _, factor = workloads.unit(workload)
  local row = { server = server, rounds = #runs }
  if workload.idle then
    row.cost = column(runs, function(run) return (run.memory_after - run.memory_before) / run.connections * factor end)
    return row
  end
  local function cost(run) return run.cpu_seconds / run[workload.per] * factor end
  row.cost = column(runs, cost)
  row.rate = column(runs, function(run) return run[workload.per] / run.seconds end)
  row.latency_us = {}
  for _, point in ipairs { "p50", "p90", "p99", "p999", "max" } do
    row.latency_us[point] = column(runs, function(run) return run.latency_us[point] end)
  end
  row.reconnects = column(runs, function(run) return run.reconnects end).median
  if workload.resumes then
    row.resumed_share = column(runs, function(run) return run.resumed / math.max(1, run.handshakes) end).median
  end
  row.log_lines_lost_share = column(runs, function(run) return run.lost / math.max(1, run.answers_in_all) end).median
  return row
end

local function ratio(workload, runs, other)
  if not (runs and other and runs[1] and other[1]) then return nil end
  local _, factor = workloads.unit(workload)
  local function cost(run)
    if workload.idle then return (run.memory_after - run.memory_before) / run.connections end
    return run.cpu_seconds / run[workload.per] * factor
  end
  local values = {}
  for index = 1, math.min(#runs, #other) do values[index] = cost(runs[index]) / cost(other[index]) end
  return M.spread(values)
end

--- Puts a workload's runs together.
---@param workload table
---@param runs table<string, table[]> by server: what moongate-load printed, one for each round
---@return table summary
function M.summary(workload, runs)
  local unit = workloads.unit(workload)
  local result = { id = workload.id, title = workload.title, unit = unit, servers = {}, aims = {} }
  for _, name in ipairs(workload.servers) do
    if runs[name] and runs[name][1] then
      local row = summarise(workload, name, runs[name])
      row.to_nginx = ratio(workload, runs[name], runs.nginx)
      row.to_nginx_best = ratio(workload, runs[name], runs["nginx-best"])
      result.servers[#result.servers + 1] = row
    end
  end
  for _, aim in ipairs(workload.aims) do
    local found = ratio(workload, runs.moongate, runs[aim.versus])
    if found then
      result.aims[#result.aims + 1] = {
        versus = aim.versus, at_most = aim.at_most, ratio = found.median, met = found.median <= aim.at_most,
      }
    end
  end
  return result
end

local function number(value)
  if not value then return "–" end
  if value >= 1000 then return ("%.0f"):format(value) end
  if value >= 100 then return ("%.0f"):format(value) end
  if value >= 10 then return ("%.1f"):format(value) end
  return ("%.2f"):format(value)
end

local function pad(text, width, left)
  local _, marks = text:gsub("[\128-\191]", "") -- bytes that are no column of their own
  local space = (" "):rep(width - (#text - marks))
  return left and text .. space or space .. text
end

--- Prints a summary as a table.
---@param out file*
---@param result table
function M.print(out, result)
  out:write(("\n%s  %s\n"):format(result.id, result.title))
  local memory = result.servers[1] and not result.servers[1].rate
  local per_gib = result.unit:find("GiB", 1, true)
  out:write("  ", pad("", 14), pad(result.unit, 20), pad("low–high", 16), pad("× nginx", 9), pad("× best", 8))
  if not memory then
    out:write(pad(per_gib and "MiB/s" or "req/s", 9), pad("p50 µs", 9), pad("p99 µs", 9), pad("p99.9 µs", 10))
  end
  out:write("\n")
  for _, row in ipairs(result.servers) do
    out:write("  ", pad(row.server, 14, true), pad(number(row.cost.median), 20),
      pad(number(row.cost.low) .. "–" .. number(row.cost.high), 16),
      pad(number(row.to_nginx and row.to_nginx.median), 9),
      pad(number(row.to_nginx_best and row.to_nginx_best.median), 8))
    if not memory then
      out:write(pad(number(row.rate.median / (per_gib and 2 ^ 20 or 1)), 9), pad(number(row.latency_us.p50.median), 9),
        pad(number(row.latency_us.p99.median), 9), pad(number(row.latency_us.p999.median), 10))
    end
    if row.resumed_share and row.resumed_share < 0.99 then
      out:write(("  only %.0f %% were resumed"):format(row.resumed_share * 100))
    end
    if (row.log_lines_lost_share or 0) > 0.0005 then
      out:write(("  %.1f %% of the log lines were lost"):format(row.log_lines_lost_share * 100))
    end
    if (row.reconnects or 0) > 0 then out:write(("  %d connections closed by the server"):format(row.reconnects)) end
    out:write("\n")
  end
  for _, aim in ipairs(result.aims) do
    out:write(("  aim: at most %.2f × %s: %s (%.2f)\n"):format(
      aim.at_most, aim.versus, aim.met and "met" or "MISSED", aim.ratio))
  end
  out:flush()
end

return M
