-- moongate.trust_sets: the client CAs of hostnames as handles of the core (core/tls/trust.h), with what is revoked
-- under them.
--
-- Called by moongate.control when it builds a section, on the control thread. Sets with equal content are built once
-- and shared while somebody holds their handle; the same goes for revocation lists, which are large. Knows nothing of
-- the store.

local bridge = require "moongate.ffi"
local errands = require "moongate.errands"
local reach = require "moongate.reach"

local C, ffi = bridge.C, bridge.ffi
local diag, refusal, refused, view, views = reach.diag, reach.refusal, reach.refused, reach.view, reach.views

local M = {}

---@class moongate.trust_sets.Crl
---@field ca string         PEM; one of its certificates issued it
---@field text string       PEM, DER or its base64
---@field digest string|nil  SHA-256 of the DER, hex: what is known by it is not read, nor hashed, again
---@field soft boolean|nil  a list out of date is better than none; without it nothing under the CA is verified then

---@class moongate.trust_sets.Denial
---@field ca string|nil      SHA-256 of the issuing CA's certificate, 64 hex digits
---@field serial string|nil  with `ca`: decimal, or "0x" and hex digits
---@field sha256 string|nil  instead of both: SHA-256 of the certificate

---@class moongate.trust_sets.Options  lists and denials of CAs that are not in a set do not concern it
---@field crls moongate.trust_sets.Crl[]|nil
---@field denials moongate.trust_sets.Denial[]|nil
---@field usage string|nil  "require" (default), "warn" or "ignore" that a certificate is meant for clients

local USAGE = { require = 0, warn = 1, ignore = 2 } -- enum moon_trust_usage

local trusts = setmetatable({}, { __mode = "v" })     -- content → handle
local lists = setmetatable({}, { __mode = "v" })      -- digests of CA and list → handle
local held_lists = setmetatable({}, { __mode = "k" }) -- trust handle → handles of its lists
local digests = setmetatable({}, { __mode = "k" })    -- options table → digest of what it says

local function digest(text)
  local bytes = ffi.new("unsigned char[32]")
  C.moon_ffi_sha256(bytes, text, #text)
  return ffi.string(bytes, 32)
end

local function key_of(list)
  return digest(list.ca) .. (list.digest or digest(list.text))
end

-- Equal options have equal digests, whatever tables they are; a table is looked through once.
local function digest_of(options)
  local known = digests[options]
  if known then return known end
  local parts = { options.usage or "require" }
  for _, list in ipairs(options.crls or {}) do
    parts[#parts + 1] = key_of(list) .. (list.soft and "soft" or "hard")
  end
  for _, denial in ipairs(options.denials or {}) do
    parts[#parts + 1] = ("%s %s %s"):format(denial.ca or "", denial.serial or "", denial.sha256 or "")
  end
  known = digest(table.concat(parts, "\0"))
  digests[options] = known
  return known
end

--- Reads a revocation list and checks it against its CA; built once as long as somebody holds it.
---@param list moongate.trust_sets.Crl
---@return ffi.cdata*|nil handle
---@return moongate.control.Diagnostic|nil
function M.crl(list)
  local key = key_of(list)
  local known = lists[key]
  if known then return known end
  local out = ffi.new("struct moon_crl *[1]")
  if C.moon_ffi_crl_new(out, view(list.text), view(list.ca), diag) ~= 0 then
    return refused()
  end
  known = ffi.gc(out[0], C.moon_ffi_crl_free)
  lists[key] = known
  return known
end

---@class moongate.trust_sets.CrlFacts
---@field this_update integer UNIX seconds
---@field next_update integer|nil
---@field count integer of serial numbers
---@field issuer integer which certificate of the CA's; the first is 1
---@field digest string SHA-256 of the list, hex
---@field handle ffi.cdata* whoever holds it keeps the list from being read again

local function facts_of(handle)
  local facts = ffi.new("struct moon_ffi_crl")
  C.moon_ffi_crl_describe(handle, facts)
  local ends = facts.next_update ~= 0x7fffffffffffffffLL
  return {
    this_update = tonumber(facts.this_update), next_update = ends and tonumber(facts.next_update) or nil,
    count = tonumber(facts.count), issuer = tonumber(facts.issuer) + 1, handle = handle,
    digest = (ffi.string(facts.digest, 32):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)),
  }
end

--- Has a revocation list read on another thread and tells what it says about itself. Only from a task of moongate.errands.
---@param list moongate.trust_sets.Crl
---@return moongate.trust_sets.CrlFacts|nil
---@return moongate.control.Diagnostic|nil
function M.read(list)
  local handle, err = errands.read_crl(list.text, list.ca)
  if not handle then return nil, err end
  local facts = facts_of(handle)
  local key = digest(list.ca) .. facts.digest
  facts.handle = lists[key] or handle
  lists[key] = facts.handle
  return facts
end

local function fill_lists(target, options, handles)
  local given = options.crls or {}
  local array = ffi.new("struct moon_trust_crl[?]", #given + 1)
  for i, list in ipairs(given) do
    local handle, err = M.crl(list)
    if not handle then
      err.where = ("crls[%d]: %s"):format(i, err.where)
      return nil, err
    end
    handles[i] = handle
    array[i - 1].crl, array[i - 1].soft = handle, list.soft == true
  end
  target.crls, target.crl_count = array, #given
  return array
end

local function fill_denials(target, options)
  local given = options.denials or {}
  local array = ffi.new("struct moon_trust_denial[?]", #given + 1)
  for i, denial in ipairs(given) do
    array[i - 1].ca = view(denial.ca or "")
    array[i - 1].certificate = view(denial.ca and denial.serial or denial.sha256 or "")
  end
  target.denials, target.denial_count = array, #given
  return array
end

local function build(pems, options)
  local usage = USAGE[options.usage or "require"]
  if not usage then
    return refusal("usage", ('"%s" is unknown; usage is one of require, warn, ignore'):format(tostring(options.usage)))
  end
  local target, handles = ffi.new("struct moon_trust_options"), {}
  local texts, kept = views(pems)
  target.pems, target.pem_count, target.usage = texts, #kept, usage
  -- Each array is held by its local until the call has returned.
  local crls, err = fill_lists(target, options, handles)
  if not crls then return nil, err end
  local denials = fill_denials(target, options)
  local out = ffi.new("struct moon_trust *[1]")
  local rc = C.moon_ffi_trust_build(out, target, diag)
  if rc ~= 0 or not denials then
    return refused()
  end
  local handle = ffi.gc(out[0], C.moon_ffi_trust_free)
  held_lists[handle] = handles
  return handle
end

local NO_OPTIONS = {}

--- Builds sets without options side by side, on all cores, for the sections that will ask for them next. Sets that are
--- there already, and those that cannot be built, are passed over: of() says what is wrong with them.
---@param wanted string[][]  as of()'s `pems`
---@return table held  keeps them until it is let go
function M.prepare(wanted)
  local keys, seen, texts, held = {}, {}, {}, {}
  for _, pems in ipairs(wanted) do
    local key = digest_of(NO_OPTIONS) .. table.concat(pems, "\0")
    if not seen[key] and not trusts[key] then
      seen[key] = true
      keys[#keys + 1], texts[#texts + 1] = key, pems
    end
  end
  local options, out = ffi.new("struct moon_trust_options[?]", #keys + 1), ffi.new("struct moon_trust *[?]", #keys + 1)
  local kept = {} -- the arrays, until the call has returned
  for index, pems in ipairs(texts) do
    local array = views(pems)
    kept[index] = array
    options[index - 1].pems, options[index - 1].pem_count = array, #pems
  end
  C.moon_ffi_trusts_build(out, options, #keys)
  for index, key in ipairs(keys) do
    if kept[index] and out[index - 1] ~= nil then
      held[index] = ffi.gc(out[index - 1], C.moon_ffi_trust_free)
      trusts[key] = held[index]
    end
  end
  return held
end

--- A trust set.
---@param pems string[]  each one or more certificates, all of them CAs; at least one
---@param options moongate.trust_sets.Options|nil  not to be changed afterwards
---@return ffi.cdata*|nil handle
---@return moongate.control.Diagnostic|nil
function M.of(pems, options)
  options = options or NO_OPTIONS
  local key = digest_of(options) .. table.concat(pems, "\0")
  local found, err = trusts[key], nil
  if not found then
    found, err = build(pems, options)
    trusts[key] = found
  end
  return found, err
end

return M
