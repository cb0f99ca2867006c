-- moongate.explain: `moongate explain`: what the rules say of one request, and why.
--
-- An expression or a ruleset meets a request made of files and words of the command line. The verdict comes from the compiled
-- rules, as in the gateway; the answer at each branch from rules/explain.lua; the two must agree. run() takes its streams as
-- arguments and returns the exit code (0 explained, whatever the verdict; 1 failed; 2 usage). Called by the command line. Reads the
-- files that it is given, opens no connection and no store.

local explain_changes = require "moongate.explain_changes"
local explain_print = require "moongate.explain_print"
local explain_request = require "moongate.explain_request"
local given = require "moongate.given"
local json = require "moongate.json"
local rules = require "moongate.rules"
local rules_explain = require "moongate.rules.explain"

local M = {}

local RULES_MAX = 10000

---@class moongate.explain.Report
---@field is_expression boolean  one expression without an action
---@field schema moongate.rules.Schema
---@field rules table[]   { index, id, action, description, expression, enabled, terminates, stops, reached, matches, tree }
---@field outcome { action: string, index: integer|nil, reported: integer[], key: string }
---@field certificate { verified: boolean, reason: string|nil }|nil
---@field changes moongate.explain.Change[]
---@field reads_certificate boolean

local function complain(stderr, message)
  stderr:write("moongate explain: ", message, "\n")
end

-- ---- rules ----

-- A list of rules, a ruleset, or the API's answer with one in it.
local function list_in(value)
  if json.is_object(value) and json.is_object(value.result) then value = value.result end
  if json.is_object(value) and json.is_array(value.rules) then value = value.rules end
  return json.is_array(value) and value or nil
end

local function text_or_nil(value) return type(value) == "string" and value or nil end

local function rule_from(value, index)
  if not json.is_object(value) then return nil, ("rule %d: expected an object"):format(index) end
  for _, name in ipairs { "expression", "action" } do
    if type(value[name]) ~= "string" then return nil, ("rule %d: %s: expected a string"):format(index, name) end
  end
  return {
    expression = value.expression, action = value.action, enabled = value.enabled ~= false, id = text_or_nil(value.id),
    description = text_or_nil(value.description),
    action_parameters = json.is_object(value.action_parameters) and value.action_parameters or nil,
  }
end

local function rules_from_file(path, stdin)
  local value, err = given.read_json(path, stdin)
  if err then return nil, err end
  local list = list_in(value)
  if not list then return nil, path .. ": expected a list of rules, or a ruleset with the member \"rules\"" end
  if #list > RULES_MAX then return nil, ("%s: more than %d rules"):format(path, RULES_MAX) end
  local out = {}
  for index, one in ipairs(list) do
    local rule, message = rule_from(one, index)
    if not rule then return nil, path .. ": " .. message end
    out[index] = rule
  end
  return out
end

local function lists_from_file(path, stdin)
  if not path then return nil end
  local value, err = given.read_json(path, stdin)
  if err then return nil, err end
  if not json.is_object(value) then return nil, path .. ": expected an object of names and arrays" end
  return value
end

-- ---- the verdict ----

local function outcome_of(list, index, reported)
  local action = index and list[index].action or "pass"
  return { action = action, index = index, reported = reported, key = action .. "\0" .. table.concat(reported, " ") }
end

-- Lists by name, with a word to people for each that nobody gave.
local function list_finder(lists, stderr)
  local find, told = given.list_finder(lists), {}
  return function(name, type_name)
    if not (lists and lists[name] or told[name]) then
      told[name] = true
      complain(stderr, ("the list $%s is not given with --lists, so it counts as empty"):format(name))
    end
    return find(name, type_name)
  end
end

-- The compiled rules as a function from values to an outcome.
local function runner(document, list, request, find_list)
  local reported
  local ruleset, diag, index = document:specialise {
    find_list = find_list, on_log = function(rule_index) reported[#reported + 1] = rule_index end,
  }
  if not ruleset then return nil, diag, index end
  return function(values)
    request.values, reported = values, {}
    local ok, decided = pcall(ruleset.run)
    if not ok then decided = ruleset.run_guarded() end
    return outcome_of(list, decided ~= 0 and decided or nil, reported)
  end
end

-- The rules with their trees, and the outcome that follows from the trees.
local function explain_rules(document, list, values, find_list)
  local by_index, out, trees = {}, {}, {}
  for _, parsed in ipairs(document.rules) do by_index[parsed.index] = parsed end
  local is_open, decided, reported = true, nil, {}
  for index, rule in ipairs(list) do
    local parsed = by_index[index]
    local entry = {
      index = index, id = rule.id, action = rule.action, description = rule.description, expression = rule.expression,
      enabled = parsed ~= nil, reached = parsed ~= nil and is_open, matches = false,
    }
    if parsed then
      trees[#trees + 1] = parsed.tree
      entry.terminates, entry.stops = parsed.terminates, parsed.stops
      entry.tree = rules_explain.condition(rule.expression, parsed.tree, values, find_list)
      entry.matches = entry.tree.value == true or entry.tree.error ~= nil and parsed.terminates
      if is_open and entry.matches then
        if parsed.terminates then decided = index else reported[#reported + 1] = index end
        is_open = not (parsed.terminates or parsed.stops)
      end
    end
    out[index] = entry
  end
  return out, outcome_of(list, decided, reported), trees
end

-- ---- the command ----

local function show_mistake(stderr, is_expression, list, diag, index)
  if not is_expression then
    local id = list[index].id
    complain(stderr, ("rule %d%s:"):format(index, id and " (" .. id:gsub("%c", "?") .. ")" or ""))
  end
  stderr:write(diag:advise())
end

local function read_input(options, stdin)
  if options.expression then
    return { { expression = options.expression, action = "block", enabled = true } }
  end
  return rules_from_file(options.rules, stdin)
end

-- Parses the rules: the document, or nil and an exit code.
local function parse(schema, list, options, stderr)
  local ok, document, diag, index = pcall(rules.document, schema, list)
  if not ok then -- an action that the engine does not know
    complain(stderr, tostring(document))
    return nil
  elseif not document then
    show_mistake(stderr, options.expression ~= nil, list, diag, index)
    return nil
  end
  return document
end

local function check_usage(options)
  if (options.expression == nil) == (options.rules == nil) then return "expected either an expression or --rules FILE" end
  local dashes = 0
  for _, name in ipairs { "rules", "request", "lists" } do
    if options[name] == "-" then dashes = dashes + 1 end
  end
  if dashes > 1 then return "only one of the files can be standard input" end
  if options.output and options.output ~= "text" and options.output ~= "json" then return "the output is text or json" end
end

--- Runs `moongate explain`.
---@param options { expression: string|nil, rules: string|nil, lists: string|nil, request: string|nil, host: string|nil,
---  method: string|nil, path: string|nil, ip: string|nil, headers: string[]|nil, cert: string|nil, ca: string|nil,
---  output: string|nil, stdin: table|nil, stdout: table|nil, stderr: table|nil }
---  rules, lists, request, cert and ca are paths; of the first three one may be "-"; output is "text" or "json"
---@return integer exit  0 explained, 1 failed, 2 usage
function M.run(options)
  local stdin, stdout, stderr = options.stdin or io.stdin, options.stdout or io.stdout, options.stderr or io.stderr
  local wrong = check_usage(options)
  if wrong then
    complain(stderr, wrong)
    return 2
  end
  local list, err = read_input(options, stdin)
  local lists
  if list then lists, err = lists_from_file(options.lists, stdin) end
  if err then
    complain(stderr, err)
    return 1
  end
  local request = { values = {} }
  local schema = given.new_schema(given.builtin_fields(), request)
  local document = parse(schema, list, options, stderr)
  if not document then return 1 end
  local values, certificate, exit = explain_request.read(schema, options, stdin)
  if not values then
    complain(stderr, certificate)
    return exit
  end
  local find_list = list_finder(lists, stderr)
  local run, diag, index = runner(document, list, request, find_list)
  if not run then
    show_mistake(stderr, options.expression ~= nil, list, diag, index)
    return 1
  end
  local explained, derived, trees = explain_rules(document, list, values, find_list)
  local report = {
    is_expression = options.expression ~= nil, schema = schema, rules = explained, outcome = run(values), certificate = certificate,
  }
  if derived.key ~= report.outcome.key or derived.index ~= report.outcome.index then
    complain(stderr, "the rules as they run and the rules as they read differ; this is a bug of moongate, please report it")
    return 1
  end
  report.changes, report.reads_certificate = explain_changes.find(schema, trees, values, run)
  stdout:write(explain_print[options.output or "text"](report))
  return 0
end

return M
