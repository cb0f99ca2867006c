-- main.lua — runs the workloads: reads bench/run's options, starts the servers, measures them in turns, reports.
--
-- Rounds are interleaved: in each round every server does the workload once, and the next round begins with another
-- one, so that a slow minute of the machine is everybody's. Run by bench/run, which has built everything and stops
-- what is left.

local top = assert(arg[2], "run bench/run instead")
package.path = top .. "/bench/lib/?.lua;" .. package.path

local json = require "dkjson"
local gateway = require "gateway"
local peers = require "peers"
local pki = require "pki"
local process = require "process"
local report = require "report"
local workloads = require "workloads"

local WORKERS = 2
local WARM_LINES = 4 -- client certificates are spread over the connections; this many for the warming run

local function usage(message)
  io.stderr:write("bench/run: ", message, "; see bench/run --help\n")
  os.exit(2)
end

local function read_options()
  local options = { rounds = 5, seconds = 3, words = {} }
  local index = 1
  local function value(name)
    index = index + 1
    return arg[index] or usage(name .. " needs a value")
  end
  local function count(name)
    local text = value(name)
    local result = tonumber(text)
    if not result or result <= 0 then usage(("%s: %q is no number above 0"):format(name, text)) end
    return result
  end
  while arg[index] do
    local word = arg[index]
    if word == "--top" or word == "--build" or word == "--work" or word == "--json" then
      options[word:sub(3)] = value(word)
    elseif word == "--rounds" or word == "--seconds" then options[word:sub(3)] = count(word)
    elseif word == "--quick" then options.quick = true
    elseif word == "--list" then options.list = true
    elseif word == "--only" then
      options.only = {}
      for name in value(word):gmatch("[^,]+") do options.only[name] = true end
    elseif word:sub(1, 1) == "-" then usage(("%q is no option"):format(word))
    else options.words[#options.words + 1] = word end
    index = index + 1
  end
  if options.quick then options.rounds, options.seconds = math.min(options.rounds, 3), math.min(options.seconds, 1) end
  options.json = options.json or options.build .. "/results.json"
  return options
end

local options = read_options()

local chosen, unknown = workloads.choose(options.words)
if not chosen then usage(("there is no workload %q"):format(unknown)) end
if options.list then
  for _, workload in ipairs(chosen) do print(("%-11s %s"):format(workload.id, workload.title)) end
  os.exit(0)
end

-- ---- servers ----

local certificates = pki.make(options.work .. "/pki")

local function start_origin()
  local port = process.free_port()
  local log = options.work .. "/origin"
  process.start(options.work, ("%s/moongate-bench-origin --listen 127.0.0.1:%d"):format(
    process.quote(options.build), port), log)
  process.wait("the origin", 10, function() return process.listens(port) end)
  return "http://127.0.0.1:" .. port
end

local origin = start_origin()

---@class bench.settings
---@field name string        of the server; "best" in it chooses the second setting
---@field work string        directory that everything is written into
---@field build string       where our programs are
---@field peers string       where the peers are unpacked
---@field origin string      URL
---@field pki table          see pki.lua
---@field workers integer
---@field hosts string[]|nil    one rule for each
---@field needles string[]|nil  one rule for each, all tried
---@field under string|nil       of ours: what the program is run by, a space at the end

---@class bench.server
---@field name string
---@field pid integer
---@field https integer  port
---@field http integer   port
---@field log string     path of its access log

-- "moongate-one" has one rule where the others have many, and is asked for that host alone.
local function hosts_of(name, workload)
  local hosts = workload.hosts
  return hosts and name == "moongate-one" and { hosts[1] } or hosts
end

local function start_server(name, workload)
  local settings = {
    name = name, work = options.work, build = options.build, peers = options.build .. "/peers", origin = origin,
    pki = certificates, workers = WORKERS, best = name:find("best", 1, true) ~= nil,
    hosts = hosts_of(name, workload), needles = workload.needles,
  }
  local module = name:find("moongate", 1, true) and gateway or peers
  local server = module.start(settings)
  server.forget_log = module.forget_log
  return server
end

local running, running_set = {}, nil

-- Servers of one set of rules live until a workload needs another set.
local function server_for(name, workload)
  if running_set ~= workload.set then
    for _, server in pairs(running) do process.stop(server.pid) end
    running, running_set = {}, workload.set
  end
  running[name] = running[name] or start_server(name, workload)
  return running[name]
end

local function stop_server(name)
  if running[name] then process.stop(running[name].pid) end
  running[name] = nil
end

-- ---- one measurement ----

local function command(workload, server, changes)
  local words = {
    options.build .. "/moongate-load", "--connect", "127.0.0.1:" .. server[workload.port], "--watch", server.pid,
    "--seconds", changes.seconds or options.seconds, "--warm-up", options.quick and 0.3 or 0.5,
  }
  local function add(...)
    for _, word in ipairs { ... } do words[#words + 1] = word end
  end
  add(unpack(workload.args))
  if workload.hosts then
    process.write(options.work .. "/hosts", table.concat(hosts_of(server.name, workload), "\n") .. "\n")
    add("--hosts", options.work .. "/hosts")
  end
  if workload.clients then
    for index, path in ipairs(certificates.clients) do
      if not changes.few or index <= WARM_LINES then add("--certificate", path) end
    end
  end
  if workload.idle then add("--idle", "--connections", changes.idle or workload.idle) end
  for index, word in ipairs(words) do words[index] = process.quote(word) end
  return table.concat(words, " ")
end

local function run_load(line)
  local pipe = assert(io.popen(line .. " 2>&1", "r"))
  local text = pipe:read("*a")
  pipe:close()
  local result = json.decode(text)
  if type(result) ~= "table" then error("the load generator failed: " .. text, 0) end
  if result.errors > 0 then error(("%d errors, the first: %s"):format(result.errors, result.first_error), 0) end
  return result
end

-- Memory is measured on a server that has just started and has seen a few connections, so that what is counted is the
-- connections and not the first use of everything.
local function measure(name, workload)
  if workload.idle then stop_server(name) end
  local server = server_for(name, workload)
  if workload.idle then run_load(command(workload, server, { idle = 200 })) end
  server:forget_log()
  local result = run_load(command(workload, server, {}))
  process.sleep(0.2) -- two periods of the log's writer
  result.lost = server:forget_log()
  return result
end

local has_terminal = os.execute("test -t 2") == 0

local function progress(format, ...)
  if has_terminal then io.stderr:write("\r\27[K", format:format(...)) end
end

local function run_workload(workload)
  local runs, names, failed = {}, {}, {}
  for _, name in ipairs(workload.servers) do
    if not options.only or options.only[name] then
      names[#names + 1] = name
      runs[name] = {}
    end
  end
  for round = 1, math.min(options.rounds, workload.rounds or options.rounds) do
    for step = 0, #names - 1 do
      local name = names[(round + step - 1) % #names + 1]
      if not failed[name] then
        progress("%s: round %d of %d, %s", workload.id, round, options.rounds, name)
        local good, result = pcall(measure, name, workload)
        if good then
          runs[name][round] = result
        else
          failed[name] = tostring(result)
          runs[name] = {}
        end
      end
    end
  end
  progress("")
  local summary = report.summary(workload, runs)
  summary.failed = next(failed) and failed or nil
  return summary
end

-- ---- all of it ----

local function machine()
  return {
    cpu = process.output("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"):gsub("%s+$", ""),
    cores = tonumber(process.output("nproc")), kernel = process.output("uname -r"):gsub("%s+$", ""),
    load = process.read("/proc/loadavg"):match("^%S+ %S+ %S+"),
    openssl = process.output("openssl version"):gsub("%s+$", ""),
    commit = process.output(("git -C %s rev-parse --short HEAD 2>/dev/null || true"):format(process.quote(options.top)))
      :gsub("%s+$", ""),
  }
end

local document = {
  machine = machine(), rounds = options.rounds, seconds = options.seconds, quick = options.quick or false,
  workers = WORKERS, workloads = {},
}
local bad = false
print(("%s, %d cores, Linux %s, %s, load %s; %d rounds of %g s"):format(document.machine.cpu, document.machine.cores,
  document.machine.kernel, document.machine.openssl, document.machine.load, options.rounds, options.seconds))
for _, workload in ipairs(chosen) do
  local summary = run_workload(workload)
  document.workloads[#document.workloads + 1] = summary
  report.print(io.stdout, summary)
  for name, reason in pairs(summary.failed or {}) do
    bad = true
    print(("  %s failed: %s"):format(name, reason))
  end
  -- After each workload: a run that is cut off leaves what it has.
  process.write(options.json, json.encode(document, { indent = true }) .. "\n")
end
print("\nwritten to " .. options.json)
os.exit(bad and 1 or 0)
