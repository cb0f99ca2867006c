--- moongate.cli.api — calls of the admin API: a method, a path and a body go in, the result of the envelope comes out.
--
-- Made by moongate.cli.session for one command. A failure is a table with a text for people, which says what could be
-- done about it; lists are fetched page by page. Whoever asks for patience waits when the gateway says how long. Knows
-- the envelope and no resource; never prints a token.

local json = require "moongate.json"

local M = {}

local PAGES = 100000 -- of one list
local WAITS, WAIT_SECONDS = 20, 300

local Api = {}
Api.__index = Api

---@class moongate.cli.failure
---@field text string for people, without a line end
---@field status integer|nil of the answer, when there was one
---@field code integer|nil of the first error

---@param target moongate.cli.target
---@param transport table as of moongate.cli.http
---@param host { note: fun(text: string), sleep: fun(seconds: integer) }
---@return table
function M.new(target, transport, host)
  return setmetatable({ target = target, transport = transport, host = host, headers = {
    "Authorization: Bearer " .. target.token, "Content-Type: application/json", "Accept: application/json", "Expect:",
  } }, Api)
end

--- Waits from now on, within reason, when there were too many requests, instead of giving up.
function Api:be_patient() self.patient = true end

--- Keeps the messages of answers to itself from now on: what many calls do together is another matter than each alone.
function Api:be_quiet() self.quiet = true end

--- A part of a path or a query.
---@param text string
---@return string
function M.escape(text)
  return (tostring(text):gsub("[^%w._~*-]", function(char) return ("%%%02X"):format(char:byte()) end))
end

local function with_query(path, query)
  local names, parts = {}, {}
  for name in pairs(query or {}) do names[#names + 1] = name end
  table.sort(names)
  for index, name in ipairs(names) do parts[index] = M.escape(name) .. "=" .. M.escape(query[name]) end
  return parts[1] and path .. "?" .. table.concat(parts, "&") or path
end

-- One line for each error of an answer, deeper reasons behind it.
local function lines_of(errors)
  local lines = {}
  for _, one in ipairs(json.is_array(errors) and errors or {}) do
    local line = tostring(one.message)
    if type(one.code) == "number" then line = ("%s (%d)"):format(line, one.code) end
    local source = one.source
    if json.is_object(source) and source.pointer then line = line .. " at " .. tostring(source.pointer) end
    for _, link in ipairs(json.is_array(one.error_chain) and one.error_chain or {}) do
      line = line .. ": " .. tostring(link.message)
    end
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n  ")
end

-- What could be done about a status; the errors follow.
local function advice(status, code, method, path)
  if status == 401 or status == 403 and code == 9109 or status == 400 and code == 6003 then
    return "the gateway does not accept this token here"
  end
  if status == 403 then return ("this token may not do %s %s"):format(method, path) end
  if status == 404 then return ("not found: %s %s"):format(method, path) end
  if status == 429 then return "too many requests, or too many failed attempts" end
  if status >= 500 then return ("the gateway cannot do %s %s now"):format(method, path) end
  return ("%s %s was refused"):format(method, path)
end

local function refusal(response, envelope, method, path)
  local first = json.is_array(envelope.errors) and envelope.errors[1] or {}
  local text = advice(response.status, first.code, method, path)
  if response.status == 429 and response.retry_after then
    text = ("%s; wait %d seconds"):format(text, response.retry_after)
  end
  return { text = text .. ":\n  " .. lines_of(envelope.errors), status = response.status,
    code = type(first.code) == "number" and first.code or nil }
end

local ADVICE = {
  unreachable = "no gateway answers at %s; is it running? (%s)",
  late = "the gateway at %s did not answer in time (%s)",
  untrusted = "the certificate of %s is not trusted; give its CA with --cacert, or the name that it is made for (%s)",
  other = "talking to %s failed: %s",
}

function Api:send(method, path, body)
  local request = { method = method, url = self.target.base .. path, headers = self.headers, body = body }
  local waited = 0
  while true do
    local response, failure = self.transport:request(request)
    if not response then
      return nil, { text = ADVICE[failure.kind]:format(self.target.base, failure.text) }
    end
    local wait = response.status == 429 and response.retry_after
    if not wait or not self.patient or waited == WAITS or wait > WAIT_SECONDS then return response end
    waited = waited + 1
    self.host.note(("the gateway asks to wait %d seconds"):format(wait))
    self.host.sleep(wait)
  end
end

--- One call.
---@param method string
---@param path string below the base path, its parts escaped
---@param body table|nil sent as JSON
---@param query table<string, string|integer|boolean>|nil
---@return table|nil envelope an empty one for an answer without a body
---@return moongate.cli.failure|nil
function Api:call(method, path, body, query)
  local response, failure = self:send(method, with_query(path, query), body and json.encode(body))
  if not response then return nil, failure end
  if response.status == 204 then return {} end
  local envelope = json.decode(response.body, { max_depth = 64, exact_integers = true })
  if not json.is_object(envelope) or type(envelope.success) ~= "boolean" then
    return nil, { text = ("what answers at %s is not the admin API: status %d and no envelope"):format(self.target.base,
      response.status) }
  end
  if not envelope.success then return nil, refusal(response, envelope, method, path) end
  for _, message in ipairs(not self.quiet and json.is_array(envelope.messages) and envelope.messages or {}) do
    self.host.note(tostring(message.message))
  end
  return envelope
end

--- One call, of which only the result matters.
---@return any result nil on failure only; json.null for none
---@return moongate.cli.failure|nil
function Api:ask(method, path, body, query)
  local envelope, failure = self:call(method, path, body, query)
  if not envelope then return nil, failure end
  if envelope.result == nil then return json.null end
  return envelope.result
end

local function next_page(query, info)
  if not json.is_object(info) then return false end
  local after = info.cursor or json.is_object(info.cursors) and info.cursors.after
  if type(after) == "string" and after ~= "" then
    query.cursor = after
    return true
  end
  if type(info.page) == "number" and type(info.total_pages) == "number" and info.page < info.total_pages then
    query.page = info.page + 1
    return true
  end
  return false
end

--- Everything that a list has.
---@param path string
---@param query table|nil
---@return table[]|nil
---@return moongate.cli.failure|nil
function Api:list(path, query)
  local asked, all = { per_page = 500 }, json.array {}
  for name, value in pairs(query or {}) do asked[name] = value end
  for _ = 1, PAGES do
    local envelope, failure = self:call("GET", path, nil, asked)
    if not envelope then return nil, failure end
    if not json.is_array(envelope.result) then return nil, { text = ("%s is no list"):format(path) } end
    for _, element in ipairs(envelope.result) do all[#all + 1] = element end
    if not next_page(asked, envelope.result_info) then return all end
  end
  return nil, { text = ("the list %s does not end"):format(path) }
end

return M
