-- moongate.rule_program: the rules of a section for one host, as one function: entry points in order, executed rulesets inside.
--
-- Each segment of a part (rule_part.lua) becomes a ruleset of the engine, with what is known of the host folded in; segments in
-- which nothing can match are left out. Where one segment remains, which is what most hosts have, its function is all there is.
-- Otherwise a few lines of Lua are generated that call one segment after the other: straight code, so that LuaJIT makes a trace of
-- it as it does of a single segment. The function takes and returns nothing; it reads the thread's facts and writes its verdict.
--
-- What a segment answers: 0 and nothing, go on; 0 and a rule, that rule skips the rest; a rule, that rule decides or executes.

local section_rules = require "moongate.section_rules"

local M = {}

local PASS = 0 -- enum moon_action

local SHAPES = 512 -- shapes of programs that are kept, per thread

-- ---- what can match ----

---@class moongate.rule_program.Step
---@field segment moongate.rule_part.Segment
---@field ruleset moongate.rules.Ruleset
---@field executed moongate.rule_program.Step[]|nil  what its last rule runs when it matches
---@field careful moongate.rules.Ruleset|nil  for guarded(), made when it is needed
---@field failed integer|nil  the rule that failed last, in guarded()

local function specialise(segment, options)
  local ruleset, diagnostic = segment.document:specialise(options)
  if not ruleset then error(("the rules for %s do not compile: %s"):format(options.name, diagnostic.message), 0) end
  return ruleset
end

local function options_of(job, segment, on_error)
  return {
    name = job.name, constants = job.constants, find_list = job.find_list, on_log = segment.report, on_error = on_error,
  }
end

-- The segments of a part in which something can match for this host. `job` is what belongs to one host.
local function steps_of(job, part)
  local known = job.steps[part]
  if known then return known end
  local steps = {}
  job.steps[part] = steps
  for _, segment in ipairs(part.segments) do
    local ruleset = specialise(segment, options_of(job, segment, segment.on_error))
    if ruleset.chunks[1] then
      local executed = segment.execute and job.section.rulesets[segment.execute]
      steps[#steps + 1] = { segment = segment, ruleset = ruleset, executed = executed and steps_of(job, executed) }
    end
  end
  return steps
end

-- ---- one function ----

local SINGLE = [[
local PASS = ...
return function(verdict, runs, decides)
  local run, decide = runs[1], decides[1]
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

local Writer = {}
Writer.__index = Writer

local function new_writer()
  return setmetatable({ lines = {}, shape = {}, runs = {}, decides = {}, functions = {}, count = 0, labels = 0 }, Writer)
end

function Writer:line(text, ...)
  self.lines[#self.lines + 1] = text:format(...)
end

-- The executed ruleset as a function of the program: true when the evaluation is over.
function Writer:executed(steps)
  local name = self.functions[steps]
  if not name then
    self.count = self.count + 1
    name = "E" .. self.count
    self.functions[steps] = name
    local outer = self.lines
    self.lines = {}
    self:line("local function %s()\nlocal index, skip", name)
    self:steps(steps, "return true", "return false")
    self:line("return false\nend")
    self.head = (self.head or "") .. table.concat(self.lines, "\n") .. "\n"
    self.lines = outer
  end
  return name
end

-- Runs the segments of one ruleset. `over`: what is done when nothing else is to be run; `leave`: when the ruleset is left.
function Writer:steps(steps, over, leave)
  for _, step in ipairs(steps) do
    local number, segment = #self.runs + 1, step.segment
    self.runs[number], self.decides[number] = step.ruleset.run, segment.decide
    for _, chunk in ipairs(step.ruleset.chunks) do self.shape[#self.shape + 1] = chunk.source end
    self:line("index, skip = R[%d]()", number)
    local otherwise = "if index ~= 0 then"
    if segment.execute then
      self:line("if index == %d then", #segment.decisions)
      if step.executed[1] then self:line("if %s() then %s end", self:executed(step.executed), over) end
      otherwise = "elseif index ~= 0 then"
    end
    self:line("%s D[%d](index) %s", otherwise, number, over)
    for place in pairs(segment.leaves_phase) do
      self:line("elseif skip == %d then verdict.action = PASS %s", place, over)
    end
    self:line("elseif skip then %s end", leave)
  end
end

local function source_of(writer, parts)
  for _, steps in ipairs(parts) do
    writer.labels = writer.labels + 1
    writer:steps(steps, "do return end", "goto left" .. writer.labels)
    writer:line("::left%d::", writer.labels)
  end
  return "local PASS = ...\nreturn function(verdict, R, D)\n" .. (writer.head or "") .. "return function()\nlocal index, skip\n"
    .. table.concat(writer.lines, "\n") .. "\nverdict.action = PASS\nend\nend\n"
end

-- ---- the careful form ----

local function guarded_ruleset(job, step)
  step.careful = step.careful or specialise(step.segment, options_of(job, step.segment, function(index, failure)
    step.failed = index
    step.segment.on_error(index, failure)
  end))
  return step.careful
end

local careful

-- One segment, rule by rule: "over", "left", or nil to go on. A rule that executes and fails has not matched: it decides nothing.
local function careful_step(job, step)
  local segment = step.segment
  step.failed = nil
  local index, skip = guarded_ruleset(job, step).run_guarded()
  if segment.execute and index == #segment.decisions then
    return step.failed ~= index and careful(job, step.executed) == "over" and "over" or nil
  elseif index ~= 0 then
    segment.decide(index)
    return "over"
  elseif skip then
    if not segment.leaves_phase[skip] then return "left" end
    job.verdict.action = PASS
    return "over"
  end
end

function careful(job, steps)
  for _, step in ipairs(steps) do
    local outcome = careful_step(job, step)
    if outcome then return outcome end
  end
end

-- ---- programs ----

---@class moongate.rule_program.Program
---@field run fun()      decides for the facts; raises what an accessor raises
---@field reads_body boolean  a rule asks for the request's body
---@field guarded fun()  decides rule by rule, when run() failed

local Maker = {}
Maker.__index = Maker

--- Makes programs for one thread.
---@param verdict ffi.cdata*  struct moon_verdict *, at a fixed address as long as the state lives
---@return table maker
function M.maker(verdict)
  return setmetatable({ verdict = verdict, shapes = {}, count = 0 }, Maker)
end

-- Programs of one shape share generated code, and their functions share the one made here. Hosts with different rules get
-- functions of different prototypes, so that a trace of one is not a test that fails for all the others.
local function instantiate(self, writer, source)
  local key = source .. "\0" .. table.concat(writer.shape, "\0")
  local make = self.shapes[key]
  if not make then
    if self.count >= SHAPES then
      self.shapes, self.count = {}, 0
    end
    make = assert(loadstring(source, "=rules of a host"))(PASS)
    self.shapes[key], self.count = make, self.count + 1
  end
  return make(self.verdict, writer.runs, writer.decides)
end

local function nothing() return 0 end

local function function_of(self, parts)
  local writer = new_writer()
  if #parts > 1 or parts[1] and (#parts[1] > 1 or parts[1][1].executed) then
    return instantiate(self, writer, source_of(writer, parts))
  end
  local only = parts[1] and parts[1][1]
  writer.runs[1], writer.decides[1] = only and only.ruleset.run or nothing, only and only.segment.decide or nothing
  for i, chunk in ipairs(only and only.ruleset.chunks or {}) do writer.shape[i] = chunk.source end
  return instantiate(self, writer, SINGLE)
end

-- Whether a rule that may run reads the body, which then has to come first.
local function reads_body(job)
  for _, steps in pairs(job.steps) do
    for _, step in ipairs(steps) do
      for name in pairs(step.ruleset.fields) do
        if name:find("^http%.request%.body%.") then return true end
      end
    end
  end
  return false
end

--- The program of one host. Raises an error when the rules do not compile.
---@param section moongate.section_rules.Section
---@param name string      for messages
---@param constants table<string, any>|nil  values of fields that are the same for every request of the host
---@return moongate.rule_program.Program
function Maker:make(section, name, constants)
  local job = {
    section = section, name = name, constants = constants, find_list = section_rules.list_finder(section),
    verdict = self.verdict, steps = {},
  }
  local parts = {}
  for _, entry in ipairs(section.entries) do
    local steps = steps_of(job, entry)
    if steps[1] then parts[#parts + 1] = steps end
  end
  local function guarded()
    -- What run() reported before it failed is reported again, by functions of their own.
    self.verdict.match_count = 0
    for _, steps in ipairs(parts) do
      if careful(job, steps) == "over" then return end
    end
    self.verdict.action = PASS
  end
  return { run = function_of(self, parts), guarded = guarded, reads_body = reads_body(job) }
end

return M
