-- moongate.rule_part: one list of rules, parsed: an entry point of a phase, a ruleset that others execute, or the firewall
-- rules of a zone.
--
-- The engine tells which rule ended its run and which ones matched on the way; it knows nothing of other rulesets. So a part is
-- cut behind every rule with the action execute: each segment is a document of the engine, and running the segments one after the
-- other, with the executed ruleset between them, is the evaluation (rule_program.lua). Used by the control plane, which proves
-- parts, and by the workers, which serve them. Parts never change; the verdict of one thread is all that their functions write.

local bridge = require "moongate.ffi"
local rules = require "moongate.rules"

local ffi = bridge.ffi

local M = {}

local BLOCK = 1     -- enum moon_action
local MATCHES = 16  -- room in struct moon_verdict

-- Actions that may be served. What is not here is refused when the rules are built: an action that nobody performs must not
-- look like one that was performed. Nobody can pass a challenge here, so it stops the request.
local EFFECT = {
  block = "decide", managed_challenge = "decide", js_challenge = "decide", challenge = "decide",
  log = "report", skip = "report", execute = "execute",
}

---@class moongate.rule_part.Rule
---@field id string
---@field action string
---@field expression string
---@field enabled boolean|nil  true unless false
---@field action_parameters table|nil
---@field logging boolean|nil  whether a match of skip is recorded; true unless false

-- kind → what its mistakes are called
local TITLE = { zone = "rule %d", account = "account rule %d", firewall = "firewall rule %d", custom = "rule %d" }

local function parameters_of(rule)
  return type(rule.action_parameters) == "table" and rule.action_parameters or {}
end

local function mistake(rule, kind)
  local effect = EFFECT[rule.action]
  if not effect then return ("the action %q is not available"):format(tostring(rule.action)) end
  if type(rule.expression) ~= "string" then return "the expression is missing" end
  local parameters = parameters_of(rule)
  if effect == "execute" then
    if kind ~= "zone" and kind ~= "account" then return "only an entry point can execute a ruleset" end
    if type(parameters.id) ~= "string" then return "no ruleset is named to be executed" end
  end
  if rule.action == "skip" and parameters.phase == "current" and kind == "account" then
    return "an account's rules cannot skip the rest of the phase"
  end
end

--- Refuses rules that cannot be served; used before they are stored and again before they are adopted.
---@param list moongate.rule_part.Rule[]
---@param kind string  "zone", "account" (entry points), "custom" or "firewall"
---@return true|nil
---@return string|nil message
---@return integer|nil index of the rule
function M.check(list, kind)
  for index, rule in ipairs(list) do
    local message = mistake(rule, kind)
    if message then return nil, message, index end
  end
  return true
end

local char_pointer = ffi.typeof("const char *")

-- A text that C may point at: the string keeps the bytes alive and in place, the pointer is read by the hot path.
local function anchor(text)
  return { text = text, data = ffi.cast(char_pointer, text), len = #text }
end

local function decision_of(rule)
  local response = parameters_of(rule).response
  response = rule.action == "block" and type(response) == "table" and response or {}
  return {
    id = anchor(tostring(rule.id or "")),
    status = tonumber(response.status_code) or 0,
    content = anchor(response.content or ""),
    content_type = anchor(response.content_type or ""),
    silent = rule.action == "skip" and rule.logging == false,
  }
end

-- What the engine is given for a rule. One that executes ends the run, so that the ruleset it names can have its turn.
local function for_engine(rule)
  return {
    expression = rule.expression, enabled = rule.enabled, action_parameters = rule.action_parameters,
    action = EFFECT[rule.action] == "execute" and "block" or rule.action,
  }
end

-- Where the segments end: behind each enabled rule that executes, and behind the last rule.
local function bounds_of(list)
  local bounds, first = {}, 1
  for index, rule in ipairs(list) do
    local executes = EFFECT[rule.action] == "execute" and rule.enabled ~= false
    if executes or index == #list then
      bounds[#bounds + 1] = { first = first, last = index, execute = executes and parameters_of(rule).id or nil }
      first = index + 1
    end
  end
  return bounds
end

---@class moongate.rule_part.Segment
---@field document moongate.rules.Document
---@field decisions table[]  by the place of the rule in this segment
---@field execute string|nil  the ruleset that the last rule executes when it matches
---@field leaves_phase table<integer, boolean>  rules after which nothing of the phase is run
---@field decide fun(index: integer)|nil  writes the verdict of a rule; with bind() only, as are the next two
---@field report fun(index: integer)|nil
---@field on_error fun(index: integer, failure: any)|nil

local function segment_of(schema, list, bound)
  local given, decisions, leaves_phase = {}, {}, {}
  for index = bound.first, bound.last do
    local rule, place = list[index], index - bound.first + 1
    given[place], decisions[place] = for_engine(rule), decision_of(rule)
    leaves_phase[place] = rule.action == "skip" and parameters_of(rule).phase == "current" or nil
  end
  local document, diagnostic, index = rules.document(schema, given)
  if not document then return nil, diagnostic.message, bound.first + index - 1 end
  return { document = document, decisions = decisions, execute = bound.execute, leaves_phase = leaves_phase,
    first = bound.first }
end

---@class moongate.rule_part.Part
---@field kind string
---@field segments moongate.rule_part.Segment[]

--- Parses and checks a list of rules.
---@param schema moongate.rules.Schema
---@param list moongate.rule_part.Rule[]
---@param kind string as for check()
---@return moongate.rule_part.Part|nil
---@return string|nil message  with the number of the rule
function M.new(schema, list, kind)
  local usable, message, index = M.check(list, kind)
  local segments = {}
  for number, bound in ipairs(usable and bounds_of(list) or {}) do
    segments[number], message, index = segment_of(schema, list, bound)
    if not segments[number] then break end
  end
  if message then return nil, (TITLE[kind] .. ": %s"):format(index, message) end
  return { kind = kind, segments = segments }
end

--- How messages name a rule of a segment.
---@param part moongate.rule_part.Part
---@param segment moongate.rule_part.Segment
---@param index integer  its place in the segment
---@return string
function M.title(part, segment, index)
  return TITLE[part.kind]:format(segment.first + index - 1)
end

--- Gives the segments of a part the functions that write a thread's verdict. Made once for a part: all hosts share them.
---@param part moongate.rule_part.Part
---@param verdict ffi.cdata*  struct moon_verdict *
---@param tell fun(rule_id: string, failure: any)
function M.bind(part, verdict, tell)
  for _, segment in ipairs(part.segments) do
    local decisions = segment.decisions
    function segment.decide(index)
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
    function segment.report(index)
      local decision, n = decisions[index], verdict.match_count
      if n < MATCHES and not decision.silent then
        verdict.matches[n].data = decision.id.data
        verdict.matches[n].len = decision.id.len
        verdict.match_count = n + 1
      end
    end
    function segment.on_error(index, failure)
      tell(decisions[index].id.text, failure)
    end
  end
end

return M
