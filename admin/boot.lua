--- moongate.admin.boot — brings the control plane up: store, account, snapshot, application; and keeps the last good
--- snapshot.
--
-- The control thread calls `start` once, then `app:handle` for each request, `app:tick` every second and `app:stop`
-- at the end. A store that cannot be used stops the start with one clear message, unless the configuration allows to
-- serve the last good snapshot without it; the admin API answers 503 then, and nothing writes to the store that is
-- not understood.

local admin = require "moongate.admin"
local accounts = require "moongate.admin.resources.accounts"
local duties = require "moongate.admin.duties"
local last_good = require "moongate.admin.last_good"
local publish = require "moongate.admin.publish"
local secrets = require "moongate.admin.secrets"
local store = require "moongate.admin.store"
local user = require "moongate.admin.resources.user"

local M = {}

local PARTS_SECONDS = 0.03 -- of each second, for texts of the last good snapshot

local Running = {}
Running.__index = Running

-- What the first start needs, and what the configuration says about quotas.
local function prepare(opened, config, control)
  return opened:write(function(tx)
    accounts.ensure_default(tx, control)
    user.ensure(tx, control, config.admin and config.admin.email)
    local quota = config.limits and config.limits.client_cas_per_account
    if quota then assert(tx:run("UPDATE quotas SET value = ? WHERE name = 'mtls_certificates'", quota)) end
    return true
  end)
end

local function start_with_store(self, config)
  local opened, diag = store.open { data_dir = config.data_dir }
  if not opened then return nil, diag end
  local ok, failure = prepare(opened, config, self.control)
  if not ok then
    opened:close()
    return nil, { where = opened.path, text = failure.text }
  end
  local final
  ok, diag, final = secrets.unlock(opened, self.control, config.data_dir)
  if not ok then
    opened:close()
    return nil, diag, final
  end
  ok, diag = self.publisher:load(opened)
  if not ok then
    opened:close()
    return nil, diag
  end
  self.store = opened
  return true
end

local function start_without_store(self, config, why)
  local snapshot, reason = last_good.read(self.control, self.last_good_path)
  if not snapshot then
    return nil, {
      where = why.where, text = ("%s; and there is no last good snapshot to serve: %s"):format(why.text, tostring(reason)),
    }
  end
  -- Without them, the zones that need a private key block every request, and the others are served.
  local ok, diag = self.control.open_secrets(config.data_dir .. "/" .. secrets.FILE, false)
  if not ok then self.log("error", ("secrets: %s: %s"):format(diag.where, diag.text)) end
  ok, diag = self.publisher:adopt(snapshot.generation, snapshot.documents)
  if not ok then return nil, diag end
  self.log("error", ("store: %s: %s; serving generation %d of %s without it"):format(why.where, why.text,
    snapshot.generation, snapshot.written_at))
  return true
end

-- What the configuration says about the limiter.
local function limits_of(config)
  local admin_api = config.admin or {}
  return {
    requests = admin_api.requests, requests_per_second = admin_api.requests_per_second,
    per_address = admin_api.failures_per_minute,
  }
end

-- What requests to the outside are held to. The CAs are read here, so that a file without any is told at once.
local function configure_outgoing(control, given)
  local terms = { allow_local = given and given.allow_local or false, dns = given and given.dns }
  if given and given.ca then
    local file, err = io.open(given.ca, "rb")
    if not file then return nil, { where = "outgoing.ca", text = tostring(err) } end
    terms.ca = file:read("*a") or ""
    file:close()
    local list, diag = control.certificates(terms.ca)
    if not list then return nil, { where = "outgoing.ca", text = given.ca .. ": " .. diag.text } end
  end
  control.configure_outgoing(terms)
  return true
end

--- Starts the control plane. Returns after every worker serves what the store holds.
---@param options { config: table, control: table, log: fun(level: string, text: string) }
---@return table|nil app handle(request), tick(), stop()
---@return { where: string, text: string }|nil
function M.start(options)
  local config, control, log = options.config, options.control, options.log
  local self = setmetatable({
    config = config,
    control = control,
    log = log,
    publisher = publish.new { control = control, log = log },
    last_good_path = config.data_dir .. "/last-good.json",
  }, Running)
  local ok, diag = configure_outgoing(control, config.outgoing)
  if not ok then return nil, diag end
  -- Without the right keys there is no second way: the last good snapshot is sealed with the same ones.
  local final
  ok, diag, final = start_with_store(self, config)
  if not ok and config.serve_without_store and not final then ok, diag = start_without_store(self, config, diag) end
  if not ok then return nil, diag end
  self.app = admin.new { store = self.store, control = control, publisher = self.publisher, log = log,
    limits = limits_of(config), sends_mail = config.alerts ~= nil and config.alerts.sendmail[1] ~= nil }
  self.duties = duties.new(self.store and duties.ALL or {}, self)
  return self
end

--- Answers one request of the admin API.
---@param request moongate.admin.request
---@return integer status
---@return table[] headers list of { name, value }
---@return string body
function Running:handle(request)
  return self.app:handle(request)
end

-- What came of writing the last good snapshot. What changed while it was written is the next one's.
local function note_saved(self, ok, err)
  if ok then
    self.save_failed = nil
    return
  end
  self.publisher.changed = true
  if not self.save_failed then
    -- Once, not every second while the disk is full.
    self.save_failed = true
    self.log("error", ("last good snapshot: %s cannot be written: %s"):format(self.last_good_path,
      tostring(type(err) == "table" and err.text or err)))
  end
end

-- Begins to write it when something has changed. Much of the work is done a little in each tick, the rest by another thread: with
-- a hundred thousand hostnames this thread would be away for a second.
local function save(self)
  if self.saving or not self.publisher.changed then return end
  local parts, generation = self.publisher:parts(PARTS_SECONDS), self.publisher.generation
  if not parts then return end
  self.saving, self.publisher.changed = true, false
  self.control.task(function()
    local ok, err = last_good.save(self.control, self.last_good_path, parts, generation)
    self.saving = false
    note_saved(self, ok, err)
  end)
end

--- To be called about once a second: writes the last good snapshot when something has changed, and begins what is due.
function Running:tick()
  save(self)
  self.duties:tick()
end

--- The end: writes what is still to be written and lets the store go.
function Running:stop()
  -- One that is under way might fail, or take the place of the last one: it is waited for, and written again.
  if self.saving then self.control.await_saves() end
  if self.saving or self.publisher.changed then
    self.publisher.changed = false
    note_saved(self, last_good.write(self.control, self.last_good_path, self.publisher:parts(), self.publisher.generation))
  end
  if self.store then self.store:close() end
  self.store, self.app.store = nil, nil
end

return M
