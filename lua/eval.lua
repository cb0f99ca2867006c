-- moongate.eval: `moongate eval`: one expression, or JSON lines of them, against fields given as JSON.
--
-- For people who write rules and for tests that bring their own cases: it compiles with the very engine that serves
-- requests, only the fields come from JSON. run() takes its streams as arguments and returns the exit code (0 fine, 1
-- failed, 2 usage). Called by the command line. Reads the files it is given and nothing else.

local given = require "moongate.given"
local json = require "moongate.json"
local rules = require "moongate.rules"

local M = {}

local MAX_LINE = 1048576 -- bytes of one line of a batch

-- For tests that bring their own cases.
M.convert, M.list_finder = given.convert, given.list_finder

local function compile(schema, expression, lists)
  return rules.compile(schema, { { expression = expression, action = "block" } }, { find_list = given.list_finder(lists) })
end

local function mistake_of(diag)
  return json.object {
    error = json.object { message = diag.message, line = diag.line, column = diag.column, length = diag.length },
  }
end

local function failure(message)
  return json.object { error = json.object { message = message, line = 1, column = 1, length = 1 } }
end

local ORDER = { "error", "message", "line", "column", "length" }

-- One line of a batch → the object to print.
local function answer(schema, request, line)
  local case, err = json.decode(line, { exact_integers = true })
  if err then
    return failure(("not JSON: %s (column %d)"):format(err.message, err.column))
  elseif not json.is_object(case) or type(case.expr) ~= "string" then
    return failure 'expected an object with the member "expr"'
  end
  local lists = json.is_object(case.lists) and case.lists or nil
  local ruleset, diag = compile(schema, case.expr, lists)
  if not ruleset then
    return mistake_of(diag)
  elseif case.fields == nil then
    return json.object { ok = true }
  end
  local values, bad = given.values(schema, case.fields)
  if not values then
    return failure(bad)
  end
  request.values = values
  return json.object { result = ruleset.run() == 1 }
end

local function run_batch(options, schema, request)
  local stdin, stdout = options.stdin or io.stdin, options.stdout or io.stdout
  for line in stdin:lines() do
    if line:find("%S") then
      local result = #line > MAX_LINE and failure "the line is longer than a mebibyte" or answer(schema, request, line)
      stdout:write(json.encode(result, { order = ORDER }), "\n")
    end
  end
  return 0
end

local function run_one(options, schema, request)
  local stdout, stderr = options.stdout or io.stdout, options.stderr or io.stderr
  local ruleset, diag = compile(schema, options.expression)
  if not ruleset then
    stderr:write(diag:advise())
    return 1
  end
  if options.request then
    local values, err = given.read_values(schema, options.request, options.stdin or io.stdin)
    if not values then
      stderr:write("moongate eval: ", err, "\n")
      return 1
    end
    request.values = values
  end
  if options.show_code then
    stdout:write(ruleset:code())
  end
  stdout:write(ruleset.run() == 1 and "true" or "false", "\n")
  return 0
end

--- Runs `moongate eval`.
---@param options { expression: string|nil, batch: boolean|nil, scheme: string|nil, request: string|nil,
---  show_code: boolean|nil, stdin: table|nil, stdout: table|nil, stderr: table|nil }
---  scheme and request are paths; "-" reads from stdin. Absent fields have their default: false, 0, "", 0.0.0.0, empty.
---@return integer exit  0 fine, 1 failed, 2 usage
function M.run(options)
  local stderr = options.stderr or io.stderr
  if (options.expression == nil) == not options.batch then
    stderr:write("moongate eval: expected either an expression or --batch\n")
    return 2
  end
  local list = given.builtin_fields()
  if options.scheme then
    local err
    list, err = given.scheme_fields(options.scheme, options.stdin or io.stdin)
    if not list then
      stderr:write("moongate eval: ", err, "\n")
      return 1
    end
  end
  local request = { values = {} }
  local ok, schema = pcall(given.new_schema, list, request)
  if not ok then
    stderr:write("moongate eval: ", tostring(schema), "\n")
    return 1
  end
  if options.batch then
    return run_batch(options, schema, request)
  end
  return run_one(options, schema, request)
end

return M
