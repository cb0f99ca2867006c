-- moongate.ruleset: the compiled rules of one worker, and how a matching rule becomes a verdict.
--
-- Each section of a snapshot carries its rules as JSON. They are parsed when the section is adopted and specialised for a host
-- when that host is asked for the first time. The outcome is one function per host id, which takes and returns nothing: it
-- reads the thread's facts and writes the thread's verdict. phases.lua owns the set and C calls the functions. Texts of a
-- verdict point into Lua strings that the section keeps; a section is let go only when another snapshot is adopted.
-- Never sees a request, never waits, never touches the store.

local json = require "moongate.json"
local rules = require "moongate.rules"
local bridge = require "moongate.ffi"

local ffi = bridge.ffi

local M = {}

local PASS, BLOCK = 0, 1 -- enum moon_action

-- Actions that may be served. What is not here is refused when the rules are built: an action that nobody performs must not
-- look like one that was performed.
local ACTIONS = { block = true, log = true }

local MATCHES = 16          -- room in struct moon_verdict
local HOSTS_PER_GENERATION = 4096 -- two of them: bound of the functions kept per worker
local SHAPES = 512

--- Refuses rules that cannot be served; used before they are stored and again before they are adopted.
---@param list table[]  { id, expression, action, enabled, action_parameters }
---@return true|nil
---@return string|nil message
---@return integer|nil index of the rule
function M.check(list)
  for index, rule in ipairs(list) do
    if not ACTIONS[rule.action] then
      return nil, ("the action %q is not available"):format(tostring(rule.action)), index
    end
    if type(rule.expression) ~= "string" then
      return nil, "the expression is missing", index
    end
  end
  return true
end

local char_pointer = ffi.typeof("const char *")

-- A text that C may point at: the string keeps the bytes alive and in place, the pointer is read by the hot path.
local function anchor(text)
  return { text = text, data = ffi.cast(char_pointer, text), len = #text }
end

local function decision_of(rule)
  local parameters = type(rule.action_parameters) == "table" and rule.action_parameters or {}
  local response = type(parameters.response) == "table" and parameters.response or {}
  return {
    id = anchor(tostring(rule.id or "")),
    status = tonumber(response.status_code) or 0,
    content = anchor(response.content or ""),
    content_type = anchor(response.content_type or ""),
  }
end

---@class moongate.Ruleset
---@field functions table<integer, fun()>  host id → its function; C reads it, hence it is the same table for good
local Ruleset = {}
Ruleset.__index = Ruleset

--- An empty set.
---@param options { schema: moongate.rules.Schema, verdict: ffi.cdata*, on_error: fun(rule_id: string, err: any) }
---@return moongate.Ruleset
function M.new(options)
  return setmetatable({
    schema = options.schema,
    verdict = options.verdict,
    on_error = options.on_error,
    sections = {},   -- section key → section
    incoming = nil,  -- the same for the snapshot that is being adopted
    functions = {},  -- young generation
    entries = {},    -- host id → { run, ruleset, section }, for those in functions
    count = 0,
    old = {},        -- old generation: host id → entry
    shapes = {},     -- generated source → maker of functions
    shape_count = 0,
  }, Ruleset)
end

-- ---- adopting a snapshot ----

--- Begins to gather the sections of another snapshot; what is served stays as it is until commit().
function Ruleset:begin()
  self.incoming = {}
end

--- A section that may be known already.
---@param key number  the section's address: unique among those that are served or being adopted
---@return boolean  true when it is known and was taken over
function Ruleset:keep(key)
  local section = self.sections[key]
  self.incoming[key] = section
  return section ~= nil
end

-- Functions of a section that write the verdict. Made once per section: the functions of its hosts call them.
local function deciders(decisions, verdict)
  local function decide(index)
    local decision = decisions[index]
    verdict.status = decision.status
    verdict.content.data = decision.content.data
    verdict.content.len = decision.content.len
    verdict.content_type.data = decision.content_type.data
    verdict.content_type.len = decision.content_type.len
    verdict.rule_id.data = decision.id.data
    verdict.rule_id.len = decision.id.len
    verdict.action = BLOCK
  end
  local function report(index)
    local n = verdict.match_count
    if n < MATCHES then
      local id = decisions[index].id
      verdict.matches[n].data = id.data
      verdict.matches[n].len = id.len
      verdict.match_count = n + 1
    end
  end
  return decide, report
end

--- A section that is new: parses and checks its rules.
---@param key number
---@param text string  the rules as JSON: an array of objects
---@return true|nil
---@return string|nil message
function Ruleset:add(key, text)
  local list, err = json.decode(text)
  if not list then
    return nil, "the rules are no JSON: " .. err.message
  end
  local usable, message, index = M.check(list)
  if not usable then
    return nil, ("rule %d: %s"):format(index, message)
  end
  local document, diagnostic
  document, diagnostic, index = rules.document(self.schema, list)
  if not document then
    return nil, ("rule %d: %s"):format(index, diagnostic.message)
  end
  local decisions = {}
  for i, rule in ipairs(list) do
    decisions[i] = decision_of(rule)
  end
  local section = { document = document, decisions = decisions }
  section.decide, section.report = deciders(decisions, self.verdict)
  section.on_error = function(rule_index, failure)
    self.on_error(decisions[rule_index].id.text, failure)
  end
  self.incoming[key] = section
  return true
end

--- Serves what was gathered: lets go of sections that are gone and of the functions of their hosts.
function Ruleset:commit()
  local alive = {}
  for _, section in pairs(self.incoming) do
    alive[section] = true
  end
  for id, entry in pairs(self.entries) do
    if not alive[entry.section] then
      self.entries[id], self.functions[id] = nil, nil
      self.count = self.count - 1
    end
  end
  for id, entry in pairs(self.old) do
    if not alive[entry.section] then
      self.old[id] = nil
    end
  end
  self.sections, self.incoming = self.incoming, nil
end

-- ---- functions ----

-- Rulesets of one shape share generated code, and their functions share the one made here. Hosts with different rules get
-- functions of different prototypes, so that a trace of one is not a test that fails for all the others.
local MAKER = [[
local PASS = 0
return function(run, decide, verdict)
  return function()
    local index = run()
    if index == 0 then
      verdict.action = PASS
    else
      decide(index)
    end
  end
end
]]

function Ruleset:maker(ruleset)
  local shape = {}
  for i, chunk in ipairs(ruleset.chunks) do
    shape[i] = chunk.source
  end
  local key = table.concat(shape, "\0")
  local maker = self.shapes[key]
  if not maker then
    if self.shape_count >= SHAPES then
      self.shapes, self.shape_count = {}, 0
    end
    maker = assert(loadstring(MAKER, "=rules of a host"))()
    self.shapes[key], self.shape_count = maker, self.shape_count + 1
  end
  return maker
end

local function build(self, section, name)
  local constants
  if name:sub(1, 1) ~= "*" then -- a pattern stands for many names: nothing is known beforehand
    constants = { ["http.host"] = name }
  end
  local ruleset, diagnostic = section.document:specialise {
    constants = constants,
    on_log = section.report,
    on_error = section.on_error,
  }
  if not ruleset then
    error(("the rules for %s do not compile: %s"):format(name, diagnostic.message), 0)
  end
  return {
    section = section,
    ruleset = ruleset,
    run = self:maker(ruleset)(ruleset.run, section.decide, self.verdict),
  }
end

local function remember(self, id, entry)
  if self.count >= HOSTS_PER_GENERATION then -- what was not asked for since the last time is let go
    self.old, self.entries, self.count = self.entries, {}, 0
    for known in pairs(self.functions) do
      self.functions[known] = nil
    end
  end
  self.entries[id], self.functions[id] = entry, entry.run
  self.count = self.count + 1
end

--- The function of a host, made when it is not there. Raises an error when the host's section is not served.
---@param id integer      the host's id
---@param key number      its section
---@param name string     "api.example.com", "*.example.com", "*"
---@return fun()
function Ruleset:prepare(id, key, name)
  local entry = self.entries[id] or self.old[id]
  if not entry then
    local section = self.sections[key] or error("the section of this host is not served", 0)
    entry = build(self, section, name)
  end
  if not self.entries[id] then
    self.old[id] = nil
    remember(self, id, entry)
  end
  return entry.run
end

--- Decides rule by rule, after the host's function failed: a rule that blocks and fails has matched.
---@param id integer  a host that was prepared; an error when it was not
function Ruleset:guarded(id)
  local entry = self.entries[id] or error("this host has no rules that could be tried one by one", 0)
  local index = entry.ruleset.run_guarded()
  if index == 0 then
    self.verdict.action = PASS
  else
    entry.section.decide(index)
  end
end

return M
