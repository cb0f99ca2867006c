--- moongate.admin.stamp — identifiers and times in the forms that the API shows.
--
-- Called by resources and auth. Randomness comes in as a function, time as UNIX seconds: this file has no source of
-- either.

local M = {}

local function hex(bytes)
  return (bytes:gsub(".", function(char) return ("%02x"):format(char:byte()) end))
end

M.hex = hex

--- 32 hex digits: accounts, zones, tokens, rulesets, rules.
---@param random fun(n: integer): string
---@return string
function M.hex_id(random)
  return hex(random(16))
end

--- A version 4 UUID (RFC 9562 section 5.4): certificates.
---@param random fun(n: integer): string
---@return string
function M.uuid(random)
  local digits = hex(random(16))
  local variant = ("89ab"):sub(tonumber(digits:sub(17, 17), 16) % 4 + 1):sub(1, 1)
  return ("%s-%s-4%s-%s%s-%s"):format(digits:sub(1, 8), digits:sub(9, 12), digits:sub(14, 16), variant,
    digits:sub(18, 20), digits:sub(21, 32))
end

---@param text any
---@return boolean
function M.is_hex_id(text)
  return type(text) == "string" and #text == 32 and not text:find("[^0-9a-f]")
end

---@param text any
---@return boolean
function M.is_uuid(text)
  return type(text) == "string" and #text == 36
    and text:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") ~= nil
    and not text:find("[A-F]")
end

--- The UUID that 32 hex digits stand for; any other text as it is.
---@param text string
---@return string
function M.as_uuid(text)
  if not M.is_hex_id(text) then return text end
  return (text:gsub("^(........)(....)(....)(....)(............)$", "%1-%2-%3-%4-%5"))
end

--- RFC 3339 in UTC with microseconds.
---@param now number UNIX seconds
---@return string
function M.micros(now)
  local whole = math.floor(now)
  local micros = math.floor((now - whole) * 1e6)
  return os.date("!%Y-%m-%dT%H:%M:%S", whole) .. (".%06dZ"):format(micros)
end

--- RFC 3339 in UTC, whole seconds.
---@param now number UNIX seconds
---@return string
function M.seconds(now)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(now))
end

--- The date of an HTTP header (RFC 9110 section 5.6.7).
---@param now number UNIX seconds
---@return string
function M.http_date(now)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(now))
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Days from 1970-01-01; nil for a day that no calendar has. Years from 1970 to 9999.
local function day_number(year, month, day)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local last = month == 2 and leap and 29 or DAYS[month]
  if year < 1970 or not last or day < 1 or day > last then return nil end
  local before = year - 1
  local days = (year - 1970) * 365 + math.floor(before / 4) - math.floor(before / 100) + math.floor(before / 400) - 477
  for index = 1, month - 1 do days = days + DAYS[index] end
  return days + (leap and month > 2 and 1 or 0) + day - 1
end

-- Seconds that a zone is ahead of UTC.
local function offset_of(text)
  if text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match("^([+-])(%d%d):(%d%d)$")
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then return nil end
  return (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

--- Reads a time in any form of RFC 3339 section 5.6, or a date, which is its first moment in UTC. From 1970 on; a leap
--- second is the first of the next minute.
---@param text any
---@return number|nil UNIX seconds
function M.read(text)
  if type(text) ~= "string" or #text > 64 then return nil end
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  local days = year and day_number(tonumber(year), tonumber(month), tonumber(day))
  if not days then return nil end
  if rest == "" then return days * 86400 end
  local hour, minute, second, fraction, zone = rest:match("^[Tt ](%d%d):(%d%d):(%d%d)(%.?%d*)([Zz+-].*)$")
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if not hour or hour > 23 or minute > 59 or second > 60 or fraction == "." then return nil end
  if fraction ~= "" and fraction:sub(1, 1) ~= "." then return nil end
  local offset = offset_of(zone)
  if not offset then return nil end
  local moment = days * 86400 + hour * 3600 + minute * 60 + second - offset
  if moment < 0 then return nil end
  return fraction == "" and moment or moment + tonumber("0" .. fraction)
end

return M
