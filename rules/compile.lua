-- moongate.rules.compile: specialised rules → a ruleset that runs.
--
-- Loads the generated source (rulesets of one shape share it through a bounded cache), binds constants and accessors,
-- and keeps a second, slower form at hand for the request on which an accessor fails: rule by rule, where an error in
-- a block rule counts as a match and elsewhere as none. Called by document.lua. A ruleset belongs to one Lua state
-- and one request at a time.

local generate = require "moongate.rules.generate"
local integer = require "moongate.rules.integer"
local order = require "moongate.rules.order"
local runtime = require "moongate.rules.runtime"

local format = string.format

local M = {}

-- What generated code may call.
local HELPERS = {
  find = string.find,
  sub = string.sub,
  less = order.less,
  less_equal = order.less_equal,
  integer_less = integer.less,
  integer_less_equal = integer.less_equal,
  sorted_values = runtime.sorted_values,
  negate = runtime.negate,
  both = runtime.both,
  either = runtime.either,
  differ = runtime.differ,
  any = runtime.any,
  all = runtime.all,
  apply = runtime.apply,
}

-- Two generations of loaded sources: when the young one is full it becomes the old one, and what was in the old one
-- and is not asked for again is let go.
local CACHE_SIZE = 512
local young, old, young_count = {}, {}, 0

local load_source = loadstring or load
local set_environment = rawget(_G, "setfenv")

local function load_chunk(source)
  local factory = young[source]
  if factory then
    return factory
  end
  factory = old[source]
  if not factory then
    local err
    factory, err = load_source(source, "=rules")
    if not factory then
      error("generated source does not load: " .. err) -- a bug of the generator: there is nothing a rule could do
    end
    if set_environment then
      set_environment(factory, {})
    end
  end
  if young_count >= CACHE_SIZE then
    young, old, young_count = {}, young, 0
  end
  young[source] = factory
  young_count = young_count + 1
  return factory
end

-- The function of a chunk. `places` turns ordinals into the caller's indices.
local function bind(chunk, options, cells, places, report)
  local accessors = {}
  for i, field in ipairs(chunk.fields) do
    local access = options.access and options.access[field.name] or field.access
    if not access then
      error(format("field %q has no accessor", field.name), 0)
    end
    accessors[i] = access
  end
  return load_chunk(chunk.source)(chunk.constants, accessors, cells, places, report, HELPERS)
end

---@class moongate.rules.Ruleset
---@field fields table<string, boolean>  names of the fields that the generated code may read
---@field run fun(): integer, integer|nil
---@field run_guarded fun(): integer, integer|nil
local Ruleset = {}
Ruleset.__index = Ruleset

local function escape(c)
  return format("\\%03d", c:byte())
end

local function shown(value)
  if type(value) ~= "string" then
    return type(value)
  end
  return (format("%q", value):gsub("\\\n", "\\n"):gsub("[%c\127-\255]", escape))
end

--- The generated source, for people: constants and accessors of each function stand above it.
---@return string
function Ruleset:code()
  local parts = {}
  for i, chunk in ipairs(self.chunks) do
    parts[#parts + 1] = format("-- function %d of %d\n", i, #self.chunks)
    for k, value in ipairs(chunk.constants) do
      local label = chunk.labels[k]
      parts[#parts + 1] = format("-- K[%d]: %s%s\n", k, shown(value), label and ", " .. label or "")
    end
    for k, field in ipairs(chunk.fields) do
      parts[#parts + 1] = format("-- A%d: %s\n", k, field.name)
    end
    parts[#parts + 1] = chunk.source
  end
  return table.concat(parts)
end

-- The fast form. Mostly it is the generated function itself, so that rulesets of different shape are different
-- functions to the JIT compiler.
local function runner(functions)
  local count = #functions
  if count == 0 then
    return function() return 0 end
  elseif count == 1 then
    return functions[1]
  end
  return function()
    for i = 1, count do
      local index, stop = functions[i]()
      if index ~= 0 or stop then
        return index, stop
      end
    end
    return 0
  end
end

-- The careful form: rules one by one under pcall. What run() reported before it failed is not reported again.
local function guarded_runner(plans, places, options, state)
  local functions, on_error = {}, options.on_error
  local function report(ordinal)
    if ordinal > state.reported and options.on_log then
      options.on_log(places[ordinal])
    end
  end
  return function()
    for i, plan in ipairs(plans) do
      if not functions[i] then
        local chunks, cell_count = generate.rules { plan }
        functions[i] = bind(chunks[1], options, { n = cell_count }, places, report)
      end
      local ok, index, stop = pcall(functions[i])
      if not ok then
        if on_error then
          on_error(plan.index, index)
        end
        if plan.terminates then
          return plan.index
        end
      elseif index ~= 0 or stop then
        return index, stop
      end
    end
    return 0
  end
end

--- Makes a ruleset from specialised rules.
---@param plans table[]  moongate.rules.Plan, with .index: the place in the caller's list
---@param options { on_log: fun(index: integer)|nil, on_error: fun(index: integer, err: any)|nil, access: table|nil }
---  access: field name → accessor, in place of the schema's
---@return moongate.rules.Ruleset
function M.ruleset(plans, options)
  local chunks, cell_count = generate.rules(plans)
  local cells, state, places = { n = cell_count }, { reported = 0 }, {}
  for ordinal, plan in ipairs(plans) do
    places[ordinal] = plan.index
  end
  local on_log = options.on_log
  local function report(ordinal) -- 0: a request begins
    state.reported = ordinal
    if ordinal > 0 and on_log then
      on_log(places[ordinal])
    end
  end
  local functions, fields = {}, {}
  for i, chunk in ipairs(chunks) do
    functions[i] = bind(chunk, options, cells, places, report)
    for _, field in ipairs(chunk.fields) do
      fields[field.name] = true
    end
  end
  return setmetatable({
    fields = fields,
    chunks = chunks,
    run = runner(functions),
    run_guarded = guarded_runner(plans, places, options, state),
  }, Ruleset)
end

return M
