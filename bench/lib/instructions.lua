-- instructions.lua — counts the instructions of a worker per request with valgrind's callgrind, and compares them with
-- bench/baseline.json. Run by bench/instructions, which has built everything and stops what is left.
--
-- Unlike CPU time, the counts hardly depend on what else the machine does (some hundredths of a percent between two
-- runs), so that a few percent more are found by a machine instead of by a reader. What is counted is the worker's
-- thread alone. libcrypto chooses its code by version and processor; where it is another one than the baseline's, its
-- share is left out.

local top = assert(arg[2], "run bench/instructions instead")
package.path = top .. "/bench/lib/?.lua;" .. package.path

local json = require "dkjson"
local gateway = require "gateway"
local pki = require "pki"
local process = require "process"
local workloads = require "workloads"

local TOLERANCE = 0.03
local SCRIPT = { -- workload, requests
  { id = "a", requests = 2000 },
  { id = "b", requests = 1000 },
  { id = "c13", requests = 200 },
}

local options = { baseline = top .. "/bench/baseline.json" }
do
  local index = 1
  while arg[index] do
    local word = arg[index]
    if word == "--check" or word == "--write" then
      options[word:sub(3)] = true
    elseif word == "--top" or word == "--build" or word == "--work" then
      index = index + 1
      options[word:sub(3)] = arg[index]
    else
      io.stderr:write(("bench/instructions: %q is no option; see bench/instructions --help\n"):format(word))
      os.exit(2)
    end
    index = index + 1
  end
end

local certificates = pki.make(options.work .. "/pki")

local function start()
  local port = process.free_port()
  process.start(options.work, ("%s/moongate-bench-origin --listen 127.0.0.1:%d"):format(
    process.quote(options.build), port), options.work .. "/origin")
  process.wait("the origin", 10, function() return process.listens(port) end)
  return gateway.start {
    name = "moongate", work = options.work, build = options.build, origin = "http://127.0.0.1:" .. port,
    pki = certificates, workers = 1,
    under = "valgrind --quiet --tool=callgrind --instr-atstart=no --separate-threads=yes --callgrind-out-file="
      .. process.quote(options.work .. "/counts") .. " ",
  }
end

local function workload_of(id)
  for _, workload in ipairs(workloads.list) do
    if workload.id == id then return workload end
  end
  error("no workload " .. id)
end

-- One connection (or one at a time) and a fixed number of requests.
local function run_load(server, step)
  local workload = workload_of(step.id)
  local words = { options.build .. "/moongate-load", "--connect", "127.0.0.1:" .. server[workload.port] }
  for _, word in ipairs(workload.args) do words[#words + 1] = word end
  for _, word in ipairs { "--connections", 1, "--threads", 1, "--requests", step.requests } do
    words[#words + 1] = word
  end
  if workload.clients then
    words[#words + 1] = "--certificate"
    words[#words + 1] = certificates.clients[1]
  end
  for index, word in ipairs(words) do words[index] = process.quote(word) end
  local result = json.decode(process.output(table.concat(words, " ") .. " 2>&1"))
  assert(result and result.errors == 0 and result.answers == step.requests, "the load generator failed")
end

local function tell(server, command)
  process.output(("vgdb --pid=%d %s 2>&1"):format(server.pid, command))
end

-- What each object of one dump spent by itself. The lines behind `calls=` are the callee's.
local function read_dump(path)
  local names, sums, object, is_callees, thread = {}, {}, nil, false, nil
  for line in io.lines(path) do
    local id, name = line:match("^c?ob=(%(%d+%))%s*(.*)$")
    if id then
      if name ~= "" then names[id] = name:match("[^/]*$") end
      if line:sub(1, 1) == "o" then object = id end
    elseif line:find("^calls=") then
      is_callees = true
    elseif line:find("^[%d+*-]") then
      if not is_callees then sums[object] = (sums[object] or 0) + tonumber(line:match("(%d+)%s*$")) end
      is_callees = false
    else
      thread = line:match("^thread: (%d+)$") or thread
    end
  end
  local counts = { all = 0, crypto = 0 }
  for id, sum in pairs(sums) do
    counts.all = counts.all + sum
    if names[id]:find("^libcrypto") then counts.crypto = counts.crypto + sum end
  end
  return counts
end

-- The worker is the thread that did most.
local function read_counts(number, requests)
  local worker
  local files = process.output(("ls %s/counts.%d-*"):format(process.quote(options.work), number))
  for path in files:gmatch("[^\n]+") do
    local counts = read_dump(path)
    if not worker or counts.all > worker.all then worker = counts end
  end
  local function per_request(count) return math.floor(count / requests + 0.5) end
  return { all = per_request(worker.all), without_crypto = per_request(worker.all - worker.crypto) }
end

local function measure()
  process.output(("rm -f %s"):format(process.quote(options.work) .. "/counts*"))
  local server, results = start(), {}
  for number, step in ipairs(SCRIPT) do
    run_load(server, step) -- code is compiled, caches and pools are filled
    tell(server, "instrumentation on")
    tell(server, "zero")
    run_load(server, step)
    tell(server, "dump " .. step.id)
    tell(server, "instrumentation off")
    results[step.id] = read_counts(number, step.requests)
  end
  process.stop(server.pid)
  return results
end

-- What libcrypto makes its choices by.
local function library()
  local flags = process.read("/proc/cpuinfo"):match("flags%s*: ([^\n]*)") or ""
  local known = {}
  for _, flag in ipairs { "avx2", "bmi2", "adx", "aes", "pclmulqdq", "sha_ni" } do
    if (" " .. flags .. " "):find(" " .. flag .. " ", 1, true) then known[#known + 1] = flag end
  end
  return process.output("openssl version"):gsub("%s+$", "") .. ", " .. table.concat(known, " ")
end

local function read_baseline()
  local baseline = json.decode(process.read(options.baseline))
  if type(baseline) ~= "table" then
    io.stderr:write("bench/instructions: there is no baseline; make one with --write\n")
    os.exit(2)
  end
  return baseline
end

local function compare(results)
  local baseline, good = read_baseline(), true
  local same = baseline.library == library()
  if not same then
    print("libcrypto is another one than the baseline's, and is left out:")
    print("  " .. baseline.library, "\n  " .. library())
  end
  local part = same and "all" or "without_crypto"
  for _, step in ipairs(SCRIPT) do
    local now, before = results[step.id][part], baseline.workloads[step.id][part]
    local change = now / before - 1
    local verdict = change > TOLERANCE and "too many"
      or change < -TOLERANCE and "fewer: a new baseline is due (--write)" or "fine"
    good = good and change <= TOLERANCE
    print(("%-4s %9d instructions per request, baseline %9d, %+.2f %%: %s"):format(step.id, now, before, 100 * change,
      verdict))
  end
  return good
end

local results = measure()
if options.write then
  local lines = {}
  for index, step in ipairs(SCRIPT) do
    lines[index] = ('    "%s": { "all": %d, "without_crypto": %d }'):format(step.id, results[step.id].all,
      results[step.id].without_crypto)
  end
  process.write(options.baseline, ('{\n  "library": %s,\n  "workloads": {\n%s\n  }\n}\n'):format(
    json.encode(library()), table.concat(lines, ",\n")))
  print("written to " .. options.baseline)
elseif options.check then
  os.exit(compare(results) and 0 or 1)
end
for _, step in ipairs(SCRIPT) do
  local counts = results[step.id]
  print(("%-4s %9d instructions per request, %9d without libcrypto"):format(step.id, counts.all, counts.without_crypto))
end
