--- moongate.admin.limiter — counts failed authentications, per address and in all, in fixed windows.
--
-- Owned by one application (admin/init.lua). The table of addresses is bounded: when it is full, the oldest window makes
-- room, and the count of all failures still holds. It only ever slows down failures; a good credential is never locked out,
-- or a stranger on the same address could lock out its owner.

local M = {}

local Limiter = {}
Limiter.__index = Limiter

---@param options { window: number|nil, per_address: integer|nil, in_all: integer|nil, addresses: integer|nil }|nil seconds, counts
---@return table limiter
function M.new(options)
  options = options or {}
  return setmetatable({
    window = options.window or 60,
    per_address = options.per_address or 20,
    in_all = options.in_all or 1000,
    addresses = options.addresses or 4096,
    entries = {}, -- address → { start, count }
    size = 0,
    all = { start = -math.huge, count = 0 },
  }, Limiter)
end

local function count_in(self, entry, now)
  if now - entry.start >= self.window or now < entry.start then
    entry.start, entry.count = now, 0
  end
  entry.count = entry.count + 1
  return entry.count
end

local function make_room(self, now)
  local oldest, oldest_start
  for address, entry in pairs(self.entries) do
    if now - entry.start >= self.window then
      self.entries[address] = nil
      self.size = self.size - 1
    elseif not oldest or entry.start < oldest_start then
      oldest, oldest_start = address, entry.start
    end
  end
  if self.size >= self.addresses and oldest then
    self.entries[oldest] = nil
    self.size = self.size - 1
  end
end

--- Counts one failure.
---@param address string
---@param now number seconds
---@return integer|nil seconds to wait when this failure is one too many, else nil
function Limiter:failed(address, now)
  local entry = self.entries[address]
  if not entry then
    if self.size >= self.addresses then make_room(self, now) end
    entry = { start = now, count = 0 }
    self.entries[address] = entry
    self.size = self.size + 1
  end
  local mine, all = count_in(self, entry, now), count_in(self, self.all, now)
  if mine > self.per_address then return math.ceil(self.window - (now - entry.start)) end
  if all > self.in_all then return math.ceil(self.window - (now - self.all.start)) end
  return nil
end

return M
