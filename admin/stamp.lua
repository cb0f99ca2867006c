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

return M
