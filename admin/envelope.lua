--- moongate.admin.envelope — the one place that writes an answer of the admin API: status, headers, and the JSON
--- envelope.
--
-- Called by admin/init.lua with what a handler returned. All four keys are always present, `errors` and `messages`
-- are arrays even when empty, a failure has no `result_info`, and a 204 has no body. The server adds Date, CF-Ray and
-- lengths.

local json = require "moongate.json"

local M = {}

local function headers_of(more)
  local headers = {
    { "Content-Type", "application/json" },
    { "Cache-Control", "no-store" },
    { "X-Content-Type-Options", "nosniff" },
  }
  for _, header in ipairs(more or {}) do headers[#headers + 1] = header end
  return headers
end

local function notice(message)
  return json.object { code = message.code, message = message.message, type = message.type }
end

local function shown(err)
  local object = json.object { code = err.code, message = err.message }
  if err.pointer then object.source = json.object { pointer = err.pointer } end
  if err.chain then
    local chain = json.array {}
    for index, link in ipairs(err.chain) do
      chain[index] = json.object { code = link.code, message = link.message }
    end
    object.error_chain = chain
  end
  return object
end

---@class moongate.admin.answer
---@field result any nil means null
---@field messages table[]|nil list of { code, message, type }
---@field result_info table|nil lists only
---@field status integer|nil 200 when absent; 204 sends nothing
---@field beside table|nil members that stand beside `result`, for clients that do not unwrap it

---@param answer moongate.admin.answer
---@param more table[]|nil further headers
---@return integer status
---@return table[] headers list of { name, value }
---@return string body
function M.success(answer, more)
  if answer.status == 204 then return 204, more or {}, "" end
  local messages = json.array {}
  for index, message in ipairs(answer.messages or {}) do messages[index] = notice(message) end
  local result = answer.result
  if result == nil then result = json.null end
  local body = json.object { success = true, errors = json.array {}, messages = messages, result = result }
  for name, value in pairs(answer.beside or {}) do body[name] = value end
  if answer.result_info then body.result_info = json.object(answer.result_info) end
  return answer.status or 200, headers_of(more), json.encode(body)
end

---@param errors moongate.admin.error[] at least one
---@param more table[]|nil further headers
---@return integer status
---@return table[] headers
---@return string body
function M.failure(errors, more)
  local list, headers = json.array {}, headers_of(more)
  for index, err in ipairs(errors) do list[index] = shown(err) end
  if errors[1].retry_after then headers[#headers + 1] = { "Retry-After", ("%d"):format(errors[1].retry_after) } end
  if errors[1].allow then headers[#headers + 1] = { "Allow", errors[1].allow } end
  local body = json.object { success = false, errors = list, messages = json.array {}, result = json.null }
  return errors[1].status, headers, json.encode(body)
end

return M
