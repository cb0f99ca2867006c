-- moongate.ruleset: the compiled rules of one worker, and how a matching rule becomes a verdict.
--
-- Each section of a snapshot carries its rules as text (section_rules.lua). It is read when the section is adopted and made into
-- a program for a host (rule_program.lua) when that host is asked for the first time. The outcome is one function per host id,
-- which takes and returns nothing: it reads the thread's facts and writes the thread's verdict. phases.lua owns the set and C
-- calls the functions. Texts of a verdict point into Lua strings that the section keeps; a section is let go only when another
-- snapshot is adopted. Never sees a request, never waits, never touches the store.

local rule_part = require "moongate.rule_part"
local rule_program = require "moongate.rule_program"
local section_rules = require "moongate.section_rules"

local M = {}

local NEED_BODY = 3 -- enum moon_action
local HOSTS_PER_GENERATION = 4096 -- two of them: bound of the functions kept per worker

---@class moongate.Ruleset
---@field functions table<integer, fun()>  host id → its function; C reads it, hence it is the same table for good
local Ruleset = {}
Ruleset.__index = Ruleset

--- An empty set.
---@param options { schema: moongate.rules.Schema, facts: ffi.cdata*, verdict: ffi.cdata*, on_error: fun(rule_id: string, err: any) }
---@return moongate.Ruleset
function M.new(options)
  local function prepare(part)
    rule_part.bind(part, options.verdict, options.on_error)
  end
  return setmetatable({
    schema = options.schema,
    facts = options.facts,
    verdict = options.verdict,
    reader = section_rules.reader(options.schema, prepare),
    maker = rule_program.maker(options.verdict),
    sections = {},   -- section key → section
    incoming = nil,  -- the same for the snapshot that is being adopted
    functions = {},  -- young generation
    entries = {},    -- host id → { run, guarded, section }, for those in functions
    count = 0,
    old = {},        -- old generation: host id → entry
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

--- A section that is new: reads and checks its rules.
---@param key number
---@param text string  what section_rules.encode() wrote
---@return true|nil
---@return string|nil message
function Ruleset:add(key, text)
  local section, message = self.reader:read(text)
  if not section then
    return nil, message
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

-- Rules that read the body decide once it is there: C collects it and asks again.
local function after_body(run, facts, verdict)
  return function()
    if facts.body_ready then
      run()
    else
      verdict.action = NEED_BODY
    end
  end
end

local function build(self, section, name)
  local constants
  if name:sub(1, 1) ~= "*" then -- a pattern stands for many names: nothing is known beforehand
    constants = { ["http.host"] = name }
  end
  local program = self.maker:make(section, name, constants)
  local run = program.reads_body and after_body(program.run, self.facts, self.verdict) or program.run
  return { section = section, run = run, guarded = program.guarded }
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
  entry.guarded()
end

return M
