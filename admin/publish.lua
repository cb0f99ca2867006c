--- moongate.admin.publish — from the store to what the workers serve: build, rehearse, commit, publish, in that order.
--
-- One publisher belongs to one application. admin/init.lua calls `rehearse` inside the store's transaction, so that
-- nothing is stored which cannot be served, and `release` after the commit, before it answers. Sections of unchanged
-- zones are kept by zone and generation: a change costs its own zone. Never publishes what is not committed.

local document = require "moongate.admin.document"
local errors = require "moongate.admin.errors"
local last_good = require "moongate.admin.last_good"

local M = {}

local Publisher = {}
Publisher.__index = Publisher

---@param host { control: table, log: fun(level: string, text: string) }
---@return table publisher
function M.new(host)
  return setmetatable({
    control = host.control,
    log = host.log,
    zones = {}, -- zone id → { name, generation, section, document until there is a part, part }
    generation = 0,
    changed = false, -- something was published since the last good snapshot was written
  }, Publisher)
end

local function ordered_sections(zones)
  local ids = {}
  for id in pairs(zones) do ids[#ids + 1] = id end
  table.sort(ids)
  local sections = {}
  for index, id in ipairs(ids) do sections[index] = zones[id].section end
  return sections
end

local function entry_for(self, zone, built)
  local section, diag = self.control.section(built)
  if not section then return nil, diag end
  return { name = zone.name, generation = zone.generation, section = section, document = built }
end

local function unservable(diag)
  diag = diag or { where = "snapshot", text = "it cannot be built" }
  return errors.fail("unservable", tostring(diag.where), tostring(diag.text))
end

local function snapshot_of(self, generation, zones)
  local snapshot, diag = self.control.snapshot(generation, ordered_sections(zones))
  if not snapshot then return nil, diag end
  return { generation = generation, snapshot = snapshot, zones = zones }
end

--- Builds what would be served if the transaction were committed now. Changes nothing.
---@param tx table a writing transaction, with its touched and removed zones
---@return table|nil pending for release()
---@return moongate.admin.error[]|nil
function Publisher:rehearse(tx)
  local generation = tx:generation()
  local zones = {}
  for id, entry in pairs(self.zones) do
    if not tx.removed[id] then zones[id] = entry end
  end
  local memo = {}
  for id in pairs(tx.touched) do
    local zone = tx:one("SELECT id, name, generation FROM zones WHERE id = ?", id)
    local entry, diag = entry_for(self, zone, document.build(tx, zone, memo))
    if not entry then return nil, unservable(diag) end
    zones[id] = entry
  end
  local pending, diag = snapshot_of(self, generation, zones)
  if not pending then return nil, unservable(diag) end
  return pending
end

--- Hands a rehearsed snapshot to the workers and waits until every one of them serves it. Call after the commit only.
---@param pending table
---@return true|nil
---@return moongate.admin.error[]|nil the change is stored, but not served everywhere
function Publisher:release(pending)
  self.zones, self.generation, self.changed = pending.zones, pending.generation, true
  local ok, err = self.control.publish(pending.snapshot)
  if ok then return true end
  local text = type(err) == "table" and err.text or tostring(err)
  self.log("error", ("publish: generation %d is stored but not served everywhere: %s"):format(pending.generation, text))
  local one = errors.new("not_served", text)
  one.retry_after = 1
  return nil, { one }
end

-- A zone that cannot be built any more (a newer library refuses its CA, say) must not take the others
-- down and must not be open: it is served as a zone in which everything is blocked.
local function entry_at_start(self, zone, built)
  local entry, diag = entry_for(self, zone, built)
  if entry then return entry end
  self.log("error", ("zone %s cannot be served and blocks every request: %s: %s"):format(zone.name,
    tostring(diag and diag.where), tostring(diag and diag.text)))
  return entry_for(self, zone, document.sealed(zone))
end

local function serve(self, generation, zones)
  local pending, diag = snapshot_of(self, generation, zones)
  if not pending then return nil, diag or { where = "snapshot", text = "it cannot be built" } end
  local ok, failure = self:release(pending)
  if not ok then return nil, { where = "publish", text = failure[1].message } end
  return true
end

local function serve_all(self, generation, list, documents)
  local held, zones = self.control.prepare(documents), {}
  for index, zone in ipairs(list) do
    local entry, diag = entry_at_start(self, zone, documents[index])
    if not entry then return nil, diag end
    zones[zone.id] = entry
  end
  local ok, diag = serve(self, generation, zones)
  return held and ok, diag
end

--- Builds everything that the store holds and publishes it. Once, at start.
---@param store table
---@return true|nil
---@return { where: string, text: string }|nil
function Publisher:load(store)
  local list, documents, generation = nil, {}, nil
  local ok, failure = store:read(function(tx)
    generation, list = tx:generation(), tx:all("SELECT id, name, generation FROM zones")
    local memo = {}
    for index, zone in ipairs(list) do documents[index] = document.build(tx, zone, memo) end
    return true
  end)
  if not ok then return nil, { where = failure.where or "store", text = failure.text } end
  return serve_all(self, generation, list, documents)
end

--- Publishes documents that come from the last good snapshot instead of the store.
---@param generation integer
---@param documents table[]
---@return true|nil
---@return { where: string, text: string }|nil
function Publisher:adopt(generation, documents)
  local list = {}
  for index, built in ipairs(documents) do
    list[index] = { id = built.id, name = built.name, generation = built.version }
  end
  local ok, diag = serve_all(self, generation, list, documents)
  self.changed = false -- the file it came from is not written over by itself
  return ok, diag
end

--- What the last good snapshot on disk is made of, zone by zone in a fixed order. A zone's part is made once; its
--- document is not needed after that.
---@param seconds number|nil how long it may take to make missing parts; nil: as long as it takes
---@return table[]|nil parts (moongate.admin.last_good); nil: the time is up, and the next call goes on
function Publisher:parts(seconds)
  local ids = {}
  for id in pairs(self.zones) do ids[#ids + 1] = id end
  table.sort(ids)
  local parts, last = {}, seconds and self.control.now() + seconds
  for index, id in ipairs(ids) do
    local entry = self.zones[id]
    if not entry.part then
      if last and self.control.now() > last then return nil end
      entry.part = last_good.part(self.control, entry.document)
      entry.document = nil
    end
    parts[index] = entry.part
  end
  return parts
end

return M
