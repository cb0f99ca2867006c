--- moongate.cli.proof_cases — what `moongate prove` tries: families of requests, each with the answer that must come.
--
-- Every family opens connections as its title says and hands each answer, with the model's, to the recorder. Nothing
-- is decided here: proof_model.lua says what is right, proof_world.lua changes the gateway.

local model = require "moongate.cli.proof_model"
local probe = require "moongate.cli.probe"

local M = {}

local VERSIONS = { "1.3", "1.2" }
local STRANGER = "somewhere.invalid" -- a name that no zone serves

---@class moongate.cli.proof_cases.Run
---@field world table        moongate.cli.proof_world
---@field https { address: string, port: integer }
---@field http { address: string, port: integer }|nil
---@field timeout_ms integer
---@field record fun(description: string, expected: any, found: any)

local function open(run, version, server_name, specimen, session)
  local connection, failure = probe.open {
    address = run.https.address, port = run.https.port, timeout_ms = run.timeout_ms, version = version,
    server_name = server_name, specimen = specimen, session = session,
  }
  if connection then return connection end
  if failure.where == "connect" then
    error({ text = ("nobody answers at %s, port %d: %s"):format(run.https.address, run.https.port, failure.text) }, 0)
  end
  return nil, failure
end

local function describe(version, server_name, specimen, host, more)
  return ("%s, server name %s, certificate: %s, host %s%s"):format(version and "TLS " .. version or "plain HTTP",
    server_name or "none", specimen and specimen.name or "none", host, more and ", " .. more or "")
end

-- Asks on a connection and records.
local function ask(run, connection, wanted, description)
  local status, reason = connection:ask(wanted.spelled or wanted.host, wanted.target)
  run.record(description, wanted.expected or model.status(run.world.model, wanted), status or reason)
end

local function names_of(run)
  local world = run.world
  return {
    world:name "a", world:name "a2", world:name "b", world:name "open", world:name "below.a", STRANGER,
  }
end

-- The elements from `first` on, then those before it.
local function turned(list, first, backwards)
  local result = {}
  for step = 0, #list - 1 do
    local index = (first - 1 + (backwards and -step or step)) % #list + 1
    result[#result + 1] = list[index]
  end
  return result
end

-- Names and "none": every server name that a client may send.
local function server_names(run)
  local list = names_of(run)
  list[#list + 1] = false
  return list
end

--- Every server name with every certificate; on each connection requests for every host, each host being the first one
--- once, so that no request lends its answer to the next.
function M.matrix(run)
  local hosts = names_of(run)
  for _, version in ipairs(VERSIONS) do
    for first, server_name in ipairs(server_names(run)) do
      for number = 0, #run.world.clients do
        local specimen = run.world.clients[number]
        for _, backwards in ipairs { false, true } do
          local connection, failure = open(run, version, server_name or nil, specimen)
          for place, host in ipairs(turned(hosts, first + number, backwards)) do
            local wanted = { server_name = server_name or nil, host = host, specimen = specimen }
            local description = describe(version, server_name or nil, specimen, host,
              ("request %d of its connection"):format(place))
            if connection then
              ask(run, connection, wanted, description)
            else
              run.record(description, model.status(run.world.model, wanted), failure.text)
            end
          end
          if connection then connection:close() end
        end
      end
    end
  end
end

--- A client certificate is asked for where CAs are, and nowhere else; the question names those of the hostname only.
function M.questions(run)
  for _, version in ipairs(VERSIONS) do
    for _, server_name in ipairs(server_names(run)) do
      local connection = open(run, version, server_name or nil)
      local count = model.asked(run.world.model, server_name or nil)
      run.record(describe(version, server_name or nil, nil, "-", "asked for a certificate, CAs named"),
        ("%s, %d"):format(count > 0, count),
        connection and ("%s, %d"):format(connection.asked, connection.ca_names) or "no handshake")
      if connection then connection:close() end
    end
  end
end

--- Other spellings of one name are that name, or are refused.
function M.spellings(run)
  local world, name = run.world, run.world:name "a"
  local good = world:specimen "good under A"
  local function one(server_name, specimen, spelled, expected, target)
    local connection, failure = open(run, "1.3", server_name, specimen)
    local wanted = { server_name = server_name:lower(), host = name, specimen = specimen, spelled = spelled, target = target,
      expected = expected }
    local description = describe("1.3", server_name, specimen, spelled, target and "target " .. target)
    if connection then
      ask(run, connection, wanted, description)
      connection:close()
    else
      run.record(description, expected or model.status(world.model, wanted), failure.text)
    end
  end
  for _, specimen in ipairs { false, good } do
    for _, server_name in ipairs { name, name:upper(), world:name "open" } do
      for _, spelled in ipairs { name:upper(), name .. ".", name .. ":443", name:upper() .. ".:443" } do
        one(server_name, specimen or nil, spelled)
      end
      for _, spelled in ipairs { name .. "..", "." .. name, "x@" .. name, name .. ":99999", "%61" .. name:sub(2) } do
        one(server_name, specimen or nil, spelled, 400)
      end
      -- The target's name counts, and a Host that says another one is a contradiction.
      one(server_name, specimen or nil, world:name "open", 400, ("https://%s/"):format(name))
    end
  end
end

--- Sessions of every name under every name: taken up under their own name only, and never with more than that name's.
function M.sessions(run)
  local world = run.world
  local owners = {
    { world:name "a", world:specimen "good under A" }, { world:name "b", world:specimen "good under B" },
    { world:name "a2", world:specimen "good under A" }, { world:name "open" }, { false },
  }
  local hosts = { world:name "a", world:name "b", world:name "open", world:name "a2" }
  for _, version in ipairs(VERSIONS) do
    for _, owner in ipairs(owners) do
      for number, other in ipairs(owners) do
        local base = open(run, version, owner[1] or nil, owner[2])
        if base then base:ask(owner[1] or world:name "open") end
        local session = base and base:session()
        if base then base:close() end
        local connection = session and open(run, version, other[1] or nil, nil, session)
        if connection then
          local is_own = owner[1] == other[1]
          local more = ("session of %s, %s"):format(owner[1] or "no name", connection.resumed and "resumed" or "not resumed")
          if not is_own then
            run.record(describe(version, other[1] or nil, nil, "-", more), "not resumed", connection.resumed and "resumed"
              or "not resumed")
          end
          run.resumed = (run.resumed or 0) + (connection.resumed and 1 or 0)
          -- What the session's certificate was is known to the gateway; only with its own name it may count.
          local specimen = is_own and connection.resumed and owner[2] or nil
          for _, host in ipairs(turned(hosts, number)) do
            ask(run, connection, { server_name = other[1] or nil, host = host, specimen = specimen },
              describe(version, other[1] or nil, specimen, host, more))
          end
          connection:close()
        end
      end
    end
  end
end

--- Without TLS there is no certificate.
function M.plain(run)
  if not run.http then return end
  for _, host in ipairs(names_of(run)) do
    local connection, failure = probe.open { address = run.http.address, port = run.http.port, timeout_ms = run.timeout_ms }
    if not connection then
      error({ text = ("nobody answers at %s, port %d: %s"):format(run.http.address, run.http.port, failure.text) }, 0)
    end
    ask(run, connection, { host = host, plain = true }, describe(nil, nil, nil, host))
    connection:close()
  end
end

-- ---- changes while connections are open ----

local function open_all(run, name, specimen)
  local list = {}
  for _, version in ipairs(VERSIONS) do
    local kept = open(run, version, name, specimen)
    if kept then kept:ask(name) end
    local base = open(run, version, name, specimen)
    if base then base:ask(name) end
    list[#list + 1] = { version = version, kept = kept, session = base and base:session() }
    if base then base:close() end
  end
  return list
end

-- A connection that the gateway closed when its terms changed is no door either.
local function ask_kept(run, connection, wanted, description)
  local expected = model.status(run.world.model, wanted)
  local status, reason = connection:ask(wanted.host)
  run.record(description, expected, status or (expected ~= model.OPEN and expected or reason))
  connection:close()
end

-- Connections and sessions from before `change`, and new ones after it, all for one host and certificate.
local function around(run, title, label, specimen, change)
  local name = run.world:name(label)
  local wanted = { server_name = name, host = name, specimen = specimen }
  local before = open_all(run, name, specimen)
  change()
  for _, one in ipairs(before) do
    if one.kept then
      ask_kept(run, one.kept, wanted, describe(one.version, name, specimen, name, title .. ", open since before"))
    end
    if one.session then
      local connection = open(run, one.version, name, nil, one.session)
      if connection then
        local carried = { server_name = name, host = name, specimen = connection.resumed and specimen or nil }
        ask(run, connection, carried, describe(one.version, name, carried.specimen, name, title .. ", session from before"))
        connection:close()
      end
    end
    local connection = open(run, one.version, name, specimen)
    if connection then
      ask(run, connection, wanted, describe(one.version, name, specimen, name, title .. ", new connection"))
      connection:close()
    end
  end
end

--- Changes of trust, of revocation and of rules hold from the next request on, on every connection.
function M.changes(run)
  local world = run.world
  local good, twins = world:specimen "good under A", world:specimen "good under A's twin"
  local function step(title, specimen, change) around(run, title, "a", specimen, change) end

  step("revoked", good, function() world:revoke(good, true) end)
  step("no longer revoked", good, function() world:revoke(good, false) end)
  step("CA taken from the hostname", good, function() world:associate("a", { "a2" }) end)
  step("a CA of the same name in its place", good, function() world:associate("twin", { "a" }) end)
  step("that CA's own client", twins, function() end)
  step("both CAs", good, function() world:associate("a", { "a", "a2" }) end)
  step("the second CA taken away", twins, function() world:associate("twin", {}) end)
  step("the first CA alone", good, function() end)
  step("rule taken away", nil, function() world:enforce(false) end)
  step("rule put back", nil, function() world:enforce(true) end)
  run.record("a CA that hostnames are tied to is not deleted", true, world:refuses_deletion())
  step("after that", good, function() end)
end

--- The families in their order, with what they show.
M.families = {
  { title = "server name × certificate × host", run = M.matrix },
  { title = "who is asked for a certificate", run = M.questions },
  { title = "spellings of a name", run = M.spellings },
  { title = "sessions under other names", run = M.sessions },
  { title = "plain HTTP", run = M.plain },
  { title = "changes while connections are open", run = M.changes },
}

return M
