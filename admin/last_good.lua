--- moongate.admin.last_good — the last good snapshot on disk: what was served, so that a start without the store can
--- serve it.
--
-- Called by admin/boot.lua: written beside the control thread's loop at most once a second, and at the end; read when the
-- store is out of reach and the configuration allows to serve without it. The file is one line of JSON and, on a second
-- line, the SHA-256 of the first one with its line end. Certificates, identities with their keys, revocation lists and the
-- items of lists are kept once and named by their hash. Private keys are in it as they are in the store, sealed; it holds
-- no tokens; mode 0600.

local json = require "moongate.json"
local stamp = require "moongate.admin.stamp"

local M = {}

local FORMAT = 2
local MAX_BYTES = 1024 * 1024 * 1024
local DIGEST = 64 -- hex digits on the second line

-- What zones share, each kind by hash.
local SHARED = { "certificates", "identities", "items", "revocation_lists" }

-- What many hosts of a zone share is one table in its document (moongate.admin.document), so each is turned once. What zones
-- share is kept as the text that stands in the file: a file is put together from texts only.
local function packers(control)
  local shared, packed = {}, {}
  for _, kind in ipairs(SHARED) do shared[kind] = {} end
  local function named(kind, text, value)
    local name = stamp.hex(control.sha256(text))
    shared[kind][name] = shared[kind][name] or ('"%s":'):format(name) .. json.encode(value)
    return name
  end
  local function trust_of(trust)
    if trust and not packed[trust] then
      local names = json.array {}
      for index, pem in ipairs(trust) do names[index] = named("certificates", pem, pem) end
      packed[trust] = names
    end
    return trust and packed[trust]
  end
  local function origin_of(origin)
    local client = origin and origin.client_certificate
    if not client then return origin end
    if not packed[origin] then
      local copy = {}
      for key, value in pairs(origin) do copy[key] = value end
      local text = table.concat({ client.certificates, client.private_key, client.context }, "\0")
      copy.client_certificate = named("identities", text, client)
      packed[origin] = copy
    end
    return packed[origin]
  end
  local function list_of(list)
    return json.object { kind = list.kind, items = named("items", list.items, list.items) }
  end
  local function options_of(options)
    local crls = options and options.crls
    if not crls then return options end
    local copy = json.object { denials = options.denials, crls = json.array {} }
    for index, list in ipairs(crls) do
      -- Large, and base64: there is nothing to escape, so nobody looks for it.
      shared.revocation_lists[list.digest] = ('"%s":"'):format(list.digest) .. list.text .. '"'
      copy.crls[index] = json.object {
        ca = named("certificates", list.ca, list.ca), digest = list.digest, soft = list.soft,
      }
    end
    return copy
  end
  return { trust = trust_of, origin = origin_of, list = list_of, options = options_of, shared = shared }
end

local function array_of(list)
  local array = json.array {}
  for index, element in ipairs(list) do array[index] = element end
  return array
end

-- The values of a map, each turned by `turn`; nil for no map.
local function each_of(map, turn)
  if not map then return nil end
  local turned = json.object {}
  for key, value in pairs(map) do turned[key] = turn(value) end
  return turned
end

-- What a host has besides its name; the free text at the end.
local HOST_FIELDS = {
  "trust", "origin", "forward", "resumption", "strict_sni", "usage", "https_only", "websockets", "true_client_ip", "tls", "guest",
  "metadata",
}

-- The hosts as the text of an array. What stands behind the name is equal for many, and the same tables: it is made once.
local function hosts_text(pack, hosts)
  local texts, known, key = {}, {}, {}
  for index, host in ipairs(hosts) do
    for position, field in ipairs(HOST_FIELDS) do key[position] = tostring(host[field]) end
    local combination = table.concat(key, " ")
    if not known[combination] then
      local rest = json.object {}
      for _, field in ipairs(HOST_FIELDS) do rest[field] = host[field] end
      rest.trust, rest.origin = pack.trust(host.trust), pack.origin(host.origin)
      local text = json.encode(rest):sub(2)
      known[combination] = (text == "}" and "" or ",") .. text
    end
    texts[index] = '{"name":' .. json.encode(host.name) .. known[combination]
  end
  return "[" .. table.concat(texts, ",") .. "]"
end

--- Turns the document of one zone into its part of the file. Costly for large zones, hence kept by the caller while
--- the zone stays as it is.
---@param control table
---@param document table
---@return { text: string, shared: table<string, table<string, string>> } part shared: kind → hash → text
function M.part(control, document)
  local pack = packers(control)
  local rest = json.encode(json.object {
    id = document.id, name = document.name, version = document.version,
    rules = array_of(document.rules), account_rules = document.account_rules and array_of(document.account_rules),
    firewall_rules = document.firewall_rules and array_of(document.firewall_rules),
    rulesets = each_of(document.rulesets, array_of), lists = each_of(document.lists, pack.list),
    certificates = document.certificates and json.array(document.certificates),
    trust_options = pack.options(document.trust_options), tls = document.tls,
  })
  return { text = '{"hosts":' .. hosts_text(pack, document.hosts) .. "," .. rest:sub(2), shared = pack.shared }
end

-- The first line of the file, in pieces.
local function first_line(control, parts, generation)
  local pieces = { ('{"format":%d,"generation":%d,"written_at":"%s","documents":{'):format(FORMAT, generation,
    stamp.seconds(control.now())) }
  for _, kind in ipairs(SHARED) do
    local seen, comma = {}, ""
    pieces[#pieces + 1] = ('"%s":{'):format(kind)
    for _, part in ipairs(parts) do
      for name, text in pairs(part.shared[kind]) do
        if not seen[name] then
          seen[name] = true
          pieces[#pieces + 1], pieces[#pieces + 2] = comma, text
          comma = ","
        end
      end
    end
    pieces[#pieces + 1] = "},"
  end
  pieces[#pieces + 1] = '"zones":['
  for index, part in ipairs(parts) do
    pieces[#pieces + 1], pieces[#pieces + 2] = index > 1 and "," or "", part.text
  end
  pieces[#pieces + 1] = "]}}\n"
  return pieces
end

---@param control table
---@param parts table[] what part() gave, one for each zone
---@param generation integer
---@return string text of the file
function M.encode(control, parts, generation)
  local line = table.concat(first_line(control, parts, generation))
  return line .. stamp.hex(control.sha256(line)) .. "\n"
end

local function unpack_hosts(document, certificates, identities)
  local unpacked = {}
  for _, host in ipairs(document.hosts) do
    if host.trust then
      local key = table.concat(host.trust, " ")
      if not unpacked[key] then
        local texts = {}
        for index, name in ipairs(host.trust) do
          texts[index] = certificates[name] or error("a certificate is missing", 0)
        end
        unpacked[key] = texts
      end
      host.trust = unpacked[key]
    end
    local client = host.origin and host.origin.client_certificate
    if client then host.origin.client_certificate = identities[client] or error("an identity is missing", 0) end
  end
end

local function unpack_lists(document, items)
  for _, list in pairs(document.lists or {}) do
    list.items = items[list.items] or error("the items of a list are missing", 0)
  end
end

local function unpack_options(document, certificates, texts)
  for _, list in ipairs(document.trust_options and document.trust_options.crls or {}) do
    list.ca = certificates[list.ca] or error("the CA of a revocation list is missing", 0)
    list.text = texts[list.digest] or error("a revocation list is missing", 0)
  end
end

--- Reads the text of a file that `encode` made.
---@param control table
---@param text string
---@return { generation: integer, written_at: string, documents: table[] }|nil
---@return string|nil reason
function M.decode(control, text)
  local line, digest = text:sub(1, -DIGEST - 2), text:sub(-DIGEST - 1, -2)
  local format, generation, written_at, body = line:match(
    '^{"format":(%d+),"generation":(%d+),"written_at":"([%d%-T:Z]+)",(.*)\n$')
  if not format then return nil, "it is not a snapshot, or it is cut off" end
  if tonumber(format) ~= FORMAT then return nil, ("it has format %s, this moongate knows %d"):format(format, FORMAT) end
  if stamp.hex(control.sha256(line)) ~= digest then return nil, "its checksum is wrong" end
  local decoded = json.decode("{" .. body)
  decoded = decoded and decoded.documents
  if not decoded then return nil, "it is not JSON" end
  for _, document in ipairs(decoded.zones) do
    local ok, err = pcall(unpack_hosts, document, decoded.certificates, decoded.identities or {})
    if ok then ok, err = pcall(unpack_lists, document, decoded.items or {}) end
    if ok then ok, err = pcall(unpack_options, document, decoded.certificates, decoded.revocation_lists or {}) end
    if not ok then return nil, tostring(err) end
  end
  return { generation = tonumber(generation), written_at = written_at, documents = decoded.zones }
end

--- Writes the file beside the loop of the control thread. Only from a task.
---@param control table
---@param path string
---@param parts table[]
---@param generation integer
---@return true|nil
---@return any reason
function M.save(control, path, parts, generation)
  return control.save_with_digest(path, first_line(control, parts, generation))
end

--- Writes the file and waits for it.
---@param control table
---@param path string
---@param parts table[]
---@param generation integer
---@return true|nil
---@return any reason
function M.write(control, path, parts, generation)
  return control.write_file_atomically(path, M.encode(control, parts, generation))
end

---@param control table
---@param path string
---@return { generation: integer, written_at: string, documents: table[] }|nil
---@return string|nil reason
function M.read(control, path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  local text = file:read(MAX_BYTES)
  file:close()
  if not text then return nil, path .. ": it is empty" end
  local snapshot, reason = M.decode(control, text)
  if not snapshot then return nil, path .. ": " .. reason end
  return snapshot
end

return M
