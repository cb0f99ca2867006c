-- moongate.explain_changes: which other client certificate would turn the verdict on a request.
--
-- Tries the states a certificate can be in (none, presented, verified, revoked) and the values that the rules themselves ask for
-- (an issuer, a fingerprint, a name), each alone, and only when none of these turns the verdict, a state and a value together. Each
-- try is one run of the compiled rules, and their number is bounded. Called by explain.lua; pure but for the run it is handed.

local explain_request = require "moongate.explain_request"
local given = require "moongate.given"

local M = {}

local VALUES_MAX = 48  -- of certificate fields, tried one by one
local CHANGES_MAX = 24 -- told

local PREFIX = "cf.tls_client_auth.cert_"
local PRESENTED, VERIFIED, REVOKED = PREFIX .. "presented", PREFIX .. "verified", PREFIX .. "revoked"

-- Revoked certificates stay verified.
local STATES = {
  { label = "no client certificate", [PRESENTED] = false, [VERIFIED] = false, [REVOKED] = false, is_empty = true },
  { label = "a certificate that is not verified", [PRESENTED] = true, [VERIFIED] = false, [REVOKED] = false },
  { label = "a verified certificate", [PRESENTED] = true, [VERIFIED] = true, [REVOKED] = false },
  { label = "a verified certificate that is revoked", [PRESENTED] = true, [VERIFIED] = true, [REVOKED] = true },
}

-- ---- what the rules ask for ----

local function literals_of(node, out)
  if type(node) ~= "table" then return end
  local right = node.right
  if type(right) == "string" then
    out[#out + 1] = right
  elseif type(right) == "table" then
    for value in pairs(right.members or {}) do out[#out + 1] = value end
    if right.pieces then out[#out + 1] = table.concat(right.pieces) end
  end
  if node.kind == "literal" then out[#out + 1] = node.value end
  for _, key in ipairs { "of", "left", "value" } do literals_of(node[key], out) end
  for _, part in ipairs(node.args or {}) do literals_of(part, out) end
end

local function fields_of(node, out)
  if type(node) ~= "table" then return end
  if node.kind == "field" then out[node.field.name] = node.field end
  for _, key in ipairs { "of", "left", "value" } do fields_of(node[key], out) end
  for _, part in ipairs(node.args or {}) do fields_of(part, out) end
end

-- Visits every comparison and every Boolean value of a tree.
local function each_leaf(node, visit)
  if node.kind == "compare" or node.kind == "test" then return visit(node) end
  if node.of then each_leaf(node.of, visit) end
  for _, operand in ipairs(node) do each_leaf(operand, visit) end
end

local function wrap(kind, text)
  if kind.kind == "String" then return text end
  if kind.kind == "Array" and kind.of.kind == "String" then return { n = 1, text } end
  return nil
end

-- { field = name, value = …, label = … } for each text that a rule compares a certificate field with. `is_read`: whether any rule
-- asks for a certificate at all.
local function wanted_values(trees, values)
  local list, seen, is_read = {}, {}, false
  local function add(name, value, text, label)
    local key = name .. "\0" .. text
    if value == nil or seen[key] or #list >= VALUES_MAX then return end
    seen[key] = true
    list[#list + 1] = { field = name, value = value, label = label }
  end
  for _, tree in ipairs(trees) do
    each_leaf(tree, function(leaf)
      local fields, literals = {}, {}
      fields_of(leaf, fields)
      literals_of(leaf, literals)
      table.sort(literals, function(a, b) return tostring(a) < tostring(b) end)
      for name, field in pairs(fields) do
        if explain_request.is_of_certificate(name) then
          is_read = true
          for _, text in ipairs(literals) do
            if type(text) == "string" and text ~= values[name] then
              add(name, wrap(field.type, text), text, ("%s is %q"):format(name, text))
            end
          end
          if literals[1] and values[name] ~= "" then
            add(name, wrap(field.type, "another value"), "another value", name .. " is another")
          end
        end
      end
    end)
  end
  table.sort(list, function(a, b) return a.label < b.label end)
  return list, is_read
end

-- ---- trying ----

local function copy(values)
  local out = {}
  for name, value in pairs(values) do out[name] = value end
  return out
end

local function is_current(state, values)
  return (values[PRESENTED] or false) == state[PRESENTED] and (values[VERIFIED] or false) == state[VERIFIED]
    and (values[REVOKED] or false) == state[REVOKED]
end

local function in_state(schema, values, state)
  local out = copy(values)
  if state.is_empty then
    for name, field in pairs(schema.fields) do
      if explain_request.is_of_certificate(name) then out[name] = given.default_of(field.type) end
    end
  end
  for _, name in ipairs { PRESENTED, VERIFIED, REVOKED } do out[name] = state[name] end
  return out
end

local function difference(values, changed)
  local set = {}
  for name, value in pairs(changed) do
    if values[name] ~= value and type(value) ~= "table" then set[name] = value end
    if type(value) == "table" and value ~= values[name] and not (value.n == 0 and (values[name] or value).n == 0) then set[name] = value end
  end
  return set
end

---@class moongate.explain.Change
---@field label string   for people
---@field set table<string, any>  the fields that differ
---@field outcome any    what run() answers then

--- Finds the changes.
---@param schema moongate.rules.Schema
---@param trees table[]   of the rules
---@param values table<string, any>  of the request as it is
---@param run fun(values: table<string, any>): { key: string }  the outcome of a request; outcomes of equal key are equal
---@return moongate.explain.Change[] changes
---@return boolean is_read  whether the rules ask for the client certificate at all
function M.find(schema, trees, values, run)
  local wanted, is_read = wanted_values(trees, values)
  if not is_read then return {}, false end
  local present, changes = run(values).key, {}
  local function try(changed, label)
    local outcome = run(changed)
    if outcome.key ~= present and #changes < CHANGES_MAX then
      changes[#changes + 1] = { label = label, set = difference(values, changed), outcome = outcome }
    end
  end
  local function try_values(base, prefix)
    for _, one in ipairs(wanted) do
      local changed = copy(base)
      changed[one.field] = one.value
      try(changed, prefix .. one.label)
    end
  end
  for _, state in ipairs(STATES) do
    if not is_current(state, values) then try(in_state(schema, values, state), state.label) end
  end
  if values[PRESENTED] then try_values(values, "") end
  if not changes[1] then
    for _, state in ipairs(STATES) do
      if not state.is_empty and not is_current(state, values) then
        try_values(in_state(schema, values, state), state.label .. " whose ")
      end
    end
  end
  return changes, true
end

return M
