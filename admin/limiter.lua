--- moongate.admin.limiter — how often: failed authentications per address and in all, requests per user and per
--- address.
--
-- Owned by one application (admin/init.lua), asked by admin/auth.lua. Counts in fixed windows that begin with the
-- first event. Every table of windows is bounded: when it is full, the oldest window makes room, and the count of all
-- failures still holds. Failures only ever slow down failures: a good credential is never locked out by them, or a
-- stranger on the same address could lock out its owner. Knows neither identities nor answers.

local M = {}

local ROOM = 4096 -- windows in a table

local Windows = {}
Windows.__index = Windows

local function new_windows(span, room)
  return setmetatable({ span = span, room = room, entries = {}, size = 0 }, Windows)
end

-- A window is over when its time is, when its punishment is, and when the clock went back.
local function is_over(entry, span, now)
  return now >= (entry.blocked_until or entry.start + span) or now < entry.start
end

function Windows:make_room(now)
  local oldest, oldest_start
  for key, entry in pairs(self.entries) do
    if is_over(entry, self.span, now) then
      self.entries[key] = nil
      self.size = self.size - 1
    elseif not oldest or entry.start < oldest_start then
      oldest, oldest_start = key, entry.start
    end
  end
  if self.size >= self.room and oldest then
    self.entries[oldest] = nil
    self.size = self.size - 1
  end
end

-- The window of a key after one more event.
function Windows:count(key, now)
  local entry = self.entries[key]
  if not entry then
    if self.size >= self.room then self:make_room(now) end
    entry = { start = now, count = 0 }
    self.entries[key] = entry
    self.size = self.size + 1
  elseif is_over(entry, self.span, now) then
    entry.start, entry.count, entry.blocked_until = now, 0, nil
  end
  entry.count = entry.count + 1
  return entry
end

local function rest(entry, span, now)
  return math.ceil((entry.blocked_until or entry.start + span) - now)
end

local Limiter = {}
Limiter.__index = Limiter

---@class moongate.admin.limits
---@field window number|nil seconds in which failures are counted; 60
---@field per_address integer|nil failures of one address in it; 100
---@field in_all integer|nil failures of all addresses in it; 1000
---@field noted integer|nil failures in it that are worth a row in the audit log; 30
---@field addresses integer|nil windows that are kept; 4096
---@field requests_window number|nil seconds in which a user's requests count, and of the pause after too many; 300
---@field requests integer|nil requests of one user in it; 1200, 0 sets no limit
---@field requests_per_second integer|nil requests of one address in a second; 200, 0 sets no limit

---@param options moongate.admin.limits|nil
---@return table limiter
function M.new(options)
  options = options or {}
  local window, room = options.window or 60, options.addresses or ROOM
  return setmetatable({
    per_address = options.per_address or 100,
    in_all = options.in_all or 1000,
    noted = options.noted or 30,
    requests = options.requests or 1200,
    requests_per_second = options.requests_per_second or 200,
    failures = new_windows(window, room),
    all = new_windows(window, 2), -- `failed`, `noted`
    users = new_windows(options.requests_window or 300, room),
    addresses = new_windows(1, room),
  }, Limiter)
end

-- The first failure of an address and the one that throttles it tell the story; the bound keeps strangers from
-- writing the audit log full.
local function is_noteworthy(self, mine, now)
  if mine.count ~= 1 and mine.count ~= self.per_address + 1 then return false end
  return self.all:count("noted", now).count <= self.noted
end

--- Counts one failed authentication.
---@param address string
---@param now number seconds
---@return integer|nil wait seconds to wait when this failure is one too many, else nil
---@return boolean noteworthy it should leave a row in the audit log
function Limiter:failed(address, now)
  local mine, all = self.failures:count(address, now), self.all:count("failed", now)
  local noteworthy = is_noteworthy(self, mine, now)
  if mine.count > self.per_address then return rest(mine, self.failures.span, now), noteworthy end
  if all.count > self.in_all then return rest(all, self.all.span, now), noteworthy end
  return nil, noteworthy
end

---@class moongate.admin.rate
---@field limit integer requests in a window
---@field remaining integer of them
---@field reset number UNIX seconds at which the window ends

--- Counts one request of a known user, or of an account for the tokens that it owns.
---@param user string
---@param address string
---@param now number seconds
---@return integer|nil wait seconds to wait when this request is one too many, else nil
---@return moongate.admin.rate|nil rate nil when users have no limit
function Limiter:request(user, address, now)
  local wait
  local a_second = self.requests_per_second
  if a_second > 0 and self.addresses:count(address, now).count > a_second then wait = 1 end
  if self.requests == 0 then return wait, nil end
  local mine = self.users:count(user, now)
  if mine.count > self.requests and not mine.blocked_until then mine.blocked_until = now + self.users.span end
  if mine.blocked_until then wait = rest(mine, self.users.span, now) end
  return wait, {
    limit = self.requests, remaining = math.max(0, self.requests - mine.count),
    reset = mine.blocked_until or mine.start + self.users.span,
  }
end

return M
