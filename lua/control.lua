-- moongate.control: what the admin API may ask of the core: look into certificates, build and prove what will be served, publish
-- it, ask for its status.
--
-- Flat FFI functions below (core/script/control.h), plain Lua values and opaque handles above; on the control thread only.
-- A section is one zone, built and proven whole: trust sets, TLS terms, origins, rules. Things with equal content are built
-- once and shared while somebody holds them. C things are counted; the finalizer of each handle gives its count back.
-- What the world may get wrong comes back as nil and { where, text }; nothing here knows the store or HTTP.

local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
local fields = require "moongate.fields"
local managed_ca = require "moongate.managed_ca"
local reach = require "moongate.reach"
local section_rules = require "moongate.section_rules"
local secrets = require "moongate.secrets"
local server_certificates = require "moongate.server_certificates"
local tls_policies = require "moongate.tls_policies"
local trust_sets = require "moongate.trust_sets"

local C, ffi = bridge.C, bridge.ffi
local diag, refusal, refused, view = reach.diag, reach.refusal, reach.refused, reach.view

local M = {}

local CERTIFICATES_BYTES = 64 * 1024 -- MOON_CERTIFICATES_BYTES of core/tls/certificate.h
local CERTIFICATES_MAX = 32       -- MOON_CERTIFICATES_MAX of core/tls/certificate.h
local PUBLISH_DEADLINE_MS = 5000
local FIRST_DEADLINE_MS = 120000  -- at start every worker reads every section, and nobody waits for an answer
local FALLBACK_NAME = "moongate.invalid" -- for clients that name no host or one that nobody serves

-- Handles are small for Lua's garbage collector whatever they hold in C (a TLS context, thousands of hosts), so it would be in no
-- hurry: every so many publications it is told to collect.
local PUBLICATIONS_PER_COLLECTION = 32

local control -- struct moon_control *, once attached
local served  -- the snapshot handle that was published last
local publications = 0

--- Gives this module the core's side. Once per state, before anything is built.
---@param pointer ffi.cdata*  struct moon_control *
function M.attach(pointer)
  control = pointer
end

local function attached()
  return control or error("this Lua state is not the control plane's", 3)
end

-- ---- small things ----

--- UNIX seconds, with microseconds.
---@return number
function M.now()
  return C.moon_ffi_now()
end

--- Bytes from the CSPRNG.
---@param count integer
---@return string
function M.random(count)
  local room = ffi.new("unsigned char[?]", count)
  C.moon_ffi_random(room, count)
  return ffi.string(room, count)
end

---@param bytes string
---@return string digest  32 raw bytes
function M.sha256(bytes)
  local digest = ffi.new("unsigned char[32]")
  C.moon_ffi_sha256(digest, bytes, #bytes)
  return ffi.string(digest, 32)
end

--- Compares in a time that does not depend on where two strings of one length differ.
---@param a string
---@param b string
---@return boolean
function M.equal(a, b)
  return #a == #b and C.moon_ffi_equal(a, b, #a)
end

--- Replaces a file, or leaves it as it was; mode 0600, on disk when this returns.
---@param path string
---@param text string
---@return true|nil
---@return moongate.control.Diagnostic|nil
function M.write_file_atomically(path, text)
  if C.moon_ffi_write_file(path, text, #text, diag) ~= 0 then
    return refused()
  end
  return true
end

-- ---- outside ----

M.configure_outgoing, M.outgoing, M.run_command, M.task = errands.configure, errands.request, errands.command, errands.start
M.give_way = errands.give_way
M.save_with_digest, M.await_saves = errands.save_with_digest, errands.await_saves
M.texts = errands.texts

-- ---- secrets at rest ----

M.open_secrets, M.renew_secrets = secrets.open_ring, secrets.renew
M.seal, M.open, M.can_open, M.reseal = secrets.seal, secrets.open, secrets.can_open, secrets.reseal
M.is_newest = secrets.is_newest

-- ---- the CA of an account ----

M.make_ca, M.issue = managed_ca.make, managed_ca.issue

-- ---- certificates ----

local descriptions -- scratch for certificates(): large, hence made on first use

local function describe(certificate)
  return {
    is_ca = certificate.is_ca,
    self_issued = certificate.self_issued,
    signature_allowed = certificate.signature_allowed,
    key_allowed = certificate.key_allowed,
    not_before = tonumber(certificate.not_before),
    not_after = tonumber(certificate.not_after),
    signature = ffi.string(certificate.signature),
    key = ffi.string(certificate.key),
    serial = ffi.string(certificate.serial),
    sha256 = ffi.string(certificate.sha256),
    md5 = ffi.string(certificate.md5),
    subject = ffi.string(certificate.subject),
    issuer = ffi.string(certificate.issuer),
  }
end

--- What an uploaded PEM text holds; core/tls/certificate.h says what each member is.
---@param pem string
---@return table[]|nil
---@return moongate.control.Diagnostic|nil
function M.certificates(pem)
  descriptions = descriptions or ffi.new("struct moon_certificate[?]", CERTIFICATES_MAX)
  local count = ffi.new("size_t[1]")
  if C.moon_ffi_certificates(descriptions, CERTIFICATES_MAX, count, pem, #pem, diag) ~= 0 then
    return refused()
  end
  local list = {}
  for i = 1, tonumber(count[0]) do
    list[i] = describe(descriptions[i - 1])
  end
  return list
end

--- The hostnames that the first certificate was made for (core/tls/certificate.h).
---@param pem string
---@return string[]|nil
---@return moongate.control.Diagnostic|nil
function M.certificate_hosts(pem)
  local room, len = ffi.new("char[?]", CERTIFICATES_BYTES), ffi.new("size_t[1]")
  if C.moon_ffi_certificate_hosts(room, len, pem, #pem, diag) ~= 0 then
    return refused()
  end
  local list = {}
  for line in ffi.string(room, len[0]):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

--- Whether a private key belongs to the first certificate.
---@param pem string
---@param private_key string
---@return true|nil
---@return moongate.control.Diagnostic|nil  where: "private_key" (unreadable) or "match" (another's)
function M.match_key(pem, private_key)
  if C.moon_ffi_match_key(pem, #pem, private_key, #private_key, diag) ~= 0 then
    return refused()
  end
  return true
end

--- What a revocation list says about itself; refused when it is none of that CA's (core/tls/crl.h says what else is). Read
--- on another thread, for a large one takes a while: only from a task.
---@param list moongate.trust_sets.Crl
---@return moongate.trust_sets.CrlFacts|nil
---@return moongate.control.Diagnostic|nil
M.revocation_list = trust_sets.read

--- Base64 in one line, of at most ten MiB.
---@param bytes string
---@return string
function M.base64(bytes)
  local room = ffi.new("char[?]", 4 * (math.floor(#bytes / 3) + 1) + 1)
  return ffi.string(room, C.moon_ffi_base64(room, bytes, #bytes))
end

-- ---- parts of a section ----

-- Shared while a section holds them: content → handle.
local origins = setmetatable({}, { __mode = "v" })

local function text_of(value)
  return type(value) == "string" and value or ""
end

local function build_origin(texts, origin)
  local terms = ffi.new("struct moon_ffi_origin")
  terms.url, terms.host_header, terms.sni, terms.ca = view(texts[1]), view(texts[2]), view(texts[3]), view(texts[4])
  local client = terms.client
  client.certificates, client.sealed, client.context = view(texts[5]), view(texts[6]), view(texts[7])
  terms.addresses, terms.verify, terms.request_name = view(texts[8]), origin.verify ~= false, origin.request_name == true
  terms.shared_client = origin.shared_client == true
  client.plain = view(texts[9])
  local out = ffi.new("struct moon_origin_terms *[1]")
  if C.moon_ffi_origin_new(out, attached(), terms, secrets.ring(), diag) ~= 0 then
    return refused()
  end
  return ffi.gc(out[0], C.moon_ffi_origin_free)
end

local function origin_of(origin)
  local client = origin.client_certificate or {}
  local texts = {
    text_of(origin.url), text_of(origin.host_header), text_of(origin.sni), text_of(origin.ca),
    text_of(client.certificates), text_of(client.private_key), text_of(client.context),
    table.concat(origin.addresses or {}, ","), text_of(client.plain_key),
  }
  local key = ("%s\0%s\0%s\0%s"):format(table.concat(texts, "\0"), origin.verify ~= false, origin.request_name == true,
    origin.shared_client == true)
  local found, err = origins[key], nil
  if not found then
    found, err = build_origin(texts, origin)
    origins[key] = found
  end
  return found, err
end

local function digest(text)
  return (M.sha256(text):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local reader, reads_with -- and the schema that it was made for

-- The rules as the workers will read them, proven by the same steps that a worker takes. What was read is let go: until the
-- next garbage collection the reader finds it again, which is when the zones of one account are built one after the other.
local function rules_of(document)
  local schema = fields.schema()
  if reads_with ~= schema then
    reader, reads_with = section_rules.reader(schema), schema
  end
  local text, message = section_rules.encode(document, digest)
  if not text then return refusal("rules", message) end
  local read
  read, message = reader:read(text)
  if not read then return refusal("rules", message) end
  local proven
  proven, message = section_rules.prove(read)
  if not proven then return refusal("rules", message) end
  return text
end

local function located(err, host, part)
  local where = part .. " of " .. host.name
  err.where = err.where ~= "" and where .. ": " .. err.where or where
  return nil, err
end

local FORWARD = {
  cloudflare = C.MOON_FORWARD_CLOUDFLARE, fields = C.MOON_FORWARD_FIELDS, rfc9440 = C.MOON_FORWARD_RFC9440,
  xfcc = C.MOON_FORWARD_XFCC,
}

-- What an origin is told about clients' certificates: { [family] = true, … } as bits.
local function forward_of(families)
  local bits = 0
  for family, on in pairs(families) do
    local bit = FORWARD[family] or error(("there is no family of fields %q"):format(tostring(family)))
    if on then bits = bits + bit end
  end
  return bits
end

local function terms_of(host, policy, trust, origin)
  local terms = ffi.new("struct moon_host_terms")
  terms.policy, terms.trust, terms.origin = policy.handle, trust, origin
  terms.forward = forward_of(host.forward or {})
  terms.no_resumption, terms.no_websockets = host.resumption == false, host.websockets == false
  terms.true_client_ip = host.true_client_ip == true
  terms.https_only, terms.strict_sni = host.https_only == true, host.strict_sni == true
  terms.metadata = view(host.metadata or "")
  return terms
end

-- The trust options of a zone for each demand on the use of certificates that its hosts make; one table each.
local function trust_options_of(document)
  local given, made = document.trust_options, {}
  return function(usage)
    if not usage then return given end
    if not made[usage] then
      made[usage] = { usage = usage, crls = given and given.crls, denials = given and given.denials }
    end
    return made[usage]
  end
end

--- Makes ready what the sections of these documents will need and what takes long: the CAs of their hosts. For the start,
--- where there are many; without it each section makes its own.
---@param documents table[]
---@return table held  to be kept until the sections are built
function M.prepare(documents)
  local lists, seen = {}, {}
  for _, document in ipairs(documents) do
    for _, host in ipairs(document.hosts) do
      local pems = host.trust
      if pems and #pems > 0 and not seen[pems] and not document.trust_options and not host.usage then
        seen[pems] = true -- hosts with equal lists share one table
        lists[#lists + 1] = pems
      end
    end
  end
  return trust_sets.prepare(lists)
end

local function add_host(section, host, policy, options_for)
  local trust, origin, err
  if host.trust and #host.trust > 0 then
    trust, err = trust_sets.of(host.trust, options_for(host.usage))
    if not trust then return located(err, host, "trust") end
  end
  if host.origin then
    origin, err = origin_of(host.origin)
    if not origin then return located(err, host, "origin") end
  end
  local terms = terms_of(host, policy, trust, origin)
  local add = host.guest and C.moon_ffi_section_add_guest or C.moon_ffi_section_add
  if add(section.handle, host.name, #host.name, terms, diag) ~= 0 then
    return refused()
  end
  -- Held so that the next section with the same content finds it.
  if trust then section.holds[trust] = true end
  if origin then section.holds[origin] = true end
  return true
end

---@class moongate.control.Section  opaque to its holder
---@field handle ffi.cdata*
---@field holds table

--- Builds and proves everything of one zone. Changes nothing that is served.
---@param document { id: string, name: string, version: integer, hosts: table[], rules: table[] }  admin/document.lua says all; in
--- addition `tls` (moongate.tls_policies.Terms) of the zone and of each host, whose `tls` goes before the zone's member by member
---@return moongate.control.Section|nil
---@return moongate.control.Diagnostic|nil
function M.section(document)
  attached()
  local carried, err = rules_of(document)
  if not carried then return nil, err end
  local policies
  policies, err = server_certificates.of_zone(control, document)
  if not policies then return nil, err end
  local name = document.name
  local handle = C.moon_ffi_section_new(name, #name, carried, #carried, policies.zone.handle)
  local section = { handle = ffi.gc(handle, C.moon_ffi_section_free), holds = { policies.all } }
  local options_for = trust_options_of(document)
  for _, host in ipairs(document.hosts) do
    local ok
    ok, err = add_host(section, host, policies.of_host[host.name], options_for)
    if not ok then return nil, err end
  end
  C.moon_ffi_section_seal(handle, control)
  return section
end

-- ---- snapshots ----

--- Puts sections together. Changes nothing that is served.
---@param generation integer
---@param sections moongate.control.Section[]
---@param options { strict_sni: boolean|nil }|nil  strict: who names no host, or one that nobody serves, gets no handshake at all
---@return table|nil snapshot  opaque
---@return moongate.control.Diagnostic|nil
function M.snapshot(generation, sections, options)
  local fallback, err
  if not (options and options.strict_sni) then
    fallback, err = tls_policies.of(attached(), {}, { FALLBACK_NAME })
    if not fallback then
      err.where = "certificate"
      return nil, err
    end
  end
  local list = ffi.new("struct moon_section *[?]", #sections + 1)
  for i, section in ipairs(sections) do
    list[i - 1] = section.handle
  end
  local out = ffi.new("struct moon_snapshot *[1]")
  if C.moon_ffi_snapshot_new(out, generation, list, #sections, fallback and fallback.handle, diag) ~= 0 then
    return refused()
  end
  -- The sections are counted by the snapshot; `fallback` is held so that the next snapshot finds it.
  return { handle = ffi.gc(out[0], C.moon_ffi_snapshot_free), fallback = fallback, generation = generation }
end

--- Hands a snapshot to the workers. Returns when every one of them serves it, or when the deadline has passed: five seconds,
--- or two minutes for the first one.
---@param snapshot table
---@return true|nil
---@return moongate.control.Diagnostic|nil  with the core's code
function M.publish(snapshot)
  local rc = C.moon_ffi_publish(attached(), snapshot.handle, served and PUBLISH_DEADLINE_MS or FIRST_DEADLINE_MS, diag)
  served = snapshot
  publications = publications + 1
  if rc ~= 0 then
    local _, err = refused()
    err.code = rc
    return nil, err
  end
  return true
end

--- What is served now.
---@return { generation: integer, workers: { generation: integer }[], counters: table<string, integer> }
function M.status()
  attached()
  local workers, sum = {}, ffi.new("struct moon_counters")
  for i = 1, C.moon_ffi_workers(control) do
    workers[i] = { generation = tonumber(C.moon_ffi_generation(control, i - 1)) }
  end
  C.moon_ffi_counters(control, sum)
  return {
    generation = served and served.generation or 0,
    workers = workers,
    counters = {
      connections = tonumber(sum.connections),
      open = tonumber(sum.open),
      handshakes = tonumber(sum.handshakes),
      handshakes_failed = tonumber(sum.handshakes_failed),
      requests = tonumber(sum.requests),
      blocked = tonumber(sum.blocked),
      misdirected = tonumber(sum.misdirected),
      refused = tonumber(sum.refused),
      origin_failed = tonumber(sum.origin_failed),
    },
  }
end

--- Once a second.
function M.tick()
  if publications >= PUBLICATIONS_PER_COLLECTION then
    publications = 0
    collectgarbage()
  end
end

return M
