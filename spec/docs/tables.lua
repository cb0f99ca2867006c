-- The tables of the manual that can be read off the code: endpoints, errors, permission groups, fields, functions, exports. `docs/update`
-- writes them into docs/*.md between `<!-- table: NAME -->` and `<!-- end -->`; spec/docs/tables_spec.lua fails when a page is
-- behind the code.

local M = {}

M.PAGES = { "docs/admin-api.md", "docs/command-line.md", "docs/expressions.md", "docs/fields.md" }

local function row(...) return "| " .. table.concat({ ... }, " | ") .. " |" end

local function code(text) return "`" .. text:gsub("|", "\\|") .. "`" end

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The permission groups that open a route; where Read is enough, Write goes without saying.
local function permission_of(route)
  local need = route.permission
  if need.level == "any" then return "any token" end
  if need.level == "unrestricted" then return "a token without limits" end
  local by_id, names = require("moongate.admin.permissions").by_id, {}
  local allowed = {}
  for id in pairs(need.allow) do allowed[by_id[id].name] = true end
  for name in pairs(allowed) do
    if not (name:find(" Write$") and allowed[name:gsub("Write$", "Read")]) then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local tables = {}

function tables.endpoints()
  local lines = { row("Method", "Path", "Permission (one of)"), row("---", "---", "---") }
  for _, route in ipairs(require("moongate.admin").routes()) do
    lines[#lines + 1] = row(route.method, code(route.path), permission_of(route))
  end
  return lines
end

function tables.permissions()
  local lines = { row("Group", "Scope", "Id"), row("---", "---", "---") }
  for _, group in ipairs(require("moongate.admin.permissions").list) do
    lines[#lines + 1] = row(group.name, group.scope, code(group.id))
  end
  return lines
end

function tables.errors()
  local catalogue = require("moongate.admin.errors").catalogue
  local lines = { row("Status", "Code", "Message"), row("---", "---", "---") }
  local entries = {}
  for _, entry in pairs(catalogue) do
    local text = entry[3]:gsub("'?%%[sd]'?", "…"):gsub("|", "\\|")
    entries[#entries + 1] = { entry[1], entry[2] or 0, row(entry[1], entry[2] and tostring(entry[2]) or "none", text) }
  end
  table.sort(entries, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  for index, entry in ipairs(entries) do
    if not (entries[index - 1] and entries[index - 1][3] == entry[3]) then lines[#lines + 1] = entry[3] end
  end
  return lines
end

function tables.fields()
  local lines = { row("Field", "Type", "Meaning"), row("---", "---", "---") }
  for _, field in ipairs(require("moongate.fields").list) do
    if not field.absent then lines[#lines + 1] = row(code(field.name), code(field.type), field.help) end
  end
  return lines
end

function tables.absent_fields()
  local lines = { row("Field", "Type"), row("---", "---") }
  for _, field in ipairs(require("moongate.fields").list) do
    if field.absent then lines[#lines + 1] = row(code(field.name), code(field.type)) end
  end
  return lines
end

function tables.functions()
  local known = require("moongate.rules").new_schema({ fields = {} }).functions
  local lines = { row("Function", "Gives"), row("---", "---") }
  for _, name in ipairs(sorted(known)) do lines[#lines + 1] = row(code(name), (known[name].help:gsub("|", "\\|"))) end
  return lines
end

-- What may stand in a document of export: the members of the account and of a zone, in the order of an import.
function tables.export()
  local kinds = require "moongate.cli.kinds"
  local lines = { row("Member", "Of", "Holds", "Fields (required ones first)"), row("---", "---", "---", "---") }
  for _, kind in ipairs(kinds.list) do
    if not kind.hidden then
      local fields, required = {}, {}
      for _, name in ipairs(kind.required or {}) do
        fields[#fields + 1], required[name] = code(name), true
      end
      for _, name in ipairs(sorted(kind.members or {})) do
        if not required[name] then fields[#fields + 1] = code(name) end
      end
      lines[#lines + 1] = row(code(kind.name), kind == kinds.zones and "document" or kind.level,
        kind.single and "an object" or "a list", kind.free and "the ids of the settings" or table.concat(fields, ", "))
    end
  end
  return lines
end

--- A page with its tables as the code has them now.
---@param text string
---@return string
function M.refresh(text)
  return (text:gsub("(<!%-%- table: ([%w_]+) %-%->\n)(.-)(<!%-%- end %-%->)", function(first, name, _, last)
    local make = tables[name] or error("no table is called " .. name)
    return first .. table.concat(make(), "\n") .. "\n" .. last
  end))
end

return M
