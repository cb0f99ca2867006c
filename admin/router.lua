--- moongate.admin.router — method and path to route; unknown paths and unavailable methods told apart.
--
-- Built once from the declarations of the resources. A route cannot exist without saying who may use it: a
-- declaration that has no `permission` stops the program at start. Knows nothing of bodies, identities or the store.

local query = require "moongate.admin.query"

local M = {}

local METHODS = { GET = true, POST = true, PUT = true, PATCH = true, DELETE = true }

---@class moongate.admin.route
---@field method string
---@field path string `/zones/{zone_id}/…`
---@field permission table made by moongate.admin.permissions
---@field run fun(context: table): table|nil, table|nil the verb; gives an answer, or nil and errors
---@field prepare (fun(context: table): true|nil, table|nil)|nil what must be known before the transaction, and may be waited
--- for (`context.control.outgoing`); gives true, or nil and errors. Others are served meanwhile: `run` looks again
---@field fields table[]|nil declaration of the body (moongate.admin.check)
---@field group string|nil whose codes JSON errors and bad values get (moongate.admin.errors)
---@field body string|nil instead of `fields`: `required` or `optional` JSON of any shape, which the verb reads itself
---@field body_bytes integer|nil the largest body; 1 MiB when absent
---@field dry_run boolean|nil takes `?dry_run=`
---@field reads boolean|nil changes nothing, whatever its method

local Router = {}
Router.__index = Router

local function place(root, route)
  local node = root
  for segment in route.path:gmatch("/([^/]+)") do
    local name = segment:match("^{(.+)}$")
    if name then
      node.parameter = node.parameter or { literal = {}, name = name }
      if node.parameter.name ~= name then
        error(("%s: the parameter is called %s elsewhere"):format(route.path, node.parameter.name), 0)
      end
      node = node.parameter
    else
      node.literal[segment] = node.literal[segment] or { literal = {} }
      node = node.literal[segment]
    end
  end
  node.routes = node.routes or {}
  if node.routes[route.method] then error(("%s %s is declared twice"):format(route.method, route.path), 0) end
  node.routes[route.method] = route
end

---@param routes moongate.admin.route[]
---@return table router
function M.new(routes)
  local root = { literal = {} }
  for _, route in ipairs(routes) do
    local title = ("%s %s"):format(tostring(route.method), tostring(route.path))
    if not METHODS[route.method] then error(title .. ": unknown method", 0) end
    if type(route.run) ~= "function" then error(title .. ": no function to run", 0) end
    if type(route.permission) ~= "table" or not route.permission.level then
      error(title .. ": a route must declare its permission", 0)
    end
    place(root, route)
  end
  return setmetatable({ root = root }, Router)
end

-- A literal goes before a parameter; where the literal leads nowhere, the parameter is tried.
local function walk(node, segments, index, params)
  local segment = segments[index]
  if not segment then return node.routes and node end
  local deeper = node.literal[segment]
  local found = deeper and walk(deeper, segments, index + 1, params)
  if found then return found end
  if node.parameter and segment ~= "" then
    found = walk(node.parameter, segments, index + 1, params)
    if found then params[node.parameter.name] = segment end
    return found
  end
end

--- Finds the route of a raw path below the base path. Each segment is percent-decoded once.
---@param method string
---@param path string raw, beginning with `/`
---@return moongate.admin.route|nil
---@return table|string what the path's parameters are; on failure `path`, or `method`
---@return string|nil allow on `method`: the methods that there are
function Router:find(method, path)
  local segments = {}
  for raw in path:gmatch("/([^/]*)") do
    local segment = query.unescape(raw)
    if not segment then return nil, "path" end
    segments[#segments + 1] = segment
  end
  local params = {}
  local node = segments[1] and walk(self.root, segments, 1, params)
  if not node then return nil, "path" end
  if node.routes[method] then return node.routes[method], params end
  local allowed = {}
  for name in pairs(node.routes) do allowed[#allowed + 1] = name end
  table.sort(allowed)
  return nil, "method", table.concat(allowed, ", ")
end

return M
