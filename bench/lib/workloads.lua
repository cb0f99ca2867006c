-- workloads.lua — what is measured: for each workload the load, the servers, what a figure is divided by, and the aims.
--
-- `args` are moongate-load's. `set` names the servers' configuration (main.lua starts each set once): "base", or the
-- hosts or paths of a set of many rules. `port` is https or http. `per` is what CPU time is divided by: answers, or
-- GiB of bodies.

local M = {}

local GIB = 2 ^ 30

local STOCK = { "moongate", "nginx", "nginx-lua", "haproxy" }
local HANDSHAKES = { "moongate", "nginx", "nginx-lua", "haproxy", "nginx-best", "haproxy-best" }

local function stock(at_most) return { versus = "nginx", at_most = at_most } end
local function best(at_most) return { versus = "nginx-best", at_most = at_most } end

local IDLE_ROUNDS = 2 -- memory does not depend on what else the machine does

-- Every value is a word or a list of words; `clients` stands for the client certificates.
local GUARDED = { "--host", "api.example.com" }

local function load(...)
  local args = {}
  for _, word in ipairs(GUARDED) do args[#args + 1] = word end
  for _, word in ipairs { ... } do args[#args + 1] = word end
  return args
end

local function connect(version, ...)
  return load("--tls", version, "--path", "/blocked", "--expect", "403", "--new-connections",
    "--connections", "32", ...)
end

local LIST = {
  { id = "a", title = "403 by rule, TLS 1.3, keep-alive",
    args = load("--tls", "1.3", "--path", "/hello", "--expect", "403"), aims = { stock(0.85) } },
  { id = "a16", title = "the same with 16 requests pipelined",
    args = load("--tls", "1.3", "--path", "/hello", "--expect", "403", "--pipeline", "16"), aims = { stock(0.25) } },
  { id = "b", title = "verified client certificate, 1 KiB from the origin, keep-alive", clients = true,
    args = load("--tls", "1.3", "--path", "/1024"), aims = { stock(0.85) } },
  { id = "c13", title = "full handshake with client certificate, TLS 1.3, one 403", clients = true,
    servers = HANDSHAKES, args = connect("1.3"), aims = { stock(0.60), best(0.90) } },
  { id = "c12", title = "full handshake with client certificate, TLS 1.2, one 403", clients = true,
    servers = HANDSHAKES, args = connect("1.2"), aims = { stock(0.75), best(0.95) } },
  { id = "d13", title = "resumed handshake with client certificate, TLS 1.3, one 403", clients = true,
    servers = HANDSHAKES, resumes = true, args = connect("1.3", "--resume"), aims = { stock(0.50), best(0.70) } },
  { id = "d12", title = "resumed handshake with client certificate, TLS 1.2, one 403", clients = true,
    servers = HANDSHAKES, resumes = true, args = connect("1.2", "--resume"), aims = {} },
  { id = "f-down", title = "64 MiB from the origin through TLS 1.3", clients = true, per = "body_in",
    args = load("--tls", "1.3", "--path", "/67108864", "--connections", "4"), aims = { stock(0.90) } },
  { id = "f-up", title = "64 MiB to the origin through TLS 1.3", clients = true, per = "body_out",
    args = load("--tls", "1.3", "--path", "/", "--upload", "67108864", "--connections", "4"), aims = { stock(0.90) } },
  { id = "i", title = "403 by rule, plain HTTP, keep-alive", port = "http",
    args = load("--path", "/hello", "--expect", "403"), aims = { stock(0.90) } },
  { id = "x", title = "403 by rule, plain HTTP, a new connection each time", port = "http",
    args = load("--path", "/hello", "--expect", "403", "--new-connections", "--connections", "32"),
    aims = { stock(1.05) } },
  { id = "e", title = "memory of an idle TLS 1.3 connection, 5,000 of them", idle = 5000, rounds = IDLE_ROUNDS,
    args = load("--tls", "1.3", "--path", "/hello", "--expect", "403"), aims = { stock(1.00) } },
  { id = "em", title = "the same with client certificates", idle = 5000, rounds = IDLE_ROUNDS, clients = true,
    args = load("--tls", "1.3", "--path", "/blocked", "--expect", "403"), aims = { stock(1.00) } },
}

-- g: many rules, over plain HTTP, where a rule's share is largest. "moongate-one" has the first of the rules only: what
-- the others cost shows within the same rounds.
local HOST_SIZES = { 1, 10, 100, 1000, 10000 }
local NEEDLE_SIZES = { 1, 10, 100, 1000 }
local PER_ZONE = 1000

local function hosts(count)
  local list = {}
  for index = 0, count - 1 do
    list[#list + 1] = ("h%d.z%d.example"):format(index % PER_ZONE, math.floor(index / PER_ZONE))
  end
  return list
end

local function needles(count)
  local list = {}
  for index = 1, count do list[index] = ("needle-%05d"):format(index) end
  return list
end

for _, count in ipairs(HOST_SIZES) do
  LIST[#LIST + 1] = {
    id = "g-host" .. count, title = ("%d rules, each for a host of its own"):format(count), port = "http",
    set = "host" .. count, hosts = hosts(count), args = { "--path", "/hello", "--expect", "403" },
    servers = count == 10000 and { "moongate", "nginx", "nginx-lua", "haproxy", "moongate-one" } or nil,
    aims = count == 10000 and { { versus = "moongate-one", at_most = 1.10 } } or {},
  }
end
for _, count in ipairs(NEEDLE_SIZES) do
  LIST[#LIST + 1] = {
    id = "g-all" .. count, title = ("%d rules that all run"):format(count), port = "http", set = "all" .. count,
    needles = needles(count),
    args = { "--host", "www.example.com", "--path", ("/needle-%05d"):format(count), "--expect", "403" },
    aims = {},
  }
end

for _, workload in ipairs(LIST) do
  workload.servers = workload.servers or STOCK
  workload.set = workload.set or "base"
  workload.port = workload.port or "https"
  workload.per = workload.per or "answers"
end

M.list = LIST

--- Unit of a figure and what to multiply CPU seconds per thing by.
---@return string unit, number factor
function M.unit(workload)
  if workload.idle then return "KiB per connection", 1 / 1024 end
  if workload.per == "answers" then return "CPU µs per request", 1e6 end
  return "CPU s per GiB", GIB
end

--- The workloads that words of the command line name: an id, or the letter of a family. All without words.
---@param words string[]
---@return table[]|nil workloads
---@return string|nil unknown word
function M.choose(words)
  if not words[1] then return LIST end
  local wanted = {}
  for _, word in ipairs(words) do
    local any = false
    for _, workload in ipairs(LIST) do
      local id = workload.id
      local family = #word == 1 and id ~= "em" and id:sub(1, 1) == word and word ~= "a"
      if id == word or family or (word == "g-host" or word == "g-all") and id:find(word, 1, true) == 1 then
        wanted[id], any = true, true
      end
    end
    if not any then return nil, word end
  end
  local chosen = {}
  for _, workload in ipairs(LIST) do
    if wanted[workload.id] then chosen[#chosen + 1] = workload end
  end
  return chosen
end

return M
