-- moongate.body_fields: fields of the rules language that are read out of the request's body: the raw bytes, forms and multipart parts.
--
-- Rows of fields.lua's one list. Rules see at most the first 128 KiB (core/gate/inspect.h); a host whose rules use one of these
-- fields waits for that much of a body before it decides, every other host never does. Values are not decoded. What is no form
-- has no form fields: the maps and arrays are empty.

local M = {}

local find, lower, sub = string.find, string.lower, string.sub

local EMPTY = { n = 0 }

local function append(map, name, value)
  local list = map[name]
  if list then
    list.n = list.n + 1
    list[list.n] = value
  else
    map[name] = { value, n = 1 }
  end
end

--- Names and values of an urlencoded form, in order, not decoded.
---@param text string
---@return { map: table, names: table, values: table }
function M.form(text)
  local map, names, values, n = {}, {}, {}, 0
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    n = n + 1
    names[n], values[n] = name or pair, value or ""
    append(map, names[n], values[n])
  end
  names.n, values.n = n, n
  return { map = map, names = names, values = values }
end

-- A parameter of a header value: name="quoted" or name=token.
local function parameter(value, name)
  local quoted = value:match(";%s*" .. name .. '%s*=%s*"([^"]*)"')
  return quoted or value:match(";%s*" .. name .. "%s*=%s*([^;%s]+)")
end

local function read_part(text)
  local head, body = text:match("^(.-)\r\n\r\n(.*)$")
  if not head then return nil end
  local part = { value = body, headers = {} }
  local start = 1
  while start <= #head do -- line by line: a pattern over all of it would be quadratic for a stranger's line without a colon
    local stop = find(head, "\r\n", start, true) or #head + 1
    local name, value = sub(head, start, stop - 1):match("^([^:]+):[ \t]*(.*)$")
    if name then part.headers[lower(name)] = value end
    start = stop + 2
  end
  local disposition = part.headers["content-disposition"] or ""
  part.name, part.filename = parameter(disposition, "name"), parameter(disposition, "filename")
  return part
end

local COLUMNS = {
  names = function(part) return part.name end,
  content_types = function(part) return part.headers["content-type"] end,
  content_dispositions = function(part) return part.headers["content-disposition"] end,
  content_transfer_encodings = function(part) return part.headers["content-transfer-encoding"] end,
  filenames = function(part) return part.filename end,
}

--- The parts of a multipart body (RFC 7578), as columns.
---@param text string
---@param content_type string
---@return table<string, table>
function M.multipart(text, content_type)
  local out = { map = {}, values = { n = 0 } }
  for column in pairs(COLUMNS) do out[column] = { n = 0 } end
  local boundary = lower(content_type):find("^multipart/form%-data") and parameter(content_type, "boundary")
  if not boundary or boundary == "" then return out end
  local mark, start = "\r\n--" .. boundary, 1
  text = "\r\n" .. text
  local first, last = find(text, mark, start, true)
  while first do
    local following = sub(text, last + 1, last + 2)
    if following == "--" then break end
    local next_first, next_last = find(text, mark, last + 1, true)
    local part = following == "\r\n" and read_part(sub(text, last + 3, (next_first or #text + 1) - 1))
    if part then
      local n = out.values.n + 1
      out.values.n, out.values[n] = n, part.value
      for column, get in pairs(COLUMNS) do
        local value = get(part)
        out[column].n = n
        out[column][n] = value and { value, n = 1 } or EMPTY
      end
      if part.name then append(out.map, part.name, part.value) end
    end
    first, last = next_first, next_last
  end
  return out
end

local function body(head)
  return head.read(head.facts.body.data, head.facts.body.len)
end

local function content_type(head)
  local list = head:get("headers")["content-type"]
  return list and list[1] or ""
end

--- How the view of a request (http_fields.lua) makes what these fields share.
M.make = {
  body = body,
  form = function(head)
    local is_form = lower(content_type(head)):find("^application/x%-www%-form%-urlencoded")
    return M.form(is_form and head:get "body" or "")
  end,
  multipart = function(head) return M.multipart(head:get "body", content_type(head)) end,
}

local function of(name, part)
  return function(head) return head:get(name)[part] end
end

local LISTS = "Array<Array<String>>"

---@type { name: string, type: string, help: string, get: fun(head: moongate.http_fields.Head): any }[]
M.list = {
  { name = "http.request.body.raw", type = "String", get = function(head) return head:get "body" end, help = "The body's first 128 KiB." },
  {
    name = "http.request.body.truncated", type = "Boolean",
    get = function(head) return head.facts.body_size > head.facts.body.len end,
    help = "True when the body is longer than the rules can see.",
  },
  {
    name = "http.request.body.size", type = "Integer", get = function(head) return tonumber(head.facts.body_size) end,
    help = "The body's size in bytes, as announced; of a chunked one as far as it has come.",
  },
  { name = "http.request.body.form", type = "Map<Array<String>>", get = of("form", "map"), help = "Values of an urlencoded form by name." },
  { name = "http.request.body.form.names", type = "Array<String>", get = of("form", "names"), help = "Names in a form, in order." },
  { name = "http.request.body.form.values", type = "Array<String>", get = of("form", "values"), help = "Values in a form, in order." },
  {
    name = "http.request.body.multipart", type = "Map<Array<String>>", get = of("multipart", "map"),
    help = "Values of a multipart form by name.",
  },
  {
    name = "http.request.body.multipart.values", type = "Array<String>", get = of("multipart", "values"),
    help = "Values of the parts, in order.",
  },
}

for column, what in pairs {
  names = "Names", content_types = "Content types", content_dispositions = "Content dispositions",
  content_transfer_encodings = "Transfer encodings", filenames = "File names",
} do
  M.list[#M.list + 1] = {
    name = "http.request.body.multipart." .. column, type = LISTS, get = of("multipart", column),
    help = what .. " of the parts: one list for each part.",
  }
end
table.sort(M.list, function(a, b) return a.name < b.name end)

return M
