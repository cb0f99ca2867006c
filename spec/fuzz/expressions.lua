-- expressions.lua TARGET --seconds N [--seed N] [--findings DIRECTORY] — fuzzes the rules engine, under plain LuaJIT.
--
--   expression        noise and spoilt expressions: refused with a proper diagnostic or answered; the generated source holds
--                     nothing but our own words and numbers; no global appears; time and memory of each stay within bounds
--   expression_paths  valid rules on random requests: specialised for the host, not specialised, rule by rule, and folded with
--                     every field known, all four give one answer and report the same matches
--
-- Run by spec/fuzz/run, from the top of the tree. Exit code 0 without a finding, 1 with one, 2 for a wrong call. A finding is
-- printed and kept in DIRECTORY; what is being tried stands in DIRECTORY/current, for the day on which it does not come back.

dofile "spec/support/tree.lua"
package.path = "./?.lua;" .. package.path

local eval = require "moongate.eval"
local harness = require "spec.rules.harness"
local json = require "moongate.json"
local making = require "spec.fuzz.expression_maker"
local rules = require "moongate.rules"

local random = math.random

local SECONDS_MAX = 3            -- of processor time, for one input
local SOURCE_MAX = 2 * 1024 ^ 2  -- bytes generated for one expression
local GROWTH_MAX = 96 * 1024     -- KiB, for one input
local KEPT_MAX = 192 * 1024      -- KiB, after a full collection
local COLLECT_EVERY = 2000

local request = { values = {} }
local maker = making.new(harness.scheme)

local function new_schema()
  local fields = {}
  for _, name in ipairs(maker.names) do
    fields[#fields + 1] = {
      name = name, type = harness.scheme[name], access = function() return request.values[name] end,
      may_miss = making.MAY_MISS[name], missing = making.MISSING[name],
    }
  end
  return rules.new_schema { fields = fields }
end

local schema = new_schema()
local find_list = eval.list_finder {
  names = json.array(making.LISTS.names), numbers = json.array(making.LISTS.numbers), office = json.array(making.LISTS.office),
}

local counts = { inputs = 0, accepted = 0, refused = 0, matches = 0 }

-- What is found is raised as a string; everything else that is raised is a finding too.
local function find(format, ...) error("finding: " .. format:format(...), 0) end

-- ---- target: expression ----

-- The words of generated source. Anything else has come in from the outside.
local WORDS = {}
for word in ([[and break do else elseif end false for function if in local nil not or return then true
  K A C O L R F i n find sub less less_equal integer_less integer_less_equal sorted_values negate both either differ any all
  apply]]):gmatch("%S+") do
  WORDS[word] = true
end

local function audit(source)
  if #source > SOURCE_MAX then find("%d bytes of source were generated", #source) end
  local strange = source:match("[^%w_%s()%[%]{}=~<>.,;+#-]")
  if strange then find("the generated source holds the byte %d", strange:byte()) end
  if source:find("--", 1, true) then find("the generated source holds a comment") end
  for word in source:gmatch("[%a_][%w_]*") do
    if not WORDS[word] and not word:find("^[Avtlnriebm]%d+$") then find("the generated source holds the word %q", word) end
  end
end

local function check_refusal(text, diag)
  if type(diag) ~= "table" or type(diag.message) ~= "string" or diag.message == "" then find("refused without a message") end
  local line = select(diag.line, unpack((function()
    local lines = {}
    for one in (text .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = one end
    return lines
  end)()))
  if not line then find("the diagnostic names line %d, which is not there", diag.line) end
  if diag.column < 1 or diag.column > #line + 1 then find("the diagnostic names column %d of %d", diag.column, #line) end
  if diag.length < 1 or diag.length > math.max(1, #line - diag.column + 1) then find("the diagnostic underlines %d bytes", diag.length) end
  if not diag:render():find("^Filter parsing error") then find("the diagnostic cannot be shown") end
end

local function check_answer(ruleset)
  for _, chunk in ipairs(ruleset.chunks) do audit(chunk.source) end
  for _ = 1, 2 do
    request.values = maker:request()
    local index = ruleset.run()
    if index ~= 0 and index ~= 1 then find("a rule answered %s", tostring(index)) end
    if ruleset.run_guarded() ~= index then find("run() answers %d, run_guarded() does not", index) end
    counts.matches = counts.matches + index
  end
end

local seeds = {}

local function load_seeds()
  for _, path in ipairs(harness.corpus()) do
    for line in io.lines(path) do seeds[#seeds + 1] = harness.decode(line).expr end
  end
end

local function new_text()
  local at = random(10)
  if at == 1 then return making.noise() end
  local text = random(3) == 1 and maker:expression(random(0, 4)) or seeds[random(#seeds)]
  return at == 2 and text or making.mutate(text, seeds[random(#seeds)])
end

local function try_expression(text)
  local ruleset, diag = rules.compile(schema, { { expression = text, action = "block" } }, { find_list = find_list })
  if ruleset then
    counts.accepted = counts.accepted + 1
    check_answer(ruleset)
  else
    counts.refused = counts.refused + 1
    check_refusal(text, diag)
  end
end

-- ---- target: expression_paths ----

local ACTIONS = { "block", "block", "log", "skip", "managed_challenge" }

local function new_rules()
  local count = random(4) > 1 and 1 or random(2, random(20) == 1 and 260 or 6)
  local list = {}
  for i = 1, count do
    local action = count == 1 and "block" or ACTIONS[random(#ACTIONS)]
    list[i] = {
      expression = maker:expression(count > 20 and 1 or random(0, 4)), action = action, enabled = random(20) > 1 or nil,
      action_parameters = action == "skip" and random(2) == 1 and { ruleset = "current" } or nil,
    }
  end
  return list
end

-- One way to the answer: the verdict and what was reported, as a text.
local function ways(document, host)
  local reported
  local options = { find_list = find_list, on_log = function(index) reported[#reported + 1] = index end,
    on_error = function(index, err) find("rule %d raised %s", index, tostring(err)) end }
  local plain = assert(document:specialise(options))
  options.constants = { ["http.host"] = host }
  local special = assert(document:specialise(options))
  local function said(run)
    reported = {}
    local index, stop = run()
    return ("verdict %s, stopped by %s, reported %s"):format(index, tostring(stop), table.concat(reported, " "))
  end
  -- The careful form never reports what a run before it has reported: a fresh ruleset has run nothing.
  local careful = assert(document:specialise { find_list = find_list, on_log = options.on_log, on_error = options.on_error })
  return function()
    return { plain = said(plain.run), specialised = said(special.run), careful = said(careful.run_guarded) }
  end, said, options
end

local function try_rules(list)
  local document, diag, index = rules.document(schema, list)
  if not document then
    counts.refused = counts.refused + 1
    return check_refusal(list[index].expression, diag)
  end
  counts.accepted = counts.accepted + 1
  local host = making.HOSTS[random(#making.HOSTS)]
  local ask, said, options = ways(document, host)
  for _ = 1, 6 do
    request.values = maker:request(host)
    local answers = ask()
    options.constants = request.values
    answers.folded = said(assert(document:specialise(options)).run)
    if not answers.plain:find("^verdict 0,") then counts.matches = counts.matches + 1 end
    for way, answer in pairs(answers) do
      if answer ~= answers.plain then
        find("for %s: plain says %s; %s says %s", json.encode(request.values["http.host"]), answers.plain, way, answer)
      end
    end
  end
end

-- ---- the loop ----

local function shown(input)
  if type(input) == "string" then return ("%q"):format(input) end
  local lines = {}
  for i, rule in ipairs(input) do lines[i] = ("%d %s: %s"):format(i, rule.action, rule.expression) end
  return table.concat(lines, "\n")
end

local TARGETS = {
  expression = { new = new_text, try = try_expression, prepare = load_seeds },
  expression_paths = { new = new_rules, try = try_rules, prepare = function() end },
}

local function usage()
  io.stderr:write("usage: luajit spec/fuzz/expressions.lua expression|expression_paths --seconds N [--seed N] [--findings DIRECTORY]\n")
  os.exit(2)
end

local function arguments()
  local options, at = { seed = os.time() }, 2
  while arg[at] do
    local name = arg[at]:match("^%-%-(%l+)$")
    if name == "findings" then
      options.findings = arg[at + 1] or usage()
    elseif name == "seconds" or name == "seed" then
      options[name] = tonumber(arg[at + 1]) or usage()
    else
      usage()
    end
    at = at + 2
  end
  if not TARGETS[arg[1]] or not options.seconds then usage() end
  return TARGETS[arg[1]], options
end

-- A file that holds what is being tried now, rewritten in place.
local function keeper(options)
  local file = options.findings and assert(io.open(options.findings .. "/current", "wb"))
  return function(text)
    if file then
      file:seek("set", 0)
      file:write(text, "\n-- end --\n")
      file:flush()
    end
  end
end

local function report(options, input, err)
  local text = ("%s\nseed %d, input %d:\n%s\n"):format(err, options.seed, counts.inputs, shown(input))
  io.stderr:write(text)
  if options.findings then
    local file = assert(io.open(("%s/finding-%d-%d"):format(options.findings, options.seed, counts.inputs), "wb"))
    file:write(text)
    file:close()
  end
  os.exit(1)
end

local function bounded(target, input)
  local before, began = collectgarbage("count"), os.clock()
  target.try(input)
  local spent, grown = os.clock() - began, collectgarbage("count") - before
  if spent > SECONDS_MAX then find("%.1f seconds for one input", spent) end
  if grown > GROWTH_MAX then find("%.0f KiB for one input", grown) end
  if counts.inputs % COLLECT_EVERY == 0 then
    collectgarbage()
    if collectgarbage("count") > KEPT_MAX then find("%.0f KiB are kept", collectgarbage("count")) end
  end
end

local target, options = arguments()
math.randomseed(options.seed)
target.prepare()
local keep = keeper(options)
setmetatable(_G, { __newindex = function(_, name) find("the global %s was written", tostring(name)) end })
local deadline = os.time() + options.seconds
while os.time() < deadline do
  local input = target.new()
  counts.inputs = counts.inputs + 1
  keep(shown(input))
  local ok, err = xpcall(function() bounded(target, input) end, function(raised)
    return type(raised) == "string" and raised:find("^finding: ") and raised or debug.traceback(tostring(raised), 2)
  end)
  if not ok then report(options, input, err) end
end
collectgarbage()
print(("seed %d: %d inputs, %d accepted, %d refused, %d matches, %.0f KiB kept"):format(options.seed, counts.inputs, counts.accepted,
  counts.refused, counts.matches, collectgarbage("count")))
os.exit(counts.inputs > 0 and counts.accepted > 0 and 0 or 1)
