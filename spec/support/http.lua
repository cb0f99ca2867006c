-- The HTTP floor as a spec wants to say it: strings in, plain tables out. Used by spec/core/http only.

local ffi = require "ffi"
local unit = require "spec.support.unit"

local M = {}

M.C = unit.load { "base/str.h", "base/buf.h", "base/hostname.h", "http/head.h", "http/parse.h", "http/target.h",
  "http/body.h", "http/write.h" }
local C = M.C

local FRAMING = { [0] = "none", "length", "chunked", "until close" }

---@param overrides table<string, integer>|nil
---@return ffi.cdata* limits the defaults with some of them changed
function M.limits(overrides)
  local limits = ffi.new("struct moon_http_limits[1]")
  C.moon_http_limits_init(limits)
  for name, value in pairs(overrides or {}) do limits[0][name] = value end
  return limits
end

--- One scan from the start.
---@return integer result as moon_http_scan
---@return integer scanned
function M.scan(bytes, limits, portable)
  local scanned = ffi.new("size_t[1]")
  local scan = portable and C.moon_http_scan_portable or C.moon_http_scan
  return scan(unit.str(bytes), scanned, limits or M.limits()), tonumber(scanned[0])
end

--- The answer to bytes that arrive one by one: each time a longer piece, the same `scanned`.
function M.scan_growing(bytes, limits, portable)
  local scanned = ffi.new("size_t[1]")
  local scan = portable and C.moon_http_scan_portable or C.moon_http_scan
  limits = limits or M.limits()
  for length = 0, #bytes do
    -- A copy of exactly that length, so that reading past it is seen by a sanitizer.
    local result = scan(unit.str(bytes:sub(1, length)), scanned, limits)
    if result ~= 0 then return result end
  end
  return 0
end

local function describe(head)
  local fields = {}
  for i = 0, tonumber(head.field_count) - 1 do
    fields[i + 1] = { unit.text(head.fields[i].name), unit.text(head.fields[i].value) }
  end
  return {
    method = unit.text(head.method), target = unit.text(head.target), host = unit.text(head.host),
    status = head.status, reason_phrase = unit.text(head.reason), minor_version = head.minor_version, fields = fields,
    framing = FRAMING[tonumber(head.framing)], content_length = tonumber(head.content_length),
    keep_alive = head.keep_alive, expect_continue = head.expect_continue, upgrade_websocket = head.upgrade_websocket,
    raw = head,
  }
end

--- Scan and parse of a whole request, as the gateway does it.
---@param bytes string
---@return integer status 0, or the status of the refusal
---@return table head when 0, else the reason
function M.request(bytes, limits)
  limits = limits or M.limits()
  local length = M.scan(bytes, limits)
  if length < 0 then return -length, "scan" end
  if length == 0 then return -1, "incomplete" end
  return M.parse_request(bytes:sub(1, length), limits)
end

function M.parse_request(bytes, limits)
  local head, reason = ffi.new("struct moon_http_head[1]"), ffi.new("const char *[1]")
  local status = C.moon_http_parse_request(head, unit.str(bytes), limits or M.limits(), reason)
  if status ~= 0 then return status, ffi.string(reason[0]) end
  local told = describe(head[0])
  told.bytes, told.box = bytes, head -- kept alive: the views point into them
  return 0, told
end

--- Scan and parse of a response head; a refusal of the scan is 502, as its callers make it.
function M.response(bytes, to_head, limits)
  limits = limits or M.limits()
  local length = M.scan(bytes, limits)
  if length < 0 then return 502, "scan" end
  if length == 0 then return -1, "incomplete" end
  return M.parse_response(bytes:sub(1, length), to_head, limits)
end

function M.parse_response(bytes, to_head, limits)
  local head, reason = ffi.new("struct moon_http_head[1]"), ffi.new("const char *[1]")
  local status = C.moon_http_parse_response(head, unit.str(bytes), limits or M.limits(), to_head or false, reason)
  if status ~= 0 then return status, ffi.string(reason[0]) end
  local told = describe(head[0])
  told.bytes, told.box = bytes, head
  return 0, told
end

--- Target and effective host of a request.
---@return integer status
---@return table|string target or reason
function M.target(bytes, tls)
  local status, head = M.request(bytes)
  if status ~= 0 then return status, head end
  local target, reason = ffi.new("struct moon_http_target[1]"), ffi.new("const char *[1]")
  status = C.moon_http_read_target(target, head.box, tls or false, reason)
  if status ~= 0 then return status, ffi.string(reason[0]) end
  local t = target[0]
  return 0, {
    host = ffi.string(t.host, t.host_len), port = t.port, uri = unit.text(t.uri), path = unit.text(t.path),
    query = unit.text(t.query), has_query = t.has_query,
  }
end

--- Reads a body that arrives in the given pieces.
---@param framing integer
---@param content_length integer
---@param pieces string[]
---@return table { payload, done, error, rest, spans, eof }
function M.body(framing, content_length, pieces)
  local body = ffi.new("struct moon_http_body[1]")
  local input, payload = ffi.new("struct moon_str[1]"), ffi.new("struct moon_str[1]")
  C.moon_http_body_init(body, framing, content_length)
  local told, parts, rest = { spans = 0 }, {}, {}
  for _, piece in ipairs(pieces) do
    input[0] = unit.str(piece)
    while not told.error and not body[0].done and input[0].len > 0 do
      local before = input[0].len
      local code = C.moon_http_body_read(body, input, payload)
      if code ~= 0 then told.error = code end
      if payload[0].len > 0 then
        parts[#parts + 1] = unit.text(payload[0])
        told.spans = told.spans + 1
      end
      assert(code ~= 0 or input[0].len < before, "a step that reads nothing")
    end
    if not told.error then rest[#rest + 1] = ffi.string(input[0].data, input[0].len) end
  end
  told.payload, told.rest, told.done = table.concat(parts), table.concat(rest), body[0].done
  told.counted = tonumber(body[0].payload)
  told.eof = C.moon_http_body_eof(body)
  return told
end

return M
