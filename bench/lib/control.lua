-- control.lua — times the control plane of a gateway that has a fleet (bench/lib/fleet.lua) behind it, and says which aims were
-- missed. Called by bench/control; the gateway is the one of the specs, in a release build.

package.path = "./?.lua;" .. package.path
dofile "spec/support/tree.lua"

local dkjson = require "dkjson"
local client = require "spec.support.client"
local fleet = require "bench.lib.fleet"
local gateway = require "spec.support.gateway"
local shell = require "spec.support.shell"
local wait = require "spec.support.wait"

local AIMS = { start = 5, change = 0.050, paging_kb = 16 * 1024 }

local function say(...) io.stderr:write(string.format(...), "\n") end

local function options_of(arguments)
  local options = { zones = 2000, changes = 50, json = "build/release/control.json" }
  local index = 1
  while arguments[index] do
    local word, value = arguments[index], arguments[index + 1]
    if word == "--quick" then
      options.zones, options.changes, index = 200, 20, index + 1
    elseif word == "--zones" or word == "--changes" then
      options[word:sub(3)], index = assert(tonumber(value), word .. " wants a number"), index + 2
    elseif word == "--json" or word == "--store" then
      options[word:sub(3)], index = assert(value, word .. " wants a path"), index + 2
    else
      io.stderr:write("bench/control: unknown option ", word, "\n")
      os.exit(2)
    end
  end
  return options
end

-- ---- figures ----

local function spread(values)
  table.sort(values)
  local function at(share) return values[math.max(1, math.ceil(share * #values))] end
  return { p50 = at(0.5), p95 = at(0.95), max = values[#values], count = #values }
end

local function timed(work)
  local before = wait.now()
  work()
  return wait.now() - before
end

-- ---- the start ----

-- Processor seconds of a process so far, user and system; /proc counts in hundredths.
local function cpu_of(pid)
  local user, system = assert(shell.read(("/proc/%d/stat"):format(pid))):match("^.*%) %S+" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return (user + system) / 100
end

local function measure_start(gate)
  local cold = timed(function() gate:launch(120) end)
  return { seconds = cold, cpu_seconds = cpu_of(gate.pid), resident_kb = gate:memory "VmRSS" }
end

-- ---- changes ----

-- Every change is of one zone, and each zone comes up once: nothing is warm but what is always warm.
local function kinds(gate)
  local function hostnames(zone, round)
    local names = { "new" .. round .. "." .. zone.name }
    for position = 1, fleet.HOSTNAMES / fleet.CAS do names[position + 1] = ("h%d.%s"):format(position, zone.name) end
    return names
  end
  return {
    { "associate hostnames", function(zone, round)
      gate:api("PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(zone.id),
        { hostnames = hostnames(zone, round), mtls_certificate_id = zone.ca })
    end },
    { "replace the rules", function(zone, round)
      gate:set_rules({ ('(http.host eq "h2.%s" and http.request.uri.path eq "/%d")'):format(zone.name, round) }, zone.id)
    end },
    { "set an origin", function(zone) gate:set_origin(zone.id, "h3." .. zone.name, "http://127.0.0.1:9") end },
    { "change a setting", function(zone)
      gate:api("PATCH", ("/zones/%s/settings/min_tls_version"):format(zone.id), { value = "1.3" })
    end },
    { "put rules of the account", function(zone)
      gate:api("PUT", ("/accounts/%s/rulesets/phases/http_request_firewall_custom/entrypoint"):format(zone.account_id),
        { rules = { { action = "block", expression = 'http.request.uri.path eq "/account"' } } })
    end },
  }
end

local function measure_changes(gate, zones, count)
  local results, next_zone = {}, 1
  for _, kind in ipairs(kinds(gate)) do
    local values = {}
    for round = 1, math.min(count, #zones) do
      next_zone = next_zone % #zones + 1
      local zone = zones[next_zone]
      values[round] = timed(function() kind[2](zone, round) end)
    end
    results[#results + 1] = { kind = kind[1], seconds = spread(values) }
  end
  return results
end

-- That an answer means "served": a rule is put, and the very next request of a fresh connection is judged by it.
local function check_served(gate, zones)
  local zone = zones[#zones]
  local host = "h1." .. zone.name
  gate:set_rules({ 'http.request.uri.path eq "/blocked"' }, zone.id)
  for _ = 1, 4 do
    local session = assert(client.connect { port = gate.port, sni = host, ca = gate.ca_path, timeout = 10 })
    local response = assert(session:get("/blocked", { host = host }))
    session:close()
    assert(response.status == 403, "a change was answered, but a worker does not serve it: " .. response.status)
  end
end

-- ---- lists ----

local PAGES = 1000 -- of one list at most

-- Reads pages to the end. Page style when `cursor` is nil.
local function read_list(gate, target, cursor)
  local items, seconds, page, after, last = 0, {}, 1, "", nil
  repeat
    local document, status
    seconds[#seconds + 1] = timed(function()
      local tail = cursor and (after ~= "" and "&cursor=" .. after or "") or "&page=" .. page
      status, document = gate:admin("GET", target .. tail)
    end)
    assert(status == 200, target .. ": " .. tostring(status))
    items = items + #document.result
    local info = document.result_info or {}
    if cursor then
      after = info.cursors and info.cursors.after or ""
      last = after == "" or after == nil
    else
      last = #document.result == 0
      page = page + 1
    end
  until last or #seconds > PAGES
  return items, spread(seconds), #seconds
end

local function measure_lists(gate, made)
  local results = {}
  for _, list in ipairs {
    { "zones", "/zones?per_page=50" }, { "accounts", "/accounts?per_page=50" },
    { "items of a list", ("/accounts/%s/rules/lists/%s/items?per_page=500"):format(made.list.account_id, made.list.id), true },
  } do
    read_list(gate, list[2], list[3]) -- what the first time needs stays: Lua's memory grows before it is collected
    local before = gate:memory "VmRSS"
    local items, seconds, pages = read_list(gate, list[2], list[3])
    results[#results + 1] = {
      list = list[1], items = items, pages = pages, seconds = seconds, grown_kb = gate:memory "VmRSS" - before,
    }
  end
  return results
end

-- The last good snapshot, which is written bit by bit after the start: how long after it.
local function measure_save(gate, started)
  local path = gate.directory .. "/data/last-good.json"
  wait.until_true("the last good snapshot", function() return shell.run({ "test", "-s", path }).status == 0 end, 600)
  return wait.now() - started
end

-- ---- the report ----

local function verdict(missed, good, what)
  if good then return "" end
  missed[#missed + 1] = what
  return "  MISSED"
end

local function report(results)
  local missed = {}
  print(("%d accounts, %d CAs, %d zones, %d hostnames; %d workers"):format(results.zones, results.zones * fleet.CAS, results.zones,
    results.zones * fleet.HOSTNAMES, results.workers))
  print(("\n%-28s %8.2f s   aim %g s%s"):format("start until ready", results.start.seconds, AIMS.start,
    verdict(missed, results.start.seconds < AIMS.start, "start")))
  print(("%-28s %8.2f s"):format("its processor time", results.start.cpu_seconds))
  print(("%-28s %8.0f MiB"):format("resident after the start", results.start.resident_kb / 1024))
  print(("%-28s %8.1f s"):format("last good snapshot after", results.saved))
  print(("%-28s %8.2f s"):format("end", results.stop))
  print(("\n%-28s %8s %8s %8s   aim (p95) %g ms"):format("change, served by all (ms)", "p50", "p95", "max", AIMS.change * 1000))
  for _, one in ipairs(results.changes) do
    local t = one.seconds
    print(("%-28s %8.1f %8.1f %8.1f%s"):format(one.kind, t.p50 * 1000, t.p95 * 1000, t.max * 1000,
      verdict(missed, t.p95 < AIMS.change, one.kind)))
  end
  print(("\n%-28s %8s %8s %8s %8s %10s"):format("list (a page, ms)", "items", "pages", "p50", "max", "grown KiB"))
  for _, one in ipairs(results.lists) do
    print(("%-28s %8d %8d %8.1f %8.1f %10d%s"):format(one.list, one.items, one.pages, one.seconds.p50 * 1000, one.seconds.max * 1000,
      one.grown_kb, verdict(missed, one.grown_kb < AIMS.paging_kb, "memory of " .. one.list)))
  end
  return missed
end

-- Fills the gateway's store; with `options.store` it is kept there, and copied from there the next time.
local function prepare(gate, options)
  local kept = options.store and options.store .. "/fleet.json"
  local text = kept and shell.read(kept)
  local made = text and dkjson.decode(text)
  local function copy(from, to) assert(shell.run({ "cp", "-a", from, to }).status == 0, "cannot copy " .. from) end
  if made and #made.zones == options.zones then
    copy(options.store .. "/data", gate.directory)
    return made
  end
  say("Filling the store …")
  local began = wait.now()
  made = fleet.fill(gate.directory, options.zones, function(done)
    say("  %d of %d zones (%.0f s)", done, options.zones, wait.now() - began)
  end)
  if kept then
    assert(shell.run({ "mkdir", "-p", options.store }).status == 0)
    shell.remove_directory(options.store .. "/data")
    copy(gate.directory .. "/data", options.store)
    shell.write(kept, dkjson.encode(made))
  end
  return made
end

local function main(options)
  local gate = gateway.new { config = { log = { level = "warn" } } }
  local made = prepare(gate, options)
  gate.token = made.token
  local results = { zones = options.zones, workers = gate.config.workers }
  say("Starting …")
  results.start = measure_start(gate)
  local started = wait.now()
  results.changes = measure_changes(gate, made.zones, options.changes)
  check_served(gate, made.zones)
  results.saved = measure_save(gate, started)
  results.lists = measure_lists(gate, made)
  results.stop = timed(function() gate:stop() end)
  local missed = report(results)
  shell.write(options.json, dkjson.encode(results, { indent = true }) .. "\n")
  say("\nwritten: %s", options.json)
  if missed[1] then
    print("\nmissed: " .. table.concat(missed, ", "))
    os.exit(1)
  end
end

main(options_of(arg))
