--- moongate.cli.proof_world — the throw-away zone of a proof: made through the API, changed through it, taken away again.
--
-- Keeps the model's world (cli/proof_model.lua) in step with what was asked of the gateway. Everything it makes is
-- called `prove-…`, so that what an interrupted proof left behind is known and removed by the next one.

local json = require "moongate.json"
local specimens = require "moongate.cli.proof_specimens"

local M = {}

local LEFT_BEHIND_SECONDS = 600 -- what is younger may belong to a proof that is running now
local ZONE, CERTIFICATE = "^prove%-%x+%.invalid$", "^prove%-%x+%-%a+$"
local PHASE = "http_request_firewall_custom"

local World = {}
World.__index = World

-- ---- calls ----

-- A proof that cannot go on is an error, so that the end is reached from everywhere; run() catches it.
local function call(self, method, path, body)
  local result, failure = self.api:ask(method, path, body)
  if result == nil then error(failure, 0) end
  return result
end

local function seconds_of(text)
  local year, month, day, hour, minute, second = text:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
  if not year then return nil end
  -- Both sides of the later comparison go through os.time in the same way, so the time zone does not matter.
  return os.time { year = year, month = month, day = day, hour = hour, min = minute, sec = second, isdst = false }
end

local function is_old(text)
  local now = os.date("!*t")
  now.isdst = false
  local then_ = seconds_of(text)
  return then_ and os.time(now) - then_ > LEFT_BEHIND_SECONDS
end

local function list(self, path)
  local all, failure = self.api:list(path)
  if not all then error(failure, 0) end
  return all
end

local function remove_left_behind(self)
  for _, zone in ipairs(list(self, "/zones")) do
    if zone.name:find(ZONE) and zone.account.id == self.account.id and is_old(zone.created_on) then
      call(self, "DELETE", "/zones/" .. zone.id)
    end
  end
  for _, one in ipairs(list(self, self.certificates)) do
    if (one.name or ""):find(CERTIFICATE) and is_old(one.uploaded_on) then
      call(self, "DELETE", self.certificates .. "/" .. one.id)
    end
  end
end

-- ---- changes: the gateway's and the model's ----

--- Ties hostnames to one CA, and no others to it.
---@param ca string "a", "b" or "twin"
---@param labels string[] below the zone
function World:associate(ca, labels)
  local names = json.array {}
  for name, cas in pairs(self.model.hosts) do
    cas[ca] = nil
    if not next(cas) then self.model.hosts[name] = nil end
  end
  for index, label in ipairs(labels) do
    names[index] = self:name(label)
    self.model.hosts[names[index]] = self.model.hosts[names[index]] or {}
    self.model.hosts[names[index]][ca] = true
  end
  call(self, "PUT", ("/zones/%s/certificate_authorities/hostname_associations"):format(self.zone.id),
    { hostnames = names, mtls_certificate_id = self.ca_ids[ca] })
end

--- Puts the rule in place that blocks who brings no good certificate, or takes it away.
---@param on boolean
function World:enforce(on)
  local rules = json.array {}
  if on then
    local quoted = {}
    self.model.enforced = {}
    for index, label in ipairs(self.protected) do
      quoted[index] = ('"%s"'):format(self:name(label))
      self.model.enforced[self:name(label)] = true
    end
    rules[1] = {
      action = "block", description = "moongate prove",
      expression = ("(http.host in {%s} and (not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_revoked))")
        :format(table.concat(quoted, " ")),
    }
  else
    self.model.enforced = nil
  end
  call(self, "PUT", ("/zones/%s/rulesets/phases/%s/entrypoint"):format(self.zone.id, PHASE), { rules = rules })
end

--- Revokes a specimen of CA A, or takes that back.
---@param specimen moongate.cli.proof_model.Specimen
---@param on boolean
function World:revoke(specimen, on)
  local path = ("%s/%s/moongate/denials"):format(self.certificates, self.ca_ids.a)
  self.denials = self.denials or {}
  if on then
    self.denials[specimen.name] = call(self, "POST", path, { sha256 = self.fingerprint(specimen) }).id
  else
    call(self, "DELETE", path .. "/" .. self.denials[specimen.name])
    self.denials[specimen.name] = nil
  end
  self.model.revoked[specimen.name] = on or nil
end

--- Does the API refuse to delete a CA that hostnames are tied to?
---@return boolean
function World:refuses_deletion()
  local result, failure = self.api:ask("DELETE", self.certificates .. "/" .. self.ca_ids.a)
  return result == nil and failure.status == 400
end

-- ---- the beginning and the end ----

---@param label string "" for the zone itself
function World:name(label)
  return label == "" and self.zone.name or label .. "." .. self.zone.name
end

---@param name string of a specimen
function World:specimen(name)
  for _, one in ipairs(self.clients) do if one.name == name then return one end end
  error("no specimen " .. name)
end

local function upload(self, ca)
  local made = call(self, "POST", self.certificates,
    { ca = true, certificates = self.cas[ca].certificate, name = ("prove-%s-%s"):format(self.id, ca) })
  self.ca_ids[ca] = made.id
end

--- Makes it. What was made so far is in the world also when this ends in an error: take_down() removes it.
---@param session table moongate.cli.session
---@param tools { random: fun(size: integer): string, now: integer, fingerprint: fun(specimen: table): string }
---@return table world
function M.new(session, tools)
  local id = tools.random(4):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  local cas = specimens.cas(tools.now)
  return setmetatable({
    api = session.api, session = session, id = id, cas = cas, clients = specimens.clients(cas, tools.now), ca_ids = {},
    fingerprint = tools.fingerprint, protected = { "a", "a2", "b" },
    model = { hosts = {}, revoked = {} },
  }, World)
end

--- Makes zone, CAs, associations and rule.
function World:set_up()
  local account, failure = self.session:account()
  if not account then error(failure, 0) end
  self.account, self.certificates = account, ("/accounts/%s/mtls_certificates"):format(account.id)
  remove_left_behind(self)
  self.zone = call(self, "POST", "/zones", { name = ("prove-%s.invalid"):format(self.id), account = { id = account.id } })
  self.model.zone = self.zone.name
  for _, ca in ipairs { "a", "b", "twin" } do upload(self, ca) end
  self:enforce(true)
  self:associate("a", { "a", "a2" })
  self:associate("b", { "b" })
  self:revoke(self:specimen "revoked under A", true)
end

--- Removes it, as far as it was made.
---@return table|nil failure the first one
function World:take_down()
  local first
  local function try(path)
    local result, failure = self.api:ask("DELETE", path)
    if result == nil and not first then first = failure end
  end
  if self.zone then try("/zones/" .. self.zone.id) end
  for _, id in pairs(self.ca_ids) do try(self.certificates .. "/" .. id) end
  return first
end

return M
